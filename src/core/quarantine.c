#include "core/quarantine.h"

#include "base/num.h"

#include "slash/guard.h"

bool quarantine_epoch(const struct eth_network *network, uint64_t wall_ms, uint64_t *ret_epoch)
{
    const uint64_t now = wall_ms / 1000;
    if (network->genesis_time == 0 || network->seconds_per_slot == 0)
        return false;
    const uint64_t slot =
        now < network->genesis_time ? 0 : (now - network->genesis_time) / network->seconds_per_slot;
    *ret_epoch = network_epoch_of(network, slot);
    return true;
}

bool quarantine_floor(const struct quarantine *quarantine,
                      uint64_t wall_ms,
                      struct slash_watermark *ret_floor)
{
    uint64_t now = 0;
    if (!quarantine->epochs || !quarantine_epoch(quarantine->network, wall_ms, &now))
        return false;
    *ret_floor = slash_floor_of(u64_add_sat(now, quarantine->epochs),
                                quarantine->network->preset.slots_per_epoch);
    return true;
}

/* The epoch of the watermark that a verdict ran into; 0 for other verdicts. */
static uint64_t watermark_epoch(const struct eth_network *network,
                                const struct slash_verdict *verdict)
{
    if (verdict->rule == SLASH_BLOCK_BELOW)
        return network_epoch_of(network, verdict->earlier_slot);
    return verdict->rule == SLASH_SOURCE_BELOW || verdict->rule == SLASH_TARGET_BELOW
               ? verdict->earlier_target
               : 0;
}

enum slash_rule quarantine_rule(const struct quarantine *quarantine,
                                uint64_t wall_ms,
                                const struct slash_verdict *verdict)
{
    uint64_t now = 0;
    return quarantine_epoch(quarantine->network, wall_ms, &now) &&
                   watermark_epoch(quarantine->network, verdict) > now
               ? SLASH_QUARANTINED
               : verdict->rule;
}
