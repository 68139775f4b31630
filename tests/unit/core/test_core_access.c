/* A real core, vault and state store, and a front that the test plays: who may do what, and that what was closed stays closed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/policy.h"
#include "auth/token.h"
#include "config/config.h"
#include "core/auth_latch.h"
#include "support/core_room.h"
#include "support/test.h"
#include "wire/control.h"

static struct core_room room;

enum {
    KEYS = 3
};

static const char token[] = "cc_token_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

static struct caller nobody(void)
{
    struct caller caller = {.listener = LISTENER_API};
    caller.address[10] = caller.address[11] = 0xff;
    caller.address[12] = 127;
    caller.address[15] = 1;
    return caller;
}

static struct caller with_token(const char *text)
{
    struct caller caller = nobody();
    caller.token_kind = CALLER_BASIC;
    token_digest(span_str(text), caller.token);
    return caller;
}

static struct caller owner(void)
{
    return (struct caller){.listener = LISTENER_ADMIN, .flags = CALLER_OWNER};
}

/* The policies vc (of the token) and none of a stored kind. */
static void close_by(enum auth_mode mode, const char *scopes)
{
    struct auth_config *auth = &room.config->auth;
    struct static_policy *vc = &auth->policies.items[0];
    auth->mode = mode;
    auth->policies.count = 1;
    (void)snprintf(vc->name, sizeof vc->name, "vc");
    (void)snprintf(vc->allowed_scopes, sizeof vc->allowed_scopes, "%s", scopes);
    vc->has_token = true;
    token_digest(span_str(token), vc->token_digest);
}

static int make(void **state)
{
    (void)state;
    core_room_make(&room);
    assert_int_equal(core_room_init(&room), 0);
    core_room_start_vault(&room);
    return 0;
}

static int down(void **state)
{
    (void)state;
    core_room_remove(&room);
    return 0;
}

static void begin(void)
{
    assert_int_equal(core_room_start(&room), 0);
    core_room_load(&room, KEYS);
    (void)core_room_await_health(&room, true);
}

static void stop(void)
{
    assert_int_equal(core_room_stop_core(&room), 0);
}

static struct a_signed sign(const struct caller *caller, struct a_sign request)
{
    request.caller = *caller;
    return core_room_sign(&room, &request);
}

/* Sends one question; the answer's type. */
static uint16_t ask(const struct caller *caller,
                    enum a_question question,
                    enum auth_scope scope,
                    struct door_message *answer)
{
    const struct a_query query = {.id = 7, .question = question, .scope = scope, .caller = *caller};
    assert_int_equal(door_send(room.front, room.front_life, A_QUERY, &query, sizeof query, 1).code,
                     0);
    assert_int_equal(door_receive(room.front, room.front_life, door_a_to_front, answer).code, 0);
    return answer->head.type;
}

static struct a_denied allowed(const struct caller *caller, enum auth_scope scope)
{
    static struct door_message answer;
    struct a_denied denied;
    assert_int_equal(ask(caller, ASK_ALLOWED, scope, &answer), A_DENIED);
    memcpy(&denied, answer.items, sizeof denied);
    assert_int_equal(denied.id, 7);
    return denied;
}

static struct a_signed exit_of(const struct caller *caller)
{
    return sign(caller, test_object(1, KIND_VOLUNTARY_EXIT, 1));
}

/* --- enforce ---------------------------------------------------------------------------------------------------- */

static void test_P27_policies_decide_before_anything_else(void **state)
{
    const struct caller vc = with_token(token);
    const struct caller anybody = nobody();
    const struct caller bad = with_token("0123456789abcdef");
    struct a_signed answer;
    (void)state;
    close_by(AUTH_ENFORCE, "sign,public_keys");
    begin();
    answer = sign(&vc, test_attestation(1, 10, 11, 1));
    assert_int_equal(answer.error, 0);
    answer = sign(&anybody, test_attestation(1, 11, 12, 1));
    assert_int_equal(answer.error, ERROR_UNAUTHENTICATED);
    answer = sign(&bad, test_attestation(1, 11, 12, 1));
    assert_int_equal(answer.error, ERROR_UNAUTHENTICATED);
    assert_string_equal(answer.reason.policy, "");
    /* A key that is not here: who may not sign doesn't learn it. */
    answer = sign(&anybody, test_attestation(KEYS + 5, 11, 12, 1));
    assert_int_equal(answer.error, ERROR_UNAUTHENTICATED);
    answer = sign(&vc, test_attestation(KEYS + 5, 11, 12, 1));
    assert_int_equal(answer.error, ERROR_KEY_UNKNOWN);
    answer = exit_of(&vc);
    assert_int_equal(answer.error, ERROR_DENIED);
    assert_int_equal(answer.rule, POLICY_DEFAULT);
    /* What was denied left no trace: the same epoch is free. */
    answer = sign(&vc, test_attestation(1, 11, 12, 2));
    assert_int_equal(answer.error, 0);
}

static void test_T20_every_question_is_judged(void **state)
{
    static struct door_message answer;
    struct a_public_keys keys;
    const struct caller vc = with_token(token);
    const struct caller anybody = nobody();
    const struct caller boss = owner();
    (void)state;
    close_by(AUTH_ENFORCE, "sign,public_keys");
    begin();
    assert_int_equal(allowed(&vc, SCOPE_PUBLIC_KEYS).error, 0);
    assert_int_equal(allowed(&vc, SCOPE_IMPORT_KEYSTORES).error, ERROR_DENIED);
    assert_int_equal(allowed(&anybody, SCOPE_IMPORT_KEYSTORES).error, ERROR_UNAUTHENTICATED);
    assert_int_equal(allowed(&boss, SCOPE_IMPORT_KEYSTORES).error, 0);
    assert_int_equal(ask(&anybody, ASK_PUBLIC_KEYS, 0, &answer), A_DENIED);
    assert_int_equal(ask(&anybody, ASK_RELOAD_START, 0, &answer), A_DENIED);
    assert_int_equal(ask(&vc, ASK_RELOAD_START, 0, &answer), A_DENIED);
    assert_int_equal(ask(&anybody, ASK_RELOAD_STATUS, 0, &answer), A_RELOAD);
    assert_int_equal(ask(&anybody, ASK_HEALTH, 0, &answer), A_HEALTH);
    assert_int_equal(ask(&anybody, ASK_HIGH_WATERMARK, 0, &answer), A_HIGH_WATERMARK);
    assert_int_equal(ask(&vc, ASK_PUBLIC_KEYS, 0, &answer), A_PUBLIC_KEYS);
    memcpy(&keys, answer.items, sizeof keys);
    assert_int_equal(keys.count, KEYS);
}

static struct a_slashing asked;

/* Sends it; the answer's type, or 0 where the core has shut the front out. */
static uint16_t send_step(const struct caller *caller, enum a_slashing_verb verb, uint32_t scope)
{
    static struct door_message answer;
    asked.head.id = 9;
    asked.head.verb = verb;
    asked.head.scope = scope;
    asked.head.caller = *caller;
    assert_int_equal(
        door_send(room.front, room.front_life, A_SLASHING, &asked, sizeof asked, 1).code, 0);
    if (door_receive(room.front, room.front_life, door_a_to_front, &answer).code)
        return 0;
    return answer.head.type;
}

static bool only_reads(enum a_slashing_verb verb)
{
    return verb == SLASHING_STATUS || verb == SLASHING_EXPORT || verb == SLASHING_VERIFY;
}

static uint16_t step(const struct caller *caller, enum a_slashing_verb verb)
{
    asked.head = (struct a_slashing_head){0};
    return send_step(caller, verb,
                     only_reads(verb) ? SCOPE_SLASHING_EXPORT : SCOPE_SLASHING_IMPORT);
}

static void test_T20_work_on_the_history_has_its_scopes(void **state)
{
    const struct caller vc = with_token(token);
    const struct caller anybody = nobody();
    const struct caller boss = owner();
    (void)state;
    close_by(AUTH_ENFORCE, "slashing_export");
    begin();
    for (int verb = SLASHING_STATUS; verb < SLASHING_VERB_END; verb++)
        assert_int_equal(step(&anybody, (enum a_slashing_verb)verb), A_DENIED);
    assert_int_equal(step(&vc, SLASHING_STATUS), A_SLASHED);
    assert_int_equal(step(&vc, SLASHING_EXPORT), A_SLASHED);
    assert_int_equal(step(&vc, SLASHING_VERIFY), A_SLASHED);
    assert_int_equal(step(&vc, SLASHING_IMPORT), A_DENIED);
    assert_int_equal(step(&vc, SLASHING_PRUNE), A_DENIED);
    assert_int_equal(step(&vc, SLASHING_ENABLE), A_DENIED);
    assert_int_equal(step(&vc, SLASHING_HAND_OVER), A_DENIED);
    assert_int_equal(step(&vc, SLASHING_REPAIR), A_DENIED);
    assert_int_equal(step(&boss, SLASHING_PRUNE), A_SLASHED);
}

/* Who may import or delete keys brings or takes the history of those keys, by that scope alone and key by key. */
static void test_T20_history_comes_and_goes_with_keys(void **state)
{
    const struct caller vc = with_token(token);
    (void)state;
    close_by(AUTH_ENFORCE, "delete_keys,import_keystores");
    begin();
    asked = (struct a_slashing){.head = {.has_key = true, .validators = 1}};
    asked.head.key = test_pubkey(1);
    asked.head.key.bytes[47]--;
    assert_int_equal(send_step(&vc, SLASHING_EXPORT, SCOPE_DELETE_KEYS), A_SLASHED);
    assert_int_equal(send_step(&vc, SLASHING_EXPORT, SCOPE_CHAMBER_KEYS_DELETE), A_DENIED);
    assert_int_equal(send_step(&vc, SLASHING_EXPORT, SCOPE_SLASHING_EXPORT), A_DENIED);
    memset(asked.head.key.bytes, 0xff,
           sizeof asked.head.key.bytes); /* no key, only what is said of all */
    assert_int_equal(send_step(&vc, SLASHING_EXPORT, SCOPE_DELETE_KEYS), A_SLASHED);
    asked.head.validators = 16; /* no walk over all of them */
    assert_int_equal(send_step(&vc, SLASHING_EXPORT, SCOPE_DELETE_KEYS), A_DENIED);
    asked = (struct a_slashing){0};
    assert_int_equal(send_step(&vc, SLASHING_IMPORT, SCOPE_IMPORT_KEYSTORES), A_SLASHED);
    assert_int_equal(send_step(&vc, SLASHING_IMPORT, SCOPE_SLASHING_IMPORT), A_DENIED);
}

static void test_C02_a_front_that_names_a_scope_that_does_not_fit_is_shut_out(void **state)
{
    static const struct {
        enum a_slashing_verb verb;
        enum auth_scope scope;
    } cases[] = {
        {SLASHING_PRUNE, SCOPE_DELETE_KEYS},  {SLASHING_IMPORT, SCOPE_SLASHING_EXPORT},
        {SLASHING_STATUS, SCOPE_DELETE_KEYS}, {SLASHING_EXPORT, SCOPE_SIGN},
        {SLASHING_EXPORT, SCOPE_END},
    };
    const struct caller boss = owner();
    (void)state;
    begin();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        asked = (struct a_slashing){0};
        assert_int_equal(send_step(&boss, cases[i].verb, cases[i].scope), 0);
        core_room_next_front(&room);
    }
    assert_int_equal(step(&boss, SLASHING_STATUS), A_SLASHED);
}

/* --- the latch -------------------------------------------------------------------------------------------------- */

static void assert_closed(bool held)
{
    static struct door_message answer;
    struct a_health health;
    const struct caller anybody = nobody();
    assert_int_equal(sign(&anybody, test_attestation(1, 20, 21, 1)).error, ERROR_UNAUTHENTICATED);
    assert_int_equal(ask(&anybody, ASK_HEALTH, 0, &answer), A_HEALTH);
    memcpy(&health, answer.items, sizeof health);
    assert_int_equal(health.auth_open, false);
    assert_int_equal(health.auth_mode, AUTH_ENFORCE);
    assert_int_equal(health.auth_held, held);
}

static void test_T20_what_was_closed_stays_closed(void **state)
{
    (void)state;
    close_by(AUTH_ENFORCE, "sign");
    begin();
    assert_closed(false);
    assert_true(auth_latch_file(room.directory));
    stop();

    room.config->auth.policies.count = 0;
    room.config->auth.mode = AUTH_OPEN;
    begin();
    assert_closed(true);
    stop();

    assert_int_equal(auth_latch_remove(room.directory).code, 0); /* the record is left */
    begin();
    assert_closed(true);
    assert_true(auth_latch_file(room.directory));
}

static void test_open_leaves_no_latch(void **state)
{
    const struct caller anybody = nobody();
    (void)state;
    for (int mode = AUTH_OPEN; mode <= AUTH_REPORT; mode++) {
        room.config->auth.mode = (enum auth_mode)mode;
        begin();
        assert_int_equal(
            sign(&anybody, test_attestation(1, 30 + (uint64_t)mode, 31 + (uint64_t)mode, 1)).error,
            0);
        assert_int_equal(exit_of(&anybody).error, ERROR_DENIED);
        assert_int_equal(allowed(&anybody, SCOPE_AUTH_MANAGE).error, ERROR_UNAUTHENTICATED);
        assert_false(auth_latch_file(room.directory));
        stop();
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, down)

int main(void)
{
    core_room_reserve_metrics();
    const struct CMUnitTest tests[] = {
        TEST(test_P27_policies_decide_before_anything_else),
        TEST(test_T20_every_question_is_judged),
        TEST(test_T20_work_on_the_history_has_its_scopes),
        TEST(test_T20_history_comes_and_goes_with_keys),
        TEST(test_C02_a_front_that_names_a_scope_that_does_not_fit_is_shut_out),
        TEST(test_T20_what_was_closed_stays_closed),
        TEST(test_open_leaves_no_latch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
