/* support/atls_kit.h - certificates of attested TLS, right ones and others, and a server that shows them. By OpenSSL.
 *
 * WHAT      atls_leaf() makes what crypto/attested_leaf.c makes, but in the points that a test changes; struct atls_server answers on
 *           loopback, each connection on a thread of its own.
 */
#ifndef SUPPORT_ATLS_KIT_H
#define SUPPORT_ATLS_KIT_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "attest/binding.h"
#include "support/attest_kit.h"

/* How a leaf differs; zeros: in nothing. */
struct atls_shape {
    int documents; /* beyond the one: 1 is two of them, -1 none */
    bool strange_critical;
    bool strange;   /* an extension that nobody knows, not critical */
    bool version_1; /* and so without extensions */
    bool explicit_curve;
    bool sha384;
    EVP_PKEY *signer; /* NULL: the key itself */
    int64_t from_s;   /* beside five minutes ago */
    int64_t to_s;     /* beside two hours after that */
};

EVP_PKEY *atls_key(const char *curve);
/* SHA-384 of the SubjectPublicKeyInfo. */
void atls_digest(EVP_PKEY *key, uint8_t ret_digest[static ATTEST_SPKI_DIGEST_SIZE]);
X509 *
atls_leaf(EVP_PKEY *key, struct span document, uint64_t now_ms, const struct atls_shape *shape);
/* `buf` is overwritten. */
void atls_der(X509 *leaf, struct buf *buf);

/* A document about that key, by the kit's authority; `claims` NULL: kit_claims(). */
void atls_document(const struct attest_kit *kit,
                   EVP_PKEY *key,
                   const struct kit_claims *claims,
                   struct buf *ret_document);
extern const uint8_t atls_chamber[ATTEST_CHAMBER_ID_SIZE];
extern const uint8_t atls_config[ATTEST_CONFIG_DIGEST_SIZE];

/* Talks after the handshake; then the connection ends, with close_notify if this says true. */
typedef bool atls_talk(SSL *ssl, void *context);

struct atls_server {
    SSL_CTX *context;
    atls_talk *talk;
    void *talk_context;
    int port;
    _Atomic int handshakes; /* that ended well, by what the server saw */
    _Atomic int open;
    _Atomic uint64_t bytes; /* of clients, after their handshakes */
    /* private */
    int listener;
    pthread_t thread;
    _Atomic bool ending;
};

/* TLS 1.3, unless the context is changed before the start. `more` is a second certificate in the chain, NULL: none. */
void atls_server_open(struct atls_server *server, X509 *leaf, EVP_PKEY *key, X509 *more);
void atls_server_start(struct atls_server *server, atls_talk *talk, void *context);
void atls_server_close(struct atls_server *server);

#endif
