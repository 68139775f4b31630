/* When operators last rehearsed: every replica shows it, it only gets later, and a record of another form shows nothing. */
#include "base/metric.h"

#include "core/rehearsal.h"
#include "support/shared_state.h"
#include "support/test.h"

static struct shared_state shared;
static struct state_store *ours;
static struct keeper *keeper;

static void tell(void *context)
{
    (void)context;
}

static void changed(void *context, const struct state_store *state)
{
    (void)context;
    rehearsal_show(state, true);
}

static int up(void **state)
{
    (void)state;
    shared_state_make(&shared);
    ours = shared_state_open(&shared, "ours");
    const struct keeper_settings settings = {
        .state = ours, .signer = shared_state_signer, .tell = tell, .changed = changed};
    metric_set(METRIC_CHAMBER_REHEARSAL, 0, 0);
    return keeper_start(&settings, &keeper).code;
}

static int down(void **state)
{
    (void)state;
    keeper_stop(keeper);
    state_store_close(ours);
    shared_state_remove(&shared);
    return 0;
}

static uint64_t shown(void)
{
    return metric_get(METRIC_CHAMBER_REHEARSAL, 0, 0);
}

static void test_it_is_shown_and_only_gets_later(void **state)
{
    (void)state;
    assert_int_equal(shown(), 0);
    assert_int_equal(rehearsal_note(keeper, 1700000000999, 5000).code, 0);
    assert_true(shown() == UINT64_C(1700000000000000000));
    assert_int_equal(rehearsal_note(keeper, 1600000000000, 5000).code, 0);
    assert_true(shown() == UINT64_C(1700000000000000000));
    assert_int_equal(rehearsal_note(keeper, 1700000001000, 5000).code, 0);
    assert_true(shown() == UINT64_C(1700000001000000000));
}

static void test_another_replica_shows_it(void **state)
{
    (void)state;
    assert_int_equal(rehearsal_note(keeper, 1700000000000, 5000).code, 0);
    metric_set(METRIC_CHAMBER_REHEARSAL, 0, 0);
    struct state_store *theirs = shared_state_open(&shared, "theirs");
    rehearsal_show(theirs, true);
    assert_true(shown() == UINT64_C(1700000000000000000));
    rehearsal_show(theirs, false); /* the chamber is no longer theirs to open */
    assert_int_equal(shown(), 0);
    state_store_close(theirs);
}

static void test_other_forms_are_refused(void **state)
{
    (void)state;
    uint8_t bytes[REHEARSAL_RECORD_SIZE + 1] = {0};
    uint64_t seconds;
    rehearsal_encode(1700000000, bytes);
    assert_int_equal(rehearsal_decode(span_of(bytes, REHEARSAL_RECORD_SIZE), &seconds).code, 0);
    assert_true(seconds == 1700000000);
    for (size_t len = 0; len <= sizeof bytes; len++)
        if (len != REHEARSAL_RECORD_SIZE)
            assert_true(error_is(rehearsal_decode(span_of(bytes, len), &seconds), ERROR_TAMPERED));
    bytes[3] = 2; /* another version */
    assert_true(error_is(rehearsal_decode(span_of(bytes, REHEARSAL_RECORD_SIZE), &seconds),
                         ERROR_TAMPERED));
    rehearsal_encode(UINT64_MAX / 1000000000 + 1, bytes);
    assert_true(error_is(rehearsal_decode(span_of(bytes, REHEARSAL_RECORD_SIZE), &seconds),
                         ERROR_TAMPERED));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_it_is_shown_and_only_gets_later, up, down),
        cmocka_unit_test_setup_teardown(test_another_replica_shows_it, up, down),
        cmocka_unit_test(test_other_forms_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
