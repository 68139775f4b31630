#include "trace/sampler.h"

#include "base/macros.h"
#include "base/num.h"

uint64_t sampler_bound(uint32_t millionths)
{
    const uint64_t whole = UINT64_C(1) << 63;
    cc_assert(millionths <= SAMPLER_MILLION);
    return whole / SAMPLER_MILLION * millionths +
           whole % SAMPLER_MILLION * millionths / SAMPLER_MILLION;
}

bool sampler_takes(uint64_t bound, const uint8_t trace_id[static TRACE_ID_SIZE])
{
    return u64_load_be(trace_id + TRACE_ID_SIZE - sizeof(uint64_t)) >> 1 < bound;
}
