/* crypto/mac.h - HMAC-SHA256 (RFC 2104).
 *
 * WHAT      A message authentication code over a list of parts, as if they stood one after the other.
 * PROMISE   Parts are not separated here: callers begin with a label that ends in a zero byte and use parts of fixed
 *           length, so that no two lists give the same bytes.
 * THREADS   Any: pure.   OWNERSHIP Borrows.   ERRORS None.
 * SECRETS   The key; its copies on the stack are wiped.
 */
#ifndef CRYPTO_MAC_H
#define CRYPTO_MAC_H

#include "base/span.h"

enum {
    MAC_SIZE = 32
};

void mac_hmac_sha256(struct span key,
                     const struct span *parts,
                     size_t count,
                     uint8_t ret_mac[static MAC_SIZE]);

enum {
    MAC_SHORT_MAX = 128
};
/* The same, of one short message under a key of 32 bytes, with the processor's SHA instructions: several times as fast. Of the key no
 * more stays than what SHA-256 leaves on the stack (crypto/sha256.h): for keys that are used once.
 */
void mac_hmac_sha256_once(const uint8_t key[static 32],
                          struct span message,
                          uint8_t ret_mac[static MAC_SIZE]);

#endif
