/* vault/floor.h - what the vault itself has signed for one key in this life.
 *
 * WHAT      The last few blocks and attestations of a key with their roots, and a watermark that rises to what leaves
 *           the window. The rules are slash/rules.h, as in the history: this is a second, independent memory of it.
 *           Beyond the window, keyed fingerprints of the roots that were signed last: a repeat gives nothing away.
 * PROMISE   From one floor no two conflicting messages are ever allowed, in whatever order and number they are asked
 *           for (C9). The same message is allowed again while it is among the last FLOOR_REMEMBERED (P18); an older
 *           one is refused.
 * THREADS   None of its own: the holder locks (vault/key_table.h).
 * OWNERSHIP By value; a floor of zeros is a floor that has signed nothing.
 * ERRORS    None: every claim has a verdict.
 * SECRETS   struct floor_secret, which keeps a captured core from searching for two roots of one fingerprint.
 */
#ifndef VAULT_FLOOR_H
#define VAULT_FLOOR_H

#include "slash/rules.h"

/* The window judges. It is far wider than what a key has in flight: threads of the vault sign in any order, and what
 * comes late must not be below it. The fingerprints cover some thirteen hours of attestations at 8 bytes each.
 */
enum {
    FLOOR_ATTESTATIONS = 32,
    FLOOR_BLOCKS = 16,
    FLOOR_REMEMBERED = 128
};

/* Random, one for a vault's life. */
struct floor_secret {
    uint8_t bytes[32];
};

struct floor {
    struct slash_watermark low;
    uint32_t attestation_count;
    uint32_t block_count;
    struct slash_attestation attestations[FLOOR_ATTESTATIONS];
    struct slash_block blocks[FLOOR_BLOCKS];
    uint32_t next_fingerprint;
    uint64_t fingerprints[FLOOR_REMEMBERED]; /* a ring; 0: none */
};

/* Judges and, where it may be signed, records. The message must be signed after this, never before. */
struct slash_verdict floor_admit_block(struct floor *floor,
                                       const struct floor_secret *secret,
                                       const struct slash_block *block);
struct slash_verdict floor_admit_attestation(struct floor *floor,
                                             const struct floor_secret *secret,
                                             const struct slash_attestation *attestation);

#endif
