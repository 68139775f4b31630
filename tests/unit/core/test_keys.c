/* Work on keys, between a real vault and a front that the test plays: what comes, goes, stays, and what each crash leaves. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/bls.h"
#include "slash/store.h"
#include "support/key_room.h"
#include "support/test.h"

static struct core_room room;

static int up(void **state)
{
    (void)state;
    core_room_up(&room, 2); /* keys 1 and 2 come from files */
    return 0;
}

static int up_in_memory(void **state)
{
    (void)state;
    core_room_make(&room);
    room.config->http.key_manager_api.storage = KEY_STORAGE_MEMORY;
    assert_int_equal(core_room_init(&room), 0);
    core_room_start_vault(&room);
    core_room_serve(&room, 2);
    return 0;
}

static int down(void **state)
{
    (void)state;
    core_room_remove(&room);
    return 0;
}

static void assert_signs(unsigned n, uint64_t target)
{
    const struct a_sign request = test_attestation(n, target - 1, target, 1);
    const struct a_signed answer = core_room_sign(&room, &request);
    const struct eth_pubkey key = test_pubkey(n);
    assert_int_equal(answer.error, 0);
    assert_int_equal(bls_verify(key.bytes, answer.root.bytes, answer.signature.bytes).code, 0);
}

/* Nothing of any kind, so that it is not the history alone that refuses. */
static void assert_signs_nothing(unsigned n, enum error_code error)
{
    const struct a_sign vote = test_attestation(n, 5000, 5001, 1);
    const struct a_sign object = test_object(n, KIND_RANDAO_REVEAL, 3);
    assert_int_equal(core_room_sign(&room, &vote).error, error);
    assert_int_equal(core_room_sign(&room, &object).error, error);
}

static void restart_core(void)
{
    assert_int_equal(core_room_stop_core(&room), 0);
    core_room_serve(&room, 2);
}

/* Everything dies: what is there afterwards was on the disk. */
static void restart_all(void)
{
    if (room.pid)
        core_room_kill(&room);
    assert_int_equal(vault_room_stop(&room.vault), 0);
    core_room_start_vault(&room);
    room.point = TEST_POINT_NONE;
    core_room_serve(&room, 2);
}

static void import(unsigned first, unsigned last)
{
    const struct a_keys ask = keys_import(first, last);
    keys_expect(&room, &ask, A_KEY_IMPORTED);
}

static void delete (unsigned n)
{
    const struct a_keys ask = keys_about(KEYS_DELETE, n, n);
    keys_expect(&room, &ask, A_KEY_DELETED);
}

static void assert_item_error(const struct a_keys *ask, enum error_code error)
{
    const struct a_keys_done done = keys_do(&room, ask);
    assert_int_equal(done.head.error, 0);
    for (uint32_t i = 0; i < done.head.count; i++) {
        assert_int_equal(done.items[i].outcome, A_KEY_ERROR);
        assert_int_equal(done.items[i].error, error);
    }
}

/* --- what works ---------------------------------------------------------------------------------------------- */

static void test_imported_keys_sign_and_survive_every_restart(void **state)
{
    (void)state;
    import(3, 18);
    assert_signs(3, 10);
    assert_signs(18, 10);
    struct a_key_item item = keys_listed(&room, 7);
    assert_int_equal(item.source, A_KEY_SQLITE);
    assert_int_equal(item.status, A_KEY_ACTIVE);
    assert_int_equal(item.flags, 0);
    item = keys_listed(&room, 1);
    assert_int_equal(item.source, A_KEY_FILESYSTEM);
    assert_int_equal(item.flags, A_KEY_READONLY);
    restart_core();
    assert_signs(3, 11);
    restart_all();
    keys_await(&room, 18, A_KEY_ACTIVE);
    assert_signs(18, 12);
    const struct a_health health = core_room_await_health(&room, true);
    assert_int_equal(health.keys_loaded, 18);
    assert_int_equal(health.load_errors, 0);
}

static void test_a_key_that_is_here_is_a_duplicate(void **state)
{
    (void)state;
    import(3, 3);
    struct a_keys ask = keys_import(1, 3); /* 1 and 2 are in files */
    struct a_keys_done done = keys_do(&room, &ask);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(done.items[i].outcome, A_KEY_DUPLICATE);
    assert_int_equal(done.items[0].source, A_KEY_FILESYSTEM);
    assert_int_equal(done.items[2].source, A_KEY_SQLITE);
    ask = keys_import(4, 5);
    ask.is.imports[1] = ask.is.imports[0];
    done = keys_do(&room, &ask);
    assert_int_equal(done.items[0].outcome, A_KEY_IMPORTED);
    assert_int_equal(done.items[1].outcome, A_KEY_DUPLICATE);
}

static void test_a_list_goes_on_where_it_stopped(void **state)
{
    (void)state;
    import(3, 12);
    struct a_keys ask = keys_ask(KEYS_LIST);
    struct eth_pubkey before = {{0}};
    unsigned seen = 0;
    ask.head.count = 5;
    for (bool more = true; more;) {
        const struct a_keys_done done = keys_do(&room, &ask);
        assert_true(done.head.count <= 5);
        for (uint32_t i = 0; i < done.head.count; i++, seen++) {
            assert_true(memcmp(&before, &done.items[i].pubkey, sizeof before) < 0);
            before = done.items[i].pubkey;
        }
        more = (done.head.flags & KEYS_MORE) != 0;
        ask.head.flags = KEYS_HAS_AFTER;
        ask.head.after = done.head.after;
    }
    assert_int_equal(seen, 12);
}

static void test_an_inactive_key_signs_nothing_until_it_is_active_again(void **state)
{
    (void)state;
    import(3, 4);
    assert_signs(3, 10);
    struct a_keys ask = keys_about(KEYS_SET, 3, 3);
    ask.head.flags = KEYS_INACTIVE;
    keys_expect(&room, &ask, A_KEY_CHANGED);
    keys_expect(&room, &ask, A_KEY_UNCHANGED);
    assert_signs_nothing(3, ERROR_KEY_UNKNOWN);
    restart_all();
    assert_int_equal(keys_listed(&room, 3).status, A_KEY_INACTIVE);
    assert_signs_nothing(3, ERROR_KEY_UNKNOWN);
    keys_await(&room, 4, A_KEY_ACTIVE);
    assert_signs(4, 10);
    ask.head.flags = 0;
    keys_expect(&room, &ask, A_KEY_CHANGED);
    keys_await(&room, 3, A_KEY_ACTIVE);
    assert_signs(3, 11);
    ask = keys_about(KEYS_SET, 1, 1);
    ask.head.flags = KEYS_INACTIVE;
    assert_item_error(&ask, ERROR_KEY_READONLY);
    ask = keys_import(5, 5);
    ask.head.flags = KEYS_INACTIVE;
    keys_expect(&room, &ask, A_KEY_IMPORTED);
    assert_int_equal(keys_listed(&room, 5).status, A_KEY_INACTIVE);
    assert_signs_nothing(5, ERROR_KEY_UNKNOWN);
}

static void test_a_pause_holds_for_every_source_and_over_restarts(void **state)
{
    (void)state;
    import(3, 3);
    struct a_keys ask = keys_about(KEYS_PAUSE, 1, 1);
    ask.is.keys[ask.head.count++] = test_pubkey(3);
    keys_expect(&room, &ask, A_KEY_CHANGED);
    keys_expect(&room, &ask, A_KEY_UNCHANGED);
    assert_signs_nothing(1, ERROR_PAUSED);
    assert_signs_nothing(3, ERROR_PAUSED);
    assert_signs(2, 10);
    assert_int_equal(keys_listed(&room, 3).flags, A_KEY_PAUSED);
    restart_all();
    assert_signs_nothing(1, ERROR_PAUSED);
    ask.head.verb = KEYS_RESUME;
    keys_expect(&room, &ask, A_KEY_CHANGED);
    assert_signs(1, 10);
    ask = keys_ask(KEYS_PAUSE);
    ask.head.flags = KEYS_ALL;
    assert_int_equal(keys_do(&room, &ask).head.error, 0);
    assert_signs_nothing(2, ERROR_PAUSED);
    restart_core();
    assert_signs_nothing(2, ERROR_PAUSED);
    ask.head.verb = KEYS_RESUME;
    assert_int_equal(keys_do(&room, &ask).head.error, 0);
    assert_signs(2, 11);
}

static void test_a_key_in_memory_is_gone_with_the_vault_and_leaves_no_file(void **state)
{
    char path[128];
    (void)state;
    import(3, 3);
    assert_signs(3, 10);
    assert_int_equal(keys_listed(&room, 3).source, A_KEY_MEMORY);
    (void)snprintf(path, sizeof path, "%s/keys.sqlite", room.directory);
    assert_int_not_equal(access(path, F_OK), 0);
    restart_core();
    assert_signs(3, 11); /* the vault has lived on, and said where the key is from */
    assert_int_equal(keys_listed(&room, 3).source, A_KEY_MEMORY);
    restart_all();
    assert_int_equal(keys_listed(&room, 3).source, 0);
    assert_signs_nothing(3, ERROR_KEY_UNKNOWN);
    import(3, 3);
    delete (3);
    assert_signs_nothing(3, ERROR_KEY_UNKNOWN);
    const struct a_keys ask = keys_import(3, 3);
    assert_item_error(&ask, ERROR_KEY_TOMBSTONE);
    keys_import_with_data(&room, 3, 3, 5);
    assert_int_equal(keys_listed(&room, 3).source, A_KEY_MEMORY);
    assert_signs(3, 12);
}

/* --- what is refused ------------------------------------------------------------------------------------------ */

static void test_without_a_scope_nothing_is_done(void **state)
{
    (void)state;
    for (enum a_keys_verb verb = KEYS_LIST; verb < KEYS_VERB_END; verb++) {
        struct a_keys ask = keys_ask(verb);
        ask.head.caller.flags = 0;
        assert_int_equal(keys_do(&room, &ask).head.error, ERROR_UNAUTHENTICATED);
    }
    struct a_keys ask = keys_import(3, 3);
    ask.head.caller.flags = 0;
    assert_int_equal(keys_do(&room, &ask).head.error, ERROR_UNAUTHENTICATED);
    assert_int_equal(keys_listed(&room, 3).source, 0);
}

static void test_a_keystore_that_does_not_open_is_an_error_of_its_own(void **state)
{
    (void)state;
    struct a_keys ask = keys_import(3, 6);
    ask.is.imports[0].keystore.password[0] ^= 1;
    ask.is.imports[1].keystore.kdf = 9;
    memset(ask.is.imports[2].keystore.salt, 0, 1);
    const struct a_keys_done done = keys_do(&room, &ask);
    assert_int_equal(done.items[0].error, ERROR_KEYSTORE_PASSWORD);
    assert_int_equal(done.items[1].error, ERROR_KEYSTORE);
    assert_int_equal(done.items[2].error, ERROR_KEYSTORE_PASSWORD);
    assert_int_equal(done.items[3].outcome, A_KEY_IMPORTED);
    assert_signs(6, 10);
}

static cc_err note_row(void *context, const struct slash_validator *validator)
{
    (void)validator;
    *(bool *)context = true;
    return CC_OK;
}

/* On the disk; the core is stopped for it. */
static bool history_knows(const struct eth_pubkey *pubkey)
{
    char path[128];
    struct slash_store *store = NULL;
    int holder = 0;
    bool known = false;
    (void)snprintf(path, sizeof path, "%s/history.sqlite", room.directory);
    assert_int_equal(slash_sqlite_open(path, false, &store, &holder).code, 0);
    assert_int_equal(slash_visit(store, pubkey, note_row, &known).code, 0);
    slash_store_close(store);
    return known;
}

static void test_P13_a_wrong_public_key_is_an_error_and_leaves_no_trace(void **state)
{
    (void)state;
    struct a_keys ask = keys_import(3, 3);
    (void)test_keystore(4);
    ask.is.imports[0].keystore.pubkey = test_pubkey(4);
    assert_item_error(&ask, ERROR_KEYSTORE_PUBKEY);
    assert_int_equal(keys_listed(&room, 3).source, 0);
    assert_int_equal(keys_listed(&room, 4).source, 0);
    assert_int_equal(core_room_stop_core(&room), 0);
    const struct eth_pubkey three = test_pubkey(3);
    const struct eth_pubkey four = test_pubkey(4);
    assert_false(history_knows(&three));
    assert_false(history_knows(&four));
    assert_int_equal(core_room_start(&room), 0);
}

/* --- P13: data that comes along is that of keys whose secret comes along ------------------------------------------------ */

/* What the key has signed, and whether it may, as the disk has it. */
struct record {
    bool known, enabled;
    size_t blocks, votes;
    struct slash_watermark low;
    uint64_t target;
};

static cc_err note_record(void *context, const struct slash_validator *v)
{
    *(struct record *)context = (struct record){
        .known = true,
        .enabled = v->enabled,
        .blocks = v->block_count,
        .votes = v->attestation_count,
        .low = v->low,
        .target = v->attestation_count ? v->attestations[v->attestation_count - 1].target : 0};
    return CC_OK;
}

static struct record record_of(unsigned n)
{
    char path[128];
    struct slash_store *store = NULL;
    struct record record;
    int holder = 0;
    const struct eth_pubkey pubkey = test_pubkey(n);
    memset(&record, 0, sizeof record);
    (void)snprintf(path, sizeof path, "%s/history.sqlite", room.directory);
    assert_int_equal(slash_sqlite_open(path, false, &store, &holder).code, 0);
    assert_int_equal(slash_visit(store, &pubkey, note_record, &record).code, 0);
    slash_store_close(store);
    return record;
}

/* Nothing of the file is merged, nothing is taken. */
static void assert_holds_nothing(unsigned n)
{
    const struct a_keys take = keys_about(KEYS_TAKE, n, n);
    assert_int_equal(keys_merge(&room, n, n, 5000), 0);
    assert_item_error(&take, ERROR_BUSY);
}

static void test_P13_data_of_a_keystore_that_does_not_open_changes_no_history(void **state)
{
    (void)state;
    import(3, 3);
    assert_signs(3, 10);
    assert_int_equal(core_room_stop_core(&room), 0);
    const struct record before = record_of(3);
    assert_true(before.known && before.target == 10);
    core_room_serve(&room, 2);
    for (uint32_t flags = 0; flags <= KEYS_KNOWN; flags += KEYS_KNOWN) {
        (void)test_keystore(4);
        struct a_keys ask = keys_hold(3, 4, flags); /* a wrong password, the secret of another */
        ask.is.imports[0].keystore.password[0] ^= 1;
        ask.is.imports[1].keystore.pubkey = test_pubkey(3);
        const struct a_keys_done done = keys_do(&room, &ask);
        for (unsigned i = 0; i < 2; i++)
            assert_int_equal(done.items[i].outcome, flags ? A_KEY_ERROR : A_KEY_DUPLICATE);
        assert_int_equal(done.items[0].error, flags ? ERROR_KEYSTORE_PASSWORD : 0);
        assert_int_equal(done.items[1].error, flags ? ERROR_KEYSTORE_PUBKEY : 0);
        assert_holds_nothing(3);
        assert_holds_nothing(4);
    }
    struct a_keys named = keys_hold(4, 4, 0); /* nor is it another's whose name it bears */
    (void)test_keystore(5);
    named.is.imports[0].keystore.pubkey = test_pubkey(5);
    assert_item_error(&named, ERROR_KEYSTORE_PUBKEY);
    assert_holds_nothing(4);
    assert_holds_nothing(5);
    assert_int_equal(core_room_stop_core(&room), 0);
    const struct record after = record_of(3);
    assert_memory_equal(&before, &after, sizeof before);
    assert_false(record_of(4).known);
    assert_false(record_of(5).known);
    core_room_serve(&room, 2);
    keys_await(&room, 3, A_KEY_ACTIVE);
    assert_signs(3, 11);
}

static void test_P13_what_is_held_is_of_its_step_and_is_taken_once(void **state)
{
    (void)state;
    struct a_keys hold = keys_hold(3, 4, 0);
    const struct a_keys take = keys_about(KEYS_TAKE, 3, 4);
    keys_expect(&room, &hold, A_KEY_OPENED);
    assert_int_equal(keys_listed(&room, 3).source, 0);
    assert_signs_nothing(3, ERROR_KEY_UNKNOWN);
    /* Of another key of the same file, which is here, nothing is merged. */
    assert_int_equal(keys_merge(&room, 1, 2, 5000), 0);
    assert_signs(1, 10);
    hold = keys_hold(5, 5, 0);
    keys_expect(&room, &hold, A_KEY_OPENED);
    assert_item_error(&take, ERROR_BUSY);
    assert_int_equal(keys_merge(&room, 3, 5, 20), 1);
    const struct a_keys five = keys_about(KEYS_TAKE, 5, 5);
    keys_expect(&room, &five, A_KEY_IMPORTED);
    assert_item_error(&five, ERROR_BUSY);
    const struct a_sign old = test_attestation(5, 18, 20, 1);
    assert_int_equal(core_room_sign(&room, &old).error, ERROR_SLASHABLE);
    assert_signs(5, 21);
    /* And a core that has died in between holds nothing. */
    hold = keys_hold(6, 6, 0);
    keys_expect(&room, &hold, A_KEY_OPENED);
    restart_core();
    const struct a_keys six = keys_about(KEYS_TAKE, 6, 6);
    assert_item_error(&six, ERROR_BUSY);
    assert_int_equal(keys_listed(&room, 6).source, 0);
}

static void test_P13_data_of_a_key_that_is_here_is_merged_where_its_secret_comes(void **state)
{
    (void)state;
    import(3, 3);
    assert_signs(3, 10);
    const struct a_keys hold = keys_hold(3, 3, KEYS_KNOWN);
    const struct a_keys take = keys_about(KEYS_TAKE, 3, 3);
    keys_expect(&room, &hold, A_KEY_OPENED);
    assert_int_equal(keys_merge(&room, 3, 3, 20), 1);
    keys_expect(&room, &take, A_KEY_DUPLICATE);
    const struct a_sign old = test_attestation(3, 18, 20, 1);
    assert_int_equal(core_room_sign(&room, &old).error, ERROR_SLASHABLE);
    assert_signs(3, 21);
}

/* P16: the tombstone asks for data of this key in this import. */
static void test_P13_P16_a_tombstone_wants_the_data_itself(void **state)
{
    (void)state;
    import(3, 3);
    assert_signs(3, 10);
    delete (3);
    const struct a_keys hold = keys_hold(3, 4, 0);
    struct a_keys take = keys_about(KEYS_TAKE, 3, 3);
    keys_expect(&room, &hold, A_KEY_OPENED);
    assert_int_equal(keys_merge(&room, 4, 4, 5), 1);
    assert_item_error(&take, ERROR_KEY_TOMBSTONE);
    take = keys_about(KEYS_TAKE, 4, 4);
    keys_expect(&room, &take, A_KEY_IMPORTED);
    keys_import_with_data(&room, 3, 3, 5);
    assert_signs(3, 11);
}

static void test_without_a_key_store_nothing_is_imported_silently(void **state)
{
    (void)state;
    assert_int_equal(core_room_stop_core(&room), 0);
    room.config->key_sources.sqlite.enabled = false;
    assert_int_equal(core_room_start(&room), 0);
    core_room_load(&room, 2);
    const struct a_keys ask = keys_import(3, 3);
    assert_item_error(&ask, ERROR_KEY_STORE_NONE);
    assert_int_equal(keys_listed(&room, 3).source, 0);
}

/* --- P5: deleted is deleted -------------------------------------------------------------------------------------- */

static void test_P05_a_deleted_key_is_gone_for_good(void **state)
{
    (void)state;
    import(3, 4);
    assert_signs(3, 10);
    delete (3);
    assert_signs_nothing(3, ERROR_KEY_UNKNOWN);
    assert_int_equal(keys_listed(&room, 3).source, 0);
    restart_core();
    assert_signs_nothing(3, ERROR_KEY_UNKNOWN);
    restart_all();
    assert_signs_nothing(3, ERROR_KEY_UNKNOWN);
    keys_await(&room, 4, A_KEY_ACTIVE);
    assert_signs(4, 10);
    struct a_keys ask = keys_about(KEYS_DELETE, 3, 3);
    keys_expect(&room, &ask, A_KEY_NOT_ACTIVE);
    (void)test_keystore(9);
    ask = keys_about(KEYS_DELETE, 9, 9);
    keys_expect(&room, &ask, A_KEY_NOT_FOUND);
    ask = keys_about(KEYS_DELETE, 1, 1);
    assert_item_error(&ask, ERROR_KEY_READONLY);
    assert_signs(1, 10);
}

static void test_P05_a_tombstone_blocks_an_import_without_history(void **state)
{
    (void)state;
    import(3, 3);
    assert_signs(3, 10);
    delete (3);
    struct a_keys ask = keys_import(3, 3);
    assert_item_error(&ask, ERROR_KEY_TOMBSTONE);
    restart_all();
    assert_item_error(&ask, ERROR_KEY_TOMBSTONE);
    assert_signs_nothing(3, ERROR_KEY_UNKNOWN);
    keys_import_with_data(&room, 3, 3, 5);
    assert_signs(3, 11);
    restart_all(); /* its row has a version beyond the tombstone's */
    keys_await(&room, 3, A_KEY_ACTIVE);
    assert_signs(3, 12);
}

/* P16: what was signed before the delete is remembered after the import, on the disk. */
static void test_P16_an_import_after_a_delete_keeps_the_watermarks(void **state)
{
    (void)state;
    import(3, 3);
    assert_signs(3, 100);
    delete (3);
    restart_all();
    keys_import_with_data(&room, 3, 3, 50);
    const struct a_sign rival = test_attestation(3, 99, 100, 2);
    assert_int_equal(core_room_sign(&room, &rival).error, ERROR_SLASHABLE);
    const struct a_sign surrounding = test_attestation(3, 98, 101, 1);
    assert_int_equal(core_room_sign(&room, &surrounding).error, ERROR_SLASHABLE);
    assert_signs(3, 101);
}

/* What is asked for a delete at `point` of the core's death: `deleted` must not have been said unless the key is gone. */
static void killed_in_delete(enum test_point point)
{
    struct a_keys_done done;
    import(3, 3);
    assert_signs(3, 10);
    core_room_kill(&room);
    room.point = point;
    room.point_nth = 1;
    core_room_serve(&room, 2);
    keys_await(&room, 3, A_KEY_ACTIVE);
    const struct a_keys ask = keys_about(KEYS_DELETE, 3, 3);
    const bool said = !keys_try(&room, &ask, &done).code;
    const int status = core_room_wait(&room);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_false(said); /* every point lies before the answer */
    /* The vault lives on, with the key; a new core finds out what is right. */
    room.point = TEST_POINT_NONE;
    core_room_serve(&room, 2);
    const bool gone = keys_listed(&room, 3).source == 0;
    assert_int_equal(gone, point == TEST_POINT_KEYS_WRITTEN || point == TEST_POINT_KEYS_SETTLED ||
                               point == TEST_POINT_DELETE_ERASED ||
                               point == TEST_POINT_DELETE_FORGOTTEN);
    if (gone)
        assert_signs_nothing(3, ERROR_KEY_UNKNOWN);
    if (point == TEST_POINT_DELETE_DISABLED || point == TEST_POINT_KEYS_NAMED) {
        /* The history says that it is gone, so nobody is told that it is as it was: nor by a core that comes later. */
        keys_await(&room, 3, A_KEY_DELETING);
        assert_signs_nothing(3, ERROR_KEY_UNKNOWN);
        restart_all();
        keys_await(&room, 3, A_KEY_DELETING);
    }
    /* The client asks again, and is told. */
    keys_expect(&room, &ask, gone ? A_KEY_NOT_ACTIVE : A_KEY_DELETED);
    assert_signs_nothing(3, ERROR_KEY_UNKNOWN);
    restart_all();
    assert_signs_nothing(3, ERROR_KEY_UNKNOWN);
    const struct a_keys again = keys_import(3, 3);
    assert_item_error(&again, ERROR_KEY_TOMBSTONE);
}

#define KILLED_IN_DELETE(name, point)                                                              \
    static void test_P05_killed_in_a_delete_##name(void **state)                                   \
    {                                                                                              \
        (void)state;                                                                               \
        killed_in_delete(TEST_POINT_##point);                                                      \
    }
KILLED_IN_DELETE(when_it_is_stopped, DELETE_STOPPED)
KILLED_IN_DELETE(when_the_history_is_closed, DELETE_DISABLED)
KILLED_IN_DELETE(before_the_key_store, KEYS_NAMED)
KILLED_IN_DELETE(after_the_key_store, KEYS_WRITTEN)
KILLED_IN_DELETE(when_the_state_is_settled, KEYS_SETTLED)
KILLED_IN_DELETE(before_the_vault, DELETE_ERASED)
KILLED_IN_DELETE(before_the_answer, DELETE_FORGOTTEN)

/* --- P15: no key signs without its protection row ----------------------------------------------------------------- */

/* After a death at `point`: the key is not there, or it is whole; on no path does it sign without a row. */
static void killed_in_import(enum test_point point, bool stored)
{
    struct a_keys_done done;
    const struct a_keys ask = keys_import(3, 4);
    core_room_kill(&room);
    room.point = point;
    room.point_nth = 1;
    core_room_serve(&room, 2);
    assert_int_not_equal(keys_try(&room, &ask, &done).code, 0);
    const int status = core_room_wait(&room);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    const struct eth_pubkey pubkey = test_pubkey(3);
    const bool row = history_knows(&pubkey);
    assert_true(row || !stored);
    room.point = TEST_POINT_NONE;
    core_room_serve(&room, 2);
    if (!stored) {
        assert_int_equal(keys_listed(&room, 3).source, 0);
        assert_signs_nothing(3, ERROR_KEY_UNKNOWN);
        keys_expect(&room, &ask, A_KEY_IMPORTED);
    } else {
        keys_expect(&room, &ask, A_KEY_DUPLICATE);
    }
    keys_await(&room, 3, A_KEY_ACTIVE);
    assert_signs(3, 10);
    restart_all();
    keys_await(&room, 4, A_KEY_ACTIVE);
    assert_signs(4, 10);
}

#define KILLED_IN_IMPORT(name, point, stored)                                                      \
    static void test_P15_killed_in_an_import_##name(void **state)                                  \
    {                                                                                              \
        (void)state;                                                                               \
        killed_in_import(TEST_POINT_##point, stored);                                              \
    }
KILLED_IN_IMPORT(when_it_is_opened, IMPORT_OPENED, false)
KILLED_IN_IMPORT(when_it_has_its_row, IMPORT_PROTECTED, false)
KILLED_IN_IMPORT(before_the_key_store, KEYS_NAMED, false)
KILLED_IN_IMPORT(after_the_key_store, KEYS_WRITTEN, true)
KILLED_IN_IMPORT(when_the_state_is_settled, KEYS_SETTLED, true)
KILLED_IN_IMPORT(when_the_vault_has_it, IMPORT_LOADED, true)
KILLED_IN_IMPORT(before_the_answer, IMPORT_ACTIVE, true)

/* An import with data for a key with a tombstone, killed at `point`: it is not there, or it is whole. */
static void killed_with_data(enum test_point point, bool stored)
{
    struct a_keys_done done;
    import(3, 3);
    assert_signs(3, 100);
    delete (3);
    core_room_kill(&room);
    room.point = point;
    room.point_nth = 1;
    core_room_serve(&room, 2);
    const struct a_keys hold = keys_hold(3, 3, 0);
    const struct a_keys take = keys_about(KEYS_TAKE, 3, 3);
    keys_expect(&room, &hold, A_KEY_OPENED);
    assert_int_equal(keys_merge(&room, 3, 3, 200), 1);
    assert_int_not_equal(keys_try(&room, &take, &done).code, 0);
    const int status = core_room_wait(&room);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    room.point = TEST_POINT_NONE;
    core_room_serve(&room, 2);
    if (!stored) {
        assert_int_equal(keys_listed(&room, 3).source, 0);
        assert_signs_nothing(3, ERROR_KEY_UNKNOWN);
        keys_import_with_data(&room, 3, 3, 200);
    }
    keys_await(&room, 3, A_KEY_ACTIVE);
    const struct a_sign old = test_attestation(3, 150, 200, 1);
    assert_int_equal(core_room_sign(&room, &old).error, ERROR_SLASHABLE);
    assert_signs(3, 201);
}

#define KILLED_WITH_DATA(name, point, stored)                                                      \
    static void test_P15_P16_killed_in_an_import_with_data_##name(void **state)                    \
    {                                                                                              \
        (void)state;                                                                               \
        killed_with_data(TEST_POINT_##point, stored);                                              \
    }
KILLED_WITH_DATA(when_it_has_its_row, IMPORT_PROTECTED, false)
KILLED_WITH_DATA(before_the_key_store, KEYS_NAMED, false)
KILLED_WITH_DATA(after_the_key_store, KEYS_WRITTEN, true)
KILLED_WITH_DATA(when_the_vault_has_it, IMPORT_LOADED, true)
KILLED_WITH_DATA(before_the_answer, IMPORT_ACTIVE, true)

#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_imported_keys_sign_and_survive_every_restart),
        TEST(test_a_key_that_is_here_is_a_duplicate),
        TEST(test_a_list_goes_on_where_it_stopped),
        TEST(test_an_inactive_key_signs_nothing_until_it_is_active_again),
        TEST(test_a_pause_holds_for_every_source_and_over_restarts),
        cmocka_unit_test_setup_teardown(
            test_a_key_in_memory_is_gone_with_the_vault_and_leaves_no_file, up_in_memory, down),
        TEST(test_without_a_scope_nothing_is_done),
        TEST(test_a_keystore_that_does_not_open_is_an_error_of_its_own),
        TEST(test_P13_a_wrong_public_key_is_an_error_and_leaves_no_trace),
        TEST(test_P13_data_of_a_keystore_that_does_not_open_changes_no_history),
        TEST(test_P13_what_is_held_is_of_its_step_and_is_taken_once),
        TEST(test_P13_data_of_a_key_that_is_here_is_merged_where_its_secret_comes),
        TEST(test_P13_P16_a_tombstone_wants_the_data_itself),
        TEST(test_without_a_key_store_nothing_is_imported_silently),
        TEST(test_P05_a_deleted_key_is_gone_for_good),
        TEST(test_P05_a_tombstone_blocks_an_import_without_history),
        TEST(test_P16_an_import_after_a_delete_keeps_the_watermarks),
        TEST(test_P05_killed_in_a_delete_when_it_is_stopped),
        TEST(test_P05_killed_in_a_delete_when_the_history_is_closed),
        TEST(test_P05_killed_in_a_delete_before_the_key_store),
        TEST(test_P05_killed_in_a_delete_after_the_key_store),
        TEST(test_P05_killed_in_a_delete_when_the_state_is_settled),
        TEST(test_P05_killed_in_a_delete_before_the_vault),
        TEST(test_P05_killed_in_a_delete_before_the_answer),
        TEST(test_P15_killed_in_an_import_when_it_is_opened),
        TEST(test_P15_killed_in_an_import_when_it_has_its_row),
        TEST(test_P15_killed_in_an_import_before_the_key_store),
        TEST(test_P15_killed_in_an_import_after_the_key_store),
        TEST(test_P15_killed_in_an_import_when_the_state_is_settled),
        TEST(test_P15_killed_in_an_import_when_the_vault_has_it),
        TEST(test_P15_killed_in_an_import_before_the_answer),
        TEST(test_P15_P16_killed_in_an_import_with_data_when_it_has_its_row),
        TEST(test_P15_P16_killed_in_an_import_with_data_before_the_key_store),
        TEST(test_P15_P16_killed_in_an_import_with_data_after_the_key_store),
        TEST(test_P15_P16_killed_in_an_import_with_data_when_the_vault_has_it),
        TEST(test_P15_P16_killed_in_an_import_with_data_before_the_answer),
    };
    core_room_reserve_metrics();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
