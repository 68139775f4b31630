/* front/peer.h - whose connection it is, as one number.
 *
 * WHAT      Names the client of a connection for the core's fairness: its IP address, or its user on the Unix socket.
 * PROMISE   Connections of one address (an IPv4 address mapped into IPv6 included), or of one user, have one number. It is
 *           keyed with chance of this process's life: nobody can choose an address that shares another's number.
 * THREADS   Any: pure.   OWNERSHIP Borrows.   ERRORS None.   SECRETS The key is none: what it tells apart is public.
 */
#ifndef FRONT_PEER_H
#define FRONT_PEER_H

#include <stdint.h>
#include <sys/socket.h>

uint32_t peer_number(uint64_t key, int fd, const struct sockaddr_storage *address);

#endif
