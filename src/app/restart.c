#include "app/restart.h"

#include "base/num.h"

void restart_started(struct restart *restart, uint64_t now_ms)
{
    restart->started_ms = now_ms;
}

bool restart_ended(struct restart *restart, uint64_t now_ms, bool was_ready, uint32_t *ret_delay_ms)
{
    if (!was_ready) {
        uint32_t n = restart->unready_ends++;
        uint64_t delay = n < 16 ? (uint64_t)RESTART_UNREADY_MIN_MS << n : RESTART_UNREADY_MAX_MS;
        *ret_delay_ms = (uint32_t)u64_min(delay, RESTART_UNREADY_MAX_MS);
        return restart->unready_ends < RESTART_TRIES_MAX;
    }
    if (now_ms - restart->started_ms >= RESTART_STABLE_MS)
        restart->quick_ends = 0;
    uint64_t delay = UINT64_C(50) * restart->quick_ends++;
    restart->unready_ends = 0;
    *ret_delay_ms = (uint32_t)u64_min(delay, RESTART_SERVED_MAX_MS);
    return true;
}
