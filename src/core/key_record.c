#include "core/key_record.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"

#include "codec/hex.h"
#include "seal/record.h"

static const char record_kind[] = KEY_RECORD_KIND;

enum {
    RECORD_VERSION = 1,
    DIRECT_TRIES = 8,   /* while other replicas commit */
    PATIENCE_MS = 10000 /* with the keeper */
};

static bool same(const uint8_t a[static KEY_STORE_DIGEST_SIZE],
                 const uint8_t b[static KEY_STORE_DIGEST_SIZE])
{
    return span_equal(span_of(a, KEY_STORE_DIGEST_SIZE), span_of(b, KEY_STORE_DIGEST_SIZE));
}

/* --- names ------------------------------------------------------------------------------------------------- */

const char *key_book_kind_name(enum key_book_kind kind)
{
    static const char *const names[KEY_BOOK_KINDS] = {[KEY_BOOK_SQLITE] = "sqlite",
                                                      [KEY_BOOK_POSTGRES] = "postgres",
                                                      [KEY_BOOK_DYNAMODB] = "dynamodb"};
    cc_assert((unsigned)kind < KEY_BOOK_KINDS);
    return names[kind];
}

void key_record_name(enum key_book_kind kind,
                     const uint8_t id[static KEY_STORE_ID_SIZE],
                     char ret_name[static STATE_NAME_SIZE])
{
    memset(ret_name, 0, STATE_NAME_SIZE);
    const int n = snprintf(ret_name, STATE_NAME_SIZE, "%s-", key_book_kind_name(kind));
    hex_encode(id, KEY_STORE_ID_SIZE, ret_name + n);
}

/* --- bytes ------------------------------------------------------------------------------------------------- */

enum {
    ASKED_WITH_NEXT = 2 + KEY_MARK_MOVED, /* in the place of 1 + mark */
    PLACE_SIZE = 1 + KEY_STORE_ID_SIZE    /* kind + 1, id; the rest of `next` is zeros */
};

/* The other store, in the place of `next`. */
static void put_place(const char *name, uint8_t out[static KEY_STORE_DIGEST_SIZE])
{
    memset(out, 0, KEY_STORE_DIGEST_SIZE);
    for (unsigned kind = 0; kind < KEY_BOOK_KINDS; kind++) {
        const char *word = key_book_kind_name((enum key_book_kind)kind);
        const size_t len = strlen(word);
        if (strncmp(name, word, len) != 0 || name[len] != '-')
            continue;
        cc_err err = hex_decode(span_str(name + len + 1), out + 1, KEY_STORE_ID_SIZE);
        cc_assert(!err.code);
        out[0] = (uint8_t)(kind + 1);
    }
    cc_assert(out[0]);
}

static bool take_place(const uint8_t in[static KEY_STORE_DIGEST_SIZE],
                       char ret_name[static STATE_NAME_SIZE])
{
    static const uint8_t none[KEY_STORE_DIGEST_SIZE];
    if (in[0] < 1 || in[0] > KEY_BOOK_KINDS ||
        !span_equal(span_of(in + PLACE_SIZE, KEY_STORE_DIGEST_SIZE - PLACE_SIZE),
                    span_of(none, KEY_STORE_DIGEST_SIZE - PLACE_SIZE)))
        return false;
    key_record_name((enum key_book_kind)(in[0] - 1), in + 1, ret_name);
    return true;
}

void key_book_record_encode(const struct key_book_record *record,
                            uint8_t out[static KEY_BOOK_RECORD_SIZE])
{
    uint8_t *next = out + 5 + sizeof record->current;
    cc_assert(!record->has_next || record->mark <= KEY_MARK_ASKED);
    u32_store_be(out, RECORD_VERSION);
    out[4] = record->mark ? (uint8_t)(1 + record->mark) : record->has_next;
    if (record->mark && record->has_next)
        out[4] = ASKED_WITH_NEXT;
    memcpy(out + 5, record->current, sizeof record->current);
    memset(next, 0, sizeof record->next);
    if (record->has_next)
        memcpy(next, record->next, sizeof record->next);
    if (record->mark >= KEY_MARK_MOVING)
        put_place(record->to, next);
}

/* What stands in the last field is as the byte before says, and nothing else. */
static bool take_next(uint8_t what, const uint8_t *next, struct key_book_record *record)
{
    static const uint8_t none[KEY_STORE_DIGEST_SIZE];
    record->has_next = what == 1 || what == ASKED_WITH_NEXT;
    record->mark = what > 1 ? (enum key_mark)(what - 1) : KEY_MARK_NONE;
    if (what == ASKED_WITH_NEXT)
        record->mark = KEY_MARK_ASKED;
    if (record->mark >= KEY_MARK_MOVING)
        return take_place(next, record->to);
    memcpy(record->next, next, sizeof record->next);
    return record->has_next || same(record->next, none);
}

CC_ERR key_book_record_decode(struct span bytes, struct key_book_record *ret_record)
{
    struct key_book_record record = {0};
    uint8_t version[4];
    u32_store_be(version, RECORD_VERSION);
    if (bytes.len != KEY_BOOK_RECORD_SIZE ||
        !span_equal(span_of(bytes.data, 4), span_of(version, 4)) ||
        bytes.data[4] > ASKED_WITH_NEXT ||
        !take_next(bytes.data[4], bytes.data + 5 + sizeof record.current, &record))
        return CC_FAIL(TAMPERED, "the record of a key store has another format");
    memcpy(record.current, bytes.data + 5, sizeof record.current);
    *ret_record = record;
    return CC_OK;
}

/* --- what was seen ------------------------------------------------------------------------------------------- */

bool key_seen_equal(const struct key_seen *a, const struct key_seen *b)
{
    return a->there == b->there && a->version == b->version && strcmp(a->name, b->name) == 0 &&
           a->record.has_next == b->record.has_next && same(a->record.current, b->record.current) &&
           same(a->record.next, b->record.next) && a->coming == b->coming &&
           a->record.mark == b->record.mark && strcmp(a->record.to, b->record.to) == 0;
}

bool key_seen_left(const struct key_seen *seen)
{
    return seen->there && seen->record.mark >= KEY_MARK_MOVING;
}

bool key_seen_fits(const struct key_seen *seen, const uint8_t digest[static KEY_STORE_DIGEST_SIZE])
{
    return same(digest, seen->record.current) ||
           (seen->record.has_next && same(digest, seen->record.next));
}

/* --- jobs ------------------------------------------------------------------------------------------------------ */

static cc_err run(const struct key_record_path *in, keeper_job *job, void *context)
{
    if (in->keeper)
        return keeper_run(in->keeper, job, context, PATIENCE_MS);
    cc_err err = job(context, in->state, in->signer);
    for (unsigned again = 0; error_is(err, ERROR_CONFLICT) && again < DIRECT_TRIES; again++) {
        struct state_fault fault;
        bool changed;
        CC_TRY(state_refresh(in->state, &changed, &fault));
        err = job(context, in->state, in->signer);
    }
    return err;
}

struct looking {
    const char *name;
    const char *prefix;
    bool fresh;
    struct key_seen *seen;
};

static bool is_moved(const struct state_record *there)
{
    struct key_book_record record;
    return !key_book_record_decode(span_of(there->bytes, there->len), &record).code &&
           record.mark == KEY_MARK_MOVED;
}

static const struct state_record *find(const struct state_store *state, const struct looking *look)
{
    const struct state_record *at = NULL;
    const struct state_record *left = NULL;
    if (look->name[0])
        return state_find(state, record_kind, look->name);
    while ((at = state_next(state, record_kind, at ? at->name : NULL)) != NULL) {
        if (strncmp(at->name, look->prefix, strlen(look->prefix)) != 0)
            continue;
        if (!is_moved(at))
            return at;
        left = at;
    }
    return left;
}

/* Keys of another store are on their way to one whose name begins like that. */
static bool is_coming(const struct state_store *state, const char *name)
{
    const struct state_record *at = NULL;
    struct key_book_record record;
    while ((at = state_next(state, record_kind, at ? at->name : NULL)) != NULL)
        if (!key_book_record_decode(span_of(at->bytes, at->len), &record).code &&
            record.mark == KEY_MARK_MOVING && strncmp(record.to, name, strlen(name)) == 0)
            return true;
    return false;
}

/* After a CONFLICT the state store is read again: so that is what comes first, where it has to be fresh. */
static cc_err look_job(void *context, struct state_store *state, const struct state_signer *signer)
{
    struct looking *look = context;
    (void)signer;
    if (look->fresh) {
        look->fresh = false;
        return CC_FAIL(CONFLICT, "the state store is to be read again");
    }
    const struct state_record *there = find(state, look);
    *look->seen = (struct key_seen){.there = there != NULL, .version = there ? there->version : 0};
    const char *name = there ? there->name : look->name;
    memcpy(look->seen->name, name, strlen(name) + 1);
    if (there)
        return key_book_record_decode(span_of(there->bytes, there->len), &look->seen->record);
    look->seen->coming = is_coming(state, look->name[0] ? look->name : look->prefix);
    return key_store_digest(NULL, 0, look->seen->record.current);
}

CC_ERR key_record_look(const struct key_record_path *in,
                       const char *name,
                       const char *prefix,
                       bool fresh,
                       struct key_seen *ret_seen)
{
    struct looking look = {.name = name, .prefix = prefix, .fresh = fresh, .seen = ret_seen};
    cc_assert(strlen(name) < STATE_NAME_SIZE);
    return run(in, look_job, &look);
}

struct swap {
    const struct key_seen *seen;
    const struct key_book_record *next;
    uint32_t generation;
    bool moved;
    uint64_t version; /* then */
};

/* The record is the next one already: a commit of this process was not answered. */
static bool is_done(const struct swap *swap, const struct state_record *there, struct span next)
{
    return there && there->version == swap->seen->version + 1 &&
           span_equal(span_of(there->bytes, there->len), next);
}

/* In the same state of the store that the record is replaced in: so no row comes after the end of a rotation. */
static cc_err check_generation(const struct state_store *state, uint32_t generation)
{
    const struct state_record *there = state_find(state, SEAL_RECORD_KIND, SEAL_RECORD_CURRENT);
    if (!generation || !there)
        return CC_OK;
    CC_CLEANUP(cc_freep) struct seal_current *current = cc_alloc(sizeof *current);
    if (!current)
        return CC_FAIL(NO_MEMORY, NULL);
    CC_TRY(seal_current_decode(span_of(there->bytes, there->len), current));
    return current->set.generation > generation
               ? CC_FAIL(BUSY, "the master key was changed meanwhile: do it again")
               : CC_OK;
}

static cc_err swap_job(void *context, struct state_store *state, const struct state_signer *signer)
{
    struct swap *swap = context;
    uint8_t next[KEY_BOOK_RECORD_SIZE];
    const struct state_record *there = state_find(state, record_kind, swap->seen->name);
    key_book_record_encode(swap->next, next);
    swap->version = swap->seen->version + 1;
    swap->moved = false;
    if (is_done(swap, there, span_of(next, sizeof next)))
        return CC_OK;
    swap->moved = (there ? there->version : 0) != swap->seen->version;
    if (swap->moved)
        return CC_OK;
    if (!there && is_coming(state, swap->seen->name))
        return CC_FAIL(STORE, "keys of another store are on their way to this one");
    CC_TRY(check_generation(state, swap->generation));
    const struct state_change change = {.kind = record_kind,
                                        .name = swap->seen->name,
                                        .expected_version = swap->seen->version,
                                        .bytes = span_of(next, sizeof next)};
    return state_commit(state, &change, 1, signer);
}

CC_ERR key_record_swap(const struct key_record_path *in,
                       const struct key_book_record *next,
                       uint32_t generation,
                       struct key_seen *seen,
                       bool *ret_moved)
{
    struct swap swap = {.seen = seen, .next = next, .generation = generation};
    cc_assert(seen->name[0]);
    CC_TRY(run(in, swap_job, &swap));
    *ret_moved = swap.moved;
    if (!swap.moved) {
        seen->there = true;
        seen->coming = false;
        seen->version = swap.version;
        seen->record = *next;
    }
    return CC_OK;
}

/* --- all of them ------------------------------------------------------------------------------------------------ */

static bool may_have_rows(const struct state_record *there)
{
    struct key_book_record record;
    uint8_t empty[KEY_STORE_DIGEST_SIZE];
    if (is_moved(there))
        return false;
    return key_book_record_decode(span_of(there->bytes, there->len), &record).code ||
           record.has_next || key_store_digest(NULL, 0, empty).code || !same(record.current, empty);
}

bool key_record_find_other(const struct state_store *state,
                           key_record_is_own *is_own,
                           void *context,
                           char ret_name[static STATE_NAME_SIZE])
{
    const struct state_record *there = NULL;
    bool own = false;
    while ((there = state_next(state, record_kind, there ? there->name : NULL)) != NULL) {
        if (!own && is_own(context, there->name)) {
            own = true;
        } else if (may_have_rows(there)) {
            memcpy(ret_name, there->name, strlen(there->name) + 1);
            return true;
        }
    }
    return false;
}

CC_ERR key_record_answer(struct state_store *state,
                         const struct state_signer *signer,
                         key_record_is_own *is_own,
                         void *context,
                         bool *ret_any)
{
    const struct state_record *there = NULL;
    *ret_any = false;
    while ((there = state_next(state, record_kind, there ? there->name : NULL)) != NULL) {
        struct key_book_record record;
        uint8_t bytes[KEY_BOOK_RECORD_SIZE];
        if (!is_own(context, there->name) ||
            key_book_record_decode(span_of(there->bytes, there->len), &record).code ||
            record.mark != KEY_MARK_ASKED)
            continue;
        record.mark = KEY_MARK_NONE;
        key_book_record_encode(&record, bytes);
        const struct state_change change = {.kind = record_kind,
                                            .name = there->name,
                                            .expected_version = there->version,
                                            .bytes = span_of(bytes, sizeof bytes)};
        *ret_any = true;
        return state_commit(state, &change, 1, signer);
    }
    return CC_OK;
}

bool key_record_is(const struct state_store *state, const struct key_seen *seen)
{
    const struct state_record *there =
        seen->name[0] ? state_find(state, record_kind, seen->name) : NULL;
    return (there ? there->version : 0) == seen->version;
}
