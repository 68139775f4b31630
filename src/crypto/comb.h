/* crypto/comb.h - one root, many keys, on any processor.
 *
 * WHAT      A table of multiples of the root's point, and signatures as sums of its entries: for each of a scalar's four
 *           parts 13 additions and no doubling. All keys walk through the windows together, so that a window's additions
 *           share one inversion (crypto/affine.h) and its row of the table stays close to the processor.
 * PROMISE   Constant time in the scalars: a row is read whole for each digit. Windows are taken from the lowest up, so
 *           that no scalar in 1..r-1 meets an exceptional addition: a partial sum is less than 0.52 * 2^(5j) times H, in
 *           size, when e * 2^(5j) times H is added to it, and the parts below Z^i add up to less than Z^i. What meets one all
 *           the same (a fault) is flagged.
 * THREADS   Any: all state is the caller's.
 * OWNERSHIP Borrows.
 * ERRORS    A flag per key, and that key's point is not to be used.
 * SECRETS   Splits, scratch and points that are not yet checked lie in locked memory. The scratch is wiped here, the splits
 *           by the caller.
 */
#ifndef CRYPTO_COMB_H
#define CRYPTO_COMB_H

#include "crypto/affine.h"
#include "crypto/scalar_split.h"

enum {
    COMB_KEYS = 64, /* that walk together */
    COMB_SUMS = COMB_KEYS * SPLIT_PARTS,
    COMB_BLINDS = SPLIT_DIGITS + SPLIT_PARTS /* no more inversions than this are in a walk */
};

/* entry[j][e - 1] is e * 2^(5j) times the root's point. */
struct comb_table {
    blst_p2_affine entry[SPLIT_DIGITS][SPLIT_LARGEST];
};

struct comb_scratch {
    struct affine_sum sums[COMB_SUMS];
    blst_p2_affine parts[COMB_SUMS];
    blst_fp blinds[COMB_BLINDS]; /* set by the caller before each walk: random, below 2^380 */
};

void comb_table_build(struct comb_table *ret_table,
                      const struct bls_hash *hash,
                      struct comb_scratch *scratch);

/* `n` is at most COMB_KEYS. A flag that isn't zero: the key's point is nonsense. */
void comb_sign(const struct comb_table *table,
               const struct scalar_split *splits,
               size_t n,
               struct comb_scratch *scratch,
               blst_p2_affine *ret_points,
               uint64_t *ret_flags);

#endif
