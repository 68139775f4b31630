#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

#include "keys/filesystem.h"
#include "support/folder.h"
#include "support/test.h"
#include "wire/door_key.h"

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

static void assert_names(const struct key_files *files, const char *const *names, size_t count)
{
    assert_int_equal(files->count, count);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(files->items[i].path, folder_at(&folder, names[i]));
        assert_int_equal(files->items[i].kind, key_file_kind(names[i]));
    }
}

static void test_kinds(void **state)
{
    (void)state;
    assert_int_equal(key_file_kind("a.yaml"), KEY_FILE_YAML);
    assert_int_equal(key_file_kind("a.b.yml"), KEY_FILE_YAML);
    assert_int_equal(key_file_kind("a.json"), KEY_FILE_JSON);
    static const char *const none[] = {
        ".a.yaml", ".json", "yaml", "a.YAML", "a.json~", "a.txt", "a.password", ".", "..", "a",
    };
    for (size_t i = 0; i < ARRAY_LEN(none); i++)
        assert_int_equal(key_file_kind(none[i]), KEY_FILE_NONE);
}

static void test_a_directory_in_the_order_of_its_names(void **state)
{
    (void)state;
    static const char *const in[] = {
        "c.json", "a.yml", "b.yaml", ".hidden.yaml", "d.txt", "B.json", "e.json", "a.json",
    };
    static const char *const want[] = {
        "B.json", "a.json", "a.yml", "b.yaml", "c.json", "e.json", "sub.json",
    };
    for (size_t i = 0; i < ARRAY_LEN(in); i++)
        folder_write_text(&folder, in[i], "x");
    folder_mkdir(&folder, "sub.json");
    folder_mkdir(&folder, "sub");
    folder_write_text(&folder, "sub/f.json", "x");
    struct key_files files = {0};
    assert_int_equal(key_files_scan(&files, folder.path).code, 0);
    assert_names(&files, want, ARRAY_LEN(want));
    key_files_release(&files);
    char slashed[300];
    (void)snprintf(slashed, sizeof slashed, "%s/", folder.path);
    assert_int_equal(key_files_scan(&files, slashed).code, 0);
    assert_names(&files, want, ARRAY_LEN(want));
    key_files_release(&files);
}

static void test_many_files_are_sorted(void **state)
{
    (void)state;
    char name[16];
    for (int i = 0; i < 300; i++) {
        (void)snprintf(name, sizeof name, "%03d.json", i * 7 % 300);
        folder_write_text(&folder, name, "");
    }
    struct key_files files = {0};
    assert_int_equal(key_files_scan(&files, folder.path).code, 0);
    assert_int_equal(files.count, 300);
    for (size_t i = 0; i < 300; i++) {
        (void)snprintf(name, sizeof name, "%03zu.json", i);
        assert_string_equal(files.items[i].path, folder_at(&folder, name));
    }
    key_files_release(&files);
}

static void test_a_path_may_be_one_file(void **state)
{
    (void)state;
    folder_write_text(&folder, "one.json", "x");
    folder_write_text(&folder, "one.txt", "x");
    struct key_files files = {0};
    assert_int_equal(key_files_scan(&files, folder_at(&folder, "one.json")).code, 0);
    assert_int_equal(files.count, 1);
    assert_int_equal(key_files_scan(&files, folder_at(&folder, "one.txt")).code, ERROR_KEY_FILE);
    assert_int_equal(key_files_scan(&files, folder_at(&folder, "none")).code, ERROR_IO);
    assert_string_equal(error_detail(), "no such file or directory");
    assert_int_equal(files.count, 1);
    key_files_release(&files);
}

static cc_err read_it(const char *name, bool strict, size_t max, struct key_file_facts *facts)
{
    struct buf content = buf_init(max);
    cc_err err = key_file_read(folder_at(&folder, name), strict, &content, facts);
    buf_release(&content);
    return err;
}

static void test_what_is_no_file_does_not_hang(void **state)
{
    (void)state;
    struct key_file_facts facts;
    assert_int_equal(mkfifo(folder_at(&folder, "fifo.json"), 0600), 0);
    folder_mkdir(&folder, "dir.json");
    assert_int_equal(symlink("/dev/zero", folder_at(&folder, "zero.json")), 0);
    assert_int_equal(symlink("loop.json", folder_at(&folder, "loop.json")), 0);
    assert_int_equal(symlink("nowhere", folder_at(&folder, "gone.json")), 0);
    assert_int_equal(read_it("fifo.json", false, 100, &facts).code, ERROR_KEY_FILE);
    assert_int_equal(read_it("dir.json", false, 100, &facts).code, ERROR_KEY_FILE);
    assert_int_equal(read_it("zero.json", false, 100, &facts).code, ERROR_KEY_FILE);
    assert_string_equal(error_detail(), "not a regular file");
    assert_false(facts.opened);
    assert_int_equal(read_it("loop.json", false, 100, &facts).code, ERROR_IO);
    assert_false(facts.missing);
    assert_int_equal(read_it("gone.json", false, 100, &facts).code, ERROR_IO);
    assert_true(facts.missing);
}

static void test_size_mode_and_identity(void **state)
{
    (void)state;
    struct key_file_facts a;
    struct key_file_facts b;
    folder_write(&folder, "a", "12345", 5, 0600);
    folder_write(&folder, "group", "12345", 5, 0640);
    folder_write(&folder, "world", "12345", 5, 0602);
    assert_int_equal(symlink("a", folder_at(&folder, "link")), 0);
    assert_int_equal(read_it("a", true, 5, &a).code, 0);
    assert_int_equal(read_it("a", true, 4, &a).code, ERROR_KEY_FILE);
    assert_string_equal(error_detail(), "larger than allowed");
    assert_false(a.open_to_others);
    assert_int_equal(read_it("link", true, 5, &b).code, 0);
    assert_memory_equal(&a.identity, &b.identity, sizeof a.identity);
    assert_int_equal(read_it("group", false, 5, &b).code, 0);
    assert_true(b.open_to_others);
    assert_memory_not_equal(&a.identity, &b.identity, sizeof a.identity);
    assert_int_equal(read_it("group", true, 5, &b).code, ERROR_KEY_FILE_MODE);
    assert_int_equal(read_it("world", true, 5, &b).code, ERROR_KEY_FILE_MODE);
}

static void check_password(const char *text, size_t len, const char *want)
{
    struct password password;
    struct key_file_facts facts;
    folder_write(&folder, "p", text, len, 0600);
    cc_err err = key_password_read(folder_at(&folder, "p"), true, &password, &facts);
    assert_int_equal(err.code, want ? 0 : ERROR_PASSWORD_FILE);
    if (want)
        assert_true(span_is(span_of(password.bytes, password.len), want));
}

static void test_the_password_is_the_first_line(void **state)
{
    (void)state;
    check_password("secret", 6, "secret");
    check_password("secret\n", 7, "secret");
    check_password("secret\r\nmore\n", 13, "secret");
    check_password("secret\rmore", 11, "secret");
    check_password(" two words \n", 12, " two words ");
    check_password("a\0b\n", 4, "ab");
    check_password("\xc3\xa9", 2, "e\xcc\x81");
    check_password("", 0, NULL);
    check_password("\nsecret", 7, NULL);
    check_password(" \t\n", 3, NULL);
}

static void test_password_files_that_are_refused(void **state)
{
    (void)state;
    static char large[PASSWORD_FILE_MAX + 1];
    struct password password;
    struct key_file_facts facts;
    const char *path = folder_at(&folder, "p");
    assert_int_equal(key_password_read(path, false, &password, &facts).code, ERROR_PASSWORD_FILE);
    assert_true(facts.missing);
    folder_write(&folder, "p", "\xff\xfe", 2, 0600);
    assert_int_equal(key_password_read(path, false, &password, &facts).code, ERROR_PASSWORD_TEXT);
    folder_write(&folder, "p", "x", 1, 0644);
    assert_int_equal(key_password_read(path, true, &password, &facts).code, ERROR_KEY_FILE_MODE);
    memset(large, 'x', sizeof large);
    folder_write(&folder, "p", large, sizeof large, 0600);
    assert_int_equal(key_password_read(path, false, &password, &facts).code, ERROR_KEY_FILE);
    folder_write(&folder, "p", large, K_PASSWORD_MAX + 1, 0600);
    assert_int_equal(key_password_read(path, false, &password, &facts).code, ERROR_PASSWORD_TEXT);
    folder_write(&folder, "p", large, K_PASSWORD_MAX, 0600);
    assert_int_equal(key_password_read(path, false, &password, &facts).code, 0);
}

static void test_names(void **state)
{
    (void)state;
    char path[KEY_PATH_MAX];
    char name[KEY_PATH_MAX + 1];
    assert_int_equal(key_path_beside("/d/e/f.yaml", "g.json", path).code, 0);
    assert_string_equal(path, "/d/e/g.json");
    assert_int_equal(key_path_beside("/d/f.yaml", "../g", path).code, 0);
    assert_string_equal(path, "/d/../g");
    assert_int_equal(key_path_beside("/d/f.yaml", "/abs/g", path).code, 0);
    assert_string_equal(path, "/abs/g");
    assert_int_equal(key_path_beside("f.yaml", "g", path).code, 0);
    assert_string_equal(path, "g");
    assert_int_equal(key_path_of_password("/d.d/k.s.json", NULL, ".txt", path).code, 0);
    assert_string_equal(path, "/d.d/k.s.txt");
    assert_int_equal(key_path_of_password("/d.d/k.json", "/p", ".txt", path).code, 0);
    assert_string_equal(path, "/p/k.txt");
    assert_int_equal(key_path_of_password("/d.d/k", "/p/", ".password", path).code, 0);
    assert_string_equal(path, "/p/k.password");
    memset(name, 'n', sizeof name);
    name[KEY_PATH_MAX] = 0;
    assert_int_equal(key_path_beside("/d/f.yaml", name, path).code, ERROR_LIMIT);
    name[KEY_PATH_MAX - 4] = 0;
    assert_int_equal(key_path_of_password(name, "/p", ".txt", path).code, ERROR_LIMIT);
    name[KEY_PATH_MAX - 5] = 0;
    assert_int_equal(key_path_of_password(name, "/p", ".txt", path).code, ERROR_LIMIT);
}

static void test_each_allocation_fails(void **state)
{
    (void)state;
    folder_write_text(&folder, "a.json", "password");
    folder_write_text(&folder, "b.json", "password");
    for (uint64_t nth = 1;; nth++) {
        struct key_files files = {0};
        struct password password;
        struct key_file_facts facts;
        const char *path = folder_at(&folder, "a.json");
        (void)alloc_fail_nth(nth);
        cc_err err = key_files_scan(&files, folder.path);
        if (!err.code)
            err = key_password_read(path, true, &password, &facts);
        (void)alloc_fail_nth(0);
        key_files_release(&files);
        if (!err.code) {
            assert_int_equal(nth, 5); /* the list, two paths, the password file */
            return;
        }
        assert_int_equal(err.code, ERROR_NO_MEMORY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test_setup_teardown(test_a_directory_in_the_order_of_its_names, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_many_files_are_sorted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_path_may_be_one_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_file_does_not_hang, setup, teardown),
        cmocka_unit_test_setup_teardown(test_size_mode_and_identity, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_password_is_the_first_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_password_files_that_are_refused, setup, teardown),
        cmocka_unit_test(test_names),
        cmocka_unit_test_setup_teardown(test_each_allocation_fails, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
