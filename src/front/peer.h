/* front/peer.h - whose connection it is, as one number.
 *
 * WHAT      Names the client of a connection for the core's fairness: its IP address, its user on the Unix socket, or its
 *           CID on vsock; and tells
 *           who may work on the history.
 * PROMISE   Connections of one address (an IPv4 address mapped into IPv6 included), or of one user, have one number. It is
 *           keyed with chance of this process's life: nobody can choose an address that shares another's number.
 * THREADS   Any: pure.   OWNERSHIP Borrows.   ERRORS None.   SECRETS The key is none: what it tells apart is public.
 */
#ifndef FRONT_PEER_H
#define FRONT_PEER_H

#include <sys/socket.h>

#include "base/cidr.h"

/* The address as wire/caller.h has it: IPv6, IPv4 mapped into it; zeros for a Unix or vsock one. */
void peer_address(const struct sockaddr_storage *address,
                  uint8_t ret_address[static CIDR_ADDRESS_SIZE]);

uint32_t peer_number(uint64_t key, int fd, const struct sockaddr_storage *address);
/* The same of an address that a proxy has named. */
uint32_t peer_number_of_address(uint64_t key, const uint8_t address[static CIDR_ADDRESS_SIZE]);

/* True for a Unix connection of root, or of user `own`. A user that this room can't tell from others is neither. */
bool peer_is_owner(int fd, const struct sockaddr_storage *address, uint32_t own);

#endif
