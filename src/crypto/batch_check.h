/* crypto/batch_check.h - what a fast engine made is wrong until this says otherwise (threats T22, T23).
 *
 * WHAT      For keys of one root: every point lies on the curve, and the sum of r_i S_i equals (the sum of r_i sk_i) times
 *           H, with random weights r_i that are drawn when the points are there, and H hashed afresh. For an output: its
 *           bytes decode to the point that was checked.
 * PROMISE   One wrong point alone never passes; several do with probability 2^-63, or up to 1/12 where all their errors are
 *           of small order and chosen to cancel. README.md has the argument. Constant time in the secrets.
 * THREADS   Any: all state is the caller's.
 * OWNERSHIP Borrows.
 * ERRORS    False, also when there are no random bytes.
 * SECRETS   The weighted sum of the scalars: on the stack, wiped.
 */
#ifndef CRYPTO_BATCH_CHECK_H
#define CRYPTO_BATCH_CHECK_H

#include "crypto/batch_kernel.h"

/* What an engine made. Point i belongs to item[i]. */
struct batch_made {
    size_t n;
    uint16_t item[BATCH_MAX];
    struct scalar_split splits[BATCH_MAX];
    blst_p2_affine points[BATCH_MAX];
    uint64_t flags[BATCH_MAX];
    uint64_t weights[BATCH_MAX];
};

/* `fresh` is the root's hash, not from any cache. */
bool batch_check_same_root(const struct batch_kernel *kernel,
                           void *scratch,
                           const struct batch_item *items,
                           struct batch_made *made,
                           const struct bls_hash *fresh) CC_MUST_USE;

/* Is it a point of the curve, and not infinity? No addition formula notices when it is not. */
bool batch_check_on_curve(const blst_p2_affine *point) CC_MUST_USE;

/* Do the bytes decode to this point of the curve? */
bool batch_check_output(const uint8_t bytes[static BLS_SIGNATURE_SIZE], const blst_p2_affine *point)
    CC_MUST_USE;

#endif
