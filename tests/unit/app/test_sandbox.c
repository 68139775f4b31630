#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"

#include "app/landlock.h"
#include "app/sandbox.h"
#include "attest/nsm_ioctl.h"
#include "support/child.h"
#include "support/snapshot.h"
#include "support/test.h"

static const enum room rooms[] = {ROOM_FRONT, ROOM_CORE, ROOM_VAULT, ROOM_LOADER, ROOM_FORWARDER};

static void describe(enum room room, struct buf *out)
{
    assert_int_equal(sandbox_describe(room, out).code, 0);
}

/* A call more or less is a change of the security model: it must be seen in review. */
static void test_the_lists_are_those_that_were_reviewed(void **state)
{
    (void)state;
    CC_CLEANUP(buf_release) struct buf text = buf_init(1 << 16);
    for (size_t i = 0; i < ARRAY_LEN(rooms); i++)
        describe(rooms[i], &text);
    assert_int_equal(sandbox_describe_proxy(&text).code, 0);
    snapshot_check("tests/snapshot/sandbox.txt", &text);
}

/* Without conditions; `database`: only because its history is in one. */
static bool may(enum room room, bool database, const char *call)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(1 << 16);
    char line[64];
    describe(room, &text);
    assert_int_equal(buf_append(&text, "", 1).code, 0);
    (void)snprintf(line, sizeof line, "  %s\n", call);
    char *begin = (char *)text.data;
    char *more = strstr(begin, "core, with a store in a database");
    assert_int_equal(more != NULL, room == ROOM_CORE);
    if (database)
        begin = more;
    else if (more)
        *more = 0;
    return begin && strstr(begin, line) != NULL;
}

static bool has(enum room room, const char *call)
{
    return may(room, false, call);
}

/* `call` with any argument. */
static bool may_at_all(enum room room, const char *call)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(1 << 16);
    char line[64];
    describe(room, &text);
    assert_int_equal(buf_append(&text, "", 1).code, 0);
    (void)snprintf(line, sizeof line, "  %s", call);
    return strstr((char *)text.data, line) != NULL;
}

/* It connects, but has no family that reaches another machine; nothing of it can be captured by what it carries. */
static void test_T11_the_forwarder_reaches_the_parent_and_no_network(void **state)
{
    (void)state;
    CC_CLEANUP(buf_release) struct buf text = buf_init(1 << 16);
    char socket_family[64];
    describe(ROOM_FORWARDER, &text);
    assert_int_equal(buf_append(&text, "", 1).code, 0);
    const int unreachable[] = {AF_INET, AF_INET6, AF_PACKET, AF_NETLINK};
    for (size_t i = 0; i < ARRAY_LEN(unreachable); i++) {
        (void)snprintf(socket_family, sizeof socket_family,
                       "  socket where argument 0 & 0xffffffff is 0x%x (",
                       (unsigned)unreachable[i]);
        assert_null(strstr((char *)text.data, socket_family));
    }
    (void)snprintf(socket_family, sizeof socket_family,
                   "  socket where argument 0 & 0xffffffff is 0x%x (", (unsigned)AF_VSOCK);
    assert_non_null(strstr((char *)text.data, socket_family));
    static const char *const never[] = {"bind",  "listen", "open ",  "openat2",    "unlink",
                                        "ioctl", "clone",  "execve", "getsockname"};
    for (size_t i = 0; i < ARRAY_LEN(never); i++)
        assert_false(may_at_all(ROOM_FORWARDER, never[i]));
}

static void test_no_room_has_what_a_captured_one_would_want(void **state)
{
    (void)state;
    static const char *const never[] = {
        "socket",         "connect",     "bind",     "listen",  "execve",
        "execveat",       "ptrace",      "kill",     "clone",   "clone3",
        "fork",           "ioctl",       "truncate", "mount",   "process_vm_readv",
        "unshare",        "setuid",      "prctl",    "seccomp", "bpf",
        "mmap",           "mprotect",    "tgkill",   "chmod",   "pidfd_getfd",
        "io_uring_setup", "userfaultfd", "mknodat"};
    for (size_t r = 0; r < ARRAY_LEN(rooms); r++)
        for (size_t i = 0; i < ARRAY_LEN(never); i++)
            if (has(rooms[r], never[i]) &&
                !(rooms[r] == ROOM_FORWARDER && strcmp(never[i], "connect") == 0))
                fail_msg("%s may call %s without conditions", room_name(rooms[r]), never[i]);
}

/* T4: the front never; the core no more than it takes to reach the database, and nothing that serves or starts. */
static void test_a_core_with_a_database_may_connect_and_no_more(void **state)
{
    (void)state;
    static const char *const never[] = {"socket", "bind",       "listen", "accept4",
                                        "execve", "ptrace",     "kill",   "clone",
                                        "ioctl",  "setsockopt", "recvmsg"};
    assert_true(may(ROOM_CORE, true, "connect"));
    assert_false(may(ROOM_CORE, false, "connect"));
    assert_false(may(ROOM_FRONT, true, "connect"));
    assert_false(may(ROOM_VAULT, true, "connect"));
    for (size_t i = 0; i < ARRAY_LEN(never); i++)
        assert_false(may(ROOM_CORE, true, never[i]));
}

struct tracer {
    enum room room;
    bool traces;
};

/* The errno of a socket of the Internet. */
static int call_traced(void *context)
{
    static struct config config;
    const struct tracer *t = context;
    config_defaults(&config);
    if (t->traces)
        (void)snprintf(config.tracing.otlp_endpoint, sizeof config.tracing.otlp_endpoint,
                       "http://127.0.0.1:4318");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || sandbox_lock_with(t->room, &config).code)
        return 1;
    _exit(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0 ? 0 : errno);
}

/* T4: only with a collector, and then the core alone. */
static void test_a_core_that_sends_traces_may_connect_and_no_other_room(void **state)
{
    (void)state;
    static const struct {
        struct tracer tracer;
        int outcome;
    } rows[] = {{{ROOM_CORE, true}, 0},
                {{ROOM_CORE, false}, -EPERM},
                {{ROOM_FRONT, true}, SIGSYS},
                {{ROOM_VAULT, true}, SIGSYS},
                {{ROOM_LOADER, true}, -EPERM}};
    static struct config config;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct tracer tracer = rows[i].tracer;
        config_defaults(&config);
        if (tracer.traces)
            (void)snprintf(config.tracing.otlp_endpoint, sizeof config.tracing.otlp_endpoint,
                           "http://127.0.0.1:4318");
        assert_int_equal(sandbox_needs_network(tracer.room, &config),
                         tracer.traces && tracer.room == ROOM_CORE);
        if (!child_sanitized("locked rooms"))
            assert_int_equal(child_run(call_traced, &tracer), rows[i].outcome);
    }
}

static void test_who_parses_requests_or_holds_keys_opens_no_file(void **state)
{
    (void)state;
    static const char *const files[] = {"open",   "openat", "openat2", "creat",
                                        "unlink", "rename", "stat",    "accept4"};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        assert_false(has(ROOM_VAULT, files[i]));
        assert_true(strcmp(files[i], "accept4") == 0 || !has(ROOM_FRONT, files[i]));
    }
    assert_true(has(ROOM_FRONT, "accept4"));
    assert_true(has(ROOM_CORE, "openat"));
    assert_false(has(ROOM_CORE, "accept4"));
    assert_false(has(ROOM_LOADER, "unlink"));
}

struct call {
    enum room room;
    enum tee_platform platform;
    unsigned long number;
};

/* The errno of an ioctl on what is no terminal and no security module. */
static int call_locked(void *context)
{
    static struct config config;
    static struct nsm_raw raw;
    const struct call *c = context;
    config_defaults(&config);
    config.tee.platform = c->platform;
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        sandbox_lock_with(c->room, &config).code)
        return 1;
    errno = 0;
    (void)ioctl(fd, c->number, &raw);
    _exit(errno);
}

static void test_T04_only_a_vault_in_an_enclave_reaches_the_security_module(void **state)
{
    (void)state;
    if (child_sanitized("locked rooms"))
        return;
    static const struct {
        struct call call;
        int outcome; /* as child_run() says it */
    } rows[] = {
        {{ROOM_VAULT, TEE_NITRO, NSM_IOCTL_RAW}, -ENOTTY}, /* it got as far as the device */
        {{ROOM_VAULT, TEE_NITRO, NSM_IOCTL_RAW + 1}, SIGSYS},
        {{ROOM_CORE, TEE_NITRO, NSM_IOCTL_RAW}, -EPERM},
        {{ROOM_CORE, TEE_NITRO, TIOCSTI}, -EPERM},
        {{ROOM_CORE, TEE_NITRO, FIONREAD}, -EPERM},
        {{ROOM_CORE, TEE_NONE, NSM_IOCTL_RAW}, -EPERM},
        {{ROOM_LOADER, TEE_NITRO, NSM_IOCTL_RAW}, -EPERM},
        {{ROOM_FRONT, TEE_NITRO, NSM_IOCTL_RAW}, SIGSYS},
        {{ROOM_VAULT, TEE_NONE, NSM_IOCTL_RAW}, SIGSYS},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct call call = rows[i].call;
        print_message("%s, ioctl %lx\n", room_name(call.room), call.number);
        assert_int_equal(child_run(call_locked, &call), rows[i].outcome);
    }
}

/* --- what carries connections, and is no room --------------------------------------------------------------------- */

struct carried {
    struct sockaddr_in target;
    struct sockaddr_in other;
    bool by_port; /* the kernel's Landlock knows ports */
};

static int connects(const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 ? 0
                                                                                          : errno;
}

static int opens(const char *path)
{
    return open(path, O_RDONLY | O_CLOEXEC) >= 0 ? 0 : errno;
}

/* The row that did not come out as it should; 0: none. Without a Landlock that knows ports, the rows about them tell nothing. */
static int call_as_proxy(void *context)
{
    const struct carried *c = context;
    struct endpoint own = {.kind = ENDPOINT_TCP, .literal = true, .host = "127.0.0.1"};
    struct endpoint target = own;
    struct landlock_endpoints ends = {
        .listens = {&own}, .listen_count = 1, .targets = {&target}, .target_count = 1};
    int listener = -1;
    target.port = ntohs(c->target.sin_port);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || landlock_enter_proxy(&ends).code ||
        endpoint_listen(&own, 0600, &listener).code || sandbox_lock_proxy().code)
        return 100;
    char *const none[] = {NULL};
    const struct {
        int got;
        int expected;
        bool needs_ports;
    } rows[] = {
        {connects(&c->target), 0, false},
        {connects(&c->other), EACCES, true},
        {opens("/etc/hosts"), 0, false},
        {opens("/usr/bin/env"), EACCES, false},
        {opens("/root"), EACCES, false},
        {listen(listener, 1) == 0 ? 0 : errno, EPERM, false},
        {socket(AF_NETLINK, SOCK_RAW, 0) >= 0 ? 0 : errno, EPERM, false},
        {fork() >= 0 ? 0 : errno, EPERM, false},
        {execve("/usr/bin/false", none, none) == 0 ? 0 : errno, EPERM, false},
        {mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED
             ? 0
             : errno,
         EPERM, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].got != rows[i].expected && (c->by_port || !rows[i].needs_ports))
            return (int)i + 1;
    return 0;
}

static int listen_near(struct sockaddr_in *ret_address)
{
    socklen_t len = sizeof *ret_address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *ret_address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (const struct sockaddr *)ret_address, len), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)ret_address, &len), 0);
    return fd;
}

static void test_T11_what_carries_connections_reaches_its_targets_alone(void **state)
{
    (void)state;
    struct carried carried;
    if (child_sanitized("locked proxies"))
        return;
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1 /* the version */);
    if (abi < 1) {
        print_message("left out: this kernel has no Landlock\n");
        return;
    }
    carried.by_port = abi >= 4;
    int target = listen_near(&carried.target);
    int other = listen_near(&carried.other);
    assert_int_equal(child_run(call_as_proxy, &carried), 0);
    fd_closep(&target);
    fd_closep(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_lists_are_those_that_were_reviewed),
        cmocka_unit_test(test_T11_the_forwarder_reaches_the_parent_and_no_network),
        cmocka_unit_test(test_no_room_has_what_a_captured_one_would_want),
        cmocka_unit_test(test_a_core_with_a_database_may_connect_and_no_more),
        cmocka_unit_test(test_a_core_that_sends_traces_may_connect_and_no_other_room),
        cmocka_unit_test(test_who_parses_requests_or_holds_keys_opens_no_file),
        cmocka_unit_test(test_T04_only_a_vault_in_an_enclave_reaches_the_security_module),
        cmocka_unit_test(test_T11_what_carries_connections_reaches_its_targets_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
