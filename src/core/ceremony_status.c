/* What is told of the chamber: docs/openapi.yaml, schemas ChamberStatus, SealRotation, SealTokens. */
#include <inttypes.h>
#include <string.h>

#include "codec/hex.h"
#include "core/ceremony_inside.h"
#include "crypto/age.h"
#include "seal/proposal.h"

static const char *yes(bool it_is)
{
    return it_is ? "true" : "false";
}

static cc_err append_hex(struct buf *out, const char *name, const uint8_t bytes[static 32])
{
    char digits[65] = "";
    hex_encode(bytes, 32, digits);
    return buf_printf(out, "\"%s\":\"%s\"", name, digits);
}

/* Bytes that need no escape but line feeds: age files are printable lines. */
static cc_err append_lines(struct buf *out, const char *name, const uint8_t *bytes, size_t len)
{
    CC_TRY(buf_printf(out, "\"%s\":\"", name));
    for (size_t i = 0; i < len; i++) {
        const char c = (char)bytes[i];
        if (c == '\n')
            CC_TRY(buf_append_str(out, "\\n"));
        else if (c >= ' ' && c <= '~' && c != '"' && c != '\\')
            CC_TRY(buf_append(out, &c, 1));
    }
    return buf_append_str(out, "\"");
}

static cc_err
append_recipient(struct buf *out, const char *name, const struct seal_recipient *recipient)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(AGE_RECIPIENT_TEXT_MAX);
    struct age_recipient age = {.kind = recipient->kind};
    memcpy(age.key, recipient->key, sizeof age.key);
    CC_TRY(age_recipient_write(&age, &text));
    return name[0] ? append_lines(out, name, text.data, text.len)
                   : buf_printf(out, "\"%.*s\"", (int)text.len, (const char *)text.data);
}

/* --- the present set ---------------------------------------------------------------------------------------------------------------- */

static cc_err append_kms(const struct ceremony_shown *s, struct buf *out)
{
    const struct seal_current *current = &s->records.current;
    CC_TRY(buf_printf(out, ",\"kms\":{\"threshold\":%u,\"have\":%u,\"open\":%s,\"keys\":[",
                      current->set.kms.threshold, s->vault.kms_have, yes(s->vault.kms_open)));
    for (uint32_t i = 0; i < current->set.kms.count && i < SEAL_KMS_MAX; i++) {
        const struct ceremony_kms_state *key = &s->kms[i];
        const char *state = !key->asked ? "unknown" : key->error ? "failed" : "opened";
        CC_TRY(buf_printf(out, "%s{\"arn\":\"%s\",\"state\":\"%s\"", i ? "," : "",
                          current->keys[i].arn, state));
        if (key->asked && key->error)
            CC_TRY(buf_printf(out, ",\"error\":\"%s\"", error_name(error_from_number(key->error))));
        CC_TRY(buf_append_str(out, "}"));
    }
    CC_TRY(buf_append_str(out, "]}"));
    if (current->set.break_glass.count == 0)
        return CC_OK;
    return buf_printf(out, ",\"break_glass\":{\"threshold\":%u,\"count\":%u}",
                      current->set.break_glass.threshold, current->set.break_glass.count);
}

static cc_err append_operators(const struct ceremony_shown *s, struct buf *out)
{
    const struct seal_set *set = &s->records.current.set;
    CC_TRY(buf_printf(
        out,
        ",\"operators\":{\"threshold\":%u,\"have\":%u,\"rehearsals\":%u,\"rehearsed\":%s,\"names\":[",
        set->operator_threshold, s->vault.open ? set->operator_threshold : s->vault.operators_have,
        s->vault.rehearsals_have, yes(s->vault.rehearsed)));
    for (uint32_t i = 0; i < set->operator_count && i < SEAL_OPERATORS_MAX; i++)
        CC_TRY(buf_printf(out, "%s\"%s\"", i ? "," : "", set->operators[i].name));
    CC_TRY(buf_append_str(out, "]"));
    if (s->vault.approvals_have) {
        CC_TRY(buf_printf(out, ",\"approvals\":%u,", s->vault.approvals_have));
        CC_TRY(append_hex(out, "approving", s->vault.approving));
    }
    return buf_append_str(out, "}");
}

static cc_err append_set(const struct ceremony_shown *s, struct buf *out)
{
    const struct seal_set *set = &s->records.current.set;
    CC_TRY(buf_printf(
        out, ",\"seal\":{\"mode\":\"%s\",\"generation\":%u,\"number\":%" PRIu64 ",\"open\":%s,",
        seal_mode_name(set->mode), set->generation, set->number, yes(s->vault.open)));
    CC_TRY(append_hex(out, "fingerprint", set->fingerprint));
    if (set->kms.count)
        CC_TRY(append_kms(s, out));
    if (set->operator_count)
        CC_TRY(append_operators(s, out));
    return buf_append_str(out, "}");
}

/* --- a new one -------------------------------------------------------------------------------------------------------------------------- */

static cc_err append_keep(uint32_t keep, struct buf *out)
{
    return buf_printf(out, ",\"keep\":[%s%s%s]", keep & SEAL_KEEP_OPERATORS ? "\"operators\"" : "",
                      keep == (SEAL_KEEP_OPERATORS | SEAL_KEEP_KMS) ? "," : "",
                      keep & SEAL_KEEP_KMS ? "\"kms\"" : "");
}

static cc_err append_glass(const struct seal_proposal *p, struct buf *out)
{
    CC_TRY(buf_printf(out, ",\"break_glass\":{\"threshold\":%u,\"count\":%u,\"recipients\":[",
                      p->break_glass_threshold, p->break_glass_count));
    for (uint32_t i = 0;
         i < p->break_glass_count && i < SEAL_BREAK_GLASS_MAX && !(p->keep & SEAL_KEEP_KMS); i++) {
        CC_TRY(buf_append_str(out, i ? "," : ""));
        CC_TRY(append_recipient(out, "", &p->break_glass[i]));
    }
    return buf_append_str(out, "]}");
}

static cc_err append_people(const struct seal_proposal *p, struct buf *out)
{
    CC_TRY(buf_printf(out, ",\"operator_threshold\":%u,\"operators\":[", p->operator_threshold));
    for (uint32_t i = 0; i < p->operator_count && i < SEAL_OPERATORS_MAX; i++) {
        CC_TRY(buf_printf(out, "%s{\"name\":\"%s\",", i ? "," : "", p->operators[i].name));
        CC_TRY(append_recipient(out, "public_key", &p->operators[i].recipient));
        CC_TRY(buf_append_str(out, "}"));
    }
    return buf_append_str(out, "]");
}

static cc_err append_proposal(const struct seal_next *next, struct buf *out)
{
    const struct seal_proposal *p = &next->proposal;
    CC_TRY(buf_append_str(out, ",\"proposal\":{"));
    CC_TRY(append_hex(out, "chamber_id", p->chamber_id));
    CC_TRY(buf_append_str(out, ","));
    CC_TRY(append_hex(out, "from", p->from));
    CC_TRY(buf_append_str(out, ","));
    CC_TRY(append_hex(out, "id", p->id));
    CC_TRY(buf_printf(out, ",\"generation\":%u,\"mode\":\"%s\"", p->generation,
                      seal_mode_name(p->mode)));
    CC_TRY(append_keep(p->keep, out));
    CC_TRY(buf_printf(out, ",\"kms_threshold\":%u,\"kms_key_arns\":[", p->kms_threshold));
    for (uint32_t i = 0; i < p->kms_count && i < SEAL_KMS_MAX; i++)
        CC_TRY(buf_printf(out, "%s\"%s\"", i ? "," : "", next->keys[i].arn));
    CC_TRY(buf_append_str(out, "]"));
    CC_TRY(append_glass(p, out));
    CC_TRY(append_people(p, out));
    return buf_append_str(out, "}");
}

static cc_err append_names(const struct seal_set *set, bool registered, struct buf *out)
{
    bool first = true;
    for (uint32_t i = 0; i < set->operator_count && i < SEAL_OPERATORS_MAX; i++) {
        if ((set->operators[i].factor != SEAL_FACTOR_NONE) != registered)
            continue;
        CC_TRY(buf_printf(out, "%s\"%s\"", first ? "" : ",", set->operators[i].name));
        first = false;
    }
    return CC_OK;
}

static cc_err append_progress(const struct ceremony_shown *s, struct buf *out)
{
    const struct seal_next *next = &s->records.next;
    const bool has_current = s->records.current_version != 0;
    const uint32_t threshold = has_current ? s->records.current.set.operator_threshold : 0;
    if (next->phase == SEAL_PHASE_PROPOSED) {
        const bool ours = span_equal(span_of(s->vault.approving, 32), span_of(next->digest, 32));
        return buf_printf(out, ",\"approvals\":{\"have\":%u,\"needed\":%u}",
                          ours ? s->vault.approvals_have : 0, threshold ? threshold : 1);
    }
    CC_TRY(buf_append_str(out, ",\"registered\":["));
    CC_TRY(append_names(&next->set, true, out));
    CC_TRY(buf_append_str(out, "],\"pending\":["));
    CC_TRY(append_names(&next->set, false, out));
    return buf_append_str(out, "]");
}

CC_ERR ceremony_append_rotation(const struct ceremony_shown *s, struct buf *out)
{
    const struct seal_next *next = &s->records.next;
    uint8_t cancel[32];
    proposal_cancel_digest(next->proposal.chamber_id, next->digest, cancel);
    CC_TRY(buf_printf(out, "{\"kind\":\"%s\",\"phase\":\"%s\",", seal_kind_name(next->kind),
                      seal_phase_name(next->phase)));
    CC_TRY(append_hex(out, "digest", next->digest));
    CC_TRY(buf_append_str(out, ","));
    CC_TRY(append_hex(out, "cancel_digest", cancel));
    CC_TRY(buf_printf(out, ",\"proposer\":\"%s\",\"proposed_at\":%" PRIu64, next->proposer,
                      next->proposed / 1000));
    CC_TRY(append_progress(s, out));
    CC_TRY(append_proposal(next, out));
    return buf_append_str(out, "}");
}

static cc_err append_replicas(const struct ceremony_records *r, struct buf *out)
{
    CC_TRY(buf_append_str(out, ",\"replicas\":["));
    for (uint32_t i = 0; i < r->replica_count; i++) {
        char name[2 * SEAL_REPLICA_SIZE + 1] = "";
        hex_encode(r->replicas[i].replica, SEAL_REPLICA_SIZE, name);
        CC_TRY(buf_printf(out, "%s{\"name\":\"%s\",\"generation\":%u}", i ? "," : "", name,
                          r->replicas[i].generation));
    }
    return buf_append_str(out, "]");
}

/* --- together ----------------------------------------------------------------------------------------------------------------------------- */

static cc_err
append_status(const struct ceremony *c, const struct ceremony_shown *s, struct buf *out)
{
    CC_TRY(buf_printf(out, "\"state\":\"%s\",\"latched\":%s,", seal_state_name(s->state),
                      yes(s->latched)));
    CC_TRY(append_hex(out, "chamber_id", c->settings.chamber_id));
    CC_TRY(buf_append_str(out, ","));
    CC_TRY(append_hex(out, "identity", c->settings.identity));
    if (s->fault)
        return CC_OK;
    if (s->records.current_version)
        CC_TRY(append_set(s, out));
    if (c->settings.by_image) {
        CC_TRY(buf_append_str(out, ",\"auto_unseal\":"));
        CC_TRY(ceremony_append_images(c, s, out));
    }
    if (!s->records.next_version)
        return CC_OK;
    CC_TRY(buf_append_str(out, ",\"rotation\":"));
    CC_TRY(ceremony_append_rotation(s, out));
    return append_replicas(&s->records, out);
}

/* Under the lock: nothing here waits for anybody. */
CC_ERR ceremony_status(struct ceremony *c, struct buf *out)
{
    cc_assert(pthread_mutex_lock(&c->lock) == 0);
    cc_err err = append_status(c, c->shown, out);
    cc_assert(pthread_mutex_unlock(&c->lock) == 0);
    return err;
}

/* --- what goes to people -------------------------------------------------------------------------------------------------------------------- */

static cc_err append_token_list(const struct seal_next *next, struct buf *out)
{
    bool first = true;
    CC_TRY(buf_append_str(out, ",\"registration_tokens\":["));
    for (uint32_t i = 0; i < next->set.operator_count && i < SEAL_OPERATORS_MAX; i++) {
        if (next->tokens[i].len == 0)
            continue;
        CC_TRY(
            buf_printf(out, "%s{\"name\":\"%s\",", first ? "" : ",", next->set.operators[i].name));
        CC_TRY(append_lines(out, "age", next->tokens[i].bytes, next->tokens[i].len));
        CC_TRY(buf_append_str(out, "}"));
        first = false;
    }
    return buf_append_str(out, "]");
}

static cc_err
append_glass_list(const struct ceremony *c, const struct seal_set *set, struct buf *out)
{
    const struct ceremony_glass *glass = ceremony_glass_of(c, set);
    CC_TRY(buf_append_str(out, ",\"break_glass\":["));
    for (uint32_t i = 0; glass && i < glass->shares.count && i < SEAL_BREAK_GLASS_MAX; i++) {
        CC_TRY(buf_append_str(out, i ? ",{" : "{"));
        CC_TRY(append_recipient(out, "recipient", &glass->recipients[i]));
        CC_TRY(buf_append_str(out, ","));
        CC_TRY(append_lines(out, "age", glass->texts[i].data, glass->texts[i].len));
        CC_TRY(buf_append_str(out, "}"));
    }
    return buf_append_str(out, "]");
}

CC_ERR ceremony_append_tokens(struct ceremony *c, struct buf *out)
{
    if (!ceremony_has_staged(c)) {
        CC_TRY(append_hex(out, "set_fingerprint", c->records->current.set.fingerprint));
        CC_TRY(buf_append_str(out, ",\"registration_tokens\":[]"));
        return append_glass_list(c, &c->records->current.set, out);
    }
    CC_TRY(append_hex(out, "set_fingerprint", c->records->next.digest));
    CC_TRY(append_token_list(&c->records->next, out));
    return append_glass_list(c, &c->records->next.set, out);
}
