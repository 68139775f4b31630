/* What a set that was made gives to others, and what comes back of its wrapping key. */
#include <stdio.h>
#include <string.h>

#include "codec/hex.h"
#include "crypto/age.h"
#include "secret/ct.h"
#include "vault/sets_inside.h"

static cc_err part_locked(struct sets *s, uint32_t index, uint8_t *ret_share)
{
    const struct making *making = &s->secrets->making;
    if (s->sealed)
        return CC_FAIL(SEALED, "sealed in this life");
    if (index >= making->kms_count)
        return CC_FAIL(SEAL_STATE, "no such share waits for its KMS key");
    memcpy(ret_share, &making->kms[index], SEAL_SHARE_SIZE);
    return CC_OK;
}

CC_ERR sets_part(struct sets *sets, uint32_t index, uint8_t ret_share[static SEAL_SHARE_SIZE])
{
    sets_lock(sets);
    cc_err err = part_locked(sets, index, ret_share);
    sets_unlock(sets);
    return err;
}

/* --- for people --------------------------------------------------------------------------------------------------------------- */

struct line {
    char text[256];
};

static void line_wipep(struct line *line)
{
    wipe(line, sizeof *line);
}

static void write_token(const struct making *making, uint32_t index, struct line *ret_line)
{
    ct_hex_encode(making->tokens[index].bytes, sizeof making->tokens[index].bytes, ret_line->text);
    memcpy(ret_line->text + 64, "\n", 2);
}

/* Names what it is, since it may lie in a safe for years. */
static void write_share(const struct sets *s,
                        const uint8_t chamber_id[static 32],
                        uint32_t index,
                        struct line *ret_line)
{
    const struct seal_set *set = &s->held[set_index(B_SET_STAGED)].set;
    char id[65];
    hex_encode(chamber_id, 32, id);
    id[64] = '\0';
    const int len = snprintf(ret_line->text, sizeof ret_line->text,
                             "containment-chamber-break-glass-v1:%s:%u:%u:", id,
                             (unsigned)set->kms_generation, (unsigned)set->break_glass.threshold);
    cc_assert(len > 0 && (size_t)len + 2 * SEAL_SHARE_SIZE + 2 <= sizeof ret_line->text);
    ct_hex_encode((const uint8_t *)&s->secrets->making.break_glass[index], SEAL_SHARE_SIZE,
                  ret_line->text + len);
    memcpy(ret_line->text + len + 2 * SEAL_SHARE_SIZE, "\n", 2);
}

static CC_SENSITIVE cc_err text_locked(struct sets *s,
                                       enum b_set_part_kind kind,
                                       uint32_t index,
                                       struct buf *out)
{
    CC_CLEANUP(line_wipep) struct line line;
    const struct making *making = &s->secrets->making;
    const struct seal_recipient *to = NULL;
    uint8_t chamber_id[32];
    struct age_recipient recipient;
    if (s->sealed)
        return CC_FAIL(SEALED, "sealed in this life");
    CC_TRY(chamber_get_id(s->chamber, chamber_id));
    if (kind == B_PART_REGISTRATION && index < making->token_count) {
        write_token(making, index, &line);
        to = &making->operators[index];
    } else if (kind == B_PART_BREAK_GLASS && index < making->break_glass_count) {
        write_share(s, chamber_id, index, &line);
        to = &making->keepers[index];
    } else {
        return CC_FAIL(SEAL_STATE, "nothing waits for such a person");
    }
    recipient.kind = to->kind;
    memcpy(recipient.key, to->key, sizeof recipient.key);
    return age_encrypt(&recipient, 1, span_of(line.text, strlen(line.text)), AGE_ARMOUR, out);
}

CC_ERR sets_text(struct sets *sets, enum b_set_part_kind kind, uint32_t index, struct buf *out)
{
    sets_lock(sets);
    cc_err err = text_locked(sets, kind, index, out);
    sets_unlock(sets);
    wipe_stack();
    return err;
}

/* --- what comes back ---------------------------------------------------------------------------------------------------------- */

void sets_collect(struct collected *collected, const struct shamir_share *share, uint64_t now_ms)
{
    for (uint32_t i = 0; i < collected->count; i++)
        if (collected->shares[i].x == share->x)
            return;
    cc_assert(collected->count < SHAMIR_SHARES_MAX);
    if (!collected->count)
        collected->began_ms = now_ms;
    collected->shares[collected->count++] = *share;
}

static CC_SENSITIVE cc_err open_wrapping(struct sets *s,
                                         enum b_set_which which,
                                         const uint8_t *chamber_id,
                                         const struct secret32 *kms)
{
    WIPED32 struct secret32 master_key;
    const struct seal_set *set = &s->held[set_index(which)].set;
    const struct set_layers layers = {.kms = kms->bytes};
    if (set->mode != SEAL_KMS)
        return set_check_wrapping(set, chamber_id, kms->bytes);
    CC_TRY(set_open_master(set, chamber_id, &layers, master_key.bytes));
    return !sets_opens_itself(s, which) || master_is_open(s->master, which)
               ? CC_OK
               : sets_put_master(s, which, chamber_id, master_key.bytes);
}

void sets_share_wrapping(struct sets *sets, const uint8_t chamber_id[static 32])
{
    const struct held_set *present = &sets->held[set_index(B_SET_PRESENT)];
    const struct held_set *staged = &sets->held[set_index(B_SET_STAGED)];
    const struct held_secrets *from = &sets->secrets->of[set_index(B_SET_PRESENT)];
    struct held_secrets *to = &sets->secrets->of[set_index(B_SET_STAGED)];
    if (!present->is || !staged->is || !from->has_kms || to->has_kms ||
        !set_has_kms(staged->set.mode) || staged->set.kms_generation != present->set.kms_generation)
        return;
    if (open_wrapping(sets, B_SET_STAGED, chamber_id, &from->kms).code)
        return; /* another's: it waits for its own */
    to->kms = from->kms;
    to->has_kms = 1;
    wipe(&to->kms_shares, sizeof to->kms_shares);
}

CC_SENSITIVE CC_ERR sets_open_wrapping(struct sets *sets,
                                       enum b_set_which which,
                                       const uint8_t chamber_id[static 32],
                                       struct collected *collected)
{
    WIPED32 struct secret32 kms;
    struct held_secrets *of = &sets->secrets->of[set_index(which)];
    cc_err err = shamir_combine(collected->shares, collected->count, kms.bytes);
    if (!err.code)
        err = open_wrapping(sets, which, chamber_id, &kms);
    wipe(collected, sizeof *collected);
    if (err.code)
        return err;
    of->kms = kms;
    of->has_kms = 1;
    wipe(&of->kms_shares, sizeof of->kms_shares);
    wipe(&of->break_glass, sizeof of->break_glass);
    sets_share_wrapping(sets, chamber_id);
    return CC_OK;
}

static cc_err check_share(const struct sets *s,
                          enum b_set_which which,
                          uint32_t index,
                          const uint8_t *chamber_id,
                          const struct shamir_share *share)
{
    uint8_t commitment[32];
    const struct held_set *held = &s->held[set_index(which)];
    if (!held->is || !set_has_kms(held->set.mode))
        return CC_FAIL(SEAL_STATE, "no set with KMS keys");
    if (index >= held->set.kms.count)
        return CC_FAIL(PROTOCOL, "index of a KMS key");
    set_commit(chamber_id, SET_SHARE_KMS, held->set.kms_generation, share, commitment);
    return share->x == index + 1 &&
                   ct_equal(commitment, held->set.kms.commitments[index], sizeof commitment)
               ? CC_OK
               : CC_FAIL(TAMPERED, "a share that is not the one that was committed to");
}

static CC_SENSITIVE cc_err unwrap_locked(struct sets *s,
                                         enum b_set_which which,
                                         uint32_t index,
                                         const struct shamir_share *share)
{
    uint8_t chamber_id[32];
    if (s->sealed)
        return CC_FAIL(SEALED, "sealed in this life");
    if (which != B_SET_PRESENT && which != B_SET_STAGED)
        return CC_FAIL(PROTOCOL, "which set");
    CC_TRY(chamber_get_id(s->chamber, chamber_id));
    CC_TRY(check_share(s, which, index, chamber_id, share));
    struct held_secrets *of = &s->secrets->of[set_index(which)];
    const struct seal_set *set = &s->held[set_index(which)].set;
    const bool needed = !of->has_kms || (set->mode == SEAL_KMS && sets_opens_itself(s, which) &&
                                         !master_is_open(s->master, which));
    if (!needed)
        return CC_OK;
    sets_collect(&of->kms_shares, share, 0);
    if (of->kms_shares.count < set->kms.threshold)
        return CC_OK;
    return sets_open_wrapping(s, which, chamber_id, &of->kms_shares);
}

CC_ERR sets_unwrap(struct sets *sets,
                   enum b_set_which which,
                   uint32_t index,
                   const uint8_t share[static SEAL_SHARE_SIZE])
{
    struct shamir_share copy;
    memcpy(&copy, share, sizeof copy);
    sets_lock(sets);
    cc_err err = unwrap_locked(sets, which, index, &copy);
    sets_unlock(sets);
    wipe(&copy, sizeof copy);
    wipe_stack();
    return err;
}

/* --- dropping ------------------------------------------------------------------------------------------------------------------ */

/* The sets stay known; what opens them doesn't. */
static void close_all(struct sets *s)
{
    master_drop(s->master, B_SET_PRESENT);
    master_drop(s->master, B_SET_STAGED);
    wipe(s->secrets->of, sizeof s->secrets->of);
    sets_forget_pending(s);
    sets_forget_making(s);
    sets_end_images(s);
}

CC_ERR sets_drop(struct sets *sets, enum b_drop what)
{
    cc_err err = CC_OK;
    sets_lock(sets);
    switch (what) {
    case B_DROP_PENDING:
        sets_forget_pending(sets);
        break;
    case B_DROP_STAGED:
        sets_drop_one(sets, B_SET_STAGED);
        sets_forget_making(sets);
        break;
    case B_DROP_OPEN:
        close_all(sets);
        break;
    case B_DROP_AUTO:
        sets_end_images(sets);
        break;
    default:
        err = CC_FAIL(PROTOCOL, "what to drop");
    }
    sets_unlock(sets);
    return err;
}

static bool expired(uint64_t began_ms, uint64_t now_ms)
{
    return began_ms && now_ms > began_ms + PENDING_LIFE_MS;
}

void sets_expire(struct sets *sets, uint64_t now_ms)
{
    struct set_secrets *secrets = sets->secrets;
    struct pending *p = &secrets->pending;
    struct collected *break_glass = &secrets->of[set_index(B_SET_PRESENT)].break_glass;
    if (secrets->box_past.is && now_ms > secrets->box_past.until_ms)
        wipe(&secrets->box_past, sizeof secrets->box_past);
    if (expired(p->unseal.began_ms, now_ms))
        wipe(&p->unseal, sizeof p->unseal);
    if (expired(p->rehearsal.began_ms, now_ms))
        wipe(&p->rehearsal, sizeof p->rehearsal);
    if (expired(break_glass->began_ms, now_ms))
        wipe(break_glass, sizeof *break_glass);
    for (size_t i = 0; i < BALLOTS_MAX; i++)
        if (p->ballots[i].is && expired(p->ballots[i].began_ms, now_ms))
            wipe(&p->ballots[i], sizeof p->ballots[i]);
    if (expired(secrets->by_image.began_ms, now_ms))
        sets_forget_made_image(sets);
    if (expired(sets->renewals.began_ms, now_ms))
        sets->renewals = (struct renewals){0};
}

void sets_tick(struct sets *sets, uint64_t now_ms)
{
    sets_lock(sets);
    sets_expire(sets, now_ms);
    sets_unlock(sets);
}
