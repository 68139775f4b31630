/* front/atls.h - the front's own attested certificate: asked for, put in use, renewed.
 *
 * WHAT      A fresh key of TLS, a document about it from the enclave's module by way of the core (A_ATTEST), a certificate of both
 *           (crypto/attested_leaf.h) for later connections; again each `tls.atls.renew_minutes`, and sooner where the module's own
 *           certificate ends sooner.
 * PROMISE   What is in use stays in use when a renewal fails; that is logged, counted and tried again. A document that is not about
 *           the key that it was asked for is not used.
 * THREADS   The room's main thread; the answer is noted by the thread that reads door A.
 * OWNERSHIP Borrows exchange and TLS; atls_release() after exchange_stop(), and before exchange_release().
 * ERRORS    Logged here; no others come out.
 * SECRETS   The private key while its document is on the way, and on its way to GnuTLS in a buffer that is wiped.
 */
#ifndef FRONT_ATLS_H
#define FRONT_ATLS_H

#include "crypto/attested_leaf.h"
#include "front/exchange.h"
#include "front/tls.h"

struct atls {
    struct exchange *exchange;
    struct tls *tls;
    uint64_t renew_ms;
    bool in_use; /* there is a certificate */
    /* private */
    struct attested_key *key; /* a document about it is on the way */
    uint8_t spki_digest[LEAF_SPKI_DIGEST_SIZE];
    struct ticket *ticket;
    _Atomic bool answered;
    uint64_t due_ms; /* of the next document, by clock_mono_ms() */
};

/* Goes all the way once, with a document of its own: after that no code runs for the first time. Before the room is locked. */
CC_ERR atls_init(struct exchange *exchange,
                 struct tls *tls,
                 uint32_t renew_minutes,
                 struct atls *ret_atls);
void atls_release(struct atls *atls);
/* To be called about ten times a second, once answers of the core are read. */
void atls_tick(struct atls *atls, uint64_t now_ms);

#endif
