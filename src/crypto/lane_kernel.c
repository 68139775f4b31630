#include "crypto/batch_fault.h"
#include "crypto/batch_kernel.h"
#include "crypto/lane.h"
#include "crypto/weighted_sum.h"

struct lane_work {
    _Alignas(LANE_ALIGN) uint8_t table[LANE_TABLE_SIZE];
    union {
        _Alignas(LANE_ALIGN) uint8_t scratch[LANE_SCRATCH_SIZE];
        struct {
            struct weighted_scratch scratch;
            struct affine_sum sums[WEIGHTED_BUCKETS];
        } scalar; /* for sums of points that are no matter for lanes */
    };
    blst_fp blinds[LANE_BLINDS];
};

static struct lane_table *table_of(struct lane_work *work)
{
    return (struct lane_table *)(void *)work->table;
}

static struct lane_scratch *scratch_of(struct lane_work *work)
{
    return (struct lane_scratch *)(void *)work->scratch;
}

static void prepare(void *scratch, const struct bls_hash *hash)
{
    struct lane_work *work = scratch;
    lane_native.table_build(table_of(work), hash_point(hash), scratch_of(work));
}

static size_t keys_at_once(size_t left)
{
    return left < LANE_KEYS ? left : LANE_KEYS;
}

static CC_ERR sign_same(void *scratch,
                        const struct scalar_split *splits,
                        size_t n,
                        blst_p2_affine *ret_points,
                        uint64_t *ret_flags)
{
    struct lane_work *work = scratch;
    batch_fault(BATCH_FAULT_TABLE, work->table, sizeof work->table);
    for (size_t done = 0; done < n;) {
        const size_t keys = keys_at_once(n - done);
        CC_TRY(affine_draw_blinds(work->blinds, LANE_BLINDS));
        const uint64_t flag = lane_native.sign_same(
            table_of(work), splits + done, keys, work->blinds, scratch_of(work), ret_points + done);
        for (size_t i = 0; i < keys; i++)
            ret_flags[done + i] = flag;
        done += keys;
    }
    return CC_OK;
}

static CC_ERR sign_different(void *scratch,
                             const struct scalar_split *splits,
                             const struct bls_hash *const *hashes,
                             size_t n,
                             blst_p2_affine *ret_points,
                             uint64_t *ret_flags)
{
    struct lane_work *work = scratch;
    for (size_t done = 0; done < n;) {
        const size_t keys = keys_at_once(n - done);
        CC_TRY(affine_draw_blinds(work->blinds, LANE_BLINDS));
        const uint64_t flag = lane_native.sign_each(
            hashes + done, splits + done, keys, work->blinds, scratch_of(work), ret_points + done);
        for (size_t i = 0; i < keys; i++)
            ret_flags[done + i] = flag;
        done += keys;
    }
    return CC_OK;
}

/* Equal or opposite points, as one key twice or k and r-k make them, are left to the scalar sum. */
static void sum_points(void *scratch,
                       const blst_p2_affine *points,
                       const uint64_t *weights,
                       size_t n,
                       blst_p2 *ret_sum)
{
    struct lane_work *work = scratch;
    if (!lane_native.weighted_sum(points, weights, n, scratch_of(work), ret_sum))
        return;
    weighted_sum(points, weights, n, &work->scalar.scratch, work->scalar.sums, ret_sum);
}

const struct batch_kernel lane_kernel = {
    .name = "ifma",
    .engine = BATCH_IFMA,
    .same_root_min = 16,
    .different_roots_min = 3,
    .scratch_size = sizeof(struct lane_work),
    .supported = lane_supported,
    .prepare = prepare,
    .sign_same = sign_same,
    .sign_different = sign_different,
    .weighted_sum = sum_points,
};
