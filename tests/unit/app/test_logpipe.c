#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"

#include "app/logpipe.h"
#include "support/test.h"

/* A room's end of a log pipe, and where the supervisor writes. */
struct rig {
    struct logpipe pipe;
    int room;
    int out[2];
    struct log_sink sink;
};

static void set_up(struct rig *rig, bool json)
{
    assert_int_equal(logpipe_open(&rig->pipe, "front", &rig->room).code, 0);
    assert_int_equal(pipe2(rig->out, O_CLOEXEC | O_NONBLOCK), 0);
    rig->sink = (struct log_sink){rig->out[1], json};
}

static void tear_down(struct rig *rig)
{
    (void)close(rig->room);
    logpipe_close(&rig->pipe, &rig->sink);
    (void)close(rig->out[0]);
    (void)close(rig->out[1]);
}

static void say(const struct rig *rig, const char *text)
{
    assert_int_equal(fd_write_all(rig->room, text, strlen(text)).code, 0);
}

/* All that was written out, as text. */
static const char *written(struct rig *rig)
{
    static char text[1 << 17];
    ssize_t n = read(rig->out[0], text, sizeof text - 1);
    text[n > 0 ? n : 0] = 0;
    return text;
}

static void test_T24_the_supervisor_names_the_room_and_the_time(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig, true);
    say(&rig, "notice\x1fkey loaded\x1fkeys\x1f"
              "3\n");
    assert_true(logpipe_read(&rig.pipe, &rig.sink));
    const char *line = written(&rig);
    assert_non_null(strstr(
        line, "\"level\":\"notice\",\"room\":\"front\",\"msg\":\"key loaded\",\"keys\":3}\n"));
    assert_int_equal(strncmp(line, "{\"time\":\"2", 10), 0);
    tear_down(&rig);
}

/* Whatever a captured room writes, its line says where it came from, and stays one line. */
static void test_T24_a_room_cannot_forge_another_rooms_line(void **state)
{
    (void)state;
    static const char *const forgeries[] = {
        "{\"time\":\"2026-01-01T00:00:00.000Z\",\"level\":\"info\",\"room\":\"core\",\"msg\":\"signed\"}\n",
        "info\x1fsigned\x1froom\x1f"
        "core\n",
        "info\x1fsigned\x1fmsg\x1fother\n",
        "info\x1fsigned\x1ftime\x1f"
        "0\n",
        "info\x1fsigned\"}\r{\"room\":\"core\"\x1f"
        "a\x1f\"}\r{\"room\":\"core\"\n",
        "2026-01-01T00:00:00.000Z info [core] signed\n",
        "\x1b[2K\rinfo [core]\n",
    };
    for (size_t json = 0; json < 2; json++) {
        for (size_t i = 0; i < ARRAY_LEN(forgeries); i++) {
            struct rig rig;
            set_up(&rig, json == 1);
            say(&rig, forgeries[i]);
            assert_true(logpipe_read(&rig.pipe, &rig.sink));
            const char *line = written(&rig);
            const char *end = strchr(line, '\n');
            assert_non_null(end);
            assert_int_equal(end[1], 0);
            assert_null(strchr(line, '\r'));
            assert_null(strchr(line, 0x1b));
            const char *room = strstr(line, json ? "\"room\":\"" : "[");
            assert_non_null(room);
            assert_int_equal(strncmp(room, json ? "\"room\":\"front\"" : "[front]", json ? 14 : 7),
                             0);
            tear_down(&rig);
        }
    }
}

static void test_a_line_has_a_limit(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig, false);
    char text[3 * LOG_RECORD_MAX];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    say(&rig, text);
    say(&rig, "\ninfo\x1fnext\n");
    assert_true(logpipe_read(&rig.pipe, &rig.sink));
    const char *out = written(&rig);
    const char *end = strchr(out, '\n');
    assert_non_null(end);
    assert_true(end - out < 2 * LOG_RECORD_MAX);
    assert_non_null(strstr(end, "[front] next\n"));
    tear_down(&rig);
}

static void test_a_line_in_pieces_is_one_line_and_the_last_one_needs_no_end(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig, false);
    say(&rig, "info\x1fone");
    assert_true(logpipe_read(&rig.pipe, &rig.sink));
    assert_string_equal(written(&rig), "");
    say(&rig, " line\nassertion failed");
    assert_true(logpipe_read(&rig.pipe, &rig.sink));
    assert_non_null(strstr(written(&rig), "[front] one line\n"));
    (void)close(rig.room);
    assert_false(logpipe_read(&rig.pipe, &rig.sink));
    assert_non_null(strstr(written(&rig), "warn   [front] \"assertion failed\"\n"));
    tear_down(&rig);
}

static void test_a_slow_reader_loses_lines_and_is_told_how_many(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig, false);
    (void)fcntl(rig.out[1], F_SETPIPE_SZ, 4096);
    char line[600];
    (void)snprintf(line, sizeof line, "info\x1f%0500d\n", 1);
    for (int i = 0; i < 40; i++) {
        say(&rig, line);
        assert_true(logpipe_read(&rig.pipe, &rig.sink));
    }
    assert_true(strlen(written(&rig)) <= 4096);
    say(&rig, "info\x1f"
              "after\n");
    assert_true(logpipe_read(&rig.pipe, &rig.sink));
    const char *out = written(&rig);
    assert_non_null(strstr(out, "log lines lost lines="));
    assert_non_null(strstr(out, "[front] after\n"));
    tear_down(&rig);
}

static void open_terminal(int *ret_screen, int *ret_terminal)
{
    *ret_screen = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (*ret_screen < 0 || grantpt(*ret_screen) != 0 || unlockpt(*ret_screen) != 0)
        skip();
    *ret_terminal = open(ptsname(*ret_screen), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(*ret_terminal >= 0);
}

/* A terminal passes on in its own time, and so has room again in its own time: says and reads until `text` is there. */
static const char *say_and_read(struct rig *rig, const char *record, const char *text)
{
    static char all[1 << 16];
    uint64_t deadline = clock_mono_ms() + 10000;
    size_t len = 0;
    do {
        struct pollfd screen = {.fd = rig->out[0], .events = POLLIN};
        say(rig, record);
        assert_true(logpipe_read(&rig->pipe, &rig->sink));
        (void)poll(&screen, 1, 100);
        const char *part = written(rig);
        assert_true(len + strlen(part) < sizeof all && clock_mono_ms() < deadline);
        (void)memcpy(all + len, part, strlen(part) + 1);
        len += strlen(part);
    } while (!strstr(all, text));
    return all;
}

/* A terminal takes part of a line, then nothing: the supervisor must come back from it. */
static void test_a_terminal_that_nobody_reads_does_not_hold_up_the_supervisor(void **state)
{
    (void)state;
    struct rig rig;
    int screen = -1;
    int terminal = -1;
    set_up(&rig, false);
    open_terminal(&screen, &terminal);
    assert_int_equal(logpipe_open_output(terminal, &rig.sink.fd).code, 0);
    assert_int_equal(fcntl(terminal, F_GETFL) & O_NONBLOCK, 0); /* it is not ours alone */
    char line[LOG_RECORD_MAX];
    (void)alarm(60); /* a write that blocks ends the test */
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(line, sizeof line, "info\x1f%0*d\n", 1 + i * 97 % 1900, 1);
        say(&rig, line);
        assert_true(logpipe_read(&rig.pipe, &rig.sink));
    }
    assert_true(rig.pipe.lost > 0);
    (void)close(rig.out[0]);
    rig.out[0] = screen;
    while (written(&rig)[0])
        ;
    const char *out = say_and_read(&rig,
                                   "info\x1f"
                                   "after\n",
                                   "[front] after\r\n");
    (void)alarm(0);
    const char *loss = strstr(out, "log lines lost lines=");
    assert_non_null(loss);
    while (loss > out && loss[-1] != '\n')
        loss--;
    assert_true(loss[0] == '1' || loss[0] == '2'); /* a stamp: the line that stuck has its end */
    (void)close(terminal);
    (void)close(rig.sink.fd);
    rig.sink.fd = rig.out[1];
    tear_down(&rig);
}

static void test_a_flood_is_cut_to_the_rate(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig, false);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    rig.sink.fd = null;
    /* A busy machine may need more than a second for the rate's lines. */
    for (int i = 0; i < 100 * LOGPIPE_LINES_PER_SECOND && rig.pipe.lost == 0; i++) {
        say(&rig, "info\x1fx\n");
        assert_true(logpipe_read(&rig.pipe, &rig.sink));
    }
    assert_true(rig.pipe.lost > 0);
    (void)close(null);
    rig.sink.fd = rig.out[1];
    tear_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_T24_the_supervisor_names_the_room_and_the_time),
        cmocka_unit_test(test_T24_a_room_cannot_forge_another_rooms_line),
        cmocka_unit_test(test_a_line_has_a_limit),
        cmocka_unit_test(test_a_line_in_pieces_is_one_line_and_the_last_one_needs_no_end),
        cmocka_unit_test(test_a_slow_reader_loses_lines_and_is_told_how_many),
        cmocka_unit_test(test_a_terminal_that_nobody_reads_does_not_hold_up_the_supervisor),
        cmocka_unit_test(test_a_flood_is_cut_to_the_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
