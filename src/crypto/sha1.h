/* crypto/sha1.h - SHA-1, for names that other programs have made with it.
 *
 * WHAT      The AWS CLI names a file of its SSO cache after the SHA-1 of the session's name. Never for security.
 * PROMISE   As FIPS 180-4.
 * THREADS   Any.   OWNERSHIP Borrows.   ERRORS CRYPTO (a build of OpenSSL without SHA-1).   SECRETS None.
 */
#ifndef CRYPTO_SHA1_H
#define CRYPTO_SHA1_H

#include "base/span.h"

enum {
    SHA1_SIZE = 20
};

CC_ERR sha1(struct span data, uint8_t ret_digest[static SHA1_SIZE]);

#endif
