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
    struct bench_shape shapes[BENCH_ROWS_MAX];
    assert_int_equal(TAKE(), EXIT_CODE_DONE);
    assert_int_equal(options.keys, 1000);
    assert_int_equal(options.engines.count, 0);
    assert_false(options.json);
    assert_true(bench_shapes(&options, shapes) > 4);
}

static void values_are_taken(void **state)
{
    (void)state;
    assert_int_equal(TAKE("--keys", "100000", "--seconds=1.5", "--warm", "0", "--engine",
                          "auto,blst", "--json", "--dir", "x", "--rate", "50", "--repeat", "3"),
                     EXIT_CODE_DONE);
    assert_int_equal(options.keys, 100000);
    assert_int_equal(options.run_ns, 1500000000);
    assert_int_equal(options.warm_ns, 0);
    assert_int_equal(options.engines.count, 2);
    assert_string_equal(bench_engine_name(options.engines.items[0]), "auto");
    assert_string_equal(bench_engine_name(options.engines.items[1]), "blst");
    assert_string_equal(options.directory, "x");
    assert_true(options.json);
    assert_int_equal(options.rate, 50);
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
    assert_int_equal(TAKE("--load", "closed,"), EXIT_CODE_USAGE);
    assert_int_equal(TAKE("--connections", "0"), EXIT_CODE_USAGE);
    assert_int_equal(TAKE("--connections", "1,2,3,4,5,6,7,8,9"), EXIT_CODE_USAGE);
    assert_int_equal(TAKE("--batch", "2049"), EXIT_CODE_USAGE);
    assert_int_equal(TAKE("--repeat", "10"), EXIT_CODE_USAGE);
    assert_int_equal(TAKE("--whatever"), EXIT_CODE_USAGE);
    assert_int_equal(TAKE("--signer-url", "http://localhost:9000"), EXIT_CODE_USAGE);
}

static void rows_are_the_product(void **state)
{
    (void)state;
    struct bench_shape shapes[BENCH_ROWS_MAX];
    assert_int_equal(TAKE("--load", "closed,slot", "--connections", "1,8", "--batch", "0,64"),
                     EXIT_CODE_DONE);
    assert_int_equal(bench_shapes(&options, shapes), 8);
    assert_int_equal(shapes[0].mode, BENCH_CLOSED);
    assert_int_equal(shapes[1].mode, BENCH_SLOT);
    assert_int_equal(shapes[7].connections, 8);
    assert_int_equal(shapes[7].batch, 64);
}

/* Never more messages at once than there are keys. */
static void rows_fit_the_keys(void **state)
{
    (void)state;
    struct bench_shape shapes[BENCH_ROWS_MAX];
    assert_int_equal(TAKE("--keys", "100", "--connections", "4,512", "--batch", "0,256"),
                     EXIT_CODE_DONE);
    size_t count = bench_shapes(&options, shapes);
    assert_int_equal(count, 4);
    for (size_t i = 0; i < count; i++)
        assert_true(shapes[i].connections * (shapes[i].batch ? shapes[i].batch : 1) <= 100);
    assert_int_equal(TAKE("--keys", "1"), EXIT_CODE_DONE);
    count = bench_shapes(&options, shapes);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(shapes[i].connections, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(values_are_taken),
        cmocka_unit_test(what_is_not_understood_is_refused),
        cmocka_unit_test(rows_are_the_product),
        cmocka_unit_test(rows_fit_the_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
