#include "crypto/comb.h"

/* 2^(5j) times the point, for each row. */
static void build_bases(struct comb_table *table, const blst_p2 *hash)
{
    blst_p2 bases[SPLIT_DIGITS];
    blst_p2_affine affine[SPLIT_DIGITS];
    const blst_p2 *const list[] = {bases, NULL};
    bases[0] = *hash;
    for (size_t j = 1; j < SPLIT_DIGITS; j++) {
        blst_p2_double(&bases[j], &bases[j - 1]);
        for (size_t i = 1; i < SPLIT_WINDOW; i++)
            blst_p2_double(&bases[j], &bases[j]);
    }
    blst_p2s_to_affine(affine, list, SPLIT_DIGITS);
    for (size_t j = 0; j < SPLIT_DIGITS; j++)
        table->entry[j][0] = affine[j];
}

/* From the first `known` entries of each row makes as many again: entry e + known is entry e plus the last known. */
static void double_rows(struct comb_table *table, size_t known, struct affine_sum *sums)
{
    size_t n = 0;
    for (size_t j = 0; j < SPLIT_DIGITS; j++) {
        blst_p2_affine *row = table->entry[j];
        for (size_t e = 0; e < known; e++) {
            row[known + e] = row[e];
            /* Multiples below 17 of a point of order r are never opposite. */
            cc_assert(affine_sum_public(&sums[n++], &row[known + e], &row[known - 1]));
        }
    }
    affine_add(sums, n, NULL);
}

_Static_assert(SPLIT_DIGITS *SPLIT_LARGEST / 2 <= COMB_SUMS, "half a table fits the scratch");

void comb_table_build(struct comb_table *ret_table,
                      const struct bls_hash *hash,
                      struct comb_scratch *scratch)
{
    build_bases(ret_table, hash_point(hash));
    for (size_t known = 1; known < SPLIT_LARGEST; known *= 2)
        double_rows(ret_table, known, scratch->sums);
}

/* The entry for a digit, from a row that is read whole. For digit 0 the point is nonsense. */
static void gather(const blst_p2_affine row[static SPLIT_LARGEST],
                   struct split_digit digit,
                   blst_p2_affine *ret_point)
{
    blst_p2_affine found = row[0];
    for (size_t e = 1; e < SPLIT_LARGEST; e++)
        affine_select(&found, ct_mask_zero(digit.size ^ (e + 1)), &row[e], &found);
    blst_fp2_cneg(&found.y, &found.y, digit.negative & 1);
    *ret_point = found;
}

/* The sum that belongs to a part of a key: parts lie together, so that a fold is a batch. */
static struct affine_sum *sum_of(struct comb_scratch *scratch, size_t n, size_t part, size_t key)
{
    return &scratch->sums[part * n + key];
}

/* A part begins as its lowest digit's entry. */
static void begin(const struct comb_table *table,
                  const struct scalar_split *splits,
                  size_t n,
                  struct comb_scratch *scratch)
{
    for (size_t part = 0; part < SPLIT_PARTS; part++) {
        for (size_t key = 0; key < n; key++) {
            struct affine_sum *sum = sum_of(scratch, n, part, key);
            const struct split_digit digit = split_digit(splits[key].part[part], 0);
            sum->acc = &scratch->parts[part * n + key];
            gather(table->entry[0], digit, sum->acc);
            sum->acc_is_zero = ct_mask_zero(digit.size);
        }
    }
}

/* Adds digit j's entry to every part of every key. */
static void walk(const struct comb_table *table,
                 const struct scalar_split *splits,
                 size_t n,
                 unsigned j,
                 struct comb_scratch *scratch,
                 uint64_t *flags)
{
    for (size_t part = 0; part < SPLIT_PARTS; part++) {
        for (size_t key = 0; key < n; key++) {
            struct affine_sum *sum = sum_of(scratch, n, part, key);
            const struct split_digit digit = split_digit(splits[key].part[part], j);
            gather(table->entry[j], digit, &sum->add);
            sum->add_is_zero = ct_mask_zero(digit.size);
            flags[key] |= affine_sum_secret(sum);
        }
    }
    affine_add(scratch->sums, n * SPLIT_PARTS, &scratch->blinds[j]);
}

/* Adds Z times the part above to a part. */
static void fold(size_t n, size_t part, struct comb_scratch *scratch, uint64_t *flags)
{
    for (size_t key = 0; key < n; key++) {
        const struct affine_sum *above = sum_of(scratch, n, part + 1, key);
        struct affine_sum *sum = sum_of(scratch, n, part, key);
        affine_mul_by_z(&sum->add, above->acc);
        sum->add_is_zero = above->acc_is_zero;
        flags[key] |= affine_sum_secret(sum);
    }
    affine_add(sum_of(scratch, n, part, 0), n, &scratch->blinds[SPLIT_DIGITS + part]);
}

CC_SENSITIVE void comb_sign(const struct comb_table *table,
                            const struct scalar_split *splits,
                            size_t n,
                            struct comb_scratch *scratch,
                            blst_p2_affine *ret_points,
                            uint64_t *ret_flags)
{
    cc_assert(n <= COMB_KEYS);
    for (size_t key = 0; key < n; key++)
        ret_flags[key] = 0;
    begin(table, splits, n, scratch);
    for (unsigned j = 1; j < SPLIT_DIGITS; j++)
        walk(table, splits, n, j, scratch, ret_flags);
    for (size_t part = SPLIT_PARTS - 1; part-- > 0;)
        fold(n, part, scratch, ret_flags);
    for (size_t key = 0; key < n; key++) {
        ret_points[key] = scratch->parts[key];
        ret_flags[key] |= scratch->sums[key].acc_is_zero; /* no scalar in 1..r-1 gives infinity */
    }
    wipe(scratch->sums, n * SPLIT_PARTS * sizeof scratch->sums[0]);
    wipe(scratch->parts, n * SPLIT_PARTS * sizeof scratch->parts[0]);
    wipe(scratch->blinds, sizeof scratch->blinds);
}
