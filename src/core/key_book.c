#include "core/key_book.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"

#include "codec/hex.h"
#include "core/key_rows.h"
#include "core/test_point.h"
#include "keys/store_dynamodb.h"
#include "sql/postgres_url.h"

enum {
    TRIES = 16, /* to read rows that fit the record, while other replicas change them */
    CHANGE_TRIES = 4,
    POLL_MS = 50,
    SHOWN_MAX = 512
};

struct key_book {
    struct key_book_settings settings;
    char *path;            /* settings.path */
    char shown[SHOWN_MAX]; /* the same for people */
    char name
        [STATE_NAME_SIZE]; /* of the state record; "" : that of a shared store which is not begun; written once */
    atomic_bool named;       /* it was */
    struct key_store *store; /* NULL: none yet, or refused */
    struct key_record_path in;
    struct key_rows rows;
    struct key_seen seen;   /* the state record that the rows fit */
    bool known;             /* the rows were read */
    bool stale;             /* the store may hold something else than the rows */
    bool mine;              /* what the record names next was named here */
    uint64_t rest_until_ms; /* after a reading that took long */
    bool resting;           /* there may be something to read */
    uint64_t pending_ms;    /* since when the record names a next digest; 0: it does not */
    struct eth_pubkey *news;
    size_t news_count;
    atomic_int fault; /* enum error_code */
    atomic_bool away;
    /* What other threads ask for of `known`, `seen` and `rows`: publish(). */
    atomic_bool unread;
    atomic_bool has_rows;
};

static bool is_shared(const struct key_book *book)
{
    return book->settings.kind != KEY_BOOK_SQLITE;
}

static void set_name(struct key_book *book, const char *name)
{
    if (book->name[0])
        return;
    memcpy(book->name, name, strlen(name) + 1);
    atomic_store(&book->named, book->name[0] != 0);
}

static const char *prefix_of(const struct key_book *book)
{
    return book->settings.kind == KEY_BOOK_POSTGRES ? "postgres-" : "dynamodb-";
}

/* --- a refused store ------------------------------------------------------------------------------------------ */

enum key_book_kind key_book_kind(const struct key_book *book)
{
    return book->settings.kind;
}

cc_err key_book_fault(const struct key_book *book)
{
    const int fault = atomic_load(&book->fault);
    return fault
               ? error_make((enum error_code)fault, "the key store is refused", __FILE__, __LINE__)
               : CC_OK;
}

bool key_book_is_away(const struct key_book *book)
{
    return atomic_load(&book->away);
}

/* A store that was never begun has no keys, wherever it is. */
cc_err key_book_lacks(const struct key_book *book)
{
    CC_TRY(key_book_fault(book));
    return atomic_load(&book->unread) ? CC_FAIL(KEY_STORE, "it was never read") : CC_OK;
}

static void publish(struct key_book *book)
{
    atomic_store(&book->unread, (!book->known && book->seen.there) || book->seen.coming);
    atomic_store(&book->has_rows, book->rows.count != 0);
}

const struct key_seen *key_book_seen(const struct key_book *book)
{
    return &book->seen;
}

/* Of a shared store the name comes with its first change. */
bool key_book_is_named(const struct key_book *book, const char *name)
{
    return atomic_load(&book->named) ? strcmp(name, book->name) == 0
                                     : strncmp(name, prefix_of(book), strlen(prefix_of(book))) == 0;
}

bool key_book_may_have_rows(const struct key_book *book)
{
    return atomic_load(&book->has_rows) || key_book_lacks(book).code != 0 || key_book_is_away(book);
}

static const char *hint_of(const struct key_book *book, cc_err err)
{
    if (error_is(err, ERROR_KEYS_MOVED))
        return "configure the store that they are in; or end with `keys move` what was begun";
    return is_shared(book)
               ? "restore its newest copy, and find out who else may write it"
               : "restore the file from its backup, the data directory with it; or move the file "
                 "away only after its keys were imported elsewhere";
}

static void refuse(struct key_book *book, cc_err err)
{
    log_error("a key store is refused: none of its keys is loaded", KV_STR("store", book->name),
              KV_STR("path", book->shown), KV_ERR(err), KV_STR("hint", hint_of(book, err)));
    atomic_store(&book->fault, err.code);
    atomic_store(&book->away, false);
    key_store_close(book->store);
    book->store = NULL;
    key_rows_release(&book->rows);
    key_book_news_end(book); /* they would look as if they were gone */
}

/* True when the store may be used again: then nothing is known to be wrong with it. */
static bool is_passing(const struct key_book *book, cc_err err)
{
    return is_shared(book) && error_is(err, ERROR_STORE);
}

static cc_err told(cc_err err)
{
    return error_is(err, ERROR_STORE)
               ? error_make(ERROR_KEY_STORE, error_detail(), __FILE__, __LINE__)
               : err;
}

static void note_away(struct key_book *book, cc_err err)
{
    const bool away = is_passing(book, err);
    if (atomic_exchange(&book->away, away) == away)
        return;
    if (away)
        log_error("the key store is away: its keys that are loaded go on, changes are refused",
                  KV_STR("store", book->shown), KV_ERR(err));
    else
        log_notice("the key store can be used again", KV_STR("store", book->shown));
}

/* --- rows ------------------------------------------------------------------------------------------------------- */

const struct sealed_row *key_book_find(const struct key_book *book, const struct eth_pubkey *pubkey)
{
    return key_rows_find(&book->rows, pubkey);
}

const struct sealed_row *key_book_rows(const struct key_book *book, size_t *ret_count)
{
    *ret_count = book->rows.count;
    return book->rows.rows;
}

/* A file that is not there is as good as one without rows; so is one without a byte, of a crash while it was made. */
CC_ERR key_book_open_store(const struct key_book_settings *s, struct key_store **ret_store)
{
    struct stat st;
    *ret_store = NULL;
    switch (s->kind) {
    case KEY_BOOK_POSTGRES:
        return key_store_postgres_open(s->path, s->chamber, ret_store);
    case KEY_BOOK_DYNAMODB:
        return key_store_dynamodb_open(s->aws, s->path, s->chamber, ret_store);
    case KEY_BOOK_SQLITE:
        break;
    }
    if ((lstat(s->path, &st) != 0 && errno == ENOENT) || (S_ISREG(st.st_mode) && st.st_size == 0))
        return CC_OK;
    return key_store_sqlite_open(s->path, s->production, ret_store);
}

static cc_err open_store(struct key_book *book)
{
    return book->store ? CC_OK : key_book_open_store(&book->settings, &book->store);
}

/* T2: a store that was begun keeps its id. */
static cc_err check_id(const struct key_book *book, const struct key_seen *seen)
{
    char hex[2 * KEY_STORE_ID_SIZE + 1] = {0};
    if (!is_shared(book) || !seen->there)
        return CC_OK;
    hex_encode(book->store->id, KEY_STORE_ID_SIZE, hex);
    return book->store->has_id && strcmp(seen->name + strlen(prefix_of(book)), hex) == 0
               ? CC_OK
               : CC_FAIL(TAMPERED, "it is not the key store that this chamber has used");
}

static cc_err look(struct key_book *book, bool fresh, struct key_seen *ret_seen)
{
    const bool was_there = book->seen.there;
    CC_TRY(key_record_look(&book->in, book->name, prefix_of(book), fresh, ret_seen));
    book->seen.coming = ret_seen->coming;
    publish(book);
    if (was_there && !ret_seen->there)
        return CC_FAIL(KEYS_MOVED, "the chamber has forgotten it");
    if (ret_seen->coming) /* it may be used when they are there */
        return is_shared(book) ? CC_FAIL(STORE, "keys are on their way to it: end `keys move`")
                               : CC_FAIL(KEYS_MOVED, "keys are on their way to it");
    if (!key_seen_left(ret_seen) ||
        (book->settings.to_move && ret_seen->record.mark == KEY_MARK_MOVING))
        return CC_OK;
    return ret_seen->record.mark == KEY_MARK_MOVED
               ? CC_FAIL(KEYS_MOVED, "its keys were moved to another store")
               : CC_FAIL(KEYS_MOVED, "its keys are being moved to another store");
}

static cc_err make_place(const struct key_book_settings *s)
{
    if (s->kind == KEY_BOOK_POSTGRES && s->may_make)
        return key_store_postgres_migrate(s->path, NULL);
    return s->kind == KEY_BOOK_DYNAMODB ? key_store_dynamodb_make(s->aws, s->path) : CC_OK;
}

/* Rows, and the record that they fit. A record changes before the store does: so rows that don't fit, under a record that stays the
 * same, were changed by another hand.
 */
static cc_err agree(struct key_book *book, struct key_rows *ret_rows, struct key_seen *ret_seen)
{
    struct key_seen before;
    CC_TRY(look(book, false, &before));
    if (!book->known && !before.there) /* so it holds nothing yet, wherever it is */
        CC_TRY(make_place(&book->settings));
    for (unsigned tries = 0; tries < TRIES; tries++) {
        struct key_rows rows;
        CC_TRY(open_store(book));
        CC_TRY(key_rows_read(book->store, &rows));
        cc_err err = check_id(book, &before);
        if (!err.code && key_seen_fits(&before, rows.digest)) {
            *ret_rows = rows;
            *ret_seen = before;
            return CC_OK;
        }
        key_rows_release(&rows);
        CC_TRY(err);
        CC_TRY(look(book, true, ret_seen));
        if (key_seen_equal(&before, ret_seen))
            return CC_FAIL(TAMPERED, "rows were deleted, replaced, added or rolled back");
        before = *ret_seen;
    }
    return CC_FAIL(STORE, "the key store changes faster than it can be read");
}

static cc_err add_news(struct key_book *book, const struct key_rows *after)
{
    CC_CLEANUP(cc_freep) struct eth_pubkey *keys = NULL;
    size_t count = 0;
    CC_TRY(key_rows_compare(&book->rows, after, &keys, &count));
    if (!count)
        return CC_OK;
    struct eth_pubkey *grown =
        cc_realloc_array(book->news, book->news_count + count, sizeof *grown);
    if (!grown)
        return CC_FAIL(NO_MEMORY, "changed rows of a key store");
    memcpy(grown + book->news_count, keys, count * sizeof *keys);
    book->news = grown;
    book->news_count += count;
    return CC_OK;
}

static void see(struct key_book *book, const struct key_seen *seen)
{
    if (!seen->record.has_next)
        book->mine = false;
    if (!seen->record.has_next)
        book->pending_ms = 0;
    else if (!book->pending_ms || !key_seen_equal(seen, &book->seen))
        book->pending_ms = clock_mono_ms();
    book->seen = *seen;
    publish(book);
    if (seen->there)
        set_name(book, seen->name);
}

uint64_t key_book_rest_ms(uint64_t took_ms)
{
    return u64_min(8 * u64_min(took_ms, KEY_BOOK_REST_MS), KEY_BOOK_REST_MS);
}

static cc_err read_again(struct key_book *book)
{
    struct key_rows rows = {0};
    struct key_seen seen;
    const uint64_t began_ms = clock_mono_ms();
    CC_TRY(agree(book, &rows, &seen));
    book->rest_until_ms = clock_mono_ms() + key_book_rest_ms(clock_mono_ms() - began_ms);
    cc_err err = add_news(book, &rows);
    if (err.code) {
        key_rows_release(&rows);
        return err;
    }
    key_rows_release(&book->rows);
    book->rows = rows;
    book->known = true;
    book->stale = false;
    see(book, &seen);
    return CC_OK;
}

/* What is wrong with the key store, and not with who was asked about it. */
static bool is_its_fault(cc_err err)
{
    return error_is(err, ERROR_TAMPERED) || error_is(err, ERROR_IDENTITY) ||
           error_is(err, ERROR_LIMIT) || error_is(err, ERROR_CONFIG) ||
           error_is(err, ERROR_KEYS_MOVED);
}

/* The rows are those that the state store knows of. */
static cc_err catch_up(struct key_book *book, bool fresh)
{
    struct key_seen seen;
    CC_TRY(key_book_fault(book));
    cc_err err = look(book, fresh, &seen);
    if (!err.code && !book->stale && book->known && key_seen_fits(&seen, book->rows.digest)) {
        see(book, &seen);
        return CC_OK;
    }
    const bool looked = !err.code;
    if (looked)
        err = read_again(book);
    if (looked || error_is(err, ERROR_STORE))
        note_away(book, err);
    if (is_its_fault(err))
        refuse(book, err);
    return told(err);
}

/* --- a start --------------------------------------------------------------------------------------------------- */

CC_ERR key_book_make(const struct key_book_settings *settings)
{
    return make_place(settings);
}

/* Whose fault ends a start: that of state store and vault. */
static bool ends_the_start(cc_err err)
{
    return error_is(err, ERROR_NO_MEMORY) || error_is(err, ERROR_STATE) ||
           error_is(err, ERROR_DOOR_CLOSED);
}

static cc_err drop_next(struct key_book *book)
{
    bool moved = false;
    struct key_book_record settled = {0};
    memcpy(settled.current, book->rows.digest, sizeof settled.current);
    CC_TRY(key_record_swap(&book->in, &settled, 0, &book->seen, &moved));
    book->stale |= moved;
    see(book, &book->seen);
    return CC_OK;
}

static cc_err start(struct key_book *book)
{
    cc_err err = look(book, false, &book->seen);
    if (!err.code)
        err = read_again(book);
    if (ends_the_start(err))
        return err;
    if (is_passing(book, err)) {
        note_away(book, err);
        return CC_OK;
    }
    if (err.code) {
        refuse(book, err);
        return CC_OK;
    }
    cc_free(book->news); /* whoever opens the book looks at all rows */
    book->news = NULL;
    book->news_count = 0;
    return is_shared(book) || !book->seen.record.has_next ? CC_OK : drop_next(book);
}

static cc_err show(struct key_book *book)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(SHOWN_MAX);
    if (book->settings.kind == KEY_BOOK_POSTGRES)
        CC_TRY(postgres_url_describe(book->path, &text));
    else
        CC_TRY(buf_printf(&text, "%s%s",
                          book->settings.kind == KEY_BOOK_DYNAMODB ? "DynamoDB table " : "",
                          book->path));
    (void)snprintf(book->shown, sizeof book->shown, "%.*s", (int)text.len, (const char *)text.data);
    return CC_OK;
}

static cc_err begin(struct key_book *book, const struct key_book_settings *settings)
{
    book->settings = *settings;
    book->path = cc_strdup(settings->path);
    if (!book->path)
        return CC_FAIL(NO_MEMORY, NULL);
    book->settings.path = book->path;
    CC_TRY(show(book));
    if (is_shared(book))
        return CC_OK;
    char name[STATE_NAME_SIZE];
    key_record_name(KEY_BOOK_SQLITE, settings->replica, name);
    set_name(book, name);
    return CC_OK;
}

CC_ERR key_book_open(const struct key_book_settings *settings,
                     struct state_store *state,
                     const struct state_signer *signer,
                     struct key_book **ret_book)
{
    struct key_book *book = cc_alloc(sizeof *book);
    if (!book)
        return CC_FAIL(NO_MEMORY, NULL);
    book->in = (struct key_record_path){.state = state, .signer = signer};
    cc_err err = begin(book, settings);
    if (!err.code)
        err = start(book);
    if (err.code) {
        key_book_close(book);
        return err;
    }
    *ret_book = book;
    return CC_OK;
}

void key_book_close(struct key_book *book)
{
    if (!book)
        return;
    key_store_close(book->store);
    key_rows_release(&book->rows);
    if (book->path)
        explicit_bzero(book->path, strlen(book->path)); /* a URL may hold a password */
    cc_free(book->path);
    cc_free(book->news);
    cc_free(book);
}

void key_book_attach(struct key_book *book, struct keeper *keeper)
{
    book->in = (struct key_record_path){.keeper = keeper};
}

/* --- a change --------------------------------------------------------------------------------------------------- */

static void pause_ms(long ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&pause, NULL);
}

/* One that another replica has begun, and may end yet. */
static cc_err wait_for_others(struct key_book *book)
{
    const struct key_seen seen = book->seen;
    const uint64_t until_ms = clock_mono_ms() + KEY_BOOK_PATIENCE_MS;
    while (is_shared(book) && seen.record.has_next && !book->mine &&
           key_seen_equal(&seen, &book->seen) && clock_mono_ms() < until_ms) {
        pause_ms(POLL_MS);
        CC_TRY(catch_up(book, true));
    }
    return CC_OK;
}

/* The change that the record names is made, or is made impossible: then the record says which. */
static cc_err settle(struct key_book *book)
{
    for (unsigned tries = 0; tries < CHANGE_TRIES; tries++) {
        book->stale |= is_shared(book) && book->seen.record.has_next; /* it may be made by now */
        CC_TRY(catch_up(book, book->stale));
        if (!book->seen.record.has_next)
            return CC_OK;
        const bool made = span_equal(span_of(book->rows.digest, KEY_STORE_DIGEST_SIZE),
                                     span_of(book->seen.record.next, KEY_STORE_DIGEST_SIZE));
        cc_err err = made || !book->store ? CC_OK : key_store_fence(book->store);
        book->stale |= err.code != 0;
        if (error_is(err, ERROR_CONFLICT))
            continue;
        if (err.code) {
            note_away(book, err);
            return told(err);
        }
        CC_TRY(drop_next(book));
    }
    return book->seen.record.has_next ? CC_FAIL(CONFLICT, "other replicas change the key store")
                                      : CC_OK;
}

CC_ERR key_book_settle(struct key_book *book)
{
    CC_TRY(catch_up(book, is_shared(book)));
    CC_TRY(wait_for_others(book));
    return settle(book);
}

/* The store is there, and has its name in the state store. */
static cc_err open_first(struct key_book *book)
{
    const struct key_book_settings *s = &book->settings;
    if (is_shared(book)) {
        CC_TRY(key_store_begin(book->store));
        if (book->name[0])
            return CC_OK;
        char name[STATE_NAME_SIZE];
        key_record_name(book->settings.kind, book->store->id, name);
        set_name(book, name);
        memcpy(book->seen.name, name, sizeof name);
        return CC_OK;
    }
    if (book->store)
        return CC_OK;
    CC_TRY(key_store_sqlite_create(s->path, s->production));
    log_notice("a key store was made", KV_STR("path", s->path));
    return key_store_sqlite_open(s->path, s->production, &book->store);
}

typedef cc_err write_fn(struct key_store *store, const struct key_change *changes, size_t n);

/* It may have come to its end all the same. */
static cc_err write_store(struct key_book *book,
                          write_fn *write,
                          const struct key_change *changes,
                          size_t n,
                          const struct key_rows *after)
{
    test_point_pass(TEST_POINT_KEYS_NAMED);
    cc_err err = write(book->store, changes, n);
    test_point_pass(TEST_POINT_KEYS_WRITTEN);
    if (!err.code)
        return CC_OK;
    struct key_rows there = {0};
    struct key_seen seen;
    book->stale = true;
    if (error_is(err, ERROR_CONFLICT) || agree(book, &there, &seen).code)
        return err;
    const bool made = span_equal(span_of(there.digest, KEY_STORE_DIGEST_SIZE),
                                 span_of(after->digest, KEY_STORE_DIGEST_SIZE));
    key_rows_release(&there);
    return made ? CC_OK : err;
}

/* Nothing is sealed in a tombstone. */
static uint32_t lowest_generation(const struct key_change *changes, size_t n)
{
    uint32_t lowest = 0;
    for (size_t i = 0; i < n; i++)
        if (changes[i].next.status != ROW_DELETED &&
            (!lowest || changes[i].next.generation < lowest))
            lowest = changes[i].next.generation;
    return lowest;
}

static cc_err
name_next(struct key_book *book, const struct key_rows *after, uint32_t generation, bool *ret_moved)
{
    struct key_book_record named = {.has_next = true};
    memcpy(named.current, book->rows.digest, sizeof named.current);
    memcpy(named.next, after->digest, sizeof named.next);
    book->mine = true;
    book->stale = true; /* until it is known how this ends */
    CC_TRY(key_record_swap(&book->in, &named, generation, &book->seen, ret_moved));
    book->mine = !*ret_moved;
    return CC_OK;
}

/* Takes over the rows when the change is made. CONFLICT: something else was faster, and nothing was changed. */
static cc_err try_change(struct key_book *book,
                         write_fn *write,
                         const struct key_change *changes,
                         size_t n,
                         struct key_rows *after)
{
    bool moved = false;
    CC_TRY(open_first(book));
    CC_TRY(key_rows_after(&book->rows, changes, n, after));
    CC_TRY(name_next(book, after, lowest_generation(changes, n), &moved));
    if (moved)
        return CC_FAIL(CONFLICT, "another replica was faster");
    CC_TRY(write_store(book, write, changes, n, after));
    key_rows_release(&book->rows);
    book->rows = *after;
    *after = (struct key_rows){0};
    book->stale = false;
    publish(book);
    return drop_next(book);
}

/* Whether the rows that the change was built on are still there. */
static bool still_fits(const struct key_book *book, const struct key_change *changes, size_t n)
{
    bool fits = true;
    for (size_t i = 0; i < n; i++) {
        const struct sealed_row *row = key_book_find(book, &changes[i].next.pubkey);
        fits &= (row ? row->version : 0) == changes[i].expected;
    }
    return fits;
}

static cc_err
change(struct key_book *book, write_fn *write, const struct key_change *changes, size_t n)
{
    cc_err err = CC_OK;
    for (unsigned tries = 0; tries < CHANGE_TRIES; tries++) {
        struct key_rows after = {0};
        CC_TRY(key_book_settle(book));
        if (!still_fits(book, changes, n))
            return CC_FAIL(CONFLICT, "another replica has changed the key");
        err = try_change(book, write, changes, n, &after);
        key_rows_release(&after);
        if (!error_is(err, ERROR_CONFLICT))
            break;
        book->stale = true;
    }
    if (!err.code)
        test_point_pass(TEST_POINT_KEYS_SETTLED);
    if (error_is(err, ERROR_STORE))
        note_away(book, err);
    return told(err);
}

CC_ERR key_book_put(struct key_book *book, const struct key_change *changes, size_t n)
{
    return change(book, key_store_put, changes, n);
}

CC_ERR key_book_set_status(struct key_book *book, const struct key_change *changes, size_t n)
{
    return change(book, key_store_set_status, changes, n);
}

CC_ERR key_book_delete(struct key_book *book, const struct key_change *changes, size_t n)
{
    return change(book, key_store_delete, changes, n);
}

CC_ERR key_book_copy(struct key_book *book, const struct key_change *changes, size_t n)
{
    return change(book, key_store_copy, changes, n);
}

/* --- what other replicas change --------------------------------------------------------------------------------- */

/* Nobody else changes the file, and a store that is refused is not read; but the chamber may have given either up while this replica could
 * not say that it lives.
 */
static cc_err follow_record(struct key_book *book)
{
    struct key_seen seen;
    const cc_err fault = key_book_fault(book);
    if (error_is(fault, ERROR_KEYS_MOVED))
        return fault;
    cc_err err = look(book, false, &seen);
    if (error_is(err, ERROR_KEYS_MOVED))
        refuse(book, err);
    return fault.code ? fault : err;
}

CC_ERR key_book_follow(struct key_book *book, bool fresh)
{
    if (!is_shared(book) || key_book_fault(book).code)
        return follow_record(book);
    book->resting = !fresh && book->known && clock_mono_ms() < book->rest_until_ms;
    if (book->resting)
        return CC_OK;
    CC_TRY(catch_up(book, fresh));
    if ((fresh || key_book_is_away(book)) && book->store) {
        cc_err err = key_store_reach(book->store);
        if (!err.code || error_is(err, ERROR_STORE))
            note_away(book, err);
    }
    if (!book->pending_ms ||
        (!book->mine && clock_mono_ms() - book->pending_ms < KEY_BOOK_PATIENCE_MS))
        return CC_OK;
    log_warn("a change of the key store was left half done: it is settled",
             KV_STR("store", book->shown));
    return settle(book);
}

bool key_book_is_restless(const struct key_book *book)
{
    return is_shared(book) && !atomic_load(&book->fault) &&
           (atomic_load(&book->away) || book->stale || !book->known || book->pending_ms ||
            book->resting);
}

const struct eth_pubkey *key_book_news(const struct key_book *book, size_t *ret_count)
{
    *ret_count = book->news_count;
    return book->news;
}

void key_book_news_end(struct key_book *book)
{
    cc_free(book->news);
    book->news = NULL;
    book->news_count = 0;
}
