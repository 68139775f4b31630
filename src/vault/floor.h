/* vault/floor.h - what the vault itself has signed for one key in this life.
 *
 * WHAT      The last few blocks and attestations of a key with their roots, and a watermark that rises to what leaves
 *           the window. The rules are slash/rules.h, as in the history: this is a second, independent memory of it.
 * PROMISE   From one floor no two conflicting messages are ever allowed, in whatever order and number they are asked
 *           for (C9). A kept message is allowed again; one that left the window is refused.
 * THREADS   None of its own: the holder locks (vault/key_table.h).
 * OWNERSHIP By value; a floor of zeros is a floor that has signed nothing.
 * ERRORS    None: every claim has a verdict.   SECRETS None.
 */
#ifndef VAULT_FLOOR_H
#define VAULT_FLOOR_H

#include "slash/rules.h"

/* Clients repeat a message within its own slot or epoch; the window only has to outlast that. */
enum {
    FLOOR_ATTESTATIONS = 8,
    FLOOR_BLOCKS = 4
};

struct floor {
    struct slash_watermark low;
    uint32_t attestation_count;
    uint32_t block_count;
    struct slash_attestation attestations[FLOOR_ATTESTATIONS];
    struct slash_block blocks[FLOOR_BLOCKS];
};

/* Judges and, where it may be signed, records. The message must be signed after this, never before. */
struct slash_verdict floor_admit_block(struct floor *floor, const struct slash_block *block);
struct slash_verdict floor_admit_attestation(struct floor *floor,
                                             const struct slash_attestation *attestation);

#endif
