/* crypto/lane.h - signatures eight at a time, on processors with AVX-512 IFMA.
 *
 * WHAT      Kernels over the lane type: one root and many keys by a table of the root's multiples; each key with a root of
 *           its own; weighted sums of points, for the check.
 * PROMISE   Constant time in the scalars: no branch and no address depends on one (tests/ctime/ and
 *           tools/check-lane-object hold source and object to it). A lane never touches another lane's result, but an
 *           exceptional addition, which takes a fault, raises one flag for all that were signed together.
 * THREADS   Any: all state is the caller's.
 * OWNERSHIP Borrows.
 * ERRORS    A flag that isn't zero: none of the points is to be used.
 * SECRETS   Parts of scalars and partial sums: in the scratch, which the caller keeps in locked memory; scratch, stack
 *           and vector registers are wiped before return.
 */
#ifndef CRYPTO_LANE_H
#define CRYPTO_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/scalar_split.h"

enum {
    LANE_KEYS = 64, /* that are signed together, at most */
    LANE_SUM_MAX = 256,
    LANE_BLINDS = 16, /* random numbers of Fp for a call, of which each hides one inversion */
    LANE_ALIGN = 64,  /* of tables and scratch, in bytes */
    LANE_TABLE_SIZE = 90112,
    LANE_SCRATCH_SIZE = 700000 / 64 * 64
};

struct lane_table;
struct lane_scratch;

struct lane_ops {
    /* From a point of G2 in blst's Jacobian form; all public. */
    void (*table_build)(struct lane_table *ret_table,
                        const blst_p2 *hash,
                        struct lane_scratch *scratch);
    /* ret_points[i] = the scalar whose parts are splits[i], times the table's point; 0 < n <= LANE_KEYS. */
    uint64_t (*sign_same)(const struct lane_table *table,
                          const struct scalar_split *splits,
                          size_t n,
                          const blst_fp *blinds,
                          struct lane_scratch *scratch,
                          blst_p2_affine *ret_points);
    /* The same, each key with the root that was hashed to hashes[i]. */
    uint64_t (*sign_each)(const struct bls_hash *const *hashes,
                          const struct scalar_split *splits,
                          size_t n,
                          const blst_fp *blinds,
                          struct lane_scratch *scratch,
                          blst_p2_affine *ret_points);
    /* The sum of weight times point: public points of the curve, odd weights, 0 < n <= LANE_SUM_MAX. Here points that
     * are equal or opposite may raise the flag.
     */
    uint64_t (*weighted_sum)(const blst_p2_affine *points,
                             const uint64_t *weights,
                             size_t n,
                             struct lane_scratch *scratch,
                             blst_p2 *ret_sum);
};

/* True when the processor has what lane_native needs and the system keeps its registers. */
bool lane_supported(void);

extern const struct lane_ops lane_native; /* only where lane_supported() */
extern const struct lane_ops lane_plain;  /* the same source in plain C: for tests, slow */

#endif
