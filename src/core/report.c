#include "core/report.h"

#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/metric.h"

#include "codec/hex.h"

bool report_may_log(struct report_budget *budget, uint32_t *ret_held_back)
{
    uint64_t second = clock_mono_ns() / 1000000000;
    *ret_held_back = 0;
    if (atomic_exchange(&budget->second, second) != second)
        atomic_store(&budget->lines, 0);
    if (atomic_fetch_add(&budget->lines, 1) >= REPORT_LINES_PER_SECOND) {
        (void)atomic_fetch_add(&budget->held_back, 1);
        return false;
    }
    *ret_held_back = atomic_exchange(&budget->held_back, 0);
    return true;
}

/* The label of each kind: the first kind that shares its operation's name. KIND_END counts what named no kind. */
static uint32_t labels[KIND_END + 1];
static const char *operation_names[KIND_END + 1];
static const char *rule_names[SLASH_RULE_END];

void report_init(void)
{
    for (uint32_t kind = 0; kind < KIND_END; kind++) {
        operation_names[kind] = kind_operation((enum eth_kind)kind);
        labels[kind] = kind;
        for (uint32_t first = 0; first < kind; first++)
            if (strcmp(operation_names[first], operation_names[kind]) == 0) {
                labels[kind] = first;
                break;
            }
    }
    operation_names[KIND_END] = "UNKNOWN";
    labels[KIND_END] = KIND_END;
    for (uint32_t rule = 0; rule < SLASH_RULE_END; rule++)
        rule_names[rule] = slash_rule_name((enum slash_rule)rule);
    metric_label_names(METRIC_SET_OPERATION, operation_names, ARRAY_LEN(operation_names));
    metric_label_names(METRIC_SET_RULE, rule_names, ARRAY_LEN(rule_names));
}

uint32_t report_label(enum eth_kind kind)
{
    return labels[kind];
}

static enum log_level level_of(cc_err err)
{
    switch (error_class(err)) {
    case CLASS_NONE:
    case CLASS_INPUT:
    case CLASS_NOT_FOUND:
        return LOG_LEVEL_INFO;
    case CLASS_REFUSED:
        return LOG_LEVEL_NOTICE;
    case CLASS_AUTH:
    case CLASS_SEALED:
    case CLASS_BUSY:
        return LOG_LEVEL_WARN;
    case CLASS_UNAVAILABLE:
    case CLASS_INTERNAL:
        return LOG_LEVEL_ERROR;
    }
    return LOG_LEVEL_ERROR;
}

/* The trace's id stands last, and is left out where there is none. */
static void
write_line(enum log_level level, const char *message, const struct log_field *fields, size_t count)
{
    log_write(level, message, fields, count - (fields[count - 1].text[0] == 0));
}

static void log_slashable(const struct sign_outcome *outcome,
                          const char *pubkey,
                          const struct a_signed *answer,
                          const char *request,
                          const char *trace_id,
                          uint32_t held_back)
{
    static const char message[] = "slashing protection refused a signature";
    const char *rule = slash_rule_name((enum slash_rule)answer->rule);
    const struct log_field block[] = {KV_STR("rule", rule),
                                      KV_STR("key", pubkey),
                                      KV_STR("operation", operation_names[outcome->kind]),
                                      KV_NUM("slot", outcome->claim.slot),
                                      KV_NUM("earlier_slot", answer->earlier_slot),
                                      KV_NUM("lines_held_back", held_back),
                                      KV_STR("request", request),
                                      KV_STR("trace_id", trace_id)};
    const struct log_field vote[] = {KV_STR("rule", rule),
                                     KV_STR("key", pubkey),
                                     KV_STR("operation", operation_names[outcome->kind]),
                                     KV_NUM("source", outcome->claim.source),
                                     KV_NUM("target", outcome->claim.target),
                                     KV_NUM("earlier_source", answer->earlier_source),
                                     KV_NUM("earlier_target", answer->earlier_target),
                                     KV_NUM("lines_held_back", held_back),
                                     KV_STR("request", request),
                                     KV_STR("trace_id", trace_id)};
    if (outcome->slashable == SLASHABLE_BLOCK)
        write_line(LOG_LEVEL_NOTICE, message, block, ARRAY_LEN(block));
    else
        write_line(LOG_LEVEL_NOTICE, message, vote, ARRAY_LEN(vote));
}

static void log_failure(const struct sign_outcome *outcome,
                        const struct eth_pubkey *pubkey,
                        const struct a_signed *answer,
                        const struct traced *traced)
{
    static struct report_budget budgets[ERROR_CODE_END];
    cc_err err = error_from_number(answer->error);
    uint32_t held_back = 0;
    char digits[2 * sizeof *pubkey + 1];
    char trace_id[TRACE_TEXT_SIZE];
    char request[A_REQUEST_ID_SIZE];
    /* A client may well ask without a token first, and bad ones are told in sums (authority_tick()). */
    if (error_is(err, ERROR_UNAUTHENTICATED) || !report_may_log(&budgets[err.code], &held_back))
        return;
    hex_encode(pubkey, sizeof *pubkey, digits);
    digits[2 * sizeof *pubkey] = 0;
    tracing_id_text(traced->trace_id, trace_id);
    a_request_id(answer->id, request);
    if (error_is(err, ERROR_SLASHABLE)) {
        log_slashable(outcome, digits, answer, request, trace_id, held_back);
        return;
    }
    const char *rule =
        error_is(err, ERROR_DENIED) ? policy_rule_name((enum policy_rule)answer->rule) : "";
    const struct log_field fields[] = {KV_STR("error", error_name(err)),
                                       KV_STR("reason", error_text(err)),
                                       KV_STR("rule", rule),
                                       KV_STR("policy", answer->reason.policy),
                                       KV_NUM("number", answer->reason.number),
                                       KV_STR("principal", outcome->principal),
                                       KV_STR("operation", operation_names[outcome->kind]),
                                       KV_STR("key", digits),
                                       KV_NUM("lines_held_back", held_back),
                                       KV_STR("request", request),
                                       KV_STR("trace_id", trace_id)};
    write_line(level_of(err), "a signing request was refused", fields, ARRAY_LEN(fields));
}

void report_denied(uint64_t id, enum auth_scope scope, const struct auth_verdict *verdict)
{
    static struct report_budget budget;
    uint32_t held_back = 0;
    char request[A_REQUEST_ID_SIZE];
    if (verdict->error == ERROR_UNAUTHENTICATED || !report_may_log(&budget, &held_back))
        return;
    a_request_id(id, request);
    log_warn("a request was refused", KV_STR("scope", scope_name(scope)),
             KV_STR("principal", verdict->principal),
             KV_STR("rule", policy_rule_name((enum policy_rule)verdict->rule)),
             KV_STR("policy", verdict->reason.policy), KV_NUM("number", verdict->reason.number),
             KV_NUM("lines_held_back", held_back), KV_STR("request", request));
}

void report_answer(const struct sign_outcome *outcome,
                   const struct eth_pubkey *pubkey,
                   const struct a_signed *answer,
                   const struct traced *traced,
                   uint64_t arrived_ns)
{
    cc_err err = error_from_number(answer->error);
    uint32_t label = report_label(outcome->kind);
    metric_add(METRIC_SIGNING_REQUESTS, label, metric_status(error_status(err)), 1);
    if (arrived_ns) {
        const uint64_t now_ns = clock_mono_ns();
        metric_observe(METRIC_SIGNING_DURATION, label, now_ns - arrived_ns);
        trace_mark(traced->record, TRACE_ANSWERED, now_ns);
    }
    if (!err.code) {
        metric_set(METRIC_SIGNING_LAST, label, clock_wall_ms() * 1000000);
        return;
    }
    if (error_is(err, ERROR_SLASHABLE))
        metric_add(METRIC_SLASHING_REJECTIONS, label, answer->rule, 1);
    if (error_is(err, ERROR_WRONG_NETWORK)) /* the authority has counted the others */
        metric_add(METRIC_AUTH_REJECTIONS, METRIC_REASON_WRONG_NETWORK, 0, 1);
    if (error_is(err, ERROR_KEY_UNKNOWN))
        metric_add(METRIC_SIGNING_UNKNOWN_KEY, 0, 0, 1);
    log_failure(outcome, pubkey, answer, traced);
}
