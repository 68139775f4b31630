#include "crypto/batch.h"

#include <string.h>

#include "base/alloc.h"
#include "base/span.h"

#include "crypto/batch_work.h"
#include "secret/arena.h"

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

/* Parts of the locked region begin at whole cache lines. */
static size_t lines(size_t size)
{
    return (size + 63) / 64 * 64;
}

static bool signs_different_roots(const struct batch_signer *signer)
{
    return batch_engines_different(&signer->engines, BATCH_MAX) != NULL;
}

static size_t locked_size(const struct batch_signer *signer)
{
    const size_t mades = signs_different_roots(signer) ? 2 : 1;
    return mades * lines(sizeof(struct batch_made)) + batch_engines_scratch(&signer->engines);
}

static CC_ERR lock_region(struct batch_work *work)
{
    CC_TRY(secret_map(locked_size(work->signer), &work->locked));
    uint8_t *at = work->locked;
    work->made = (void *)at;
    at += lines(sizeof(struct batch_made));
    if (signs_different_roots(work->signer)) {
        work->again = (void *)at;
        at += lines(sizeof(struct batch_made));
    }
    work->scratch = at;
    return CC_OK;
}

CC_ERR batch_work_new(struct batch_signer *signer, struct batch_work **ret_work)
{
    struct batch_work *work = cc_alloc(sizeof *work);
    if (!work)
        return CC_FAIL(NO_MEMORY, "a work of the batch signer");
    work->signer = signer;
    cc_err err = signer->engines.n ? lock_region(work) : CC_OK;
    if (err.code) {
        batch_work_free(work);
        return err;
    }
    *ret_work = work;
    return CC_OK;
}

void batch_work_free(struct batch_work *work)
{
    if (!work)
        return;
    if (work->locked)
        secret_unmap(work->locked, locked_size(work->signer));
    cc_free(work);
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

/* The group of the item's root; a new one's root is hashed. */
static uint16_t group_of(struct batch_work *work, uint16_t item)
{
    const uint8_t *root = work->items[item].root;
    size_t g = 0;
    while (g < work->n_groups &&
           !equal(work->items[work->groups[g].first].root, root, BLS_ROOT_SIZE))
        g++;
    if (g == work->n_groups) {
        struct batch_group *group = &work->groups[work->n_groups++];
        struct batch_cells *counts = &work->signer->counts;
        const bool hit = hash_cache_get(work->signer->hashes, root, &group->hash);
        batch_count(hit ? &counts->hash_hits : &counts->hash_misses, 1);
        group->first = item;
        group->last = BATCH_NOBODY;
    }
    return (uint16_t)g;
}

/* An earlier item with this one's key, by its slot, and root; BATCH_NOBODY when this is the first. */
static uint16_t find_twin(struct batch_work *work, uint16_t item)
{
    const struct bls_secret *slot = work->items[item].secret;
    size_t at = ((uintptr_t)slot / sizeof *slot + work->group[item]) % BATCH_PLACES;
    for (; work->place[at]; at = (at + 1) % BATCH_PLACES) {
        const uint16_t other = (uint16_t)(work->place[at] - 1);
        if (work->items[other].secret == slot && work->group[other] == work->group[item])
            return other;
    }
    work->place[at] = (uint16_t)(item + 1);
    return BATCH_NOBODY;
}

/* Puts the item at the end of its root's group, unless an earlier one will have its signature: several clients may ask
 * for one duty of one key.
 */
static void join_group(struct batch_work *work, uint16_t item)
{
    work->done[item] = false;
    work->next[item] = BATCH_NOBODY;
    work->group[item] = group_of(work, item);
    work->twin[item] = find_twin(work, item);
    if (work->twin[item] != BATCH_NOBODY)
        return;
    struct batch_group *group = &work->groups[work->group[item]];
    if (group->last != BATCH_NOBODY)
        work->next[group->last] = item;
    group->last = item;
}

/* Adds those of a group's keys that a fast engine may sign with and that wait for a signature. */
static void gather(struct batch_work *work, const struct batch_group *group)
{
    struct batch_made *made = work->made;
    for (uint16_t i = group->first; i != BATCH_NOBODY; i = work->next[i]) {
        if (work->done[i] ||
            atomic_load_explicit(work->items[i].keep_on_blst, memory_order_relaxed))
            continue;
        made->item[made->n] = i;
        work->made_hashes[made->n] = &group->hash;
        made->n++;
    }
}

void batch_sign_with_blst(struct batch_work *work, uint16_t item, const struct bls_hash *hash)
{
    bls_sign(work->items[item].secret, hash, work->items[item].ret_signature);
    work->done[item] = true;
    work->made_by[item] = BATCH_BLST;
    batch_count(&work->signer->counts.by_engine[BATCH_BLST], 1);
}

/* Each group that is large enough for an engine. */
static void sign_groups(struct batch_work *work)
{
    for (size_t g = 0; g < work->n_groups; g++) {
        work->made->n = 0;
        gather(work, &work->groups[g]);
        const struct batch_kernel *kernel =
            batch_engines_same(&work->signer->engines, work->made->n);
        if (kernel)
            batch_sign_same_root(work, kernel, &work->groups[g]);
    }
}

/* All that waits, when it is enough for an engine. */
static void sign_mixture(struct batch_work *work)
{
    work->made->n = 0;
    for (size_t g = 0; g < work->n_groups; g++)
        gather(work, &work->groups[g]);
    const struct batch_kernel *kernel =
        batch_engines_different(&work->signer->engines, work->made->n);
    if (kernel)
        batch_sign_different_roots(work, kernel);
}

/* Points that were refused are nobody's signature. */
static void sign_with_engines(struct batch_work *work)
{
    sign_groups(work);
    sign_mixture(work);
    wipe(work->made->points, sizeof work->made->points);
    if (work->again)
        wipe(work->again->points, sizeof work->again->points);
}

static void sign_the_rest(struct batch_work *work)
{
    for (size_t g = 0; g < work->n_groups; g++) {
        for (uint16_t i = work->groups[g].first; i != BATCH_NOBODY; i = work->next[i]) {
            if (!work->done[i])
                batch_sign_with_blst(work, i, &work->groups[g].hash);
        }
    }
}

static void copy_to_twins(struct batch_work *work, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (work->items[i].error || work->twin[i] == BATCH_NOBODY)
            continue;
        const uint16_t twin = work->twin[i];
        memcpy(work->items[i].ret_signature, work->items[twin].ret_signature, BLS_SIGNATURE_SIZE);
        batch_count(&work->signer->counts.by_engine[work->made_by[twin]], 1);
    }
}

CC_SENSITIVE void batch_sign(struct batch_work *work, struct batch_item *items, size_t n)
{
    cc_assert(n <= BATCH_MAX);
    work->items = items;
    work->n_groups = 0;
    memset(work->place, 0, sizeof work->place);
    for (size_t i = 0; i < n; i++) {
        if (admit(&items[i]))
            join_group(work, (uint16_t)i);
    }
    if (work->signer->engines.n)
        sign_with_engines(work);
    sign_the_rest(work);
    copy_to_twins(work, n);
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
