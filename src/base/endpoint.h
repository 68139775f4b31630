/* base/endpoint.h - where something listens, or is reached: one name for TCP, Unix sockets and vsock.
 *
 * WHAT      tcp:HOST:PORT (IPv6 in brackets), unix:/path, vsock:CID:PORT; to listen on any interface, vsock:any:PORT. Reads
 *           and writes such names, listens there, begins connections there.
 * PROMISE   Strict: each endpoint has one spelling (names in small letters, numbers without leading zeros), so that equal
 *           endpoints are equal texts. A Unix socket that somebody listens on is never replaced, and its file never has a
 *           wider mode than asked for. No name is looked up here.
 * THREADS   Any; endpoint_listen() of a Unix socket changes the process's umask for a moment.
 * OWNERSHIP By value; descriptors are the caller's, non-blocking and close-on-exec.
 * ERRORS    MALFORMED with what is wrong as the detail; SYSTEM, EXISTS, LOCKED (somebody listens there), IO, BUSY.
 * SECRETS   None.
 */
#ifndef BASE_ENDPOINT_H
#define BASE_ENDPOINT_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/span.h"

enum {
    ENDPOINT_HOST_SIZE = 256,
    ENDPOINT_TEXT_SIZE = 288
};

enum endpoint_kind {
    ENDPOINT_TCP,
    ENDPOINT_UNIX,
    ENDPOINT_VSOCK
};

#define ENDPOINT_ANY_CID UINT32_MAX

struct endpoint {
    enum endpoint_kind kind;
    bool literal;                  /* tcp: the host is an address */
    uint32_t cid;                  /* vsock */
    uint32_t port;                 /* tcp, vsock; tcp 0: any free one, to listen on */
    char host[ENDPOINT_HOST_SIZE]; /* tcp: without brackets; unix: the path */
};

struct endpoint_address {
    struct sockaddr_storage storage;
    socklen_t len;
};

CC_ERR endpoint_parse(struct span text, struct endpoint *ret_endpoint);
/* vsock:CID, all ports of one machine; not `any`. */
CC_ERR endpoint_cid(struct span text, uint32_t *ret_cid);
void endpoint_text(const struct endpoint *endpoint, char ret_text[static ENDPOINT_TEXT_SIZE]);
bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);

/* MALFORMED for a host that is a name. */
CC_ERR endpoint_address(const struct endpoint *endpoint, struct endpoint_address *ret_address);
/* `mode` is that of a Unix socket's file. */
CC_ERR endpoint_listen(const struct endpoint *endpoint, mode_t mode, int *ret_fd);
/* The port that a TCP socket has; 0 for any other. */
uint16_t endpoint_port_of(int fd);
/* Begins; the connection stands, or has failed, when the socket is writable: endpoint_connected(). BUSY: a Unix socket whose
 * queue is full, or no descriptor for one, to be tried again; IO: no connection.
 */
CC_ERR endpoint_connect(const struct endpoint_address *address, int *ret_fd);
CC_ERR endpoint_connected(int fd);

#endif
