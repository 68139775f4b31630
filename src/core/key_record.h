/* core/key_record.h - what the state store says of a key store.
 *
 * WHAT      The record `keys/<name>` as bytes, and the two things that are done with it: looking, and replacing one that is known.
 * PROMISE   A record is replaced only where it is the one that the change was built on. What is looked up fresh is what the state
 *           store holds now, not what was known of it.
 * THREADS   The jobs: as keeper_run() runs them, or the control thread's at a start. Encoding: any.
 * OWNERSHIP Borrows.
 * ERRORS    TAMPERED (another format), BUSY; those of state_commit() and keeper_run().
 * SECRETS   None: digests.
 *
 * Formats: docs/formats.md, "Record keys/...".
 */
#ifndef CORE_KEY_RECORD_H
#define CORE_KEY_RECORD_H

#include "core/keeper.h"
#include "keys/store.h"
#include "state/store.h"

#define KEY_RECORD_KIND "keys"

enum {
    KEY_BOOK_RECORD_SIZE = 4 + 1 + 2 * KEY_STORE_DIGEST_SIZE
};

enum key_book_kind {
    KEY_BOOK_SQLITE,
    KEY_BOOK_POSTGRES,
    KEY_BOOK_DYNAMODB
};
enum {
    KEY_BOOK_KINDS = KEY_BOOK_DYNAMODB + 1
};

/* What a record says beside its digests. */
enum key_mark {
    KEY_MARK_NONE,
    KEY_MARK_ASKED, /* whoever uses this store takes the mark away (core/key_order.h) */
    KEY_MARK_MOVING, /* its rows are on their way to another store, and nobody loads them (core/key_move.h) */
    KEY_MARK_MOVED /* they are there; what is left here counts for nothing */
};

struct key_book_record {
    bool has_next; /* then there is no mark but ASKED */
    enum key_mark mark;
    uint8_t current[KEY_STORE_DIGEST_SIZE];
    uint8_t next[KEY_STORE_DIGEST_SIZE]; /* zeros without has_next */
    char to[STATE_NAME_SIZE];            /* MOVING, MOVED: the other store's record; else "" */
};

/* "sqlite", as in the configuration and in the names of records. */
const char *key_book_kind_name(enum key_book_kind kind);
/* "<kind>-<id>"; the id of an SQLite store is its replica's. */
void key_record_name(enum key_book_kind kind,
                     const uint8_t id[static KEY_STORE_ID_SIZE],
                     char ret_name[static STATE_NAME_SIZE]);

void key_book_record_encode(const struct key_book_record *record,
                            uint8_t out[static KEY_BOOK_RECORD_SIZE]);
CC_ERR key_book_record_decode(struct span bytes, struct key_book_record *ret_record);

/* A record as it was seen. Of none: that the store has no row. */
struct key_seen {
    bool there;
    uint64_t
        version; /* of the record: the same bytes may come again, for another change; 0: there is none */
    char name[STATE_NAME_SIZE]; /* of the record; without one what was asked for, or "" */
    bool coming; /* there is none, and keys of another store are on their way to it */
    struct key_book_record record;
};

bool key_seen_equal(const struct key_seen *a, const struct key_seen *b);
/* The rows are on their way to another store, or there. */
bool key_seen_left(const struct key_seen *seen);
/* The rows with this digest are those of the record, or what they are about to become. */
bool key_seen_fits(const struct key_seen *seen, const uint8_t digest[static KEY_STORE_DIGEST_SIZE]);

/* How the state store is reached: by the keeper, or before there is one by its own thread. */
struct key_record_path {
    struct keeper *keeper;
    struct state_store *state;
    const struct state_signer *signer;
};

/* `name`: the record's; or `prefix`, and the first record that begins with it, one whose rows have been moved last. */
CC_ERR key_record_look(const struct key_record_path *in,
                       const char *name,
                       const char *prefix,
                       bool fresh,
                       struct key_seen *ret_seen);
/* Replaces the record that was seen, and what was seen of it. *ret_moved: it has changed since, and nothing was changed now.
 * `generation`: of the master key, the lowest that a row of what is named is sealed under; BUSY when the chamber's is newer, since nobody
 * would seal that row anew. 0: there is no such row.
 */
CC_ERR key_record_swap(const struct key_record_path *in,
                       const struct key_book_record *next,
                       uint32_t generation,
                       struct key_seen *seen,
                       bool *ret_moved);

/* --- all of them, in one state of the store -------------------------------------------------------------------------- */

typedef bool key_record_is_own(void *context, const char *name);

/* A key store that is not ours, and may have rows: the name of its record. Of two that are ours the second is not. */
bool key_record_find_other(const struct state_store *state,
                           key_record_is_own *is_own,
                           void *context,
                           char ret_name[static STATE_NAME_SIZE]);
/* Takes away the mark ASKED of each record that is ours: we live. *ret_any: there was one. */
CC_ERR key_record_answer(struct state_store *state,
                         const struct state_signer *signer,
                         key_record_is_own *is_own,
                         void *context,
                         bool *ret_any);
/* The record is the one that was seen, or there still is none. */
bool key_record_is(const struct state_store *state, const struct key_seen *seen);

#endif
