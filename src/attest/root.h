/* attest/root.h - the certificate that documents are trusted for.
 *
 * WHAT      Reads a root from a file, in DER or PEM; and what a file with a document holds, which is bytes or base64.
 * PROMISE   A file with more than one certificate is refused: it would not be clear which one is trusted.
 * THREADS   Any.   OWNERSHIP The caller releases the buf.
 * ERRORS    IO, LIMIT, NO_MEMORY, ATTEST_FORMAT.   SECRETS None.
 */
#ifndef ATTEST_ROOT_H
#define ATTEST_ROOT_H

#include "base/span.h"

enum {
    ATTEST_ROOT_MAX = 8192 /* of the file */
};

/* For attest_policy.root_der. */
CC_ERR attest_root_read(const char *path, struct buf *ret_der);
/* The same from the file's content. */
CC_ERR attest_root_decode(struct span content, struct buf *ret_der);
/* A document as it is, or in base64 with line ends. */
CC_ERR attest_bytes_decode(struct span content, struct buf *ret_bytes);

#endif
