/* attest/proxy.h - plain connections carried to an enclave that has been verified, many at a time.
 *
 * WHAT      The engine of `attest proxy`: a client that knows nothing of attestation connects here, and for each of its connections
 *           one of attested TLS is opened to the signer; then bytes go both ways.
 * PROMISE   No byte of a client leaves before the other end has been verified for this very connection (attest/tls_client.h). When it
 *           can't be, the client gets 502 and the end of the connection, never anything else. No connection outlives the document
 *           that it was opened with. What breaks off without the signer's word that it was complete breaks off for a client over TCP
 *           too, by a reset; a Unix socket has none, and its client sees an end. It never blocks but in attest_proxy_turn(). A slow client or signer holds two buffers, and up nobody else.
 * THREADS   One; names are looked up by a thread of their own (net/name_watch.h).
 * OWNERSHIP attest_proxy_free() closes everything; the policy is borrowed.
 * ERRORS    SYSTEM, NO_MEMORY, CRYPTO, and those of endpoint_listen().
 * SECRETS   What clients send, tokens too, for the moment that it is here; wiped with its connection.
 */
#ifndef ATTEST_PROXY_H
#define ATTEST_PROXY_H

#include "base/endpoint.h"

#include "attest/atls.h"
#include "net/name_watch.h"

enum {
    ATTEST_PROXY_CONNECTIONS = 1024, /* at one time, unless it is said otherwise */
    ATTEST_PROXY_CONNECTIONS_MAX = 16384,
    ATTEST_PROXY_PATIENCE_MS = 10000 /* for connection and handshake */
};

struct attest_proxy_options {
    struct endpoint listen;
    struct endpoint signer;
    bool has_metrics;
    struct endpoint metrics;
    const struct atls_policy *policy;
    uint32_t connections; /* further clients wait; 0: ATTEST_PROXY_CONNECTIONS */
    uint32_t patience_ms; /* 0: ATTEST_PROXY_PATIENCE_MS */
    mode_t unix_mode;     /* of Unix sockets; 0: 0600 */
};

struct attest_proxy;

CC_ERR attest_proxy_new(const struct attest_proxy_options *options,
                        struct attest_proxy **ret_proxy);
void attest_proxy_free(struct attest_proxy *proxy); /* takes NULL */
/* Does what there is to do, after at most `wait_ms`. */
CC_ERR attest_proxy_turn(struct attest_proxy *proxy, uint32_t wait_ms);
/* Takes no more clients, and ends each connection as soon as no answer is on its way. */
void attest_proxy_drain(struct attest_proxy *proxy);
uint32_t attest_proxy_open(const struct attest_proxy *proxy);
/* Of TCP listeners; 0: none. */
uint16_t attest_proxy_port(const struct attest_proxy *proxy);
uint16_t attest_proxy_metrics_port(const struct attest_proxy *proxy);
/* Appends counters in Prometheus text format. */
CC_ERR attest_proxy_report(const struct attest_proxy *proxy, struct buf *out);

#endif
