/* A key store under an attacker's hand, and on a disk that fails: nothing comes back, nothing is lost unseen, the rest signs on (T3, P5). */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

#include "auth/scope.h"
#include "core/key_book.h"
#include "support/key_room.h"
#include "support/test.h"

static struct core_room room;
static char saved[200];

static int up(void **state)
{
    (void)state;
    core_room_up(&room, 2);
    const struct a_keys ask = keys_import(3, 5);
    keys_expect(&room, &ask, A_KEY_IMPORTED);
    (void)snprintf(saved, sizeof saved, "%s/saved", room.directory);
    return 0;
}

static int down(void **state)
{
    (void)state;
    core_room_remove(&room);
    return 0;
}

static const char *file(void)
{
    static char path[200];
    (void)snprintf(path, sizeof path, "%s/keys.sqlite", room.directory);
    return path;
}

static void copy(const char *from, const char *to)
{
    char command[512];
    (void)snprintf(command, sizeof command, "cp -p %s %s", from, to);
    assert_int_equal(system(command), 0); /* NOLINT: names of this test's own */
}

static void attack(const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(file(), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_true(sqlite3_total_changes(db) > 0);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void stop(void)
{
    assert_int_equal(core_room_stop_core(&room), 0);
}

static uint32_t sign(unsigned n)
{
    const struct a_sign request = test_object(n, KIND_RANDAO_REVEAL, 3);
    return core_room_sign(&room, &request).error;
}

static void start(void)
{
    assert_int_equal(core_room_start(&room), 0);
    core_room_load(&room, 2);
    const uint64_t until_ms = clock_mono_ms() + 30000;
    for (struct a_health now = {0}; !now.ready || (!now.keys_complete && !now.load_errors);) {
        assert_true(clock_mono_ms() < until_ms);
        now = core_room_health(&room); /* of a refused store the keys are never complete */
    }
    while (sign(9) == ERROR_KEY_LOADING) /* until then nobody is told that a key is not here */
        assert_true(clock_mono_ms() < until_ms);
}

/* A new vault too: what it knows comes from the disk. */
static void start_all(void)
{
    assert_int_equal(vault_room_stop(&room.vault), 0);
    core_room_start_vault(&room);
    start();
}

static void await_errors(uint64_t errors)
{
    const uint64_t until_ms = clock_mono_ms() + 30000;
    while (core_room_health(&room).load_errors != errors)
        assert_true(clock_mono_ms() < until_ms);
}

/* None of the store's keys signs, those from files do, and health says that something is wrong. */
static void assert_refused(void)
{
    await_errors(1);
    assert_int_equal(core_room_health(&room).keys_complete, 0);
    for (unsigned n = 3; n <= 5; n++) {
        assert_int_equal(sign(n), ERROR_KEY_UNKNOWN);
        assert_int_equal(keys_listed(&room, n).source, 0);
    }
    assert_int_equal(sign(1), 0);
    const struct a_keys ask = keys_import(6, 6);
    const struct a_keys_done done = keys_do(&room, &ask);
    assert_int_equal(done.items[0].error, ERROR_TAMPERED);
    const struct a_keys list = keys_ask(KEYS_LIST);
    assert_int_equal(list.head.scope, SCOPE_LIST_KEYS);
    assert_int_equal(keys_do(&room, &list).head.error, ERROR_TAMPERED);
    /* Nobody is told that a key of it is not here: with the right file it would sign again. */
    const struct a_keys bury = keys_about(KEYS_DELETE, 3, 7);
    const struct a_keys_done buried = keys_do(&room, &bury);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(buried.items[i].outcome, A_KEY_ERROR);
        assert_int_equal(buried.items[i].error, ERROR_TAMPERED);
    }
}

static void assert_whole(void)
{
    for (unsigned n = 3; n <= 5; n++) {
        keys_await(&room, n, A_KEY_ACTIVE);
        assert_int_equal(sign(n), 0);
    }
    await_errors(0);
}

static void refused_after(const char *sql)
{
    stop();
    copy(file(), saved);
    attack(sql);
    start(); /* the vault has the keys yet: they are taken out */
    assert_refused();
    stop();
    start_all();
    assert_refused();
    stop();
    copy(saved, file());
    start_all();
    assert_whole();
}

static void test_T03_a_row_that_was_deleted(void **state)
{
    (void)state;
    refused_after("DELETE FROM keys WHERE pubkey = (SELECT max(pubkey) FROM keys)");
}

static void test_T03_a_row_with_another_status(void **state)
{
    (void)state;
    refused_after("UPDATE keys SET status = 2 WHERE pubkey = (SELECT min(pubkey) FROM keys)");
}

static void test_T03_a_row_with_another_version(void **state)
{
    (void)state;
    refused_after("UPDATE keys SET version = version + 1");
}

/* Else a rotation would take it for sealed anew, and leave it behind. */
static void test_T03_a_row_with_another_generation(void **state)
{
    (void)state;
    refused_after("UPDATE keys SET generation = 2 WHERE pubkey = (SELECT max(pubkey) FROM keys)");
}

static void test_T03_a_row_that_was_added(void **state)
{
    (void)state;
    refused_after(
        "INSERT INTO keys SELECT zeroblob(48), status, version, generation, nonce, ciphertext"
        " FROM keys LIMIT 1");
}

static void test_T03_every_row_is_gone(void **state)
{
    (void)state;
    refused_after("DELETE FROM keys");
}

/* Its place is right, so the store is; what is in it is not, and only that key is missed. */
static void test_T03_a_row_with_a_forged_secret(void **state)
{
    (void)state;
    stop();
    attack("UPDATE keys SET ciphertext = (SELECT ciphertext FROM keys ORDER BY pubkey DESC LIMIT 1)"
           " WHERE pubkey = (SELECT min(pubkey) FROM keys)");
    start_all();
    await_errors(1);
    unsigned signing = 0;
    for (unsigned n = 3; n <= 5; n++)
        if (keys_listed(&room, n).status == A_KEY_FAILED)
            assert_int_equal(sign(n), ERROR_KEY_UNKNOWN);
        else
            signing += sign(n) == 0;
    assert_int_equal(signing, 2);
}

/* The file of before a delete: whole, and sealed by this chamber, and old. */
static void test_T03_P05_a_store_that_was_rolled_back(void **state)
{
    (void)state;
    stop();
    copy(file(), saved);
    start();
    const struct a_keys ask = keys_about(KEYS_DELETE, 3, 3);
    keys_expect(&room, &ask, A_KEY_DELETED);
    stop();
    copy(saved, file());
    start();
    assert_refused();
    stop();
    start_all();
    assert_refused();
}

static void test_T03_a_store_that_is_gone(void **state)
{
    struct stat st;
    (void)state;
    stop();
    assert_int_equal(rename(file(), saved), 0);
    start_all();
    assert_refused();
    assert_int_not_equal(stat(file(), &st), 0); /* and none is made in its place */
    stop();
    assert_int_equal(rename(saved, file()), 0);
    start_all();
    assert_whole();
}

static void test_T03_another_chambers_store(void **state)
{
    struct core_room mine = room;
    (void)state;
    core_room_up(&room, 2);
    const struct a_keys ask = keys_import(3, 5);
    keys_expect(&room, &ask, A_KEY_IMPORTED);
    stop();
    char other[200];
    (void)snprintf(other, sizeof other, "%s", file());
    copy(other, saved);
    core_room_remove(&room); /* its rooms hold this test's other lines */
    room = mine;
    stop();
    copy(saved, file());
    start_all();
    /* The same keys, statuses and versions: the store passes, and none of its rows opens. */
    await_errors(3);
    for (unsigned n = 3; n <= 5; n++)
        assert_int_equal(sign(n), ERROR_KEY_UNKNOWN);
    assert_int_equal(sign(1), 0);
}

/* --- P5: a disk that fails ------------------------------------------------------------------------------------------- */

static sqlite3 *lock_store(void)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(file(), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
    return db;
}

static void test_P05_a_delete_that_can_not_be_stored_is_an_error(void **state)
{
    (void)state;
    sqlite3 *db = lock_store();
    const struct a_keys ask = keys_about(KEYS_DELETE, 3, 3);
    struct a_keys_done done = keys_do(&room, &ask);
    assert_int_equal(done.items[0].outcome, A_KEY_ERROR);
    assert_int_equal(done.items[0].error, ERROR_KEY_STORE);
    assert_int_equal(keys_listed(&room, 3).status, A_KEY_DELETING);
    assert_int_equal(sign(3), ERROR_KEY_UNKNOWN);
    done = keys_do(&room, &ask);
    assert_int_equal(done.items[0].error, ERROR_KEY_STORE);
    assert_int_equal(sign(4), 0);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    keys_expect(&room, &ask, A_KEY_DELETED);
    assert_int_equal(keys_listed(&room, 3).source, 0);
    stop();
    start_all();
    assert_int_equal(keys_listed(&room, 3).source, 0);
    assert_int_equal(sign(3), ERROR_KEY_UNKNOWN);
    keys_await(&room, 4, A_KEY_ACTIVE);
}

static void test_P05_an_import_that_can_not_be_stored_is_an_error(void **state)
{
    (void)state;
    sqlite3 *db = lock_store();
    const struct a_keys ask = keys_import(6, 7);
    const struct a_keys_done done = keys_do(&room, &ask);
    assert_int_equal(done.items[0].error, ERROR_KEY_STORE);
    assert_int_equal(done.items[1].error, ERROR_KEY_STORE);
    assert_int_equal(keys_listed(&room, 6).source, 0);
    assert_int_equal(sign(6), ERROR_KEY_UNKNOWN);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    keys_expect(&room, &ask, A_KEY_IMPORTED);
    assert_int_equal(sign(6), 0);
    stop();
    start_all();
    keys_await(&room, 7, A_KEY_ACTIVE);
    assert_int_equal(sign(7), 0);
}

/* A row changed under a running signer is found at the next change, and no later. */
static void test_T03_a_change_beside_a_running_signer(void **state)
{
    (void)state;
    attack("UPDATE keys SET version = version + 5 WHERE pubkey = (SELECT min(pubkey) FROM keys)");
    struct a_keys ask = keys_about(KEYS_DELETE, 3, 5);
    const struct a_keys_done done = keys_do(&room, &ask);
    for (uint32_t i = 0; i < done.head.count; i++)
        assert_int_equal(done.items[i].outcome, A_KEY_ERROR);
    ask = keys_import(6, 6);
    assert_int_equal(keys_do(&room, &ask).items[0].error, ERROR_TAMPERED);
    assert_int_equal(sign(1), 0);
}

/* --- the record --------------------------------------------------------------------------------------------------------- */

static void test_the_record_as_bytes(void **state)
{
    struct key_book_record record = {.has_next = true}, read;
    uint8_t bytes[KEY_BOOK_RECORD_SIZE + 1] = {0};
    (void)state;
    memset(record.current, 7, sizeof record.current);
    memset(record.next, 9, sizeof record.next);
    key_book_record_encode(&record, bytes);
    assert_int_equal(key_book_record_decode(span_of(bytes, KEY_BOOK_RECORD_SIZE), &read).code, 0);
    assert_memory_equal(&record, &read, sizeof read);
    const struct {
        size_t at;
        size_t len;
    } wrong[] = {{3, KEY_BOOK_RECORD_SIZE},
                 {4, KEY_BOOK_RECORD_SIZE},
                 {0, KEY_BOOK_RECORD_SIZE - 1},
                 {0, KEY_BOOK_RECORD_SIZE + 1}};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        key_book_record_encode(&record, bytes);
        if (wrong[i].at)
            bytes[wrong[i].at] = 6;
        assert_int_equal(key_book_record_decode(span_of(bytes, wrong[i].len), &read).code,
                         ERROR_TAMPERED);
    }
    record.mark = KEY_MARK_ASKED; /* of a store that was lost in the middle of a change */
    key_book_record_encode(&record, bytes);
    assert_int_equal(bytes[4], 5);
    assert_int_equal(key_book_record_decode(span_of(bytes, KEY_BOOK_RECORD_SIZE), &read).code, 0);
    assert_memory_equal(&record, &read, sizeof read);
    bytes[4] = 0; /* no next, and yet there is one */
    assert_int_equal(key_book_record_decode(span_of(bytes, KEY_BOOK_RECORD_SIZE), &read).code,
                     ERROR_TAMPERED);
}

static void test_a_large_store_is_not_read_without_end(void **state)
{
    (void)state;
    assert_int_equal(key_book_rest_ms(0), 0);
    assert_int_equal(key_book_rest_ms(5),
                     40); /* far below the interval: a replica follows at once */
    assert_int_equal(key_book_rest_ms(1000), 8000);
    assert_int_equal(key_book_rest_ms(2000), KEY_BOOK_REST_MS);
    assert_int_equal(key_book_rest_ms(UINT64_MAX), KEY_BOOK_REST_MS);
}

static void test_marks_as_bytes(void **state)
{
    static const uint8_t id[KEY_STORE_ID_SIZE] = {1, 2, 0xff};
    uint8_t bytes[KEY_BOOK_RECORD_SIZE];
    (void)state;
    for (unsigned mark = KEY_MARK_ASKED; mark <= KEY_MARK_MOVED; mark++)
        for (unsigned kind = 0; kind < KEY_BOOK_KINDS; kind++) {
            struct key_book_record record = {.mark = (enum key_mark)mark}, read;
            memset(record.current, 7, sizeof record.current);
            if (mark != KEY_MARK_ASKED)
                key_record_name((enum key_book_kind)kind, id, record.to);
            key_book_record_encode(&record, bytes);
            assert_int_equal(key_book_record_decode(span_of(bytes, sizeof bytes), &read).code, 0);
            assert_memory_equal(&record, &read, sizeof read);
            bytes[sizeof bytes - 1] = 1; /* behind the place */
            assert_int_equal(key_book_record_decode(span_of(bytes, sizeof bytes), &read).code,
                             ERROR_TAMPERED);
            bytes[sizeof bytes - 1] = 0;
            bytes[5 + KEY_STORE_DIGEST_SIZE] = KEY_BOOK_KINDS + 1; /* no kind */
            assert_int_equal(key_book_record_decode(span_of(bytes, sizeof bytes), &read).code,
                             ERROR_TAMPERED);
        }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_T03_a_row_that_was_deleted),
        TEST(test_T03_a_row_with_another_status),
        TEST(test_T03_a_row_with_another_version),
        TEST(test_T03_a_row_with_another_generation),
        TEST(test_T03_a_row_that_was_added),
        TEST(test_T03_every_row_is_gone),
        TEST(test_T03_a_row_with_a_forged_secret),
        TEST(test_T03_P05_a_store_that_was_rolled_back),
        TEST(test_T03_a_store_that_is_gone),
        TEST(test_T03_another_chambers_store),
        TEST(test_T03_a_change_beside_a_running_signer),
        TEST(test_P05_a_delete_that_can_not_be_stored_is_an_error),
        TEST(test_P05_an_import_that_can_not_be_stored_is_an_error),
        cmocka_unit_test(test_the_record_as_bytes),
        cmocka_unit_test(test_marks_as_bytes),
        cmocka_unit_test(test_a_large_store_is_not_read_without_end),
    };
    core_room_reserve_metrics();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
