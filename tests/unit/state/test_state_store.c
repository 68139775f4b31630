/* What is SQLite's, or no backend's, of the state store; the rest is tests/conformance/test_state_store.c. */
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

#include "state/pin.h"
#include "state/store.h"
#include "support/test.h"

static char directory[64];
static char path[128];
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
    const struct state_change change = {
        .kind = kind, .name = name, .expected_version = version, .bytes = span_str(text)};
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
    const struct state_change change = {
        .kind = "alpha", .name = "one", .expected_version = 2, .bytes = span_str("x")};
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
    struct state_change change = {.kind = "big",
                                  .name = "one",
                                  .expected_version = 0,
                                  .bytes = span_of(large, STATE_RECORD_MAX + 1)};
    assert_true(error_is(state_commit(store, &change, 1, &signer), ERROR_LIMIT));
    change.bytes.len = STATE_RECORD_MAX;
    assert_int_equal(state_commit(store, &change, 1, &signer).code, 0);
    change = (struct state_change){
        .kind = "Big", .name = "one", .expected_version = 0, .bytes = span_str("")};
    assert_true(error_is(state_commit(store, &change, 1, &signer), ERROR_LIMIT));
    change = (struct state_change){.kind = "a-kind-that-is-too-long",
                                   .name = "one",
                                   .expected_version = 0,
                                   .bytes = span_str("")};
    assert_true(error_is(state_commit(store, &change, 1, &signer), ERROR_LIMIT));
    change = (struct state_change){
        .kind = "empty", .name = "one", .expected_version = 0, .bytes = span_str("")};
    assert_int_equal(state_commit(store, &change, 1, &signer).code, 0);
    state_store_close(store);
    assert_int_equal(reopen(&store, &fault).code, 0);
    assert_int_equal(state_find(store, "big", "one")->len, STATE_RECORD_MAX);
    assert_int_equal(state_find(store, "empty", "one")->len, 0);
    state_store_close(store);
    free(large);
}

/* A latch that does not fit would leave the other replicas signing. */
static void test_T25_a_full_store_takes_the_emergency_seal(void **state)
{
    enum {
        FULL = STATE_RECORDS_MAX - STATE_RECORDS_KEPT
    };
    static char names[FULL][16];
    static struct state_change changes[FULL];
    struct state_store *store = NULL;
    struct state_fault fault;
    (void)state;
    for (size_t i = 0; i < FULL; i++) {
        (void)snprintf(names[i], sizeof names[i], "life-%zu", i);
        changes[i] =
            (struct state_change){.kind = "audit", .name = names[i], .bytes = span_str("x")};
    }
    assert_int_equal(state_sqlite_create(path).code, 0);
    assert_int_equal(state_sqlite_open(path, &store).code, 0);
    assert_int_equal(state_open_new(store, &pin, seen).code, 0);
    assert_int_equal(state_commit(store, changes, FULL, &signer).code, 0);
    assert_true(error_is(put(store, "audit", "one-more", 0, "x"), ERROR_LIMIT));
    assert_true(error_is(put(store, "seal", "latch-2", 0, "x"), ERROR_LIMIT));
    assert_true(error_is(put(store, "auth", "latch", 0, "x"), ERROR_LIMIT));
    assert_int_equal(put(store, "auth", "owners", 0, "x").code, 0);
    assert_int_equal(put(store, "seal", "latch", 0, "x").code, 0);
    assert_int_equal(put(store, "audit", "life-0", 1, "changed").code, 0); /* no new one */
    assert_true(error_is(put(store, "audit", "one-more", 0, "x"), ERROR_LIMIT));
    state_store_close(store);
    assert_int_equal(reopen(&store, &fault).code, 0);
    assert_non_null(state_find(store, "seal", "latch"));
    state_store_close(store);
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
        TEST(test_files_are_for_their_owner_alone),
        TEST(test_another_writer_was_faster),
        TEST(test_a_signer_that_fails_changes_nothing),
        TEST(test_bounds),
        TEST(test_T25_a_full_store_takes_the_emergency_seal),
        TEST(test_T02_each_bit_of_the_head_counts),
        TEST(test_T02_an_empty_store_is_not_a_fresh_chamber),
        TEST(test_making_never_replaces),
        TEST(test_identity_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
