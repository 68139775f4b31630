/* What the checks of the lanes' constant time share: keys, and kernels run with them as secrets. A checker defines
 * RIG_SECRET(p, len) and RIG_PUBLIC(p, len) before.
 */
#ifndef CTIME_LANE_RIG_H
#define CTIME_LANE_RIG_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/lane.h"

enum {
    RIG_KEYS = 11
};

/* All in static memory, so that what blst's assembler writes counts as written. */
static struct bls_secret rig_secrets[RIG_KEYS];
static struct scalar_split rig_splits[RIG_KEYS];
static struct bls_hash rig_hashes[RIG_KEYS];
static const struct bls_hash *rig_hash_list[RIG_KEYS];
static blst_fp rig_blinds[LANE_BLINDS];
static blst_p2_affine rig_points[RIG_KEYS];
static _Alignas(LANE_ALIGN) uint8_t rig_table[LANE_TABLE_SIZE];
static _Alignas(LANE_ALIGN) uint8_t rig_scratch[LANE_SCRATCH_SIZE];

/* Keys 1 and 2, whose digits are nearly all zero, and others. */
static void rig_make(void)
{
    for (size_t i = 0; i < RIG_KEYS; i++) {
        uint8_t bytes[BLS_SECRET_SIZE] = {0};
        for (size_t b = 1; i > 1 && b < sizeof bytes; b++)
            bytes[b] = (uint8_t)(91 * i + 57 * b);
        bytes[BLS_SECRET_SIZE - 1] |= (uint8_t)(i == 1 ? 2 : 1);
        if (bls_secret_parse(bytes, &rig_secrets[i]).code)
            abort();
        bls_hash((const uint8_t[BLS_ROOT_SIZE]){(uint8_t)i}, &rig_hashes[i]);
        rig_hash_list[i] = &rig_hashes[i];
    }
    memset(rig_blinds, 3, sizeof rig_blinds);
}

static void rig_hide(void)
{
    for (size_t i = 0; i < RIG_KEYS; i++)
        scalar_split(&rig_secrets[i], &rig_splits[i]);
    RIG_SECRET(rig_splits, sizeof rig_splits);
}

/* Are the points those of blst? */
static bool rig_right(uint64_t flag, bool one_root)
{
    RIG_PUBLIC(&flag, sizeof flag);
    RIG_PUBLIC(rig_points, sizeof rig_points);
    for (size_t i = 0; i < RIG_KEYS; i++) {
        static uint8_t want[BLS_SIGNATURE_SIZE];
        static uint8_t got[BLS_SIGNATURE_SIZE];
        bls_sign(&rig_secrets[i], &rig_hashes[one_root ? 0 : i], want);
        blst_p2_affine_compress(got, &rig_points[i]);
        if (memcmp(want, got, sizeof want) != 0)
            return false;
    }
    return flag == 0;
}

static bool rig_run(const struct lane_ops *ops)
{
    struct lane_table *table = (struct lane_table *)(void *)rig_table;
    struct lane_scratch *scratch = (struct lane_scratch *)(void *)rig_scratch;
    ops->table_build(table, hash_point(&rig_hashes[0]), scratch);
    RIG_PUBLIC(rig_table, sizeof rig_table);
    rig_hide();
    uint64_t flag = ops->sign_same(table, rig_splits, RIG_KEYS, rig_blinds, scratch, rig_points);
    if (!rig_right(flag, true))
        return false;
    rig_hide();
    flag = ops->sign_each(rig_hash_list, rig_splits, RIG_KEYS, rig_blinds, scratch, rig_points);
    return rig_right(flag, false);
}

#endif
