#include <sched.h>
#include <unistd.h>

#include "base/machine.h"

#include "support/folder.h"
#include "support/test.h"

static struct folder mount;

static uint64_t limit(const char *groups)
{
    return machine_group_memory(span_str(groups), mount.path);
}

static void test_there_is_always_something(void **state)
{
    (void)state;
    assert_in_range(machine_processors(), 1, 1 << 20);
    assert_in_range(machine_memory(), 1, UINT64_MAX / 2);
}

static void test_an_affinity_mask_counts(void **state)
{
    (void)state;
    cpu_set_t before, one;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    CPU_ZERO(&one);
    for (size_t cpu = 0; CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &before))
            CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(machine_processors(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
    assert_int_equal(machine_processors(), CPU_COUNT(&before));
}

static void test_the_tightest_group_counts(void **state)
{
    (void)state;
    folder_make(&mount);
    folder_mkdir(&mount, "a");
    folder_mkdir(&mount, "a/b");
    folder_mkdir(&mount, "memory");
    folder_mkdir(&mount, "memory/docker");
    assert_true(limit("0::/a/b\n") == UINT64_MAX);
    folder_write_text(&mount, "a/b/memory.max", "max\n");
    assert_true(limit("0::/a/b\n") == UINT64_MAX);
    folder_write_text(&mount, "a/memory.max", "2000000\n");
    assert_int_equal(limit("0::/a/b\n"), 2000000); /* of the group above */
    folder_write_text(&mount, "a/b/memory.max", "1000000\n");
    assert_int_equal(limit("0::/a/b\n"), 1000000);
    assert_int_equal(limit("0::/a/b"), 1000000);
    assert_int_equal(limit("0::/a"), 2000000);
    assert_true(limit("0::/ab\n") == UINT64_MAX); /* no part of a name */
    /* In a container the mount's root is the container's own group, whatever it is called outside. */
    folder_write_text(&mount, "memory/memory.limit_in_bytes", "700\n");
    assert_int_equal(limit("8:pids:/a/b\n4:memory:/docker/1234\n"), 700);
    assert_int_equal(limit("4:memory:/\n0::/\n"), 700);
    folder_write_text(&mount, "memory/docker/memory.limit_in_bytes", "600");
    assert_int_equal(limit("4:memory:/docker\n0::/a/b\n"), 600);
    folder_remove(&mount);
}

static void test_what_is_no_group_limits_nothing(void **state)
{
    (void)state;
    folder_make(&mount);
    folder_write_text(&mount, "memory.max", "-1");
    const char *const texts[] = {
        "", "\n", ":", "0", "0:", "0::", "0::/\n\n", "::::", "memory:/", "0::/../.."};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_true(limit(texts[i]) == UINT64_MAX);
    folder_write_text(&mount, "memory.max", "18446744073709551616");
    assert_true(limit("0::/") == UINT64_MAX);
    folder_remove(&mount);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_is_always_something),
        cmocka_unit_test(test_an_affinity_mask_counts),
        cmocka_unit_test(test_the_tightest_group_counts),
        cmocka_unit_test(test_what_is_no_group_limits_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
