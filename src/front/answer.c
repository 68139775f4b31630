#include "front/answer.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "auth/policy.h"
#include "codec/hex.h"
#include "slash/rules.h"
#include "wire/door_b.h"

/* What the caller can do about it; most texts of error.def say it already. */
static const struct {
    enum error_code code;
    const char *text;
} hints[] = {
    {ERROR_SLASHABLE, "Do not retry; check that no second validator client uses this key"},
    {ERROR_ROOT_MISMATCH, "Leave signingRoot out, or check the client's network and fork"},
    {ERROR_WRONG_NETWORK, "Check that client and signer are on the same network"},
    {ERROR_KEY_UNKNOWN, "Check the public key, and /healthcheck for keys that did not load"},
    {ERROR_UNAUTHENTICATED,
     "Send one that is good for this: as Bearer, or as the password of Basic"},
    {ERROR_PLAINTEXT_TOKEN, "Use TLS, or see auth.allow_plaintext"},
    {ERROR_PLAINTEXT_ANSWER, "Use TLS, or see auth.allow_plaintext"},
    {ERROR_HOST_DENIED, "Add the name to server.host_allowlist"},
    {ERROR_KEY_LOADING, "Try again in a moment"},
    {ERROR_BUSY, "Try again"},
    {ERROR_STORE, "Nothing was signed; try again"},
    {ERROR_DOOR_CLOSED, "Try again in a moment"},
};

struct refusal refusal_of(cc_err err)
{
    const char *detail = error_detail();
    return (struct refusal){.err = err, .static_detail = detail[0] ? detail : NULL};
}

struct refusal refusal_from_core(const struct a_signed *answer)
{
    return (struct refusal){
        .err = error_from_number(answer->error),
        .rule = answer->rule,
        .reason = answer->reason,
        .earlier_slot = answer->earlier_slot,
        .earlier_source = answer->earlier_source,
        .earlier_target = answer->earlier_target,
        .has_root = answer->error == ERROR_ROOT_MISMATCH,
        .root = answer->root,
    };
}

struct refusal refusal_from_denied(const struct a_denied *answer)
{
    return (struct refusal){
        .err = error_from_number(answer->error), .rule = answer->rule, .reason = answer->reason};
}

const char *answer_reason(int status)
{
    static const struct {
        int status;
        const char *text;
    } reasons[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {409, "Conflict"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].text;
    return "Error";
}

static bool is_slash_rule(const struct refusal *r)
{
    return error_is(r->err, ERROR_SLASHABLE) && r->rule > SLASH_REPEAT && r->rule < SLASH_RULE_END;
}

static bool is_policy_rule(const struct refusal *r)
{
    return error_is(r->err, ERROR_DENIED) && r->rule < POLICY_RULE_END;
}

/* A rule of a policy that has a name; what crossed the door is looked at before it is shown. */
static bool is_named_rule(const struct refusal *r)
{
    size_t len = strnlen(r->reason.policy, sizeof r->reason.policy);
    return is_policy_rule(r) && r->rule == POLICY_RULE &&
           policy_is_name(span_of(r->reason.policy, len));
}

static const char *rule_name(const struct refusal *r)
{
    if (is_slash_rule(r))
        return slash_rule_name((enum slash_rule)r->rule);
    if (is_policy_rule(r))
        return policy_rule_name((enum policy_rule)r->rule);
    return error_name(r->err);
}

static const char *rule_text(const struct refusal *r)
{
    if (is_slash_rule(r))
        return slash_rule_text((enum slash_rule)r->rule);
    return is_policy_rule(r) ? policy_rule_text((enum policy_rule)r->rule) : r->static_detail;
}

enum earlier {
    EARLIER_NOTHING,
    EARLIER_EPOCHS,
    EARLIER_SLOT
};

/* Which message the claim ran into. Rules that either kind of claim can meet carry the one that is not zero. */
static enum earlier earlier_of(const struct refusal *r)
{
    if (!is_slash_rule(r))
        return EARLIER_NOTHING;
    enum slash_rule rule = (enum slash_rule)r->rule;
    if (rule == SLASH_DOUBLE_BLOCK || rule == SLASH_BLOCK_BELOW)
        return EARLIER_SLOT;
    if (rule == SLASH_DOUBLE_VOTE || rule == SLASH_SURROUNDING || rule == SLASH_SURROUNDED ||
        rule == SLASH_SOURCE_BELOW || rule == SLASH_TARGET_BELOW ||
        (r->earlier_source | r->earlier_target))
        return EARLIER_EPOCHS;
    return r->earlier_slot ? EARLIER_SLOT : EARLIER_NOTHING;
}

static cc_err put_earlier_text(struct buf *out, const struct refusal *r)
{
    switch (earlier_of(r)) {
    case EARLIER_NOTHING:
        return CC_OK;
    case EARLIER_EPOCHS:
        return buf_printf(out, " (earlier: source %" PRIu64 ", target %" PRIu64 ")",
                          r->earlier_source, r->earlier_target);
    case EARLIER_SLOT:
        return buf_printf(out, " (earlier: slot %" PRIu64 ")", r->earlier_slot);
    }
    return CC_OK;
}

static cc_err put_earlier_member(struct buf *out, const struct refusal *r)
{
    switch (earlier_of(r)) {
    case EARLIER_NOTHING:
        return CC_OK;
    case EARLIER_EPOCHS:
        return buf_printf(
            out, ",\"earlier\":{\"source_epoch\":\"%" PRIu64 "\",\"target_epoch\":\"%" PRIu64 "\"}",
            r->earlier_source, r->earlier_target);
    case EARLIER_SLOT:
        return buf_printf(out, ",\"earlier\":{\"slot\":\"%" PRIu64 "\"}", r->earlier_slot);
    }
    return CC_OK;
}

static const char *hint_of(cc_err err)
{
    for (size_t i = 0; i < ARRAY_LEN(hints); i++)
        if (error_is(err, hints[i].code))
            return hints[i].text;
    return NULL;
}

/* The table's texts have no quotes, backslashes or control characters in them but for those of `"5"`. */
static cc_err put_escaped(struct buf *out, const char *static_text)
{
    for (const char *c = static_text; *c; c++) {
        if (*c == '"' || *c == '\\')
            CC_TRY(buf_append(out, "\\", 1));
        CC_TRY(buf_append(out, c, 1));
    }
    return CC_OK;
}

static cc_err put_sentence(struct buf *out, const struct refusal *r)
{
    const char *detail = rule_text(r);
    const char *hint = hint_of(r->err);
    CC_TRY(put_escaped(out, error_text(r->err)));
    if (detail) {
        CC_TRY(buf_append_str(out, ": "));
        CC_TRY(put_escaped(out, detail));
    }
    if (is_named_rule(r))
        CC_TRY(buf_printf(out, " (rule %" PRIu32 " of policy %s)", r->reason.number,
                          r->reason.policy));
    CC_TRY(put_earlier_text(out, r));
    if (r->has_root) {
        CC_TRY(buf_append_str(out, ": computed "));
        CC_TRY(hex_append(out, r->root.bytes, sizeof r->root.bytes));
    }
    if (hint)
        CC_TRY(buf_printf(out, ". %s", hint));
    return CC_OK;
}

/* Two messages are Web3Signer's own words, which its users look for; the others are reason phrases as from 26.9. */
static const char *message_of(cc_err err)
{
    if (error_is(err, ERROR_HOST_DENIED) || error_is(err, ERROR_RELOAD_RUNNING))
        return error_text(err);
    return answer_reason(error_status(err));
}

CC_ERR answer_refusal(struct buf *out, const struct refusal *refusal)
{
    CC_TRY(buf_printf(out, "{\"code\":%d,\"message\":\"%s\",\"error\":\"",
                      error_status(refusal->err), message_of(refusal->err)));
    CC_TRY(put_sentence(out, refusal));
    if (is_named_rule(refusal))
        CC_TRY(buf_printf(out, "\",\"rule\":\"%s/%" PRIu32 "\"", refusal->reason.policy,
                          refusal->reason.number));
    else
        CC_TRY(buf_printf(out, "\",\"rule\":\"%s\"", rule_name(refusal)));
    CC_TRY(put_earlier_member(out, refusal));
    return buf_append_str(out, "}");
}

CC_ERR answer_signature(struct buf *out, const struct eth_signature *signature, bool json)
{
    if (json)
        CC_TRY(buf_append_str(out, "{\"signature\":\""));
    CC_TRY(hex_append(out, signature->bytes, sizeof signature->bytes));
    return json ? buf_append_str(out, "\"}") : CC_OK;
}

CC_ERR answer_public_keys(struct buf *out, const struct eth_pubkey *keys, size_t count)
{
    CC_TRY(buf_append_str(out, "["));
    for (size_t i = 0; i < count; i++) {
        CC_TRY(buf_append_str(out, i ? ",\"" : "\""));
        CC_TRY(hex_append(out, keys[i].bytes, sizeof keys[i].bytes));
        CC_TRY(buf_append_str(out, "\""));
    }
    return buf_append_str(out, "]");
}

static const char *up(bool is_up)
{
    return is_up ? "UP" : "DOWN";
}

static const char *auth_mode_name(uint8_t mode)
{
    static const char *const names[] = {"open", "report", "enforce"};
    return mode < ARRAY_LEN(names) ? names[mode] : "enforce";
}

static const char *master_name(uint8_t master)
{
    static const char *const names[] = {
        [A_MASTER_NONE] = "none", [A_MASTER_CLOSED] = "closed", [A_MASTER_OPEN] = "open"};
    return master < ARRAY_LEN(names) && names[master] ? names[master] : "unknown";
}

static const char *memory_name(uint8_t memory)
{
    static const char *const names[] = {
        [B_MEMORY_KERNEL_SECRET] = "memfd_secret", [B_MEMORY_LOCKED] = "locked"};
    return memory < ARRAY_LEN(names) && names[memory] ? names[memory] : "unknown";
}

CC_ERR answer_health(struct buf *out, const struct a_health *h, bool draining, int *ret_status)
{
    bool keys_up = h->keys_complete && h->load_errors == 0;
    bool all_up = h->ready && !draining;
    *ret_status = all_up ? 200 : 503;
    CC_TRY(buf_printf(
        out,
        "{\"status\":\"%s\",\"checks\":["
        "{\"id\":\"default-check\",\"status\":\"%s\",\"data\":{\"draining\":%s}},"
        "{\"id\":\"slashing-protection-db-health-check\",\"status\":\"%s\",\"data\":{\"noop\":%s}},",
        up(all_up), up(!draining), draining ? "true" : "false", up(h->store_up),
        h->history_noop ? "true" : "false"));
    CC_TRY(buf_printf(
        out,
        "{\"id\":\"chamber\",\"status\":\"%s\",\"data\":{\"state\":\"%s\",\"master-key\":\"%s\","
        "\"memory\":\"%s\",\"auth-open\":%s,\"auth-mode\":\"%s\",\"auth-latched\":%s}},"
        "{\"id\":\"keys-check\",\"status\":\"%s\",\"checks\":[{\"id\":\"config-files-loading\","
        "\"status\":\"%s\",\"data\":{\"keys-loaded\":%" PRIu64 ",\"error-count\":%" PRIu64,
        up(!h->sealed), h->sealed ? "sealed" : "unsealed", master_name(h->master),
        memory_name(h->memory), h->auth_open ? "true" : "false", auth_mode_name(h->auth_mode),
        h->auth_held ? "true" : "false", up(keys_up), up(keys_up), h->keys_loaded, h->load_errors));
    return buf_printf(
        out, ",\"keys-known\":%" PRIu64 ",\"keys-expected\":%" PRIu64 "}}]}],\"outcome\":\"%s\"}",
        h->keys_known, h->keys_expected, up(all_up));
}

CC_ERR answer_ready(struct buf *out, const struct a_health *h, bool draining, int *ret_status)
{
    bool ready =
        h->keys_complete && !h->sealed && !h->audit_blocks && !h->clock_unsure && !draining;
    *ret_status = ready ? 200 : 503;
    return buf_printf(out,
                      "{\"status\":\"%s\",\"keys_complete\":%s,\"sealed\":%s,\"master_key\":\"%s\","
                      "\"audit_blocks\":%s,\"clock_sure\":%s,\"draining\":%s}",
                      ready ? "READY" : "NOT_READY", h->keys_complete ? "true" : "false",
                      h->sealed ? "true" : "false", master_name(h->master),
                      h->audit_blocks ? "true" : "false", h->clock_unsure ? "false" : "true",
                      draining ? "true" : "false");
}

static const char *reload_state_name(uint32_t state)
{
    static const char *const names[] = {"idle", "running", "completed", "completed_with_errors",
                                        "failed"};
    return state < ARRAY_LEN(names) ? names[state] : "failed";
}

CC_ERR answer_reload_status(struct buf *out, const struct a_reload *reload)
{
    CC_TRY(buf_printf(out, "{\"status\":\"%s\"", reload_state_name(reload->state)));
    if (reload->ended_wall_ms) {
        time_t seconds = (time_t)(reload->ended_wall_ms / 1000);
        struct tm tm;
        char stamp[32];
        (void)gmtime_r(&seconds, &tm);
        (void)strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
        CC_TRY(buf_printf(out, ",\"lastOperationTime\":\"%s.%03uZ\"", stamp,
                          (unsigned)(reload->ended_wall_ms % 1000)));
    }
    if (reload->state == RELOAD_FAILED)
        CC_TRY(buf_append_str(out, ",\"lastError\":\"Reload failed\""));
    else if (reload->load_errors)
        CC_TRY(buf_printf(
            out, ",\"lastError\":\"Reload completed with %" PRIu64 " signer loading error(s)\"",
            reload->load_errors));
    return buf_append_str(out, "}");
}

CC_ERR answer_reload_started(struct buf *out)
{
    return buf_append_str(
        out,
        "{\"code\":202,\"message\":\"Reload operation accepted and is running in the background. "
        "Use GET /reload to check status.\"}");
}

CC_ERR answer_high_watermark(struct buf *out, const struct a_high_watermark *mark)
{
    if (!mark->present)
        return buf_append_str(out, "{}");
    return buf_printf(out, "{\"epoch\":\"%" PRIu64 "\",\"slot\":\"%" PRIu64 "\"}", mark->epoch,
                      mark->slot);
}
