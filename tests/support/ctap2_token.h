/* support/ctap2_token.h - a FIDO2 security key in this process: CTAP 2.0 with hmac-secret, and a PIN if it has one.
 *
 * Below libfido2's own transport: commands and their CBOR, no HID frames. Cryptography by OpenSSL.
 */
#ifndef SUPPORT_CTAP2_TOKEN_H
#define SUPPORT_CTAP2_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

struct fido_dev;

struct ctap2_token {
    const char *pin;     /* NULL: none */
    uint8_t seed[32];    /* what its credentials are made from */
    bool no_hmac_secret; /* has not the extension */
    bool not_touched;    /* nobody touches it */
    /* what was seen */
    int made, asserted, wrong_pins;
    bool last_had_pin;
};

/* One at a time: an opened libfido2 device that talks to `token`; fido2_close() ends it. */
struct fido_dev *ctap2_token_open(struct ctap2_token *token);

#endif
