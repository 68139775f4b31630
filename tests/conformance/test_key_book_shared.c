/* Replicas over one key store and one state store, step by step: whatever one of them has left half done, and however late it comes
 * back, the others go on soundly, and none of them refuses what is right.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/key_work.h"
#include "support/postgres_server.h"
#include "support/seal_kit.h"
#include "support/state_kit.h"
#include "support/test.h"

static const uint8_t chamber[KEY_STORE_CHAMBER_SIZE] = {1, 2, 3};
static char url[512];

enum {
    REPLICAS = 3
};

/* One whose steps are made by hand: a replica as slow as a test wants it. */
static struct replica {
    struct state_store *state;
    struct key_store *store;
    struct key_record_path path;
    struct key_book *book; /* or one that does it itself */
} replicas[REPLICAS];

static int up(void **state)
{
    (void)kit_new(state);
    postgres_server_schema(url, sizeof url);
    assert_int_equal(key_store_postgres_migrate(url, NULL).code, 0);
    assert_int_equal(kit_open_new("a", &replicas[0].state).code, 0);
    assert_int_equal(kit_put(replicas[0].state, "alpha", "one", 0, "x").code, 0);
    for (unsigned i = 0; i < REPLICAS; i++) {
        struct replica *r = &replicas[i];
        const char place[] = {(char)('a' + (int)i), 0};
        struct state_fault fault;
        if (i > 0) {
            assert_int_equal(seen_write(kit_path(place, ".seen"), 0, true).code, 0);
            assert_int_equal(kit_open(place, &r->state, &fault).code, 0);
        }
        assert_int_equal(key_store_postgres_open(url, chamber, &r->store).code, 0);
        r->path = (struct key_record_path){.state = r->state, .signer = &kit_signer};
    }
    return 0;
}

static int down(void **state)
{
    for (unsigned i = 0; i < REPLICAS; i++) {
        key_book_close(replicas[i].book);
        key_store_close(replicas[i].store);
        state_store_close(replicas[i].state);
        replicas[i] = (struct replica){0};
    }
    postgres_server_drop(url);
    return kit_end(state);
}

static void open_book(unsigned i)
{
    const struct key_book_settings settings = {
        .kind = KEY_BOOK_POSTGRES, .path = url, .chamber = chamber, .may_make = true};
    assert_int_equal(
        key_book_open(&settings, replicas[i].state, &kit_signer, &replicas[i].book).code, 0);
}

static struct sealed_row row(unsigned n, enum row_status status, uint64_t version)
{
    struct sealed_row r = {.status = status, .generation = 1, .version = version};
    r.pubkey.bytes[0] = (uint8_t)(0x80 | n);
    if (status != ROW_DELETED)
        memset(r.sealed, (int)n + 1, sizeof r.sealed);
    return r;
}

static cc_err put(unsigned i, unsigned n, uint64_t expected)
{
    const struct key_change change = {expected, row(n, ROW_ACTIVE, expected + 1)};
    return key_book_put(replicas[i].book, &change, 1);
}

static size_t count_of(unsigned i)
{
    size_t count = 0;
    (void)key_book_rows(replicas[i].book, &count);
    return count;
}

/* The news of a book that follows: how many. */
static size_t follow(unsigned i)
{
    size_t count = 0;
    assert_int_equal(key_book_follow(replicas[i].book, true).code, 0);
    (void)key_book_news(replicas[i].book, &count);
    key_book_news_end(replicas[i].book);
    return count;
}

/* --- by hand ---------------------------------------------------------------------------------------------------------- */

struct hand {
    struct key_seen seen;
    struct key_change change;
    struct key_book_record record; /* as it is to be */
};

/* Reads the store, and names the change that brings the first of all keys. */
static void name_by_hand(unsigned i, unsigned n, struct hand *hand)
{
    struct replica *r = &replicas[i];
    bool moved = true;
    assert_int_equal(key_store_begin(r->store).code, 0);
    char name[STATE_NAME_SIZE] = "postgres-";
    for (size_t k = 0; k < KEY_STORE_ID_SIZE; k++)
        (void)snprintf(name + 9 + 2 * k, 3, "%02x", r->store->id[k]);
    hand->change = (struct key_change){0, row(n, ROW_ACTIVE, 1)};
    assert_int_equal(key_record_look(&r->path, name, "", true, &hand->seen).code, 0);
    hand->record = (struct key_book_record){.has_next = true};
    assert_int_equal(key_store_digest(NULL, 0, hand->record.current).code, 0);
    assert_int_equal(key_store_digest(&hand->change.next, 1, hand->record.next).code, 0);
    assert_int_equal(key_record_swap(&r->path, &hand->record, 1, &hand->seen, &moved).code, 0);
    assert_false(moved);
}

static bool drop_by_hand(unsigned i, struct hand *hand, bool made)
{
    bool moved = false;
    struct key_book_record settled = {0};
    memcpy(settled.current, made ? hand->record.next : hand->record.current,
           sizeof settled.current);
    assert_int_equal(key_record_swap(&replicas[i].path, &settled, 0, &hand->seen, &moved).code, 0);
    return !moved;
}

static cc_err visit(void *context, const struct sealed_row *at)
{
    (void)at;
    ++*(size_t *)context;
    return CC_OK;
}

static size_t scan_by_hand(unsigned i)
{
    size_t count = 0;
    assert_int_equal(key_store_scan(replicas[i].store, visit, &count).code, 0);
    return count;
}

/* --- tests -------------------------------------------------------------------------------------------------------------- */

static void test_what_one_changes_is_news_for_the_others(void **state)
{
    (void)state;
    open_book(0);
    open_book(1);
    assert_int_equal(put(0, 1, 0).code, 0);
    assert_int_equal(put(0, 2, 0).code, 0);
    assert_int_equal(follow(0), 0); /* its own is none */
    assert_int_equal(follow(1), 2);
    assert_int_equal(follow(1), 0);
    /* The same status, sealed anew: nothing to load. */
    const struct key_change again = {1, row(1, ROW_ACTIVE, 2)};
    assert_int_equal(key_book_set_status(replicas[1].book, &again, 1).code, 0);
    assert_int_equal(follow(0), 0);
    assert_int_equal(key_book_find(replicas[0].book, &again.next.pubkey)->version, 2);
    const struct sealed_row second = row(2, ROW_ACTIVE, 1);
    const struct key_change gone = key_store_tombstone(&second);
    assert_int_equal(key_book_delete(replicas[1].book, &gone, 1).code, 0);
    assert_int_equal(follow(0), 1);
    /* What is built on an older row is a conflict, and no reason to refuse anything. */
    assert_true(error_is(put(0, 2, 1), ERROR_CONFLICT));
    assert_int_equal(put(0, 2, 2).code, 0);
    assert_int_equal(follow(1), 1);
    open_book(2);
    assert_int_equal(count_of(2), 2);
    for (unsigned i = 0; i < REPLICAS; i++)
        assert_int_equal(key_book_fault(replicas[i].book).code, 0);
}

/* It has named its change, and then nothing. The others wait a while, shut it out, and go on; when it wakes it has done nothing. */
static void test_one_that_stops_before_it_writes_is_shut_out(void **state)
{
    struct hand slow;
    (void)state;
    open_book(1);
    name_by_hand(0, 1, &slow);
    assert_int_equal(put(1, 2, 0).code, 0);
    assert_true(error_is(key_store_put(replicas[0].store, &slow.change, 1), ERROR_CONFLICT));
    assert_false(drop_by_hand(0, &slow, true));
    assert_false(drop_by_hand(0, &slow, false));
    assert_int_equal(put(1, 3, 0).code, 0);
    assert_int_equal(count_of(1), 2);
    assert_int_equal(scan_by_hand(0), 2);
    assert_int_equal(key_book_fault(replicas[1].book).code, 0);
}

/* It has written, and then nothing: the change is made. */
static void test_one_that_stops_after_it_has_written_has_made_its_change(void **state)
{
    struct hand slow;
    (void)state;
    open_book(1);
    name_by_hand(0, 1, &slow);
    assert_int_equal(key_store_put(replicas[0].store, &slow.change, 1).code, 0);
    assert_int_equal(put(1, 2, 0).code, 0);
    assert_int_equal(count_of(1), 2);
    assert_false(drop_by_hand(0, &slow, true)); /* others have gone on from there */
    open_book(2);
    assert_int_equal(count_of(2), 2);
    assert_int_equal(key_book_fault(replicas[2].book).code, 0);
}

/* Nobody asks for anything: who follows settles it all the same, when its time is over. */
static void test_what_is_half_done_is_settled_without_being_asked(void **state)
{
    struct hand slow;
    struct key_seen seen;
    (void)state;
    open_book(1);
    name_by_hand(0, 1, &slow);
    assert_int_equal(key_store_put(replicas[0].store, &slow.change, 1).code, 0);
    do {
        (void)follow(1);
        assert_int_equal(key_record_look(&replicas[2].path, slow.seen.name, "", true, &seen).code,
                         0);
        assert_true(key_book_is_restless(replicas[1].book) || !seen.record.has_next);
    } while (seen.record.has_next);
    assert_int_equal(count_of(1), 1);
    assert_false(key_book_is_restless(replicas[1].book));
}

/* The same change is named once more after it was shut out: who comes late with the first one's end must not end the second. */
static void test_the_same_change_named_again_is_another(void **state)
{
    struct hand first, late;
    (void)state;
    name_by_hand(0, 1, &first);
    late = first;
    assert_int_equal(scan_by_hand(1), 0);
    assert_int_equal(key_store_fence(replicas[1].store).code, 0);
    assert_int_equal(key_record_look(&replicas[1].path, first.seen.name, "", true, &late.seen).code,
                     0);
    /* The slow one finds out, settles it itself, and begins again with the very same. */
    assert_true(error_is(key_store_put(replicas[0].store, &first.change, 1), ERROR_CONFLICT));
    assert_int_equal(scan_by_hand(0), 0);
    assert_true(drop_by_hand(0, &first, false));
    name_by_hand(0, 1, &first);
    assert_false(drop_by_hand(1, &late, false)); /* looks as it did, and is not what it saw */
    assert_int_equal(key_store_put(replicas[0].store, &first.change, 1).code, 0);
    assert_true(drop_by_hand(0, &first, true));
    open_book(2);
    assert_int_equal(key_book_fault(replicas[2].book).code, 0);
    assert_int_equal(count_of(2), 1);
}

static void test_T02_rows_that_no_record_fits_are_refused(void **state)
{
    const struct key_change stranger = {0, row(9, ROW_ACTIVE, 1)};
    (void)state;
    open_book(0);
    open_book(1);
    assert_int_equal(put(0, 1, 0).code, 0);
    assert_int_equal(follow(1), 1);
    assert_int_equal(scan_by_hand(2), 1);
    assert_int_equal(key_store_put(replicas[2].store, &stranger, 1).code, 0);
    assert_true(error_is(put(0, 2, 0), ERROR_TAMPERED));
    assert_true(error_is(key_book_fault(replicas[0].book), ERROR_TAMPERED));
    assert_int_equal(count_of(0), 0);
    size_t news = 7;
    (void)key_book_news(replicas[0].book, &news);
    assert_int_equal(news, 0); /* not as if all were gone */
    assert_int_equal(count_of(1), 1);
    assert_true(error_is(put(1, 2, 0), ERROR_TAMPERED));
    key_book_close(replicas[0].book);
    replicas[0].book = NULL;
    open_book(0);
    assert_true(error_is(key_book_fault(replicas[0].book), ERROR_TAMPERED));
}

/* With a database that can't be reached nothing is known of the rows: not that there are none. */
static void test_T02_no_rotation_is_done_on_rows_that_were_not_read(void **state)
{
    static const char nowhere[] = "postgres://nobody@127.0.0.1:1/none?sslmode=disable";
    bool done = true;
    struct key_seen seen;
    (void)state;
    open_book(0);
    assert_int_equal(put(0, 1, 0).code, 0);
    struct state_fault fault;
    bool changed = false;
    assert_int_equal(state_refresh(replicas[1].state, &changed, &fault).code, 0);
    const struct key_book_settings settings = {
        .kind = KEY_BOOK_POSTGRES, .path = nowhere, .chamber = chamber};
    assert_int_equal(
        key_book_open(&settings, replicas[1].state, &kit_signer, &replicas[1].book).code, 0);
    assert_int_equal(count_of(1), 0);
    const struct key_work work = {.book = replicas[1].book};
    assert_true(error_is(key_work_rewrite(&work, 2, &done, &seen), ERROR_KEY_STORE));
    assert_false(done);
    assert_true(key_book_may_have_rows(replicas[1].book));
}

/* Nor on those of another day. */
static void test_T02_a_rotation_reads_what_others_have_stored(void **state)
{
    bool done = false;
    struct key_seen seen;
    (void)state;
    open_book(0);
    open_book(1);
    assert_false(key_book_may_have_rows(replicas[1].book));
    assert_int_equal(put(0, 1, 0).code, 0);
    assert_int_equal(count_of(1), 0);
    const struct key_work work = {.book = replicas[1].book};
    assert_int_equal(key_work_rewrite(&work, 1, &done, &seen).code, 0);
    assert_true(done);
    assert_int_equal(count_of(1), 1);
    assert_true(key_book_may_have_rows(replicas[1].book));
}

/* A replica that has not seen the end of a rotation stores nothing that nobody would seal anew. */
static void test_T02_no_row_of_an_old_generation_comes_after_a_rotation(void **state)
{
    static struct seal_current current;
    const struct seal_shape shape = {.mode = SEAL_LOCAL};
    CC_CLEANUP(buf_release) struct buf text = buf_init(SEAL_RECORD_MAX);
    (void)state;
    open_book(0);
    open_book(1);
    assert_int_equal(put(1, 1, 0).code, 0);
    seal_kit_current(&shape, &current);
    seal_kit_set(&shape, 2, &current.set);
    assert_int_equal(seal_current_encode(&current, &text).code, 0);
    const struct state_change change = {
        .kind = SEAL_RECORD_KIND, .name = SEAL_RECORD_CURRENT, .bytes = buf_span(&text)};
    struct state_fault fault;
    bool changed = false;
    assert_int_equal(state_refresh(replicas[0].state, &changed, &fault).code, 0);
    assert_int_equal(state_commit(replicas[0].state, &change, 1, &kit_signer).code, 0);
    assert_true(error_is(put(1, 2, 0), ERROR_BUSY));
    assert_int_equal(count_of(1), 1);
    const struct sealed_row first = row(1, ROW_ACTIVE, 1);
    struct key_change next = {0, row(2, ROW_ACTIVE, 1)};
    next.next.generation = 2;
    assert_int_equal(key_book_put(replicas[1].book, &next, 1).code, 0);
    next = key_store_tombstone(&first); /* holds nothing */
    assert_int_equal(key_book_delete(replicas[1].book, &next, 1).code, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_one_changes_is_news_for_the_others),
        TEST(test_one_that_stops_before_it_writes_is_shut_out),
        TEST(test_one_that_stops_after_it_has_written_has_made_its_change),
        TEST(test_what_is_half_done_is_settled_without_being_asked),
        TEST(test_the_same_change_named_again_is_another),
        TEST(test_T02_rows_that_no_record_fits_are_refused),
        TEST(test_T02_no_rotation_is_done_on_rows_that_were_not_read),
        TEST(test_T02_no_row_of_an_old_generation_comes_after_a_rotation),
        TEST(test_T02_a_rotation_reads_what_others_have_stored),
    };
    kit = state_backend_find("postgres");
    if (getenv("CC_TESTS"))
        cmocka_set_test_filter(getenv("CC_TESTS"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
