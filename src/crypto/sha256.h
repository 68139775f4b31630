/* crypto/sha256.h - SHA-256 of what lies in memory.
 *
 * WHAT      One-shot SHA-256, and the form that Merkle trees are made of: two nodes to their parent.
 * PROMISE   No allocation, no failure; uses the processor's SHA instructions where it has them.
 * THREADS   Any: pure.   OWNERSHIP Borrows.   ERRORS None.
 * SECRETS   Not for secrets: the working state on the stack is not wiped (HMAC and KDFs are in crypto/hkdf.h).
 */
#ifndef CRYPTO_SHA256_H
#define CRYPTO_SHA256_H

#include "base/span.h"

enum {
    SHA256_SIZE = 32
};

void sha256(struct span data, uint8_t ret_digest[static SHA256_SIZE]);

/* SHA-256 of the 64 bytes at `pair`; `ret_parent` may be `pair`. */
void sha256_pair(const uint8_t pair[static 2 * SHA256_SIZE],
                 uint8_t ret_parent[static SHA256_SIZE]);

#endif
