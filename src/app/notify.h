/* app/notify.h - what the service manager is told.
 *
 * WHAT      sd_notify(3)'s protocol: one datagram to the socket named by NOTIFY_SOCKET, path or abstract.
 * PROMISE   Says nothing where no socket is named. Never blocks.
 * THREADS   The supervisor's one thread.   OWNERSHIP notify_release() closes.
 * ERRORS    None are reported: a service manager that can't be told is no reason to stop signing.
 * SECRETS   None.
 */
#ifndef APP_NOTIFY_H
#define APP_NOTIFY_H

#include <stdint.h>
#include <sys/un.h>

#include "base/error.h"

struct notify {
    int fd;               /* -1: nobody to tell */
    uint64_t watchdog_ms; /* 0: no watchdog; else how often NOTIFY_WATCHDOG is due at least twice */
    /* private */
    struct sockaddr_un address;
    uint32_t address_len;
};

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID of `environment`. */
void notify_init(struct notify *notify, char *const *environment);
void notify_release(struct notify *notify);
/* `state`: lines such as "READY=1\nSTATUS=serving". */
void notify_send(const struct notify *notify, const char *state);
/* RELOADING=1 with the monotonic time that Type=notify-reload wants. */
void notify_reloading(const struct notify *notify);

#endif
