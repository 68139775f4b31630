#include <string.h>
#include <unistd.h>

#include "base/log.h"

#include "support/test.h"

enum {
    WALL_MS = 1000
};

static void formats(bool json, const char *record, const char *expected)
{
    struct buf out = buf_init(1 << 16);
    assert_int_equal(log_format(&out, json, "front", WALL_MS, span_str(record)).code, 0);
    assert_int_equal(buf_append(&out, "", 1).code, 0);
    assert_string_equal((const char *)out.data, expected);
    buf_release(&out);
}

static void test_a_record_becomes_one_line(void **state)
{
    (void)state;
    formats(true,
            "notice\x1f"
            "key added\x1fpubkey\x1f"
            "0xab\x1f"
            "count\x1f"
            "12",
            "{\"time\":\"1970-01-01T00:00:01.000Z\",\"level\":\"notice\",\"room\":\"front\","
            "\"msg\":\"key added\",\"pubkey\":\"0xab\",\"count\":12}\n");
    formats(false,
            "notice\x1f"
            "key added\x1fpath\x1f"
            "a b\x1f"
            "count\x1f"
            "12",
            "1970-01-01T00:00:01.000Z notice [front] key added path=\"a b\" count=12\n");
}

static void test_T24_a_room_cannot_forge_time_level_or_room(void **state)
{
    (void)state;
    const char *const forged[] = {
        "notice\x1fx\x1froom\x1f"
        "core",
        "notice\x1fx\x1ftime\x1f"
        "0",
        "notice\x1fx\x1fmsg\x1fy",
        "notice\x1fx\x1flevel\x1f"
        "error",
        "fatal\x1fx",
        "plain text of a library",
        "{\"room\":\"core\",\"msg\":\"audit\"}",
        "",
        "notice\x1fx\x1fodd",
        "notice\x1fx\x1fKey\x1fv",
    };
    for (size_t i = 0; i < ARRAY_LEN(forged); i++) {
        struct buf out = buf_init(1 << 16);
        assert_int_equal(log_format(&out, true, "front", WALL_MS, span_str(forged[i])).code, 0);
        assert_int_equal(buf_append(&out, "", 1).code, 0);
        const char *line = (const char *)out.data;
        assert_non_null(strstr(line, "\"level\":\"warn\",\"room\":\"front\",\"msg\":\""));
        assert_null(strstr(line + 60, "\"room\":\"core\""));
        buf_release(&out);
    }
}

static void test_T24_values_cannot_break_out_of_their_quotes(void **state)
{
    (void)state;
    formats(true, "info\x1fx\x1fpath\x1f\",\"room\":\"core\\",
            "{\"time\":\"1970-01-01T00:00:01.000Z\",\"level\":\"info\",\"room\":\"front\","
            "\"msg\":\"x\",\"path\":\"\\\",\\\"room\\\":\\\"core\\\\\"}\n");
}

static void test_a_line_break_in_a_value_cannot_start_a_record(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    log_init(fds[1], false, LOG_LEVEL_INFO);
    log_info("message",
             KV_STR("path", "a\nerror\x1f"
                            "forged"),
             KV_NUM("count", 3));
    log_debug("dropped");
    log_init(STDERR_FILENO, true, LOG_LEVEL_INFO);
    char got[LOG_RECORD_MAX];
    ssize_t n = read(fds[0], got, sizeof got - 1);
    assert_true(n > 0);
    got[n] = 0;
    assert_string_equal(got, "info\x1fmessage\x1fpath\x1f"
                             "a?error?forged\x1f"
                             "count\x1f"
                             "3\n");
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static void test_a_long_value_is_cut_not_split(void **state)
{
    (void)state;
    char text[3 * LOG_RECORD_MAX];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = 0;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    log_init(fds[1], false, LOG_LEVEL_INFO);
    log_info("message", KV_STR("path", text));
    log_init(STDERR_FILENO, true, LOG_LEVEL_INFO);
    char got[2 * LOG_RECORD_MAX];
    assert_int_equal(read(fds[0], got, sizeof got), LOG_RECORD_MAX);
    assert_int_equal(got[LOG_RECORD_MAX - 1], '\n');
    (void)close(fds[0]);
    (void)close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_record_becomes_one_line),
        cmocka_unit_test(test_T24_a_room_cannot_forge_time_level_or_room),
        cmocka_unit_test(test_T24_values_cannot_break_out_of_their_quotes),
        cmocka_unit_test(test_a_line_break_in_a_value_cannot_start_a_record),
        cmocka_unit_test(test_a_long_value_is_cut_not_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
