/* app/handed.h - listening sockets that the service manager has opened, and keeps.
 *
 * WHAT      sd_listen_fds(3)'s protocol: LISTEN_PID, LISTEN_FDS, descriptors from 3 on. Each is used where the configuration
 *           names its address, so that what was checked of the configuration is what is served. The manager's own copies
 *           stay open while one signer ends and the next one begins: connections wait, and none is refused.
 * PROMISE   Only what listens, takes streams and is named by the configuration: anything else refuses the start, and says so. A
 *           Unix socket's file has no wider mode than one that the signer makes itself.
 * THREADS   The supervisor's one thread, before it has opened anything else.
 * OWNERSHIP handed_find() gives a descriptor away; handed_close() closes the rest. The sockets' files are the manager's.
 * ERRORS    CONFIG (the detail says what is wrong), PERMISSIONS, SYSTEM.
 * SECRETS   None.
 */
#ifndef APP_HANDED_H
#define APP_HANDED_H

#include <stdint.h>
#include <sys/types.h>

#include "base/endpoint.h"

enum {
    HANDED_MAX = 5, /* as many as a signer listens on */
    HANDED_FIRST = 3
};

struct handed {
    int fds[HANDED_MAX]; /* -1: given away */
    uint32_t count;
};

/* None where the environment speaks of none, or to another process. */
CC_ERR handed_take(char *const *environment, struct handed *ret_handed);
/* *ret_fd: the one that listens at `endpoint`, for the caller to close; -1: none does. `mode` is what a Unix socket's file may have. */
CC_ERR
handed_find(struct handed *handed, const struct endpoint *endpoint, mode_t mode, int *ret_fd);
/* CONFIG: one is left that nothing in the configuration is served at. */
CC_ERR handed_all_found(const struct handed *handed);
void handed_close(struct handed *handed);

#endif
