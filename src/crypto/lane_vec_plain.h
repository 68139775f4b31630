/* crypto/lane_vec_plain.h - the lane type in plain C.
 *
 * WHAT      What lane_vec_ifma.h does, for any processor: the same results, bit for bit, slowly. For tests: against
 *           the native build, and under valgrind with the secrets marked as undefined.
 * PROMISE   No branch and no address depends on a lane's value.
 * THREADS   Any: pure.   OWNERSHIP Borrows.   ERRORS None.   SECRETS Pass through.
 */
#ifndef CRYPTO_LANE_VEC_H
#define CRYPTO_LANE_VEC_H

#include <stdint.h>

/* Loops stay loops: small code, soon compiled. */
#define LANE_INLINE static inline
#define LANE_UNROLL

typedef struct {
    uint64_t lane[8];
} lane_v;
typedef uint8_t lane_m;

#define LANE_MAP(expression)                                                                       \
    lane_v ret;                                                                                    \
    for (unsigned i = 0; i < 8; i++)                                                               \
        ret.lane[i] = (expression);                                                                \
    return ret

static inline lane_v v_set1(uint64_t x)
{
    LANE_MAP(x);
}

static inline lane_v v_zero(void)
{
    return v_set1(0);
}

static inline lane_v v_load(const uint64_t lanes[static 8])
{
    LANE_MAP(lanes[i]);
}

static inline void v_store(uint64_t lanes[static 8], lane_v a)
{
    for (unsigned i = 0; i < 8; i++)
        lanes[i] = a.lane[i];
}

static inline lane_v v_add(lane_v a, lane_v b)
{
    LANE_MAP(a.lane[i] + b.lane[i]);
}

static inline lane_v v_sub(lane_v a, lane_v b)
{
    LANE_MAP(a.lane[i] - b.lane[i]);
}

static inline lane_v v_and(lane_v a, lane_v b)
{
    LANE_MAP(a.lane[i] & b.lane[i]);
}

static inline lane_v v_carry(lane_v a)
{
    LANE_MAP((uint64_t)((int64_t)a.lane[i] >> 52));
}

static inline lane_v v_shift_right(lane_v a, unsigned bits)
{
    LANE_MAP(a.lane[i] >> bits);
}

__extension__ typedef unsigned __int128 lane_product;

static inline lane_product product52(uint64_t a, uint64_t b)
{
    return (lane_product)(a & (UINT64_MAX >> 12)) * (b & (UINT64_MAX >> 12));
}

static inline lane_v v_mul_low(lane_v acc, lane_v a, lane_v b)
{
    LANE_MAP(acc.lane[i] + ((uint64_t)product52(a.lane[i], b.lane[i]) & (UINT64_MAX >> 12)));
}

static inline lane_v v_mul_high(lane_v acc, lane_v a, lane_v b)
{
    LANE_MAP(acc.lane[i] + (uint64_t)(product52(a.lane[i], b.lane[i]) >> 52));
}

static inline lane_v v_mul_low_of(lane_v acc, lane_v a, lane_v b)
{
    return v_mul_low(acc, a, b);
}

static inline lane_v v_mul_high_of(lane_v acc, lane_v a, lane_v b)
{
    return v_mul_high(acc, a, b);
}

/* All ones where x is zero. */
static inline uint64_t zero_mask(uint64_t x)
{
    return ((x | (0 - x)) >> 63) - 1;
}

static inline lane_m v_equal(lane_v a, lane_v b)
{
    unsigned mask = 0;
    for (unsigned i = 0; i < 8; i++)
        mask |= (unsigned)(zero_mask(a.lane[i] ^ b.lane[i]) & 1) << i;
    return (lane_m)mask;
}

static inline lane_m v_negative(lane_v a)
{
    unsigned mask = 0;
    for (unsigned i = 0; i < 8; i++)
        mask |= (unsigned)(a.lane[i] >> 63) << i;
    return (lane_m)mask;
}

static inline lane_v v_blend(lane_m mask, lane_v a, lane_v b)
{
    LANE_MAP(a.lane[i] ^ ((a.lane[i] ^ b.lane[i]) & (0 - (uint64_t)((mask >> i) & 1))));
}

static inline lane_v v_choose32(const lane_v table[static 4], lane_v index)
{
    lane_v ret = v_zero();
    for (unsigned entry = 0; entry < 32; entry++)
        for (unsigned i = 0; i < 8; i++)
            ret.lane[i] |=
                table[entry / 8].lane[entry % 8] & zero_mask((index.lane[i] & 31) ^ entry);
    return ret;
}

static inline lane_v v_swap1(lane_v a)
{
    LANE_MAP(a.lane[i ^ 1]);
}

static inline lane_v v_swap2(lane_v a)
{
    LANE_MAP(a.lane[i ^ 2]);
}

static inline lane_v v_swap4(lane_v a)
{
    LANE_MAP(a.lane[i ^ 4]);
}

static inline lane_v v_spread(lane_v a, unsigned lane)
{
    LANE_MAP(a.lane[lane]);
}

static inline lane_v v_known(lane_v a, uint64_t max)
{
    (void)max;
    return a;
}

static inline void v_wipe(void)
{
}

#undef LANE_MAP
#endif
