/* cli/operator_hand.h - what this operator holds, opened when it is needed and once for all signers.
 *
 * WHAT      A passphrase (given, asked at the terminal, or made), the YubiKey or the security key that is plugged in; credentials out of a challenge.
 * PROMISE   Nothing is asked of a person or a device for a challenge that challenge_accept() has not passed: that comes first. A passphrase that
 *           is made is shown at the terminal, or written to a new file, before anything is sent.
 * THREADS   One.
 * OWNERSHIP operator_hand_release() wipes and closes; it takes zeros.
 * ERRORS    FACTOR, MALFORMED, IO, NUMBER_RANGE, NO_MEMORY.
 * SECRETS   Passphrase and PIN, here; credentials are the caller's.
 */
#ifndef CLI_OPERATOR_HAND_H
#define CLI_OPERATOR_HAND_H

#include "cli/operator_wanted.h"
#include "cli/secret_source.h"
#include "seal/factor_fido2.h"
#include "seal/factor_hidraw.h"
#include "wire/seal.h"

struct operator_hand {
    const struct operator_wanted *wanted;
    uint32_t
        mode; /* at registration, of the set (enum seal_mode): what a passphrase of one's own is held to */
    struct secret_text passphrase; /* len 0: not asked yet */
    struct span passphrase_span;
    struct secret_text pin;
    struct hidraw yubikey;
    struct yubikey_port port;
    struct fido2 fido2;
};

void operator_hand_release(struct operator_hand *hand);

/* Makes ready what is registered now: SEAL_FACTOR_... */
CC_ERR operator_hand_begin(struct operator_hand *hand, uint32_t factor);

enum hand_which {
    HAND_PRESENT, /* what the challenge asks for */
    HAND_NEXT     /* what takes its place */
};

/* FIDO2: with the hint of the challenge, or of operator_hand_enroll(). */
CC_ERR operator_hand_derive(struct operator_hand *hand,
                            const struct seal_challenge *challenge,
                            uint32_t factor,
                            enum hand_which which,
                            struct secret32 *ret_credential);

/* Of the credential that takes the place of the present one. */
void operator_hand_cost(const struct seal_challenge *c,
                        uint32_t *ret_memory_kib,
                        uint32_t *ret_passes);

/* FIDO2: makes the credential in the key. */
CC_ERR operator_hand_enroll(struct operator_hand *hand, const struct seal_challenge *challenge);

#endif
