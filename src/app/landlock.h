/* app/landlock.h - the outer lock: which files a room can reach.
 *
 * WHAT      Landlock rules per room: the core its stores, the loader the key paths (to read), all of them the few files of
 *           the system that libraries read while they start; no TCP, no signals or abstract sockets out of the room. For the
 *           programs that carry connections (`attest proxy`, `enclave proxy`): the files that looking names up reads, the folders
 *           of their Unix sockets, TCP to the ports of their endpoints alone.
 * PROMISE   Applied before the first thread, so that every thread inherits it. What the kernel can't restrict (older
 *           Landlock) is left to seccomp; a kernel without Landlock is logged.
 * THREADS   Before any other thread.   OWNERSHIP None.
 * ERRORS    SYSTEM: the room must end.
 * SECRETS   None.
 */
#ifndef APP_LANDLOCK_H
#define APP_LANDLOCK_H

#include "base/endpoint.h"

#include "config/config.h"
#include "wire/control.h"

enum {
    LANDLOCK_ENDPOINTS_MAX = 40
};

/* Borrowed. */
struct landlock_endpoints {
    const struct endpoint *listens[LANDLOCK_ENDPOINTS_MAX];
    size_t listen_count;
    const struct endpoint *targets[LANDLOCK_ENDPOINTS_MAX];
    size_t target_count;
};

/* Which Landlock this kernel has; 0: none. */
long landlock_abi(void);
CC_ERR landlock_enter(enum room room, const struct config *config);
/* Before they listen. */
CC_ERR landlock_enter_proxy(const struct landlock_endpoints *endpoints);
CC_ERR landlock_describe(enum room room, struct buf *out);
CC_ERR landlock_describe_proxy(struct buf *out);

#endif
