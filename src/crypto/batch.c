#include "crypto/batch.h"

#include <string.h>

#include "base/alloc.h"
#include "base/span.h"

#include "crypto/hash_cache.h"
#include "secret/arena.h"

/* Cells of struct batch_counts, written by any thread. */
struct counts {
    _Atomic uint64_t by_engine[BATCH_ENGINE_END];
    _Atomic uint64_t hash_hits;
    _Atomic uint64_t hash_misses;
    _Atomic uint64_t flagged;
    _Atomic uint64_t failed_checks;
};

struct batch_signer {
    struct hash_cache *hashes;
    enum batch_engine engine;
    bool self_test_failed;
    struct counts counts;
};

/* One batch under way. Lives in locked memory. */
struct batch_work {
    struct batch_signer *signer;
    struct batch_item *items;
    size_t groups;
    uint16_t first[BATCH_MAX]; /* of each group: its first item */
    uint16_t next[BATCH_MAX];  /* of each item: the next one of its group, or NOBODY */
    uint16_t last[BATCH_MAX];  /* of each group: its last item */
};

enum {
    NOBODY = UINT16_MAX
};

CC_ERR batch_signer_new(enum batch_engine wanted, struct batch_signer **ret_signer)
{
    (void)wanted;
    struct batch_signer *signer = cc_alloc(sizeof *signer);
    if (!signer)
        return CC_FAIL(NO_MEMORY, "batch signer");
    signer->engine = BATCH_BLST;
    cc_err err = hash_cache_new(&signer->hashes);
    if (err.code) {
        batch_signer_free(signer);
        return err;
    }
    *ret_signer = signer;
    return CC_OK;
}

void batch_signer_free(struct batch_signer *signer)
{
    if (!signer)
        return;
    hash_cache_free(signer->hashes);
    cc_free(signer);
}

enum batch_engine batch_signer_engine(const struct batch_signer *signer)
{
    return signer->engine;
}

bool batch_signer_self_test_failed(const struct batch_signer *signer)
{
    return signer->self_test_failed;
}

CC_ERR batch_work_new(struct batch_signer *signer, struct batch_work **ret_work)
{
    void *region = NULL;
    CC_TRY(secret_map(sizeof(struct batch_work), &region));
    struct batch_work *work = region;
    work->signer = signer;
    *ret_work = work;
    return CC_OK;
}

void batch_work_free(struct batch_work *work)
{
    if (work)
        secret_unmap(work, sizeof *work);
}

static bool equal(const uint8_t *a, const uint8_t *b, size_t len)
{
    return span_equal(span_of(a, len), span_of(b, len));
}

/* Puts the item at the end of its root's group. */
static void join_group(struct batch_work *work, uint16_t item)
{
    const uint8_t *root = work->items[item].root;
    size_t g = 0;
    while (g < work->groups && !equal(work->items[work->first[g]].root, root, BLS_ROOT_SIZE))
        g++;
    if (g == work->groups) {
        work->groups++;
        work->first[g] = item;
    } else {
        work->next[work->last[g]] = item;
    }
    work->last[g] = item;
    work->next[item] = NOBODY;
}

/* A claim that names another key than its slot holds touches nothing. */
static bool admit(struct batch_item *item)
{
    item->error =
        equal(item->slot_public, item->claim_public, BLS_PUBLIC_SIZE) ? 0 : ERROR_KEY_UNKNOWN;
    return item->error == 0;
}

static void hash_of(struct batch_signer *signer, const uint8_t *root, struct bls_hash *ret_hash)
{
    const bool hit = hash_cache_get(signer->hashes, root, ret_hash);
    atomic_fetch_add_explicit(hit ? &signer->counts.hash_hits : &signer->counts.hash_misses, 1,
                              memory_order_relaxed);
}

static void count(struct batch_signer *signer, enum batch_engine engine, uint64_t n)
{
    atomic_fetch_add_explicit(&signer->counts.by_engine[engine], n, memory_order_relaxed);
}

static void sign_with_blst(struct batch_work *work, uint16_t first)
{
    struct bls_hash hash;
    uint64_t signatures = 0;
    hash_of(work->signer, work->items[first].root, &hash);
    for (uint16_t i = first; i != NOBODY; i = work->next[i], signatures++)
        bls_sign(work->items[i].secret, &hash, work->items[i].ret_signature);
    count(work->signer, BATCH_BLST, signatures);
}

void batch_sign(struct batch_work *work, struct batch_item *items, size_t n)
{
    cc_assert(n <= BATCH_MAX);
    work->items = items;
    work->groups = 0;
    for (size_t i = 0; i < n; i++) {
        if (admit(&items[i]))
            join_group(work, (uint16_t)i);
    }
    for (size_t g = 0; g < work->groups; g++)
        sign_with_blst(work, work->first[g]);
    wipe_stack();
}

static uint64_t load(const _Atomic uint64_t *cell)
{
    return atomic_load_explicit(cell, memory_order_relaxed);
}

void batch_signer_counts(const struct batch_signer *signer, struct batch_counts *ret_counts)
{
    for (size_t e = 0; e < BATCH_ENGINE_END; e++)
        ret_counts->by_engine[e] = load(&signer->counts.by_engine[e]);
    ret_counts->hash_hits = load(&signer->counts.hash_hits);
    ret_counts->hash_misses = load(&signer->counts.hash_misses);
    ret_counts->flagged = load(&signer->counts.flagged);
    ret_counts->failed_checks = load(&signer->counts.failed_checks);
}
