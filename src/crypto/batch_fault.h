/* crypto/batch_fault.h - where a test may damage what the batch signer has in hand.
 *
 * WHAT      One hook a stage, in builds with test switches (CC_TESTING); nothing at all in others.
 * PROMISE   A release has neither the hooks nor the function behind them.
 * THREADS   Each thread arms its own.
 * OWNERSHIP Borrows the data of the stage, for the call.   ERRORS None.
 * SECRETS   A test sees what a stage has: test keys alone.
 */
#ifndef CRYPTO_BATCH_FAULT_H
#define CRYPTO_BATCH_FAULT_H

#include <stddef.h>

enum batch_fault_stage {
    BATCH_FAULT_NONE,
    BATCH_FAULT_KEPT,    /* struct bls_hash: in the cache */
    BATCH_FAULT_HASH,    /* struct bls_hash: the cached one, before an engine gets it */
    BATCH_FAULT_TABLE,   /* the engine's table, n bytes, as it is used */
    BATCH_FAULT_SLOT,    /* uint16_t[n]: which items' secrets are split */
    BATCH_FAULT_SPLITS,  /* struct scalar_split[n] */
    BATCH_FAULT_INVERSE, /* n bytes: the inverse of a step's product */
    BATCH_FAULT_POINTS,  /* blst_p2_affine[n], as the engine made them */
    BATCH_FAULT_OUTPUT,  /* a signature's n bytes */
    BATCH_FAULT_END
};

#ifdef CC_TESTING
typedef void batch_fault_fn(void *data, size_t n);
/* From now on the stage's data go through `damage` in this thread; BATCH_FAULT_NONE ends it. */
void batch_fault_arm(enum batch_fault_stage stage, batch_fault_fn *damage);
void batch_fault(enum batch_fault_stage stage, void *data, size_t n);
#else
static inline void batch_fault(enum batch_fault_stage stage, void *data, size_t n)
{
    (void)stage;
    (void)data;
    (void)n;
}
#endif

#endif
