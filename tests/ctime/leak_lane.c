/* The native lane code with a fault, for tools/check-lane-object to find: 1, a jump that depends on a mask; 2, an address that
 * depends on a digit; 3, a gather.
 */
#define LANE_OPS lane_leaky
#if RIG_LEAK == 1
#    define v_blend v_blend_always
#else
#    define v_choose32 v_choose32_in_registers
#endif
#include "crypto/lane_vec_ifma.h"

#if RIG_LEAK == 1
#    undef v_blend
static inline lane_v v_blend(lane_m mask, lane_v a, lane_v b)
{
    return mask ? v_blend_always(mask, a, b) : a;
}
#else
#    undef v_choose32
static inline lane_v v_choose32(const lane_v table[static 4], lane_v index)
{
#    if RIG_LEAK == 2
    uint64_t at[8];
    uint64_t from[32];
    uint64_t found[8];
    v_store(at, index);
    for (unsigned v = 0; v < 4; v++)
        v_store(from + 8 * v, table[v]);
    for (unsigned i = 0; i < 8; i++)
        found[i] = from[at[i] % 32];
    return v_load(found);
#    else
    return _mm512_i64gather_epi64(index, table, 8);
#    endif
}
#endif

#include "crypto/lane_code.h"
