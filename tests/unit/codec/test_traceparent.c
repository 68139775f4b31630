/* What counts as a traceparent header, and what doesn't. */
#include "codec/traceparent.h"
#include "support/test.h"

#define TRACE  "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00f067aa0ba902b7"

static bool takes(const char *text, struct traceparent *ret_parent)
{
    return !traceparent_parse(span_str(text), ret_parent).code;
}

static void test_the_form_of_version_00(void **state)
{
    (void)state;
    static const uint8_t trace_id[] = {0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6,
                                       0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36};
    static const uint8_t parent_id[] = {0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7};
    struct traceparent parent;
    assert_true(takes("00-" TRACE "-" PARENT "-01", &parent));
    assert_memory_equal(parent.trace_id, trace_id, sizeof trace_id);
    assert_memory_equal(parent.parent_id, parent_id, sizeof parent_id);
    assert_true(parent.sampled);
    assert_true(takes("00-" TRACE "-" PARENT "-00", &parent) && !parent.sampled);
    assert_true(takes("00-" TRACE "-" PARENT "-fe", &parent) && !parent.sampled);
    assert_true(takes("00-" TRACE "-" PARENT "-ff", &parent) && parent.sampled);
}

static void test_later_versions_may_be_longer(void **state)
{
    (void)state;
    struct traceparent parent;
    assert_true(takes("cc-" TRACE "-" PARENT "-01", &parent) && parent.sampled);
    assert_true(takes("cc-" TRACE "-" PARENT "-01-what-the-future-brings", &parent));
    assert_true(takes("01-" TRACE "-" PARENT "-01-", &parent));
    assert_false(takes("cc-" TRACE "-" PARENT "-01.what", &parent));
}

static void test_anything_else_is_none(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "",
        "00",
        "00-",
        "00-" TRACE "-" PARENT,
        "00-" TRACE "-" PARENT "-0",
        "00-" TRACE "-" PARENT "-01-",
        "00-" TRACE "-" PARENT "-01 ",
        " 00-" TRACE "-" PARENT "-01",
        "ff-" TRACE "-" PARENT "-01",
        "0g-" TRACE "-" PARENT "-01",
        "00-" TRACE "-" PARENT "-0g",
        "00-" TRACE "-" PARENT "-0A",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" PARENT "-01",
        "00-" TRACE "-00F067AA0BA902B7-01",
        "00-0xf92f3577b34da6a3ce929d0e0e4736-" PARENT "-01",
        "00-00000000000000000000000000000000-" PARENT "-01",
        "00-" TRACE "-0000000000000000-01",
        "00_" TRACE "-" PARENT "-01",
        "00-" TRACE "_" PARENT "-01",
        "00-" TRACE "-" PARENT "_01",
    };
    struct traceparent parent;
    for (size_t i = 0; i < ARRAY_LEN(broken); i++)
        assert_false(takes(broken[i], &parent));
    /* A zero byte in the middle is a byte like any other. */
    assert_true(
        traceparent_parse(span_of("00-" TRACE "\0" PARENT "-01", TRACEPARENT_LEN), &parent).code !=
        0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_form_of_version_00),
        cmocka_unit_test(test_later_versions_may_be_longer),
        cmocka_unit_test(test_anything_else_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
