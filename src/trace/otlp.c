#include "trace/otlp.h"

#include <inttypes.h>
#include <string.h>

#include "base/macros.h"

#include "codec/hex.h"
#include "codec/json.h"

static const char service[] = "containment-chamber";

/* In the order of enum trace_mark: the stage that each one begins. */
static const char *const stage_names[TRACE_MARKS - 1] = {
    "front.parse",    "front.queue", "core.check", "core.queue",
    "history.commit", "vault.queue", "vault.sign", "answer"};

static const char *const number_names[TRACE_NUMBERS] = {
    "containment.slot", "containment.source_epoch", "containment.target_epoch",
    "containment.batch_claims"};

enum {
    SPAN_KIND_INTERNAL = 1,
    SPAN_KIND_SERVER = 2,
    STATUS_CODE_ERROR = 2,
    ANSWER_TOKENS_MAX = 64
};

/* --- moments ----------------------------------------------------------------------------------------------------------- */

/* The front is not trusted: its two moments count where they lie in order, and not long before the core's first. */
static void settle_front(uint64_t marks[static TRACE_MARKS])
{
    const uint64_t arrived = marks[TRACE_ARRIVED];
    const uint64_t longest = OTLP_FRONT_MAX_S * UINT64_C(1000000000);
    const uint64_t oldest = arrived > longest ? arrived - longest : 0;
    const bool began = marks[TRACE_BEGAN] >= oldest && marks[TRACE_BEGAN] <= arrived;
    const bool asked = marks[TRACE_ASKED] >= marks[TRACE_BEGAN] && marks[TRACE_ASKED] <= arrived;
    if (!began)
        marks[TRACE_BEGAN] = 0;
    if (!began || !asked)
        marks[TRACE_ASKED] = 0;
}

/* Copies what counts; what is set doesn't go back. */
static void settle(const struct trace_record *record, uint64_t ret_marks[static TRACE_MARKS])
{
    uint64_t last = 0;
    memcpy(ret_marks, record->marks, sizeof record->marks);
    settle_front(ret_marks);
    for (size_t i = 0; i < TRACE_MARKS; i++) {
        if (!ret_marks[i])
            continue;
        if (ret_marks[i] < last)
            ret_marks[i] = last;
        last = ret_marks[i];
    }
    if (!ret_marks[TRACE_ANSWERED])
        ret_marks[TRACE_ANSWERED] = last;
}

/* The next mark from `at` on that is set; TRACE_MARKS: none. */
static size_t next_mark(const uint64_t marks[static TRACE_MARKS], size_t at)
{
    while (at < TRACE_MARKS && !marks[at])
        at++;
    return at;
}

uint32_t otlp_spans(const struct trace_record *record)
{
    uint64_t marks[TRACE_MARKS];
    uint32_t count = 1;
    settle(record, marks);
    for (size_t i = 0; i < TRACE_ANSWERED; i++)
        count += marks[i] != 0;
    return count;
}

/* --- text -------------------------------------------------------------------------------------------------------------- */

/* Static names of our own: none has a character that JSON escapes, and none gets through if it had. */
static cc_err put_text(struct buf *out, const char *text)
{
    uint8_t *at = NULL;
    const size_t len = strlen(text);
    CC_TRY(buf_grow(out, len + 2, &at));
    *at++ = '"';
    for (size_t i = 0; i < len; i++) {
        const char c = text[i];
        *at++ = (uint8_t)(c >= ' ' && c <= '~' && c != '"' && c != '\\' ? c : '?');
    }
    *at = '"';
    return CC_OK;
}

static cc_err put_id(struct buf *out, const char *name, const uint8_t *id, size_t len)
{
    char digits[2 * TRACE_ID_SIZE];
    cc_assert(len <= TRACE_ID_SIZE);
    hex_encode(id, len, digits);
    return buf_printf(out, "\"%s\":\"%.*s\",", name, (int)(2 * len), digits);
}

static cc_err begin_attribute(struct buf *out, bool *first, const char *key, const char *type)
{
    CC_TRY(buf_printf(out, "%s{\"key\":", *first ? "" : ","));
    *first = false;
    CC_TRY(put_text(out, key));
    return buf_printf(out, ",\"value\":{\"%s\":", type);
}

/* NULL and "": nothing. */
static cc_err put_text_attribute(struct buf *out, bool *first, const char *key, const char *value)
{
    if (!value || !value[0])
        return CC_OK;
    CC_TRY(begin_attribute(out, first, key, "stringValue"));
    CC_TRY(put_text(out, value));
    return buf_append_str(out, "}}");
}

static cc_err put_number_attribute(struct buf *out, bool *first, const char *key, uint64_t value)
{
    CC_TRY(begin_attribute(out, first, key, "intValue"));
    return buf_printf(out, "\"%" PRId64 "\"}}", (int64_t)(value > INT64_MAX ? INT64_MAX : value));
}

static cc_err put_attributes(struct buf *out, const struct trace_record *record)
{
    bool first = true;
    CC_TRY(put_text_attribute(out, &first, "containment.operation", record->operation));
    CC_TRY(put_number_attribute(out, &first, "http.response.status_code", record->status));
    CC_TRY(put_text_attribute(out, &first, "error.type", record->error));
    CC_TRY(put_text_attribute(out, &first, "containment.rule", record->rule));
    for (size_t i = 0; i < TRACE_NUMBERS; i++)
        if (record->has & 1U << i)
            CC_TRY(put_number_attribute(out, &first, number_names[i], record->numbers[i]));
    return CC_OK;
}

/* --- spans ------------------------------------------------------------------------------------------------------------- */

struct encoder {
    const struct otlp_source *source;
    struct buf *out;
};

static cc_err put_times(const struct encoder *e, uint64_t from_ns, uint64_t to_ns)
{
    return buf_printf(e->out,
                      ",\"startTimeUnixNano\":\"%" PRIu64 "\",\"endTimeUnixNano\":\"%" PRIu64 "\"",
                      from_ns + e->source->wall_ahead_ns, to_ns + e->source->wall_ahead_ns);
}

static cc_err put_request(const struct encoder *e,
                          const struct trace_record *record,
                          const uint64_t marks[static TRACE_MARKS])
{
    CC_TRY(buf_append_str(e->out, "{"));
    CC_TRY(put_id(e->out, "traceId", record->trace_id, TRACE_ID_SIZE));
    CC_TRY(put_id(e->out, "spanId", record->span_id, SPAN_ID_SIZE));
    if (!trace_id_is_none(record->parent_id, SPAN_ID_SIZE))
        CC_TRY(put_id(e->out, "parentSpanId", record->parent_id, SPAN_ID_SIZE));
    CC_TRY(buf_printf(e->out, "\"name\":\"sign %s\",\"kind\":%d",
                      record->operation ? record->operation : "", SPAN_KIND_SERVER));
    CC_TRY(put_times(e, marks[next_mark(marks, 0)], marks[TRACE_ANSWERED]));
    CC_TRY(buf_append_str(e->out, ",\"attributes\":["));
    CC_TRY(put_attributes(e->out, record));
    CC_TRY(buf_append_str(e->out, "]"));
    if (record->status >= 500) /* a refusal is an answer: OpenTelemetry's conventions for servers */
        CC_TRY(buf_printf(e->out, ",\"status\":{\"code\":%d}", STATUS_CODE_ERROR));
    return buf_append_str(e->out, "}");
}

/* Ids of stages are the request's with its last byte changed: unlike each other, and none is the request's. */
static cc_err put_stage(const struct encoder *e,
                        const struct trace_record *record,
                        const uint64_t marks[static TRACE_MARKS],
                        size_t stage)
{
    uint8_t id[SPAN_ID_SIZE];
    memcpy(id, record->span_id, sizeof id);
    id[SPAN_ID_SIZE - 1] ^= (uint8_t)(stage + 1);
    CC_TRY(buf_append_str(e->out, ",{"));
    CC_TRY(put_id(e->out, "traceId", record->trace_id, TRACE_ID_SIZE));
    CC_TRY(put_id(e->out, "spanId", id, SPAN_ID_SIZE));
    CC_TRY(put_id(e->out, "parentSpanId", record->span_id, SPAN_ID_SIZE));
    CC_TRY(
        buf_printf(e->out, "\"name\":\"%s\",\"kind\":%d", stage_names[stage], SPAN_KIND_INTERNAL));
    CC_TRY(put_times(e, marks[stage], marks[next_mark(marks, stage + 1)]));
    return buf_append_str(e->out, "}");
}

static cc_err put_record(const struct encoder *e, const struct trace_record *record)
{
    uint64_t marks[TRACE_MARKS];
    settle(record, marks);
    CC_TRY(put_request(e, record, marks));
    for (size_t stage = 0; stage < TRACE_ANSWERED; stage++)
        if (marks[stage])
            CC_TRY(put_stage(e, record, marks, stage));
    return CC_OK;
}

CC_ERR
otlp_encode(const struct otlp_source *source, const struct trace_record *records, struct buf *out)
{
    const struct encoder e = {source, out};
    bool first = true;
    CC_TRY(buf_append_str(out, "{\"resourceSpans\":[{\"resource\":{\"attributes\":["));
    CC_TRY(put_text_attribute(out, &first, "service.name", service));
    CC_TRY(put_text_attribute(out, &first, "service.version", source->version));
    CC_TRY(put_text_attribute(out, &first, "service.instance.id", source->instance));
    CC_TRY(buf_printf(out, "]},\"scopeSpans\":[{\"scope\":{\"name\":\"%s\"},\"spans\":[", service));
    for (const struct trace_record *record = records; record; record = record->next) {
        CC_TRY(put_record(&e, record));
        if (record->next)
            CC_TRY(buf_append_str(out, ","));
    }
    return buf_append_str(out, "]}]}]}");
}

/* --- the answer -------------------------------------------------------------------------------------------------------- */

bool otlp_may_retry(int status)
{
    return status == 429 || status == 502 || status == 503 || status == 504;
}

uint64_t otlp_rejected(struct buf *answer)
{
    struct jdoc doc = jdoc_init(ANSWER_TOKENS_MAX);
    struct jval partial;
    struct jval rejected;
    uint64_t count = 0;
    if (!jdoc_parse(&doc, answer->data, answer->len).code &&
        jval_member(jdoc_root(&doc), "partialSuccess", &partial) &&
        jval_member(partial, "rejectedSpans", &rejected) && jval_u64(rejected, &count).code)
        count = 0;
    jdoc_release(&doc);
    return count;
}
