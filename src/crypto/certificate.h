/* crypto/certificate.h - chains of X.509 certificates of the one shape that attestation has, by OpenSSL.
 *
 * WHAT      A chain from a root that the caller trusts down to the certificate of a key that signs, and what that key signed
 *           (ES384: ECDSA over P-384 with SHA-384).
 * PROMISE   Every key is on P-384 by name, every signature ecdsa-with-SHA384, every certificate but the last an authority
 *           (RFC 5280: basicConstraints, keyCertSign, path lengths, no unknown critical extension), each issued by the one
 *           before it; all are valid at the time asked for. Nothing but the first is trusted, and no revocation list is asked:
 *           AWS publishes none that could be relied on.
 * THREADS   Any: pure.   OWNERSHIP Borrows.
 * ERRORS    ATTEST_CHAIN, ATTEST_TIME, ATTEST_SIGNATURE, NO_MEMORY.
 * SECRETS   None.
 */
#ifndef CRYPTO_CERTIFICATE_H
#define CRYPTO_CERTIFICATE_H

#include "base/span.h"

enum {
    CERTIFICATE_CHAIN_MAX = 8,
    CERTIFICATE_ES384_SIZE = 96
};

/* When a chain has to be valid, in milliseconds since 1970. A certificate may begin `leeway_ms` after it: the clock of who
 * checks may be behind that of who issues. None may have ended.
 */
struct certificate_time {
    uint64_t at_ms;
    uint32_t leeway_ms;
};

/* Checks `count` certificates in DER, at least two, the trusted root first, at `times`, all of them. */
CC_ERR certificate_chain_check(const struct span *chain,
                               size_t count,
                               const struct certificate_time *times,
                               size_t time_count);

/* Checks that the key of a certificate signed the parts, one after the other. Its chain is checked by the caller. */
CC_ERR certificate_es384_check(struct span certificate,
                               const struct span *parts,
                               size_t count,
                               const uint8_t signature[static CERTIFICATE_ES384_SIZE]);

#endif
