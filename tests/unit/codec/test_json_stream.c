/* codec/json_stream.c: what is JSON, what isn't, and where it stops. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/json_stream.h"
#include "support/test.h"

struct input {
    const char *text;
    size_t len, at, chunk;
};

static cc_err read_input(void *context, void *into, size_t room, size_t *ret_len)
{
    struct input *in = context;
    size_t n = in->len - in->at;
    n = n > room ? room : n;
    n = in->chunk && n > in->chunk ? in->chunk : n;
    memcpy(into, in->text + in->at, n);
    in->at += n;
    *ret_len = n;
    return CC_OK;
}

static struct json_stream stream;

/* The events as text: "{k:sd}" for {"k":"d"}; or the error's name. */
static const char *events(const char *text, size_t len, size_t chunk)
{
    static char out[4096];
    static const char marks[] = "{}[]ksntf0.";
    struct input in = {text, len, 0, chunk};
    size_t at = 0;
    json_stream_init(&stream, read_input, &in);
    for (;;) {
        enum json_stream_event event;
        cc_err err = json_stream_next(&stream, &event);
        if (err.code) {
            cc_err again = json_stream_next(&stream, &event);
            assert_int_equal(again.code, err.code);
            return error_name(err);
        }
        out[at++] = marks[event];
        if (event == JSON_STREAM_END)
            break;
        if (event == JSON_STREAM_KEY || event == JSON_STREAM_STRING ||
            event == JSON_STREAM_NUMBER) {
            assert_true(at + stream.text.len + 2 < sizeof out);
            memcpy(out + at, stream.text.data, stream.text.len);
            at += stream.text.len;
            out[at++] = ';';
        }
    }
    out[at] = 0;
    return out;
}

static void expect(const char *text, const char *wanted)
{
    for (size_t chunk = 0; chunk < 4; chunk++)
        assert_string_equal(events(text, strlen(text), chunk), wanted);
}

static void test_values(void **state)
{
    (void)state;
    expect("{}", "{}.");
    expect(" [ ] ", "[].");
    expect("\t\r\n\"a\"", "sa;.");
    expect("{\"a\":1,\"b\":[true,false,null,{}]}", "{ka;n1;kb;[tf0{}]}.");
    expect("[[],[1],[[2,3]]]", "[[][n1;][[n2;n3;]]].");
    expect("0", "n0;.");
    expect("-0.5e+10", "n-0.5e+10;.");
    expect("[1E9,18446744073709551616,0.00]", "[n1E9;n18446744073709551616;n0.00;].");
    expect("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "s\"\\/\b\f\n\r\t;.");
    expect("\"\\u0041\\u00e9\\u20AC\\ud83d\\ude00\"", "sA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80;.");
    expect("\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf\xed\x9f\xbf\"",
           "s\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf\xed\x9f\xbf;.");
    /* Keys that come twice are the caller's business. */
    expect("{\"a\":1,\"a\":2}", "{ka;n1;ka;n2;}.");
}

static void test_what_is_not_json(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        " ",
        "{",
        "}",
        "[",
        "]",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{1:2}",
        "{a:1}",
        "{\"a\" 1}",
        "{\"a\":1]",
        "[1}",
        "[]]",
        "[] []",
        "1 2",
        "tru",
        "truex",
        "True",
        "nul",
        "NaN",
        "Infinity",
        "-",
        "+1",
        "01",
        "-01",
        "1.",
        ".5",
        "1e",
        "1e+",
        "0x10",
        "1_000",
        "'a'",
        "\"a",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\n\"",
        "\"\t\"",
        "\"\\u\"",
        "// c\n1",
        "[1]x",
        "{\"a\":1 \"b\":2}",
        "\xef\xbb\xbf{}",
        "[1,\n,2]",
        "\"\x01\"",
        "{\"a\"::1}",
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        expect(wrong[i], "JSON_SYNTAX");
    assert_string_equal(events("1\0", 2, 0), "JSON_SYNTAX");
    assert_string_equal(events("\"a\0b\"", 5, 0), "JSON_SYNTAX");
}

static void test_what_is_not_utf8(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "\"\x80\"",
        "\"\xc0\x80\"",
        "\"\xc1\xbf\"",
        "\"\xc3\"",
        "\"\xe0\x80\x80\"",
        "\"\xe2\x82\"",
        "\"\xed\xa0\x80\"",
        "\"\xf0\x80\x80\x80\"",
        "\"\xf4\x90\x80\x80\"",
        "\"\xf5\x80\x80\x80\"",
        "\"\xff\"",
        "\"\xc3\x28\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\n\"",
        "\"\\ud800\\u0041\"",
        "\"\\ud800x\"",
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        expect(wrong[i], "JSON_UTF8");
}

static void test_P24_depth_and_length_are_bounded(void **state)
{
    (void)state;
    char text[4 * JSON_STREAM_TEXT];
    memset(text, '[', JSON_STREAM_DEPTH);
    memset(text + JSON_STREAM_DEPTH, ']', JSON_STREAM_DEPTH);
    assert_memory_equal(events(text, 2 * JSON_STREAM_DEPTH, 0), text, 2 * JSON_STREAM_DEPTH);
    memset(text, '[', sizeof text);
    assert_string_equal(events(text, sizeof text, 0), "JSON_TOO_DEEP");
    memset(text, '1', sizeof text);
    assert_string_equal(events(text, sizeof text, 0), "JSON_TOO_LARGE");
    assert_int_equal(events(text, JSON_STREAM_TEXT, 0)[0], 'n');
    text[0] = text[JSON_STREAM_TEXT + 1] = '"';
    assert_int_equal(events(text, JSON_STREAM_TEXT + 2, 0)[0], 's');
    text[JSON_STREAM_TEXT + 1] = 'x';
    assert_string_equal(events(text, sizeof text, 0), "JSON_TOO_LARGE");
}

static void test_lines_are_counted(void **state)
{
    (void)state;
    static const char text[] = "{\n\"a\":\n\n1,\r\n\"b\": [\n2]}\n\n";
    static const uint64_t lines[] = {1, 2, 4, 5, 5, 6, 6, 6, 8};
    struct input in = {text, sizeof text - 1, 0, 1};
    json_stream_init(&stream, read_input, &in);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        enum json_stream_event event;
        assert_int_equal(json_stream_next(&stream, &event).code, 0);
        assert_int_equal(stream.line, lines[i]);
    }
}

static void test_values_can_be_skipped(void **state)
{
    (void)state;
    static const char text[] = "[{\"a\":[1,{\"b\":[]}]},2,[[3]],4]";
    struct input in = {text, sizeof text - 1, 0, 0};
    enum json_stream_event event;
    json_stream_init(&stream, read_input, &in);
    assert_int_equal(json_stream_next(&stream, &event).code, 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(json_stream_next(&stream, &event).code, 0);
        assert_int_equal(json_stream_skip(&stream, event).code, 0);
    }
    assert_int_equal(json_stream_next(&stream, &event).code, 0);
    assert_int_equal(event, JSON_STREAM_ARRAY_END);
    in = (struct input){"[[1,", 4, 0, 0};
    json_stream_init(&stream, read_input, &in);
    assert_int_equal(json_stream_next(&stream, &event).code, 0);
    assert_int_equal(json_stream_next(&stream, &event).code, 0);
    assert_int_equal(json_stream_skip(&stream, event).code, ERROR_JSON_SYNTAX);
}

static cc_err failing_read(void *context, void *into, size_t room, size_t *ret_len)
{
    (void)context;
    (void)into;
    (void)room;
    (void)ret_len;
    return CC_FAIL(IO, "gone");
}

static void test_a_failed_read_is_passed_on(void **state)
{
    (void)state;
    enum json_stream_event event;
    json_stream_init(&stream, failing_read, NULL);
    assert_int_equal(json_stream_next(&stream, &event).code, ERROR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_what_is_not_json),
        cmocka_unit_test(test_what_is_not_utf8),
        cmocka_unit_test(test_P24_depth_and_length_are_bounded),
        cmocka_unit_test(test_lines_are_counted),
        cmocka_unit_test(test_values_can_be_skipped),
        cmocka_unit_test(test_a_failed_read_is_passed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
