/* seal/envelope.h - a credential on its way from an operator's machine to the vault that gave the challenge.
 *
 * WHAT      What stands in a sealed box, sealing it, opening it, and whether it answers a challenge.
 * PROMISE   An envelope is good for one challenge: for its purpose, chamber, set, generation, operator, nonce and digest, and for the vault
 *           whose key the challenge names (threats T15, T26). One that is wrong in any of these is told from none.
 * THREADS   Any: pure.   OWNERSHIP By value.
 * ERRORS    CREDENTIAL: all that an envelope can be; a check that fails says not why. CRYPTO (sealing).
 * SECRETS   The credentials. envelope_wipep() ends them; what this file makes on its way is wiped here.
 *
 * Format: docs/formats.md, "Envelopes".
 */
#ifndef SEAL_ENVELOPE_H
#define SEAL_ENVELOPE_H

#include "base/span.h"

#include "secret/wipe.h"
#include "wire/seal.h"

enum {
    ENVELOPE_CREDENTIAL_SIZE = 32, /* of an operator, or a registration token */
    ENVELOPE_CREDENTIAL_MAX = SEAL_SHARE_SIZE
};

struct seal_envelope {
    uint8_t nonce[SEAL_NONCE_SIZE];
    uint8_t binding[32];
    uint32_t credential_len; /* 32; 33: a break-glass share */
    uint8_t credential[ENVELOPE_CREDENTIAL_MAX];
    /* What takes the credential's place: at registration, and where a challenge rolls. */
    struct {
        uint32_t factor; /* SEAL_FACTOR_NONE: nothing does */
        uint32_t memory_kib;
        uint32_t passes;
        uint8_t credential[ENVELOPE_CREDENTIAL_SIZE];
        uint32_t hint_len;
        uint8_t hint[SEAL_HINT_MAX];
    } next;
};

struct seal_box {
    uint32_t len;
    uint8_t bytes[SEAL_ENVELOPE_MAX];
};

static inline void envelope_wipep(struct seal_envelope *envelope)
{
    wipe(envelope, sizeof *envelope);
}

/* Sets nonce and binding to those of the challenge, and seals it for who gave that. `digest`: what is approved, or the
 * fingerprint that is registered for; else zeros.
 */
CC_ERR envelope_seal(struct seal_envelope *envelope,
                     const struct seal_challenge *challenge,
                     const uint8_t digest[static 32],
                     struct seal_box *ret_box);

CC_ERR envelope_open(const uint8_t box_public[static 32],
                     const uint8_t box_secret[static 32],
                     struct span box,
                     struct seal_envelope *ret_envelope);

/* Does it answer this challenge, over this digest? In constant time. */
CC_ERR envelope_check(const struct seal_envelope *envelope,
                      const struct seal_challenge *challenge,
                      const uint8_t digest[static 32]);

#endif
