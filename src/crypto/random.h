/* crypto/random.h - random bytes from the kernel.
 *
 * WHAT      getrandom(2), and nothing between it and the caller.
 * PROMISE   All bytes are random, or there is an error.
 * THREADS   Any.   OWNERSHIP Borrows.   ERRORS SYSTEM.   SECRETS Makes them.
 */
#ifndef CRYPTO_RANDOM_H
#define CRYPTO_RANDOM_H

#include "base/error.h"

CC_ERR random_bytes(void *ret_bytes, size_t len);

#endif
