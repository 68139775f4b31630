/* New keys, between a real vault and a front that the test plays: they sign, survive, have their protection rows first, and every crash
 * leaves whole ones or none.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "auth/scope.h"
#include "core/key_jobs.h"
#include "crypto/bls.h"
#include "eth/deposit.h"
#include "slash/store.h"
#include "support/age_tool.h"
#include "support/key_room.h"
#include "support/test.h"

static struct core_room room;

static void start_vault(void)
{
    vault_room_start_generate(&room.vault, &room.secret);
}

static int up(void **state)
{
    (void)state;
    core_room_make(&room);
    assert_int_equal(core_room_init(&room), 0);
    start_vault();
    core_room_serve(&room, 2);
    return 0;
}

static int down(void **state)
{
    (void)state;
    core_room_remove(&room);
    return 0;
}

static void restart_all(void)
{
    if (room.pid)
        core_room_kill(&room);
    assert_int_equal(vault_room_stop(&room.vault), 0);
    room.point = TEST_POINT_NONE;
    start_vault();
    core_room_serve(&room, 2);
}

static struct a_keys_generated begin(uint32_t total)
{
    struct a_keys ask = keys_ask(KEYS_GENERATE);
    ask.is.generate.total = total;
    const struct a_keys_done done = keys_do(&room, &ask);
    assert_int_equal(done.head.error, 0);
    assert_int_not_equal(done.generated.session, 0);
    return done.generated;
}

static struct a_keys step(uint64_t session, uint32_t total, uint32_t first, uint32_t count)
{
    static const struct eth_address address = {{7}};
    struct a_keys ask = keys_ask(KEYS_GENERATE);
    ask.head.count = count;
    ask.is.generate = (struct a_key_generate){
        .session = session,
        .first = first,
        .total = total,
        .has_deposit = 1,
        .withdrawal_credentials = deposit_credentials(DEPOSIT_COMPOUNDING, &address),
        .amount = DEPOSIT_GWEI_MAX};
    return ask;
}

static void assert_signs(unsigned n, uint64_t target)
{
    const struct a_sign request = test_attestation(n, target - 1, target, 1);
    const struct a_signed answer = core_room_sign(&room, &request);
    const struct eth_pubkey key = test_pubkey(n);
    assert_int_equal(answer.error, 0);
    assert_int_equal(bls_verify(key.bytes, answer.root.bytes, answer.signature.bytes).code, 0);
}

static void assert_deposit_holds(const struct a_keys *ask,
                                 const struct a_keys_generated *begun,
                                 const struct a_keys_done *done,
                                 uint32_t i)
{
    const struct deposit deposit = {done->items[i].pubkey, ask->is.generate.withdrawal_credentials,
                                    ask->is.generate.amount};
    const struct signing_root root = deposit_signing_root(&deposit, &begun->genesis_fork_version);
    assert_int_equal(
        bls_verify(deposit.pubkey.bytes, root.bytes, done->generated.deposits[i].bytes).code, 0);
}

static void test_new_keys_sign_and_survive_every_restart(void **state)
{
    (void)state;
    static const struct eth_version sepolia = {{0x90, 0, 0, 0x69}};
    const struct a_keys_generated begun = begin(18);
    assert_memory_equal(&begun.genesis_fork_version, &sepolia, sizeof sepolia);
    assert_string_equal(begun.network, "sepolia");
    assert_true(begun.backup_len > 200 && memcmp(begun.backup, "-----BEGIN AGE", 14) == 0);
    for (uint32_t first = 0; first < 18; first += 16) {
        const struct a_keys ask = step(begun.session, 18, first, first ? 2 : 16);
        const struct a_keys_done done = keys_do(&room, &ask);
        assert_int_equal(done.head.error, 0);
        for (uint32_t i = 0; i < ask.head.count; i++) {
            assert_int_equal(done.items[i].outcome, A_KEY_GENERATED);
            assert_int_equal(done.items[i].source, A_KEY_SQLITE);
            assert_int_equal(done.items[i].error, 0);
            test_know_pubkey(3 + first + i, &done.items[i].pubkey);
            assert_deposit_holds(&ask, &begun, &done, i);
        }
    }
    for (unsigned n = 3; n <= 20; n += 17) {
        keys_await(&room, n, A_KEY_ACTIVE);
        assert_signs(n, 10);
    }
    restart_all();
    keys_await(&room, 20, A_KEY_ACTIVE);
    assert_signs(20, 11);
    /* The vault that had the mnemonic is gone, and it with it. */
    const struct a_keys late = step(begun.session, 18, 0, 1);
    const struct a_keys_done done = keys_do(&room, &late);
    assert_int_equal(done.items[0].outcome, A_KEY_ERROR);
    assert_int_equal(done.items[0].error, ERROR_NAME_UNKNOWN);
}

static void test_inactive_keys_wait(void **state)
{
    (void)state;
    const struct a_keys_generated begun = begin(1);
    struct a_keys ask = step(begun.session, 1, 0, 1);
    static const struct eth_signature none;
    ask.head.flags = KEYS_INACTIVE;
    ask.is.generate.has_deposit = 0;
    const struct a_keys_done done = keys_do(&room, &ask);
    assert_int_equal(done.items[0].outcome, A_KEY_GENERATED);
    assert_int_equal(done.items[0].status, A_KEY_INACTIVE);
    assert_memory_equal(&done.generated.deposits[0], &none, sizeof none);
    test_know_pubkey(3, &done.items[0].pubkey);
    const struct a_sign request = test_attestation(3, 9, 10, 1);
    assert_int_not_equal(core_room_sign(&room, &request).error, 0);
    const struct a_keys set = keys_about(KEYS_SET, 3, 3);
    keys_expect(&room, &set, A_KEY_CHANGED);
    keys_await(&room, 3, A_KEY_ACTIVE);
    assert_signs(3, 10);
}

static void test_nothing_is_made_without_a_place_for_it(void **state)
{
    (void)state;
    const struct a_keys ask = keys_ask(KEYS_GENERATE);
    assert_int_equal(core_room_stop_core(&room), 0);
    room.config->key_sources.sqlite.enabled = false;
    core_room_serve(&room, 2);
    assert_int_equal(keys_do(&room, &ask).head.error, ERROR_KEY_STORE_NONE);
    assert_int_equal(core_room_stop_core(&room), 0);
    room.config->key_sources.sqlite.enabled = true;
    room.config->http.key_manager_api.storage = KEY_STORAGE_MEMORY;
    core_room_serve(&room, 2);
    assert_int_equal(keys_do(&room, &ask).head.error, ERROR_KEY_STORE_NONE);
    room.config->http.key_manager_api.storage = KEY_STORAGE_PERSIST;
}

static void test_nothing_is_made_without_recipients(void **state)
{
    (void)state;
    core_room_kill(&room);
    assert_int_equal(vault_room_stop(&room.vault), 0);
    core_room_start_vault(&room);
    core_room_serve(&room, 2);
    const struct a_keys ask = keys_ask(KEYS_GENERATE);
    const struct a_keys_done done = keys_do(&room, &ask);
    assert_int_equal(done.head.error, ERROR_NOT_ENABLED);
    assert_int_equal(done.generated.backup_len, 0);
}

static void test_nothing_is_made_without_the_scope(void **state)
{
    (void)state;
    struct a_keys ask = keys_ask(KEYS_GENERATE);
    ask.head.caller.flags = 0;
    assert_int_equal(keys_do(&room, &ask).head.error, ERROR_UNAUTHENTICATED);
    const struct a_keys_generated begun = begin(1);
    ask = step(begun.session, 1, 0, 1);
    ask.head.caller.flags = 0;
    assert_int_equal(keys_do(&room, &ask).head.error, ERROR_UNAUTHENTICATED);
}

static void test_steps_that_no_front_would_ask(void **state)
{
    (void)state;
    const struct a_keys right = step(5, 20, 0, 16);
    struct a_keys ask = right;
    assert_int_equal(key_jobs_check(&ask).code, 0);
    ask.head.count = 17;
    assert_true(error_is(key_jobs_check(&ask), ERROR_PROTOCOL));
    ask = right;
    ask.is.generate.first = 5;
    assert_true(error_is(key_jobs_check(&ask), ERROR_PROTOCOL));
    ask = right;
    ask.is.generate.session = 0;
    assert_true(error_is(key_jobs_check(&ask), ERROR_PROTOCOL));
    ask = right;
    ask.head.count = 0;
    assert_true(error_is(key_jobs_check(&ask), ERROR_PROTOCOL));
    ask = right;
    ask.is.generate.total = A_KEYS_TOTAL_MAX + 1;
    assert_true(error_is(key_jobs_check(&ask), ERROR_PROTOCOL));
    ask = right;
    ask.is.generate.has_deposit = 2;
    assert_true(error_is(key_jobs_check(&ask), ERROR_PROTOCOL));
    ask = right;
    ask.is.generate.amount = 1;
    assert_true(error_is(key_jobs_check(&ask), ERROR_PROTOCOL));
    ask = right;
    ask.head.scope = SCOPE_CHAMBER_KEYS_IMPORT;
    assert_true(error_is(key_jobs_check(&ask), ERROR_PROTOCOL));
    ask = right;
    ask.head.flags = KEYS_ALL;
    assert_true(error_is(key_jobs_check(&ask), ERROR_PROTOCOL));
}

/* --- P15 ------------------------------------------------------------------------------------------------------ */

static cc_err note_row(void *context, const struct slash_validator *validator)
{
    (void)validator;
    *(bool *)context = true;
    return CC_OK;
}

static bool history_knows(const struct eth_pubkey *pubkey)
{
    char path[128];
    struct slash_store *store = NULL;
    int holder = 0;
    bool known = false;
    (void)snprintf(path, sizeof path, "%s/history.sqlite", room.directory);
    assert_int_equal(slash_sqlite_open(path, false, &store, &holder).code, 0);
    assert_int_equal(slash_visit(store, pubkey, note_row, &known).code, 0);
    slash_store_close(store);
    return known;
}

/* How many new keys are listed; the first becomes key 3. */
static uint32_t listed(void)
{
    const struct a_keys ask = keys_ask(KEYS_LIST);
    const struct a_keys_done done = keys_do(&room, &ask);
    uint32_t count = 0;
    assert_int_equal(done.head.error, 0);
    for (uint32_t i = 0; i < done.head.count; i++)
        if (done.items[i].source == A_KEY_SQLITE)
            test_know_pubkey(3 + count++, &done.items[i].pubkey);
    return count;
}

static void killed(enum test_point point, uint32_t stored)
{
    struct a_keys_done done;
    core_room_kill(&room);
    room.point = point;
    room.point_nth = 1;
    core_room_serve(&room, 2);
    const struct a_keys_generated begun = begin(2);
    const struct a_keys ask = step(begun.session, 2, 0, 2);
    assert_int_not_equal(keys_try(&room, &ask, &done).code, 0);
    const int status = core_room_wait(&room);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    room.point = TEST_POINT_NONE;
    core_room_serve(&room, 2);
    assert_int_equal(listed(), stored);
    for (unsigned n = 3; n < 3 + stored; n++) {
        keys_await(&room, n, A_KEY_ACTIVE);
        assert_signs(n, 10);
    }
    core_room_kill(&room);
    for (unsigned n = 3; n < 3 + stored; n++) {
        const struct eth_pubkey pubkey = test_pubkey(n);
        assert_true(history_knows(&pubkey));
    }
    restart_all();
    assert_int_equal(listed(), stored);
}

#define KILLED(name, point, stored)                                                                \
    static void test_P15_killed_while_keys_are_made_##name(void **state)                           \
    {                                                                                              \
        (void)state;                                                                               \
        killed(TEST_POINT_##point, stored);                                                        \
    }
KILLED(when_they_have_rows, IMPORT_PROTECTED, 0)
KILLED(before_the_key_store, KEYS_NAMED, 0)
KILLED(after_the_key_store, KEYS_WRITTEN, 2)
KILLED(when_the_vault_has_them, IMPORT_LOADED, 2)

#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_new_keys_sign_and_survive_every_restart),
        TEST(test_inactive_keys_wait),
        TEST(test_nothing_is_made_without_a_place_for_it),
        TEST(test_nothing_is_made_without_recipients),
        TEST(test_nothing_is_made_without_the_scope),
        cmocka_unit_test(test_steps_that_no_front_would_ask),
        TEST(test_P15_killed_while_keys_are_made_when_they_have_rows),
        TEST(test_P15_killed_while_keys_are_made_before_the_key_store),
        TEST(test_P15_killed_while_keys_are_made_after_the_key_store),
        TEST(test_P15_killed_while_keys_are_made_when_the_vault_has_them),
    };
    core_room_reserve_metrics();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
