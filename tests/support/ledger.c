#include "support/ledger.h"

#include <stdlib.h>
#include <string.h>

static bool same(const struct ledger_entry *a, const struct ledger_entry *b)
{
    return memcmp(&a->root, &b->root, sizeof a->root) == 0;
}

static bool slashable(const struct ledger_entry *a, const struct ledger_entry *b)
{
    if (a->is_block != b->is_block || memcmp(&a->pubkey, &b->pubkey, sizeof a->pubkey) != 0)
        return false;
    if (a->is_block)
        return a->slot == b->slot && !same(a, b);
    if (a->target == b->target)
        return !same(a, b);
    return (a->source < b->source && b->target < a->target) ||
           (b->source < a->source && a->target < b->target);
}

bool ledger_add(struct ledger *ledger, const struct b_sign *request, const struct b_signed *answer)
{
    bool clean = true;
    if (answer->error || request->claim == B_CLAIM_OBJECT)
        return true;
    struct ledger_entry e = {.pubkey = request->pubkey,
                             .is_block = request->claim == B_CLAIM_BLOCK,
                             .root = answer->root};
    if (e.is_block) {
        e.slot = request->body.block.slot;
    } else {
        e.source = request->body.attestation.source.epoch;
        e.target = request->body.attestation.target.epoch;
    }
    for (size_t i = 0; i < ledger->count; i++)
        clean = clean && !slashable(&ledger->entries[i], &e);
    if (ledger->count == ledger->cap) {
        ledger->cap = ledger->cap ? 2 * ledger->cap : 256;
        ledger->entries = realloc(ledger->entries, ledger->cap * sizeof e);
        if (!ledger->entries)
            abort();
    }
    ledger->entries[ledger->count++] = e;
    return clean;
}

void ledger_release(struct ledger *ledger)
{
    free(ledger->entries);
    *ledger = (struct ledger){.entries = NULL};
}
