/* net/forwarder.h - the room that carries the core's connections out of an enclave.
 *
 * WHAT      Accepts on the loopback addresses of egress.routes (config/egress.h), whose sockets the supervisor has opened, and
 *           carries each connection to the row's endpoint, vsock or a Unix socket.
 * PROMISE   It parses nothing that it carries, holds no key, opens no file and makes no TCP connection: what it could be made to
 *           do by a captured core is to connect to the parent, which each row is for anyway.
 * THREADS   One.
 * OWNERSHIP The context is borrowed.
 * ERRORS    PROTOCOL (the supervisor's line), SYSTEM, NO_MEMORY.
 * SECRETS   None in clear: TLS ends in the core and at the service.
 */
#ifndef NET_FORWARDER_H
#define NET_FORWARDER_H

#include "wire/room.h"

CC_ERR forwarder_main(const struct room_context *room);

#endif
