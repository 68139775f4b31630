#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/foreign_text.h"
#include "support/test.h"

static void prints_as(struct span text, const char *expected)
{
    char *out = NULL;
    size_t len = 0;
    FILE *stream = open_memstream(&out, &len);
    assert_non_null(stream);
    foreign_text_print(stream, text);
    assert_int_equal(fclose(stream), 0);
    assert_string_equal(out, expected);
    free(out);
}

static void no_control_character_comes_out(void **state)
{
    (void)state;
    prints_as(span_str(""), "");
    prints_as(span_str("a key's name, \303\251"), "a key's name, \303\251");
    prints_as(span_str("\033[2J\r\n\t\177x"), "?[2J????x");
    prints_as(span_of("a\0b", 3), "a?b");
    prints_as(span_str("\302\23331m\302\240\302"), "?31m\302\240\302");
}

static void what_is_long_is_cut(void **state)
{
    (void)state;
    char text[FOREIGN_TEXT_MAX + 1], expected[FOREIGN_TEXT_MAX + 4];
    memset(text, 'a', sizeof text);
    memset(expected, 'a', FOREIGN_TEXT_MAX);
    memcpy(expected + FOREIGN_TEXT_MAX, "...", 4);
    prints_as(span_of(text, sizeof text), expected);
    expected[FOREIGN_TEXT_MAX] = 0;
    prints_as(span_of(text, FOREIGN_TEXT_MAX), expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_control_character_comes_out),
        cmocka_unit_test(what_is_long_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
