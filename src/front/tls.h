/* front/tls.h - TLS of the front: certificates, sessions, client certificates.
 *
 * WHAT      What GnuTLS needs beside libmicrohttpd, which reads and writes the records: the identity in use (certificate, key,
 *           authorities of clients, key of the session tickets), put under each new session; and who the client is.
 * PROMISE   tls_load() and tls_attest() put another identity in place, or change nothing; a session keeps the one that it began with. TLS 1.2
 *           and 1.3, forward secrecy and AEAD only; ALPN is http/1.1 where the client uses it. A session is resumed only
 *           under the identity that made its ticket, so that what was decided about a client is never older than the files.
 *           Under an attested identity: TLS 1.3 alone, and nothing is resumed.
 * THREADS   tls_begin, tls_identify, tls_end, tls_peer_digest: the loop of the connection; tls_is_ready: any; tls_load, tls_attest,
 *           tls_forget: the room's main thread.
 * OWNERSHIP tls_free() after the last tls_end().
 * ERRORS    CONFIG: files that are refused, and why, by name; UNAUTHENTICATED: a client certificate that is not accepted.
 * SECRETS   The private key and the tickets' key lie in GnuTLS's heap memory (docs/secrets.md).
 */
#ifndef FRONT_TLS_H
#define FRONT_TLS_H

#include "config/config.h"
#include "front/tls_clients.h"
#include "wire/tls_files.h"

struct tls;
struct tls_identity;

/* Of one connection. */
struct tls_peer {
    struct tls_identity *identity; /* NULL: no TLS, or not begun */
    bool identified;               /* in the handshake, or by tls_identify() */
    bool told;                     /* for the caller's use */
    bool shook_hands;
    uint16_t certificate;                      /* 1 + the row of auth.certificates; 0: none */
    uint8_t fingerprint[TLS_FINGERPRINT_SIZE]; /* zeros: no certificate */
};

/* A session that nobody has begun finds no certificate (gnutls_certificate_retrieve_function2, for libmicrohttpd). */
typedef void tls_function(void);
extern tls_function *const tls_no_certificate;
/* `rows` are those of auth.certificates, borrowed. There is no identity before tls_load() or tls_attest(), of which `attested`
 * says which it will be.
 */
CC_ERR tls_new(const struct config_text_list *rows, bool attested, struct tls **ret_tls);
void tls_free(struct tls *tls); /* takes NULL */
CC_ERR tls_load(struct tls *tls, const struct tls_files *files);
/* GnuTLS's words for the versions and ciphers, for libmicrohttpd. */
const char *tls_priorities(const struct tls *tls);

/* A certificate with an attestation document, and its key in PKCS#8 (crypto/attested_leaf.h). */
struct tls_attested {
    struct span certificate;    /* DER */
    struct span key;            /* DER */
    const uint8_t *spki_digest; /* LEAF_SPKI_DIGEST_SIZE bytes */
    uint64_t end_s;             /* of the wall clock: until then clients take it */
};
CC_ERR tls_attest(struct tls *tls, const struct tls_attested *attested);
/* Takes the identity out of use: later connections are refused until there is another one. */
void tls_forget(struct tls *tls);
/* True when connections can be served, or there is no TLS (NULL). */
bool tls_is_ready(struct tls *tls);
/* The digest of the key that the connection's session began with; NULL: it is not attested. */
const uint8_t *tls_peer_digest(const struct tls_peer *peer);

/* Before the handshake: `session` is a gnutls_session_t. False: it can't be served. `peer` stays where it is until tls_end(). */
bool tls_begin(struct tls *tls, void *session, struct tls_peer *peer);
/* What a handshake that can't go on waits for. */
bool tls_wants_to_write(void *session);
/* Fills in who the client is, once a connection; after the handshake. */
CC_ERR tls_identify(void *session, struct tls_peer *peer);
/* After the session is gone. */
void tls_end(struct tls_peer *peer);

#endif
