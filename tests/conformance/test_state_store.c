/* One suite for every state store: commits, another replica's commits, and every way of changing it behind its back (T2). */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/num.h"

#include "support/aws_server.h"
#include "support/state_kit.h"
#include "support/test.h"

/* Calls of a service, which an emulator answers slowly. */
static bool is_far(void)
{
    return strcmp(kit->name, "dynamodb") == 0 && !getenv("CC_FULL");
}

/* Records alpha/one (2 versions), alpha/two and beta/one; generation 4. */
static void make(void)
{
    struct state_store *store = NULL;
    assert_int_equal(kit_open_new("a", &store).code, 0);
    assert_int_equal(kit_put(store, "alpha", "two", 0, "second").code, 0);
    assert_int_equal(kit_put(store, "alpha", "one", 0, "first").code, 0);
    assert_int_equal(kit_put(store, "beta", "one", 0, "third").code, 0);
    assert_int_equal(kit_put(store, "alpha", "one", 1, "first again").code, 0);
    state_store_close(store);
}

static struct state_store *open_at(const char *place)
{
    struct state_store *store = NULL;
    struct state_fault fault;
    cc_err err = kit_open(place, &store, &fault);
    if (err.code)
        fail_msg("%s: %s (%s)", place, error_name(err), error_detail());
    return store;
}

/* As another machine's: what it has seen is what the first one had. */
static struct state_store *open_replica(const char *place)
{
    assert_int_equal(seen_write(kit_path(place, ".seen"), 0, true).code, 0);
    return open_at(place);
}

static void assert_refused(const char *what, const char *kind, const char *name)
{
    struct state_store *store = NULL;
    struct state_fault fault;
    assert_string_equal(error_name(kit_open("a", &store, &fault)), "TAMPERED");
    assert_string_equal(fault.what, what);
    assert_string_equal(fault.kind, kind);
    assert_string_equal(fault.name, name);
}

static void assert_text(struct state_store *store,
                        const char *kind,
                        const char *name,
                        uint64_t version,
                        const char *text)
{
    const struct state_record *record = state_find(store, kind, name);
    assert_non_null(record);
    assert_int_equal(record->version, version);
    assert_true(span_is(span_of(record->bytes, record->len), text));
}

static void assert_unchanged(struct state_store *store)
{
    bool changed = true;
    struct state_fault fault;
    assert_int_equal(state_refresh(store, &changed, &fault).code, 0);
    assert_false(changed);
}

static void assert_changed(struct state_store *store)
{
    bool changed = false;
    struct state_fault fault;
    assert_int_equal(state_refresh(store, &changed, &fault).code, 0);
    assert_true(changed);
}

/* --- commits ------------------------------------------------------------------------------------------------------------ */

static void test_what_was_committed_is_there_again(void **state)
{
    (void)state;
    make();
    struct state_store *store = open_at("a");
    assert_text(store, "alpha", "one", 2, "first again");
    assert_int_equal(state_find(store, "alpha", "one")->generation, 4);
    assert_text(store, "beta", "one", 1, "third");
    assert_null(state_find(store, "beta", "two"));
    assert_int_equal(kit_put(store, "beta", "one", 1, "third again").code, 0);
    state_store_close(store);
    store = open_at("a");
    assert_text(store, "beta", "one", 2, "third again");
    state_store_close(store);
}

static void test_compare_and_swap(void **state)
{
    (void)state;
    make();
    struct state_store *store = open_at("a");
    unsigned before = kit_signings;
    assert_true(error_is(kit_put(store, "alpha", "one", 1, "x"), ERROR_CONFLICT)); /* it is 2 */
    assert_true(error_is(kit_put(store, "alpha", "one", 0, "x"), ERROR_CONFLICT)); /* it exists */
    assert_true(error_is(kit_put(store, "gamma", "one", 1, "x"), ERROR_CONFLICT)); /* it does not */
    assert_int_equal(kit_signings, before); /* nothing is signed for a change that can't be */
    state_store_close(store);
}

static void test_several_changes_are_one(void **state)
{
    (void)state;
    make();
    struct state_store *store = open_at("a");
    const struct state_change half[] = {
        {.kind = "gamma", .name = "one", .expected_version = 0, .bytes = span_str("new")},
        {.kind = "alpha", .name = "two", .expected_version = 9, .bytes = span_str("stale")}};
    const struct state_change whole[] = {
        {.kind = "gamma", .name = "one", .expected_version = 0, .bytes = span_str("new")},
        {.kind = "alpha", .name = "two", .expected_version = 1, .bytes = span_str("second again")},
        {.kind = "zeta", .name = "one", .expected_version = 0, .bytes = span_str("")}};
    assert_true(error_is(state_commit(store, half, 2, &kit_signer), ERROR_CONFLICT));
    assert_null(state_find(store, "gamma", "one"));
    state_store_close(store);
    store = open_at("a");
    assert_null(state_find(store, "gamma", "one"));
    assert_int_equal(state_commit(store, whole, 3, &kit_signer).code, 0);
    state_store_close(store);
    store = open_at("a");
    assert_text(store, "gamma", "one", 1, "new");
    assert_text(store, "alpha", "two", 2, "second again");
    assert_text(store, "zeta", "one", 1, "");
    state_store_close(store);
}

static void test_a_record_that_goes_is_gone(void **state)
{
    (void)state;
    struct state_fault fault;
    make();
    struct state_store *store = open_at("a");
    const uint64_t version = state_find(store, "alpha", "one")->version;
    const struct state_change stale = {
        .kind = "alpha", .name = "one", .expected_version = version + 1, .remove = true};
    const struct state_change gone[] = {
        {.kind = "alpha", .name = "one", .expected_version = version, .remove = true},
        {.kind = "nothing", .name = "here", .expected_version = 0, .remove = true},
    };
    assert_true(error_is(state_commit(store, &stale, 1, &kit_signer), ERROR_CONFLICT));
    assert_non_null(state_find(store, "alpha", "one"));
    /* Nothing but removals, and then one beside a new record whose name has a dot. */
    assert_int_equal(state_commit(store, gone, 2, &kit_signer).code, 0);
    assert_null(state_find(store, "alpha", "one"));
    const struct state_change both[] = {
        {.kind = "policy", .name = "staff.eu-1", .expected_version = 0, .bytes = span_str("{}")},
        {.kind = "alpha",
         .name = "two",
         .expected_version = state_find(store, "alpha", "two")->version,
         .remove = true},
    };
    assert_int_equal(state_commit(store, both, 2, &kit_signer).code, 0);
    state_store_close(store);
    store = open_at("a");
    assert_null(state_find(store, "alpha", "one"));
    assert_null(state_find(store, "alpha", "two"));
    assert_text(store, "policy", "staff.eu-1", 1, "{}");
    /* It may come again, as a new one. */
    assert_int_equal(kit_put(store, "alpha", "one", 0, "again").code, 0);
    assert_text(store, "alpha", "one", 1, "again");
    state_store_close(store);
    assert_int_equal(kit_open("a", &store, &fault).code, 0);
    state_store_close(store);
}

/* T3: what was removed, and is put back past the store, is refused by name: the revoked stays revoked. */
static void test_T03_a_removed_record_that_comes_back_is_refused(void **state)
{
    (void)state;
    struct state_fault fault;
    struct state_image before;
    make();
    struct state_store *store = open_at("a");
    assert_int_equal(kit_put(store, "token", "old", 0, "{}").code, 0);
    state_store_close(store);
    kit_save(&before);
    store = open_at("a");
    const struct state_change gone = {
        .kind = "token", .name = "old", .expected_version = 1, .remove = true};
    assert_int_equal(state_commit(store, &gone, 1, &kit_signer).code, 0);
    state_store_close(store);
    size_t i = 0;
    while (strcmp(before.records[i].kind, "token") != 0)
        i++;
    kit->put_record(&before.records[i]);
    assert_int_equal(kit_open("a", &store, &fault).code, ERROR_TAMPERED);
    assert_string_equal(fault.kind, "token");
    assert_string_equal(fault.name, "old");
    kit_restore(&before); /* the whole of it, with the head of then */
    assert_int_equal(kit_open("a", &store, &fault).code, ERROR_TAMPERED);
    state_image_release(&before);
}

static void test_bounds(void **state)
{
    (void)state;
    uint8_t *large = calloc(1, STATE_RECORD_MAX + 1);
    assert_non_null(large);
    make();
    struct state_store *store = open_at("a");
    struct state_change change = {.kind = "big",
                                  .name = "one",
                                  .expected_version = 0,
                                  .bytes = span_of(large, STATE_RECORD_MAX + 1)};
    assert_true(error_is(state_commit(store, &change, 1, &kit_signer), ERROR_LIMIT));
    change.bytes.len = STATE_RECORD_MAX;
    assert_int_equal(state_commit(store, &change, 1, &kit_signer).code, 0);
    state_store_close(store);
    store = open_at("a");
    assert_int_equal(state_find(store, "big", "one")->len, STATE_RECORD_MAX);
    state_store_close(store);
    free(large);
}

static void test_making_never_replaces(void **state)
{
    (void)state;
    make();
    struct state_store *store = NULL;
    assert_true(error_is(kit_open_new("b", &store), ERROR_EXISTS));
}

static void test_one_process_for_a_data_directory(void **state)
{
    (void)state;
    make();
    struct state_store *store = open_at("a");
    struct state_store *second = NULL;
    assert_true(error_is(kit->open("a", &second), ERROR_LOCKED));
    state_store_close(store);
    assert_int_equal(kit->open("a", &second).code, 0);
    state_store_close(second);
}

/* Killed at any moment, the store is one that opens, with the old content or the new. */
static void test_a_kill_between_any_two_moments(void **state)
{
    (void)state;
    make();
    for (unsigned round = 0; round < (is_far() ? 5 : 20); round++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct state_store *store = NULL;
            struct state_fault fault;
            if (kit_open("a", &store, &fault).code)
                _exit(1);
            for (uint64_t version = state_find(store, "beta", "one")->version;; version++) {
                cc_err err = kit_put(store, "beta", "one", version, "again");
                /* What the child before this one had sent may have been carried out after its end. */
                if (error_is(err, ERROR_CONFLICT))
                    (void)pause();
                if (err.code)
                    _exit(1);
            }
        }
        (void)usleep(1000 * (5 + round * 7 % 31));
        int status = 0;
        (void)kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        state_store_close(open_at("a"));
    }
}

static void test_C07_out_of_memory_at_every_allocation(void **state)
{
    (void)state;
    /* Each call of a service takes hundreds, which tests/unit/aws looks at: some of them here. */
    bool calls = is_far();
    make();
    for (uint64_t nth = 1; nth < (calls ? 8192 : 128); nth += calls ? 1 + nth : 1) {
        struct state_store *store = NULL;
        struct state_fault fault;
        (void)alloc_fail_nth(nth);
        cc_err err = kit_open("a", &store, &fault);
        if (!err.code) {
            err = kit_put(store, "alpha", "two", state_find(store, "alpha", "two")->version,
                          "changed");
            state_store_close(store);
        }
        uint64_t used = alloc_fail_nth(0);
        assert_true(err.code == 0 || error_is(err, ERROR_NO_MEMORY) ||
                    error_is(err, ERROR_TAMPERED) || error_is(err, ERROR_STATE));
        state_store_close(open_at("a"));
        if (used < nth)
            return;
    }
    fail_msg("more allocations than expected");
}

/* --- another replica ------------------------------------------------------------------------------------------------------ */

static void test_a_replica_sees_what_another_commits(void **state)
{
    (void)state;
    if (!kit->shared)
        skip();
    make();
    struct state_store *a = open_at("a");
    struct state_store *b = open_replica("b");
    uint64_t seen = 0;
    assert_unchanged(a);
    assert_int_equal(kit_put(b, "beta", "one", 1, "from b").code, 0);
    assert_text(a, "beta", "one", 1, "third"); /* until it looks */
    assert_changed(a);
    assert_text(a, "beta", "one", 2, "from b");
    assert_unchanged(a);
    assert_int_equal(seen_read(kit_path("a", ".seen"), &seen).code, 0);
    assert_int_equal(seen, 5);
    state_store_close(a);
    state_store_close(b);
}

static void test_the_slower_writer_refreshes_and_goes_on(void **state)
{
    (void)state;
    if (!kit->shared)
        skip();
    make();
    struct state_store *a = open_at("a");
    struct state_store *b = open_replica("b");
    assert_int_equal(kit_put(b, "beta", "one", 1, "from b").code, 0);
    /* Another record, and yet another head. */
    assert_true(error_is(kit_put(a, "alpha", "two", 1, "from a"), ERROR_CONFLICT));
    assert_text(a, "alpha", "two", 1, "second");
    assert_changed(a);
    assert_int_equal(kit_put(a, "alpha", "two", 1, "from a").code, 0);
    assert_changed(b);
    assert_text(b, "alpha", "two", 2, "from a");
    assert_text(b, "beta", "one", 2, "from b");
    state_store_close(a);
    state_store_close(b);
}

enum {
    ROUNDS = 100 /* of each of two writers */
};

static unsigned rounds(void)
{
    return is_far() ? ROUNDS / 5 : ROUNDS;
}

static int count_up(const char *place)
{
    struct state_store *store = NULL;
    struct state_fault fault;
    bool changed;
    if (kit_open(place, &store, &fault).code)
        return 1;
    for (unsigned done = 0; done < rounds();) {
        char text[24];
        uint64_t count = 0;
        const struct state_record *record = state_find(store, "beta", "one");
        if (u64_parse(span_of(record->bytes, record->len), &count).code)
            return 2;
        (void)snprintf(text, sizeof text, "%llu", (unsigned long long)count + 1);
        cc_err err = kit_put(store, "beta", "one", record->version, text);
        done += err.code == 0;
        if (err.code && !error_is(err, ERROR_CONFLICT))
            return 3;
        if (err.code && state_refresh(store, &changed, &fault).code)
            return 4;
    }
    state_store_close(store);
    return 0;
}

/* Whenever it is read, head and records are of one moment: how often it was another one. */
static unsigned read_until_ended(struct state_store *store, pid_t writer)
{
    unsigned refreshes = 0;
    siginfo_t ended = {0};
    do {
        bool changed = false;
        struct state_fault fault;
        cc_err err = state_refresh(store, &changed, &fault);
        if (err.code)
            fail_msg("%s: %s %s/%s", error_name(err), fault.what, fault.kind, fault.name);
        refreshes += changed;
        if (writer)
            assert_int_equal(waitid(P_PID, (id_t)writer, &ended, WEXITED | WNOHANG | WNOWAIT), 0);
    } while (writer && ended.si_pid == 0);
    return refreshes;
}

/* No change is lost and none is made twice, by two processes that always collide. */
static void test_two_writers_race(void **state)
{
    static const char *const places[] = {"b", "c"};
    pid_t children[2];
    (void)state;
    if (!kit->shared)
        skip();
    make();
    struct state_store *store = open_at("a");
    assert_int_equal(kit_put(store, "beta", "one", 1, "0").code, 0);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(seen_write(kit_path(places[i], ".seen"), 0, true).code, 0);
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0)
            _exit(count_up(places[i]));
    }
    unsigned refreshes = read_until_ended(store, children[0]);
    assert_true(refreshes > (is_far() ? 0U : 10U));
    for (size_t i = 0; i < 2; i++) {
        int status = 0;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    (void)read_until_ended(store, 0);
    char text[24];
    (void)snprintf(text, sizeof text, "%u", 2 * rounds());
    assert_text(store, "beta", "one", 2 + 2 * rounds(), text);
    state_store_close(store);
}

/* --- changed behind its back (T2) ------------------------------------------------------------------------------------------ */

static struct state_record record_of(
    const char *kind, const char *name, uint64_t version, uint64_t generation, const char *text)
{
    struct state_record record = {.version = version,
                                  .generation = generation,
                                  .bytes = (uint8_t *)(uintptr_t)text,
                                  .len = strlen(text)};
    (void)snprintf(record.kind, sizeof record.kind, "%s", kind);
    (void)snprintf(record.name, sizeof record.name, "%s", name);
    return record;
}

static void
put_raw(const char *kind, const char *name, uint64_t version, uint64_t generation, const char *text)
{
    const struct state_record record = record_of(kind, name, version, generation, text);
    kit->put_record(&record);
}

static void test_T02_a_deleted_record_is_named(void **state)
{
    (void)state;
    make();
    kit->delete_record("alpha", "two");
    assert_refused("a record is missing", "alpha", "two");
}

static void test_T02_a_changed_record_is_named(void **state)
{
    (void)state;
    make();
    put_raw("beta", "one", 1, 3, "Third");
    assert_refused("a record was changed", "beta", "one");
}

static void test_T02_an_extra_record_is_named(void **state)
{
    (void)state;
    make();
    put_raw("auth", "open", 1, 1, "x");
    assert_refused("a record is in no head", "auth", "open");
    kit->delete_record("auth", "open");
    put_raw("zeta", "one", 1, 1, "x");
    assert_refused("a record is in no head", "zeta", "one");
}

static void test_T02_a_rolled_back_record_is_named(void **state)
{
    (void)state;
    make();
    put_raw("alpha", "one", 1, 2, "first");
    assert_refused("a record was rolled back", "alpha", "one");
}

static void test_T02_a_record_newer_than_its_head_is_named(void **state)
{
    (void)state;
    make();
    put_raw("alpha", "one", 3, 4, "first again");
    assert_refused("a record is newer than its head", "alpha", "one");
}

static void test_T02_swapped_records_are_named(void **state)
{
    (void)state;
    make();
    put_raw("alpha", "one", 1, 1, "second");
    put_raw("alpha", "two", 2, 4, "first again");
    assert_refused("a record was rolled back", "alpha", "one");
}

static void test_T02_a_head_that_is_gone_or_changed(void **state)
{
    struct state_image saved;
    static const uint8_t none[ED25519_SIGNATURE_SIZE];
    (void)state;
    make();
    kit_save(&saved);
    struct span head = buf_span(&saved.head);
    kit->put_head(5, head, span_of(saved.signature, sizeof saved.signature));
    assert_refused("the head's generation was changed", "head", "");
    kit->put_head(4, head, span_of(none, sizeof none));
    assert_refused("the head is not signed by this chamber's identity", "head", "");
    kit->delete_head();
    assert_refused("the head is missing", "head", "");
    state_image_release(&saved);
}

static void test_T02_another_chambers_store(void **state)
{
    struct state_store *store = NULL;
    struct state_fault fault;
    (void)state;
    make();
    kit_pin.chamber_id[0] ^= 1; /* signed by the same identity, made for another chamber */
    assert_true(error_is(kit_open("a", &store, &fault), ERROR_TAMPERED));
    assert_string_equal(fault.what, "the head is another chamber's");
    kit_pin.chamber_id[0] ^= 1;
    kit_pin.identity_public[0] ^= 1;
    assert_true(error_is(kit_open("a", &store, &fault), ERROR_TAMPERED));
    assert_string_equal(fault.what, "the head is not signed by this chamber's identity");
}

static void test_T02_the_whole_store_rolled_back(void **state)
{
    struct state_image saved;
    (void)state;
    make();
    kit_save(&saved);
    struct state_store *store = open_at("a");
    assert_int_equal(kit_put(store, "beta", "one", 1, "newer").code, 0);
    state_store_close(store);
    kit_restore(&saved);
    assert_refused("the whole store was rolled back", "head", "");
    state_image_release(&saved);
}

/* While it runs: what is known stays, and nothing is committed on top of what was changed. */
static void assert_refresh_refused(struct state_store *store, const char *what)
{
    bool changed = true;
    struct state_fault fault;
    assert_string_equal(error_name(state_refresh(store, &changed, &fault)), "TAMPERED");
    assert_false(changed);
    assert_string_equal(fault.what, what);
    assert_text(store, "beta", "one", 2, "newer");
    assert_true(error_is(kit_put(store, "beta", "one", 2, "on top"), ERROR_CONFLICT));
}

static void test_T02_a_running_replica_takes_nothing_older(void **state)
{
    struct state_image saved;
    (void)state;
    if (!kit->shared)
        skip();
    make();
    kit_save(&saved);
    struct state_store *store = open_at("a");
    assert_int_equal(kit_put(store, "beta", "one", 1, "newer").code, 0);
    kit_restore(&saved);
    assert_refresh_refused(store, "the whole store was rolled back");
    state_image_release(&saved);
    /* Another replica, which has not seen the lost head, goes on to the same generation. */
    struct state_store *b = open_replica("b");
    assert_int_equal(kit_put(b, "alpha", "two", 1, "elsewhere").code, 0);
    assert_refresh_refused(store, "the whole store was rolled back");
    assert_int_equal(kit_put(b, "alpha", "two", 2, "once more").code, 0);
    assert_changed(store); /* newer than what it knew */
    assert_text(store, "alpha", "two", 3, "once more");
    assert_text(store, "beta", "one", 1, "third");
    state_store_close(b);
    state_store_close(store);
}

static void test_T02_a_running_replica_takes_nothing_unsigned(void **state)
{
    struct state_image saved;
    (void)state;
    if (!kit->shared)
        skip();
    make();
    struct state_store *store = open_at("a");
    assert_int_equal(kit_put(store, "beta", "one", 1, "newer").code, 0);
    kit_save(&saved);
    kit->put_head(9, buf_span(&saved.head), span_of(saved.signature, sizeof saved.signature));
    assert_refresh_refused(store, "the head's generation was changed");
    saved.head.data[20] ^= 1;
    kit->put_head(9, buf_span(&saved.head), span_of(saved.signature, sizeof saved.signature));
    assert_refresh_refused(store, "the head is not signed by this chamber's identity");
    saved.head.data[20] ^= 1;
    kit->delete_head();
    assert_refresh_refused(store, "the head is missing");
    kit->put_head(saved.generation, buf_span(&saved.head),
                  span_of(saved.signature, sizeof saved.signature));
    assert_unchanged(store);
    assert_int_equal(kit_put(store, "beta", "one", 2, "goes on").code, 0);
    state_image_release(&saved);
    state_store_close(store);
}

static void test_T02_the_mark_of_what_was_seen_must_be_there(void **state)
{
    struct state_store *store = NULL;
    struct state_fault fault;
    const char *seen = kit_path("a", ".seen");
    (void)state;
    make();
    assert_int_equal(file_write_durable(
                         seen, span_str("containment-chamber state seen v1\ngeneration x\n"), false)
                         .code,
                     0);
    assert_true(error_is(kit_open("a", &store, &fault), ERROR_TAMPERED));
    assert_int_equal(unlink(seen), 0);
    assert_true(error_is(kit_open("a", &store, &fault), ERROR_TAMPERED));
    assert_non_null(fault.what);
}

/* A crash between the commit and the mark leaves the mark low: accepted, and raised. */
static void test_T02_a_mark_that_lags_is_raised(void **state)
{
    uint64_t generation = 0;
    const char *seen = kit_path("a", ".seen");
    (void)state;
    make();
    assert_int_equal(seen_write(seen, 2, false).code, 0);
    state_store_close(open_at("a"));
    assert_int_equal(seen_read(seen, &generation).code, 0);
    assert_int_equal(generation, 4);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, kit_new, kit_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_was_committed_is_there_again),
        TEST(test_compare_and_swap),
        TEST(test_several_changes_are_one),
        TEST(test_a_record_that_goes_is_gone),
        TEST(test_T03_a_removed_record_that_comes_back_is_refused),
        TEST(test_bounds),
        TEST(test_making_never_replaces),
        TEST(test_one_process_for_a_data_directory),
        TEST(test_a_kill_between_any_two_moments),
        TEST(test_C07_out_of_memory_at_every_allocation),
        TEST(test_a_replica_sees_what_another_commits),
        TEST(test_the_slower_writer_refreshes_and_goes_on),
        TEST(test_two_writers_race),
        TEST(test_T02_a_deleted_record_is_named),
        TEST(test_T02_a_changed_record_is_named),
        TEST(test_T02_an_extra_record_is_named),
        TEST(test_T02_a_rolled_back_record_is_named),
        TEST(test_T02_a_record_newer_than_its_head_is_named),
        TEST(test_T02_swapped_records_are_named),
        TEST(test_T02_a_head_that_is_gone_or_changed),
        TEST(test_T02_another_chambers_store),
        TEST(test_T02_the_whole_store_rolled_back),
        TEST(test_T02_a_running_replica_takes_nothing_older),
        TEST(test_T02_a_running_replica_takes_nothing_unsigned),
        TEST(test_T02_the_mark_of_what_was_seen_must_be_there),
        TEST(test_T02_a_mark_that_lags_is_raised),
    };
    const char *only = getenv("CC_BACKEND");
    int failed = 0;
    if (getenv("CC_TESTS"))
        cmocka_set_test_filter(getenv("CC_TESTS"));
    for (size_t i = 0; i < state_backend_count; i++) {
        kit = &state_backends[i];
        if (strcmp(kit->name, "dynamodb") == 0 && !aws_server_exists())
            continue;
        if (!only || strcmp(only, kit->name) == 0)
            failed += cmocka_run_group_tests_name(kit->name, tests, NULL, NULL);
    }
    return failed;
}
