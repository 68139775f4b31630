#include <string.h>

#include "base/span.h"

#include "crypto/batch_fault.h"
#include "crypto/batch_work.h"
#include "crypto/random.h"

/* Nobody can tell beforehand which lane a key will be in, nor beside whom: chosen keys, or a fault in one place, meet at
 * random. Without random bytes the order stays; the check will miss them too.
 */
static void shuffle(struct batch_work *work)
{
    struct batch_made *made = work->made;
    uint16_t draws[BATCH_MAX];
    if (random_bytes(draws, made->n * sizeof draws[0]).code)
        return;
    for (size_t i = made->n; i-- > 1;) {
        const size_t j = draws[i] % (i + 1);
        const uint16_t item = made->item[i];
        const struct bls_hash *hash = work->made_hashes[i];
        made->item[i] = made->item[j];
        work->made_hashes[i] = work->made_hashes[j];
        made->item[j] = item;
        work->made_hashes[j] = hash;
    }
}

/* r - k */
CC_SENSITIVE static void opposite_of(const struct bls_secret *secret,
                                     struct bls_secret *ret_opposite)
{
    blst_fr scalar;
    blst_fr_from_scalar(&scalar, secret_scalar(secret));
    blst_fr_cneg(&scalar, &scalar, true);
    blst_scalar_from_fr((blst_scalar *)(void *)ret_opposite, &scalar);
    wipe(&scalar, sizeof scalar);
}

/* Splits the keys of `made`, or what is opposite to them. */
static void split(const struct batch_work *work, struct batch_made *made, bool opposite)
{
    uint16_t slots[BATCH_MAX];
    memcpy(slots, made->item, sizeof slots);
    batch_fault(BATCH_FAULT_SLOT, slots, made->n);
    for (size_t i = 0; i < made->n; i++) {
        CC_CLEANUP(bls_secret_wipep) struct bls_secret secret = *work->items[slots[i]].secret;
        if (opposite)
            opposite_of(&secret, &secret);
        scalar_split(&secret, &made->splits[i]);
    }
    batch_fault(BATCH_FAULT_SPLITS, made->splits, made->n);
}

static void wipe_splits(struct batch_made *made)
{
    wipe(made->splits, made->n * sizeof made->splits[0]);
}

/* What an engine made goes out, or is compared with what goes out: it may be known. */
static void open_made(struct batch_made *made)
{
    CT_DECLASSIFY(made->points, made->n * sizeof made->points[0]);
    CT_DECLASSIFY(made->flags, made->n * sizeof made->flags[0]);
}

static void blame(struct batch_work *work, size_t i)
{
    atomic_store_explicit(work->items[work->made->item[i]].keep_on_blst, true,
                          memory_order_relaxed);
}

/* An engine may have one flag for all keys of a step. Who is to blame meets the same again alone. */
static bool is_flagged_alone(struct batch_work *work,
                             const struct batch_kernel *kernel,
                             bool same_root,
                             size_t i)
{
    struct batch_made *made = work->made;
    struct scalar_split *split = &made->splits[i];
    blst_p2_affine *point = &made->points[i];
    uint64_t flag = 0;
    scalar_split(work->items[made->item[i]].secret, split);
    cc_err err = same_root ? kernel->sign_same(work->scratch, split, 1, point, &flag)
                           : kernel->sign_different(work->scratch, split, &work->made_hashes[i], 1,
                                                    point, &flag);
    wipe(split, sizeof *split);
    CT_DECLASSIFY(&flag, sizeof flag);
    return err.code || flag;
}

/* Takes out the keys that met an exceptional case. A table that brought it about is made again first. */
static void drop_flagged(struct batch_work *work, const struct batch_kernel *kernel)
{
    struct batch_made *made = work->made;
    size_t kept = 0;
    for (size_t i = 0; i < made->n; i++) {
        if (made->flags[i]) {
            if (kept == i)
                kernel->prepare(work->scratch, &work->prepared_hash);
            if (is_flagged_alone(work, kernel, true, i))
                blame(work, i);
            batch_count(&work->signer->counts.flagged, 1);
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
    struct batch_made *made = work->made;
    uint64_t released = 0;
    for (size_t i = 0; i < made->n; i++) {
        uint8_t *signature = work->items[made->item[i]].ret_signature;
        blst_p2_affine_compress(signature, &made->points[i]);
        batch_fault(BATCH_FAULT_OUTPUT, signature, BLS_SIGNATURE_SIZE);
        work->done[made->item[i]] = batch_check_output(signature, &made->points[i]);
        work->made_by[made->item[i]] = engine;
        released += work->done[made->item[i]];
    }
    batch_count(&work->signer->counts.by_engine[engine], released);
    if (released < made->n)
        batch_count(&work->signer->counts.failed_checks, 1);
}

/* Signs again what didn't pass. A key whose own point was wrong is kept on blst; the others of its batch are not to blame,
 * and no key is when it was the hash that was wrong.
 */
static void sign_again(struct batch_work *work, bool blame_keys)
{
    struct batch_made *made = work->made;
    batch_count(&work->signer->counts.failed_checks, 1);
    for (size_t i = 0; i < made->n; i++) {
        batch_sign_with_blst(work, made->item[i], work->made_hashes[i]);
        if (blame_keys &&
            !batch_check_output(work->items[made->item[i]].ret_signature, &made->points[i]))
            blame(work, i);
    }
}

static void
prepare(struct batch_work *work, const struct batch_kernel *kernel, const struct batch_group *group)
{
    const uint8_t *root = work->items[group->first].root;
    if (work->prepared == kernel &&
        span_equal(span_of(work->prepared_root, BLS_ROOT_SIZE), span_of(root, BLS_ROOT_SIZE)))
        return;
    work->prepared_hash = group->hash;
    batch_fault(BATCH_FAULT_HASH, &work->prepared_hash, 1);
    kernel->prepare(work->scratch, &work->prepared_hash);
    work->prepared = kernel;
    memcpy(work->prepared_root, root, BLS_ROOT_SIZE);
}

/* Signs a group with an engine, and checks it. What is not done afterwards is left to blst. */
void batch_sign_same_root(struct batch_work *work,
                          const struct batch_kernel *kernel,
                          struct batch_group *group)
{
    struct batch_made *made = work->made;
    const uint8_t *root = work->items[group->first].root;
    struct bls_hash fresh;
    prepare(work, kernel, group);
    shuffle(work);
    split(work, made, false);
    cc_err err = kernel->sign_same(work->scratch, made->splits, made->n, made->points, made->flags);
    wipe_splits(made);
    if (err.code)
        return;
    open_made(made);
    batch_fault(BATCH_FAULT_POINTS, made->points, made->n);
    drop_flagged(work, kernel);
    bls_hash(root, &fresh);
    /* A wrong hash that differs by a point of small order might get past the sum. */
    const bool hash_is_right =
        blst_p2_is_equal(hash_point(&work->prepared_hash), hash_point(&fresh));
    if (hash_is_right && batch_check_same_root(kernel, work->scratch, work->items, made, &fresh)) {
        release(work, kernel->engine);
        return;
    }
    hash_cache_forget(work->signer->hashes, root);
    work->prepared = NULL;
    group->hash = fresh;
    sign_again(work, hash_is_right);
}

/* The second time: each key in the place of its neighbour, and r - k instead of k. A lane or a digit that is wrong every
 * time is asked something else then.
 */
static CC_ERR sign_again_otherwise(struct batch_work *work, const struct batch_kernel *kernel)
{
    const struct batch_made *made = work->made;
    struct batch_made *again = work->again;
    const struct bls_hash *hashes[BATCH_MAX];
    again->n = made->n;
    for (size_t i = 0; i < made->n; i++) {
        again->item[i] = made->item[(i + 1) % made->n];
        hashes[i] = work->made_hashes[(i + 1) % made->n];
    }
    split(work, again, true);
    cc_err err = kernel->sign_different(work->scratch, again->splits, hashes, again->n,
                                        again->points, again->flags);
    wipe_splits(again);
    return err;
}

static bool are_opposite(const blst_p2_affine *a, const blst_p2_affine *b)
{
    blst_p2_affine negated = *b;
    blst_fp2_cneg(&negated.y, &negated.y, true);
    return blst_p2_affine_is_equal(a, &negated);
}

/* Leaves in `made` what came out the same both times and lies on the curve. */
static void keep_what_agrees(struct batch_work *work, const struct batch_kernel *kernel)
{
    struct batch_made *made = work->made;
    size_t kept = 0;
    bool differ = false;
    for (size_t i = 0; i < made->n; i++) {
        const size_t other = (i + made->n - 1) % made->n;
        const bool flagged = made->flags[i] | work->again->flags[other];
        if (!flagged && are_opposite(&made->points[i], &work->again->points[other]) &&
            batch_check_on_curve(&made->points[i])) {
            made->item[kept] = made->item[i];
            made->points[kept++] = made->points[i];
            continue;
        }
        if (flagged)
            batch_count(&work->signer->counts.flagged, 1);
        differ |= !flagged;
        if (!flagged || is_flagged_alone(work, kernel, false, i))
            blame(work, i);
    }
    made->n = kept;
    if (differ)
        batch_count(&work->signer->counts.failed_checks, 1);
}

/* Signs keys of different roots with an engine, twice. What is not done afterwards is left to blst. */
void batch_sign_different_roots(struct batch_work *work, const struct batch_kernel *kernel)
{
    struct batch_made *made = work->made;
    if (work->prepared != kernel)
        work->prepared = NULL; /* the scratch changes hands */
    shuffle(work);
    split(work, made, false);
    cc_err err = kernel->sign_different(work->scratch, made->splits, work->made_hashes, made->n,
                                        made->points, made->flags);
    wipe_splits(made);
    if (err.code || sign_again_otherwise(work, kernel).code)
        return;
    open_made(made);
    open_made(work->again);
    batch_fault(BATCH_FAULT_POINTS, made->points, made->n);
    keep_what_agrees(work, kernel);
    release(work, kernel->engine);
}
