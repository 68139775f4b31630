/* The state store: commits, and every way of changing it behind its back (T2). The vault is played by a seed. */
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"

#include "state/pin.h"
#include "state/store.h"
#include "support/test.h"

static char directory[64];
static char path[128];
static char copy[128];
static char seen[128];
static uint8_t seed[ED25519_SEED_SIZE] = {1, 2, 3};
static struct state_pin pin;
static unsigned signings;

static cc_err sign(void *context, const uint8_t digest[static SHA256_SIZE], uint8_t *ret_signature)
{
    static const char domain[] = "containment-chamber/state-head/v1";
    uint8_t message[sizeof domain + SHA256_SIZE];
    memcpy(message, domain, sizeof domain);
    memcpy(message + sizeof domain, digest, SHA256_SIZE);
    ed25519_sign(seed, span_of(message, sizeof message), ret_signature);
    signings++;
    return context ? *(cc_err *)context : CC_OK;
}

static const struct state_signer signer = {sign, NULL};

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(directory, sizeof directory, "/tmp/cc-test-state-XXXXXX");
    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, sizeof path, "%s/state.sqlite", directory);
    (void)snprintf(copy, sizeof copy, "%s/copy.sqlite", directory);
    (void)snprintf(seen, sizeof seen, "%s/state.seen", directory);
    memset(pin.chamber_id, 0x5c, sizeof pin.chamber_id);
    ed25519_public(seed, pin.identity_public);
    signings = 0;
    return 0;
}

static int remove_entry(const char *name, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(name);
}

static int tear_down(void **state)
{
    (void)state;
    return nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static cc_err put(struct state_store *store,
                  const char *kind,
                  const char *name,
                  uint64_t version,
                  const char *text)
{
    const struct state_change change = {kind, name, version, span_str(text)};
    return state_commit(store, &change, 1, &signer);
}

static cc_err reopen(struct state_store **ret_store, struct state_fault *ret_fault)
{
    struct state_store *store = NULL;
    *ret_fault = (struct state_fault){0};
    CC_TRY(state_sqlite_open(path, &store));
    cc_err err = state_open(store, &pin, seen, ret_fault);
    if (err.code)
        state_store_close(store);
    else
        *ret_store = store;
    return err;
}

/* Records alpha/one (2 versions), alpha/two and beta/one. */
static void make(void)
{
    struct state_store *store = NULL;
    assert_int_equal(state_sqlite_create(path).code, 0);
    assert_int_equal(state_sqlite_open(path, &store).code, 0);
    assert_int_equal(state_open_new(store, &pin, seen).code, 0);
    assert_int_equal(put(store, "alpha", "two", 0, "second").code, 0);
    assert_int_equal(put(store, "alpha", "one", 0, "first").code, 0);
    assert_int_equal(put(store, "beta", "one", 0, "third").code, 0);
    assert_int_equal(put(store, "alpha", "one", 1, "first again").code, 0);
    state_store_close(store);
}

/* What an attacker with the file does. */
static void attack(const char *sql)
{
    sqlite3 *db = NULL;
    char *message = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    (void)sqlite3_exec(db, sql, NULL, NULL, &message);
    if (message)
        fail_msg("%s", message);
    assert_true(sqlite3_total_changes(db) > 0);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void assert_refused(const char *what, const char *kind, const char *name)
{
    struct state_store *store = NULL;
    struct state_fault fault;
    assert_true(error_is(reopen(&store, &fault), ERROR_TAMPERED));
    assert_string_equal(fault.what, what);
    assert_string_equal(fault.kind, kind);
    assert_string_equal(fault.name, name);
}

static void copy_file(const char *from, const char *to)
{
    struct buf content CC_CLEANUP(buf_release) = buf_init(1 << 20);
    assert_int_equal(file_read(from, &content).code, 0);
    assert_int_equal(file_write_durable(to, buf_span(&content), false).code, 0);
}

static void test_what_was_committed_is_there_again(void **state)
{
    struct state_store *store = NULL;
    struct state_fault fault;
    (void)state;
    make();
    assert_int_equal(reopen(&store, &fault).code, 0);
    const struct state_record *record = state_find(store, "alpha", "one");
    assert_non_null(record);
    assert_true(span_is(span_of(record->bytes, record->len), "first again"));
    assert_int_equal(record->version, 2);
    assert_int_equal(record->generation, 4);
    record = state_find(store, "beta", "one");
    assert_non_null(record);
    assert_int_equal(record->version, 1);
    assert_null(state_find(store, "beta", "two"));
    assert_int_equal(put(store, "beta", "one", 1, "third again").code, 0);
    state_store_close(store);
    assert_int_equal(reopen(&store, &fault).code, 0);
    assert_int_equal(state_find(store, "beta", "one")->version, 2);
    state_store_close(store);
}

static void test_files_are_for_their_owner_alone(void **state)
{
    struct stat st;
    (void)state;
    make();
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(seen, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_compare_and_swap(void **state)
{
    struct state_store *store = NULL;
    struct state_fault fault;
    (void)state;
    make();
    assert_int_equal(reopen(&store, &fault).code, 0);
    unsigned before = signings;
    assert_true(error_is(put(store, "alpha", "one", 1, "x"), ERROR_CONFLICT)); /* it is 2 */
    assert_true(error_is(put(store, "alpha", "one", 0, "x"), ERROR_CONFLICT)); /* it exists */
    assert_true(error_is(put(store, "gamma", "one", 1, "x"), ERROR_CONFLICT)); /* it does not */
    assert_int_equal(signings, before); /* nothing is signed for a change that can't be */
    state_store_close(store);
}

static void test_several_changes_are_one(void **state)
{
    struct state_store *store = NULL;
    struct state_fault fault;
    (void)state;
    make();
    assert_int_equal(reopen(&store, &fault).code, 0);
    const struct state_change half[] = {{"gamma", "one", 0, span_str("new")},
                                        {"alpha", "two", 9, span_str("stale")}};
    assert_true(error_is(state_commit(store, half, 2, &signer), ERROR_CONFLICT));
    assert_null(state_find(store, "gamma", "one"));
    state_store_close(store);
    assert_int_equal(reopen(&store, &fault).code, 0);
    assert_null(state_find(store, "gamma", "one"));
    state_store_close(store);
}

static void test_another_writer_was_faster(void **state)
{
    struct state_store *store = NULL;
    struct state_fault fault;
    (void)state;
    make();
    assert_int_equal(reopen(&store, &fault).code, 0);
    attack("UPDATE head SET generation = generation + 1");
    assert_true(error_is(put(store, "alpha", "one", 2, "x"), ERROR_CONFLICT));
    state_store_close(store);
}

static void test_a_signer_that_fails_changes_nothing(void **state)
{
    struct state_store *store = NULL;
    struct state_fault fault;
    cc_err sealed = CC_FAIL(SEALED, NULL);
    const struct state_signer failing = {sign, &sealed};
    const struct state_change change = {"alpha", "one", 2, span_str("x")};
    (void)state;
    make();
    assert_int_equal(reopen(&store, &fault).code, 0);
    assert_true(error_is(state_commit(store, &change, 1, &failing), ERROR_SEALED));
    seed[0] ^= 1; /* another identity: its head would lock the store for ever */
    assert_true(error_is(state_commit(store, &change, 1, &signer), ERROR_TAMPERED));
    seed[0] ^= 1;
    assert_int_equal(state_find(store, "alpha", "one")->version, 2);
    state_store_close(store);
    assert_int_equal(reopen(&store, &fault).code, 0);
    state_store_close(store);
}

static void test_bounds(void **state)
{
    struct state_store *store = NULL;
    struct state_fault fault;
    uint8_t *large = calloc(1, STATE_RECORD_MAX + 1);
    (void)state;
    assert_non_null(large);
    make();
    assert_int_equal(reopen(&store, &fault).code, 0);
    struct state_change change = {"big", "one", 0, span_of(large, STATE_RECORD_MAX + 1)};
    assert_true(error_is(state_commit(store, &change, 1, &signer), ERROR_LIMIT));
    change.bytes.len = STATE_RECORD_MAX;
    assert_int_equal(state_commit(store, &change, 1, &signer).code, 0);
    change = (struct state_change){"Big", "one", 0, span_str("")};
    assert_true(error_is(state_commit(store, &change, 1, &signer), ERROR_LIMIT));
    change = (struct state_change){"a-kind-that-is-too-long", "one", 0, span_str("")};
    assert_true(error_is(state_commit(store, &change, 1, &signer), ERROR_LIMIT));
    change = (struct state_change){"empty", "one", 0, span_str("")};
    assert_int_equal(state_commit(store, &change, 1, &signer).code, 0);
    state_store_close(store);
    assert_int_equal(reopen(&store, &fault).code, 0);
    assert_int_equal(state_find(store, "big", "one")->len, STATE_RECORD_MAX);
    assert_int_equal(state_find(store, "empty", "one")->len, 0);
    state_store_close(store);
    free(large);
}

static void test_T02_a_deleted_record_is_named(void **state)
{
    (void)state;
    make();
    attack("DELETE FROM records WHERE kind = 'alpha' AND name = 'two'");
    assert_refused("a record is missing", "alpha", "two");
}

static void test_T02_a_changed_record_is_named(void **state)
{
    (void)state;
    make();
    attack("UPDATE records SET bytes = x'00' WHERE kind = 'beta'");
    assert_refused("a record was changed", "beta", "one");
}

static void test_T02_an_extra_record_is_named(void **state)
{
    (void)state;
    make();
    attack("INSERT INTO records VALUES ('auth', 'open', 1, 1, x'01')");
    assert_refused("a record is in no head", "auth", "open");
    attack(
        "DELETE FROM records WHERE kind = 'auth'; INSERT INTO records VALUES ('zeta', 'one', 1, 1, x'01')");
    assert_refused("a record is in no head", "zeta", "one");
}

static void test_T02_a_rolled_back_record_is_named(void **state)
{
    (void)state;
    make();
    attack("UPDATE records SET version = 1, generation = 2, bytes = CAST('first' AS BLOB)"
           " WHERE kind = 'alpha' AND name = 'one'");
    assert_refused("a record was rolled back", "alpha", "one");
}

static void test_T02_a_record_newer_than_its_head_is_named(void **state)
{
    (void)state;
    make();
    attack("UPDATE records SET version = 3 WHERE kind = 'alpha' AND name = 'one'");
    assert_refused("a record is newer than its head", "alpha", "one");
}

static void test_T02_swapped_records_are_named(void **state)
{
    (void)state;
    make();
    attack("UPDATE records SET name = 'temp' WHERE kind = 'alpha' AND name = 'one';"
           "UPDATE records SET name = 'one' WHERE kind = 'alpha' AND name = 'two';"
           "UPDATE records SET name = 'two' WHERE kind = 'alpha' AND name = 'temp'");
    struct state_store *store = NULL;
    struct state_fault fault;
    assert_true(error_is(reopen(&store, &fault), ERROR_TAMPERED));
    assert_string_equal(fault.kind, "alpha");
}

static void test_T02_a_head_that_is_gone_or_changed(void **state)
{
    (void)state;
    make();
    attack("UPDATE head SET generation = generation + 1");
    assert_refused("the head's generation was changed", "head", "");
    attack("UPDATE head SET generation = generation - 1, signature = zeroblob(64)");
    assert_refused("the head is not signed by this chamber's identity", "head", "");
    attack("DELETE FROM head");
    assert_refused("the head is missing", "head", "");
}

static void test_T02_each_bit_of_the_head_counts(void **state)
{
    struct state_store *store = NULL;
    struct state_image image = {0};
    struct state_fault fault;
    (void)state;
    make();
    assert_int_equal(state_sqlite_open(path, &store).code, 0);
    assert_int_equal(store->ops->load(store, &image).code, 0);
    assert_int_equal(state_image_verify(&image, pin.chamber_id, pin.identity_public, &fault).code,
                     0);
    for (size_t bit = 0; bit < image.head.len * 8; bit++) {
        image.head.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_true(
            error_is(state_image_verify(&image, pin.chamber_id, pin.identity_public, &fault),
                     ERROR_TAMPERED));
        image.head.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    state_image_release(&image);
    state_store_close(store);
}

static void test_T02_another_chambers_store(void **state)
{
    struct state_store *store = NULL;
    struct state_fault fault;
    (void)state;
    make();
    pin.chamber_id[0] ^= 1; /* signed by the same identity, made for another chamber */
    assert_true(error_is(reopen(&store, &fault), ERROR_TAMPERED));
    assert_string_equal(fault.what, "the head is another chamber's");
    pin.chamber_id[0] ^= 1;
    pin.identity_public[0] ^= 1;
    assert_true(error_is(reopen(&store, &fault), ERROR_TAMPERED));
}

static void test_T02_the_whole_store_rolled_back(void **state)
{
    struct state_store *store = NULL;
    struct state_fault fault;
    (void)state;
    make();
    copy_file(path, copy);
    assert_int_equal(reopen(&store, &fault).code, 0);
    assert_int_equal(put(store, "beta", "one", 1, "newer").code, 0);
    state_store_close(store);
    copy_file(copy, path);
    assert_refused("the whole store was rolled back", "head", "");
}

static void test_T02_the_mark_of_what_was_seen_must_be_there(void **state)
{
    struct state_store *store = NULL;
    struct state_fault fault;
    (void)state;
    make();
    assert_int_equal(file_write_durable(
                         seen, span_str("containment-chamber state seen v1\ngeneration x\n"), false)
                         .code,
                     0);
    assert_true(error_is(reopen(&store, &fault), ERROR_TAMPERED));
    assert_int_equal(unlink(seen), 0);
    assert_true(error_is(reopen(&store, &fault), ERROR_TAMPERED));
    assert_non_null(fault.what);
}

/* A crash between the commit and the mark leaves the mark low: accepted, and raised. */
static void test_T02_a_mark_that_lags_is_raised(void **state)
{
    struct state_store *store = NULL;
    struct state_fault fault;
    uint64_t generation = 0;
    (void)state;
    make();
    assert_int_equal(seen_write(seen, 2, false).code, 0);
    assert_int_equal(reopen(&store, &fault).code, 0);
    state_store_close(store);
    assert_int_equal(seen_read(seen, &generation).code, 0);
    assert_int_equal(generation, 4);
}

static void test_T02_an_empty_store_is_not_a_fresh_chamber(void **state)
{
    (void)state;
    make();
    assert_int_equal(unlink(path), 0);
    struct state_store *store = NULL;
    struct state_fault fault;
    assert_true(error_is(reopen(&store, &fault), ERROR_TAMPERED)); /* missing */
    assert_int_equal(state_sqlite_create(path).code, 0);
    assert_refused("the head is missing", "head", ""); /* emptied */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(
        file_write_durable(path, span_str("not a database, but long enough to be looked at"), true)
            .code,
        0);
    assert_true(error_is(reopen(&store, &fault), ERROR_TAMPERED));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(file_write_durable(path, span_str(""), true).code, 0);
    assert_true(error_is(reopen(&store, &fault), ERROR_TAMPERED));
}

static void test_making_never_replaces(void **state)
{
    struct state_store *store = NULL;
    (void)state;
    make();
    assert_true(error_is(state_sqlite_create(path), ERROR_EXISTS));
    assert_int_equal(state_sqlite_open(path, &store).code, 0);
    assert_true(error_is(state_open_new(store, &pin, seen), ERROR_EXISTS));
    state_store_close(store);
}

static void test_one_process_at_a_time(void **state)
{
    struct state_store *store = NULL;
    struct state_store *second = NULL;
    struct state_fault fault;
    (void)state;
    make();
    assert_int_equal(reopen(&store, &fault).code, 0);
    assert_true(error_is(state_sqlite_open(path, &second), ERROR_LOCKED));
    state_store_close(store);
    assert_int_equal(state_sqlite_open(path, &second).code, 0);
    state_store_close(second);
}

/* Killed at any moment, the store is one that opens, with the old content or the new. */
static void test_a_kill_between_any_two_moments(void **state)
{
    (void)state;
    make();
    for (unsigned round = 0; round < 20; round++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct state_store *store = NULL;
            struct state_fault fault;
            if (reopen(&store, &fault).code)
                _exit(1);
            for (uint64_t version = state_find(store, "beta", "one")->version;; version++)
                if (put(store, "beta", "one", version, "again").code)
                    _exit(1);
        }
        (void)usleep(1000 * (1 + round * 7 % 19));
        int status = 0;
        (void)kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        struct state_store *store = NULL;
        struct state_fault fault;
        assert_int_equal(reopen(&store, &fault).code, 0);
        state_store_close(store);
    }
}

static void test_C07_out_of_memory_at_every_allocation(void **state)
{
    struct state_store *store = NULL;
    struct state_fault fault;
    (void)state;
    make();
    for (uint64_t nth = 1; nth < 64; nth++) {
        (void)alloc_fail_nth(nth);
        cc_err err = reopen(&store, &fault);
        if (!err.code) {
            err = put(store, "alpha", "two", state_find(store, "alpha", "two")->version, "changed");
            state_store_close(store);
        }
        uint64_t used = alloc_fail_nth(0);
        assert_true(err.code == 0 || error_is(err, ERROR_NO_MEMORY) ||
                    error_is(err, ERROR_TAMPERED));
        assert_int_equal(reopen(&store, &fault).code, 0);
        state_store_close(store);
        if (used < nth)
            return;
    }
    fail_msg("more allocations than expected");
}

static void test_identity_file(void **state)
{
    char file[128];
    struct state_pin read = {0};
    (void)state;
    (void)snprintf(file, sizeof file, "%s/identity.pub", directory);
    assert_true(error_is(pin_read(file, &read), ERROR_TAMPERED));
    assert_int_equal(pin_write(file, &pin).code, 0);
    assert_int_equal(pin_read(file, &read).code, 0);
    assert_memory_equal(&read, &pin, sizeof pin);
    assert_true(error_is(pin_write(file, &pin), ERROR_EXISTS));
    struct buf text CC_CLEANUP(buf_release) = buf_init(1024);
    assert_int_equal(file_read(file, &text).code, 0);
    for (size_t len = 0; len < text.len; len++) {
        assert_int_equal(file_write_durable(file, span_of(text.data, len), false).code, 0);
        assert_true(error_is(pin_read(file, &read), ERROR_TAMPERED));
    }
    assert_int_equal(buf_append_str(&text, "x").code, 0);
    assert_int_equal(file_write_durable(file, buf_span(&text), false).code, 0);
    assert_true(error_is(pin_read(file, &read), ERROR_TAMPERED));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_was_committed_is_there_again),
        TEST(test_files_are_for_their_owner_alone),
        TEST(test_compare_and_swap),
        TEST(test_several_changes_are_one),
        TEST(test_another_writer_was_faster),
        TEST(test_a_signer_that_fails_changes_nothing),
        TEST(test_bounds),
        TEST(test_T02_a_deleted_record_is_named),
        TEST(test_T02_a_changed_record_is_named),
        TEST(test_T02_an_extra_record_is_named),
        TEST(test_T02_a_rolled_back_record_is_named),
        TEST(test_T02_a_record_newer_than_its_head_is_named),
        TEST(test_T02_swapped_records_are_named),
        TEST(test_T02_a_head_that_is_gone_or_changed),
        TEST(test_T02_each_bit_of_the_head_counts),
        TEST(test_T02_another_chambers_store),
        TEST(test_T02_the_whole_store_rolled_back),
        TEST(test_T02_the_mark_of_what_was_seen_must_be_there),
        TEST(test_T02_a_mark_that_lags_is_raised),
        TEST(test_T02_an_empty_store_is_not_a_fresh_chamber),
        TEST(test_making_never_replaces),
        TEST(test_one_process_at_a_time),
        TEST(test_a_kill_between_any_two_moments),
        TEST(test_C07_out_of_memory_at_every_allocation),
        TEST(test_identity_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
