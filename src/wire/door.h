/* wire/door.h - the doors between rooms: framed messages over SOCK_SEQPACKET.
 *
 * WHAT      One packet is one message: a head and `count` fixed-size items of one type. Handles in items are
 *           (index, generation), never pointers; large payloads are several messages.
 * PROMISE   door_receive() copies first, then checks: version, life, type, item size and count against the
 *           receiver's table and the packet's exact length. What fails is PROTOCOL and never reaches a handler.
 *           door_send() never blocks longer than DOOR_STALL_MS: a peer that does not read is given up.
 * THREADS   door_send() of whole packets may be called from any thread; door_receive() needs its own message.
 * OWNERSHIP struct door_message owns its buffer; items point into it until the next receive.
 * ERRORS    DOOR_CLOSED (peer gone or stalled), PROTOCOL (malformed: close the door), IO.
 * SECRETS   Key door messages hold passwords and raw keys, B_SUBKEY_IS a MAC key, B_SHARE and B_SET_UNWRAP a
 *           share of a wrapping key, D_TEXT a password or credentials: door_message_wipe() after use.
 */
#ifndef WIRE_DOOR_H
#define WIRE_DOOR_H

#include <stdbool.h>

#include "base/error.h"

enum {
    DOOR_VERSION = 0xCC01,
    DOOR_PACKET_MAX = 65536,
    DOOR_STALL_MS = 1000
};

struct door_head {
    uint16_t version; /* DOOR_VERSION */
    uint16_t type;
    uint32_t life; /* of the core that this door belongs to; counted by the supervisor */
    uint32_t count;
    uint32_t item_size;
};

/* What a receiver accepts: one row per type; ends with type 0. */
struct door_type {
    uint16_t type;
    uint16_t item_size;
    uint32_t max_count;
};

struct door_message {
    struct door_head head;
    _Alignas(16) uint8_t items[DOOR_PACKET_MAX - sizeof(struct door_head)];
};

/* How many items of `size` bytes fit one message. */
#define DOOR_FIT(size) ((DOOR_PACKET_MAX - sizeof(struct door_head)) / (size))

/* A connected pair with buffers for several full packets; both close-on-exec. */
CC_ERR door_pair(int ret_fds[static 2]);
CC_ERR
door_send(int fd, uint32_t life, uint16_t type, const void *items, size_t item_size, size_t count);
/* Blocks for one message; `life` must match. */
CC_ERR door_receive(int fd,
                    uint32_t life,
                    const struct door_type *accepted,
                    struct door_message *ret_message);
/* Checks a packet of `len` bytes that already lies in `message`: the pure half of door_receive(), for fuzzers. */
CC_ERR door_check(struct door_message *message,
                  size_t len,
                  uint32_t life,
                  const struct door_type *accepted);
void door_message_wipe(struct door_message *message);

#endif
