/* core/key_book.h - a sealed key store, bound to the chamber's state store.
 *
 * WHAT      The rows of a key store (keys/store.h) in memory, and the order in which they change: the state store names the digest of
 *           what will be, the key store changes, the state store takes the new digest for the present one. A shared store changes
 *           under the hands of several replicas; the book follows.
 * PROMISE   The rows are what the state store says that the key store holds, or was about to become: a row that is missing, added,
 *           replaced or of an older version makes the whole store refused (T3), at a start so that none of its keys is loaded. The rest
 *           of the signer goes on. A store is made with its first key, and never in the place of one that is gone. A step that
 *           another replica has left half done is finished, or made impossible, before anything is built on it.
 *           A shared store that is away changes nothing of what is known. One that the chamber has moved from or forgotten while it was
 *           used is refused with KEYS_MOVED: whoever has its keys gives them up.
 * THREADS   open: the control thread, before there are others. Then one thread, that of core/key_jobs.h; key_book_fault(): any.
 * OWNERSHIP key_book_close() frees, and closes the store. Rows are borrowed until the next call that changes or follows. The keeper is
 *           borrowed.
 * ERRORS    TAMPERED and what else makes the store refused (key_book_fault()); KEY_STORE (it can't be used now), CONFLICT (another
 *           replica was faster), those of keys/store.h and of keeper_run().
 * SECRETS   Sealed rows.
 *
 * Formats: docs/formats.md, "Key store", "Record keys/...".
 */
#ifndef CORE_KEY_BOOK_H
#define CORE_KEY_BOOK_H

#include "aws/session.h"
#include "core/key_record.h"
#include "slash/store.h"

struct key_book;

struct key_book_settings {
    enum key_book_kind kind;
    const char *path; /* of an SQLite store, URL of a database, name of a table; kept as a copy */
    bool production;
    const uint8_t *replica;  /* SLASH_REPLICA_SIZE bytes: whose SQLite store it is */
    const uint8_t *chamber;  /* KEY_STORE_CHAMBER_SIZE bytes: whose shared store it is */
    struct aws_session *aws; /* of a table; borrowed */
    bool may_make;           /* tables of a database, where there are none */
    bool to_move;            /* rows that are on their way to another store are read all the same */
};

/* An error is one of state store or vault, and ends the start; what is wrong with the key store is its fault alone. */
CC_ERR key_book_open(const struct key_book_settings *settings,
                     struct state_store *state,
                     const struct state_signer *signer,
                     struct key_book **ret_book);
void key_book_close(struct key_book *book); /* takes NULL */
/* From here on the state store is the keeper's. */
void key_book_attach(struct key_book *book, struct keeper *keeper);

/* Makes the tables of a shared store where they are missing and may be made. */
CC_ERR key_book_make(const struct key_book_settings *settings);
/* The bare store, where it is; nothing is compared. NULL: a file that is not there, or has not a byte. */
CC_ERR key_book_open_store(const struct key_book_settings *settings, struct key_store **ret_store);

enum key_book_kind key_book_kind(const struct key_book *book);
/* Why the store is refused; CC_OK: it is not. */
cc_err key_book_fault(const struct key_book *book);
/* The store could not be used when it was tried last. */
bool key_book_is_away(const struct key_book *book);
/* Why keys of it may not be known: its fault, or KEY_STORE where it never could be read. */
cc_err key_book_lacks(const struct key_book *book);
/* The state record that the rows fit. */
const struct key_seen *key_book_seen(const struct key_book *book);
/* A record `keys/<name>` of this book's, as far as its name tells; any thread. Of a shared store that has its name, that one alone. */
bool key_book_is_named(const struct key_book *book, const char *name);
/* It has rows, or it can't be said that it has none: it is refused, away, or was never read. */
bool key_book_may_have_rows(const struct key_book *book);
/* In order of public key, tombstones too; none of a store that is refused. */
const struct sealed_row *key_book_rows(const struct key_book *book, size_t *ret_count);
/* NULL when there is none. */
const struct sealed_row *key_book_find(const struct key_book *book,
                                       const struct eth_pubkey *pubkey);

/* Durable, and settled with the state store, when they return CC_OK. On an error the rows are what the store holds, where that could
 * be found out.
 */
CC_ERR key_book_put(struct key_book *book, const struct key_change *changes, size_t n);
CC_ERR key_book_set_status(struct key_book *book, const struct key_change *changes, size_t n);
CC_ERR key_book_delete(struct key_book *book, const struct key_change *changes, size_t n);
/* Rows and tombstones of another store of the chamber (core/key_move.h). */
CC_ERR key_book_copy(struct key_book *book, const struct key_change *changes, size_t n);
/* Finishes what an earlier error has left open. */
CC_ERR key_book_settle(struct key_book *book);

/* --- what other replicas change -------------------------------------------------------------------------------- */

/* Reads the store again where the state store says that it has changed, or where it was away, and the last reading is some times its own
 * length ago; `fresh`: in any case, after a look at the state store itself, and at whether the key store can be used. Settles what a replica has left half done for KEY_BOOK_PATIENCE_MS.
 */
CC_ERR key_book_follow(struct key_book *book, bool fresh);
/* There is something to follow though nobody will tell of it: the store is away, or a change half done. */
bool key_book_is_restless(const struct key_book *book);
/* Keys whose rows have come, gone or changed their status since the last key_book_news_end(), each once or more; not by changes of
 * this book.
 */
const struct eth_pubkey *key_book_news(const struct key_book *book, size_t *ret_count);
void key_book_news_end(struct key_book *book);

enum {
    KEY_BOOK_PATIENCE_MS = 3000, /* with a change of another replica */
    KEY_BOOK_REST_MS = 10000     /* at most, between two readings of a large store */
};
/* How long another replica's changes are let be after a reading that took so long: they may come without end, each a reading of all rows. */
uint64_t key_book_rest_ms(uint64_t took_ms);

#endif
