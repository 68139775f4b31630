/* P6: a fence names the history that a directory's keys belong to; whatever else it says, it keeps others off. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

#include "keys/fence.h"
#include "support/folder.h"
#include "support/test.h"

static const uint8_t ours[FENCE_ID_SIZE] = {1, 2, 3};
static const uint8_t theirs[FENCE_ID_SIZE] = {1, 2, 4};
static struct folder folder;

static int setup(void **state)
{
    (void)state;
    folder_make(&folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    folder_remove(&folder);
    return 0;
}

static const char *fence_path(void)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", folder.path, FENCE_NAME);
    return path;
}

static int check(const uint8_t *id, bool there)
{
    bool found = !there;
    cc_err err = fence_check(folder.path, id, &found);
    assert_int_equal(found, there);
    return err.code;
}

static void test_P06_a_fence_keeps_another_history_off(void **state)
{
    struct stat st;
    (void)state;
    assert_int_equal(check(ours, false), 0);
    assert_int_equal(fence_write(folder.path, ours, false).code, 0);
    assert_int_equal(stat(fence_path(), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(check(ours, true), 0);
    assert_int_equal(check(theirs, true), ERROR_KEY_FENCED);
    assert_int_equal(fence_write(folder.path, theirs, false).code, ERROR_EXISTS);
    assert_int_equal(check(ours, true), 0);
    assert_int_equal(fence_write(folder.path, theirs, true).code, 0);
    assert_int_equal(check(ours, true), ERROR_KEY_FENCED);
    assert_int_equal(check(theirs, true), 0);
}

static void test_P06_what_is_no_fence_keeps_everybody_off(void **state)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(FENCE_TEXT_MAX);
    uint8_t bytes[FENCE_TEXT_MAX];
    uint8_t id[FENCE_ID_SIZE];
    (void)state;
    assert_int_equal(fence_write(folder.path, ours, false).code, 0);
    assert_int_equal(file_read(fence_path(), &text).code, 0);
    memcpy(bytes, text.data, text.len);
    assert_int_equal(fence_parse(span_of(bytes, text.len), id).code, 0);
    assert_memory_equal(id, ours, sizeof id);
    for (size_t len = 0; len < text.len; len++)
        assert_int_equal(fence_parse(span_of(bytes, len), id).code, ERROR_KEY_FENCED);
    for (size_t i = 0; i < text.len; i++) {
        bytes[i] ^= 0x80;
        assert_int_equal(fence_parse(span_of(bytes, text.len), id).code, ERROR_KEY_FENCED);
        bytes[i] ^= 0x80;
    }
    assert_int_equal(file_write_durable(fence_path(), span_str(""), false).code, 0);
    assert_int_equal(check(ours, true), ERROR_KEY_FENCED);
    assert_int_equal(unlink(fence_path()), 0);
    assert_int_equal(mkdir(fence_path(), 0700), 0);
    assert_int_equal(check(ours, true), ERROR_KEY_FENCED);
    assert_int_equal(rmdir(fence_path()), 0);
}

static void test_what_is_no_directory_has_no_fence(void **state)
{
    bool there = true;
    (void)state;
    assert_int_equal(fence_write("/nowhere/at/all", ours, false).code, ERROR_IO);
    assert_int_equal(fence_check("/nowhere/at/all", ours, &there).code, 0);
    assert_false(there);
    assert_int_equal(file_write_durable(fence_path(), span_str("x"), false).code, 0);
    assert_int_equal(fence_check(fence_path(), ours, &there).code, 0);
    assert_false(there);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_P06_a_fence_keeps_another_history_off, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_P06_what_is_no_fence_keeps_everybody_off, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_directory_has_no_fence, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
