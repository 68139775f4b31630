/* net/relay.h - bytes between two sockets, both ways.
 *
 * WHAT      One pair of connected sockets: what one sends the other gets, and when one has ended its direction the other is
 *           told so, while the opposite direction goes on.
 * PROMISE   No byte is lost, added or moved; an end is passed on only after all that came before it. What a slow side does not
 *           take is held, at most RELAY_HOLD_MAX bytes a direction, and its source is read no further (back pressure): memory
 *           does not grow by what a peer sends. An idle pair holds no buffer. A broken side breaks both, visibly: TCP peers
 *           get a reset and not an end, so that a cut stream is never taken for a whole one.
 * THREADS   One thread per object.
 * OWNERSHIP relay_close() closes both sockets and frees.
 * ERRORS    None but enum relay_state: a relay can only break.
 * SECRETS   None that it can read: it carries TLS.
 */
#ifndef NET_RELAY_H
#define NET_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RELAY_HOLD_MAX = 65536 /* also what one call reads at most */
};

enum relay_state {
    RELAY_GOES_ON,
    RELAY_DONE, /* both directions have ended, or a side is gone, and all that it sent is delivered */
    RELAY_BROKEN /* a side has failed */
};

struct relay_flow {
    uint8_t *held; /* what the sink has not taken; NULL: nothing */
    uint32_t held_at;
    uint32_t held_len;
    bool ended;     /* the source has said its end */
    bool passed_on; /* and the sink was told */
    uint64_t bytes; /* delivered */
};

struct relay {
    int fds[2];
    struct relay_flow flows[2]; /* the nth: from fds[n] to the other */
    bool gone[2];               /* this side has closed: it sends no more, and takes nothing */
};

/* Takes both sockets, which must not block. */
void relay_init(struct relay *relay, int first, int second);
/* Before anything is read: bytes that side 1 gets first, as if side 0 had sent them. False: no memory. */
bool relay_begin_with(struct relay *relay, const void *bytes, size_t len);
/* Some bytes from side `side` (0 or 1), through `scratch` of RELAY_HOLD_MAX bytes. */
enum relay_state relay_read(struct relay *relay, int side, uint8_t *scratch);
/* What is held for side `side`. */
enum relay_state relay_write(struct relay *relay, int side);
/* The side has hung up: not only its direction is at its end. What it has sent may still be there. */
enum relay_state relay_hang_up(struct relay *relay, int side);
/* Whether it makes sense to wait until `side` can be read, or written. */
bool relay_wants_read(const struct relay *relay, int side);
bool relay_wants_write(const struct relay *relay, int side);
/* True while one direction has ended and the other has not. */
bool relay_is_half(const struct relay *relay);
/* `abort`: TCP peers get a reset. */
void relay_close(struct relay *relay, bool abort);

#endif
