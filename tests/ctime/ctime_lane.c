/* The lane code in its plain form under valgrind's memcheck, with parts of scalars that count as undefined memory. With the
 * argument `leak` it is a form that looks a table's entry up by its index, which has to be found.
 */
#define LANE_OPS   lane_leaky
#define v_choose32 v_choose32_scanned
#include "crypto/lane_vec_plain.h"
#undef v_choose32

static inline lane_v v_choose32(const lane_v table[static 4], lane_v index)
{
    lane_v ret;
    for (unsigned i = 0; i < 8; i++)
        ret.lane[i] = table[index.lane[i] / 8 % 4].lane[index.lane[i] % 8];
    return ret;
}

#include <valgrind/memcheck.h>

#include "crypto/lane_code.h"

#define RIG_SECRET(p, len) (void)VALGRIND_MAKE_MEM_UNDEFINED(p, len)
#define RIG_PUBLIC(p, len) (void)VALGRIND_MAKE_MEM_DEFINED(p, len)
#include "lane_rig.h"

int main(int argc, char **argv)
{
    const bool leak = argc > 1 && strcmp(argv[1], "leak") == 0;
    rig_make();
    return rig_run(leak ? &lane_leaky : &lane_plain) ? 0 : 2;
}
