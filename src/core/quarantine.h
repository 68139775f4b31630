/* core/quarantine.h - a key that is new here signs nothing for a while.
 *
 * WHAT      Where the low watermarks of a row begin that is made now (anti_slashing.new_key_policy), and what a refusal is called whose
 *           cause is a watermark ahead of the clock. Another signer that has the key too, or records that were not imported,
 *           have passed out of reach of a slashing by then, or have shown themselves on the chain.
 * PROMISE   A key that came in epoch e signs nothing of an epoch up to e + epochs, and no vote whose source is below e + epochs - 1.
 *           Where the clock says nothing (no genesis time) there is no quarantine.
 * THREADS   Any: pure.   OWNERSHIP Borrows.   ERRORS None.   SECRETS None.
 */
#ifndef CORE_QUARANTINE_H
#define CORE_QUARANTINE_H

#include "eth/network.h"
#include "slash/store.h"

struct quarantine {
    const struct eth_network *network;
    uint32_t epochs; /* 0: none */
};

/* The epoch at `wall_ms`; false where the network's genesis time is unknown. */
bool quarantine_epoch(const struct eth_network *network, uint64_t wall_ms, uint64_t *ret_epoch);
/* True when new rows begin at *ret_floor. */
bool quarantine_floor(const struct quarantine *quarantine,
                      uint64_t wall_ms,
                      struct slash_watermark *ret_floor);
/* QUARANTINED for a verdict of a low watermark that lies in a later epoch than now; else the verdict's rule. */
enum slash_rule quarantine_rule(const struct quarantine *quarantine,
                                uint64_t wall_ms,
                                const struct slash_verdict *verdict);

#endif
