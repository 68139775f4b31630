/* The core killed at every point between check and answer, raced by many clients, and with a disk that is full. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#include "crypto/bls.h"
#include "slash/store.h"
#include "support/core_room.h"
#include "support/test.h"

enum {
    KEYS = 3,
    RELEASED_MAX = 4096
};

static struct core_room room;
static struct door_message message;

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

/* --- what left the core, and what its history remembers ------------------------------------------------------- */

struct released {
    struct a_sign request;
    struct a_signed answer;
};

static struct released released[RELEASED_MAX];
static size_t released_count;

static struct a_sign asked[RELEASED_MAX]; /* by id modulo */

static void ask(const struct a_sign *items, size_t n)
{
    for (size_t i = 0; i < n; i++)
        asked[items[i].id % RELEASED_MAX] = items[i];
}

static void take_answers(const struct door_message *from)
{
    struct a_signed answer;
    for (size_t i = 0; i < from->head.count; i++) {
        memcpy(&answer, &from->items[i * sizeof answer], sizeof answer);
        if (answer.error)
            continue;
        assert_true(released_count < RELEASED_MAX);
        const struct a_sign *request = &asked[answer.id % RELEASED_MAX];
        assert_int_equal(request->id, answer.id);
        released[released_count++] = (struct released){*request, answer};
    }
}

/* Reads until the door ends. */
static void drain_door(void)
{
    while (!door_receive(room.front, room.front_life, door_a_to_front, &message).code)
        take_answers(&message);
}

struct search {
    const struct released *what;
    bool found;
};

static bool same_root(const struct signing_root *a, const struct signing_root *b)
{
    return span_equal(span_of(a, sizeof *a), span_of(b, sizeof *b));
}

static cc_err search_validator(void *context, const struct slash_validator *validator)
{
    struct search *search = context;
    const struct a_signed *answer = &search->what->answer;
    for (size_t i = 0; i < validator->block_count; i++)
        search->found |=
            validator->blocks[i].has_root && same_root(&validator->blocks[i].root, &answer->root);
    for (size_t i = 0; i < validator->attestation_count; i++)
        search->found |= validator->attestations[i].has_root &&
                         same_root(&validator->attestations[i].root, &answer->root);
    return CC_OK;
}

/* Opens the history as it is on the disk after the kill: released is a subset of recovered. */
static void assert_released_is_recovered(void)
{
    char path[128];
    struct slash_store *store = NULL;
    int holder = 0;
    (void)snprintf(path, sizeof path, "%s/history.sqlite", room.directory);
    assert_int_equal(slash_sqlite_open(path, false, &store, &holder).code, 0);
    for (size_t i = 0; i < released_count; i++) {
        struct search search = {&released[i], false};
        assert_int_equal(
            slash_visit(store, &released[i].request.request.pubkey, search_validator, &search).code,
            0);
        assert_true(search.found);
    }
    slash_store_close(store);
}

/* Everything dies; a new vault has no floors, so what refuses now is the history. */
static void restart_all(void)
{
    assert_int_equal(vault_room_stop(&room.vault), 0);
    core_room_start_vault(&room);
    room.point = TEST_POINT_NONE;
    assert_int_equal(core_room_start(&room), 0);
    core_room_load(&room, KEYS);
    (void)core_room_await_health(&room, true);
}

/* P18: what left is signed again, the same bytes; its rival is not. */
static void assert_repeats_and_rivals(void)
{
    for (size_t i = 0; i < released_count; i++) {
        const struct a_signed again = core_room_sign(&room, &released[i].request);
        assert_int_equal(again.error, 0);
        assert_memory_equal(&again.signature, &released[i].answer.signature,
                            sizeof again.signature);
        struct a_sign rival = released[i].request;
        if (rival.request.kind == KIND_ATTESTATION)
            rival.request.claim.attestation.beacon_block_root.bytes[31] ^= 0xff;
        else
            rival.request.claim.block.body_root.bytes[31] ^= 0xff;
        const struct a_signed answer = core_room_sign(&room, &rival);
        assert_int_equal(answer.error, ERROR_SLASHABLE);
    }
}

/* --- P2, P18: killed at every point ----------------------------------------------------------------------------- */

/* Three messages of votes and blocks of all keys, each a new record. */
static void send_work(void)
{
    struct a_sign items[4 * KEYS];
    for (unsigned round = 0; round < 3; round++) {
        size_t n = 0;
        for (unsigned key = 1; key <= KEYS; key++) {
            items[n++] = test_attestation(key, 10 + 2 * round, 11 + 2 * round, (uint8_t)round);
            items[n++] = test_attestation(key, 11 + 2 * round, 12 + 2 * round, (uint8_t)round);
            items[n++] = test_block(key, 100 + 2 * round, (uint8_t)round);
            items[n++] = test_block(key, 101 + 2 * round, (uint8_t)round);
        }
        ask(items, n);
        /* The core may be dead by now: that is the point. */
        (void)door_send(room.front, room.front_life, A_SIGN, items, sizeof *items, n).code;
    }
}

static void killed_at(enum test_point point, unsigned nth)
{
    released_count = 0;
    core_room_kill(&room);
    room.point = point;
    room.point_nth = nth;
    assert_int_equal(core_room_start(&room), 0);
    core_room_load(&room, KEYS);
    (void)core_room_await_health(&room, true);
    send_work();
    drain_door();
    const int status = core_room_wait(&room);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_released_is_recovered();
    restart_all();
    assert_repeats_and_rivals();
}

static void test_P02_P18_killed_when_a_request_has_arrived(void **state)
{
    (void)state;
    killed_at(TEST_POINT_RECEIVED, 2);
}

static void test_P02_P18_killed_when_claims_are_queued(void **state)
{
    (void)state;
    killed_at(TEST_POINT_ENQUEUED, 1);
}

static void test_P02_P18_killed_before_the_commit(void **state)
{
    (void)state;
    killed_at(TEST_POINT_COMMIT, 1);
}

static void test_P02_P18_killed_after_the_commit(void **state)
{
    (void)state;
    killed_at(TEST_POINT_COMMITTED, 1);
}

static void test_P02_P18_killed_when_the_vault_signs(void **state)
{
    (void)state;
    killed_at(TEST_POINT_TO_VAULT, 1);
}

static void test_P02_P18_killed_with_the_signature_in_hand(void **state)
{
    (void)state;
    killed_at(TEST_POINT_SIGNED, 1);
}

static void test_P02_P18_killed_before_the_answer(void **state)
{
    (void)state;
    killed_at(TEST_POINT_ANSWER, 1);
}

static void test_P02_P18_killed_after_the_answer(void **state)
{
    (void)state;
    killed_at(TEST_POINT_ANSWERED, 1);
    assert_true(released_count > 0);
}

/* The record is there, the signature never left: the client's repeat gets it, from the vault that lived on too. */
static void test_P18_a_record_without_a_signature_is_signed_on_repeat(void **state)
{
    const struct a_sign request = test_attestation(1, 10, 11, 1);
    struct a_signed answer;
    (void)state;
    core_room_kill(&room);
    room.point = TEST_POINT_COMMITTED;
    room.point_nth = 1;
    assert_int_equal(core_room_start(&room), 0);
    core_room_load(&room, KEYS);
    (void)core_room_await_health(&room, true);
    assert_int_not_equal(core_room_try_sign(&room, &request, &answer).code, 0);
    (void)core_room_wait(&room);
    room.point = TEST_POINT_NONE;
    assert_int_equal(core_room_start(&room), 0);
    core_room_load(&room, KEYS);
    (void)core_room_await_health(&room, true);
    assert_int_equal(core_room_sign(&room, &request).error, 0);
    const struct a_sign rival = test_attestation(1, 10, 11, 2);
    assert_int_equal(core_room_sign(&room, &rival).error, ERROR_SLASHABLE);
}

/* --- P15: killed while keys are registered ----------------------------------------------------------------------- */

static void killed_while_registering(enum test_point point)
{
    core_room_make(&room);
    assert_int_equal(core_room_init(&room), 0);
    core_room_start_vault(&room);
    room.point = point;
    room.point_nth = 1;
    assert_int_equal(core_room_start(&room), 0);
    (void)core_room_expect(&room, CONTROL_WANT_LOADER);
    int door = core_room_load_door(&room);
    for (unsigned n = 1; n <= KEYS; n++) {
        const struct l_key key = core_room_vault_key(&room, n);
        /* The first one kills it. */
        (void)door_send(door, room.load_life, L_KEYS, &key, sizeof key, 1).code;
    }
    const int status = core_room_wait(&room);
    assert_true(WIFSIGNALED(status));
    (void)close(door);
    room.point = TEST_POINT_NONE;
    /* The vault holds the keys; the new core makes their rows before it signs with them. */
    assert_int_equal(core_room_start(&room), 0);
    const struct a_sign request = test_attestation(1, 10, 11, 1);
    struct a_signed answer;
    do
        answer = core_room_sign(&room, &request);
    while (answer.error == ERROR_KEY_LOADING);
    assert_int_equal(answer.error, 0);
    const struct a_sign rival = test_attestation(1, 10, 11, 2);
    assert_int_equal(core_room_sign(&room, &rival).error, ERROR_SLASHABLE);
}

static void test_P15_killed_before_the_rows_are_made(void **state)
{
    (void)state;
    killed_while_registering(TEST_POINT_REGISTER);
}

static void test_P15_killed_before_the_keys_are_known_to_have_rows(void **state)
{
    (void)state;
    killed_while_registering(TEST_POINT_REGISTERED);
}

/* --- P4: a race of many clients ------------------------------------------------------------------------------------ */

enum {
    RACERS = 4,
    TARGETS = 12, /* fewer than the vault keeps (vault/floor.h): its threads sign in any order */
    RIVALS = 8
};

static struct a_sign race_items[RACERS][TARGETS * RIVALS];

/* Every racer asks for every target with rivals of its own; the whole of it in messages of one rival each. */
static void *race(void *argument)
{
    const struct a_sign *items = argument;
    for (unsigned rival = 0; rival < RIVALS; rival++) {
        cc_err err = door_send(room.front, room.front_life, A_SIGN, &items[rival * TARGETS],
                               sizeof *items, TARGETS);
        cc_assert(!err.code);
    }
    return NULL;
}

static void run_race(bool blocks)
{
    pthread_t threads[RACERS];
    unsigned wins[TARGETS] = {0};
    unsigned answered = 0;
    for (unsigned racer = 0; racer < RACERS; racer++)
        for (unsigned i = 0; i < TARGETS * RIVALS; i++) {
            unsigned target = i % TARGETS;
            uint8_t variant = (uint8_t)(1 + racer * RIVALS + i / TARGETS);
            struct a_sign item = blocks ? test_block(1, 1000 + target, variant)
                                        : test_attestation(1, 100 + target, 101 + target, variant);
            item.id = (uint64_t)target << 32 | variant;
            race_items[racer][i] = item;
        }
    for (unsigned racer = 0; racer < RACERS; racer++)
        assert_int_equal(pthread_create(&threads[racer], NULL, race, race_items[racer]), 0);
    while (answered < RACERS * TARGETS * RIVALS) {
        assert_int_equal(door_receive(room.front, room.front_life, door_a_to_front, &message).code,
                         0);
        for (size_t i = 0; i < message.head.count; i++, answered++) {
            struct a_signed answer;
            memcpy(&answer, &message.items[i * sizeof answer], sizeof answer);
            assert_true(answer.error == 0 || answer.error == ERROR_SLASHABLE);
            wins[answer.id >> 32] += answer.error == 0;
        }
    }
    for (unsigned racer = 0; racer < RACERS; racer++)
        assert_int_equal(pthread_join(threads[racer], NULL), 0);
    for (unsigned target = 0; target < TARGETS; target++)
        assert_int_equal(wins[target], 1);
}

static void test_P04_of_rival_votes_exactly_one_is_signed(void **state)
{
    (void)state;
    run_race(false);
}

static void test_P04_of_rival_blocks_exactly_one_is_signed(void **state)
{
    (void)state;
    run_race(true);
}

/* --- C7: the disk is full, and then it is not ------------------------------------------------------------------------- */

static void ignore_size_signal(void)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    cc_assert(sigaction(SIGXFSZ, &ignore, NULL) == 0);
}

/* Files of the core may not grow beyond `bytes` any more: writes fail as on a full disk. */
static void limit_files(rlim_t bytes)
{
    const struct rlimit limit = {bytes, RLIM_INFINITY};
    assert_int_equal(prlimit(room.pid, RLIMIT_FSIZE, &limit, NULL), 0);
}

static void test_C07_a_full_disk_is_503_and_recovers_without_a_restart(void **state)
{
    struct a_signed answer;
    (void)state;
    core_room_kill(&room);
    room.prepare = ignore_size_signal;
    assert_int_equal(core_room_start(&room), 0);
    core_room_load(&room, KEYS);
    (void)core_room_await_health(&room, true);
    const struct a_sign before = test_attestation(1, 10, 11, 1);
    assert_int_equal(core_room_sign(&room, &before).error, 0);

    limit_files(1);
    const struct a_sign during = test_attestation(1, 11, 12, 1);
    uint64_t began = clock_mono_ms();
    answer = core_room_sign(&room, &during);
    uint64_t took = clock_mono_ms() - began;
    assert_int_equal(error_status(error_from_number(answer.error)), 503);
    assert_true(took >= 1900 &&
                took < 10000); /* it waited for the store to come back, and then said so */
    (void)core_room_await_health(&room, false);
    /* What can't be slashed for needs no history, but an audit log (audit.on_failure: refuse). */
    const struct a_sign object = test_object(1, KIND_RANDAO_REVEAL, 1);
    assert_int_equal(core_room_sign(&room, &object).error, ERROR_AUDIT);

    limit_files(RLIM_INFINITY);
    (void)core_room_await_health(&room, true);
    const struct a_sign after = test_attestation(1, 12, 13, 1);
    assert_int_equal(core_room_sign(&room, &after).error, 0);
    const struct a_sign rival = test_attestation(1, 12, 13, 2);
    assert_int_equal(core_room_sign(&room, &rival).error, ERROR_SLASHABLE);
    assert_int_equal(core_room_stop_core(&room), 0);
}

/* A claim that waits for the disk is signed when the disk comes back in time. */
static void test_C07_a_short_failure_is_waited_out(void **state)
{
    (void)state;
    core_room_kill(&room);
    room.prepare = ignore_size_signal;
    assert_int_equal(core_room_start(&room), 0);
    core_room_load(&room, KEYS);
    (void)core_room_await_health(&room, true);
    limit_files(1);
    const struct a_sign request = test_attestation(1, 11, 12, 1);
    ask(&request, 1);
    assert_int_equal(
        door_send(room.front, room.front_life, A_SIGN, &request, sizeof request, 1).code, 0);
    struct a_health health;
    do {
        core_room_ask(&room, ASK_HEALTH, &message);
        memcpy(&health, message.items, sizeof health);
    } while (health.store_up);
    limit_files(RLIM_INFINITY);
    released_count = 0;
    assert_int_equal(door_receive(room.front, room.front_life, door_a_to_front, &message).code, 0);
    take_answers(&message);
    assert_int_equal(released_count, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_P02_P18_killed_when_a_request_has_arrived),
        TEST(test_P02_P18_killed_when_claims_are_queued),
        TEST(test_P02_P18_killed_before_the_commit),
        TEST(test_P02_P18_killed_after_the_commit),
        TEST(test_P02_P18_killed_when_the_vault_signs),
        TEST(test_P02_P18_killed_with_the_signature_in_hand),
        TEST(test_P02_P18_killed_before_the_answer),
        TEST(test_P02_P18_killed_after_the_answer),
        TEST(test_P18_a_record_without_a_signature_is_signed_on_repeat),
        cmocka_unit_test_teardown(test_P15_killed_before_the_rows_are_made, down),
        cmocka_unit_test_teardown(test_P15_killed_before_the_keys_are_known_to_have_rows, down),
        TEST(test_P04_of_rival_votes_exactly_one_is_signed),
        TEST(test_P04_of_rival_blocks_exactly_one_is_signed),
        TEST(test_C07_a_full_disk_is_503_and_recovers_without_a_restart),
        TEST(test_C07_a_short_failure_is_waited_out),
    };
    core_room_reserve_metrics();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
