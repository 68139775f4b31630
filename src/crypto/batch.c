#include "crypto/batch.h"

#include <string.h>

#include "base/alloc.h"
#include "base/span.h"

#include "crypto/batch_check.h"
#include "crypto/batch_engines.h"
#include "crypto/batch_fault.h"
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
    struct batch_engines engines;
    struct counts counts;
};

/* Items of one root, as a list. */
struct group {
    uint16_t first;
    uint16_t last;
    struct bls_hash hash;
};

/* One batch under way. Lives in locked memory. */
struct batch_work {
    struct batch_signer *signer;
    struct batch_item *items;
    size_t n_groups;
    struct group groups[BATCH_MAX];
    uint16_t next[BATCH_MAX]; /* of each item: the next one of its group, or NOBODY */
    bool done[BATCH_MAX];     /* of each item: its signature is out */
    struct batch_made made;
    const struct bls_hash *made_hashes[BATCH_MAX]; /* of each point of `made`: its root's hash */
    const struct batch_kernel *prepared; /* the engine whose table is in the scratch; NULL: none */
    uint8_t prepared_root[BLS_ROOT_SIZE];
    _Alignas(64) uint8_t scratch[];
};

enum {
    NOBODY = UINT16_MAX
};

CC_ERR batch_signer_new(enum batch_engine wanted, struct batch_signer **ret_signer)
{
    struct batch_signer *signer = cc_alloc(sizeof *signer);
    if (!signer)
        return CC_FAIL(NO_MEMORY, "batch signer");
    cc_err err = hash_cache_new(&signer->hashes);
    if (!err.code)
        err = batch_engines_choose(wanted, &signer->engines);
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
    return signer->engines.n ? signer->engines.use[0]->engine : BATCH_BLST;
}

bool batch_signer_self_test_failed(const struct batch_signer *signer)
{
    return signer->engines.self_test_failed;
}

static size_t work_size(const struct batch_signer *signer)
{
    return sizeof(struct batch_work) + batch_engines_scratch(&signer->engines);
}

CC_ERR batch_work_new(struct batch_signer *signer, struct batch_work **ret_work)
{
    void *region = NULL;
    CC_TRY(secret_map(work_size(signer), &region));
    struct batch_work *work = region;
    work->signer = signer;
    *ret_work = work;
    return CC_OK;
}

void batch_work_free(struct batch_work *work)
{
    if (work)
        secret_unmap(work, work_size(work->signer));
}

static void count(_Atomic uint64_t *cell, uint64_t n)
{
    atomic_fetch_add_explicit(cell, n, memory_order_relaxed);
}

static bool equal(const uint8_t *a, const uint8_t *b, size_t len)
{
    return span_equal(span_of(a, len), span_of(b, len));
}

/* A claim that names another key than its slot holds touches nothing. */
static bool admit(struct batch_item *item)
{
    item->error =
        equal(item->slot_public, item->claim_public, BLS_PUBLIC_SIZE) ? 0 : ERROR_KEY_UNKNOWN;
    return item->error == 0;
}

/* Puts the item at the end of its root's group; a new group's root is hashed. */
static void join_group(struct batch_work *work, uint16_t item)
{
    const uint8_t *root = work->items[item].root;
    size_t g = 0;
    while (g < work->n_groups &&
           !equal(work->items[work->groups[g].first].root, root, BLS_ROOT_SIZE))
        g++;
    struct group *group = &work->groups[g];
    work->done[item] = false;
    work->next[item] = NOBODY;
    if (g < work->n_groups) {
        work->next[group->last] = item;
    } else {
        struct counts *counts = &work->signer->counts;
        const bool hit = hash_cache_get(work->signer->hashes, root, &group->hash);
        count(hit ? &counts->hash_hits : &counts->hash_misses, 1);
        group->first = item;
        work->n_groups++;
    }
    group->last = item;
}

/* Adds those of a group's keys that a fast engine may sign with and that wait for a signature. */
static void gather(struct batch_work *work, const struct group *group)
{
    struct batch_made *made = &work->made;
    for (uint16_t i = group->first; i != NOBODY; i = work->next[i]) {
        if (work->done[i] ||
            atomic_load_explicit(work->items[i].keep_on_blst, memory_order_relaxed))
            continue;
        made->item[made->n] = i;
        work->made_hashes[made->n] = &group->hash;
        made->n++;
    }
}

static void split(struct batch_work *work)
{
    struct batch_made *made = &work->made;
    uint16_t slots[BATCH_MAX];
    memcpy(slots, made->item, sizeof slots);
    batch_fault(BATCH_FAULT_SLOT, slots, made->n);
    for (size_t i = 0; i < made->n; i++)
        scalar_split(work->items[slots[i]].secret, &made->splits[i]);
    batch_fault(BATCH_FAULT_SPLITS, made->splits, made->n);
}

static void wipe_splits(struct batch_made *made)
{
    wipe(made->splits, made->n * sizeof made->splits[0]);
}

static void blame(struct batch_work *work, size_t i)
{
    atomic_store_explicit(work->items[work->made.item[i]].keep_on_blst, true, memory_order_relaxed);
}

/* Takes out the keys that met an exceptional case. */
static void drop_flagged(struct batch_work *work)
{
    struct batch_made *made = &work->made;
    size_t kept = 0;
    for (size_t i = 0; i < made->n; i++) {
        if (made->flags[i]) {
            blame(work, i);
            count(&work->signer->counts.flagged, 1);
            continue;
        }
        made->item[kept] = made->item[i];
        made->points[kept] = made->points[i];
        work->made_hashes[kept] = work->made_hashes[i];
        kept++;
    }
    made->n = kept;
}

/* Gives out what passed its check. */
static void release(struct batch_work *work, enum batch_engine engine)
{
    struct batch_made *made = &work->made;
    uint64_t released = 0;
    for (size_t i = 0; i < made->n; i++) {
        uint8_t *signature = work->items[made->item[i]].ret_signature;
        blst_p2_affine_compress(signature, &made->points[i]);
        batch_fault(BATCH_FAULT_OUTPUT, signature, BLS_SIGNATURE_SIZE);
        work->done[made->item[i]] = batch_check_output(signature, &made->points[i]);
        released += work->done[made->item[i]];
    }
    count(&work->signer->counts.by_engine[engine], released);
    if (released < made->n)
        count(&work->signer->counts.failed_checks, 1);
}

static void sign_with_blst(struct batch_work *work, uint16_t item, const struct bls_hash *hash)
{
    bls_sign(work->items[item].secret, hash, work->items[item].ret_signature);
    work->done[item] = true;
    count(&work->signer->counts.by_engine[BATCH_BLST], 1);
}

/* Signs again what didn't pass. A key whose own point was wrong is kept on blst; the others of its batch are not to blame,
 * and no key is when it was the hash that was wrong.
 */
static void sign_again(struct batch_work *work, bool blame_keys)
{
    struct batch_made *made = &work->made;
    count(&work->signer->counts.failed_checks, 1);
    for (size_t i = 0; i < made->n; i++) {
        sign_with_blst(work, made->item[i], work->made_hashes[i]);
        if (blame_keys &&
            !batch_check_output(work->items[made->item[i]].ret_signature, &made->points[i]))
            blame(work, i);
    }
}

static void
prepare(struct batch_work *work, const struct batch_kernel *kernel, const struct group *group)
{
    const uint8_t *root = work->items[group->first].root;
    if (work->prepared == kernel && equal(work->prepared_root, root, BLS_ROOT_SIZE))
        return;
    struct bls_hash hash = group->hash;
    batch_fault(BATCH_FAULT_HASH, &hash, 1);
    kernel->prepare(work->scratch, &hash);
    work->prepared = kernel;
    memcpy(work->prepared_root, root, BLS_ROOT_SIZE);
}

/* Signs a group with an engine, and checks it. What is not done afterwards is left to blst. */
static void
sign_same_root(struct batch_work *work, const struct batch_kernel *kernel, struct group *group)
{
    struct batch_made *made = &work->made;
    struct bls_hash fresh;
    prepare(work, kernel, group);
    split(work);
    cc_err err = kernel->sign_same(work->scratch, made->splits, made->n, made->points, made->flags);
    wipe_splits(made);
    if (err.code)
        return;
    batch_fault(BATCH_FAULT_POINTS, made->points, made->n);
    drop_flagged(work);
    bls_hash(work->items[group->first].root, &fresh);
    if (batch_check_same_root(kernel, work->scratch, work->items, made, &fresh)) {
        release(work, kernel->engine);
        return;
    }
    const bool hash_was_right = blst_p2_is_equal(hash_point(&group->hash), hash_point(&fresh));
    hash_cache_forget(work->signer->hashes, work->items[group->first].root);
    work->prepared = NULL;
    group->hash = fresh;
    sign_again(work, hash_was_right);
}

/* Each group that is large enough for an engine. */
static void sign_groups(struct batch_work *work)
{
    for (size_t g = 0; g < work->n_groups; g++) {
        work->made.n = 0;
        gather(work, &work->groups[g]);
        const struct batch_kernel *kernel =
            batch_engines_same(&work->signer->engines, work->made.n);
        if (kernel)
            sign_same_root(work, kernel, &work->groups[g]);
    }
}

static void sign_the_rest(struct batch_work *work)
{
    for (size_t g = 0; g < work->n_groups; g++) {
        for (uint16_t i = work->groups[g].first; i != NOBODY; i = work->next[i]) {
            if (!work->done[i])
                sign_with_blst(work, i, &work->groups[g].hash);
        }
    }
}

CC_SENSITIVE void batch_sign(struct batch_work *work, struct batch_item *items, size_t n)
{
    cc_assert(n <= BATCH_MAX);
    work->items = items;
    work->n_groups = 0;
    for (size_t i = 0; i < n; i++) {
        if (admit(&items[i]))
            join_group(work, (uint16_t)i);
    }
    sign_groups(work);
    sign_the_rest(work);
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
