/* The core between a real vault and a front that the test plays: what it answers. */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/metric.h"

#include "core/report.h"
#include "crypto/bls.h"
#include "slash/rules.h"
#include "support/core_room.h"
#include "support/test.h"

static struct core_room room;

static int up(void **state)
{
    (void)state;
    core_room_up(&room, 3);
    return 0;
}

static int down(void **state)
{
    (void)state;
    core_room_remove(&room);
    return 0;
}

static void assert_signed_by(const struct a_signed *answer, unsigned n)
{
    const struct eth_pubkey key = test_pubkey(n);
    assert_int_equal(answer->error, 0);
    assert_int_equal(bls_verify(key.bytes, answer->root.bytes, answer->signature.bytes).code, 0);
}

static void assert_refused(const struct a_signed *answer, enum error_code error)
{
    static const struct eth_signature none;
    assert_int_equal(answer->error, error);
    assert_memory_equal(&answer->signature, &none, sizeof none);
}

static struct a_signed sign(const struct a_sign request)
{
    return core_room_sign(&room, &request);
}

static void test_every_routine_kind_is_signed(void **state)
{
    struct a_signed answer = sign(test_attestation(1, 10, 11, 1));
    (void)state;
    assert_signed_by(&answer, 1);
    answer = sign(test_block(2, 5000, 1));
    assert_signed_by(&answer, 2);
    for (int kind = 0; kind < KIND_END; kind++) {
        const struct kind_info *info = kind_info((enum eth_kind)kind);
        if (info->slashable != SLASHABLE_NOTHING)
            continue;
        answer = sign(test_object(3, (enum eth_kind)kind, 7));
        if (info->class == KIND_CLASS_ROUTINE)
            assert_signed_by(&answer, 3);
        else
            assert_refused(&answer, ERROR_DENIED);
    }
}

static void test_slashable_messages_are_refused_with_what_they_ran_into(void **state)
{
    struct a_signed answer = sign(test_attestation(1, 10, 20, 1));
    (void)state;
    assert_signed_by(&answer, 1);
    answer = sign(test_attestation(1, 10, 20, 2));
    assert_refused(&answer, ERROR_SLASHABLE);
    assert_int_equal(answer.rule, SLASH_DOUBLE_VOTE);
    assert_int_equal(answer.earlier_target, 20);
    answer = sign(test_attestation(1, 9, 21, 1));
    assert_refused(&answer, ERROR_SLASHABLE);
    assert_int_equal(answer.earlier_source, 10);
    answer = sign(test_block(1, 640, 1));
    assert_signed_by(&answer, 1);
    answer = sign(test_block(1, 640, 2));
    assert_refused(&answer, ERROR_SLASHABLE);
    assert_int_equal(answer.rule, SLASH_DOUBLE_BLOCK);
    assert_int_equal(answer.earlier_slot, 640);
    answer = sign(test_attestation(2, 10, 20, 2)); /* another key's history is its own */
    assert_signed_by(&answer, 2);
}

static void test_P18_the_same_root_is_signed_again_any_number_of_times(void **state)
{
    const struct a_signed first = sign(test_attestation(1, 10, 20, 1));
    (void)state;
    assert_signed_by(&first, 1);
    for (unsigned i = 0; i < 20; i++) {
        const struct a_signed again = sign(test_attestation(1, 10, 20, 1));
        assert_memory_equal(&again.signature, &first.signature, sizeof first.signature);
    }
}

static void test_refusals_reach_the_front(void **state)
{
    struct a_sign request = test_attestation(1, 10, 20, 1);
    (void)state;
    request.request.pubkey.bytes[5] ^= 1;
    struct a_signed answer = sign(request);
    assert_refused(&answer, ERROR_KEY_UNKNOWN);
    request = test_attestation(1, 10, 20, 1);
    request.request.fork_info.genesis_validators_root.bytes[0] ^= 1;
    answer = sign(request);
    assert_refused(&answer, ERROR_WRONG_NETWORK);
    request = test_attestation(1, 10, 20, 1);
    request.request.flags |= SIGN_HAS_CLIENT_ROOT;
    answer = sign(request);
    assert_refused(&answer, ERROR_ROOT_MISMATCH);
    request = test_attestation(1, 10, 20, 1);
    request.request.kind = 4711;
    answer = sign(request);
    assert_refused(&answer, ERROR_KIND_UNKNOWN);
}

/* A watermark that a message from the future has not raised lets the present be signed. */
static void test_T33_the_future_is_refused_and_leaves_no_trace(void **state)
{
    static const uint64_t futures[] = {100000000, 1ULL << 53, INT64_MAX, UINT64_MAX};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(futures); i++) {
        struct a_signed answer = sign(test_attestation(1, 10, futures[i], 1));
        assert_refused(&answer, ERROR_SLASHABLE);
        assert_int_equal(answer.rule, SLASH_FUTURE);
        struct a_sign block = test_block(1, futures[i], 1);
        answer = sign(block);
        assert_refused(&answer, ERROR_SLASHABLE);
        assert_int_equal(answer.rule, SLASH_FUTURE);
    }
    struct a_signed answer = sign(test_attestation(1, 10, 20, 1));
    assert_signed_by(&answer, 1);
    answer = sign(test_block(1, 700, 1));
    assert_signed_by(&answer, 1);
}

static struct door_message message;

static void test_health_says_what_would_succeed(void **state)
{
    struct a_health health = core_room_await_health(&room, true);
    (void)state;
    assert_int_equal(health.keys_loaded, 3);
    assert_int_equal(health.keys_known, 3);
    assert_int_equal(health.store_up, 1);
    assert_int_equal(health.keys_complete, 1);
    assert_int_equal(health.sealed, 0);
    assert_int_equal(health.history_noop, 0);
    assert_int_equal(health.auth_open, 1);
    assert_int_equal(control_send(room.control, CONTROL_DRAIN, 0, 5, -1).code, 0);
    (void)core_room_await_health(&room, false);
    const struct a_signed answer =
        sign(test_attestation(1, 10, 20, 1)); /* what still comes is still signed */
    assert_signed_by(&answer, 1);
}

static void test_there_is_no_high_watermark_at_first(void **state)
{
    struct a_high_watermark high;
    (void)state;
    core_room_ask(&room, ASK_HIGH_WATERMARK, &message);
    assert_int_equal(message.head.type, A_HIGH_WATERMARK);
    memcpy(&high, message.items, sizeof high);
    assert_int_equal(high.error, 0);
    assert_int_equal(high.present, 0);
}

/* --- keys ------------------------------------------------------------------------------------------------- */

static struct a_public_keys ask_keys(size_t *ret_total, unsigned *ret_chunks)
{
    struct a_public_keys chunk;
    core_room_ask(&room, ASK_PUBLIC_KEYS, &message);
    *ret_total = 0;
    *ret_chunks = 0;
    for (;;) {
        assert_int_equal(message.head.type, A_PUBLIC_KEYS);
        memcpy(&chunk, message.items, sizeof chunk);
        assert_int_equal(chunk.chunk, *ret_chunks);
        assert_true(chunk.count <= A_PUBLIC_KEYS_CHUNK);
        *ret_total += chunk.count;
        ++*ret_chunks;
        if (chunk.last)
            return chunk;
        assert_int_equal(door_receive(room.front, room.front_life, door_a_to_front, &message).code,
                         0);
    }
}

static int up_without_keys(void **state)
{
    (void)state;
    core_room_make(&room);
    assert_int_equal(core_room_init(&room), 0);
    core_room_start_vault(&room);
    assert_int_equal(core_room_start(&room), 0);
    return 0;
}

static void await_keys(size_t want)
{
    size_t total = 0;
    unsigned chunks = 0;
    do
        (void)ask_keys(&total, &chunks);
    while (total != want);
}

static void test_the_key_list_is_complete_or_503(void **state)
{
    size_t total = 0;
    unsigned chunks = 0;
    (void)state;
    struct a_public_keys last = ask_keys(&total, &chunks);
    assert_int_equal(last.error, ERROR_KEY_LOADING);
    assert_int_equal(total, 0);
    assert_int_equal(chunks, 1);
    struct l_key key = {.state = L_FOUND, .has_pubkey = 1};
    (void)core_room_expect(&room, CONTROL_WANT_LOADER);
    int door = core_room_load_door(&room);
    for (unsigned n = 0; n < 600; n++) {
        memcpy(key.pubkey.bytes, &n, sizeof n);
        core_room_load_key(&room, door, &key);
    }
    last = ask_keys(&total, &chunks);
    assert_int_equal(last.error, ERROR_KEY_LOADING);
    core_room_load_done(&room, door, true, true, 0);
    await_keys(600); /* all of them, though none is decrypted yet */
    (void)ask_keys(&total, &chunks);
    assert_int_equal(chunks, 3);
    (void)close(door);
}

static void test_a_key_that_is_loading_is_503_and_signs_when_it_is_there(void **state)
{
    (void)state;
    (void)core_room_expect(&room, CONTROL_WANT_LOADER);
    int door = core_room_load_door(&room);
    struct l_key key = core_room_vault_key(&room, 1);
    struct l_key found = key;
    found.state = L_FOUND;
    const struct a_sign request = test_attestation(1, 10, 20, 1);
    struct a_signed answer = sign(request);
    assert_refused(&answer, ERROR_KEY_LOADING); /* nobody knows yet whether there is such a key */
    core_room_load_key(&room, door, &found);
    core_room_load_done(&room, door, true, true, 0);
    await_keys(1);
    answer = sign(request);
    assert_refused(&answer, ERROR_KEY_LOADING);
    core_room_load_key(&room, door, &key);
    core_room_load_done(&room, door, false, true, 0);
    (void)core_room_await_health(&room, true);
    answer = sign(request);
    assert_signed_by(&answer, 1);
    (void)close(door);
}

static struct a_reload ask_reload(enum a_question question)
{
    struct a_reload reload;
    core_room_ask(&room, question, &message);
    assert_int_equal(message.head.type, A_RELOAD);
    memcpy(&reload, message.items, sizeof reload);
    return reload;
}

static void test_a_reload_removes_what_is_gone_and_keeps_the_rest(void **state)
{
    (void)state;
    assert_int_equal(core_room_await_load(&room).state, RELOAD_COMPLETED); /* the first load */
    struct a_reload reload = ask_reload(ASK_RELOAD_START);
    assert_int_equal(reload.error, 0);
    assert_int_equal(reload.state, RELOAD_ACTIVE);
    assert_int_equal(ask_reload(ASK_RELOAD_START).error, ERROR_RELOAD_RUNNING);
    (void)core_room_expect(&room, CONTROL_WANT_LOADER);
    int door = core_room_load_door(&room);
    core_room_load_done(&room, door, true, true, 0);
    for (unsigned n = 1; n <= 2; n++) {
        struct l_key key = core_room_vault_key(&room, n);
        assert_true(key.existed);
        core_room_load_key(&room, door, &key);
    }
    core_room_load_done(&room, door, false, true, 0);
    reload = core_room_await_load(&room);
    assert_int_equal(reload.state, RELOAD_COMPLETED);
    assert_true(reload.ended_wall_ms > 0);
    struct a_signed answer = sign(test_attestation(2, 10, 20, 1));
    assert_signed_by(&answer, 2);
    answer = sign(test_attestation(3, 10, 20, 1));
    assert_refused(&answer, ERROR_KEY_UNKNOWN);
    (void)close(door);
    /* And back again: the same history goes on. */
    assert_int_equal(ask_reload(ASK_RELOAD_START).error, 0);
    core_room_load(&room, 3);
    assert_int_equal(core_room_await_load(&room).state, RELOAD_COMPLETED);
    answer = sign(test_attestation(3, 10, 20, 1));
    assert_signed_by(&answer, 3);
    answer = sign(test_attestation(2, 10, 20, 2));
    assert_refused(&answer, ERROR_SLASHABLE);
}

static void test_a_loader_that_dies_removes_nothing(void **state)
{
    (void)state;
    assert_int_equal(control_send(room.control, CONTROL_RELOAD, 0, 0, -1).code, 0);
    (void)core_room_expect(&room, CONTROL_WANT_LOADER);
    int door = core_room_load_door(&room);
    core_room_load_done(&room, door, true, true, 0);
    (void)close(door);
    assert_int_equal(core_room_await_load(&room).state, RELOAD_FAILED);
    const struct a_signed answer = sign(test_attestation(3, 10, 20, 1));
    assert_signed_by(&answer, 3);
}

/* SIGHUP in the middle of a load: what it asks for comes after. */
static void test_a_reload_that_comes_during_a_load_follows_it(void **state)
{
    (void)state;
    assert_int_equal(ask_reload(ASK_RELOAD_START).error, 0);
    (void)core_room_expect(&room, CONTROL_WANT_LOADER);
    int door = core_room_load_door(&room);
    assert_int_equal(control_send(room.control, CONTROL_RELOAD, 0, 0, -1).code, 0);
    core_room_next_front(
        &room); /* on the same line: when it is there, the order before it has been obeyed */
    assert_int_equal(ask_reload(ASK_RELOAD_STATUS).state, RELOAD_ACTIVE);
    core_room_load_done(&room, door, true, true, 0);
    core_room_load_done(&room, door, false, true, 0);
    (void)close(door);
    core_room_load(&room, 3);
    (void)core_room_await_health(&room, true);
    assert_int_equal(core_room_await_load(&room).state, RELOAD_COMPLETED);
}

static void test_a_failed_file_shows_in_the_reload(void **state)
{
    struct l_key failed = {
        .state = L_FAILED, .error = ERROR_KEYSTORE_PASSWORD, .path = "/keys/bad.json"};
    (void)state;
    assert_int_equal(ask_reload(ASK_RELOAD_START).error, 0);
    (void)core_room_expect(&room, CONTROL_WANT_LOADER);
    int door = core_room_load_door(&room);
    core_room_load_done(&room, door, true, true, 0);
    for (unsigned n = 1; n <= 3; n++) {
        struct l_key key = core_room_vault_key(&room, n);
        core_room_load_key(&room, door, &key);
    }
    core_room_load_key(&room, door, &failed);
    core_room_load_done(&room, door, false, true, 1);
    const struct a_reload reload = core_room_await_load(&room);
    assert_int_equal(reload.state, RELOAD_COMPLETED_WITH_ERRORS);
    assert_int_equal(reload.load_errors, 1);
    assert_int_equal(core_room_await_health(&room, true).load_errors, 1);
    (void)close(door);
}

/* A captured loader can't crash the core; its load is a failed one. */
static void test_nonsense_on_the_load_door_is_a_failed_load(void **state)
{
    struct l_key key = {.state = 77, .has_pubkey = 1};
    (void)state;
    assert_int_equal(ask_reload(ASK_RELOAD_START).error, 0);
    (void)core_room_expect(&room, CONTROL_WANT_LOADER);
    int door = core_room_load_door(&room);
    core_room_load_key(&room, door, &key);
    assert_int_equal(core_room_await_load(&room).state, RELOAD_FAILED);
    (void)close(door);
}

/* --- lives ------------------------------------------------------------------------------------------------ */

static void test_a_new_core_signs_with_the_keys_that_the_vault_still_holds(void **state)
{
    const struct a_signed first = sign(test_attestation(1, 10, 20, 1));
    (void)state;
    assert_signed_by(&first, 1);
    core_room_kill(&room);
    assert_int_equal(core_room_start(&room), 0);
    /* No loader has answered yet. */
    struct a_signed answer;
    do
        answer = sign(test_attestation(1, 10, 20, 1));
    while (answer.error == ERROR_KEY_LOADING);
    assert_memory_equal(&answer.signature, &first.signature, sizeof first.signature);
    answer = sign(test_attestation(1, 10, 20, 2));
    assert_refused(&answer, ERROR_SLASHABLE);
    assert_int_equal(answer.rule, SLASH_DOUBLE_VOTE);
    size_t total = 0;
    unsigned chunks = 0;
    assert_int_equal(ask_keys(&total, &chunks).error,
                     ERROR_KEY_LOADING); /* the set is not known again yet */
    core_room_load(&room, 3);
    (void)core_room_await_health(&room, true);
}

static void test_C02_answers_never_cross_between_fronts(void **state)
{
    struct a_sign old = test_attestation(1, 10, 20, 1);
    struct a_signed answer;
    (void)state;
    core_room_freeze_vault(&room);
    assert_int_equal(door_send(room.front, room.front_life, A_SIGN, &old, sizeof old, 1).code, 0);
    core_room_ask(&room, ASK_HEALTH, &message); /* the core has taken it */
    core_room_next_front(&room);
    core_room_thaw_vault(&room);
    struct a_sign now = test_attestation(2, 10, 21, 1);
    now.id = old.id; /* the new front counts from the same number */
    assert_int_equal(core_room_try_sign(&room, &now, &answer).code, 0);
    assert_signed_by(&answer, 2);
    core_room_ask(&room, ASK_HEALTH, &message);
    assert_int_equal(message.head.type, A_HEALTH); /* nothing else was waiting */
}

static void test_the_vaults_death_is_503_for_all_that_wait(void **state)
{
    struct a_sign waiting = test_object(1, KIND_RANDAO_REVEAL, 1);
    struct a_signed answer;
    (void)state;
    core_room_freeze_vault(&room);
    assert_int_equal(
        door_send(room.front, room.front_life, A_SIGN, &waiting, sizeof waiting, 1).code, 0);
    core_room_ask(&room, ASK_HEALTH, &message);
    assert_int_equal(kill(room.vault.pid, SIGKILL), 0);
    assert_int_equal(door_receive(room.front, room.front_life, door_a_to_front, &message).code, 0);
    memcpy(&answer, message.items, sizeof answer);
    assert_int_equal(answer.id, waiting.id);
    assert_refused(&answer, ERROR_DOOR_CLOSED);
    answer = sign(test_attestation(1, 10, 20, 1));
    assert_refused(&answer, ERROR_DOOR_CLOSED);
    (void)core_room_await_health(&room, false);
    (void)vault_room_stop(&room.vault);
    room.vault.control = -1;
    /* Without its vault it ends, so that the supervisor gives both new doors. */
    const int status = core_room_wait(&room);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), ERROR_DOOR_CLOSED);
}

/* --- bounds ------------------------------------------------------------------------------------------------ */

struct flood {
    unsigned sent;
    unsigned answered;
    unsigned busy;
    unsigned good;
};

static void count_answers(struct flood *flood)
{
    struct a_signed answer;
    assert_int_equal(door_receive(room.front, room.front_life, door_a_to_front, &message).code, 0);
    assert_int_equal(message.head.type, A_SIGNED);
    for (size_t i = 0; i < message.head.count; i++) {
        memcpy(&answer, &message.items[i * sizeof answer], sizeof answer);
        flood->answered++;
        flood->busy += answer.error == ERROR_BUSY;
        flood->good += answer.error == 0;
    }
}

static void flood_with(struct flood *flood, const struct a_sign *items, size_t n)
{
    assert_int_equal(door_send(room.front, room.front_life, A_SIGN, items, sizeof *items, n).code,
                     0);
    flood->sent += (unsigned)n;
}

static bool answers_within(int limit_ms)
{
    struct pollfd door = {.fd = room.front, .events = POLLIN};
    return poll(&door, 1, limit_ms) == 1;
}

/* The vault does not move at all. */
static void test_P29_overload_is_503_at_once_and_never_for_blocks(void **state)
{
    enum {
        PER_MESSAGE = 100
    };
    static struct a_sign items[PER_MESSAGE];
    struct flood flood = {0};
    (void)state;
    core_room_freeze_vault(&room);
    for (unsigned i = 0; i < PER_MESSAGE; i++)
        items[i] = test_object(1, KIND_SYNC_COMMITTEE_MESSAGE, 1);
    for (unsigned i = 0; i < 10; i++)
        flood_with(&flood, items, PER_MESSAGE);
    uint64_t began = clock_mono_ms();
    do
        flood_with(&flood, items, 1);
    while (!answers_within(20));
    while (flood.busy == 0)
        count_answers(&flood);
    assert_true(clock_mono_ms() - began < 5000); /* seen long before a deadline has passed */
    assert_int_equal(flood.good, 0);
    flood_with(&flood, items, PER_MESSAGE);
    assert_true(answers_within(2000));
    struct a_sign block = test_block(1, 640, 1);
    flood_with(&flood, &block, 1);
    core_room_thaw_vault(&room);
    while (flood.answered < flood.sent)
        count_answers(&flood);
    assert_int_equal(flood.good + flood.busy, flood.sent);
    assert_true(flood.good > 0);
    assert_true(flood.busy > PER_MESSAGE);
    const struct a_signed again = sign(test_block(1, 640, 1));
    assert_signed_by(&again, 1);
}

static void test_a_front_that_does_not_read_is_given_up(void **state)
{
    static struct a_sign items[100];
    (void)state;
    for (unsigned j = 0; j < ARRAY_LEN(items); j++)
        items[j] = test_object(1, KIND_SYNC_COMMITTEE_MESSAGE, 1);
    while (!door_send(room.front, room.front_life, A_SIGN, items, sizeof *items, ARRAY_LEN(items))
                .code)
        ;
    const struct control stalled = core_room_expect(&room, CONTROL_PEER_STALLED);
    assert_int_equal(stalled.value, ROOM_FRONT);
    assert_int_equal(stalled.life, room.front_life);
    core_room_next_front(&room);
    struct a_signed answer;
    do
        answer = sign(test_attestation(1, 10, 20, 1));
    while (answer.error == ERROR_BUSY); /* until what the old one had asked for is dropped */
    assert_signed_by(&answer, 1);
}

/* --- what is counted ---------------------------------------------------------------------------------------- */

static void test_metrics_count_answers(void **state)
{
    struct metric_cells *cells = NULL;
    (void)state;
    assert_int_equal(metric_open(ROOM_FD_METRICS, true, &cells).code, 0);
    metric_attach(cells);
    report_init();
    uint64_t good = metric_get(METRIC_SIGNING_REQUESTS, KIND_ATTESTATION, metric_status(200));
    uint64_t refused = metric_get(METRIC_SIGNING_REQUESTS, KIND_ATTESTATION, metric_status(412));
    uint64_t rule = metric_get(METRIC_SLASHING_REJECTIONS, KIND_ATTESTATION, SLASH_DOUBLE_VOTE);
    uint64_t times = metric_get(METRIC_SIGNING_DURATION, KIND_ATTESTATION, 0);
    (void)sign(test_attestation(1, 10, 20, 1));
    (void)sign(test_attestation(1, 10, 20, 2));
    assert_int_equal(metric_get(METRIC_SIGNING_REQUESTS, KIND_ATTESTATION, metric_status(200)),
                     good + 1);
    assert_int_equal(metric_get(METRIC_SIGNING_REQUESTS, KIND_ATTESTATION, metric_status(412)),
                     refused + 1);
    assert_int_equal(metric_get(METRIC_SLASHING_REJECTIONS, KIND_ATTESTATION, SLASH_DOUBLE_VOTE),
                     rule + 1);
    assert_int_equal(metric_get(METRIC_SIGNING_DURATION, KIND_ATTESTATION, 0), times + 2);
}

static void test_an_orderly_end(void **state)
{
    (void)state;
    assert_int_equal(core_room_stop_core(&room), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)
#define BARE(f) cmocka_unit_test_setup_teardown(f, up_without_keys, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_routine_kind_is_signed),
        TEST(test_slashable_messages_are_refused_with_what_they_ran_into),
        TEST(test_P18_the_same_root_is_signed_again_any_number_of_times),
        TEST(test_refusals_reach_the_front),
        TEST(test_T33_the_future_is_refused_and_leaves_no_trace),
        TEST(test_health_says_what_would_succeed),
        TEST(test_there_is_no_high_watermark_at_first),
        BARE(test_the_key_list_is_complete_or_503),
        BARE(test_a_key_that_is_loading_is_503_and_signs_when_it_is_there),
        TEST(test_a_reload_removes_what_is_gone_and_keeps_the_rest),
        TEST(test_a_loader_that_dies_removes_nothing),
        TEST(test_a_reload_that_comes_during_a_load_follows_it),
        TEST(test_a_failed_file_shows_in_the_reload),
        TEST(test_nonsense_on_the_load_door_is_a_failed_load),
        TEST(test_a_new_core_signs_with_the_keys_that_the_vault_still_holds),
        TEST(test_C02_answers_never_cross_between_fronts),
        TEST(test_the_vaults_death_is_503_for_all_that_wait),
        TEST(test_P29_overload_is_503_at_once_and_never_for_blocks),
        TEST(test_a_front_that_does_not_read_is_given_up),
        TEST(test_metrics_count_answers),
        TEST(test_an_orderly_end),
    };
    core_room_reserve_metrics();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
