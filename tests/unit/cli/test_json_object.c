#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/supervisor.h"
#include "cli/json_object.h"
#include "support/test.h"

static void is_text(struct json_object *object, const char *expected)
{
    cc_err err = json_object_end(object);
    assert_false(err.code);
    assert_int_equal(object->text.len, strlen(expected));
    assert_memory_equal(object->text.data, expected, object->text.len);
    json_object_release(object);
}

static void members_have_commas_between(void **state)
{
    (void)state;
    struct json_object object = json_object_begin();
    json_object_text(&object, "text", "a \"b\"\\\n");
    json_object_text(&object, "none", NULL);
    json_object_flag(&object, "yes", true);
    json_object_flag(&object, "no", false);
    json_object_count(&object, "count", UINT64_MAX);
    json_object_time(&object, "epoch", UINT64_MAX);
    json_object_hex(&object, "hex", span_of("\x01\xff", 2));
    json_object_json(&object, "json", span_str("[1]"));
    json_object_json(&object, "nothing", (struct span){0});
    is_text(&object,
            "{\"text\": \"a \\\"b\\\"\\\\\\u000a\", \"none\": null, \"yes\": true, \"no\": false, "
            "\"count\": 18446744073709551615, \"epoch\": \"18446744073709551615\", "
            "\"hex\": \"0x01ff\", \"json\": [1], \"nothing\": null}");
}

static void brackets_nest(void **state)
{
    (void)state;
    struct json_object object = json_object_begin();
    is_text(&object, "{}");
    object = json_object_begin();
    json_object_open(&object, "list", '[');
    for (int i = 0; i < 2; i++) {
        json_object_open(&object, NULL, '{');
        json_object_flag(&object, "a", true);
        json_object_close(&object, '}');
    }
    json_object_text(&object, NULL, "[");
    json_object_text(&object, NULL, "b");
    json_object_close(&object, ']');
    json_object_open(&object, "empty", '[');
    json_object_close(&object, ']');
    is_text(&object, "{\"list\": [{\"a\": true}, {\"a\": true}, \"[\", \"b\"], \"empty\": []}");
}

static void each_line_is_one_item(void **state)
{
    (void)state;
    struct json_object object = json_object_begin();
    json_object_lines(&object, "none", (struct span){0});
    json_object_lines(&object, "whole", span_str("one\n\ntwo\n"));
    json_object_lines(&object, "cut", span_str("one"));
    is_text(&object, "{\"none\": [], \"whole\": [\"one\", \"\", \"two\"], \"cut\": [\"one\"]}");
}

/* What doesn't fit is no object with something missing. */
static void after_an_error_nothing_is_printed(void **state)
{
    (void)state;
    static uint8_t much[2 << 20];
    int ends[2];
    char byte;
    struct json_object object = json_object_begin();
    memset(much, 'a', sizeof much);
    json_object_span(&object, "much", span_of(much, sizeof much));
    json_object_flag(&object, "after", true);
    assert_true(object.err.code);
    assert_int_equal(pipe(ends), 0);
    (void)fflush(stdout);
    int kept = dup(STDOUT_FILENO);
    assert_int_equal(dup2(ends[1], STDOUT_FILENO), STDOUT_FILENO);
    int code = json_object_print(&object, "test", EXIT_CODE_DONE);
    (void)fflush(stdout);
    assert_int_equal(dup2(kept, STDOUT_FILENO), STDOUT_FILENO);
    (void)close(kept);
    (void)close(ends[1]);
    assert_int_equal(code, EXIT_CODE_FAILED);
    assert_int_equal(read(ends[0], &byte, 1), 0);
    (void)close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_have_commas_between),
        cmocka_unit_test(brackets_nest),
        cmocka_unit_test(each_line_is_one_item),
        cmocka_unit_test(after_an_error_nothing_is_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
