/* crypto/sha512.h - SHA-512 by libsodium.
 *
 * WHAT      A digest over a list of parts, as if they stood one after the other.
 * PROMISE   Parts are not separated here: callers use parts of fixed length, or end them.
 * THREADS   Any: pure.   OWNERSHIP Borrows.   ERRORS None.   SECRETS None: nothing is wiped.
 */
#ifndef CRYPTO_SHA512_H
#define CRYPTO_SHA512_H

#include "base/span.h"

enum {
    SHA512_SIZE = 64
};

void sha512(const struct span *parts, size_t count, uint8_t ret_digest[static SHA512_SIZE]);

#endif
