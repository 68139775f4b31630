/* The board that keeps what the status page shows, and the page itself. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/metric.h"

#include "core/report.h"
#include "core/status_page.h"
#include "support/shared_state.h"
#include "support/test.h"

static struct board *board;
static struct status_view view;

static int up(void **state)
{
    (void)state;
    memset(&view, 0, sizeof view);
    view.now = 1700000000;
    view.started = 1699990000;
    view.network = "minimal";
    view.state = "unsealed";
    view.history_backend = "sqlite";
    view.state_backend = "sqlite";
    view.health.ready = view.health.store_up = view.health.keys_complete = 1;
    return board_new(&board).code;
}

static int down(void **state)
{
    (void)state;
    board_free(board);
    return 0;
}

static int name_labels(void **state)
{
    (void)state;
    report_init();
    return 0;
}

/* --- the board ---------------------------------------------------------------------------------------------- */

static void answer(uint64_t latency_ns, int status, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        metric_add(METRIC_SIGNING_REQUESTS, report_label(KIND_ATTESTATION), metric_status(status),
                   1);
        metric_observe(METRIC_SIGNING_DURATION, report_label(KIND_ATTESTATION), latency_ns);
    }
}

static void test_a_point_is_what_happened_in_its_interval(void **state)
{
    (void)state;
    struct board_view *seen = &view.board;
    answer(900000000, 200, 5); /* before anybody counts */
    board_tick(board, 1000, 100);
    board_tick(board, 2000, 101);
    board_read(board, seen);
    assert_int_equal(seen->point_count, 0);
    answer(2000000, 200, 98);
    answer(2000000, 412, 1);
    answer(400000000, 503, 1);
    metric_observe(METRIC_HISTORY_BATCH, 0, 3);
    metric_observe(METRIC_HISTORY_BATCH, 0, 4);
    board_tick(board, 11000, 110);
    board_tick(board, 21500, 120);
    board_read(board, seen);
    assert_int_equal(seen->point_count, 2);
    const struct board_point *point = &seen->points[0];
    assert_int_equal(point->at, 110);
    assert_int_equal(point->span_ms, 10000);
    assert_int_equal(point->signed_count, 98);
    assert_int_equal(point->refused_count, 2);
    assert_in_range(point->median_us, 1000, 2500);
    assert_in_range(point->p99_us, 2000, 2500);
    assert_int_equal(point->batch_tenths, 35);
    assert_int_equal(seen->points[1].span_ms, 10500);
    assert_int_equal(seen->points[1].signed_count, 0);
    assert_int_equal(seen->points[1].median_us, 0);
    answer(400000000, 200, 2);
    board_tick(board, 32000, 130);
    board_read(board, seen);
    assert_in_range(seen->points[2].p99_us, 250000, 500000);
    for (unsigned i = 0; i < 2 * BOARD_POINTS; i++)
        board_tick(board, 50000 + i * 10000, 200 + i * 10);
    board_read(board, seen);
    assert_int_equal(seen->point_count, BOARD_POINTS);
    for (unsigned i = 0; i < BOARD_POINTS; i++)
        assert_int_equal(seen->points[i].at, 200 + (i + BOARD_POINTS) * 10);
}

static struct sign_outcome outcome_of(const char *principal)
{
    struct sign_outcome outcome = {.kind = KIND_ATTESTATION, .slashable = SLASHABLE_ATTESTATION};
    (void)snprintf(outcome.principal, sizeof outcome.principal, "%s", principal);
    return outcome;
}

static void test_the_newest_refusals_stay_and_signatures_are_none(void **state)
{
    (void)state;
    struct board_view *seen = &view.board;
    struct sign_outcome outcome = outcome_of("token:vc");
    struct eth_pubkey key = {{0}};
    board_answered(NULL, &outcome, &key, ERROR_SLASHABLE, SLASH_DOUBLE_VOTE, 1);
    outcome.claim.target = 7;
    board_answered(board, &outcome, &key, 0, 0, 1);
    outcome.claim.target = 6;
    board_answered(board, &outcome, &key, 0, 0, 1);
    board_read(board, seen);
    assert_int_equal(seen->refusal_count, 0);
    assert_true(seen->has_target && !seen->has_slot);
    assert_int_equal(seen->newest_target, 7);
    for (unsigned i = 0; i < BOARD_REFUSALS + 5; i++) {
        key.bytes[0] = (uint8_t)i;
        board_answered(board, &outcome, &key, ERROR_SLASHABLE, SLASH_DOUBLE_VOTE, 1000 + i);
    }
    board_read(board, seen);
    assert_int_equal(seen->refusal_count, BOARD_REFUSALS);
    for (unsigned i = 0; i < BOARD_REFUSALS; i++) {
        assert_int_equal(seen->refusals[i].at, 1000 + BOARD_REFUSALS + 4 - i);
        assert_int_equal(seen->refusals[i].pubkey.bytes[0], BOARD_REFUSALS + 4 - i);
        assert_string_equal(seen->refusals[i].rule, "DOUBLE_VOTE");
        assert_string_equal(seen->refusals[i].operation, "ATTESTATION");
    }
    assert_int_equal(seen->newest_target, 7);
}

static void test_the_history_is_counted_for_who_looks_and_not_often(void **state)
{
    (void)state;
    const struct slash_status status = {.validators = 3};
    assert_false(board_wants_history(NULL, 1));
    assert_false(board_wants_history(board, 1));
    board_read(board, &view.board);
    assert_int_equal(view.board.history_at, 0);
    assert_true(board_wants_history(board, 1));
    board_history(board, &status, 1, 50);
    assert_false(board_wants_history(board, BOARD_HISTORY_MS + 2)); /* nobody has looked since */
    board_read(board, &view.board);
    assert_int_equal(view.board.history_at, 50);
    assert_int_equal(view.board.history.validators, 3);
    assert_false(board_wants_history(board, BOARD_HISTORY_MS));
    assert_true(board_wants_history(board, BOARD_HISTORY_MS + 1));
    board_history(board, NULL, BOARD_HISTORY_MS + 1, 99); /* it could not be counted */
    board_read(board, &view.board);
    assert_int_equal(view.board.history_at, 50);
}

static void test_replicas_are_those_that_anchored_a_log(void **state)
{
    (void)state;
    struct shared_state shared;
    CC_CLEANUP(buf_release) struct buf text = buf_init(4096);
    const struct audit_position at = {.segment = 2, .lines = 11};
    shared_state_make(&shared);
    struct state_store *store = shared_state_open(&shared, "ours");
    board_follow(board, store);
    board_read(board, &view.board);
    assert_int_equal(view.board.replica_count, 0);
    assert_int_equal(audit_anchor_write(&at, &text).code, 0);
    assert_int_equal(buf_append(&text, "", 1).code, 0);
    const char *anchor = (const char *)text.data;
    assert_int_equal(
        shared_state_put(store, "audit", "00000000000000000000000000000001", anchor).code, 0);
    assert_int_equal(
        shared_state_put(store, "audit", "00000000000000000000000000000002", "odd").code, 0);
    assert_int_equal(shared_state_put(store, "audit", "short", anchor).code, 0);
    board_follow(board, store);
    board_read(board, &view.board);
    assert_int_equal(view.board.replica_count, 1);
    assert_int_equal(view.board.replicas[0].id[15], 1);
    assert_int_equal(view.board.replicas[0].segment, 2);
    assert_int_equal(view.board.replicas[0].lines, 11);
    state_store_close(store);
    shared_state_remove(&shared);
}

/* --- the page ------------------------------------------------------------------------------------------------- */

static char *page(void)
{
    struct buf out = buf_init(A_MANAGED_TOTAL);
    assert_int_equal(status_page_write(&view, &out).code, 0);
    assert_int_equal(buf_append(&out, "", 1).code, 0);
    return (char *)out.data;
}

static void assert_says(const char *word)
{
    char *text = page();
    if (!strstr(text, word))
        fail_msg("the page does not say: %s", word);
    cc_free(text);
}

static void test_each_state_has_its_word(void **state)
{
    (void)state;
    assert_says("<span class=\"state good\">Signing</span>");
    assert_says("<title>Signing ");
    assert_says("None since the core was started.");
    assert_says("2023-11-14 22:13:20 UTC");
    view.draining = true;
    assert_says("Ending");
    view.draining = false;
    view.health.ready = 0;
    assert_says("Keys are still being loaded");
    view.health.master = A_MASTER_CLOSED;
    assert_says("The master key is closed");
    view.health.audit_blocks = 1;
    assert_says("nothing is answered without");
    view.health.store_up = 0;
    assert_says("nothing that needs a record is signed");
    view.health.sealed = 1;
    assert_says("<span class=\"state bad\">Sealed</span>");
    view.health.history_noop = 1;
    assert_says("There is no slashing protection");
    view.health.keys_expected = 5;
    assert_says("Fewer keys than expected can sign.");
}

/* What others have named is text here. */
static void test_nothing_that_others_named_is_markup(void **state)
{
    (void)state;
    const struct sign_outcome outcome = outcome_of("<script>'\"&\x01\xff");
    const struct eth_pubkey key = {{0xab}};
    view.network = "<b>net</b>";
    board_answered(board, &outcome, &key, ERROR_DENIED, 1, 1000);
    board_read(board, &view.board);
    char *text = page();
    assert_non_null(strstr(text, "&lt;script&gt;&#39;&quot;&amp;??"));
    assert_non_null(strstr(text, "&lt;b&gt;net&lt;/b&gt;"));
    assert_null(strstr(text, "<b>net"));
    assert_null(strstr(strstr(text, "<script>") + 1, "<script>")); /* its own is the only one */
    for (const char *c = text; *c; c++)
        assert_true(*c != '\x01' && *c != '\xff');
    cc_free(text);
}

/* It asks nobody else for anything, and a key is not told in full. */
static void test_nothing_comes_from_elsewhere(void **state)
{
    (void)state;
    const struct sign_outcome outcome = outcome_of("anonymous");
    struct eth_pubkey key;
    memset(&key, 0xab, sizeof key);
    board_answered(board, &outcome, &key, ERROR_SLASHABLE, SLASH_DOUBLE_VOTE, 1000);
    board_read(board, &view.board);
    char *text = page();
    assert_non_null(strstr(text, "default-src 'none'"));
    assert_null(strstr(text, "src="));
    assert_non_null(strstr(text, "href=\"data:,\""));
    assert_null(strstr(strstr(text, "href=") + 1, "href="));
    assert_null(strstr(text, "://"));
    assert_null(strstr(text, "@import"));
    assert_null(strstr(text, "abababababababababab"));
    assert_non_null(strstr(text, "0xabababab"));
    char *again = page();
    assert_string_equal(text, again);
    cc_free(text);
    cc_free(again);
}

/* The largest page that there can be goes through the door. */
static void test_a_full_board_fits(void **state)
{
    (void)state;
    char name[PRINCIPAL_SIZE];
    memset(name, '"', sizeof name - 1);
    name[sizeof name - 1] = 0;
    const struct sign_outcome outcome = outcome_of(name);
    const struct eth_pubkey key = {{0}};
    for (unsigned i = 0; i < BOARD_REFUSALS; i++)
        board_answered(board, &outcome, &key, ERROR_SLASHABLE, SLASH_DOUBLE_VOTE, UINT32_MAX);
    board_read(board, &view.board);
    view.board.point_count = BOARD_POINTS;
    for (unsigned i = 0; i < BOARD_POINTS; i++)
        view.board.points[i] = (struct board_point){.at = UINT32_MAX,
                                                    .span_ms = 10000,
                                                    .signed_count = UINT32_MAX + (uint64_t)i,
                                                    .refused_count = UINT32_MAX,
                                                    .median_us = UINT32_MAX,
                                                    .p99_us = UINT32_MAX,
                                                    .batch_tenths = UINT32_MAX};
    view.board.replica_count = BOARD_REPLICAS;
    view.board.history_at = 1;
    view.board.history.high.set = true;
    view.board.history.counted = SLASH_COUNTED_SOME;
    char *text = page();
    assert_true(strlen(text) < 65536);
    assert_non_null(strstr(text, "</html>"));
    assert_non_null(strstr(text, "<dt>blocks recorded</dt><dd>at least "));
    cc_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_point_is_what_happened_in_its_interval, up, down),
        cmocka_unit_test_setup_teardown(test_the_newest_refusals_stay_and_signatures_are_none, up,
                                        down),
        cmocka_unit_test_setup_teardown(test_the_history_is_counted_for_who_looks_and_not_often, up,
                                        down),
        cmocka_unit_test_setup_teardown(test_replicas_are_those_that_anchored_a_log, up, down),
        cmocka_unit_test_setup_teardown(test_each_state_has_its_word, up, down),
        cmocka_unit_test_setup_teardown(test_nothing_that_others_named_is_markup, up, down),
        cmocka_unit_test_setup_teardown(test_nothing_comes_from_elsewhere, up, down),
        cmocka_unit_test_setup_teardown(test_a_full_board_fits, up, down),
    };
    return cmocka_run_group_tests(tests, name_labels, NULL);
}
