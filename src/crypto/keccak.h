/* crypto/keccak.h - Keccak-256, for what Ethereum makes of it outside of consensus.
 *
 * WHAT      The hash before NIST changed its padding: checksums of addresses (EIP-55). Debian 12's OpenSSL has SHA-3 alone.
 * PROMISE   keccak_256() is that of the Keccak submission. For public data: nothing is wiped.
 * THREADS   Any: pure.   OWNERSHIP Borrows.   ERRORS None.   SECRETS None.
 */
#ifndef CRYPTO_KECCAK_H
#define CRYPTO_KECCAK_H

#include "base/span.h"

enum {
    KECCAK_SIZE = 32,
    KECCAK_PAD = 0x01,     /* Keccak's own */
    KECCAK_PAD_SHA3 = 0x06 /* FIPS 202: what a test compares with another implementation */
};

void keccak_256(struct span data, uint8_t ret_digest[static KECCAK_SIZE]);
/* With that first byte of padding. */
void keccak_padded(struct span data, uint8_t pad, uint8_t ret_digest[static KECCAK_SIZE]);

#endif
