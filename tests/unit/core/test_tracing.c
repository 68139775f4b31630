/* Which requests are traced, by what their callers say and by chance. */
#include <stdio.h>
#include <string.h>

#include "base/metric.h"

#include "config/config_table.h"
#include "core/tracing.h"
#include "support/test.h"
#include "trace/exporter.h"

static struct config config;
static struct tracing *tracing;

static const struct a_trace nobody = {.began_ns = 5, .asked_ns = 6};
static const struct a_trace sampled = {
    .began_ns = 5, .asked_ns = 6, .trace_id = {1, 2}, .parent_id = {3}, .sampled = 1};
static const struct a_trace unsampled = {.trace_id = {1, 2}, .parent_id = {3}};

static void set_ratio(const char *text)
{
    config_defaults(&config);
    assert_int_equal(
        config_value_set(&config, config_row_find("tracing.sample_ratio"), span_str(text)).code, 0);
    (void)snprintf(config.tracing.otlp_endpoint, sizeof config.tracing.otlp_endpoint, "%s",
                   "http://127.0.0.1:4318");
    assert_int_equal(tracing_open(&config, &tracing).code, 0);
    assert_non_null(tracing);
}

static int end(void **state)
{
    (void)state;
    tracing_close(tracing);
    tracing = NULL;
    return 0;
}

static struct traced begin(const struct a_trace *from)
{
    struct traced traced;
    memset(&traced, 0xff, sizeof traced);
    tracing_begin(tracing, from, 7, &traced);
    return traced;
}

static void test_without_a_collector_there_is_the_callers_id_alone(void **state)
{
    (void)state;
    config_defaults(&config);
    assert_int_equal(tracing_open(&config, &tracing).code, 0);
    assert_null(tracing);
    const struct traced traced = begin(&sampled);
    assert_null(traced.record);
    assert_memory_equal(traced.trace_id, sampled.trace_id, TRACE_ID_SIZE);
    assert_int_equal(tracing_start(tracing, "x").code, 0);
}

static void test_a_caller_decides_for_his_own(void **state)
{
    (void)state;
    set_ratio("0");
    struct traced traced = begin(&sampled);
    assert_non_null(traced.record);
    assert_memory_equal(traced.record->trace_id, sampled.trace_id, TRACE_ID_SIZE);
    assert_memory_equal(traced.record->parent_id, sampled.parent_id, SPAN_ID_SIZE);
    assert_memory_equal(traced.trace_id, sampled.trace_id, TRACE_ID_SIZE);
    assert_false(trace_id_is_none(traced.record->span_id, SPAN_ID_SIZE));
    assert_int_equal(traced.record->marks[TRACE_BEGAN], 5);
    assert_int_equal(traced.record->marks[TRACE_ASKED], 6);
    assert_int_equal(traced.record->marks[TRACE_ARRIVED], 7);
    tracing_forget(tracing, traced.record);
    traced = begin(&unsampled);
    assert_null(traced.record); /* but a log line may name it */
    assert_memory_equal(traced.trace_id, unsampled.trace_id, TRACE_ID_SIZE);
    traced = begin(&nobody);
    assert_null(traced.record);
    assert_true(trace_id_is_none(traced.trace_id, TRACE_ID_SIZE));
}

static void test_with_a_ratio_of_one_only_a_caller_says_no(void **state)
{
    (void)state;
    set_ratio("1");
    uint8_t last[TRACE_ID_SIZE] = {0};
    for (int i = 0; i < 1000; i++) {
        const struct traced traced = begin(&nobody);
        assert_non_null(traced.record);
        assert_memory_not_equal(traced.record->trace_id, last, TRACE_ID_SIZE);
        assert_memory_equal(traced.record->trace_id, traced.trace_id, TRACE_ID_SIZE);
        assert_true(trace_id_is_none(traced.record->parent_id, SPAN_ID_SIZE));
        memcpy(last, traced.trace_id, TRACE_ID_SIZE);
        tracing_forget(tracing, traced.record);
    }
    assert_null(begin(&unsampled).record);
}

/* A half of 4,000 random ids: 32 standard deviations lie between the bounds. */
static void test_a_ratio_takes_its_part(void **state)
{
    (void)state;
    set_ratio("0.5");
    int taken = 0;
    for (int i = 0; i < 4000; i++) {
        const struct traced traced = begin(&nobody);
        taken += traced.record != NULL;
        assert_int_equal(traced.record == NULL, trace_id_is_none(traced.trace_id, TRACE_ID_SIZE));
        tracing_forget(tracing, traced.record);
    }
    assert_in_range(taken, 1500, 2500);
}

static void test_without_room_it_is_counted(void **state)
{
    (void)state;
    set_ratio("1");
    const uint64_t before = metric_get(METRIC_TRACING_SPANS, METRIC_RESULT_DROPPED, 0);
    struct trace_record *first = begin(&sampled).record;
    for (int i = 1; i < EXPORT_RECORDS; i++)
        assert_non_null(begin(&sampled).record);
    const struct traced traced = begin(&sampled);
    assert_null(traced.record);
    assert_memory_equal(traced.trace_id, sampled.trace_id, TRACE_ID_SIZE);
    assert_int_equal(metric_get(METRIC_TRACING_SPANS, METRIC_RESULT_DROPPED, 0), before + 1);
    tracing_forget(tracing, first);
    assert_ptr_equal(begin(&sampled).record, first);
}

static void test_a_ca_file_must_be_there(void **state)
{
    (void)state;
    config_defaults(&config);
    (void)snprintf(config.tracing.otlp_endpoint, sizeof config.tracing.otlp_endpoint, "%s",
                   "https://127.0.0.1:4318");
    (void)snprintf(config.tracing.ca_path, sizeof config.tracing.ca_path, "%s", "/nonexistent/ca");
    assert_int_equal(tracing_open(&config, &tracing).code, ERROR_CONFIG);
    assert_null(tracing);
}

static void test_ids_as_text(void **state)
{
    (void)state;
    char text[TRACE_TEXT_SIZE];
    tracing_id_text(sampled.trace_id, text);
    assert_string_equal(text, "01020000000000000000000000000000");
    tracing_id_text(nobody.trace_id, text);
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_without_a_collector_there_is_the_callers_id_alone, end),
        cmocka_unit_test_teardown(test_a_caller_decides_for_his_own, end),
        cmocka_unit_test_teardown(test_with_a_ratio_of_one_only_a_caller_says_no, end),
        cmocka_unit_test_teardown(test_a_ratio_takes_its_part, end),
        cmocka_unit_test_teardown(test_without_room_it_is_counted, end),
        cmocka_unit_test_teardown(test_a_ca_file_must_be_there, end),
        cmocka_unit_test(test_ids_as_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
