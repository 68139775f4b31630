/* vault/ceremony.h - operators at the vault: what they are asked, and what they bring.
 *
 * WHAT      Challenges, and the envelopes that answer them: to register, to unseal, to approve a digest, to rehearse, to give a
 *           break-glass share.
 * PROMISE   An envelope counts for the purpose, chamber, set, operator, nonce and digest of one challenge of this vault, which is not
 *           older than CHALLENGE_LIFE_MS; the nonce of one that was right is used (T15, T26). What is wrong is CREDENTIAL, and not told
 *           more. Names that are no operators' get challenges like others', the same each time (T16). An approval counts
 *           towards exactly its digest, and is one only when the collected shares have opened the present set's master key (T1, P23). A
 *           share that does not fit its commitment is none (T18). An operator registers once (T14). Challenges cost no memory, and
 *           wrong envelopes change nothing: nobody can crowd out the right ones (T29).
 * THREADS   Any; under sets.lock.
 * OWNERSHIP Borrows.
 * ERRORS    CREDENTIAL, SEALED (the KMS layer is not open), SEAL_STATE, PROTOCOL, EXISTS (registered already), BUSY, CRYPTO, SYSTEM.
 * SECRETS   Credentials, on the stack of one call; shares, until their quorum is there; the keys of boxes and nonces. `now_ms` is
 *           monotonic.
 */
#ifndef VAULT_CEREMONY_H
#define VAULT_CEREMONY_H

#include "vault/sets.h"

/* Argon2id's cost for a credential: nothing is registered that is weaker (T16), or that the command line would not derive again. */
enum {
    CREDENTIAL_MEMORY_MIN_KIB = 256 * 1024,
    CREDENTIAL_MEMORY_MAX_KIB = 2 * 1024 * 1024,
    CREDENTIAL_PASSES_MIN = 3,
    CREDENTIAL_PASSES_MAX = 16
};

CC_ERR ceremony_challenge(struct sets *sets,
                          const struct b_challenge *request,
                          uint64_t now_ms,
                          struct seal_challenge *ret_challenge);
/* Fills state, changed and set. */
CC_ERR ceremony_envelope(struct sets *sets,
                         const struct b_envelope *request,
                         uint64_t now_ms,
                         struct b_enveloped *ret_answer);

#endif
