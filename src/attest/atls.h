/* attest/atls.h - whose TLS connection is this? What a client of attested TLS asks of the other end.
 *
 * WHAT      Checks the certificate that a server shows in its handshake, and documents that it gives later on the same connection:
 *           the enclave's image, chamber and configuration, and that the document was made for this key of TLS.
 * PROMISE   atls_check_leaf() accepts nothing but the one form (crypto/attested_leaf.h) with a document that attest_verify() and the
 *           binding hold good, within all times. It doesn't show that the other end has the key: the handshake does, and both must
 *           succeed (attest/tls_client.h).
 * THREADS   Any: pure, but for the clock.
 * OWNERSHIP Borrows what struct atls_policy points to.
 * ERRORS    ATTEST_LEAF, and those of attest/verify.h and attest/binding.h.
 * SECRETS   None.
 */
#ifndef ATTEST_ATLS_H
#define ATTEST_ATLS_H

#include "attest/binding.h"
#include "attest/verify.h"

enum {
    ATLS_NONCE_SIZE = 32,
    ATLS_LIFE_MAX_S = 2 * 60 * 60 /* of a leaf */
};

struct atls_policy {
    struct attest_policy
        attest; /* its now_ms, nonce, user_data and public_key are not used: they are set for each check */
    const uint8_t *chamber_id;    /* NULL: any */
    const uint8_t *config_digest; /* NULL: any */
};

struct atls_peer {
    struct attest_binding binding;
    bool pcrs_known;
    struct attest_pcrs pcrs;
    uint64_t timestamp_ms; /* of the document */
    uint64_t
        until_ms; /* by the wall clock: from then on a new check is needed; UINT64_MAX: never */
};

/* `der` is the only certificate that the server has shown. Where another image, chamber or key is why it is refused, the registers in
 * *ret_peer are its enclave's all the same; nothing else in it is.
 */
CC_ERR
atls_check_leaf(struct span der, const struct atls_policy *policy, struct atls_peer *ret_peer);

/* From then on, in seconds since 1970, no verifier takes the document: the first of its certificates has ended, up to the root's. */
CC_ERR atls_document_end(const struct attest_document *document, uint64_t *ret_end_s);

/* A document that came over the connection of `peer`: it must have that nonce, and be of the same key, chamber and
 * configuration. `nonce` is ATLS_NONCE_SIZE bytes.
 */
CC_ERR atls_check_live(struct span document,
                       const struct atls_policy *policy,
                       const struct atls_peer *peer,
                       const uint8_t nonce[static ATLS_NONCE_SIZE]);

#endif
