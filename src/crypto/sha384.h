/* crypto/sha384.h - SHA-384 by OpenSSL.
 *
 * WHAT      A digest over a list of parts, as if they stood one after the other.
 * PROMISE   Parts are not separated here: callers use parts of fixed length, or end them.
 * THREADS   Any: pure.   OWNERSHIP Borrows.   ERRORS CRYPTO.   SECRETS None: nothing is wiped.
 */
#ifndef CRYPTO_SHA384_H
#define CRYPTO_SHA384_H

#include "base/span.h"

enum {
    SHA384_SIZE = 48
};

CC_ERR sha384(const struct span *parts, size_t count, uint8_t ret_digest[static SHA384_SIZE]);

#endif
