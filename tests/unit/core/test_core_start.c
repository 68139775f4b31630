/* What init makes, and the starts that are refused: histories and state records that are gone, emptied, swapped,
 * changed, or rolled back.
 */
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"

#include "core/stores.h"
#include "slash/store.h"
#include "support/core_room.h"
#include "support/test.h"

static struct core_room room;

static int made(void **state)
{
    (void)state;
    core_room_make(&room);
    assert_int_equal(core_room_init(&room), 0);
    core_room_start_vault(&room);
    return 0;
}

static int bare(void **state)
{
    (void)state;
    core_room_make(&room);
    return 0;
}

static int down(void **state)
{
    (void)state;
    core_room_remove(&room);
    return 0;
}

static char *in(const char *directory, const char *name)
{
    static char paths[8][256];
    static unsigned next;
    char *path = paths[next++ % ARRAY_LEN(paths)];
    (void)snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static char *file(const char *name)
{
    return in(room.directory, name);
}

static void copy(const char *from, const char *to)
{
    struct buf content CC_CLEANUP(buf_release) = buf_init(8 << 20);
    assert_int_equal(file_read(from, &content).code, 0);
    assert_int_equal(file_write_durable(to, buf_span(&content), false).code, 0);
}

static void remove_history(const char *directory)
{
    static const char *const names[] = {"history.sqlite", "history.sqlite-wal",
                                        "history.sqlite-shm"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        (void)unlink(in(directory, names[i]));
}

static void attack(const char *name, const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(file(name), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_true(sqlite3_total_changes(db) > 0);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* --- init ---------------------------------------------------------------------------------------------------- */

static void test_init_makes_files_for_their_owner_alone(void **state)
{
    static const char *const names[] = {"identity.pub", "state.sqlite", "state.seen",
                                        "history.sqlite"};
    struct stat st;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_int_equal(stat(file(names[i]), &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
    assert_int_equal(core_room_start(&room), 0);
}

static void test_init_never_replaces_anything(void **state)
{
    static const char *const names[] = {"identity.pub", "state.sqlite", "state.seen",
                                        "history.sqlite"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_int_equal(file_write_durable(file(names[i]), span_str("here before"), true).code, 0);
        assert_int_equal(core_room_init(&room), ERROR_EXISTS);
        for (size_t j = 0; j < ARRAY_LEN(names); j++)
            assert_int_equal(access(file(names[j]), F_OK) == 0,
                             i == j); /* and nothing else was made */
        struct buf content CC_CLEANUP(buf_release) = buf_init(64);
        assert_int_equal(file_read(file(names[i]), &content).code, 0);
        assert_true(span_is(buf_span(&content), "here before"));
        assert_int_equal(unlink(file(names[i])), 0);
    }
    assert_int_equal(core_room_init(&room), 0);
    assert_int_equal(core_room_init(&room), ERROR_EXISTS);
}

static void test_nothing_serves_before_init(void **state)
{
    (void)state;
    core_room_start_vault(&room);
    assert_int_equal(core_room_start(&room), ERROR_CHAMBER_MISSING);
    assert_int_not_equal(access(file("history.sqlite"), F_OK),
                         0); /* and no start makes a history */
    assert_int_not_equal(access(file("state.sqlite"), F_OK), 0);
}

static void test_a_wrong_configuration_does_not_start(void **state)
{
    (void)state;
    (void)snprintf(room.config->network.network, sizeof room.config->network.network,
                   "no-such-network");
    assert_int_equal(core_room_start(&room), ERROR_CONFIG);
    (void)snprintf(room.config->network.network, sizeof room.config->network.network, "sepolia");
    (void)snprintf(room.config->auth.open_operations.items[0], CONFIG_TEXT_MAX, "ANYTHING");
    assert_int_equal(core_room_start(&room), ERROR_CONFIG);
    (void)snprintf(room.config->auth.open_operations.items[0], CONFIG_TEXT_MAX, "*");
    room.config->anti_slashing.backend = HISTORY_NOOP;
    assert_int_equal(core_room_start(&room),
                     ERROR_CONFIG); /* P1: only with the risk accepted by name */
    room.config->anti_slashing.backend = HISTORY_SQLITE;
    assert_int_equal(core_room_start(&room), 0);
}

/* --- the history ----------------------------------------------------------------------------------------------- */

static void test_P03_a_history_that_is_gone(void **state)
{
    (void)state;
    remove_history(room.directory);
    assert_int_equal(core_room_start(&room), ERROR_HISTORY_MISSING);
    assert_int_not_equal(access(file("history.sqlite"), F_OK), 0);
}

static void test_P03_a_history_that_was_emptied(void **state)
{
    struct slash_identity fresh = {.history_id = {1}};
    (void)state;
    remove_history(room.directory);
    assert_int_equal(slash_sqlite_create(file("history.sqlite"), false, &fresh).code, 0);
    assert_int_equal(core_room_start(&room), ERROR_IDENTITY);
}

static void test_P03_a_history_file_of_no_bytes(void **state)
{
    (void)state;
    remove_history(room.directory);
    assert_int_equal(file_write_durable(file("history.sqlite"), span_str(""), true).code, 0);
    assert_int_not_equal(core_room_start(&room), 0);
}

static void test_P03_another_chambers_history(void **state)
{
    struct core_room other;
    (void)state;
    core_room_make(&other);
    assert_int_equal(core_room_init(&other), 0);
    remove_history(room.directory);
    copy(in(other.directory, "history.sqlite"), file("history.sqlite"));
    assert_int_equal(core_room_start(&room), ERROR_IDENTITY);
    core_room_remove(&other);
}

static struct slash_identity identity_of_history(void)
{
    struct slash_store *store = NULL;
    int holder = 0;
    assert_int_equal(slash_sqlite_open(file("history.sqlite"), false, &store, &holder).code, 0);
    const struct slash_identity identity = store->identity;
    slash_store_close(store);
    return identity;
}

/* Made to look right to the core: the vault still says no. */
static void test_P03_a_forged_history_has_no_proof(void **state)
{
    struct slash_identity forged = identity_of_history();
    (void)state;
    forged.proof[31] ^= 1;
    remove_history(room.directory);
    assert_int_equal(slash_sqlite_create(file("history.sqlite"), false, &forged).code, 0);
    assert_int_equal(core_room_start(&room), ERROR_IDENTITY);
}

/* The vault outlives the core: a history that is swapped in between is not taken for the old one. */
static void test_P03_a_swap_while_the_vault_lives(void **state)
{
    struct core_room other;
    (void)state;
    assert_int_equal(core_room_start(&room), 0);
    core_room_load(&room, 1);
    (void)core_room_await_health(&room, true);
    const struct a_sign request = test_attestation(1, 10, 20, 1);
    assert_int_equal(core_room_sign(&room, &request).error, 0);
    core_room_kill(&room);
    core_room_make(&other);
    assert_int_equal(core_room_init(&other), 0);
    remove_history(room.directory);
    copy(in(other.directory, "history.sqlite"), file("history.sqlite"));
    assert_int_equal(core_room_start(&room), ERROR_IDENTITY);
    core_room_remove(&other);
}

static void test_the_history_is_used_by_one_process(void **state)
{
    struct slash_store *store = NULL;
    int holder = 0;
    (void)state;
    assert_int_equal(slash_sqlite_open(file("history.sqlite"), false, &store, &holder).code, 0);
    /* The lock is of this process; a core that is forked from it would share the descriptor, so it is closed there
     * by close-on-exec only. Held open here, the core's own open of the lock file meets it.
     */
    assert_int_equal(core_room_start(&room), ERROR_LOCKED);
    slash_store_close(store);
    assert_int_equal(core_room_start(&room), 0);
}

/* --- genesis ------------------------------------------------------------------------------------------------------ */

static void test_another_network_is_another_chamber(void **state)
{
    (void)state;
    (void)snprintf(room.config->network.network, sizeof room.config->network.network, "hoodi");
    assert_int_equal(core_room_start(&room), ERROR_IDENTITY);
}

static void test_a_root_that_contradicts_the_network_is_refused(void **state)
{
    (void)state;
    (void)snprintf(room.config->network.genesis_validators_root,
                   sizeof room.config->network.genesis_validators_root, "0x%064d", 1);
    assert_int_equal(core_room_start(&room), ERROR_CONFIG);
}

/* minimal has no root of its own: none is fixed until the configuration names one; then it is fixed for good. */
static void test_a_root_is_fixed_once_by_configuration(void **state)
{
    char *root = room.config->network.genesis_validators_root;
    const size_t size = sizeof room.config->network.genesis_validators_root;
    (void)state;
    (void)snprintf(room.config->network.network, sizeof room.config->network.network, "minimal");
    assert_int_equal(core_room_init(&room), 0);
    core_room_start_vault(&room);
    assert_int_equal(core_room_start(&room), 0);
    core_room_load(&room, 1);
    (void)core_room_await_health(&room, true);
    struct a_sign request = test_attestation(1, 10, 20, 1);
    assert_int_equal(core_room_sign(&room, &request).error,
                     ERROR_WRONG_NETWORK); /* nor does a request fix it */
    assert_int_equal(core_room_sign(&room, &request).error, ERROR_WRONG_NETWORK);
    assert_int_equal(core_room_stop_core(&room), 0);

    (void)snprintf(root, size, "0x%064d", 7);
    assert_int_equal(core_room_start(&room), 0);
    assert_int_equal(core_room_stop_core(&room), 0);
    (void)snprintf(root, size, "0x%064d", 8);
    assert_int_equal(core_room_start(&room), ERROR_IDENTITY);
    root[0] = 0; /* the history and the record remember it */
    assert_int_equal(core_room_start(&room), 0);
    core_room_load(&room, 1);
    (void)core_room_await_health(&room, true);
    memset(&request.request.fork_info.genesis_validators_root, 0, sizeof(struct eth_root));
    request.request.fork_info.genesis_validators_root.bytes[31] = 7;
    assert_int_equal(core_room_sign(&room, &request).error, 0);
}

/* --- the state store ------------------------------------------------------------------------------------------------ */

static void test_T02_a_deleted_record(void **state)
{
    (void)state;
    attack("state.sqlite", "DELETE FROM records WHERE kind = 'history'");
    assert_int_equal(core_room_start(&room), ERROR_TAMPERED);
}

static void test_T02_a_changed_record(void **state)
{
    (void)state;
    attack("state.sqlite",
           "UPDATE records SET bytes = zeroblob(length(bytes)) WHERE kind = 'chamber'");
    assert_int_equal(core_room_start(&room), ERROR_TAMPERED);
}

static void test_T02_a_store_of_another_chamber(void **state)
{
    struct core_room other;
    (void)state;
    core_room_make(&other);
    assert_int_equal(core_room_init(&other), 0);
    copy(in(other.directory, "state.sqlite"), file("state.sqlite"));
    assert_int_equal(core_room_start(&room), ERROR_TAMPERED);
    copy(in(other.directory, "identity.pub"),
         file("identity.pub")); /* with its pin: the vault can't open it */
    assert_int_not_equal(core_room_start(&room), 0);
    core_room_remove(&other);
}

/* A chamber without a root in its record gets one at a start; the older state is then refused. */
static void test_T02_a_rolled_back_store(void **state)
{
    (void)state;
    (void)snprintf(room.config->network.network, sizeof room.config->network.network, "minimal");
    assert_int_equal(core_room_init(&room), 0);
    core_room_start_vault(&room);
    copy(file("state.sqlite"), file("old.sqlite"));
    (void)snprintf(room.config->network.genesis_validators_root,
                   sizeof room.config->network.genesis_validators_root, "0x%064d", 7);
    assert_int_equal(core_room_start(&room), 0);
    assert_int_equal(core_room_stop_core(&room), 0);
    copy(file("old.sqlite"), file("state.sqlite"));
    assert_int_equal(core_room_start(&room), ERROR_TAMPERED);
}

static void test_T02_files_that_are_gone(void **state)
{
    static const char *const names[] = {"identity.pub", "state.sqlite", "state.seen"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        copy(file(names[i]), file("kept"));
        assert_int_equal(unlink(file(names[i])), 0);
        assert_int_equal(core_room_start(&room), ERROR_TAMPERED);
        copy(file("kept"), file(names[i]));
    }
    assert_int_equal(core_room_start(&room), 0);
}

/* --- noop -------------------------------------------------------------------------------------------------------------- */

static void test_P01_noop_says_so_and_the_vault_still_refuses(void **state)
{
    (void)state;
    room.config->anti_slashing.backend = HISTORY_NOOP;
    room.config->anti_slashing.i_accept_slashing_risk = true;
    assert_int_equal(core_room_init(&room), 0);
    assert_int_not_equal(access(file("history.sqlite"), F_OK), 0);
    core_room_start_vault(&room);
    assert_int_equal(core_room_start(&room), 0);
    core_room_load(&room, 1);
    assert_int_equal(core_room_await_health(&room, true).history_noop, 1);
    struct a_sign request = test_attestation(1, 10, 20, 1);
    assert_int_equal(core_room_sign(&room, &request).error, 0);
    request = test_attestation(1, 10, 20, 2);
    const struct a_signed answer = core_room_sign(&room, &request);
    assert_int_equal(answer.error, ERROR_SLASHABLE);
    assert_int_equal(answer.rule, SLASH_VAULT_FLOOR);
}

/* --- C7 ---------------------------------------------------------------------------------------------------------------- */

static uint64_t failing_nth;

static void fail_an_allocation(void)
{
    (void)alloc_fail_nth(failing_nth);
}

/* Each allocation of a start fails once: the core says so and ends, or does without; it never crashes. */
static void test_C07_out_of_memory_at_a_start(void **state)
{
    unsigned refused = 0;
    (void)state;
    room.prepare = fail_an_allocation;
    for (failing_nth = 1; failing_nth <= 60; failing_nth++) {
        int code = core_room_start(&room);
        if (code) {
            assert_true(code == ERROR_NO_MEMORY || code == ERROR_SYSTEM || code == ERROR_TAMPERED);
            refused++;
            continue;
        }
        assert_int_equal(core_room_stop_core(&room), 0);
    }
    assert_true(refused >= 10);
    room.prepare = NULL;
    assert_int_equal(core_room_start(&room), 0);
}

/* --- records as bytes -------------------------------------------------------------------------------------------------- */

static void test_records_as_bytes(void **state)
{
    struct b_chamber chamber = {0};
    struct b_chamber chamber_again;
    struct history_record record = {
        .history_id = {1}, .proof = {2}, .has_genesis_validators_root = true};
    struct history_record record_again;
    uint8_t bytes[CHAMBER_RECORD_SIZE + 1] = {0};
    (void)state;
    memset(chamber.chamber_id, 1, sizeof chamber.chamber_id);
    memset(chamber.sealed_identity, 2, sizeof chamber.sealed_identity);
    chamber_record_encode(&chamber, bytes);
    assert_int_equal(
        chamber_record_decode(span_of(bytes, CHAMBER_RECORD_SIZE), &chamber_again).code, 0);
    assert_memory_equal(&chamber, &chamber_again, sizeof chamber);
    for (size_t len = 0; len <= sizeof bytes; len++)
        if (len != CHAMBER_RECORD_SIZE)
            assert_true(error_is(chamber_record_decode(span_of(bytes, len), &chamber_again),
                                 ERROR_TAMPERED));
    bytes[3] = 2; /* another version */
    assert_true(error_is(chamber_record_decode(span_of(bytes, CHAMBER_RECORD_SIZE), &chamber_again),
                         ERROR_TAMPERED));
    history_record_encode(&record, bytes);
    assert_int_equal(history_record_decode(span_of(bytes, HISTORY_RECORD_SIZE), &record_again).code,
                     0);
    assert_memory_equal(record.proof, record_again.proof, sizeof record.proof);
    assert_true(record_again.has_genesis_validators_root);
    bytes[4 + 64] = 2;
    assert_true(error_is(history_record_decode(span_of(bytes, HISTORY_RECORD_SIZE), &record_again),
                         ERROR_TAMPERED));
}

#define MADE(f) cmocka_unit_test_setup_teardown(f, made, down)
#define BARE(f) cmocka_unit_test_setup_teardown(f, bare, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MADE(test_init_makes_files_for_their_owner_alone),
        BARE(test_init_never_replaces_anything),
        BARE(test_nothing_serves_before_init),
        MADE(test_a_wrong_configuration_does_not_start),
        MADE(test_P03_a_history_that_is_gone),
        MADE(test_P03_a_history_that_was_emptied),
        MADE(test_P03_a_history_file_of_no_bytes),
        MADE(test_P03_another_chambers_history),
        MADE(test_P03_a_forged_history_has_no_proof),
        MADE(test_P03_a_swap_while_the_vault_lives),
        MADE(test_the_history_is_used_by_one_process),
        MADE(test_another_network_is_another_chamber),
        MADE(test_a_root_that_contradicts_the_network_is_refused),
        BARE(test_a_root_is_fixed_once_by_configuration),
        MADE(test_T02_a_deleted_record),
        MADE(test_T02_a_changed_record),
        MADE(test_T02_a_store_of_another_chamber),
        BARE(test_T02_a_rolled_back_store),
        MADE(test_T02_files_that_are_gone),
        BARE(test_P01_noop_says_so_and_the_vault_still_refuses),
        MADE(test_C07_out_of_memory_at_a_start),
        cmocka_unit_test(test_records_as_bytes),
    };
    core_room_reserve_metrics();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
