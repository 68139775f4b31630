/* slash/index.h - the part of a history that is kept in memory.
 *
 * WHAT      Per key: its row, its low watermarks, the newest block and attestation; and the tail, the records
 *           that the store has appended but not yet sorted into its tables.
 * PROMISE   Everything that rules.c needs for the usual claim (later than all before) is here; for any other
 *           claim slash_key_covers_*() says no and the store must read.
 * THREADS   One thread.
 * OWNERSHIP The index owns all; pointers to keys die with the next slash_index_add().
 * ERRORS    NO_MEMORY, TAMPERED (the same key or row twice).
 * SECRETS   None.
 *
 * Tail records are numbered without gaps; those of one key are chained from the newest back. Folding goes key by key:
 * of the records below `fold_below` those of keys whose row is below `fold_row` are in the tables; the others of that
 * range follow, then the whole range is dropped. A chain ends at the first folded one.
 */
#ifndef SLASH_INDEX_H
#define SLASH_INDEX_H

#include "slash/backend.h"

struct slash_key {
    struct eth_pubkey pubkey;
    int64_t row;
    uint64_t newest_tail; /* 0: none */
    struct slash_watermark low;
    struct slash_block block; /* the newest of all; valid with has_block */
    struct slash_attestation attestation;
    bool enabled;
    bool has_block;
    bool has_attestation;
};

struct slash_tail_record {
    uint64_t older; /* number of the key's tail record before this one; 0: none */
    int64_t row;
    enum slash_claim_kind kind;
    union {
        struct slash_block block;
        struct slash_attestation attestation;
    };
};

struct slash_index {
    struct slash_key *keys; /* in order of row */
    size_t count;
    uint64_t first;      /* number of the oldest tail record, 1 at least */
    uint64_t next;       /* number of the next one: first == next when there is none */
    uint64_t fold_below; /* 0: nothing is half folded */
    int64_t fold_row;
    /* private */
    size_t room;
    uint32_t *table; /* open addressing: position + 1 in `keys` */
    size_t table_size;
    uint64_t seed;
    struct slash_tail_record *tail;
    size_t tail_start; /* where record `first` stands in `tail` */
    size_t tail_room;
};

void slash_index_init(struct slash_index *index);
void slash_index_release(struct slash_index *index);

struct slash_key *slash_index_find(const struct slash_index *index,
                                   const struct eth_pubkey *pubkey);
struct slash_key *slash_index_find_row(const struct slash_index *index, int64_t row);
/* Adds a key whose `row` is above all others; everything else of it is zero. */
CC_ERR slash_index_add(struct slash_index *index,
                       const struct eth_pubkey *pubkey,
                       int64_t row,
                       struct slash_key **ret_key);

/* Makes room for `n` more tail records, so that appending them can't fail. */
CC_ERR slash_index_reserve(struct slash_index *index, size_t n);
/* Appends a record; moves the key's newest record, and sets its low watermark when it had none. */
void slash_index_append_block(struct slash_index *index,
                              struct slash_key *key,
                              const struct slash_block *block);
void slash_index_append_attestation(struct slash_index *index,
                                    struct slash_key *key,
                                    const struct slash_attestation *attestation);
const struct slash_tail_record *slash_index_tail(const struct slash_index *index, uint64_t number);
/* Takes the next number for a record that is in the tables already; needs room as the others do. */
void slash_index_append_folded(struct slash_index *index, int64_t row);
/* True when record `number`, of the key at `row`, is in the tables. */
bool slash_index_is_folded(const struct slash_index *index, uint64_t number, int64_t row);
/* The newest of the key's tail records that is older than `number` (0: the newest of all); NULL when there is none.
 * *ret_number is for the next call.
 */
const struct slash_tail_record *slash_index_older(const struct slash_index *index,
                                                  const struct slash_key *key,
                                                  uint64_t number,
                                                  uint64_t *ret_number);
/* The store has now in its tables: of the records below `below`, those of keys whose row is below `row`. */
void slash_index_fold_keys(struct slash_index *index, uint64_t below, int64_t row);
/* Forgets the tail records below `first`: the store has them all in its tables. */
void slash_index_folded(struct slash_index *index, uint64_t first);

/* Makes a record the key's newest, if it is. */
void slash_key_saw_block(struct slash_key *key, const struct slash_block *block);
void slash_key_saw_attestation(struct slash_key *key, const struct slash_attestation *attestation);

/* True when a judge needs no record but the key's newest one. */
bool slash_key_covers_block(const struct slash_key *key, uint64_t slot);
bool slash_key_covers_attestation(const struct slash_key *key, uint64_t target);

#endif
