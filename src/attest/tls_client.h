/* attest/tls_client.h - attested TLS, as a client.
 *
 * WHAT      TLS 1.3 over a socket, whose other end is who atls_check_leaf() says: by OpenSSL, without waiting.
 * PROMISE   No byte is given or taken before the certificate has been checked and the handshake has shown that the other end has
 *           its key. Each session is checked by itself: nothing is resumed, no ticket is kept. TLS 1.3 alone.
 * THREADS   A client: any thread, it doesn't change. A session: one at a time.
 * OWNERSHIP atls_client_free() after its sessions; the policy and the descriptor are borrowed for as long.
 * ERRORS    ATLS_FAILED, then atls_session_error() says why: ATTEST_* (refused by the check), IO (the handshake or the connection
 *           broke).
 * SECRETS   The keys of the session, and one record each way, in OpenSSL's memory.
 */
#ifndef ATTEST_TLS_CLIENT_H
#define ATTEST_TLS_CLIENT_H

#include "attest/atls.h"

struct atls_client;
struct atls_session;

enum atls_progress {
    ATLS_DONE,
    ATLS_WANTS_TO_READ,
    ATLS_WANTS_TO_WRITE,
    ATLS_ENDED, /* the other end has said so */
    ATLS_FAILED
};

CC_ERR atls_client_new(const struct atls_policy *policy, struct atls_client **ret_client);
void atls_client_free(struct atls_client *client); /* takes NULL */

/* `fd` is connected, or is about to be; `name` is sent as the server's name when it is one (not an address). */
CC_ERR atls_session_new(const struct atls_client *client,
                        int fd,
                        const char *name,
                        struct atls_session **ret_session);
void atls_session_free(struct atls_session *session); /* takes NULL; sends nothing */

/* One step of the handshake; ATLS_DONE: the other end is who it should be. */
enum atls_progress atls_session_shake_hands(struct atls_session *session);
/* After the handshake. */
const struct atls_peer *atls_session_peer(const struct atls_session *session);
/* After a refusal: its registers, where they are known (atls_check_leaf()). */
const struct atls_peer *atls_session_refused_peer(const struct atls_session *session);
cc_err atls_session_error(const struct atls_session *session);
const char *atls_session_detail(const struct atls_session *session);

/* Some bytes, at least one with ATLS_DONE. What a write has begun it must be given again. */
enum atls_progress
atls_session_read(struct atls_session *session, void *into, size_t room, size_t *ret_len);
enum atls_progress
atls_session_write(struct atls_session *session, const void *data, size_t len, size_t *ret_len);
/* Tells the other end that nothing more comes. */
enum atls_progress atls_session_end(struct atls_session *session);

#endif
