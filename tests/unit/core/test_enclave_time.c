/* The time of a security module, and what a clock that differs from it does. */
#include "base/clock.h"

#include "core/enclave_time.h"
#include "support/document_room.h"
#include "support/nsm_kit.h"
#include "support/test.h"

static struct nsm_kit kit;
static struct document_room room;
static struct enclave_time *now;

static int make(void **state)
{
    (void)state;
    nsm_kit_start(&kit, false);
    document_room_start(&room, kit.path);
    return 0;
}

static int end(void **state)
{
    (void)state;
    enclave_time_stop(now);
    now = NULL;
    document_room_stop(&room);
    nsm_kit_stop(&kit);
    return 0;
}

static uint64_t off_by(void)
{
    const uint64_t theirs = enclave_time_now(now);
    const uint64_t ours = clock_wall_ms();
    return theirs > ours ? theirs - ours : ours - theirs;
}

static void test_T33_a_start_refuses_a_clock_that_is_not_the_modules(void **state)
{
    static const int far[] = {ENCLAVE_TIME_LIMIT_MS + 5000, -ENCLAVE_TIME_LIMIT_MS - 5000};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(far); i++) {
        *kit.shift_ms = far[i];
        assert_int_equal(enclave_time_start(room.documents, &now).code, ERROR_ENCLAVE_CLOCK);
        assert_null(now);
    }
    *kit.shift_ms = 0;
    *kit.mood = NSM_KIT_REFUSES;
    assert_int_equal(enclave_time_start(room.documents, &now).code, ERROR_NSM_REFUSED);
    *kit.mood = NSM_KIT_RIGHT;
    assert_int_equal(enclave_time_start(room.documents, &now).code, 0);
    assert_true(enclave_time_is_sure(now));
}

static void test_T33_the_time_is_the_modules_and_not_the_clocks(void **state)
{
    (void)state;
    *kit.shift_ms = -10000;
    assert_int_equal(enclave_time_start(room.documents, &now).code, 0);
    assert_true(enclave_time_is_sure(now));
    const uint64_t off = off_by();
    assert_true(off > 8000 && off < 20000);
    assert_true(clock_wall_ms() - enclave_time_now(NULL) < 1000);
    assert_true(enclave_time_is_sure(NULL));
}

static void test_T33_a_clock_that_was_turned_later_is_not_trusted(void **state)
{
    (void)state;
    assert_int_equal(enclave_time_start(room.documents, &now).code, 0);
    *kit.shift_ms = ENCLAVE_TIME_LIMIT_MS + 5000;
    enclave_time_look(now);
    assert_false(enclave_time_is_sure(now));
    /* A module that says nothing says nothing new. */
    *kit.mood = NSM_KIT_REFUSES;
    enclave_time_look(now);
    assert_false(enclave_time_is_sure(now));
    *kit.mood = NSM_KIT_RIGHT;
    *kit.shift_ms = 0;
    enclave_time_look(now);
    assert_true(enclave_time_is_sure(now));
    *kit.mood = NSM_KIT_REFUSES;
    enclave_time_look(now);
    assert_true(enclave_time_is_sure(now)); /* once */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_T33_a_start_refuses_a_clock_that_is_not_the_modules,
                                        make, end),
        cmocka_unit_test_setup_teardown(test_T33_the_time_is_the_modules_and_not_the_clocks, make,
                                        end),
        cmocka_unit_test_setup_teardown(test_T33_a_clock_that_was_turned_later_is_not_trusted, make,
                                        end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
