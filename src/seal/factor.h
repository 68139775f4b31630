/* seal/factor.h - what an operator holds, as 32 bytes: on the operator's machine.
 *
 * WHAT      A factor answers a challenge: a passphrase with itself, a device with what it computes. Argon2id over the answer is the
 *           credential that the vault opens a share with.
 * PROMISE   What a server says is not trusted: a cost below the floors, or so high that it would stop this machine, is refused before
 *           anything is asked of the factor, and a device never gets a text of the server's choosing, but one that is bound to the chamber,
 *           the operator and the generation (threat T16).
 * THREADS   One.
 * OWNERSHIP Borrows.
 * ERRORS    FACTOR (no answer, or none that can be used), NUMBER_RANGE (a cost), NO_MEMORY.
 * SECRETS   Answers and credentials; on the stack, wiped.
 */
#ifndef SEAL_FACTOR_H
#define SEAL_FACTOR_H

#include "base/span.h"

#include "secret/wipe.h"

enum {
    FACTOR_MEMORY_MIN_KIB = 256 << 10,
    FACTOR_MEMORY_MAX_KIB = 2 << 20,
    FACTOR_PASSES_MIN = 3,
    FACTOR_PASSES_MAX = 16,
    FACTOR_ANSWER_MAX = 256,
    FACTOR_CHALLENGE_SIZE = 63 /* what slot 2 of a YubiKey takes */
};

/* What a signed challenge says of an operator's credential. */
struct factor_question {
    const uint8_t *chamber_id; /* 32 bytes */
    const char *name;
    uint32_t generation;
    const uint8_t *random; /* 32 bytes */
    const uint8_t *salt;   /* 32 bytes */
    uint32_t memory_kib;
    uint32_t passes;
};

struct factor_answer {
    uint8_t bytes[FACTOR_ANSWER_MAX];
    size_t len;
};

static inline void factor_answer_wipep(struct factor_answer *answer)
{
    wipe(answer, sizeof *answer);
}

struct factor {
    void *context;
    /* Waits for a touch where there is one to wait for. */
    CC_ERR(*answer)
    (void *context,
     const uint8_t challenge[static FACTOR_CHALLENGE_SIZE],
     struct factor_answer *ret_answer);
};

CC_ERR factor_check_cost(uint32_t memory_kib, uint32_t passes);

/* SHA-512 of label, chamber, name, generation and random part; its first 63 bytes. */
void factor_challenge(const struct factor_question *question,
                      uint8_t ret_challenge[static FACTOR_CHALLENGE_SIZE]);

/* Checks the cost, asks, derives. */
CC_ERR factor_derive(const struct factor *factor,
                     const struct factor_question *question,
                     struct secret32 *ret_credential);

#endif
