#include "crypto/batch_fault.h"
#include "crypto/batch_kernel.h"
#include "crypto/comb.h"
#include "crypto/weighted_sum.h"

_Static_assert((int)WEIGHTED_BUCKETS <= (int)COMB_SUMS, "the sum borrows the walk's sums");

struct comb_work {
    struct comb_table table;
    struct comb_scratch walk;
    struct weighted_scratch sum;
};

static bool supported(void)
{
    return true;
}

static void prepare(void *scratch, const struct bls_hash *hash)
{
    struct comb_work *work = scratch;
    comb_table_build(&work->table, hash, &work->walk);
}

static CC_ERR sign_same(void *scratch,
                        const struct scalar_split *splits,
                        size_t n,
                        blst_p2_affine *ret_points,
                        uint64_t *ret_flags)
{
    struct comb_work *work = scratch;
    batch_fault(BATCH_FAULT_TABLE, &work->table, sizeof work->table);
    for (size_t done = 0; done < n;) {
        const size_t keys = n - done < COMB_KEYS ? n - done : COMB_KEYS;
        CC_TRY(affine_draw_blinds(work->walk.blinds, COMB_BLINDS));
        comb_sign(&work->table, splits + done, keys, &work->walk, ret_points + done,
                  ret_flags + done);
        done += keys;
    }
    return CC_OK;
}

static void sum_points(void *scratch,
                       const blst_p2_affine *points,
                       const uint64_t *weights,
                       size_t n,
                       blst_p2 *ret_sum)
{
    struct comb_work *work = scratch;
    weighted_sum(points, weights, n, &work->sum, work->walk.sums, ret_sum);
}

const struct batch_kernel comb_kernel = {
    .name = "fixed_base",
    .engine = BATCH_FIXED_BASE,
    .same_root_min = 7,
    .scratch_size = sizeof(struct comb_work),
    .supported = supported,
    .prepare = prepare,
    .sign_same = sign_same,
    .weighted_sum = sum_points,
};
