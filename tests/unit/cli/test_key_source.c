#include <stdio.h>
#include <string.h>

#include "cli/key_source.h"
#include "support/test.h"

/* What came of one text. */
static struct {
    unsigned taken, failed;
    uint8_t last[32];
    int error;
    bool stops;
} seen;

static cc_err take(void *context, const char *name, const uint8_t secret[static 32])
{
    (void)context;
    assert_string_equal(name, "n");
    seen.taken++;
    memcpy(seen.last, secret, sizeof seen.last);
    return seen.stops ? CC_FAIL(IO, NULL) : CC_OK;
}

static void left_out(void *context, const char *name, cc_err err, const char *why)
{
    (void)context, (void)why;
    assert_string_equal(name, "n");
    seen.failed++;
    seen.error = err.code;
}

static const struct key_source_sink sink = {take, left_out, NULL};

static cc_err read_text(const char *text)
{
    memset(&seen, 0, sizeof seen);
    return key_source_take_text(&sink, "n", span_str(text));
}

#define A "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"

static void keys_are_taken_line_by_line(void **state)
{
    (void)state;
    assert_int_equal(read_text(A).code, 0);
    assert_int_equal(seen.taken, 1);
    assert_int_equal(seen.last[31], 0xff);
    assert_int_equal(read_text("0x" A "\r\n\n  \n0X" A "\n").code, 0);
    assert_int_equal(seen.taken, 2);
    assert_int_equal(seen.failed, 0);
}

static void what_is_no_key_is_told_and_the_rest_is_taken(void **state)
{
    (void)state;
    static const char *const texts[] = {"x" A, A "0\n" A, "0x\n" A, "0x0x" A "\n" A, "-\n" A};
    for (size_t i = 1; i < ARRAY_LEN(texts); i++) {
        assert_int_equal(read_text(texts[i]).code, 0);
        assert_int_equal(seen.taken, 1);
        assert_int_equal(seen.failed, 1);
        assert_int_equal(seen.error, ERROR_KEY_INVALID);
    }
    assert_int_equal(read_text(texts[0]).code, 0);
    assert_int_equal(seen.taken, 0);
    assert_int_equal(read_text("").code, 0);
    assert_int_equal(seen.failed, 1);
    assert_int_equal(read_text(" \n\n").code, 0);
    assert_int_equal(seen.failed, 1);
}

static void no_more_than_200(void **state)
{
    (void)state;
    static char text[201 * 65 + 1];
    for (size_t i = 0; i < 201; i++)
        memcpy(text + i * 65, A "\n", 66);
    text[200 * 65] = 0;
    assert_int_equal(read_text(text).code, 0);
    assert_int_equal(seen.taken, 200);
    assert_int_equal(seen.failed, 0);
    text[200 * 65] = '0';
    assert_int_equal(read_text(text).code, 0);
    assert_int_equal(seen.taken, 200);
    assert_int_equal(seen.error, ERROR_LIMIT);
}

static void who_takes_may_end_it(void **state)
{
    (void)state;
    memset(&seen, 0, sizeof seen);
    seen.stops = true;
    assert_true(error_is(key_source_take_text(&sink, "n", span_str(A "\n" A)), ERROR_IO));
    assert_int_equal(seen.taken, 1);
}

static void services_by_name(void **state)
{
    (void)state;
    assert_ptr_equal(key_source_find("hashicorp"), &key_source_hashicorp);
    assert_ptr_equal(key_source_find("aws-secrets"), &key_source_aws);
    assert_ptr_equal(key_source_find("azure"), &key_source_azure);
    assert_ptr_equal(key_source_find("gcp"), &key_source_gcp);
    assert_null(key_source_find("aws"));
}

static void tags_are_named_with_a_value_or_without(void **state)
{
    (void)state;
    struct key_source_tag tag;
    const char *list = "ENV=prod,a,=b,k=v=w,e=";
    assert_true(key_source_next_tag(&list, &tag));
    assert_true(key_source_fits(&tag, span_str("ENV"), span_str("prod")));
    assert_false(key_source_fits(&tag, span_str("ENV"), span_str("production")));
    assert_false(key_source_fits(&tag, span_str("ENV2"), span_str("prod")));
    assert_true(key_source_next_tag(&list, &tag));
    assert_true(key_source_fits(&tag, span_str("a"), span_str("anything")));
    assert_false(key_source_fits(&tag, span_str("ab"), span_str("")));
    assert_true(key_source_next_tag(&list, &tag));
    assert_true(key_source_fits(&tag, span_str("x"), span_str("b")));
    assert_false(key_source_fits(&tag, span_str("b"), span_str("c")));
    assert_true(key_source_next_tag(&list, &tag));
    assert_true(key_source_fits(&tag, span_str("k"), span_str("v=w")));
    assert_true(key_source_next_tag(&list, &tag));
    assert_true(key_source_fits(&tag, span_str("e"), span_str("")));
    assert_false(key_source_fits(&tag, span_str("e"), span_str("f")));
    assert_false(key_source_next_tag(&list, &tag));
    list = NULL;
    assert_false(key_source_next_tag(&list, &tag));
}

static void options_that_a_service_has_not_are_refused(void **state)
{
    (void)state;
    struct key_source source = {.kind = &key_source_azure, .tags = "a=b,c", .prefixes = "x"};
    assert_null(key_source_fault(&source));
    source.tags = "a=b,";
    assert_null(key_source_fault(&source));
    static const char *const none[] = {"", ",", "=", "a,,b", ",a", "a,="};
    for (size_t i = 0; i < ARRAY_LEN(none); i++) {
        source.tags = none[i];
        assert_non_null(key_source_fault(&source));
    }
    source = (struct key_source){.kind = &key_source_aws, .filter = "name:x"};
    assert_non_null(key_source_fault(&source));
    source.kind = &key_source_gcp;
    assert_null(key_source_fault(&source));
    source.tags = "a";
    assert_non_null(key_source_fault(&source));
    source = (struct key_source){.kind = &key_source_hashicorp, .tags = "a"};
    assert_non_null(key_source_fault(&source));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_taken_line_by_line),
        cmocka_unit_test(what_is_no_key_is_told_and_the_rest_is_taken),
        cmocka_unit_test(no_more_than_200),
        cmocka_unit_test(who_takes_may_end_it),
        cmocka_unit_test(services_by_name),
        cmocka_unit_test(tags_are_named_with_a_value_or_without),
        cmocka_unit_test(options_that_a_service_has_not_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
