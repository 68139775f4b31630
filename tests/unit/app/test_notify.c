#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/span.h"

#include "app/notify.h"
#include "support/test.h"

/* A service manager: a bound datagram socket. */
static int manager(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    memcpy(address.sun_path, path, len);
    if (path[0] == '@')
        address.sun_path[0] = 0;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    return fd;
}

static const char *heard(int fd)
{
    static char text[256];
    ssize_t n = recv(fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = 0;
    return text;
}

static void tells(const char *path)
{
    char variable[128];
    (void)snprintf(variable, sizeof variable, "NOTIFY_SOCKET=%s", path);
    char *environment[] = {(char[]){"A=b"}, variable, NULL};
    struct notify notify;
    int fd = manager(path);
    notify_init(&notify, environment);
    notify_send(&notify, "READY=1\nSTATUS=serving");
    assert_string_equal(heard(fd), "READY=1\nSTATUS=serving");
    notify_reloading(&notify);
    assert_int_equal(strncmp(heard(fd), "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
    notify_release(&notify);
    (void)close(fd);
}

static void test_a_socket_with_a_path_is_told(void **state)
{
    (void)state;
    char path[64];
    char directory[] = "/tmp/test-notify-XXXXXX";
    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, sizeof path, "%s/s", directory);
    tells(path);
    (void)unlink(path);
    (void)rmdir(directory);
}

static void test_an_abstract_socket_is_told(void **state)
{
    (void)state;
    char path[64];
    (void)snprintf(path, sizeof path, "@containment-chamber-test-%d", (int)getpid());
    tells(path);
}

static void test_nobody_is_told_where_no_socket_is_named(void **state)
{
    (void)state;
    char *const nothing[] = {NULL};
    char *relative[] = {(char[]){"NOTIFY_SOCKET=relative"}, NULL};
    char *empty[] = {(char[]){"NOTIFY_SOCKET="}, NULL};
    char *gone[] = {(char[]){"NOTIFY_SOCKET=/does/not/exist"}, NULL};
    char *const *environments[] = {nothing, relative, empty, gone, NULL};
    for (size_t i = 0; i < ARRAY_LEN(environments); i++) {
        struct notify notify;
        notify_init(&notify, environments[i]);
        notify_send(&notify, "READY=1");
        notify_release(&notify);
        notify_send(&notify, "READY=1");
    }
}

static void test_the_watchdog_is_for_the_process_it_names(void **state)
{
    (void)state;
    char mine[64];
    (void)snprintf(mine, sizeof mine, "WATCHDOG_PID=%d", (int)getpid());
    char *for_me[] = {(char[]){"NOTIFY_SOCKET=@x"}, mine, (char[]){"WATCHDOG_USEC=30000000"}, NULL};
    char *for_any[] = {(char[]){"NOTIFY_SOCKET=@x"}, (char[]){"WATCHDOG_USEC=30000000"}, NULL};
    char *for_other[] = {(char[]){"NOTIFY_SOCKET=@x"}, (char[]){"WATCHDOG_PID=1"},
                         (char[]){"WATCHDOG_USEC=30000000"}, NULL};
    char *nonsense[] = {(char[]){"NOTIFY_SOCKET=@x"}, (char[]){"WATCHDOG_USEC=soon"}, NULL};
    struct notify notify;
    notify_init(&notify, for_me);
    assert_int_equal(notify.watchdog_ms, 30000);
    notify_release(&notify);
    notify_init(&notify, for_any);
    assert_int_equal(notify.watchdog_ms, 30000);
    notify_release(&notify);
    notify_init(&notify, for_other);
    assert_int_equal(notify.watchdog_ms, 0);
    notify_release(&notify);
    notify_init(&notify, nonsense);
    assert_int_equal(notify.watchdog_ms, 0);
    notify_release(&notify);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_socket_with_a_path_is_told),
        cmocka_unit_test(test_an_abstract_socket_is_told),
        cmocka_unit_test(test_nobody_is_told_where_no_socket_is_named),
        cmocka_unit_test(test_the_watchdog_is_for_the_process_it_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
