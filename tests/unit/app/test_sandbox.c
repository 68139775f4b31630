#include <stdio.h>

#include "app/sandbox.h"
#include "support/snapshot.h"
#include "support/test.h"

static const enum room rooms[] = {ROOM_FRONT, ROOM_CORE, ROOM_VAULT, ROOM_LOADER};

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
    char *more = strstr(begin, "core, with its history in a database");
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
            if (has(rooms[r], never[i]))
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_lists_are_those_that_were_reviewed),
        cmocka_unit_test(test_no_room_has_what_a_captured_one_would_want),
        cmocka_unit_test(test_a_core_with_a_database_may_connect_and_no_more),
        cmocka_unit_test(test_who_parses_requests_or_holds_keys_opens_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
