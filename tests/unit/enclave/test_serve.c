/* The one program of an enclave: run with what the plan says and nothing else, its log carried out, its end told. And the sign
 * of life that the parent waits for.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"

#include "enclave/ground.h"
#include "enclave/serve.h"
#include "support/test.h"

static struct enclave_plan plan;
static int parent_end = -1;
static unsigned connections;
static unsigned refusals;
static unsigned hang_ups;
static char gate[64]; /* a FIFO that opens when the parent is there; "": none */

/* A parent that isn't there at first. */
static cc_err connect_pair(uint32_t cid, uint32_t port, int *ret_fd)
{
    int pair[2];
    assert_int_equal(cid, 3);
    assert_int_equal(port, 9001);
    connections++;
    if (connections <= refusals)
        return CC_FAIL(SYSTEM, "nobody there");
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
    fd_closep(&parent_end);
    *ret_fd = pair[0];
    if (connections <= hang_ups) {
        fd_closep(&pair[1]);
        return CC_OK;
    }
    parent_end = pair[1];
    if (gate[0]) {
        CC_CLEANUP(fd_closep) int fd = open(gate, O_WRONLY | O_CLOEXEC);
        assert_int_equal(write(fd, "\n", 1), 1);
    }
    return CC_OK;
}

static int serve(const char *script, uint32_t log_port)
{
    int status = -1;
    plan = (struct enclave_plan){
        .parent_cid = 3, .heartbeat_port = 9000, .log_port = log_port, .argument_count = 2};
    (void)snprintf(plan.program, sizeof plan.program, "/bin/sh");
    (void)snprintf(plan.arguments[0], sizeof plan.arguments[0], "-c");
    (void)snprintf(plan.arguments[1], sizeof plan.arguments[1], "%s", script);
    connections = 0;
    const struct serve s = {&plan, connect_pair, -1};
    assert_int_equal(serve_run(&s, &status).code, 0);
    return status;
}

static const char *log_text(void)
{
    static char text[4096];
    ssize_t n = read(parent_end, text, sizeof text - 1);
    text[n < 0 ? 0 : n] = 0;
    fd_closep(&parent_end);
    return text;
}

static void test_the_program_runs_and_its_log_comes_out(void **state)
{
    (void)state;
    refusals = 0;
    int status = serve("echo one; echo two >&2; read x || echo no input; exit 3", 9001);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 3);
    assert_string_equal(log_text(), "one\ntwo\nno input\n");
}

/* A configuration can't be overridden by what PID 1 inherited. */
static void test_the_environment_is_empty(void **state)
{
    (void)state;
    refusals = 0;
    assert_int_equal(setenv("CONTAINMENT_NETWORK", "mainnet", 1), 0);
    (void)serve("tr '\\0' '\\n' </proc/$$/environ; [ -t 0 ] || echo end", 9001);
    assert_string_equal(log_text(), "end\n");
}

/* Not even a descriptor of the init's: /proc/self/fd has the three and that of ls itself. */
static void test_no_descriptor_is_inherited(void **state)
{
    (void)state;
    refusals = 0;
    CC_CLEANUP(fd_closep) int inherited = open("/dev/null", O_RDONLY); /* without close-on-exec */
    assert_true(inherited >= 0);
    (void)serve("exec /bin/ls /proc/self/fd", 9001);
    assert_string_equal(log_text(), "0\n1\n2\n3\n");
}

/* The program waits until somebody takes its log. */
static void third_time(void)
{
    char folder[] = "/tmp/test-serve-XXXXXX";
    char script[128];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(gate, sizeof gate, "%s/gate", folder);
    assert_int_equal(mkfifo(gate, 0600), 0);
    (void)snprintf(script, sizeof script, "echo one; read x < %s", gate);
    (void)serve(script, 9001);
    assert_int_equal(connections, 3);
    assert_string_equal(log_text(), "one\n");
    assert_int_equal(unlink(gate), 0);
    assert_int_equal(rmdir(folder), 0);
    gate[0] = 0;
}

static void test_a_parent_that_comes_late_has_the_whole_log(void **state)
{
    (void)state;
    refusals = 2;
    third_time();
}

static void test_a_parent_that_hangs_up_is_called_again(void **state)
{
    (void)state;
    hang_ups = 2;
    refusals = 0;
    third_time();
    hang_ups = 0;
}

static void test_the_end_does_not_wait_for_a_parent(void **state)
{
    (void)state;
    refusals = 1000000;
    int status = serve("echo one; kill -9 $$", 9001);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

/* What the program leaves behind holds its log open; the enclave ends all the same. */
static void test_the_end_does_not_wait_for_orphans(void **state)
{
    (void)state;
    refusals = 0;
    int status = serve("sleep 30 & echo $!; exit 4", 9001);
    assert_int_equal(WEXITSTATUS(status), 4);
    int orphan = (int)strtol(log_text(), NULL, 10);
    assert_true(orphan > 1);
    (void)kill(orphan, SIGKILL);
}

static void test_a_program_that_is_not_there(void **state)
{
    (void)state;
    int status = -1;
    plan = (struct enclave_plan){.parent_cid = 3, .heartbeat_port = 9000};
    (void)snprintf(plan.program, sizeof plan.program, "/nonexistent");
    const struct serve s = {&plan, connect_pair, -1};
    assert_int_equal(serve_run(&s, &status).code, 0);
    assert_int_equal(WEXITSTATUS(status), 127);
}

static void test_without_a_log_port_nobody_is_called(void **state)
{
    (void)state;
    (void)serve("echo one", 0);
    assert_int_equal(connections, 0);
}

/* --- the sign of life ------------------------------------------------------------------------------------------------- */

static cc_err heartbeat(const char *answer, int timeout_ms)
{
    int pair[2];
    uint8_t said = 0;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    if (answer && *answer)
        assert_int_equal(write(pair[1], answer, 1), 1);
    if (answer && !*answer)
        assert_int_equal(shutdown(pair[1], SHUT_WR), 0);
    cc_err err = ground_heartbeat(pair[0], timeout_ms);
    assert_int_equal(read(pair[1], &said, 1), 1);
    assert_int_equal(said, 0xb7);
    fd_closep(&pair[0]);
    fd_closep(&pair[1]);
    return err;
}

static void test_the_sign_of_life(void **state)
{
    (void)state;
    assert_int_equal(heartbeat("\xb7", 1000).code, 0);
    assert_true(error_is(heartbeat("\xb8", 1000), ERROR_IO));
    assert_true(error_is(heartbeat("", 1000), ERROR_IO)); /* hangs up */
    assert_true(error_is(heartbeat(NULL, 20), ERROR_IO)); /* says nothing */
}

static void test_no_security_module_is_no_error(void **state)
{
    (void)state;
    assert_int_equal(ground_entropy("/nonexistent/nsm").code, 0);
}

/* Anything that isn't one is. */
static void test_another_device_is_an_error(void **state)
{
    (void)state;
    assert_int_not_equal(ground_entropy("/dev/null").code, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_program_runs_and_its_log_comes_out),
        cmocka_unit_test(test_the_environment_is_empty),
        cmocka_unit_test(test_no_descriptor_is_inherited),
        cmocka_unit_test(test_a_parent_that_comes_late_has_the_whole_log),
        cmocka_unit_test(test_a_parent_that_hangs_up_is_called_again),
        cmocka_unit_test(test_the_end_does_not_wait_for_a_parent),
        cmocka_unit_test(test_the_end_does_not_wait_for_orphans),
        cmocka_unit_test(test_a_program_that_is_not_there),
        cmocka_unit_test(test_without_a_log_port_nobody_is_called),
        cmocka_unit_test(test_the_sign_of_life),
        cmocka_unit_test(test_no_security_module_is_no_error),
        cmocka_unit_test(test_another_device_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
