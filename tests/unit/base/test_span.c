
#include "base/alloc.h"
#include "base/span.h"

#include "support/test.h"

static void test_a_buf_never_grows_beyond_its_maximum(void **state)
{
    (void)state;
    struct buf b = buf_init(10);
    assert_int_equal(buf_append(&b, "0123456789", 10).code, 0);
    assert_true(error_is(buf_append(&b, "x", 1), ERROR_LIMIT));
    assert_int_equal(b.len, 10);
    uint8_t *at;
    assert_true(error_is(buf_grow(&b, SIZE_MAX, &at), ERROR_LIMIT));
    buf_release(&b);
    buf_release(&b);
}

static void test_growing_keeps_the_content(void **state)
{
    (void)state;
    struct buf b = buf_init(1 << 20);
    for (unsigned i = 0; i < 10000; i++)
        assert_int_equal(buf_printf(&b, "%u,", i % 10).code, 0);
    assert_int_equal(b.len, 20000);
    assert_memory_equal(b.data + 19998, "9,", 2);
    buf_release(&b);
}

static void test_C07_out_of_memory_is_an_error_and_loses_nothing(void **state)
{
    (void)state;
    struct buf b = buf_init(1 << 20);
    assert_int_equal(buf_append(&b, "kept", 4).code, 0);
    uint8_t *at;
    (void)alloc_fail_nth(1);
    assert_true(error_is(buf_grow(&b, 100000, &at), ERROR_NO_MEMORY));
    (void)alloc_fail_nth(0);
    assert_true(span_is(buf_span(&b), "kept"));
    buf_release(&b);
}

static void test_comparison(void **state)
{
    (void)state;
    assert_true(span_is(span_str("abc"), "abc"));
    assert_false(span_is(span_str("abc"), "abd"));
    assert_false(span_is(span_str("ab"), "abc"));
    assert_true(span_is_nocase(span_str("AbC"), "aBc"));
    assert_false(span_is_nocase(span_str("AbCd"), "aBc"));
    assert_true(span_is((struct span){0}, ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_buf_never_grows_beyond_its_maximum),
        cmocka_unit_test(test_growing_keeps_the_content),
        cmocka_unit_test(test_C07_out_of_memory_is_an_error_and_loses_nothing),
        cmocka_unit_test(test_comparison),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
