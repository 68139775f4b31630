/* The log's way out of an enclave: whole and in order while the parent reads; never in the program's way when it doesn't. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"

#include "enclave/log_relay.h"
#include "support/test.h"

static struct log_relay relay;

struct ends {
    int program; /* where the program writes */
    int from;
    int parent; /* the parent's own end */
};

static struct ends begin(bool keeps)
{
    int pipe_ends[2];
    assert_int_equal(pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK), 0);
    log_relay_init(&relay, pipe_ends[0], -1, keeps);
    return (struct ends){pipe_ends[1], pipe_ends[0], -1};
}

static void connect_parent(struct ends *ends)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    log_relay_connected(&relay, pair[0]);
    ends->parent = pair[1];
}

static void end(struct ends *ends)
{
    log_relay_close(&relay);
    fd_closep(&ends->program);
    fd_closep(&ends->from);
    fd_closep(&ends->parent);
}

static void say(const struct ends *ends, const char *text)
{
    assert_int_equal(write(ends->program, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(log_relay_take(&relay).code, 0);
}

static const char *heard(const struct ends *ends)
{
    static char text[LOG_RELAY_SIZE + 1];
    size_t len = 0;
    for (;;) {
        log_relay_send(&relay);
        ssize_t n = read(ends->parent, text + len, sizeof text - 1 - len);
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    text[len] = 0;
    return text;
}

static void test_what_was_said_before_the_parent_came_is_kept(void **state)
{
    (void)state;
    struct ends ends = begin(true);
    say(&ends, "one\n");
    say(&ends, "two\n");
    log_relay_send(&relay);
    connect_parent(&ends);
    assert_int_equal(log_relay_events(&relay), POLLOUT | POLLIN);
    assert_string_equal(heard(&ends), "one\ntwo\n");
    assert_int_equal(log_relay_events(&relay), POLLIN);
    say(&ends, "three\n");
    assert_string_equal(heard(&ends), "three\n");
    assert_false(relay.ended);
    fd_closep(&ends.program);
    assert_int_equal(log_relay_take(&relay).code, 0);
    assert_true(relay.ended);
    end(&ends);
}

/* 1 MiB for a parent that doesn't read: nothing blocks, and a line says what is missing. */
static void test_a_parent_that_does_not_read(void **state)
{
    (void)state;
    char line[65];
    (void)memset(line, 'x', 63);
    line[63] = '\n';
    line[64] = 0;
    struct ends ends = begin(true);
    connect_parent(&ends);
    for (int i = 0; i < 16384; i++) {
        say(&ends, line);
        if (i % 1000 == 0)
            log_relay_send(&relay);
    }
    assert_true(relay.dropped > 0);
    assert_true(relay.len <= LOG_RELAY_SIZE);
    const uint64_t dropped = relay.dropped;
    size_t len = 0;
    for (const char *text = heard(&ends); *text; text = heard(&ends)) {
        assert_null(strstr(text, "dropped"));
        len += strlen(text);
    }
    assert_int_equal(len + dropped, 16384 * 64);
    say(&ends, "again\n");
    char expected[128];
    (void)snprintf(expected, sizeof expected,
                   "\nenclave init: %llu bytes of the log were dropped\nagain\n",
                   (unsigned long long)dropped);
    assert_string_equal(heard(&ends), expected);
    assert_int_equal(relay.dropped, 0);
    end(&ends);
}

static void test_a_parent_that_goes_and_comes_again(void **state)
{
    (void)state;
    struct ends ends = begin(true);
    connect_parent(&ends);
    say(&ends, "one\n");
    assert_string_equal(heard(&ends), "one\n");
    fd_closep(&ends.parent);
    log_relay_send(&relay); /* nothing to send: its end is noticed all the same */
    assert_int_equal(relay.parent, -1);
    say(&ends, "two\n");
    log_relay_send(&relay);
    connect_parent(&ends);
    assert_string_equal(heard(&ends), "two\n");
    end(&ends);
}

static void test_what_a_parent_says_is_not_heard(void **state)
{
    (void)state;
    struct ends ends = begin(true);
    connect_parent(&ends);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(write(ends.parent, "command\n", 8), 8);
        log_relay_send(&relay);
    }
    say(&ends, "one\n");
    assert_string_equal(heard(&ends), "one\n");
    end(&ends);
}

static void test_without_a_port_nothing_is_kept(void **state)
{
    (void)state;
    struct ends ends = begin(false);
    say(&ends, "one\n");
    assert_int_equal(relay.len, 0);
    assert_int_equal(relay.dropped, 0);
    end(&ends);
}

static void test_the_console_has_it_too(void **state)
{
    (void)state;
    int console[2];
    char text[16] = "";
    struct ends ends = begin(true);
    assert_int_equal(pipe2(console, O_CLOEXEC), 0);
    relay.console = console[1];
    say(&ends, "one\n");
    assert_int_equal(read(console[0], text, sizeof text - 1), 4);
    assert_string_equal(text, "one\n");
    fd_closep(&console[0]);
    fd_closep(&console[1]);
    say(&ends, "two\n"); /* a console that has gone is no reason to end */
    connect_parent(&ends);
    assert_string_equal(heard(&ends), "one\ntwo\n");
    end(&ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_said_before_the_parent_came_is_kept),
        cmocka_unit_test(test_a_parent_that_does_not_read),
        cmocka_unit_test(test_a_parent_that_goes_and_comes_again),
        cmocka_unit_test(test_what_a_parent_says_is_not_heard),
        cmocka_unit_test(test_without_a_port_nothing_is_kept),
        cmocka_unit_test(test_the_console_has_it_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
