/* crypto/batch.h - many signatures at once.
 *
 * WHAT      Signs a batch of (key, root) pairs: groups it by root, chooses per group the engine that is fastest at that
 *           size (its break-even points, batch_kernel.h), checks what a fast engine made, and re-signs with blst what failed.
 * PROMISE   Every signature given out is blst's, bit for bit: blst made it, or it passed the check of threats T22, T23.
 *           Constant time in the secrets: no branch and no address depends on one. No item's fault touches another item.
 * THREADS   A signer: any. A work: one thread at a time; made before the sandbox locks.
 * OWNERSHIP Borrows items and what they point at for the call. A work ends before its signer.
 * ERRORS    item.error alone: 0, or KEY_UNKNOWN (claim_public is not slot_public). Making: NO_MEMORY, MEMLOCK.
 * SECRETS   Works hold scalars' digits and partial sums while a batch runs: locked, wiped before return.
 */
#ifndef CRYPTO_BATCH_H
#define CRYPTO_BATCH_H

#include <stdatomic.h>
#include <stdbool.h>

#include "crypto/bls.h"

/* The choices of signing.engine, in its order. */
enum batch_engine {
    BATCH_BLST,
    BATCH_AUTO,
    BATCH_FIXED_BASE,
    BATCH_IFMA,
    BATCH_ENGINE_END
};

enum {
    BATCH_MAX = 256
};

struct batch_item {
    const struct bls_secret *secret; /* in the arena; the caller keeps it from being wiped */
    const uint8_t *root;             /* BLS_ROOT_SIZE */
    const uint8_t *slot_public;      /* BLS_PUBLIC_SIZE, of the key's slot */
    const uint8_t *claim_public;     /* BLS_PUBLIC_SIZE, of the request */
    /* Of the key; true: only blst signs with it. Set here when its signature by another engine was flagged or wrong. */
    atomic_bool *keep_on_blst;
    uint8_t *ret_signature; /* BLS_SIGNATURE_SIZE; untouched on an error */
    uint32_t error;         /* set here: an enum error_code */
};

struct batch_signer;
struct batch_work;

/* Detects the processor and tests each engine; one that fails is left out, and the caller logs what
 * batch_signer_engine() says. Never fails for lack of an engine: blst is always there.
 */
CC_ERR batch_signer_new(enum batch_engine wanted, struct batch_signer **ret_signer);
void batch_signer_free(struct batch_signer *signer);
/* The fastest engine in use: BATCH_BLST, BATCH_FIXED_BASE or BATCH_IFMA. */
enum batch_engine batch_signer_engine(const struct batch_signer *signer);
bool batch_signer_self_test_failed(const struct batch_signer *signer);

/* Locked memory below 1 MiB for the engines; none when there is only blst. */
CC_ERR batch_work_new(struct batch_signer *signer, struct batch_work **ret_work);
void batch_work_free(struct batch_work *work);

/* Signs `n` items, at most BATCH_MAX; sets the error of each. */
void batch_sign(struct batch_work *work, struct batch_item *items, size_t n);

struct batch_counts {
    uint64_t by_engine[BATCH_ENGINE_END]; /* signatures given out, by who made them */
    uint64_t hash_hits;
    uint64_t hash_misses;
    uint64_t flagged;       /* signatures that met an exceptional case, or shared lanes with one */
    uint64_t failed_checks; /* groups, and mixtures of roots, whose check did not hold */
};
void batch_signer_counts(const struct batch_signer *signer, struct batch_counts *ret_counts);

#endif
