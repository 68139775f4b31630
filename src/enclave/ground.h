/* enclave/ground.h - what a program finds when it starts in an enclave.
 *
 * WHAT      The first steps of the image's init: file systems, console, loopback, entropy, the sign of life to the parent.
 * PROMISE   ground_entropy() returns when the kernel's generator has been seeded, with what the security module gives mixed
 *           in where there is one; before that nothing that makes keys may run.
 *           ground_heartbeat() proves nothing about the parent: it is what Amazon's tools wait for.
 * THREADS   One: PID 1 before it starts anything.
 * OWNERSHIP None; ground_connect()'s descriptor is the caller's.
 * ERRORS    SYSTEM (errno is kept), IO (no seed, no answer).
 * SECRETS   Random bytes of the module, wiped.
 */
#ifndef ENCLAVE_GROUND_H
#define ENCLAVE_GROUND_H

#include "base/error.h"

enum {
    GROUND_HEARTBEAT = 0xb7,
    GROUND_HEARTBEAT_MS = 20000,
    GROUND_SEED_MS = 60000,
    GROUND_FILES = 1 << 20 /* fs.nr_open is that from the start */
};

/* Mounts /proc, /sys, /dev, /run, /tmp and /var/lib, and makes /dev/console the three standard descriptors. */
CC_ERR ground_mount(void);
CC_ERR ground_loopback(void);
/* As many open files as a signer may be told to serve connections: the kernel's own limit is 4096. And no core files. */
CC_ERR ground_limits(void);
/* `module` is the security module's device node; that it isn't there is no error. */
CC_ERR ground_entropy(const char *module);
/* Non-blocking and closed on exec; the connection may still be under way. */
CC_ERR ground_connect(uint32_t cid, uint32_t port, int *ret_fd);
/* The byte there and back over a connection that ground_connect() has begun. */
CC_ERR ground_heartbeat(int fd, int timeout_ms);

#endif
