#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sql/sqlite_file.h"
#include "support/test.h"

static char directory[] = "/tmp/cc-sqlite-file-XXXXXX";
static char path[64];

static int setup(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, sizeof path, "%s/db", directory);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return unlink(path) || rmdir(directory);
}

static sqlite3 *open_reader(void)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL),
                     SQLITE_OK);
    return db;
}

/* Somebody who copies the file, as `backup` does: in the middle of it until a commit waits for its end. */
struct copier {
    sqlite3 *db, *probe;
    atomic_bool committed;
    bool was_waited_for;
};

static void *copy(void *context)
{
    struct copier *c = context;
    /* While a writer waits for the readers to end, no further one is let in. */
    while (!c->was_waited_for && !atomic_load(&c->committed)) {
        c->was_waited_for =
            sqlite3_exec(c->probe, "SELECT * FROM t", NULL, NULL, NULL) == SQLITE_BUSY;
        (void)sched_yield();
    }
    (void)sqlite3_exec(c->db, "COMMIT", NULL, NULL, NULL);
    return NULL;
}

static void test_a_commit_waits_for_who_reads(void **state)
{
    (void)state;
    sqlite3 *db;
    pthread_t thread;
    assert_int_equal(sqlite_file_make(path).code, 0);
    assert_int_equal(sqlite_file_open(path, &db).code, 0);
    assert_int_equal(sqlite_file_execute(db, "CREATE TABLE t (n INTEGER)").code, 0);
    struct copier c = {.db = open_reader(), .probe = open_reader()};
    assert_int_equal(sqlite3_exec(c.db, "BEGIN; SELECT * FROM t", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(pthread_create(&thread, NULL, copy, &c), 0);
    cc_err err = sqlite_file_execute(db, "INSERT INTO t VALUES (1)");
    atomic_store(&c.committed, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(err.code, 0);
    assert_true(c.was_waited_for);
    sqlite_file_close(c.db);
    sqlite_file_close(c.probe);
    sqlite_file_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_commit_waits_for_who_reads, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
