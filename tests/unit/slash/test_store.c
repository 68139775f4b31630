/* slash/store.c, the common checks; slash/noop.c, the named exception. */
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/slash_kit.h"
#include "support/test.h"

static const struct slash_identity nobody;

/* A programming error ends the process: seen from outside. */
static void expect_abort(void (*body)(void))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const struct rlimit none = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)close(STDERR_FILENO);
        body();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static struct slash_store *open_memory(void)
{
    struct slash_store *store;
    assert_int_equal(slash_memory_open(&nobody, &store).code, 0);
    return store;
}

static void empty_batch(void)
{
    struct slash_claim claim = {0};
    struct slash_verdict verdict;
    cc_err err = slash_check_and_record(open_memory(), &claim, 0, &verdict);
    (void)err;
}

static void large_batch(void)
{
    static struct slash_claim claims[SLASH_BATCH_MAX + 1];
    static struct slash_verdict verdicts[SLASH_BATCH_MAX + 1];
    cc_err err = slash_check_and_record(open_memory(), claims, SLASH_BATCH_MAX + 1, verdicts);
    (void)err;
}

static void unknown_kind(void)
{
    struct slash_claim claim = {.kind = (enum slash_claim_kind)7};
    struct slash_verdict verdict;
    cc_err err = slash_check_and_record(open_memory(), &claim, 1, &verdict);
    (void)err;
}

static struct slash_store *entered;

static cc_err enter_again(void *context, const struct slash_validator *v)
{
    (void)context;
    (void)v;
    return slash_register_keys(entered, &v->pubkey, 1, NULL);
}

static void two_at_once(void)
{
    entered = open_memory();
    kit_register(entered, 1, 1);
    cc_err err = slash_visit(entered, NULL, enter_again, NULL);
    (void)err;
}

static void test_misuse_ends_the_process(void **state)
{
    (void)state;
    expect_abort(empty_batch);
    expect_abort(large_batch);
    expect_abort(unknown_kind);
    expect_abort(two_at_once);
}

/* A backend that says yes and then fails. */
static cc_err lying_check(struct slash_store *store,
                          const struct slash_claim *claims,
                          size_t n,
                          struct slash_verdict *ret_verdicts)
{
    (void)store;
    (void)claims;
    for (size_t i = 0; i < n; i++)
        ret_verdicts[i] = (struct slash_verdict){.rule = SLASH_SAFE};
    return CC_FAIL(STORE, "after all");
}

static void test_no_verdict_survives_an_error(void **state)
{
    (void)state;
    static const struct slash_store_ops lying = {.name = "lying", .check_and_record = lying_check};
    struct slash_store store = {.ops = &lying};
    struct slash_claim claims[3] = {{.slot = 1}, {.slot = 2}, {.slot = 3}};
    struct slash_verdict verdicts[3];
    assert_int_equal(slash_check_and_record(&store, claims, 3, verdicts).code, ERROR_STORE);
    for (size_t i = 0; i < 3; i++)
        assert_false(slash_may_sign(verdicts[i].rule));
}

static void test_closing_nothing_is_fine(void **state)
{
    (void)state;
    slash_store_close(NULL);
}

static void test_noop_protects_nothing_and_pretends_nothing(void **state)
{
    (void)state;
    struct slash_store *store;
    assert_int_equal(slash_noop_open(&nobody, &store).code, 0);
    assert_int_equal(kit_sign(store, kit_block(1, 5, 1)), SLASH_SAFE);
    assert_int_equal(kit_sign(store, kit_block(1, 5, 2)), SLASH_SAFE);
    kit_register(store, 1, 1);
    struct slash_validator v = {.pubkey = kit_key(1)};
    struct slash_import_report report = {0};
    struct slash_high high = {true, 1, 1};
    struct slash_status status;
    struct eth_root root = {{1}}, other = {{2}};
    bool more = true;
    int seen = 0;
    assert_int_equal(slash_merge(store, &v, &report).code, ERROR_STORE);
    assert_int_equal(slash_set_enabled(store, &v.pubkey, false).code, ERROR_STORE);
    assert_int_equal(slash_set_high(store, &high).code, ERROR_STORE);
    assert_int_equal(slash_visit(store, NULL, enter_again, &seen).code, ERROR_STORE);
    assert_int_equal(slash_status(store, &status).code, 0);
    assert_int_equal(status.validators, 0);
    struct slash_prune_step step = {true, 1};
    assert_int_equal(slash_prune(store, 1, 32, &step).code, 0);
    assert_false(step.more);
    assert_int_equal(step.removed, 0);
    assert_int_equal(slash_maintain(store, &more).code, 0);
    assert_false(more);
    assert_int_equal(slash_fix_genesis(store, &root).code, 0);
    assert_int_equal(slash_fix_genesis(store, &other).code, ERROR_IDENTITY);
    assert_string_equal(store->ops->name, "noop");
    slash_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_misuse_ends_the_process),
        cmocka_unit_test(test_no_verdict_survives_an_error),
        cmocka_unit_test(test_closing_nothing_is_fine),
        cmocka_unit_test(test_noop_protects_nothing_and_pretends_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
