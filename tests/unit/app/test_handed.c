/* Sockets that a service manager has opened: which are taken, and where. */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/io.h"

#include "app/handed.h"
#include "app/variable.h"
#include "support/test.h"

static char directory[] = "/tmp/test-handed-XXXXXX";
static char path[64];

/* Moves `fd` to where the next socket that is handed over has to be. */
static void place(int fd, int at)
{
    assert_true(fd >= 0);
    if (fd == at)
        return;
    assert_int_equal(dup2(fd, at), at);
    (void)close(fd);
}

static int listening_tcp(const char *host)
{
    struct endpoint endpoint = {.kind = ENDPOINT_TCP, .literal = true};
    int fd = -1;
    (void)snprintf(endpoint.host, sizeof endpoint.host, "%s", host);
    assert_int_equal(endpoint_listen(&endpoint, 0, &fd).code, 0);
    return fd;
}

static int listening_unix(mode_t mode)
{
    struct endpoint endpoint = {.kind = ENDPOINT_UNIX};
    int fd = -1;
    (void)snprintf(endpoint.host, sizeof endpoint.host, "%s", path);
    assert_int_equal(endpoint_listen(&endpoint, mode, &fd).code, 0);
    return fd;
}

static char pid_text[32], count_text[32];
static char *environment[] = {(char[]){"A=b"}, pid_text, count_text, NULL};

static char **speaks_of(int count, int pid)
{
    (void)snprintf(pid_text, sizeof pid_text, "LISTEN_PID=%d", pid);
    (void)snprintf(count_text, sizeof count_text, "LISTEN_FDS=%d", count);
    return environment;
}

static struct endpoint tcp(const char *host, uint16_t port)
{
    struct endpoint endpoint = {.kind = ENDPOINT_TCP, .literal = true, .port = port};
    (void)snprintf(endpoint.host, sizeof endpoint.host, "%s", host);
    return endpoint;
}

static struct endpoint local(void)
{
    struct endpoint endpoint = {.kind = ENDPOINT_UNIX};
    (void)snprintf(endpoint.host, sizeof endpoint.host, "%s", path);
    return endpoint;
}

static void test_each_is_found_by_its_address(void **state)
{
    (void)state;
    struct handed handed;
    int fd;
    place(listening_tcp("127.0.0.1"), 3);
    place(listening_unix(0660), 4);
    place(listening_tcp("127.0.0.1"), 5);
    const uint16_t first = endpoint_port_of(3), second = endpoint_port_of(5);
    assert_int_equal(handed_take(speaks_of(3, getpid()), &handed).code, 0);
    assert_int_equal(handed.count, 3);
    for (int i = 3; i <= 5; i++) {
        assert_true(fcntl(i, F_GETFD) & FD_CLOEXEC);
        assert_true(fcntl(i, F_GETFL) & O_NONBLOCK);
    }
    struct endpoint wanted = tcp("127.0.0.1", second);
    assert_int_equal(handed_find(&handed, &wanted, 0, &fd).code, 0);
    assert_int_equal(fd, 5);
    assert_int_equal(handed_find(&handed, &wanted, 0, &fd).code, 0);
    assert_int_equal(fd, -1); /* only once */
    const struct endpoint others[] = {tcp("127.0.0.1", 0), tcp("0.0.0.0", first), tcp("::", first),
                                      tcp("127.0.0.2", first)};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        assert_int_equal(handed_find(&handed, &others[i], 0, &fd).code, 0);
        assert_int_equal(fd, -1);
    }
    wanted = local();
    assert_int_equal(handed_find(&handed, &wanted, 0660, &fd).code, 0);
    assert_int_equal(fd, 4);
    assert_int_equal(handed_all_found(&handed).code, ERROR_CONFIG);
    wanted = tcp("127.0.0.1", first);
    assert_int_equal(handed_find(&handed, &wanted, 0, &fd).code, 0);
    assert_int_equal(fd, 3);
    assert_int_equal(handed_all_found(&handed).code, 0);
    handed_close(&handed);
    for (int i = 3; i <= 5; i++)
        assert_int_equal(close(i), 0); /* given away: still open */
    (void)unlink(path);
}

static void test_a_file_that_others_may_open_is_refused(void **state)
{
    (void)state;
    struct handed handed;
    struct endpoint wanted = local();
    int fd;
    place(listening_unix(0660), 3);
    assert_int_equal(handed_take(speaks_of(1, getpid()), &handed).code, 0);
    assert_int_equal(handed_find(&handed, &wanted, 0600, &fd).code, ERROR_PERMISSIONS);
    (void)unlink(path);
    assert_int_equal(handed_find(&handed, &wanted, 0660, &fd).code, ERROR_CONFIG);
    handed_close(&handed);
    assert_int_equal(close(3), -1);
}

static void test_what_is_another_processes_or_nobodys_is_left_alone(void **state)
{
    (void)state;
    struct handed handed;
    assert_int_equal(handed_take(NULL, &handed).code, 0);
    assert_int_equal(handed.count, 0);
    assert_int_equal(handed_take(speaks_of(1, getpid() + 1), &handed).code, 0);
    assert_int_equal(handed.count, 0);
    assert_int_equal(handed_take(speaks_of(0, getpid()), &handed).code, 0);
    assert_int_equal(handed.count, 0);
    assert_int_equal(variable_number(environment, "A"), 0);
    assert_string_equal(variable_of(environment, "A"), "b");
    assert_null(variable_of(environment, "LISTEN"));
}

static void test_what_is_no_listening_socket_is_refused(void **state)
{
    (void)state;
    struct handed handed;
    for (int kind = 0; kind < 3; kind++) {
        place(kind == 2 ? open("/dev/null", O_RDONLY | O_CLOEXEC)
                        : socket(AF_INET, (kind ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0),
              3);
        assert_int_equal(handed_take(speaks_of(1, getpid()), &handed).code, ERROR_CONFIG);
        (void)close(3);
    }
    assert_int_equal(handed_take(speaks_of(1, getpid()), &handed).code, ERROR_CONFIG);
    assert_int_equal(handed_take(speaks_of(HANDED_MAX + 1, getpid()), &handed).code, ERROR_CONFIG);
}

static int make_directory(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, sizeof path, "%s/s", directory);
    for (int i = 3; i <= 5; i++)
        (void)close(i);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_is_found_by_its_address),
        cmocka_unit_test(test_a_file_that_others_may_open_is_refused),
        cmocka_unit_test(test_what_is_another_processes_or_nobodys_is_left_alone),
        cmocka_unit_test(test_what_is_no_listening_socket_is_refused),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
