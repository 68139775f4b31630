#include <stdio.h>
#include <string.h>

#include "cli/bench_plan.h"
#include "support/test.h"

static struct bench_options options;

/* Takes "bench" with these arguments (NULL: the end). */
static int take(const char *const *words)
{
    static char copies[16][64];
    static char *items[16];
    int count = 0;
    for (; words[count]; count++) {
        (void)snprintf(copies[count], sizeof copies[count], "%s", words[count]);
        items[count] = copies[count];
    }
    struct arguments arguments = {.count = count, .items = items, .command = "bench"};
    return bench_options_take(&arguments, &options);
}
#define TAKE(...) take((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void defaults(void **state)
{
    (void)state;
    assert_int_equal(TAKE(), EXIT_CODE_DONE);
    assert_int_equal(options.keys, 1000);
    assert_int_equal(options.engine_count, 0);
    assert_false(options.json);
    assert_true(options.shape_count > 4);
}

static void values_are_taken(void **state)
{
    (void)state;
    assert_int_equal(TAKE("--keys", "100000", "--seconds=1.5", "--warm", "0", "--engine",
                          "auto,blst", "--json", "--dir", "x", "--repeat", "3"),
                     EXIT_CODE_DONE);
    assert_int_equal(options.keys, 100000);
    assert_int_equal(options.run_ns, 1500000000);
    assert_int_equal(options.warm_ns, 0);
    assert_int_equal(options.engine_count, 2);
    assert_string_equal(options.engines[0], "auto");
    assert_string_equal(options.engines[1], "blst");
    assert_string_equal(options.directory, "x");
    assert_true(options.json);
    assert_int_equal(options.repeat, 3);
}

static void what_is_not_understood_is_refused(void **state)
{
    (void)state;
    assert_int_equal(TAKE("--keys", "0"), EXIT_CODE_USAGE);
    assert_int_equal(TAKE("--keys", "100001"), EXIT_CODE_USAGE);
    assert_int_equal(TAKE("--keys", "1,2"), EXIT_CODE_USAGE);
    assert_int_equal(TAKE("--keys"), EXIT_CODE_USAGE);
    assert_int_equal(TAKE("--seconds", "0"), EXIT_CODE_USAGE);
    assert_int_equal(TAKE("--seconds", "1.2345"), EXIT_CODE_USAGE);
    assert_int_equal(TAKE("--seconds", "1."), EXIT_CODE_USAGE);
    assert_int_equal(TAKE("--engine", "fast"), EXIT_CODE_USAGE);
    assert_int_equal(TAKE("--engine", "blst,blst,blst,blst,blst"), EXIT_CODE_USAGE);
    assert_int_equal(TAKE("--repeat", "10"), EXIT_CODE_USAGE);
    assert_int_equal(TAKE("--whatever"), EXIT_CODE_USAGE);
    assert_int_equal(TAKE("--signer-url", "http://localhost:9000"), EXIT_CODE_USAGE);
}

static void shapes_are_read(void **state)
{
    (void)state;
    assert_int_equal(TAKE("--load", "closed,open:8@500,slot:2x100,closed:4x256/distinct"),
                     EXIT_CODE_DONE);
    const struct bench_shape expected[] = {
        {BENCH_CLOSED, BENCH_ROOTS_SHARED, 64, 0, 0},
        {BENCH_OPEN, BENCH_ROOTS_SHARED, 8, 0, 500},
        {BENCH_SLOT, BENCH_ROOTS_SHARED, 2, 100, 0},
        {BENCH_CLOSED, BENCH_ROOTS_DISTINCT, 4, 250, 0}, /* 1,000 keys */
    };
    assert_int_equal(options.shape_count, 4);
    for (size_t i = 0; i < 4; i++)
        assert_memory_equal(&options.shapes[i], &expected[i], sizeof expected[i]);
}

static void wrong_shapes_are_refused(void **state)
{
    (void)state;
    const char *const wrong[] = {"",
                                 "closed,",
                                 "shut",
                                 "closed:0",
                                 "closed:",
                                 "closed:8x",
                                 "closed:8x0",
                                 "closed:1x2049",
                                 "closed@9",
                                 "open:8@0",
                                 "closed/same",
                                 "closed/distinct/distinct",
                                 "closed:99999",
                                 "slot:8@100",
                                 ",closed",
                                 "closed closed"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(TAKE("--load", wrong[i]), EXIT_CODE_USAGE);
}

/* Never more messages at once than there are keys. */
static void loads_fit_the_keys(void **state)
{
    (void)state;
    assert_int_equal(TAKE("--keys", "100", "--load", "closed:4x256,closed:512,slot:512x256"),
                     EXIT_CODE_DONE);
    for (size_t i = 0; i < options.shape_count; i++) {
        const struct bench_shape *shape = &options.shapes[i];
        assert_true(shape->connections * (shape->batch ? shape->batch : 1) <= 100);
    }
    assert_int_equal(TAKE("--keys", "1"), EXIT_CODE_DONE);
    for (size_t i = 0; i < options.shape_count; i++)
        assert_int_equal(options.shapes[i].connections, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(values_are_taken),
        cmocka_unit_test(what_is_not_understood_is_refused),
        cmocka_unit_test(shapes_are_read),
        cmocka_unit_test(wrong_shapes_are_refused),
        cmocka_unit_test(loads_fit_the_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
