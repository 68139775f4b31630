/* support/lane_vec_bound.h - the lane type whose lanes are intervals.
 *
 * What lane_vec_ifma.h does to numbers, done to all numbers between two: the lane code has no branches, so one run of it
 * over this type says what every value can be for every input. lane_bound_faults counts where an operand of a
 * multiplication could be outside 0..2^52-1, or a sum outside 64 bits.
 */
#ifndef CRYPTO_LANE_VEC_H
#define CRYPTO_LANE_VEC_H

#include <stdint.h>

/* Loops stay loops: small code, soon compiled. */
#define LANE_INLINE static inline
#define LANE_UNROLL

__extension__ typedef __int128 lane_number;

typedef struct {
    lane_number low, high;
} lane_v;
typedef uint8_t lane_m; /* says nothing */

static unsigned lane_bound_faults;

#define BOUND_LIMB (((lane_number)1 << 52) - 1)

static inline lane_v bound(lane_number low, lane_number high)
{
    lane_bound_faults += low < INT64_MIN || high > INT64_MAX || low > high;
    return (lane_v){low, high};
}

static inline void check_operand(lane_v a)
{
    lane_bound_faults += a.low < 0 || a.high > BOUND_LIMB;
}

static inline lane_v v_zero(void)
{
    return (lane_v){0, 0};
}

static inline lane_v v_set1(uint64_t x)
{
    return (lane_v){(lane_number)x, (lane_number)x};
}

/* Whatever there is. */
static inline lane_v v_load(const uint64_t lanes[static 8])
{
    (void)lanes;
    return (lane_v){0, UINT64_MAX};
}

static inline void v_store(uint64_t lanes[static 8], lane_v a)
{
    (void)a;
    for (unsigned i = 0; i < 8; i++)
        lanes[i] = 1;
}

static inline lane_v v_add(lane_v a, lane_v b)
{
    return bound(a.low + b.low, a.high + b.high);
}

static inline lane_v v_sub(lane_v a, lane_v b)
{
    return bound(a.low - b.high, a.high - b.low);
}

/* b is a number of the form 2^k - 1. */
static inline lane_v v_and(lane_v a, lane_v b)
{
    return a.low >= 0 && a.high <= b.low ? a : bound(0, b.high);
}

static inline lane_v v_carry(lane_v a)
{
    return bound(a.low >> 52, a.high >> 52);
}

/* Of an unsigned number. */
static inline lane_v v_shift_right(lane_v a, unsigned bits)
{
    lane_bound_faults += a.low < 0;
    return (lane_v){a.low >> bits, a.high >> bits};
}

static inline lane_v v_mul_low(lane_v acc, lane_v a, lane_v b)
{
    check_operand(a);
    check_operand(b);
    lane_number most = a.high * b.high;
    return bound(acc.low, acc.high + (most < BOUND_LIMB ? most : BOUND_LIMB));
}

static inline lane_v v_mul_high(lane_v acc, lane_v a, lane_v b)
{
    check_operand(a);
    check_operand(b);
    return bound(acc.low + (a.low * b.low >> 52), acc.high + (a.high * b.high >> 52));
}

/* Of the low 52 bits of a. */
static inline lane_v v_mul_low_of(lane_v acc, lane_v a, lane_v b)
{
    (void)a;
    return v_mul_low(acc, (lane_v){0, BOUND_LIMB}, b);
}

static inline lane_v v_mul_high_of(lane_v acc, lane_v a, lane_v b)
{
    (void)a;
    return v_mul_high(acc, (lane_v){0, BOUND_LIMB}, b);
}

static inline lane_m v_equal(lane_v a, lane_v b)
{
    (void)a;
    (void)b;
    return 0;
}

static inline lane_m v_negative(lane_v a)
{
    (void)a;
    return 0;
}

static inline lane_v v_blend(lane_m mask, lane_v a, lane_v b)
{
    (void)mask;
    return (lane_v){a.low < b.low ? a.low : b.low, a.high > b.high ? a.high : b.high};
}

static inline lane_v v_choose32(const lane_v table[static 4], lane_v index)
{
    lane_bound_faults += index.low < 0 || index.high > 31;
    return v_blend(0, v_blend(0, table[0], table[1]), v_blend(0, table[2], table[3]));
}

static inline lane_v v_swap1(lane_v a)
{
    return a;
}

static inline lane_v v_swap2(lane_v a)
{
    return a;
}

static inline lane_v v_swap4(lane_v a)
{
    return a;
}

static inline lane_v v_spread(lane_v a, unsigned lane)
{
    (void)lane;
    return a;
}

static inline lane_v v_known(lane_v a, uint64_t max)
{
    return (lane_v){a.low > 0 ? a.low : 0, a.high < (lane_number)max ? a.high : (lane_number)max};
}

static inline void v_wipe(void)
{
}

#endif
