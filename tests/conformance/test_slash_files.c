/* The history's files moved, replaced or removed while they are in use: nothing may be released whose record the next
 * start can't find.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/io.h"

#include "slash/sqlite_history.h"
#include "support/slash_kit.h"
#include "support/test.h"

static const struct slash_backend *sqlite_backend(void)
{
    for (size_t i = 0; i < slash_backend_count; i++)
        if (slash_backends[i].keeps)
            return &slash_backends[i];
    fail_msg("no backend keeps anything");
    return NULL;
}

static void setup(struct slash_fixture *f)
{
    slash_fixture_setup(f, sqlite_backend());
    kit_register(f->store, 0, 1);
    assert_int_equal(kit_sign(f->store, kit_attestation(0, 0, 1, 1)), SLASH_SAFE);
}

static const char *beside(const struct slash_fixture *f, const char *ending)
{
    static char paths[4][KIT_PATH_MAX + 32];
    static unsigned turn;
    char *path = paths[turn++ % ARRAY_LEN(paths)];
    (void)snprintf(path, sizeof paths[0], "%s%s", f->path, ending);
    return path;
}

static void copy(const char *from, const char *to)
{
    struct buf content = buf_init(1 << 24);
    assert_int_equal(file_read(from, &content).code, 0);
    (void)unlink(to);
    int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, content.data, content.len).code, 0);
    assert_int_equal(close(fd), 0);
    buf_release(&content);
}

static void assert_refused(struct slash_fixture *f, struct slash_claim claim)
{
    struct slash_verdict verdict;
    cc_err err = slash_check_and_record(f->store, &claim, 1, &verdict);
    assert_string_equal(error_name(err), "STORE");
}

static void test_P02_a_history_moved_away_signs_nothing_until_it_is_back(void **state)
{
    (void)state;
    struct slash_fixture f;
    setup(&f);
    assert_int_equal(rename(f.path, beside(&f, ".away")), 0);
    assert_refused(&f, kit_attestation(0, 1, 2, 2));
    assert_refused(&f, kit_attestation(0, 0, 1, 1)); /* a repeat: its record would be gone too */
    assert_int_equal(rename(beside(&f, ".away"), f.path), 0);
    assert_int_equal(kit_sign(f.store, kit_attestation(0, 1, 2, 2)), SLASH_SAFE);
    assert_int_equal(kit_sign(f.store, kit_attestation(0, 1, 2, 3)), SLASH_DOUBLE_VOTE);
    slash_fixture_teardown(&f);
}

/* The copy has the right identity, so only its being another file tells. */
static void test_P21_an_older_copy_put_in_the_place_of_the_history_in_use_is_refused(void **state)
{
    (void)state;
    for (int failed_before = 0; failed_before < 2; failed_before++) {
        struct slash_fixture f;
        setup(&f);
        slash_fixture_reopen(&f); /* all is in the database file now */
        copy(f.path, beside(&f, ".old"));
        assert_int_equal(kit_sign(f.store, kit_attestation(0, 1, 2, 2)), SLASH_SAFE);
        sqlite_history_of(f.store)->stale = failed_before; /* as after a failed write */
        assert_int_equal(rename(f.path, beside(&f, ".away")), 0);
        assert_int_equal(rename(beside(&f, ".old"), f.path), 0);
        assert_refused(&f, kit_attestation(0, 1, 2, 3));
        assert_refused(&f, kit_attestation(0, 2, 3, 4));
        assert_int_equal(rename(beside(&f, ".away"), f.path), 0);
        assert_int_equal(kit_sign(f.store, kit_attestation(0, 1, 2, 3)), SLASH_DOUBLE_VOTE);
        slash_fixture_teardown(&f);
    }
}

/* What a process that is killed now leaves to the next one, by name. */
static enum slash_rule sign_after_a_kill(struct slash_fixture *f, struct slash_claim claim)
{
    struct slash_store *store;
    int pid;
    copy(f->path, beside(f, ".killed"));
    copy(beside(f, "-wal"), beside(f, ".killed-wal"));
    assert_int_equal(slash_sqlite_open(beside(f, ".killed"), false, &store, &pid).code, 0);
    enum slash_rule rule = kit_sign(store, claim);
    slash_store_close(store);
    return rule;
}

static void test_P02_a_log_taken_away_loses_no_record(void **state)
{
    (void)state;
    struct slash_fixture f;
    setup(&f);
    assert_int_equal(kit_sign(f.store, kit_attestation(0, 1, 2, 2)), SLASH_SAFE);
    assert_int_equal(unlink(beside(&f, "-wal")), 0);
    assert_int_equal(kit_sign(f.store, kit_attestation(0, 2, 3, 3)), SLASH_SAFE);
    assert_int_equal(sign_after_a_kill(&f, kit_attestation(0, 1, 2, 4)), SLASH_DOUBLE_VOTE);
    assert_int_equal(sign_after_a_kill(&f, kit_attestation(0, 2, 3, 4)), SLASH_DOUBLE_VOTE);
    slash_fixture_teardown(&f);
}

/* SQLite would replay the old log over the newer database. */
static void test_P21_a_log_replaced_by_an_older_one_is_refused(void **state)
{
    (void)state;
    for (int failed_before = 0; failed_before < 2; failed_before++) {
        struct slash_fixture f;
        setup(&f);
        copy(beside(&f, "-wal"), beside(&f, ".old-wal"));
        assert_int_equal(kit_sign(f.store, kit_attestation(0, 1, 2, 2)), SLASH_SAFE);
        sqlite_history_of(f.store)->stale = failed_before;
        assert_int_equal(rename(beside(&f, ".old-wal"), beside(&f, "-wal")), 0);
        assert_refused(&f, kit_attestation(0, 1, 2, 3));
        assert_refused(&f, kit_attestation(0, 2, 3, 3));
        assert_int_equal(unlink(beside(&f, "-wal")), 0);
        assert_int_equal(kit_sign(f.store, kit_attestation(0, 3, 4, 4)), SLASH_SAFE);
        assert_int_equal(sign_after_a_kill(&f, kit_attestation(0, 1, 2, 5)), SLASH_DOUBLE_VOTE);
        assert_int_equal(sign_after_a_kill(&f, kit_attestation(0, 3, 4, 5)), SLASH_DOUBLE_VOTE);
        slash_fixture_teardown(&f);
    }
}

static void test_a_history_whose_end_was_cut_off_is_refused(void **state)
{
    (void)state;
    struct slash_fixture f;
    struct slash_store *store = NULL;
    struct buf content = buf_init(1 << 24);
    int pid;
    setup(&f);
    slash_fixture_reopen(&f);
    assert_int_equal(file_read(f.path, &content).code, 0);
    for (size_t cut = 1; cut < content.len; cut = cut * 7 + 1) {
        copy(f.path, beside(&f, ".cut"));
        assert_int_equal(truncate(beside(&f, ".cut"), (off_t)(content.len - cut)), 0);
        assert_int_not_equal(slash_sqlite_open(beside(&f, ".cut"), false, &store, &pid).code, 0);
    }
    buf_release(&content);
    slash_fixture_teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_P02_a_history_moved_away_signs_nothing_until_it_is_back),
        cmocka_unit_test(test_P21_an_older_copy_put_in_the_place_of_the_history_in_use_is_refused),
        cmocka_unit_test(test_P02_a_log_taken_away_loses_no_record),
        cmocka_unit_test(test_a_history_whose_end_was_cut_off_is_refused),
        cmocka_unit_test(test_P21_a_log_replaced_by_an_older_one_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
