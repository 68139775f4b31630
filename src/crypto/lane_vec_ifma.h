/* crypto/lane_vec_ifma.h - the lane type on AVX-512 IFMA.
 *
 * WHAT      Eight 64-bit lanes and the operations that lane_field.h, lane_curve.h and lane_code.h are written over.
 *           lane_vec_plain.h is the same type in plain C; tests have a third, whose lanes are intervals.
 * PROMISE   Every operation takes the same time and touches the same addresses for all values.
 * THREADS   Any: pure.   OWNERSHIP Borrows.   ERRORS None.
 * SECRETS   Lanes hold digits and partial sums; v_wipe() clears every vector and mask register.
 */
#ifndef CRYPTO_LANE_VEC_H
#define CRYPTO_LANE_VEC_H

#include <immintrin.h>
#include <stdint.h>

typedef __m512i lane_v;
typedef __mmask8 lane_m;

/* A product is fastest in one piece, with its loops unrolled and its sums in registers. */
#define LANE_INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#    define LANE_UNROLL _Pragma("clang loop unroll(full)")
#else
#    define LANE_UNROLL _Pragma("GCC unroll 16")
#endif

static inline lane_v v_zero(void)
{
    return _mm512_setzero_si512();
}

static inline lane_v v_set1(uint64_t x)
{
    return _mm512_set1_epi64((long long)x);
}

static inline lane_v v_load(const uint64_t lanes[static 8])
{
    return _mm512_loadu_si512(lanes);
}

static inline void v_store(uint64_t lanes[static 8], lane_v a)
{
    _mm512_storeu_si512(lanes, a);
}

static inline lane_v v_add(lane_v a, lane_v b)
{
    return _mm512_add_epi64(a, b);
}

static inline lane_v v_sub(lane_v a, lane_v b)
{
    return _mm512_sub_epi64(a, b);
}

static inline lane_v v_and(lane_v a, lane_v b)
{
    return _mm512_and_si512(a, b);
}

/* The signed value divided by 2^52, rounded down: a limb's carry. */
static inline lane_v v_carry(lane_v a)
{
    return _mm512_srai_epi64(a, 52);
}

static inline lane_v v_shift_right(lane_v a, unsigned bits)
{
    return _mm512_srl_epi64(a, _mm_cvtsi32_si128((int)bits));
}

/* acc + the low (high) 52 bits of the product of a and b, which are below 2^52. */
static inline lane_v v_mul_low(lane_v acc, lane_v a, lane_v b)
{
    return _mm512_madd52lo_epu64(acc, a, b);
}

static inline lane_v v_mul_high(lane_v acc, lane_v a, lane_v b)
{
    return _mm512_madd52hi_epu64(acc, a, b);
}

/* The same for any a, which counts with its low 52 bits alone. */
static inline lane_v v_mul_low_of(lane_v acc, lane_v a, lane_v b)
{
    return _mm512_madd52lo_epu64(acc, a, b);
}

static inline lane_v v_mul_high_of(lane_v acc, lane_v a, lane_v b)
{
    return _mm512_madd52hi_epu64(acc, a, b);
}

static inline lane_m v_equal(lane_v a, lane_v b)
{
    return _mm512_cmpeq_epi64_mask(a, b);
}

/* The lanes where a, read as signed, is below zero. */
static inline lane_m v_negative(lane_v a)
{
    return _mm512_cmplt_epi64_mask(a, _mm512_setzero_si512());
}

/* b where the mask is set, else a. */
static inline lane_v v_blend(lane_m mask, lane_v a, lane_v b)
{
    return _mm512_mask_blend_epi64(mask, a, b);
}

/* Each lane's entry of a table of 32, four vectors of eight; all of it is read, the choice is made inside registers. */
static inline lane_v v_choose32(const lane_v table[static 4], lane_v index)
{
    lane_v low = _mm512_permutex2var_epi64(table[0], index, table[1]);
    lane_v high = _mm512_permutex2var_epi64(table[2], index, table[3]);
    return v_blend(_mm512_test_epi64_mask(index, v_set1(16)), low, high);
}

/* Lane i gets what lane i xor `distance` has. */
static inline lane_v v_swap1(lane_v a)
{
    return _mm512_permutex_epi64(a, 0xB1);
}

static inline lane_v v_swap2(lane_v a)
{
    return _mm512_permutex_epi64(a, 0x4E);
}

static inline lane_v v_swap4(lane_v a)
{
    return _mm512_shuffle_i64x2(a, a, 0x4E);
}

/* Every lane gets one lane's value. */
static inline lane_v v_spread(lane_v a, unsigned lane)
{
    return _mm512_permutexvar_epi64(_mm512_set1_epi64((long long)lane), a);
}

/* a, of which the text has shown that it is in 0..max: for the lanes that are intervals. */
static inline lane_v v_known(lane_v a, uint64_t max)
{
    (void)max;
    return a;
}

static inline void v_wipe(void)
{
    __asm__ volatile("vpxorq %%zmm16, %%zmm16, %%zmm16\n\t"
                     "vpxorq %%zmm17, %%zmm17, %%zmm17\n\t"
                     "vpxorq %%zmm18, %%zmm18, %%zmm18\n\t"
                     "vpxorq %%zmm19, %%zmm19, %%zmm19\n\t"
                     "vpxorq %%zmm20, %%zmm20, %%zmm20\n\t"
                     "vpxorq %%zmm21, %%zmm21, %%zmm21\n\t"
                     "vpxorq %%zmm22, %%zmm22, %%zmm22\n\t"
                     "vpxorq %%zmm23, %%zmm23, %%zmm23\n\t"
                     "vpxorq %%zmm24, %%zmm24, %%zmm24\n\t"
                     "vpxorq %%zmm25, %%zmm25, %%zmm25\n\t"
                     "vpxorq %%zmm26, %%zmm26, %%zmm26\n\t"
                     "vpxorq %%zmm27, %%zmm27, %%zmm27\n\t"
                     "vpxorq %%zmm28, %%zmm28, %%zmm28\n\t"
                     "vpxorq %%zmm29, %%zmm29, %%zmm29\n\t"
                     "vpxorq %%zmm30, %%zmm30, %%zmm30\n\t"
                     "vpxorq %%zmm31, %%zmm31, %%zmm31\n\t"
                     "kxorw %%k0, %%k0, %%k0\n\tkxorw %%k1, %%k1, %%k1\n\t"
                     "kxorw %%k2, %%k2, %%k2\n\tkxorw %%k3, %%k3, %%k3\n\t"
                     "kxorw %%k4, %%k4, %%k4\n\tkxorw %%k5, %%k5, %%k5\n\t"
                     "kxorw %%k6, %%k6, %%k6\n\tkxorw %%k7, %%k7, %%k7\n\t"
                     "vzeroall"
                     :
                     :
                     : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                       "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "xmm16",
                       "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24",
                       "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k1", "k2",
                       "k3", "k4", "k5", "k6", "k7");
}

#endif
