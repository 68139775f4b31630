#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"

#include "codec/json.h"
#include "support/test.h"

static struct jdoc doc = {.max = 1u << 19};

static int teardown(void **state)
{
    (void)state;
    jdoc_release(&doc);
    return 0;
}

static cc_err parse_bytes(const void *text, size_t len)
{
    /* A copy of exact size, so that a sanitizer sees a read beyond the end. */
    static uint8_t *body;
    free(body);
    body = malloc(len ? len : 1);
    assert_non_null(body);
    memcpy(body, text, len);
    return jdoc_parse(&doc, body, len);
}

static cc_err parse(const char *text)
{
    return parse_bytes(text, strlen(text));
}

static struct jval member(const char *text, const char *key)
{
    struct jval value;
    assert_int_equal(parse(text).code, 0);
    assert_true(jval_member(jdoc_root(&doc), key, &value));
    return value;
}

static void expect_text(struct jval value, const char *expected)
{
    struct span text;
    assert_int_equal(jval_text(value, &text).code, 0);
    assert_true(span_is(text, expected));
}

static void test_accepts(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{}",
        "[]",
        " \t\r\n[ ]\n",
        "{\"a\":{\"b\":[1,-2,3.5e+7,0,-0.0E-1,true,false,null,\"\"]},\"c\":[]}",
        "[[],[[]],{\"\":{}}]",
        "[\"\\u0000\\u00e9\\ud83d\\ude00\\\"\\\\\\/\\b\\f\\n\\r\\t\"]",
        "[\"\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"]",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (parse(texts[i]).code)
            fail_msg("%zu: %s", i, error_detail());
    }
}

static void test_refuses_what_is_no_json(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        " ",
        "1",
        "\"a\"",
        "true",
        "null",
        "{",
        "[",
        "}",
        "]",
        "[}",
        "{]",
        "{}{}",
        "[] []",
        "[]x",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,\"a\":1}",
        "{\"a\" 1}",
        "{\"a\":1 \"b\":2}",
        "{a:1}",
        "{1:2}",
        "{\"a\":1:2}",
        "{\"a\":\"b\":\"c\"}",
        "{\"a\",\"b\"}",
        "{true:1}",
        "{[]:1}",
        "{null}",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[,]",
        "[1,,2]",
        "[\"a\" \"b\"]",
        "[1:2]",
        "[:]",
        "[01]",
        "[+1]",
        "[.5]",
        "[1.]",
        "[1e]",
        "[1e+]",
        "[-]",
        "[- 1]",
        "[0x10]",
        "[1a]",
        "[NaN]",
        "[Infinity]",
        "[1_0]",
        "[tru]",
        "[True]",
        "[truex]",
        "[nul]",
        "[falsee]",
        "[\"]",
        "[\"a]",
        "[\"\\\"]",
        "[\"\\x\"]",
        "[\"\\u12\"]",
        "[\"\\u12g4\"]",
        "[\"\\",
        "[\"\\u",
        "[\"\t\"]",
        "[\"\n\"]",
        "['a']",
        "[//\n1]",
        "[/**/1]",
        "\xef\xbb\xbf[]",
        "[\v1]",
        "[\xc2\xa0]",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (parse(texts[i]).code != ERROR_JSON_SYNTAX)
            fail_msg("%s", texts[i]);
    }
    assert_int_equal(parse_bytes("[]\0", 3).code, ERROR_JSON_SYNTAX);
    assert_int_equal(parse_bytes("[1\0]", 4).code, ERROR_JSON_SYNTAX);
    assert_int_equal(parse_bytes("[\"\0\"]", 5).code, ERROR_JSON_SYNTAX);
}

static void test_refuses_bad_utf8(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "[\"\x80\"]",
        "[\"\xc0\x80\"]",
        "[\"\xc1\xbf\"]",
        "[\"\xc2\"]",
        "[\"\xc2\x41\"]",
        "[\"\xe0\x9f\xbf\"]",
        "[\"\xed\xa0\x80\"]",
        "[\"\xe2\x82\"]",
        "[\"\xf0\x8f\xbf\xbf\"]",
        "[\"\xf4\x90\x80\x80\"]",
        "[\"\xf5\x80\x80\x80\"]",
        "[\"\xff\"]",
        "[\"\xf0\x90\x80\"]",
        "[\"\xe2\x28\xa1\"]",
        "[\"\xc2",
        "[\"\\ud800\"]",
        "[\"\\udc00\"]",
        "[\"\\ud800\\u0041\"]",
        "[\"\\ud800x\"]",
        "[\"\\ud800\\n\"]",
        "[\"\\udbff\\udbff\"]",
        "{\"\\ud800\":1}",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (parse(texts[i]).code != ERROR_JSON_UTF8)
            fail_msg("%zu", i);
    }
}

static void test_duplicate_keys_after_unescaping(void **state)
{
    (void)state;
    static const char *const twins[] = {
        "{\"a\":1,\"a\":1}",
        "{\"a\":1,\"b\":{\"c\":1,\"d\":2,\"c\":3}}",
        "[{\"type\":1,\"\\u0074ype\":2}]",
        "{\"/\":1,\"\\/\":2}",
        "{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}",
        "{\"\":1,\"\":2}",
    };
    for (size_t i = 0; i < ARRAY_LEN(twins); i++)
        assert_int_equal(parse(twins[i]).code, ERROR_JSON_DUPLICATE_KEY);
    assert_int_equal(parse("{\"a\":1,\"A\":2,\"b\":{\"a\":3},\"aa\":4}").code, 0);
}

/* Objects of every size around the change of method, with the twin at every place. */
static void test_duplicate_keys_in_large_objects(void **state)
{
    (void)state;
    char text[4096];
    for (int count = 2; count < 60; count++) {
        for (int twin = -1; twin < count - 1; twin++) {
            int at = 0;
            for (int i = 0; i < count; i++)
                at += snprintf(text + at, sizeof(text) - (size_t)at, "%c\"k%d\":[{}]",
                               i ? ',' : '{', i == count - 1 && twin >= 0 ? twin : i);
            (void)snprintf(text + at, sizeof(text) - (size_t)at, "}");
            assert_int_equal(parse(text).code, twin < 0 ? 0 : ERROR_JSON_DUPLICATE_KEY);
        }
    }
}

static void test_unescapes_in_place(void **state)
{
    (void)state;
    expect_text(member("{\"\\u0061\\n\":\"x\\u00e9\\ud83d\\ude00\\\"\\/y\",\"z\":1}", "a\n"),
                "x\xc3\xa9\xf0\x9f\x98\x80\"/y");
    struct span key;
    struct jval value;
    struct jval_iter iter = jval_iterate(jdoc_root(&doc));
    assert_true(jval_next_member(&iter, &key, &value));
    assert_true(span_is(key, "a\n"));
    assert_true(jval_next_member(&iter, &key, &value));
    assert_true(span_is(key, "z"));
    assert_false(jval_next_member(&iter, &key, &value));
}

static void test_lookup_and_iteration(void **state)
{
    (void)state;
    struct jval value;
    struct jval list = member("{\"a\":{\"b\":[[1,2],{\"x\":3},\"s\",4]},\"b\":[5]}", "a");
    assert_true(jval_member(list, "b", &list));
    assert_int_equal(jval_count(list), 4);
    static const enum jval_type types[] = {JVAL_ARRAY, JVAL_OBJECT, JVAL_STRING, JVAL_NUMBER};
    struct jval_iter iter = jval_iterate(list);
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        assert_true(jval_next(&iter, &value));
        assert_int_equal(jval_type(value), types[i]);
    }
    assert_false(jval_next(&iter, &value));
    assert_false(jval_member(list, "b", &value));
    assert_false(jval_member(jdoc_root(&doc), "x", &value));
    assert_false(jval_member(jdoc_root(&doc), "", &value));
    assert_int_equal(jval_count(value), 0);
}

static void test_P14_numbers_keep_every_bit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t number;
        enum error_code error;
    } cases[] = {
        {"0", 0, ERROR_NONE},
        {"1", 1, ERROR_NONE},
        {"2147483648", 1ull << 31, ERROR_NONE},
        {"9007199254740992", 1ull << 53, ERROR_NONE},
        {"9007199254740993", (1ull << 53) + 1, ERROR_NONE},
        {"9223372036854775807", INT64_MAX, ERROR_NONE},
        {"9223372036854775808", 1ull << 63, ERROR_NONE},
        {"18446744073709551615", UINT64_MAX, ERROR_NONE},
        {"18446744073709551616", 0, ERROR_NUMBER_RANGE},
        {"100000000000000000000000000000000000000", 0, ERROR_NUMBER_RANGE},
        {"-1", 0, ERROR_MALFORMED},
        {"-0", 0, ERROR_MALFORMED},
        {"1.0", 0, ERROR_MALFORMED},
        {"1e3", 0, ERROR_MALFORMED},
        {"1E0", 0, ERROR_MALFORMED},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (int quoted = 0; quoted < 2; quoted++) {
            char text[128];
            uint64_t number = 0;
            (void)snprintf(text, sizeof(text), quoted ? "{\"n\":\"%s\"}" : "{\"n\":%s}",
                           cases[i].text);
            assert_int_equal(jval_u64(member(text, "n"), &number).code, cases[i].error);
            assert_int_equal(number, cases[i].number);
        }
    }
}

static void test_strings_that_are_no_numbers(void **state)
{
    (void)state;
    static const char *const texts[] = {"\"\"",         "\" 1\"", "\"1 \"",      "\"0x1\"",
                                        "\"1\\u0000\"", "\"+1\"", "\"\xd9\xa1\""};
    uint64_t number;
    struct span digits;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "{\"n\":%s}", texts[i]);
        assert_int_equal(jval_u64(member(text, "n"), &number).code, ERROR_MALFORMED);
        assert_int_equal(jval_decimal(member(text, "n"), &digits).code, ERROR_MALFORMED);
    }
    static const char *const others[] = {"true", "null", "[]", "{}"};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "{\"n\":%s}", others[i]);
        assert_int_equal(jval_u64(member(text, "n"), &number).code, ERROR_FIELD_TYPE);
        assert_int_equal(jval_decimal(member(text, "n"), &digits).code, ERROR_FIELD_TYPE);
        assert_int_equal(jval_text(member(text, "n"), &digits).code, ERROR_FIELD_TYPE);
    }
    bool b;
    assert_int_equal(jval_bool(member("{\"n\":\"true\"}", "n"), &b).code, ERROR_FIELD_TYPE);
    assert_int_equal(jval_bool(member("{\"n\":true}", "n"), &b).code, 0);
    assert_true(b);
    assert_int_equal(jval_bool(member("{\"n\":false}", "n"), &b).code, 0);
    assert_false(b);
}

static char *repeat(const char *head, const char *piece, size_t count, const char *tail)
{
    size_t at = strlen(head);
    size_t len = strlen(piece);
    char *text = malloc(at + len * count + strlen(tail) + 1);
    assert_non_null(text);
    memcpy(text, head, at);
    for (size_t i = 0; i < count; i++, at += len)
        memcpy(text + at, piece, len);
    (void)strcpy(text + at, tail);
    return text;
}

static void test_P24_depth(void **state)
{
    (void)state;
    char text[2 * JSON_DEPTH_MAX + 8];
    memset(text, '[', JSON_DEPTH_MAX);
    memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    assert_int_equal(parse_bytes(text, (size_t)2 * JSON_DEPTH_MAX).code, 0);
    memset(text, '[', JSON_DEPTH_MAX + 1);
    assert_int_equal(parse_bytes(text, (size_t)2 * JSON_DEPTH_MAX + 1).code, ERROR_JSON_TOO_DEEP);
    char *deep = repeat("", "{\"a\":", 200000, "");
    assert_int_equal(parse(deep).code, ERROR_JSON_TOO_DEEP);
    free(deep);
}

static void test_P24_tokens_are_bounded(void **state)
{
    (void)state;
    struct jdoc small = jdoc_init(4);
    uint8_t fits[] = "[1,2,3]";
    uint8_t too_many[] = "[1,2,3,4]";
    assert_int_equal(jdoc_parse(&small, fits, sizeof(fits) - 1).code, 0);
    assert_int_equal(jdoc_parse(&small, too_many, sizeof(too_many) - 1).code, ERROR_JSON_TOO_LARGE);
    jdoc_release(&small);
}

/* Bodies of 1 MiB that are quadratic for a simple parser. The limit is generous for a slow machine under a sanitizer;
 * quadratic work on a mebibyte would take minutes.
 */
static void test_P24_hostile_shapes_take_linear_time(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        const char *piece;
        const char *tail;
    } shapes[] = {
        {"[", "[],", "[]]"},         {"[", "{},", "1]"},        {"[", "1,", "1]"},
        {"[", "{\"a\":[]},", "1]"},  {"[\"", "\\u0041", "\"]"}, {"[\"", "\xf0\x9f\x98\x80", "\"]"},
        {"{\"a\":", "\"b\":", "1}"},
    };
    uint64_t start = clock_mono_ms();
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        char *text = repeat(shapes[i].head, shapes[i].piece, (1u << 20) / strlen(shapes[i].piece),
                            shapes[i].tail);
        (void)parse(text);
        jdoc_wipe(&doc);
        free(text);
    }
    assert_true(clock_mono_ms() - start < 10000);
}

/* One object of 100,000 members, in an order that is bad for naive sorts too, and without a twin. */
static void test_P24_many_keys(void **state)
{
    (void)state;
    enum {
        KEYS = 100000
    };
    char *text = malloc((size_t)KEYS * 12 + 2);
    assert_non_null(text);
    size_t at = 0;
    for (int i = 0; i < KEYS; i++)
        at += (size_t)sprintf(text + at, "%c\"%05d\":0", i ? ',' : '{', i);
    text[at++] = '}';
    uint64_t start = clock_mono_ms();
    assert_int_equal(parse_bytes(text, at).code, 0);
    memcpy(text + at - 10, "\"00007\":0}", 10);
    assert_int_equal(parse_bytes(text, at).code, ERROR_JSON_DUPLICATE_KEY);
    assert_true(clock_mono_ms() - start < 10000);
    jdoc_wipe(&doc);
    free(text);
}

static void test_steady_state_allocates_nothing(void **state)
{
    (void)state;
    char text[] = "{\"a\":[1,2,3],\"b\":{\"c\":\"d\"}}";
    struct jdoc own = jdoc_init(1000);
    for (int round = 0; round < 3; round++) {
        (void)alloc_fail_nth(0);
        char copy[sizeof(text)];
        memcpy(copy, text, sizeof(text));
        assert_int_equal(jdoc_parse(&own, (uint8_t *)copy, sizeof(text) - 1).code, 0);
        jdoc_wipe(&own);
        if (round > 0)
            assert_int_equal(alloc_fail_nth(0), 0);
    }
    jdoc_release(&own);
}

static void test_wipe_clears_the_text_and_gives_large_memory_back(void **state)
{
    (void)state;
    uint8_t text[] = "{\"password\":\"canary\"}";
    static const uint8_t zero[sizeof(text) - 1];
    assert_int_equal(jdoc_parse(&doc, text, sizeof(text) - 1).code, 0);
    jdoc_wipe(&doc);
    assert_memory_equal(text, zero, sizeof(zero));
    char *large = repeat("[", "1,", 2 * JSON_TOKENS_KEPT, "1]");
    assert_int_equal(parse(large).code, 0);
    assert_true(doc.cap > JSON_TOKENS_KEPT);
    jdoc_wipe(&doc);
    assert_int_equal(doc.cap, 0);
    free(large);
}

static void test_out_of_memory_is_an_error(void **state)
{
    (void)state;
    uint8_t text[1024];
    size_t at = 0;
    for (int i = 0; i < 40; i++)
        at += (size_t)sprintf((char *)text + at, "%c\"%d\":0", i ? ',' : '{', i);
    text[at++] = '}';
    for (uint64_t nth = 1; nth <= 2; nth++) {
        struct jdoc own = jdoc_init(1000);
        (void)alloc_fail_nth(nth);
        assert_int_equal(jdoc_parse(&own, text, at).code, ERROR_NO_MEMORY);
        (void)alloc_fail_nth(0);
        assert_int_equal(jdoc_parse(&own, text, at).code, 0);
        jdoc_release(&own);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),
        cmocka_unit_test(test_refuses_what_is_no_json),
        cmocka_unit_test(test_refuses_bad_utf8),
        cmocka_unit_test(test_duplicate_keys_after_unescaping),
        cmocka_unit_test(test_duplicate_keys_in_large_objects),
        cmocka_unit_test(test_unescapes_in_place),
        cmocka_unit_test(test_lookup_and_iteration),
        cmocka_unit_test(test_P14_numbers_keep_every_bit),
        cmocka_unit_test(test_strings_that_are_no_numbers),
        cmocka_unit_test(test_P24_depth),
        cmocka_unit_test(test_P24_tokens_are_bounded),
        cmocka_unit_test(test_P24_hostile_shapes_take_linear_time),
        cmocka_unit_test(test_P24_many_keys),
        cmocka_unit_test(test_steady_state_allocates_nothing),
        cmocka_unit_test(test_wipe_clears_the_text_and_gives_large_memory_back),
        cmocka_unit_test(test_out_of_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
