/* crypto/self_test.h - known answers, before anything depends on them.
 *
 * WHAT      Runs each primitive once on a published vector.
 * PROMISE   After CC_OK every primitive works here, and the libraries have loaded and chosen all that they ever will:
 *           no file is opened after it, so a sandbox may forbid that.
 * THREADS   First the main thread, before any other use; then each thread that will use them under a sandbox: malloc()
 *           and OpenSSL set things up per thread.
 * OWNERSHIP None.   ERRORS CRYPTO.   SECRETS None.
 */
#ifndef CRYPTO_SELF_TEST_H
#define CRYPTO_SELF_TEST_H

#include "base/error.h"

CC_ERR crypto_self_test(void);

#endif
