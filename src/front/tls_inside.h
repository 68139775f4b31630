/* front/tls_inside.h - what front/tls.c and front/tls_attested.c (identities) and front/tls_session.c (sessions) share.
 *
 * WHAT      The identity.   PROMISE It does not change once it is in use.   THREADS Any; `references` is atomic.
 * OWNERSHIP The last reference frees it.   ERRORS As front/tls.h.   SECRETS As front/tls.h.
 */
#ifndef FRONT_TLS_INSIDE_H
#define FRONT_TLS_INSIDE_H

#include <gnutls/gnutls.h>
#include <pthread.h>
#include <stdatomic.h>

#include "crypto/attested_leaf.h"
#include "front/tls.h"

struct tls_identity {
    _Atomic uint32_t references;
    gnutls_certificate_credentials_t credentials;
    gnutls_datum_t ticket_key;
    uint32_t client_auth; /* enum tls_client_auth */
    bool has_authority;   /* of clients */
    bool attested;        /* and then there is no ticket key */
    uint8_t spki_digest[LEAF_SPKI_DIGEST_SIZE];
    struct tls_known known;
    const struct config_text_list *rows; /* borrowed */
};

struct tls {
    const struct config_text_list *rows;
    bool attested;
    pthread_mutex_t current_lock; /* current */
    struct tls_identity *current; /* NULL: none yet */
};

struct tls_identity *tls_identity_new(void);
void tls_identity_release(struct tls_identity *identity); /* takes NULL */
void tls_identity_releasep(struct tls_identity **identity);
/* Later sessions begin with it; returns the one before, for the caller to release. */
struct tls_identity *tls_put(struct tls *tls, struct tls_identity *identity);

#endif
