/* C7: whatever allocation fails, there is an error, nothing leaks, and the next attempt succeeds. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"

#include "support/ceremony_kit.h"
#include "support/test.h"
#include "vault/threads.h"
#include "wire/control.h"

enum {
    ENOUGH = 200
};

/* Calls `attempt` with its first, second, ... allocation failing, until it succeeds in spite of it. */
static void fail_each(cc_err (*attempt)(void))
{
    uint64_t n = 1;
    for (; n < ENOUGH; n++) {
        (void)alloc_fail_nth(n);
        cc_err err = attempt();
        (void)alloc_fail_nth(0);
        if (!err.code)
            break;
        assert_int_equal(err.code, ERROR_NO_MEMORY);
    }
    assert_true(n > 1 && n < ENOUGH);
}

static cc_err open_and_close(void)
{
    struct vault vault;
    CC_TRY(vault_open(0, 0, NULL, &vault));
    vault_close(&vault);
    return CC_OK;
}

static cc_err start_threads(void)
{
    struct threads *threads = NULL;
    struct engine *engine = NULL;
    struct vault vault = {.arena = NULL};
    CC_TRY(engine_new(SIGNING_BLST, &engine));
    const struct threads_plan plan = {.signers = 2,
                                      .openers = 2,
                                      .documents = true,
                                      .control_fd = -1,
                                      .engine = engine,
                                      .vault = &vault};
    cc_err err = vault_open(0, 0, engine, &vault);
    if (!err.code)
        err = threads_new(&plan, &threads);
    if (!err.code)
        err = threads_start(threads);
    threads_stop(threads);
    if (vault.arena)
        vault_close(&vault);
    engine_free(engine);
    return err;
}

/* A key that finds no memory is not half there: it loads at the next attempt. */
static cc_err add_a_key(void)
{
    static struct vault vault;
    static bool open;
    const struct eth_pubkey pubkey = {{7}};
    const struct bls_secret secret = {{1}};
    struct key_handle handle;
    bool existed = true;
    if (!open) {
        (void)alloc_fail_nth(0);
        CC_TRY(vault_open(0, 0, NULL, &vault));
        (void)alloc_fail_nth(1);
        open = true;
    }
    cc_err err = key_table_add(vault.keys, &secret, &pubkey, &handle, &existed);
    if (err.code) {
        assert_int_equal(key_table_find(vault.keys, &pubkey, &handle).code, ERROR_KEY_UNKNOWN);
        assert_int_equal(key_table_count(vault.keys), 0);
        return err;
    }
    assert_false(existed);
    vault_close(&vault);
    return CC_OK;
}

/* A door that can't be put in place is closed, so that the other side notices. */
static cc_err put_a_door(void)
{
    struct port port;
    int fds[2];
    char byte;
    assert_int_equal(door_pair(fds).code, 0);
    port_init(&port);
    cc_err err = port_put(&port, fds[0], 1);
    if (err.code)
        assert_int_equal(read(fds[1], &byte, 1), 0);
    port_close(&port);
    port_destroy(&port);
    (void)close(fds[1]);
    return err;
}

/* What a set gives to a person is given whole, or at the next attempt. */
static cc_err give_a_text(void)
{
    static struct rite_vault vault;
    static bool open;
    static const struct rite_plan plan = {
        .mode = SEAL_OPERATORS, .operator_count = 2, .operator_threshold = 2};
    struct buf out = buf_init(SEAL_TEXT_MAX);
    if (!open) {
        struct rite_chamber chamber;
        struct seal_set set;
        enum b_set_which which;
        (void)alloc_fail_nth(0);
        rite_make(&chamber, false);
        rite_start(&vault, &chamber);
        const struct seal_proposal proposal = rite_proposal(&chamber, NULL, &plan);
        CC_TRY(sets_make(vault.sets, &proposal, &which, &set));
        (void)alloc_fail_nth(1);
        open = true;
    }
    cc_err err = sets_text(vault.sets, B_PART_REGISTRATION, 1, &out);
    buf_release(&out);
    if (!err.code)
        rite_stop(&vault);
    return err;
}

static void test_C07_a_text_for_an_operator(void **state)
{
    (void)state;
    fail_each(give_a_text);
}

static void test_C07_opening_the_vault(void **state)
{
    (void)state;
    fail_each(open_and_close);
}

static void test_C07_starting_threads(void **state)
{
    (void)state;
    fail_each(start_threads);
}

static void test_C07_adding_a_key(void **state)
{
    (void)state;
    fail_each(add_a_key);
}

static void test_C07_a_new_door(void **state)
{
    (void)state;
    fail_each(put_a_door);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_C07_opening_the_vault),
        cmocka_unit_test(test_C07_starting_threads),
        cmocka_unit_test(test_C07_adding_a_key),
        cmocka_unit_test(test_C07_a_new_door),
        cmocka_unit_test(test_C07_a_text_for_an_operator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
