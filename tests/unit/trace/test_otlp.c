/* Traces as OTLP's JSON, read by a parser that is not ours. */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

#include "support/test.h"
#include "trace/otlp.h"

enum {
    S = 1000000000,
    STAGES = TRACE_ANSWERED
};

static const struct otlp_source source = {
    .version = "1.2.3", .instance = "abc", .wall_ahead_ns = UINT64_C(1700000000000000000)};

static struct trace_record record;
static cJSON *parsed;
static cJSON *spans;

static void begin(void)
{
    record = (struct trace_record){.operation = "ATTESTATION", .status = 200};
    memset(record.trace_id, 0xab, sizeof record.trace_id);
    memset(record.span_id, 0x01, sizeof record.span_id);
    for (size_t i = 0; i < TRACE_MARKS; i++)
        record.marks[i] = (10 + i) * UINT64_C(1000000000);
}

static const char *text(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return item ? cJSON_GetStringValue(item) : NULL;
}

static void encode(const struct trace_record *records)
{
    CC_CLEANUP(buf_release) struct buf out = buf_init(1 << 20);
    cJSON_Delete(parsed);
    assert_int_equal(otlp_encode(&source, records, &out).code, 0);
    parsed = cJSON_ParseWithLengthOpts((const char *)out.data, out.len, NULL, false);
    assert_non_null(parsed);
    const cJSON *resource =
        cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(parsed, "resourceSpans"), 0);
    const cJSON *scope =
        cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(resource, "scopeSpans"), 0);
    assert_string_equal(text(cJSON_GetObjectItemCaseSensitive(scope, "scope"), "name"),
                        "containment-chamber");
    spans = cJSON_GetObjectItemCaseSensitive(scope, "spans");
    assert_true(cJSON_IsArray(spans));
}

static cJSON *span(int n)
{
    return cJSON_GetArrayItem(spans, n);
}

static uint64_t moment(const cJSON *of, const char *name)
{
    uint64_t value = 0;
    assert_non_null(text(of, name)); /* a string: a number of JSON would lose digits */
    assert_int_equal(u64_parse(span_str(text(of, name)), &value).code, 0);
    return value - source.wall_ahead_ns;
}

static uint64_t start(const cJSON *of)
{
    return moment(of, "startTimeUnixNano");
}

static uint64_t end(const cJSON *of)
{
    return moment(of, "endTimeUnixNano");
}

/* The value of an attribute of the request's span as text; NULL: it has none. */
static const char *attribute(const char *key, const char *type)
{
    const cJSON *each = NULL;
    cJSON_ArrayForEach(each, cJSON_GetObjectItemCaseSensitive(span(0), "attributes"))
    {
        if (strcmp(text(each, "key"), key) == 0)
            return text(cJSON_GetObjectItemCaseSensitive(each, "value"), type);
    }
    return NULL;
}

/* All stages lie within the request, one after the other without a gap. */
static void assert_in_order(void)
{
    const int count = cJSON_GetArraySize(spans);
    uint64_t at = start(span(0));
    for (int i = 1; i < count; i++) {
        assert_true(start(span(i)) == at);
        assert_true(end(span(i)) >= at);
        at = end(span(i));
        assert_string_equal(text(span(i), "parentSpanId"), text(span(0), "spanId"));
        assert_string_equal(text(span(i), "traceId"), text(span(0), "traceId"));
        for (int k = 0; k < i; k++)
            assert_string_not_equal(text(span(i), "spanId"), text(span(k), "spanId"));
    }
    assert_true(end(span(0)) == at);
    assert_int_equal(count, otlp_spans(&record));
}

static void test_a_whole_request(void **state)
{
    (void)state;
    static const char *const names[STAGES] = {"front.parse", "front.queue",    "core.check",
                                              "core.queue",  "history.commit", "vault.queue",
                                              "vault.sign",  "answer"};
    begin();
    trace_set_number(&record, TRACE_TARGET_EPOCH, UINT64_MAX);
    encode(&record);
    assert_int_equal(cJSON_GetArraySize(spans), 1 + STAGES);
    assert_string_equal(text(span(0), "traceId"), "abababababababababababababababab");
    assert_string_equal(text(span(0), "spanId"), "0101010101010101");
    assert_null(text(span(0), "parentSpanId"));
    assert_string_equal(text(span(0), "name"), "sign ATTESTATION");
    assert_int_equal(cJSON_GetObjectItemCaseSensitive(span(0), "kind")->valueint, 2);
    assert_null(cJSON_GetObjectItemCaseSensitive(span(0), "status"));
    assert_string_equal(attribute("containment.operation", "stringValue"), "ATTESTATION");
    assert_string_equal(attribute("http.response.status_code", "intValue"), "200");
    assert_string_equal(attribute("containment.target_epoch", "intValue"), "9223372036854775807");
    assert_null(attribute("containment.slot", "intValue"));
    assert_null(attribute("error.type", "stringValue"));
    assert_true(start(span(0)) == UINT64_C(10) * S && end(span(0)) == UINT64_C(18) * S);
    for (int i = 0; i < STAGES; i++) {
        assert_string_equal(text(span(i + 1), "name"), names[i]);
        assert_int_equal(cJSON_GetObjectItemCaseSensitive(span(i + 1), "kind")->valueint, 1);
        assert_true(end(span(i + 1)) - start(span(i + 1)) == S);
    }
    assert_in_order();
}

static void test_a_refusal_and_a_failure(void **state)
{
    (void)state;
    begin();
    memset(record.parent_id, 0x0c, sizeof record.parent_id);
    record.status = 412;
    record.error = "SLASHABLE";
    record.rule = "DOUBLE_VOTE";
    record.marks[TRACE_RECORDED] = record.marks[TRACE_SENT] = 0;
    encode(&record);
    assert_string_equal(text(span(0), "parentSpanId"), "0c0c0c0c0c0c0c0c");
    assert_string_equal(attribute("containment.rule", "stringValue"), "DOUBLE_VOTE");
    assert_string_equal(attribute("error.type", "stringValue"), "SLASHABLE");
    assert_null(cJSON_GetObjectItemCaseSensitive(span(0), "status"));
    assert_in_order();
    record.status = 503;
    encode(&record);
    const cJSON *status = cJSON_GetObjectItemCaseSensitive(span(0), "status");
    assert_int_equal(cJSON_GetObjectItemCaseSensitive(status, "code")->valueint, 2);
}

/* What the front says can't be true, or nothing was said. */
static void test_moments_of_a_captured_front(void **state)
{
    (void)state;
    static const struct {
        uint64_t began;
        uint64_t asked;
        uint64_t expected; /* the request's beginning */
        int count;
    } cases[] = {
        {0, 0, UINT64_C(5012) * S, STAGES - 1},
        {UINT64_MAX, UINT64_MAX, UINT64_C(5012) * S, STAGES - 1},
        {UINT64_C(5013) * S, UINT64_C(5011) * S, UINT64_C(5012) * S, STAGES - 1},
        {UINT64_C(5011) * S, UINT64_C(5013) * S, UINT64_C(5011) * S, STAGES},
        {UINT64_C(5011) * S, UINT64_C(5010) * S, UINT64_C(5011) * S, STAGES},
        {1, 2, UINT64_C(5012) * S, STAGES - 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        begin();
        for (size_t k = 0; k < TRACE_MARKS; k++)
            record.marks[k] += UINT64_C(5000) * S;
        record.marks[TRACE_BEGAN] = cases[i].began;
        record.marks[TRACE_ASKED] = cases[i].asked;
        encode(&record);
        assert_true(start(span(0)) == cases[i].expected);
        assert_int_equal(cJSON_GetArraySize(spans), cases[i].count);
        assert_in_order();
    }
}

static void test_time_never_goes_back(void **state)
{
    (void)state;
    begin();
    record.marks[TRACE_QUEUED] = 1;
    record.marks[TRACE_SENT] = UINT64_C(30) * S;
    record.marks[TRACE_ANSWERED] = 0;
    encode(&record);
    assert_in_order();
    assert_true(end(span(0)) == UINT64_C(30) * S);
}

static void test_a_list_and_odd_texts(void **state)
{
    (void)state;
    static struct trace_record second;
    begin();
    second = record;
    record.next = &second;
    record.error = "a \"quote\", a \\ and a \n";
    encode(&record);
    assert_int_equal(cJSON_GetArraySize(spans), 2 * (1 + STAGES));
    assert_string_equal(attribute("error.type", "stringValue"), "a ?quote?, a ? and a ?");
    record.next = NULL;
    record.operation = NULL;
    encode(&record);
    assert_string_equal(text(span(0), "name"), "sign ");
}

static uint64_t rejected(const char *answer)
{
    CC_CLEANUP(buf_release) struct buf b = buf_init(4096);
    assert_int_equal(buf_append_str(&b, answer).code, 0);
    return otlp_rejected(&b);
}

static void test_answers_of_a_collector(void **state)
{
    (void)state;
    assert_int_equal(rejected("{}"), 0);
    assert_int_equal(rejected(""), 0);
    assert_int_equal(rejected("not JSON"), 0);
    assert_int_equal(rejected("[]"), 0);
    assert_int_equal(rejected("{\"partialSuccess\":{}}"), 0);
    assert_int_equal(rejected("{\"partialSuccess\":{\"rejectedSpans\":\"7\"}}"), 7);
    assert_int_equal(rejected("{\"partialSuccess\":{\"rejectedSpans\":7}}"), 7);
    assert_int_equal(rejected("{\"partialSuccess\":{\"rejectedSpans\":-7}}"), 0);
    assert_int_equal(rejected("{\"partialSuccess\":[7]}"), 0);
    for (int status = 100; status < 600; status++)
        assert_int_equal(otlp_may_retry(status), status == 429 || (status >= 502 && status <= 504));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_whole_request),
        cmocka_unit_test(test_a_refusal_and_a_failure),
        cmocka_unit_test(test_moments_of_a_captured_front),
        cmocka_unit_test(test_time_never_goes_back),
        cmocka_unit_test(test_a_list_and_odd_texts),
        cmocka_unit_test(test_answers_of_a_collector),
    };
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    cJSON_Delete(parsed);
    return result;
}
