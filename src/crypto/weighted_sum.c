#include "crypto/weighted_sum.h"

#include <string.h>

#include "crypto/random.h"

/* The small primes of the order of E'(Fp2): 13^2 * 23^2 * 2713 * 11953 * 262069 * a prime of 448 bits * r. */
static bool is_weight(uint64_t w)
{
    return w % 13 && w % 23 && w % 2713 && w % 11953 && w % 262069;
}

/* Odd ones, which the lanes want. */
CC_ERR weights_draw(uint64_t *ret_weights, size_t n)
{
    CC_TRY(random_bytes(ret_weights, n * sizeof *ret_weights));
    for (size_t i = 0; i < n; i++) {
        while (!is_weight(ret_weights[i] |= 1))
            CC_TRY(random_bytes(&ret_weights[i], sizeof *ret_weights));
    }
    return CC_OK;
}

/* Lets every point wait for its buckets. */
static void sort(const uint64_t *weights, size_t n, struct weighted_scratch *s)
{
    memset(s->first, 0, sizeof s->first);
    for (size_t i = 0; i < n; i++) {
        for (unsigned j = 0; j < SPLIT_DIGITS; j++) {
            const struct split_digit digit = split_digit(weights[i], j);
            if (!digit.size)
                continue;
            s->next[j][i] = s->first[j][digit.size - 1];
            s->first[j][digit.size - 1] = (uint16_t)(i + 1);
        }
    }
}

/* to := to + point, at the next affine_add() or at once; returns how many sums are prepared then. */
static size_t add(struct weighted_scratch *s,
                  size_t n,
                  struct weighted_point *to,
                  const struct weighted_point *what)
{
    if (!what->there)
        return n;
    if (!to->there) {
        *to = *what;
        return n;
    }
    to->there = affine_sum_public(&s->sums[n], &to->point, &what->point);
    return n + to->there;
}

/* Takes the next point that waits for a bucket; false when none does. */
static bool take(const blst_p2_affine *points,
                 const uint64_t *weights,
                 struct weighted_scratch *s,
                 unsigned j,
                 size_t b,
                 struct weighted_point *ret_point)
{
    if (!s->first[j][b])
        return false;
    const size_t i = s->first[j][b] - 1u;
    s->first[j][b] = s->next[j][i];
    *ret_point = (struct weighted_point){.point = points[i], .there = true};
    blst_fp2_cneg(&ret_point->point.y, &points[i].y, split_digit(weights[i], j).negative & 1);
    return true;
}

/* One point into each bucket for which one waits; false when none did. */
static bool
fill_round(const blst_p2_affine *points, const uint64_t *weights, struct weighted_scratch *s)
{
    size_t sums = 0;
    bool any = false;
    for (unsigned j = 0; j < SPLIT_DIGITS; j++) {
        for (size_t b = 0; b < SPLIT_LARGEST; b++) {
            struct weighted_point point;
            if (!take(points, weights, s, j, b, &point))
                continue;
            sums = add(s, sums, &s->bucket[j][b], &point);
            any = true;
        }
    }
    affine_add(s->sums, sums, NULL);
    return any;
}

/* total[j] becomes the sum of e times bucket e of window j: `running` adds up the buckets from the highest down, and
 * `total` adds up `running`. Both of a step need what running was before it: they share a batch.
 */
static void reduce(struct weighted_scratch *s)
{
    memset(s->running, 0, sizeof s->running);
    memset(s->total, 0, sizeof s->total);
    for (size_t b = SPLIT_LARGEST + 1; b-- > 0;) {
        size_t sums = 0;
        for (size_t j = 0; j < SPLIT_DIGITS; j++)
            sums = add(s, sums, &s->total[j], &s->running[j]);
        for (size_t j = 0; b > 0 && j < SPLIT_DIGITS; j++)
            sums = add(s, sums, &s->running[j], &s->bucket[j][b - 1]);
        affine_add(s->sums, sums, NULL);
    }
}

void weighted_sum(const blst_p2_affine *points,
                  const uint64_t *weights,
                  size_t n,
                  struct weighted_scratch *scratch,
                  struct affine_sum *sums,
                  blst_p2 *ret_sum)
{
    scratch->sums = sums;
    cc_assert(n <= WEIGHTED_MAX);
    memset(scratch->bucket, 0, sizeof scratch->bucket);
    sort(weights, n, scratch);
    while (fill_round(points, weights, scratch)) {
    }
    reduce(scratch);
    blst_p2 sum = {0};
    for (size_t j = SPLIT_DIGITS; j-- > 0;) {
        for (size_t i = 0; i < SPLIT_WINDOW; i++)
            blst_p2_double(&sum, &sum);
        if (scratch->total[j].there)
            blst_p2_add_or_double_affine(&sum, &sum, &scratch->total[j].point);
    }
    *ret_sum = sum;
}
