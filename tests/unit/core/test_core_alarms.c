/* What a whole core does about canary keys (T28), an emergency seal (T25) and an audit log that can't be written (C7). */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

#include "auth/token.h"
#include "codec/hex.h"
#include "core/order.h"
#include "core/seal_latch.h"
#include "crypto/bls.h"
#include "support/core_room.h"
#include "support/test.h"

enum {
    KEYS = 3,
    CANARY = 2 /* the number of the key that is one */
};

static struct core_room room;
static struct door_message message;

static struct eth_pubkey canary_key(void)
{
    uint8_t bytes[32];
    struct bls_secret secret;
    struct eth_pubkey pubkey;
    test_secret(CANARY, bytes);
    assert_int_equal(bls_secret_parse(bytes, &secret).code, 0);
    bls_secret_public(&secret, pubkey.bytes);
    return pubkey;
}

/* One who shows a token, and a canary among the keys. */
static void make(enum canary_action action, enum canary_answer answer)
{
    const struct eth_pubkey pubkey = canary_key();
    char digits[2 * sizeof pubkey + 1] = {0};
    core_room_make(&room);
    struct config *config = room.config;
    hex_encode(&pubkey, sizeof pubkey, digits);
    config->canary.public_keys.count = 1;
    (void)snprintf(config->canary.public_keys.items[0], CONFIG_TEXT_MAX, "0x%s", digits);
    config->canary.action = action;
    config->canary.answer = answer;
    config->auth.policies.count = 1;
    (void)snprintf(config->auth.policies.items[0].name, CONFIG_NAME_MAX, "vc");
    config->auth.policies.items[0].has_token = true;
    token_digest(span_str("secret of vc"), config->auth.policies.items[0].token_digest);
    config->auth.mode = AUTH_REPORT;
    room.prepare = core_room_ignore_file_size;
}

static void up(void)
{
    assert_int_equal(core_room_init(&room), 0);
    core_room_start_vault(&room);
    assert_int_equal(core_room_start(&room), 0);
    core_room_load(&room, KEYS);
    (void)core_room_await_health(&room, true);
    (void)core_room_await_load(&room);
}

static int down(void **state)
{
    (void)state;
    core_room_remove(&room);
    return 0;
}

static struct caller vc(void)
{
    struct caller caller = {.token_kind = CALLER_BEARER, .listener = LISTENER_API};
    token_digest(span_str("secret of vc"), caller.token);
    caller.address[10] = caller.address[11] = 0xff;
    caller.address[12] = 10;
    return caller;
}

static struct a_signed ask(struct a_sign request, bool with_token)
{
    if (with_token)
        request.caller = vc();
    return core_room_sign(&room, &request);
}

static unsigned log_holds(const char *text)
{
    return core_room_log_holds(&room, text);
}

/* What a thread of the core's own writes, in its time. */
static void await_line(const char *text)
{
    for (unsigned i = 0; i < 4000 && !log_holds(text); i++)
        (void)usleep(5000);
    assert_int_equal(log_holds(text), 1);
}

static void assert_sealed(void)
{
    for (unsigned n = 1; n <= KEYS; n++) {
        assert_int_equal(ask(test_attestation(n, 300, 301, 1), false).error, ERROR_SEALED);
        assert_int_equal(ask(test_object(n, KIND_RANDAO_REVEAL, 1), true).error, ERROR_SEALED);
    }
    core_room_ask(&room, ASK_HEALTH, &message);
    struct a_health health;
    memcpy(&health, message.items, sizeof health);
    assert_int_equal(health.sealed, 1);
    assert_int_equal(health.ready, 0);
}

/* Vault and core end, and begin anew. */
static void restart(void)
{
    assert_int_equal(core_room_stop_core(&room), 0);
    (void)vault_room_stop(&room.vault);
    room.vault.control = -1;
    core_room_start_vault(&room);
    assert_int_equal(core_room_start(&room), 0);
}

static void await_latch(void)
{
    for (unsigned i = 0; i < 4000 && !seal_latch_file(room.directory); i++)
        (void)usleep(5000);
    assert_true(seal_latch_file(room.directory));
}

/* --- canaries ------------------------------------------------------------------------------------------------------------- */

static void test_T28_a_stranger_only_alerts(void **state)
{
    (void)state;
    make(CANARY_SEAL, CANARY_SUCCESS);
    up();
    const struct a_signed answer = ask(test_attestation(CANARY, 10, 11, 1), false);
    const struct eth_pubkey key = canary_key();
    assert_int_equal(answer.error, 0); /* as for any other key: he learns nothing */
    assert_int_equal(bls_verify(key.bytes, answer.root.bytes, answer.signature.bytes).code, 0);
    assert_int_equal(log_holds("\"event\":\"canary\",\"principal\":\"anonymous\""), 1);
    assert_int_equal(log_holds("\"rule\":\"alert\""), 1);
    assert_false(seal_latch_file(room.directory));
    assert_int_equal(ask(test_attestation(1, 10, 11, 1), false).error, 0);
}

static void test_T28_it_is_judged_after_policy(void **state)
{
    (void)state;
    make(CANARY_SEAL, CANARY_SUCCESS);
    up();
    assert_int_equal(ask(test_object(CANARY, KIND_VOLUNTARY_EXIT, 1), false).error, ERROR_DENIED);
    struct a_sign malformed = test_attestation(CANARY, 10, 11, 1);
    malformed.request.kind = 4711;
    assert_int_equal(ask(malformed, true).error, ERROR_KIND_UNKNOWN);
    assert_int_equal(log_holds("\"event\":\"canary\""), 0);
}

static void test_T28_it_may_answer_as_a_key_that_is_not_here(void **state)
{
    (void)state;
    make(CANARY_ALERT, CANARY_NOT_FOUND);
    up();
    struct a_sign unknown = test_attestation(1, 10, 11, 1);
    unknown.request.pubkey.bytes[7] ^= 1;
    struct a_signed expected = ask(unknown, true);
    struct a_signed answer = ask(test_attestation(CANARY, 10, 11, 1), true);
    assert_int_equal(answer.error, ERROR_KEY_UNKNOWN);
    assert_int_equal(expected.error, ERROR_KEY_UNKNOWN);
    assert_memory_equal(&answer.signature, &expected.signature, sizeof answer.signature);
    assert_int_equal(log_holds("\"event\":\"canary\",\"principal\":\"token:vc\""), 1);
}

static void test_T28_it_is_listed_to_nobody_whose_policy_does_not_name_it(void **state)
{
    const struct eth_pubkey key = canary_key();
    struct a_public_keys keys;
    (void)state;
    make(CANARY_ALERT, CANARY_SUCCESS);
    up();
    core_room_ask(&room, ASK_PUBLIC_KEYS, &message);
    assert_int_equal(message.head.type, A_PUBLIC_KEYS);
    memcpy(&keys, message.items, sizeof keys);
    assert_int_equal(keys.error, 0);
    assert_int_equal(keys.count, KEYS - 1);
    for (uint32_t i = 0; i < keys.count; i++)
        assert_memory_not_equal(&keys.keys[i], &key, sizeof key);
}

static void test_T28_somebody_known_seals(void **state)
{
    (void)state;
    make(CANARY_SEAL, CANARY_SUCCESS);
    up();
    assert_int_equal(ask(test_attestation(CANARY, 10, 11, 1), true).error, ERROR_SEALED);
    await_latch();
    assert_int_equal(log_holds("\"event\":\"canary\",\"principal\":\"token:vc\""), 1);
    assert_sealed();
    await_line("\"event\":\"seal\",\"principal\":\"token:vc\"");
}

/* --- the seal --------------------------------------------------------------------------------------------------------------- */

static struct a_managed manage(enum a_manage_verb verb, const struct caller *caller)
{
    struct a_manage *ask_manage = calloc(1, sizeof *ask_manage);
    struct a_managed answer;
    assert_non_null(ask_manage);
    ask_manage->id = 77;
    ask_manage->verb = verb;
    ask_manage->caller = *caller;
    assert_int_equal(
        door_send(room.front, room.front_life, A_MANAGE, ask_manage, sizeof *ask_manage, 1).code,
        0);
    free(ask_manage);
    assert_int_equal(door_receive(room.front, room.front_life, door_a_to_front, &message).code, 0);
    assert_int_equal(message.head.type, A_MANAGED);
    memcpy(&answer, message.items, sizeof answer);
    assert_int_equal(answer.id, 77);
    return answer;
}

static const struct caller owner = {.listener = LISTENER_UNIX, .flags = CALLER_OWNER};
static const struct caller stranger = {.listener = LISTENER_API};

static int carry_out(const char *text)
{
    /* The order goes where the supervisor would bring it. */
    char path[] = "/tmp/cc-order-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)unlink(path);
    assert_int_equal(fd_write_all(fd, text, strlen(text)).code, 0);
    const int code = core_room_order(&room, fd);
    (void)close(fd);
    return code;
}

static void test_T25_a_seal_outlives_restarts_until_it_is_taken_back(void **state)
{
    (void)state;
    make(CANARY_ALERT, CANARY_SUCCESS);
    up();
    assert_int_equal(ask(test_attestation(1, 10, 11, 1), false).error, 0);
    struct a_managed answer = manage(MANAGE_SEAL, &stranger);
    assert_int_equal(answer.error, ERROR_UNAUTHENTICATED);
    assert_int_equal(ask(test_attestation(1, 11, 12, 1), false).error, 0);
    answer = manage(MANAGE_CHAMBER_STATUS, &owner);
    assert_int_equal(answer.error, 0);
    assert_memory_equal(answer.body, "{\"state\":\"not_configured\"", 25);
    answer = manage(MANAGE_SEAL, &owner);
    assert_int_equal(answer.error, 0);
    assert_memory_equal(answer.body, "{\"state\":\"sealed\",\"complete\":true}", answer.len);
    assert_true(seal_latch_file(room.directory));
    assert_sealed();
    answer = manage(MANAGE_SEAL, &owner); /* once more is no error */
    assert_int_equal(answer.error, 0);
    core_room_kill(&room); /* the core alone: the vault lives, and is sealed */
    assert_int_equal(core_room_start(&room), 0);
    assert_sealed();
    restart(); /* all of it */
    assert_sealed();
    answer = manage(MANAGE_CHAMBER_STATUS, &owner);
    assert_memory_equal(answer.body, "{\"state\":\"sealed\"", 17);
    assert_int_equal(manage(MANAGE_CHAMBER_STATUS, &stranger).error, ERROR_UNAUTHENTICATED);
    /* The file alone is not what keeps it sealed, nor is the record. */
    assert_int_equal(seal_latch_remove_file(room.directory).code, 0);
    restart();
    assert_sealed();
    assert_true(seal_latch_file(room.directory));
    assert_int_equal(core_room_stop_core(&room), 0);
    (void)vault_room_stop(&room.vault);
    room.vault.control = -1;
    assert_int_equal(carry_out("unseal"), 0);
    assert_false(seal_latch_file(room.directory));
    core_room_start_vault(&room);
    assert_int_equal(core_room_start(&room), 0);
    core_room_load(&room, KEYS);
    (void)core_room_await_health(&room, true);
    assert_int_equal(ask(test_attestation(1, 12, 13, 1), false).error, 0);
    assert_int_equal(ask(test_attestation(1, 10, 12, 1), false).error, ERROR_SLASHABLE);
}

/* The latch is made first: a core that dies in the middle starts sealed. */
static void test_T25_the_file_alone_keeps_the_vault_shut(void **state)
{
    (void)state;
    make(CANARY_ALERT, CANARY_SUCCESS);
    up();
    assert_int_equal(seal_latch_make_file(room.directory, "test", 1000).code, 0);
    restart();
    assert_sealed();
    assert_int_equal(manage(MANAGE_SEAL, &owner).error, 0);
}

/* --- the audit log ------------------------------------------------------------------------------------------------------------ */

static void test_C07_no_signature_leaves_while_the_audit_log_is_full(void **state)
{
    (void)state;
    make(CANARY_ALERT, CANARY_SUCCESS);
    up();
    assert_int_equal(ask(test_object(1, KIND_RANDAO_REVEAL, 1), false).error, 0);
    core_room_fill_log(&room);
    const struct a_signed refused = ask(test_object(1, KIND_RANDAO_REVEAL, 2), false);
    static const struct eth_signature none;
    assert_int_equal(refused.error, ERROR_AUDIT);
    assert_memory_equal(&refused.signature, &none, sizeof none);
    (void)core_room_await_health(&room, false);
    core_room_empty_log(&room);
    (void)core_room_await_health(&room, true); /* without a restart, and without a request */
    assert_int_equal(ask(test_object(1, KIND_RANDAO_REVEAL, 2), false).error, 0);
    assert_int_equal(log_holds("\"event\":\"gap\""), 1);
}

static void test_C07_it_may_be_told_to_go_on(void **state)
{
    (void)state;
    make(CANARY_ALERT, CANARY_SUCCESS);
    room.config->audit.on_failure = AUDIT_CONTINUE;
    up();
    core_room_fill_log(&room);
    for (uint8_t i = 0; i < 5; i++)
        assert_int_equal(ask(test_object(1, KIND_RANDAO_REVEAL, i), false).error, 0);
    core_room_empty_log(&room);
    assert_int_equal(ask(test_object(1, KIND_RANDAO_REVEAL, 9), false).error, 0);
    assert_int_equal(log_holds("\"event\":\"gap\",\"count\":5"), 1);
}

static void test_T30_a_core_that_follows_begins_a_segment_of_its_own(void **state)
{
    (void)state;
    make(CANARY_ALERT, CANARY_SUCCESS);
    up();
    assert_int_equal(ask(test_attestation(1, 10, 11, 1), true).error, 0);
    core_room_kill(&room);
    assert_int_equal(core_room_start(&room), 0);
    uint32_t error;
    do /* the vault held the key; no loader has answered yet */
        error = ask(test_attestation(1, 11, 12, 1), true).error;
    while (error == ERROR_KEY_LOADING);
    assert_int_equal(error, 0);
    assert_int_equal(log_holds("\"event\":\"segment\""), 2);
    assert_int_equal(core_room_stop_core(&room), 0);
    (void)vault_room_stop(&room.vault);
    room.vault.control = -1;
    assert_int_equal(carry_out("audit-verify 1"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_teardown(name, down)
        T(test_T28_a_stranger_only_alerts),
        T(test_T28_it_is_judged_after_policy),
        T(test_T28_it_may_answer_as_a_key_that_is_not_here),
        T(test_T28_it_is_listed_to_nobody_whose_policy_does_not_name_it),
        T(test_T28_somebody_known_seals),
        T(test_T25_a_seal_outlives_restarts_until_it_is_taken_back),
        T(test_T25_the_file_alone_keeps_the_vault_shut),
        T(test_C07_no_signature_leaves_while_the_audit_log_is_full),
        T(test_C07_it_may_be_told_to_go_on),
        T(test_T30_a_core_that_follows_begins_a_segment_of_its_own),
#undef T
    };
    core_room_reserve_metrics();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
