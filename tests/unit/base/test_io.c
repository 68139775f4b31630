#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

#include "support/test.h"

static char folder[64];
static char path[128];

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "./test_io.XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(path, sizeof path, "%s/file", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(folder); /* fails when a temporary file was left behind */
}

static void test_a_durable_write_replaces_whole_and_is_private(void **state)
{
    (void)state;
    struct stat st;
    assert_int_equal(file_write_durable(path, span_str("one"), true).code, 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(file_write_durable(path, span_str("second"), false).code, 0);
    struct buf content = buf_init(100);
    assert_int_equal(file_read(path, &content).code, 0);
    assert_true(span_is(buf_span(&content), "second"));
    buf_release(&content);
}

static void test_must_be_new_keeps_what_is_there(void **state)
{
    (void)state;
    assert_int_equal(file_write_durable(path, span_str("old"), true).code, 0);
    assert_true(error_is(file_write_durable(path, span_str("new"), true), ERROR_EXISTS));
    struct buf content = buf_init(100);
    assert_int_equal(file_read(path, &content).code, 0);
    assert_true(span_is(buf_span(&content), "old"));
    buf_release(&content);
}

static void test_reading_is_bounded_and_only_of_regular_files(void **state)
{
    (void)state;
    assert_int_equal(file_write_durable(path, span_str("0123456789"), true).code, 0);
    struct buf content = buf_init(9);
    assert_true(error_is(file_read(path, &content), ERROR_LIMIT));
    assert_true(error_is(file_read("/dev/null", &content), ERROR_IO));
    assert_true(error_is(file_read(folder, &content), ERROR_IO));
    assert_int_equal(unlink(path), 0);
    assert_true(error_is(file_read(path, &content), ERROR_IO));
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_true(error_is(file_read(path, &content), ERROR_IO)); /* and does not hang */
    buf_release(&content);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_durable_write_replaces_whole_and_is_private,
                                        make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_must_be_new_keeps_what_is_there, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(test_reading_is_bounded_and_only_of_regular_files,
                                        make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
