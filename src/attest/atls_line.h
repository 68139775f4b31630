/* attest/atls_line.h - one attested TLS connection, for who can wait.
 *
 * WHAT      attest/tls_client.h over a socket that stands, with patience instead of steps.
 * PROMISE   As there: atls_line_open() gives back a line whose other end has been verified, or none.
 * THREADS   One for each line.
 * OWNERSHIP atls_line_close(); the descriptor is the line's, whatever atls_line_open() comes to; the policy is borrowed.
 * ERRORS    ATTEST_* (refused), IO, SYSTEM, NO_MEMORY, CRYPTO.
 * SECRETS   As attest/tls_client.h.
 */
#ifndef ATTEST_ATLS_LINE_H
#define ATTEST_ATLS_LINE_H

#include "attest/atls.h"

struct atls_line;

struct atls_line_options {
    const struct atls_policy *policy;
    const char *name;     /* of the server, or its address */
    uint32_t patience_ms; /* for the handshake, and for each send and receive */
};

/* SIGPIPE is ignored in the process from then on. */
CC_ERR
atls_line_open(int fd, const struct atls_line_options *options, struct atls_line **ret_line);
void atls_line_close(struct atls_line *line); /* takes NULL */
void atls_line_closep(struct atls_line **line);
const struct atls_peer *atls_line_peer(const struct atls_line *line);
CC_ERR atls_line_send(struct atls_line *line, const void *data, size_t len);
/* Waits for some bytes; *ret_len 0: the other side has said that it has ended. */
CC_ERR atls_line_receive(struct atls_line *line, void *into, size_t room, size_t *ret_len);

#endif
