/* support/ledger.h - an independent record of what was signed, that finds slashable pairs.
 *
 * It knows nothing of watermarks: it compares every pair, as a slasher on the network would.
 */
#ifndef SUPPORT_LEDGER_H
#define SUPPORT_LEDGER_H

#include <stdbool.h>

#include "wire/door_b.h"

struct ledger_entry {
    struct eth_pubkey pubkey;
    bool is_block;
    uint64_t slot;
    uint64_t source;
    uint64_t target;
    struct signing_root root;
};

struct ledger {
    struct ledger_entry *entries;
    size_t count;
    size_t cap;
};

/* Adds what was signed (an answer without error to a slashable claim); false when it makes a slashable pair. */
bool ledger_add(struct ledger *ledger, const struct b_sign *request, const struct b_signed *answer);
void ledger_release(struct ledger *ledger);

#endif
