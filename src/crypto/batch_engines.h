/* crypto/batch_engines.h - which engines may be used here.
 *
 * WHAT      From the choice of signing.engine, the processor and a test of each engine, the engines that a signer uses.
 * PROMISE   An engine whose points aren't blst's in the test, or whose check lets a wrong point through, is left out.
 * THREADS   At the start.   OWNERSHIP Fills the caller's struct.
 * ERRORS    NO_MEMORY, MEMLOCK.
 * SECRETS   None: the test's keys are published.
 */
#ifndef CRYPTO_BATCH_ENGINES_H
#define CRYPTO_BATCH_ENGINES_H

#include "crypto/batch_kernel.h"

enum {
    BATCH_KERNELS_MAX = 4
};

struct batch_engines {
    size_t n;
    const struct batch_kernel *use[BATCH_KERNELS_MAX]; /* the fastest first */
    bool self_test_failed;
};

CC_ERR batch_engines_choose(enum batch_engine wanted, struct batch_engines *ret_engines);

/* The fastest engine that pays for `n` keys of one root; NULL: blst, or an engine that is fastest when these are part of a
 * mixture.
 */
const struct batch_kernel *batch_engines_same(const struct batch_engines *engines, size_t n);
/* The same for keys of different roots. */
const struct batch_kernel *batch_engines_different(const struct batch_engines *engines, size_t n);
/* The largest scratch of them. */
size_t batch_engines_scratch(const struct batch_engines *engines);

#endif
