/* crypto/batch_work.h - a batch under way; the inside of the batch signer.
 *
 * WHAT      What batch.c (groups, blst) and batch_fast.c (the other engines) share.
 * PROMISE   None of its own.
 * THREADS   A signer: any. A work: its thread.   OWNERSHIP As in batch.h.
 * ERRORS    What batch_fast.c can't do, or what failed, it leaves undone: batch.c signs that with blst.
 * SECRETS   In the locked region of a work.
 */
#ifndef CRYPTO_BATCH_WORK_H
#define CRYPTO_BATCH_WORK_H

#include "crypto/batch_check.h"
#include "crypto/batch_engines.h"
#include "crypto/hash_cache.h"

/* Cells of struct batch_counts, written by any thread. */
struct batch_cells {
    _Atomic uint64_t by_engine[BATCH_ENGINE_END];
    _Atomic uint64_t hash_hits;
    _Atomic uint64_t hash_misses;
    _Atomic uint64_t flagged;
    _Atomic uint64_t failed_checks;
};

struct batch_signer {
    struct hash_cache *hashes;
    struct batch_engines engines;
    struct batch_cells counts;
};

enum {
    BATCH_NOBODY = UINT16_MAX,
    BATCH_PLACES = 2 * BATCH_MAX
};

/* Items of one root, as a list. */
struct batch_group {
    uint16_t first;
    uint16_t last;
    struct bls_hash hash;
};

/* One batch under way. What is secret lies in a locked region of its own, which a signer without an engine doesn't need. */
struct batch_work {
    struct batch_signer *signer;
    struct batch_item *items;
    size_t n_groups;
    struct batch_group groups[BATCH_MAX];
    uint16_t next[BATCH_MAX]; /* of each item: the next one of its group, or BATCH_NOBODY */
    /* Of each item: an earlier one with its key and root, or BATCH_NOBODY. */
    uint16_t twin[BATCH_MAX];
    uint16_t group[BATCH_MAX];
    uint16_t place[BATCH_PLACES]; /* hash table of keys: 1 + an item, 0: free */
    bool done[BATCH_MAX];         /* of each item: its signature is out */
    enum batch_engine made_by[BATCH_MAX];
    const struct bls_hash *made_hashes[BATCH_MAX]; /* of each point that is made: its root's hash */
    const struct batch_kernel *prepared; /* the engine whose table is in the scratch; NULL: none */
    uint8_t prepared_root[BLS_ROOT_SIZE];
    struct bls_hash prepared_hash; /* what the table was made of */
    void *locked;                  /* NULL without an engine; holds the three below */
    struct batch_made *made;
    struct batch_made *again; /* different roots: the second time; NULL when no engine signs them */
    void *scratch;            /* the engines', one at a time */
};

static inline void batch_count(_Atomic uint64_t *cell, uint64_t n)
{
    atomic_fetch_add_explicit(cell, n, memory_order_relaxed);
}

/* Signs one item with blst. */
void batch_sign_with_blst(struct batch_work *work, uint16_t item, const struct bls_hash *hash);

/* Signs the `made->n` items of a group that stand in `made->item`; sets the group's hash right when it was wrong. */
void batch_sign_same_root(struct batch_work *work,
                          const struct batch_kernel *kernel,
                          struct batch_group *group);
/* Signs the `made->n` items that stand in `made->item`, whose hashes stand in `made_hashes`. */
void batch_sign_different_roots(struct batch_work *work, const struct batch_kernel *kernel);

#endif
