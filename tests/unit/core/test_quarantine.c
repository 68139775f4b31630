/* P7: a key without a history signs nothing for some epochs; then it does. The first epoch that it signs for, and those beside it. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#include "core/quarantine.h"
#include "slash/store.h"
#include "support/core_room.h"
#include "support/test.h"

static struct eth_network network;
static struct core_room room;

static uint64_t at_epoch(uint64_t epoch)
{
    return (network.genesis_time + epoch * 32 * network.seconds_per_slot) * 1000;
}

static void test_P07_the_floor_of_a_new_key(void **state)
{
    struct slash_watermark floor;
    uint64_t epoch = 0;
    struct quarantine quarantine = {&network, 2};
    (void)state;
    assert_int_equal(network_load("sepolia", &network).code, 0);
    const uint64_t times[] = {at_epoch(100), at_epoch(101) - 1};
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        assert_true(quarantine_epoch(&network, times[i], &epoch));
        assert_int_equal(epoch, 100);
        assert_true(quarantine_floor(&quarantine, times[i], &floor));
        assert_int_equal(floor.slot, 102 * 32 + 31);
        assert_int_equal(floor.source, 102);
        assert_int_equal(floor.target, 102);
    }
    assert_true(quarantine_floor(&quarantine, 0, &floor)); /* before genesis */
    assert_int_equal(floor.target, 2);
    quarantine.epochs = 0;
    assert_false(quarantine_floor(&quarantine, at_epoch(100), &floor));
    quarantine.epochs = 2;
    network.genesis_time = 0;
    assert_false(quarantine_floor(&quarantine, times[0], &floor));
    assert_false(quarantine_epoch(&network, times[0], &epoch));
}

static void test_a_watermark_ahead_of_the_clock_has_a_name(void **state)
{
    const struct quarantine quarantine = {&network, 0};
    (void)state;
    assert_int_equal(network_load("sepolia", &network).code, 0);
    const struct {
        struct slash_verdict verdict;
        enum slash_rule rule;
    } cases[] = {
        {{.rule = SLASH_TARGET_BELOW, .earlier_target = 101}, SLASH_QUARANTINED},
        {{.rule = SLASH_TARGET_BELOW, .earlier_target = 100}, SLASH_TARGET_BELOW},
        {{.rule = SLASH_SOURCE_BELOW, .earlier_source = 99, .earlier_target = 101},
         SLASH_QUARANTINED},
        {{.rule = SLASH_SOURCE_BELOW, .earlier_source = 99, .earlier_target = 100},
         SLASH_SOURCE_BELOW},
        {{.rule = SLASH_BLOCK_BELOW, .earlier_slot = 101 * 32}, SLASH_QUARANTINED},
        {{.rule = SLASH_BLOCK_BELOW, .earlier_slot = 101 * 32 - 1}, SLASH_BLOCK_BELOW},
        {{.rule = SLASH_DOUBLE_VOTE, .earlier_target = 101}, SLASH_DOUBLE_VOTE},
        {{.rule = SLASH_HIGH_WATERMARK, .earlier_target = 101}, SLASH_HIGH_WATERMARK},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(quarantine_rule(&quarantine, at_epoch(100), &cases[i].verdict),
                         cases[i].rule);
    network.genesis_time = 0;
    assert_int_equal(quarantine_rule(&quarantine, 0, &cases[0].verdict), SLASH_TARGET_BELOW);
}

/* --- through a core whose clock is real -------------------------------------------------------------------- */

enum {
    IMPORTED = 1,
    NEW = 2
};

static const char *history_path(void)
{
    static char path[128];
    (void)snprintf(path, sizeof path, "%s/history.sqlite", room.directory);
    return path;
}

static void import_first_key(void)
{
    struct slash_store *store = NULL;
    int holder = 0;
    const struct slash_attestation vote = {.source = 9, .target = 10};
    const struct slash_validator validator = {.pubkey = test_pubkey(IMPORTED),
                                              .enabled = true,
                                              .attestations = &vote,
                                              .attestation_count = 1};
    struct slash_import_report report = {0};
    assert_int_equal(slash_sqlite_open(history_path(), false, &store, &holder).code, 0);
    assert_int_equal(slash_merge(store, &validator, &report).code, 0);
    slash_store_close(store);
}

static cc_err take_low(void *context, const struct slash_validator *validator)
{
    *(struct slash_watermark *)context = validator->low;
    return CC_OK;
}

static int up(void **state)
{
    (void)state;
    core_room_make(&room);
    room.config->anti_slashing.quarantine_epochs = 2;
    room.config->anti_slashing.max_future_epochs = 16;
    assert_int_equal(core_room_init(&room), 0);
    import_first_key();
    core_room_start_vault(&room);
    assert_int_equal(core_room_start(&room), 0);
    core_room_load(&room, 2);
    (void)core_room_await_health(&room, true);
    (void)core_room_await_load(&room);
    return 0;
}

static int down(void **state)
{
    (void)state;
    core_room_remove(&room);
    return 0;
}

static struct a_signed sign(struct a_sign request)
{
    return core_room_sign(&room, &request);
}

static void assert_refused(struct a_sign request, enum slash_rule rule)
{
    const struct a_signed answer = sign(request);
    assert_int_equal(answer.error, ERROR_SLASHABLE);
    assert_int_equal(answer.rule, rule);
}

static void restart_core(void)
{
    assert_int_equal(core_room_stop_core(&room), 0);
    assert_int_equal(core_room_start(&room), 0);
    core_room_load(&room, 2);
    (void)core_room_await_health(&room, true);
}

static void test_P07_a_new_key_signs_from_its_first_epoch_on(void **state)
{
    struct slash_watermark low = {0};
    struct slash_store *store = NULL;
    uint64_t now = 0;
    int holder = 0;
    (void)state;
    assert_int_equal(network_load("sepolia", &network).code, 0);
    assert_true(quarantine_epoch(&network, clock_wall_ms(), &now));
    assert_int_equal(core_room_stop_core(&room), 0);
    assert_int_equal(slash_sqlite_open(history_path(), false, &store, &holder).code, 0);
    const struct eth_pubkey key = test_pubkey(NEW);
    assert_int_equal(slash_visit(store, &key, take_low, &low).code, 0);
    slash_store_close(store);
    assert_true(low.has_slot && low.has_epochs);
    assert_true(low.target == now + 2 || low.target == now + 1); /* an epoch may have begun since */
    assert_int_equal(core_room_start(&room), 0);
    core_room_load(&room, 2);
    (void)core_room_await_health(&room, true);

    const uint64_t first = low.target + 1;
    for (int round = 0; round < 2;
         round++) { /* the second after a restart: it does not begin anew, nor end */
        assert_refused(test_attestation(NEW, first - 3, first - 2, 1), SLASH_QUARANTINED);
        assert_refused(test_attestation(NEW, first - 2, first - 1, 1), SLASH_QUARANTINED);
        assert_refused(test_attestation(NEW, first - 2, first, 1), SLASH_QUARANTINED);
        assert_refused(test_block(NEW, first * 32 - 1, 1), SLASH_QUARANTINED);
        restart_core();
    }
    assert_int_equal(sign(test_block(NEW, first * 32, 1)).error, 0);
    assert_int_equal(sign(test_attestation(NEW, first - 1, first, 1)).error, 0);
    assert_int_equal(sign(test_attestation(NEW, first, first + 1, 1)).error, 0);
    assert_int_equal(sign(test_block(NEW, (first + 1) * 32, 1)).error, 0);
    /* What can't be slashed for is not held back. */
    assert_int_equal(sign(test_object(NEW, KIND_RANDAO_REVEAL, 1)).error, 0);
}

static void test_P07_a_key_whose_history_was_imported_first_is_not_new(void **state)
{
    uint64_t now = 0;
    (void)state;
    assert_int_equal(network_load("sepolia", &network).code, 0);
    assert_true(quarantine_epoch(&network, clock_wall_ms(), &now));
    assert_int_equal(sign(test_attestation(IMPORTED, now - 1, now, 1)).error, 0);
    assert_int_equal(sign(test_block(IMPORTED, now * 32, 1)).error, 0);
    assert_refused(test_attestation(IMPORTED, 9, 10, 1), SLASH_DOUBLE_VOTE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_P07_the_floor_of_a_new_key),
        cmocka_unit_test(test_a_watermark_ahead_of_the_clock_has_a_name),
        cmocka_unit_test_setup_teardown(test_P07_a_new_key_signs_from_its_first_epoch_on, up, down),
        cmocka_unit_test_setup_teardown(test_P07_a_key_whose_history_was_imported_first_is_not_new,
                                        up, down),
    };
    core_room_reserve_metrics();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
