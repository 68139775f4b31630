#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "secret/arena.h"
#include "secret/ct.h"
#include "secret/harden.h"
#include "support/child.h"
#include "support/test.h"

enum {
    PAGE = 4096,
    CHUNK_SLOTS = 2032,
    NOBODY = 65534
};

static void test_slots_are_zero_distinct_and_wiped(void **state)
{
    (void)state;
    struct arena *arena = NULL;
    struct secret *slots[300];
    assert_int_equal(arena_new(1, 300, &arena).code, 0);
    assert_true(arena_capacity(arena) >= 300);
    for (size_t i = 0; i < 300; i++) {
        assert_int_equal(arena_take(arena, &slots[i]).code, 0);
        assert_true(ct_is_zero(secret_borrow(slots[i]), SECRET_SIZE));
        memset(secret_borrow_mut(slots[i]), (int)(i % 255) + 1, SECRET_SIZE);
    }
    for (size_t i = 0; i < 300; i++) {
        assert_int_equal(secret_borrow(slots[i])[0], i % 255 + 1);
        assert_int_equal(secret_borrow(slots[i])[SECRET_SIZE - 1], i % 255 + 1);
        assert_int_equal((uintptr_t)secret_borrow(slots[i]) % SECRET_SIZE, 0);
    }
    const uint8_t *where = secret_borrow(slots[7]);
    arena_release(arena, slots[7]);
    assert_true(ct_is_zero(where, SECRET_SIZE));
    assert_int_equal(arena_take(arena, &slots[7]).code, 0);
    assert_true(ct_is_zero(secret_borrow(slots[7]), SECRET_SIZE));
    arena_release(arena, NULL);
    arena_free(arena);
    arena_free(NULL);
}

static void test_a_full_arena_refuses(void **state)
{
    (void)state;
    struct arena *arena = NULL;
    struct secret *slot = NULL;
    struct secret *last = NULL;
    assert_int_equal(arena_new(1, 1, &arena).code, 0);
    for (size_t i = 0; i < arena_capacity(arena); i++)
        assert_int_equal(arena_take(arena, &last).code, 0);
    assert_int_equal(arena_take(arena, &slot).code, ERROR_LIMIT);
    arena_release(arena, last);
    assert_int_equal(arena_take(arena, &slot).code, 0);
    assert_ptr_equal(slot, last);
    arena_free(arena);
}

enum fault {
    BEFORE_REGION,
    BEHIND_REGION,
    BEHIND_CHUNK,
    BEFORE_CHUNK,
    OVERRUN_BLOCK,
    RELEASE_TWICE,
    RELEASE_FOREIGN
};

static int region_fault(enum fault fault)
{
    void *region = NULL;
    if (secret_map(PAGE, &region).code)
        return 2;
    volatile uint8_t *bytes = region;
    bytes[0] = bytes[PAGE - 1] = 1; /* inside is fine */
    bytes[fault == BEFORE_REGION ? -1 : PAGE] = 1;
    return 1;
}

static int commit(void *context)
{
    const enum fault fault = *(enum fault *)context;
    static _Alignas(32) uint8_t foreign[SECRET_SIZE];
    struct arena *arena = NULL;
    struct secret *slot = NULL;
    if (fault == BEFORE_REGION || fault == BEHIND_REGION)
        return region_fault(fault);
    if (arena_new(1, 1, &arena).code || arena_take(arena, &slot).code)
        return 2;
    /* The first slot is the first of its block and chunk. */
    volatile uint8_t *bytes = secret_borrow_mut(slot);
    if (fault == BEHIND_CHUNK)
        bytes[16 * PAGE] = 1;
    if (fault == BEFORE_CHUNK)
        bytes[-1] = 1;
    if (fault == OVERRUN_BLOCK)
        bytes[PAGE - SECRET_SIZE] ^= 1;
    if (fault == RELEASE_FOREIGN)
        slot = (struct secret *)(void *)foreign;
    arena_release(arena, slot);
    if (fault == RELEASE_TWICE)
        arena_release(arena, slot);
    return 1;
}

static void test_guard_pages_kill(void **state)
{
    (void)state;
    for (enum fault fault = BEFORE_REGION; fault <= BEFORE_CHUNK; fault++)
        assert_true(child_faulted(child_run(commit, &fault)));
}

static void test_misuse_of_a_slot_kills(void **state)
{
    (void)state;
    for (enum fault fault = OVERRUN_BLOCK; fault <= RELEASE_FOREIGN; fault++)
        assert_int_equal(child_run(commit, &fault), SIGABRT);
}

/* Where no descriptor may be made, memfd_secret() fails, and the anonymous form is taken. */
static void limit_descriptors(rlim_t count)
{
    struct rlimit limit;
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = count;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static cc_err arena_of_form(bool anonymous, struct arena **ret_arena)
{
    if (anonymous)
        limit_descriptors(0);
    cc_err err = arena_new(1, 1, ret_arena);
    limit_descriptors(64);
    return err;
}

static int inherit(void *context)
{
    const volatile uint8_t *bytes = context;
    return bytes[0] == 0 && bytes[31] == 0 ? 0 : 1;
}

static int fork_with_secret(void *context)
{
    struct arena *arena = NULL;
    struct secret *slot = NULL;
    const bool anonymous = *(bool *)context;
    if (arena_of_form(anonymous, &arena).code || arena_take(arena, &slot).code)
        return 2;
    if (anonymous && arena_is_kernel_secret(arena))
        return 3;
    memset(secret_borrow_mut(slot), 0xab, SECRET_SIZE);
    int status = child_run(inherit, secret_borrow_mut(slot));
    if (secret_borrow(slot)[0] != 0xab)
        return 4;
    return arena_is_kernel_secret(arena) ? !child_faulted(status) : status != 0;
}

static void test_a_forked_child_sees_no_secret(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(child_run(fork_with_secret, &(bool){i == 1}), 0);
}

/* The flags of the mapping that holds `at`, from /proc/self/smaps: "lo" locked, "dd" not dumped. */
static bool mapping_has_flag(const void *at, const char *flag)
{
    char line[512];
    bool inside = false;
    bool has = false;
    FILE *smaps = fopen("/proc/self/smaps", "re");
    if (!smaps)
        return false;
    while (fgets(line, sizeof line, smaps)) {
        unsigned long begin;
        unsigned long end;
        if (sscanf(line, "%lx-%lx ", &begin, &end) == 2)
            inside = (uintptr_t)at >= begin && (uintptr_t)at < end;
        else if (inside && strncmp(line, "VmFlags:", 8) == 0)
            has = strstr(line, flag) != NULL;
    }
    (void)fclose(smaps);
    return has;
}

static int look_at_flags(void *context)
{
    struct arena *arena = NULL;
    struct secret *slot = NULL;
    if (arena_of_form(*(bool *)context, &arena).code || arena_take(arena, &slot).code)
        return 2;
    const void *at = secret_borrow(slot);
    int heap = 0;
    return mapping_has_flag(at, " lo") && mapping_has_flag(at, " dd") &&
                   !mapping_has_flag(&heap, " dd")
               ? 0
               : 1;
}

static void test_memory_is_locked_and_not_dumped(void **state)
{
    (void)state;
    assert_int_equal(child_run(look_at_flags, &(bool){false}), 0);
    if (!child_sanitized("locking of anonymous memory"))
        assert_int_equal(child_run(look_at_flags, &(bool){true}), 0);
}

/* Without the right to lock more: an error when the minimum does not fit, less capacity when it does. */
static int lock_little(void *context)
{
    (void)context;
    struct arena *arena = NULL;
    const struct rlimit little = {2 * 65536, 2 * 65536};
    const struct rlimit nothing = {0, 0};
    if (setrlimit(RLIMIT_MEMLOCK, &little) != 0 || (geteuid() == 0 && setuid(NOBODY) != 0))
        return 2;
    if (arena_new(1, 10 * CHUNK_SLOTS, &arena).code || arena_capacity(arena) > 2 * CHUNK_SLOTS)
        return 3;
    arena_free(arena);
    if (!error_is(arena_new(3 * CHUNK_SLOTS, 10 * CHUNK_SLOTS, &arena), ERROR_MEMLOCK))
        return 4;
    if (setrlimit(RLIMIT_MEMLOCK, &nothing) != 0)
        return 5;
    void *region = NULL;
    if (!error_is(arena_new(1, 1, &arena), ERROR_MEMLOCK))
        return 6;
    return error_is(secret_map(PAGE, &region), ERROR_MEMLOCK) ? 0 : 7;
}

static void test_a_low_memlock_limit_is_an_error(void **state)
{
    (void)state;
    if (!child_sanitized("limits of locked memory"))
        assert_int_equal(child_run(lock_little, NULL), 0);
}

struct marks {
    bool anonymous;
    const char *directory;
};

static int die_with_secrets(void *context)
{
    struct marks *marks = context;
    const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    struct arena *arena = NULL;
    struct secret *slot = NULL;
    if (setrlimit(RLIMIT_CORE, &all) != 0 || chdir(marks->directory) != 0)
        return 2;
    if (arena_of_form(marks->anonymous, &arena).code || arena_take(arena, &slot).code)
        return 3;
    /* The pattern is made here, so that no copy of it is in the parent's memory, which the core has too. */
    uint8_t *control = malloc(SECRET_SIZE);
    if (!control)
        return 4;
    for (size_t i = 0; i < SECRET_SIZE; i++) {
        control[i] = (uint8_t)(i * 37 + 11);
        secret_borrow_mut(slot)[i] = (uint8_t)(i * 59 + 3);
    }
    (void)raise(SIGQUIT);
    return (int)control[0];
}

static bool core_holds(const char *path, unsigned factor, unsigned offset)
{
    uint8_t mark[SECRET_SIZE];
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    uint8_t *core = malloc((size_t)st.st_size);
    assert_non_null(core);
    assert_int_equal(read(fd, core, (size_t)st.st_size), st.st_size);
    (void)close(fd);
    for (size_t i = 0; i < SECRET_SIZE; i++)
        mark[i] = (uint8_t)(i * factor + offset);
    bool found = memmem(core, (size_t)st.st_size, mark, sizeof mark) != NULL;
    free(core);
    explicit_bzero(mark, sizeof mark); /* the next child inherits this stack */
    return found;
}

static void search_core(bool anonymous)
{
    char directory[] = "/tmp/cc-test-core-XXXXXX";
    char path[64];
    assert_non_null(mkdtemp(directory));
    struct marks marks = {.directory = directory, .anonymous = anonymous};
    assert_int_equal(child_run(die_with_secrets, &marks), SIGQUIT);
    (void)snprintf(path, sizeof path, "%s/core", directory);
    if (access(path, R_OK) != 0) {
        print_message("left out: this system writes no core file named `core`\n");
    } else {
        assert_true(core_holds(path, 37, 11)); /* the control, in ordinary memory */
        assert_false(core_holds(path, 59, 3));
        (void)unlink(path);
    }
    (void)rmdir(directory);
}

static void test_C03_a_core_holds_nothing_of_the_arena(void **state)
{
    (void)state;
    search_core(false);
    search_core(true);
}

static int be_hardened(void *context)
{
    (void)context;
    struct rlimit core;
    if (harden_process().code || getrlimit(RLIMIT_CORE, &core) != 0)
        return 2;
    char status[4096];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, status, sizeof status - 1);
    if (n <= 0)
        return 3;
    status[n] = 0;
    return core.rlim_max == 0 && strstr(status, "NoNewPrivs:\t1") ? 0 : 1;
}

static void test_hardening_takes_effect(void **state)
{
    (void)state;
    assert_int_equal(child_run(be_hardened, NULL), 0);
}

static int raise_limit(void *context)
{
    (void)context;
    const struct rlimit low = {4096, 1 << 20};
    struct rlimit now;
    if (setrlimit(RLIMIT_MEMLOCK, &low) != 0 || (geteuid() == 0 && setuid(NOBODY) != 0))
        return 2;
    harden_raise_memlock(65536);
    if (getrlimit(RLIMIT_MEMLOCK, &now) != 0 || now.rlim_cur != 65536)
        return 3;
    harden_raise_memlock(1 << 30); /* not allowed: as much as may be */
    return getrlimit(RLIMIT_MEMLOCK, &now) == 0 && now.rlim_cur == 1 << 20 ? 0 : 4;
}

static void test_memlock_is_raised_as_far_as_allowed(void **state)
{
    (void)state;
    assert_int_equal(child_run(raise_limit, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slots_are_zero_distinct_and_wiped),
        cmocka_unit_test(test_a_full_arena_refuses),
        cmocka_unit_test(test_guard_pages_kill),
        cmocka_unit_test(test_misuse_of_a_slot_kills),
        cmocka_unit_test(test_a_forked_child_sees_no_secret),
        cmocka_unit_test(test_memory_is_locked_and_not_dumped),
        cmocka_unit_test(test_a_low_memlock_limit_is_an_error),
        cmocka_unit_test(test_C03_a_core_holds_nothing_of_the_arena),
        cmocka_unit_test(test_hardening_takes_effect),
        cmocka_unit_test(test_memlock_is_raised_as_far_as_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
