/* crypto/lane_digit.h - secret scalars in the lanes.
 *
 * WHAT      Loads parts of scalars, and takes signed digits from them.
 * PROMISE   Constant time.
 * THREADS   Any: pure.   OWNERSHIP Borrows.   ERRORS None.
 * SECRETS   Parts and digits: in the caller's scratch, which is wiped.
 */
#ifndef CRYPTO_LANE_DIGIT_H
#define CRYPTO_LANE_DIGIT_H

#include "crypto/lane.h"
#include "crypto/lane_curve.h"
#include "secret/wipe.h"

enum {
    GROUPS = LANE_KEYS / LANES
};

struct lane_digit {
    lane_v index; /* its size - 1; for 0 that of the largest */
    lane_m is_zero, is_negative;
};

/* Digit j of eight scalars, 0 the lowest, to base 2^window and in +-2^(window - 1): half of (window + 1 bits, from one
 * below its own, + 1), which is Booth's recoding.
 */
LANE_INLINE struct lane_digit digit_of(lane_v part, unsigned j, unsigned window)
{
    const uint64_t base = UINT64_C(1) << window;
    lane_v one = v_set1(1);
    lane_v low = v_and(part, v_set1(base - 1));
    lane_v bits = j == 0 ? v_add(low, low) : v_shift_right(part, window * j - 1);
    bits = v_and(bits, v_set1(2 * base - 1));
    lane_m is_negative = v_equal(v_shift_right(bits, window), one);
    lane_v half = v_shift_right(v_add(bits, one), 1);
    lane_v size = v_blend(is_negative, half, v_sub(v_set1(base), half));
    return (struct lane_digit){.index = v_and(v_sub(size, one), v_set1(base / 2 - 1)),
                               .is_zero = v_equal(size, v_zero()),
                               .is_negative = is_negative};
}

/* Loads the parts of n scalars, zero for the lanes that are left over. */
LANE_CALL void load_parts(lane_v ret_parts[][SPLIT_PARTS],
                          const struct scalar_split *splits,
                          size_t n,
                          size_t groups)
{
    struct {
        uint64_t lane[LANES];
    } words;
    for (size_t group = 0; group < groups; group++) {
        for (size_t part = 0; part < SPLIT_PARTS; part++) {
            for (size_t lane = 0; lane < LANES; lane++) {
                size_t key = group * LANES + lane;
                words.lane[lane] = key < n ? splits[key].part[part] : 0;
            }
            ret_parts[group][part] = v_load(words.lane);
        }
    }
    wipe(&words, sizeof words);
}

#endif
