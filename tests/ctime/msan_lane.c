/* The native lane code under clang's MemorySanitizer, with poisoned parts of scalars: a jump or an address that depends on one
 * is an error. Compiled with RIG_LEAK it looks a table's entry up by its index, which has to be found.
 */
#define LANE_OPS lane_watched
#ifdef RIG_LEAK
#    define v_choose32 v_choose32_in_registers
#endif
#include "crypto/lane_vec_ifma.h"
#ifdef RIG_LEAK
#    undef v_choose32
static inline lane_v v_choose32(const lane_v table[static 4], lane_v index)
{
    uint64_t at[8];
    uint64_t from[32];
    uint64_t found[8];
    v_store(at, index);
    for (unsigned v = 0; v < 4; v++)
        v_store(from + 8 * v, table[v]);
    for (unsigned i = 0; i < 8; i++)
        found[i] = from[at[i] % 32];
    return v_load(found);
}
#endif
#include <sanitizer/msan_interface.h>
#include <stdio.h>

#include "crypto/lane_code.h"

#define RIG_SECRET(p, len) __msan_poison(p, len)
#define RIG_PUBLIC(p, len) __msan_unpoison(p, len)
#include "lane_rig.h"

enum {
    SKIPPED = 77
};

int main(void)
{
    if (!lane_supported()) {
        puts("no AVX-512 IFMA here: skipped");
        return SKIPPED;
    }
    rig_make();
    return rig_run(&lane_watched) ? 0 : 2;
}
