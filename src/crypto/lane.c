#include "crypto/lane.h"

#if defined(__x86_64__)

#    include <cpuid.h>

/* What the operating system saves for a thread: XMM, YMM, mask registers, both halves of ZMM. */
#    define SAVED_STATE (1U << 1 | 1U << 2 | 1U << 5 | 1U << 6 | 1U << 7)
/* Leaf 7, register B: AVX512F, DQ, IFMA, BW, VL. All that lane_ifma.c is compiled for. */
#    define LEAF7_FEATURES (1U << 16 | 1U << 17 | 1U << 21 | 1U << 30 | 1U << 31)
#    define LEAF1_OSXSAVE  (1U << 27)

static unsigned saved_state(void)
{
    unsigned low = 0;
    unsigned high = 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

bool lane_supported(void)
{
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & LEAF1_OSXSAVE))
        return false;
    if ((saved_state() & SAVED_STATE) != SAVED_STATE)
        return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & LEAF7_FEATURES) == LEAF7_FEATURES;
}

#else

bool lane_supported(void)
{
    return false;
}

#endif
