/* T8: a history that is restored from an older copy is noticed by its ceiling, whatever else was removed; a crash between any two
 * steps of raising it loses nothing; without the state store only claims above it have to wait.
 */
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"

#include "core/ceiling.h"
#include "core/stores.h"
#include "slash/store.h"
#include "support/core_room.h"
#include "support/test.h"

enum {
    KEYS = 2,
    NEW_KEY = 3
};

static struct core_room room;

static int up(void **state)
{
    (void)state;
    core_room_up(&room, KEYS);
    return 0;
}

static int down(void **state)
{
    (void)state;
    core_room_remove(&room);
    return 0;
}

/* --- the judgement ----------------------------------------------------------------------------------------- */

static void test_T08_what_the_two_stores_say(void **state)
{
    static const struct {
        bool there;
        struct ceiling ceiling;
        bool history_has;
        uint64_t history;
        enum ceiling_verdict verdict;
    } cases[] = {
        {false, {0}, false, 0, CEILING_AGREES},
        {false, {0}, true, 7, CEILING_STATE_BEHIND},
        {true,
         {false, 0, 7},
         false,
         0,
         CEILING_UNFINISHED}, /* the first one, cut off after the first step */
        {true, {false, 0, 7}, true, 7, CEILING_UNFINISHED},
        {true, {true, 7, 7}, true, 7, CEILING_AGREES},
        {true, {true, 7, 7}, true, 6, CEILING_ROLLED_BACK},
        {true, {true, 7, 7}, false, 0, CEILING_ROLLED_BACK},
        {true, {true, 7, 7}, true, 8, CEILING_STATE_BEHIND},
        {true, {true, 7, 9}, true, 7, CEILING_UNFINISHED},
        {true, {true, 7, 9}, true, 8, CEILING_UNFINISHED},
        {true, {true, 7, 9}, true, 9, CEILING_UNFINISHED},
        {true, {true, 7, 9}, true, 6, CEILING_ROLLED_BACK},
        {true, {true, 7, 9}, true, 10, CEILING_STATE_BEHIND},
        {true, {true, UINT64_MAX, UINT64_MAX}, true, UINT64_MAX, CEILING_AGREES},
        {true, {true, UINT64_MAX, UINT64_MAX}, true, UINT64_MAX - 1, CEILING_ROLLED_BACK},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(ceiling_judge(cases[i].there, &cases[i].ceiling, cases[i].history_has,
                                       cases[i].history),
                         cases[i].verdict);
}

static void test_records_come_back_and_odd_ones_are_refused(void **state)
{
    uint8_t bytes[CEILING_RECORD_SIZE];
    struct ceiling back;
    const struct ceiling ceiling = {true, 5, UINT64_MAX};
    (void)state;
    ceiling_record_encode(&ceiling, bytes);
    assert_int_equal(ceiling_record_decode(span_of(bytes, sizeof bytes), &back).code, 0);
    assert_true(back.has_confirmed && back.confirmed == 5 && back.pending == UINT64_MAX);
    const struct ceiling odd[] = {{true, 6, 5}, {false, 1, 5}};
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        ceiling_record_encode(&odd[i], bytes);
        assert_int_equal(ceiling_record_decode(span_of(bytes, sizeof bytes), &back).code,
                         ERROR_TAMPERED);
    }
    ceiling_record_encode(&ceiling, bytes);
    for (size_t len = 0; len < sizeof bytes; len++)
        assert_int_equal(ceiling_record_decode(span_of(bytes, len), &back).code, ERROR_TAMPERED);
    bytes[3] ^= 2;
    assert_int_equal(ceiling_record_decode(span_of(bytes, sizeof bytes), &back).code,
                     ERROR_TAMPERED);
    bytes[3] ^= 2;
    bytes[4] = 2;
    assert_int_equal(ceiling_record_decode(span_of(bytes, sizeof bytes), &back).code,
                     ERROR_TAMPERED);
}

/* --- files -------------------------------------------------------------------------------------------------- */

static const char *file(const char *name, const char *suffix)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % ARRAY_LEN(paths)];
    (void)snprintf(path, sizeof paths[0], "%s/%s%s", room.directory, name, suffix);
    return path;
}

static void copy(const char *from, const char *to)
{
    struct buf content CC_CLEANUP(buf_release) = buf_init(8 << 20);
    if (access(from, F_OK) != 0) {
        (void)unlink(to);
        return;
    }
    assert_int_equal(file_read(from, &content).code, 0);
    assert_int_equal(file_write_durable(to, buf_span(&content), false).code, 0);
}

static const char *const history_files[] = {"history.sqlite", "history.sqlite-wal", NULL};
static const char *const state_files[] = {"state.sqlite", "state.sqlite-journal", "state.seen",
                                          NULL};

static void save(const char *const *names)
{
    for (; *names; names++)
        copy(file(*names, ""), file(*names, ".old"));
}

static void restore(const char *const *names)
{
    for (; *names; names++)
        copy(file(*names, ".old"), file(*names, ""));
}

/* Whatever else this machine remembers of its history. */
static void forget_mirror(void)
{
    (void)unlink(file("history.mirror", ""));
}

static void stop_all(void)
{
    assert_int_equal(core_room_stop_core(&room), 0);
    assert_int_equal(vault_room_stop(&room.vault), 0);
    room.vault.control = -1;
}

/* A new vault has no floors of its own: what refuses now is the history. */
static void start_all(unsigned keys)
{
    core_room_start_vault(&room);
    room.point = TEST_POINT_NONE;
    assert_int_equal(core_room_start(&room), 0);
    core_room_load(&room, keys);
    (void)core_room_await_health(&room, true);
    (void)core_room_await_load(&room);
}

static struct ceiling stored_ceiling(void)
{
    struct state_store *store = NULL;
    struct state_fault fault;
    struct state_pin pin;
    struct ceiling ceiling;
    bool there = false;
    assert_int_equal(pin_read(file("identity.pub", ""), &pin).code, 0);
    assert_int_equal(state_sqlite_open(file("state.sqlite", ""), &store).code, 0);
    assert_int_equal(state_open(store, &pin, file("state.seen", ""), &fault).code, 0);
    assert_int_equal(ceiling_read(store, &there, &ceiling).code, 0);
    assert_true(there);
    state_store_close(store);
    return ceiling;
}

static struct slash_status history_status(void)
{
    struct slash_store *store = NULL;
    struct slash_status status;
    int holder = 0;
    assert_int_equal(slash_sqlite_open(file("history.sqlite", ""), false, &store, &holder).code, 0);
    assert_int_equal(slash_status(store, &status).code, 0);
    slash_store_close(store);
    return status;
}

static uint32_t vote(unsigned key, uint64_t source, uint64_t target, uint8_t variant)
{
    const struct a_sign request = test_attestation(key, source, target, variant);
    return core_room_sign(&room, &request).error;
}

static uint32_t block(unsigned key, uint64_t slot)
{
    const struct a_sign request = test_block(key, slot, 1);
    return core_room_sign(&room, &request).error;
}

/* --- rolled back ------------------------------------------------------------------------------------------------ */

static void test_T08_the_ceiling_is_ahead_of_what_was_signed(void **state)
{
    (void)state;
    assert_int_equal(vote(1, 19, 20, 1), 0);
    stop_all();
    const struct ceiling ceiling = stored_ceiling();
    assert_true(ceiling.has_confirmed);
    assert_int_equal(ceiling.confirmed, 22);
    assert_int_equal(ceiling.pending, 22);
    const struct slash_status status = history_status();
    assert_true(status.has_ceiling);
    assert_int_equal(status.ceiling, 22);
    start_all(KEYS);
    assert_int_equal(vote(1, 20, 21, 1), 0);
    /* One ahead of need: at the ceiling it rises without anybody waiting. */
    assert_int_equal(vote(1, 21, 22, 1), 0);
    assert_int_equal(vote(1, 22, 23, 1), 0);
}

static void test_T08_an_older_copy_of_the_history_signs_nothing_again(void **state)
{
    (void)state;
    assert_int_equal(vote(1, 9, 10, 1), 0);
    stop_all();
    save(history_files);
    start_all(KEYS);
    assert_int_equal(vote(1, 29, 30, 1), 0);
    assert_int_equal(block(1, 30 * 32 + 5), 0);
    stop_all();
    const uint64_t ceiling = stored_ceiling().confirmed;
    assert_true(ceiling >= 30);
    restore(history_files);
    forget_mirror();

    start_all(KEYS + 1); /* and a key that the older copy has never heard of */
    for (unsigned key = 1; key <= NEW_KEY; key++) {
        assert_int_equal(vote(key, 29, 30, 2), ERROR_SLASHABLE);
        assert_int_equal(vote(key, ceiling - 1, ceiling, 2), ERROR_SLASHABLE);
        /* Around the lost vote, from below: T9. */
        assert_int_equal(vote(key, 28, ceiling + 1, 2), ERROR_SLASHABLE);
        assert_int_equal(block(key, 30 * 32 + 5), ERROR_SLASHABLE);
        assert_int_equal(block(key, ceiling * 32 + 31), ERROR_SLASHABLE);
        assert_int_equal(vote(key, ceiling - 1, ceiling + 1, 2), ERROR_SLASHABLE);
        assert_int_equal(vote(key, ceiling, ceiling + 1, 1), 0);
        assert_int_equal(block(key, ceiling * 32 + 32), 0);
    }
    stop_all();
    assert_true(history_status().ceiling >= ceiling);
    start_all(KEYS + 1); /* and it was said once */
    assert_int_equal(vote(1, ceiling + 1, ceiling + 2, 1), 0);
}

static void test_T08_a_history_without_any_ceiling_is_an_older_copy_too(void **state)
{
    (void)state;
    stop_all();
    save(history_files);
    start_all(KEYS);
    assert_int_equal(vote(1, 29, 30, 1), 0);
    stop_all();
    restore(history_files);
    forget_mirror();
    start_all(KEYS);
    assert_int_equal(vote(1, 29, 30, 2), ERROR_SLASHABLE);
    assert_int_equal(vote(2, 29, 30, 2), ERROR_SLASHABLE);
}

/* Floors first: a start that dies with the floors half told does them again. */
static void test_T08_killed_while_floors_rise(void **state)
{
    (void)state;
    stop_all();
    save(history_files);
    start_all(KEYS);
    assert_int_equal(vote(1, 29, 30, 1), 0);
    stop_all();
    restore(history_files);
    forget_mirror();
    core_room_start_vault(&room);
    room.point = TEST_POINT_FLOORS_RAISED;
    room.point_nth = 1;
    assert_int_equal(core_room_start(&room), CORE_ROOM_KILLED);
    assert_int_equal(vault_room_stop(&room.vault), 0);
    room.vault.control = -1;
    start_all(KEYS + 1);
    assert_int_equal(vote(1, 29, 30, 2), ERROR_SLASHABLE);
    assert_int_equal(vote(NEW_KEY, 29, 30, 2), ERROR_SLASHABLE);
}

static void test_T08_an_older_state_store_follows_the_history(void **state)
{
    (void)state;
    assert_int_equal(vote(1, 9, 10, 1), 0);
    stop_all();
    save(state_files);
    start_all(KEYS);
    assert_int_equal(vote(1, 29, 30, 1), 0);
    stop_all();
    const uint64_t ceiling = history_status().ceiling;
    restore(state_files);
    start_all(KEYS);
    assert_int_equal(vote(1, 29, 30, 1), 0); /* known, and signed again */
    assert_int_equal(vote(1, 29, 30, 2), ERROR_SLASHABLE);
    assert_int_equal(vote(2, 29, 30, 1), 0); /* no floor was raised */
    stop_all();
    assert_int_equal(stored_ceiling().confirmed, ceiling);
}

/* --- crashes ------------------------------------------------------------------------------------------------------ */

static void killed_at(enum test_point point)
{
    assert_int_equal(vote(1, 9, 10, 1), 0);
    core_room_kill(&room);
    room.point = point;
    room.point_nth = 1;
    assert_int_equal(core_room_start(&room), 0);
    core_room_load(&room, KEYS);
    (void)core_room_await_health(&room, true);
    const struct a_sign request = test_attestation(1, 29, 30, 1);
    assert_int_equal(
        door_send(room.front, room.front_life, A_SIGN, &request, sizeof request, 1).code, 0);
    const int status = core_room_wait(&room);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    const struct ceiling left = stored_ceiling();
    const uint64_t history = history_status().ceiling;
    assert_true(left.confirmed <= history && history <= left.pending);
    assert_true(left.pending >= 30);

    assert_int_equal(vault_room_stop(&room.vault), 0);
    start_all(KEYS);
    assert_int_equal(vote(1, 29, 30, 2),
                     0); /* the other one was never signed: no floor was raised */
    assert_int_equal(vote(2, 9, 10, 1), 0);
    stop_all();
    const struct ceiling settled = stored_ceiling();
    assert_int_equal(settled.confirmed, settled.pending);
    assert_int_equal(settled.confirmed, history_status().ceiling);
}

static void test_T08_killed_when_the_next_ceiling_is_named(void **state)
{
    (void)state;
    killed_at(TEST_POINT_CEILING_PENDING);
}

static void test_T08_killed_when_the_history_has_it(void **state)
{
    (void)state;
    killed_at(TEST_POINT_CEILING_RECORDED);
}

static void test_T08_killed_when_it_is_confirmed(void **state)
{
    (void)state;
    killed_at(TEST_POINT_CEILING_CONFIRMED);
}

/* --- without the state store ---------------------------------------------------------------------------------- */

static void test_T08_without_the_state_store_only_a_new_epoch_waits(void **state)
{
    sqlite3 *db = NULL;
    (void)state;
    assert_int_equal(vote(1, 9, 10, 1), 0);
    assert_int_equal(sqlite3_open(file("state.sqlite", ""), &db), SQLITE_OK);
    (void)sqlite3_busy_timeout(db, 5000);
    assert_int_equal(sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);

    assert_int_equal(vote(2, 9, 10, 1), 0);
    assert_int_equal(vote(1, 10, 11, 1), 0);
    (void)core_room_await_health(&room, true);
    const uint64_t began = clock_mono_ms();
    assert_int_equal(vote(1, 11, 40, 1), ERROR_CEILING);
    const uint64_t took = clock_mono_ms() - began;
    assert_true(took >= 1900 && took < 10000);
    assert_int_equal(vote(2, 10, 11, 1), 0); /* who needs no higher ceiling is signed for */
    (void)core_room_await_health(&room, false);

    assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    (void)core_room_await_health(&room, true);
    assert_int_equal(vote(1, 11, 40, 2), 0); /* the one that had waited in vain left no record */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_T08_what_the_two_stores_say),
        cmocka_unit_test(test_records_come_back_and_odd_ones_are_refused),
        TEST(test_T08_the_ceiling_is_ahead_of_what_was_signed),
        TEST(test_T08_an_older_copy_of_the_history_signs_nothing_again),
        TEST(test_T08_a_history_without_any_ceiling_is_an_older_copy_too),
        TEST(test_T08_killed_while_floors_rise),
        TEST(test_T08_an_older_state_store_follows_the_history),
        TEST(test_T08_killed_when_the_next_ceiling_is_named),
        TEST(test_T08_killed_when_the_history_has_it),
        TEST(test_T08_killed_when_it_is_confirmed),
        TEST(test_T08_without_the_state_store_only_a_new_epoch_waits),
    };
    core_room_reserve_metrics();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
