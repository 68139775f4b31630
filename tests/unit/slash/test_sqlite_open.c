/* Making, opening and locking a SQLite history: what is refused, and that nothing weakens it. */
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"

#include "slash/sqlite_history.h"
#include "support/slash_kit.h"
#include "support/test.h"

static char directory[KIT_DIRECTORY_MAX];
static char path[KIT_DIRECTORY_MAX + 32];
static const struct slash_identity identity = {.history_id = {1}, .chamber_id = {2}, .proof = {3}};

static int setup(void **state)
{
    (void)state;
    if (!kit_directory(directory))
        return -1;
    (void)snprintf(path, sizeof path, "%s/history.sqlite", directory);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    slash_remove_directory(directory);
    return 0;
}

static const char *beside(const char *suffix)
{
    static char name[KIT_DIRECTORY_MAX + 64];
    (void)snprintf(name, sizeof name, "%s%s", path, suffix);
    return name;
}

static void make(void)
{
    assert_int_equal(slash_sqlite_create(path, false, &identity).code, 0);
}

static int open_code(void)
{
    struct slash_store *store = NULL;
    int pid;
    cc_err err = slash_sqlite_open(path, false, &store, &pid);
    slash_store_close(store);
    return err.code;
}

/* As a stranger with the sqlite3 program could do it. */
static void tamper(const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void write_file(const char *name, const char *content)
{
    (void)unlink(name);
    assert_int_equal(file_write_durable(name, span_str(content), true).code, 0);
}

/* --- P3: a history is only ever made by create -------------------------------------------------------- */

static void test_P03_a_missing_history_is_refused(void **state)
{
    (void)state;
    struct stat st;
    assert_int_equal(open_code(), ERROR_HISTORY_MISSING);
    assert_int_equal(stat(path, &st), -1);
    assert_int_equal(stat(beside(".lock"), &st), -1);
    write_file(path, "");
    assert_int_equal(open_code(), ERROR_HISTORY_MISSING);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 0);
}

static void test_P03_what_is_no_history_is_refused(void **state)
{
    (void)state;
    write_file(path, "this is not a database, but long enough to be looked at as one by somebody "
                     "who reads the first hundred bytes of it");
    assert_int_equal(open_code(), ERROR_TAMPERED);
    (void)unlink(path);
    tamper("CREATE TABLE t (x); INSERT INTO t VALUES (1)");
    assert_int_equal(open_code(), ERROR_IDENTITY);
    (void)unlink(path);
    make();
    tamper("PRAGMA user_version = 2");
    assert_int_equal(open_code(), ERROR_IDENTITY);
    tamper("PRAGMA user_version = 1; UPDATE history SET format = 2");
    assert_int_equal(open_code(), ERROR_IDENTITY);
    tamper("UPDATE history SET format = 1");
    assert_int_equal(open_code(), 0);
    tamper("DELETE FROM history");
    assert_int_equal(open_code(), ERROR_IDENTITY);
    (void)unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(open_code(), ERROR_FILESYSTEM);
    (void)rmdir(path);
}

static void test_create_never_replaces_anything(void **state)
{
    (void)state;
    write_file(path, "someone's file");
    assert_int_equal(slash_sqlite_create(path, false, &identity).code, ERROR_EXISTS);
    (void)unlink(path);
    assert_int_equal(symlink("nowhere", path), 0);
    assert_int_equal(slash_sqlite_create(path, false, &identity).code, ERROR_EXISTS);
    (void)unlink(path);
    /* The leftovers of a create that was interrupted are in nobody's way. */
    write_file(beside(".new"), "half a database");
    write_file(beside(".new-wal"), "half a log");
    make();
    assert_int_equal(open_code(), 0);
    struct stat st;
    assert_int_equal(stat(beside(".new"), &st), -1);
    assert_int_equal(stat(beside(".new-wal"), &st), -1);
    assert_int_equal(slash_sqlite_create(path, false, &identity).code, ERROR_EXISTS);
    assert_int_equal(slash_sqlite_create("/nonexistent/x/history", false, &identity).code,
                     ERROR_STORE);
    assert_int_equal(slash_sqlite_create(directory, false, &identity).code, ERROR_EXISTS);
    assert_int_equal(slash_sqlite_create("/tmp/", false, &identity).code, ERROR_FILESYSTEM);
}

static void test_all_files_are_private(void **state)
{
    (void)state;
    mode_t before = umask(0);
    make();
    struct stat made;
    assert_int_equal(stat(path, &made), 0);
    assert_int_equal(made.st_mode & 0777, 0600);
    assert_int_equal(chmod(path, 0666), 0);
    struct slash_store *store;
    int pid;
    assert_int_equal(slash_sqlite_open(path, false, &store, &pid).code, 0);
    kit_register(store, 1, 1);
    static const char *const suffixes[] = {"", "-wal", ".lock"};
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        struct stat st;
        assert_int_equal(stat(beside(suffixes[i]), &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
    slash_store_close(store);
    (void)umask(before);
}

/* --- P1: durability can't be configured away ----------------------------------------------------------- */

static void expect_pragma(sqlite3 *db, const char *sql, const char *expected)
{
    sqlite3_stmt *s;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(s, 0), expected);
    assert_int_equal(sqlite3_finalize(s), SQLITE_OK);
}

static void test_P01_the_connection_is_durable(void **state)
{
    (void)state;
    /* Whatever the file says of itself, and whatever the environment holds. */
    make();
    tamper("PRAGMA journal_mode = DELETE");
    (void)setenv("SQLITE_SYNCHRONOUS", "0", 1);
    struct slash_store *store;
    int pid;
    assert_int_equal(slash_sqlite_open(path, false, &store, &pid).code, 0);
    sqlite3 *db = sqlite_history_of(store)->db.handle;
    expect_pragma(db, "PRAGMA synchronous", "2");
    expect_pragma(db, "PRAGMA journal_mode", "wal");
    expect_pragma(db, "PRAGMA locking_mode", "exclusive");
    expect_pragma(db, "PRAGMA fullfsync", "1");
    expect_pragma(db, "PRAGMA checkpoint_fullfsync", "1");
    slash_store_close(store);
}

static void test_P01_a_setting_that_is_not_kept_is_an_error(void **state)
{
    (void)state;
    make();
    sqlite_db_testing_synchronous("FULL"); /* reads back as 2, so this isn't believed */
    assert_int_equal(open_code(), ERROR_STORE);
    sqlite_db_testing_synchronous(NULL);
    assert_int_equal(open_code(), 0);
}

static void test_P01_memory_and_foreign_file_systems_are_refused(void **state)
{
    (void)state;
    char memory[64] = "/dev/shm/cc-slash-XXXXXX", name[96];
    struct slash_store *store;
    int pid;
    assert_int_equal(slash_sqlite_create("/proc/self/cc.sqlite", true, &identity).code,
                     ERROR_FILESYSTEM);
    if (!mkdtemp(memory)) {
        print_message("no /dev/shm: left out\n");
        return;
    }
    (void)snprintf(name, sizeof name, "%s/h", memory);
    assert_int_equal(symlink(name, path), 0); /* a good place that leads to a bad one */
    const int codes[] = {
        slash_sqlite_create(name, true, &identity).code,
        slash_sqlite_create(name, false, &identity).code,
        slash_sqlite_open(name, true, &store, &pid).code,
        slash_sqlite_open(path, true, &store, &pid).code,
        slash_sqlite_open(name, false, &store, &pid).code,
    };
    /* Before anything can fail: it is memory. */
    slash_remove_directory(memory);
    assert_int_equal(codes[0], ERROR_FILESYSTEM);
    assert_int_equal(codes[1], 0);
    assert_int_equal(codes[2], ERROR_FILESYSTEM);
    assert_int_equal(codes[3], ERROR_FILESYSTEM);
    assert_int_equal(codes[4], 0);
    slash_store_close(store);
}

/* A name that SQLite would take for something else than a file on the disk. */
static void test_P01_no_name_makes_a_history_in_memory(void **state)
{
    (void)state;
    static const char *const names[] = {":memory:", "", "file::memory:?cache=shared"};
    struct slash_store *store;
    int pid;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_int_equal(slash_sqlite_open(names[i], false, &store, &pid).code,
                         ERROR_HISTORY_MISSING);
    assert_int_equal(chdir(directory), 0);
    assert_int_equal(slash_sqlite_create("file:x?mode=memory", false, &identity).code, 0);
    struct stat st;
    assert_int_equal(stat("file:x?mode=memory", &st), 0);
    assert_true(st.st_size > 0);
    assert_int_equal(slash_sqlite_open("file:x?mode=memory", false, &store, &pid).code, 0);
    slash_store_close(store);
    assert_int_equal(chdir("/"), 0);
}

/* --- P4: one process ---------------------------------------------------------------------------------------- */

/* A child that opens the store, signs one block, and keeps it open until told. */
struct child {
    pid_t pid;
    int told; /* read end: one byte, 'o' opened or the error */
    int tell;
};

static struct child start_child(uint64_t root)
{
    int up[2], down[2];
    assert_int_equal(pipe(up), 0);
    assert_int_equal(pipe(down), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(up[0]);
        (void)close(down[1]);
        struct slash_store *store;
        int holder;
        uint8_t answer[2] = {0, 255};
        cc_err err = slash_sqlite_open(path, false, &store, &holder);
        answer[0] = (uint8_t)err.code;
        if (!err.code) {
            struct slash_claim claim = kit_block(1, 5, root);
            struct slash_verdict verdict;
            err = slash_check_and_record(store, &claim, 1, &verdict);
            answer[1] = err.code ? 255 : (uint8_t)verdict.rule;
        }
        if (write(up[1], answer, 2) != 2 || read(down[0], answer, 1) < 0)
            _exit(1);
        _exit(0);
    }
    (void)close(up[1]);
    (void)close(down[0]);
    return (struct child){pid, up[0], down[1]};
}

static void end_child(struct child *c)
{
    int status;
    assert_int_equal(write(c->tell, "e", 1), 1);
    (void)close(c->tell);
    (void)close(c->told);
    assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_P04_of_many_processes_one_signs(void **state)
{
    (void)state;
    enum {
        CHILDREN = 6
    };
    struct child children[CHILDREN];
    int opened = 0, signed_ = 0;
    pid_t holder = 0;
    make();
    struct slash_store *store;
    int pid;
    assert_int_equal(slash_sqlite_open(path, false, &store, &pid).code, 0);
    kit_register(store, 1, 1);
    slash_store_close(store);
    for (uint64_t i = 0; i < CHILDREN; i++)
        children[i] = start_child(i);
    for (int i = 0; i < CHILDREN; i++) {
        uint8_t answer[2];
        assert_int_equal(read(children[i].told, answer, 2), 2);
        assert_true(answer[0] == 0 || answer[0] == ERROR_LOCKED);
        if (answer[0] == 0) {
            opened++;
            holder = children[i].pid;
        }
        signed_ += answer[1] == SLASH_SAFE;
    }
    assert_int_equal(opened, 1);
    assert_int_equal(signed_, 1);
    assert_int_equal(slash_sqlite_open(path, false, &store, &pid).code, ERROR_LOCKED);
    assert_int_equal(pid, holder);
    for (int i = 0; i < CHILDREN; i++)
        end_child(&children[i]);
    /* The lock ended with its process, and the record is there. */
    assert_int_equal(slash_sqlite_open(path, false, &store, &pid).code, 0);
    assert_int_equal(kit_sign(store, kit_block(1, 5, 999)), SLASH_DOUBLE_BLOCK);
    slash_store_close(store);
}

static void test_P04_a_killed_process_leaves_no_lock(void **state)
{
    (void)state;
    make();
    struct child child = start_child(1);
    uint8_t answer[2];
    assert_int_equal(read(child.told, answer, 2), 2);
    assert_int_equal(answer[0], 0);
    assert_int_equal(open_code(), ERROR_LOCKED);
    assert_int_equal(kill(child.pid, SIGKILL), 0);
    int status;
    assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
    (void)close(child.told);
    (void)close(child.tell);
    assert_int_equal(open_code(), 0);
}

static void test_T10_the_lock_outlives_other_openings_of_the_file(void **state)
{
    (void)state;
    make();
    struct slash_store *store;
    int pid;
    assert_int_equal(slash_sqlite_open(path, false, &store, &pid).code, 0);
    /* This would drop SQLite's own POSIX locks on the file. */
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    (void)close(fd);
    struct child child = start_child(1);
    uint8_t answer[2];
    assert_int_equal(read(child.told, answer, 2), 2);
    assert_int_equal(answer[0], ERROR_LOCKED);
    end_child(&child);
    slash_store_close(store);
}

/* Two names, one file: the links are resolved before the lock is taken. */
static void test_P04_a_link_is_no_second_store(void **state)
{
    (void)state;
    char link_path[KIT_DIRECTORY_MAX + 64];
    make();
    struct slash_store *store, *second;
    int pid;
    assert_int_equal(slash_sqlite_open(path, false, &store, &pid).code, 0);
    (void)snprintf(link_path, sizeof link_path, "%s/other", directory);
    assert_int_equal(symlink(path, link_path), 0);
    assert_int_equal(slash_sqlite_open(link_path, false, &second, &pid).code, ERROR_LOCKED);
    assert_int_equal(pid, (int)getpid());
    slash_store_close(store);
}

static void test_a_link_in_place_of_the_lock_is_refused(void **state)
{
    (void)state;
    make();
    (void)unlink(beside(".lock"));
    assert_int_equal(symlink("/tmp/cc-elsewhere", beside(".lock")), 0);
    assert_int_equal(open_code(), ERROR_STORE);
}

/* --- tampering that shows ------------------------------------------------------------------------------------- */

static void test_values_out_of_their_domain_are_refused(void **state)
{
    (void)state;
    static const char *const damages[] = {
        "DELETE FROM tail WHERE id = 2",
        "DELETE FROM validators",
        "INSERT INTO fold (id, below, validator) VALUES (1, 5, 1)",
        "INSERT INTO fold (id, below, validator) VALUES (1, 1, 1)",
        "PRAGMA ignore_check_constraints = 1; UPDATE tail SET root = x'00'",
        "PRAGMA ignore_check_constraints = 1; UPDATE validators SET pubkey = x'00'",
        "PRAGMA ignore_check_constraints = 1; UPDATE history SET proof = x''",
    };
    for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
        struct slash_store *store;
        int pid;
        make();
        assert_int_equal(slash_sqlite_open(path, false, &store, &pid).code, 0);
        kit_register(store, 1, 1);
        for (uint64_t e = 1; e <= 3; e++)
            assert_int_equal(kit_sign(store, kit_attestation(1, e - 1, e, e)), SLASH_SAFE);
        slash_store_close(store);
        tamper(damages[i]);
        assert_int_equal(open_code(), ERROR_TAMPERED);
        slash_remove_directory(directory);
        assert_int_equal(mkdir(directory, 0700), 0);
    }
}

static void test_a_damaged_page_is_refused(void **state)
{
    (void)state;
    make();
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    static const char junk[1024] = {1};
    for (off_t page = 4096; page < 5 * 4096; page += 4096)
        assert_int_equal(pwrite(fd, junk, sizeof junk, page), (ssize_t)sizeof junk);
    (void)close(fd);
    assert_int_equal(open_code(), ERROR_TAMPERED);
}

static void take_away(const char *suffix)
{
    char to[KIT_DIRECTORY_MAX + 64];
    (void)snprintf(to, sizeof to, "%s.away%s", path, suffix);
    assert_int_equal(rename(beside(suffix), to), 0);
}

static void put_back(const char *suffix)
{
    char from[KIT_DIRECTORY_MAX + 64];
    (void)snprintf(from, sizeof from, "%s.away%s", path, suffix);
    assert_int_equal(rename(from, beside(suffix)), 0);
}

static enum error_code sign(struct slash_store *store, uint64_t slot, uint8_t root, bool *ret_may)
{
    struct slash_claim claim = kit_block(1, slot, root);
    struct slash_verdict verdict = {.rule = SLASH_RULE_END};
    cc_err err = slash_check_and_record(store, &claim, 1, &verdict);
    *ret_may = !err.code && slash_may_sign(verdict.rule);
    return (enum error_code)err.code;
}

static struct slash_store *open_with_one_key(void)
{
    struct slash_store *store;
    int pid;
    assert_int_equal(slash_sqlite_open(path, false, &store, &pid).code, 0);
    kit_register(store, 1, 1);
    return store;
}

/* What would be recorded in a file that nobody opens again must not be signed. */
static void test_C07_a_history_that_was_moved_away_signs_nothing(void **state)
{
    (void)state;
    bool may;
    make();
    struct slash_store *store = open_with_one_key();
    take_away("");
    assert_int_equal(sign(store, 5, 1, &may), ERROR_STORE);
    assert_false(may);
    struct slash_identity other = identity;
    other.history_id[0] = 99;
    take_away("-wal");
    take_away(".lock");
    assert_int_equal(slash_sqlite_create(path, false, &other).code, 0);
    assert_int_equal(sign(store, 5, 1, &may), ERROR_STORE);
    assert_false(may);
    put_back("");
    put_back("-wal");
    assert_int_equal(sign(store, 5, 2, &may), 0);
    assert_true(may);
    slash_store_close(store);
}

static void test_C07_a_log_that_was_removed_loses_no_record(void **state)
{
    (void)state;
    bool may;
    make();
    struct slash_store *store = open_with_one_key();
    assert_int_equal(sign(store, 5, 1, &may), 0);
    assert_true(may);
    assert_int_equal(unlink(beside("-wal")), 0);
    assert_int_equal(sign(store, 5, 2, &may), 0);
    assert_false(may);
    assert_int_equal(sign(store, 6, 1, &may), 0);
    assert_true(may);
    /* Also when an error came before it was noticed. */
    sqlite_history_of(store)->stale = true;
    assert_int_equal(unlink(beside("-wal")), 0);
    assert_int_equal(sign(store, 6, 2, &may), 0);
    assert_false(may);
    slash_store_close(store);
    store = open_with_one_key();
    assert_int_equal(sign(store, 5, 2, &may), 0);
    assert_false(may);
    assert_int_equal(sign(store, 6, 2, &may), 0);
    assert_false(may);
    slash_store_close(store);
}

/* Someone who empties "logs": what is written behind the gap would be gone at the next start. */
static void test_C07_a_log_that_was_cut_signs_nothing(void **state)
{
    (void)state;
    bool may;
    make();
    struct slash_store *store = open_with_one_key();
    assert_int_equal(sign(store, 5, 1, &may), 0);
    assert_true(may);
    assert_int_equal(truncate(beside("-wal"), 0), 0);
    for (uint64_t slot = 5; slot < 8; slot++) {
        assert_int_equal(sign(store, slot, 2, &may), ERROR_STORE);
        assert_false(may);
    }
    slash_store_close(store);
}

/* The same file with another history's bytes: the next error makes the store read again, and then it notices. */
static void test_C07_another_history_in_the_same_file_is_noticed(void **state)
{
    (void)state;
    bool may;
    make();
    struct slash_store *store = open_with_one_key();
    char second[KIT_DIRECTORY_MAX + 64];
    (void)snprintf(second, sizeof second, "%s.second", path);
    struct slash_identity other = identity;
    other.history_id[0] = 99;
    assert_int_equal(slash_sqlite_create(second, false, &other).code, 0);
    struct buf content = buf_init(1 << 20);
    assert_int_equal(file_read(second, &content).code, 0);
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, content.data, content.len).code, 0);
    (void)close(fd);
    buf_release(&content);
    take_away("-wal");
    sqlite_history_of(store)->stale = true;
    assert_int_equal(sign(store, 5, 1, &may), ERROR_IDENTITY);
    assert_false(may);
    assert_int_equal(store->identity.history_id[0], 1);
    slash_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(test_P03_a_missing_history_is_refused),
        T(test_P03_what_is_no_history_is_refused),
        T(test_create_never_replaces_anything),
        T(test_all_files_are_private),
        T(test_P01_the_connection_is_durable),
        T(test_P01_a_setting_that_is_not_kept_is_an_error),
        T(test_P01_memory_and_foreign_file_systems_are_refused),
        T(test_P01_no_name_makes_a_history_in_memory),
        T(test_P04_of_many_processes_one_signs),
        T(test_P04_a_killed_process_leaves_no_lock),
        T(test_T10_the_lock_outlives_other_openings_of_the_file),
        T(test_P04_a_link_is_no_second_store),
        T(test_a_link_in_place_of_the_lock_is_refused),
        T(test_values_out_of_their_domain_are_refused),
        T(test_a_damaged_page_is_refused),
        T(test_C07_a_history_that_was_moved_away_signs_nothing),
        T(test_C07_a_log_that_was_removed_loses_no_record),
        T(test_C07_a_log_that_was_cut_signs_nothing),
        T(test_C07_another_history_in_the_same_file_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
