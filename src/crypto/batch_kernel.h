/* crypto/batch_kernel.h - what an engine for many signatures is to the batch signer.
 *
 * WHAT      Verbs that make points, and from which size on it pays to use them; the table of all engines.
 * PROMISE   Of an engine: constant time in the scalars; no key's result is spoilt by another's unnoticed; what is secret in
 *           its scratch is wiped before a verb returns. Its points are not trusted: crypto/batch_check.h.
 * THREADS   The verbs are pure but for the scratch: one thread at a time in each.
 * OWNERSHIP Borrows.
 * ERRORS    A verb that fails (SYSTEM: no random bytes) has made nothing. A flag that isn't zero: the key, or one that was
 *           signed together with it, met an exceptional case; its point is not to be used.
 * SECRETS   Splits and scratch lie in the locked memory of a work.
 */
#ifndef CRYPTO_BATCH_KERNEL_H
#define CRYPTO_BATCH_KERNEL_H

#include "crypto/batch.h"
#include "crypto/scalar_split.h"

struct batch_kernel {
    const char *name;
    enum batch_engine engine;
    /* From how many keys of one root on it is faster than blst, check included; 0: never. */
    size_t same_root_min;
    size_t different_roots_min; /* the same for keys of different roots */
    size_t scratch_size;        /* of zeroed memory, aligned to 64 bytes */
    bool (*supported)(void);
    /* Makes the scratch ready for sign_same() with the root that was hashed to `hash`. */
    void (*prepare)(void *scratch, const struct bls_hash *hash);
    /* Points of `n` keys, at most BATCH_MAX. */
    CC_ERR(*sign_same)
    (void *scratch,
     const struct scalar_split *splits,
     size_t n,
     blst_p2_affine *ret_points,
     uint64_t *ret_flags);
    /* The same, each with its own root's hash. Does not depend on prepare(), nor disturb it. */
    CC_ERR(*sign_different)
    (void *scratch,
     const struct scalar_split *splits,
     const struct bls_hash *const *hashes,
     size_t n,
     blst_p2_affine *ret_points,
     uint64_t *ret_flags);
    /* The sum of weight times point, over points of the curve. */
    void (*weighted_sum)(void *scratch,
                         const blst_p2_affine *points,
                         const uint64_t *weights,
                         size_t n,
                         blst_p2 *ret_sum);
};

/* All engines but blst, the fastest first; ends with NULL. */
extern const struct batch_kernel *const batch_kernels[];

extern const struct batch_kernel comb_kernel;
extern const struct batch_kernel lane_kernel;

#endif
