/* The rules of metric.def, the text form, and that a read-only mapping sees what was written. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/metric.h"

#include "support/snapshot.h"
#include "support/test.h"

static const char *const operations[] = {"ATTESTATION", "BLOCK", "BLOCK", "RANDAO_REVEAL"};
static const char *const rules[] = {"SAFE", "DOUBLE_VOTE"};
static const char *const routes[] = {"sign", "upcheck"};

static int name_sets(void **state)
{
    (void)state;
    metric_label_names(METRIC_SET_OPERATION, operations, ARRAY_LEN(operations));
    metric_label_names(METRIC_SET_RULE, rules, ARRAY_LEN(rules));
    metric_label_names(METRIC_SET_ROUTE, routes, ARRAY_LEN(routes));
    return 0;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text);
    size_t m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static void test_names_follow_the_rules(void **state)
{
    (void)state;
    for (enum metric id = 0; id < METRIC_END; id++) {
        const struct metric_info *info = metric_info(id);
        assert_int_equal(strncmp(info->name, "containment_", 12), 0);
        for (const char *c = info->name; *c; c++)
            assert_true(islower((unsigned char)*c) || *c == '_');
        assert_int_equal(ends_with(info->name, "_total"), info->type == METRIC_COUNTER);
        assert_int_equal(ends_with(info->name, "_seconds"),
                         info->type == METRIC_DURATION || info->type == METRIC_GAUGE_NS);
        assert_true(strlen(info->help) > 5 && !ends_with(info->help, "."));
        assert_true(info->a != METRIC_SET_NONE || info->b == METRIC_SET_NONE);
        if (info->type == METRIC_DURATION || info->type == METRIC_SIZE)
            assert_int_equal(info->b, METRIC_SET_NONE);
        for (enum metric_set set = 0; set < METRIC_SET_END; set++)
            assert_null(strstr(metric_set_label(set), "key"));
        for (enum metric other = 0; other < id; other++)
            assert_string_not_equal(info->name, metric_info(other)->name);
    }
}

static char *expose(const struct metric_cells *shared)
{
    struct buf out = buf_init(1 << 20);
    assert_int_equal(metric_expose(shared, &out).code, 0);
    assert_int_equal(buf_append(&out, "", 1).code, 0);
    return (char *)out.data;
}

static void assert_line(const char *text, const char *line)
{
    const char *at = strstr(text, line);
    if (!at)
        fail_msg("no line: %s", line);
    assert_true(at == text || at[-1] == '\n');
    assert_int_equal(at[strlen(line)], '\n');
}

static void test_counters_and_folded_labels(void **state)
{
    (void)state;
    metric_add(METRIC_SIGNING_REQUESTS, 1, metric_status(200), 2);
    metric_add(METRIC_SIGNING_REQUESTS, 2, metric_status(200), 3);
    metric_add(METRIC_SIGNING_REQUESTS, 999, metric_status(299), 1);
    metric_add(METRIC_SLASHING_REJECTIONS, 0, 1, 7);
    assert_int_equal(metric_get(METRIC_SIGNING_REQUESTS, 1, metric_status(200)), 5);
    char *text = expose(NULL);
    assert_line(text, "containment_signing_requests_total{operation=\"BLOCK\",status=\"200\"} 5");
    assert_line(
        text, "containment_signing_requests_total{operation=\"RANDAO_REVEAL\",status=\"other\"} 1");
    assert_line(
        text,
        "containment_slashing_rejections_total{operation=\"ATTESTATION\",rule=\"DOUBLE_VOTE\"} 7");
    assert_line(text, "eth2_slashingprotection_prevented_signings_total 7");
    assert_line(text, "containment_slashing_permitted_total{operation=\"RANDAO_REVEAL\"} 0");
    assert_line(text, "containment_chamber_unseal_total 0");
    cc_free(text);
}

static void test_gauges(void **state)
{
    (void)state;
    metric_choose(METRIC_SIGNER_STATE, METRIC_STATE_SEALED);
    metric_choose(METRIC_SIGNER_STATE, METRIC_STATE_UNSEALED);
    metric_set(METRIC_KEYS_ACTIVE, METRIC_SOURCE_FILESYSTEM, 12);
    metric_set(METRIC_KEY_LOADING, 0, 1500000000);
    metric_add(METRIC_HTTP_CONNECTIONS, 0, 0, 3);
    metric_sub(METRIC_HTTP_CONNECTIONS, 1);
    metric_choose(METRIC_BUILD_INFO, 0);
    char *text = expose(NULL);
    assert_line(text, "containment_signer_state{state=\"sealed\"} 0");
    assert_line(text, "containment_signer_state{state=\"unsealed\"} 1");
    assert_line(text, "containment_keys_active{source=\"filesystem\"} 12");
    assert_line(text, "signing_signers_loaded_count 12");
    assert_line(text, "containment_key_loading_duration_seconds 1.500000000");
    assert_line(text, "containment_http_connections 2");
    assert_line(text, "containment_build_info{version=\"" CC_VERSION "\"} 1");
    assert_line(text, "process_release{version=\"" CC_VERSION "\"} 1");
    cc_free(text);
}

static void test_histograms(void **state)
{
    (void)state;
    metric_observe(METRIC_SIGNING_COMMIT, 0, 250000);
    metric_observe(METRIC_SIGNING_COMMIT, 0, 250001);
    metric_observe(METRIC_SIGNING_COMMIT, 0, 90000000000);
    metric_observe(METRIC_HISTORY_BATCH, 0, 5000);
    char *text = expose(NULL);
    assert_line(
        text,
        "containment_signing_commit_duration_seconds_bucket{operation=\"ATTESTATION\",le=\"0.00025\"} 1");
    assert_line(
        text,
        "containment_signing_commit_duration_seconds_bucket{operation=\"ATTESTATION\",le=\"5\"} 2");
    assert_line(
        text,
        "containment_signing_commit_duration_seconds_bucket{operation=\"ATTESTATION\",le=\"+Inf\"} 3");
    assert_line(
        text,
        "containment_signing_commit_duration_seconds_sum{operation=\"ATTESTATION\"} 90.000500001");
    assert_line(
        text,
        "eth2_slashingprotection_database_duration_count{signingOperation=\"attestation\"} 3");
    assert_line(text,
                "eth2_slashingprotection_database_duration_count{signingOperation=\"block\"} 0");
    assert_line(text, "containment_history_batch_claims_bucket{le=\"+Inf\"} 1");
    assert_line(text, "containment_history_batch_claims_bucket{le=\"1024\"} 0");
    assert_line(text, "containment_history_batch_claims_sum 5000");
    assert_null(
        strstr(text, "containment_signing_commit_duration_seconds_count{operation=\"BLOCK\"}"));
    cc_free(text);
}

static void test_every_line_is_well_formed(void **state)
{
    (void)state;
    char *text = expose(NULL);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        if (line[0] == '#') {
            assert_true(strncmp(line, "# HELP ", 7) == 0 || strncmp(line, "# TYPE ", 7) == 0);
            continue;
        }
        size_t name = strspn(line, "abcdefghijklmnopqrstuvwxyz_012");
        assert_true(name > 4 && (line[name] == '{' || line[name] == ' '));
        const char *value = strrchr(line, ' ');
        assert_non_null(value);
        assert_int_equal(strspn(value + 1, "0123456789."), strlen(value + 1));
    }
    cc_free(text);
}

static void test_shared_block_read_only_elsewhere(void **state)
{
    (void)state;
    int writer = -1;
    int reader = -1;
    struct metric_cells *cells = NULL;
    struct metric_cells *seen = NULL;
    assert_int_equal(metric_create(&writer, &reader).code, 0);
    assert_int_equal(metric_open(writer, true, &cells).code, 0);
    assert_int_equal(metric_open(reader, false, &seen).code, 0);
    assert_true(metric_open(reader, true, &seen).code != 0);
    assert_true(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, reader, 0) == MAP_FAILED);
    assert_int_equal(ftruncate(writer, 0), -1);

    metric_add(METRIC_HTTP_SHED, 0, 0, 4);
    char *text = expose(seen);
    assert_line(text, "containment_http_shed_total 4");
    assert_line(text, "containment_chamber_seal_total 0");
    cc_free(text);

    metric_attach(cells);
    metric_add(METRIC_CHAMBER_SEAL, 0, 0, 9);
    text = expose(seen);
    assert_line(text, "containment_chamber_seal_total 9");
    cc_free(text);
    (void)close(writer);
    (void)close(reader);
}

static void test_wrong_size_is_refused(void **state)
{
    (void)state;
    struct metric_cells *cells = NULL;
    int fd = memfd_create("short", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fd, 64), 0);
    assert_true(error_is(metric_open(fd, false, &cells), ERROR_PROTOCOL));
    (void)close(fd);
}

static void test_limit_of_the_text(void **state)
{
    (void)state;
    struct buf out = buf_init(100);
    assert_true(error_is(metric_expose(NULL, &out), ERROR_LIMIT));
    buf_release(&out);
}

static void test_the_documentation_is_what_the_table_says(void **state)
{
    (void)state;
    struct buf text = buf_init(1 << 20);
    assert_int_equal(metric_document(&text).code, 0);
    snapshot_check("docs/metrics.md", &text);
    buf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_follow_the_rules),
        cmocka_unit_test(test_counters_and_folded_labels),
        cmocka_unit_test(test_gauges),
        cmocka_unit_test(test_histograms),
        cmocka_unit_test(test_every_line_is_well_formed),
        cmocka_unit_test(test_limit_of_the_text),
        cmocka_unit_test(test_the_documentation_is_what_the_table_says),
        cmocka_unit_test(test_wrong_size_is_refused),
        cmocka_unit_test(test_shared_block_read_only_elsewhere),
    };
    return cmocka_run_group_tests(tests, name_sets, NULL);
}
