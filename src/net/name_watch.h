/* net/name_watch.h - the addresses of one name, looked up again and again.
 *
 * WHAT      A thread of its own that asks for the addresses of HOST:PORT at the start, twice a minute, and at once when a
 *           connection has failed; whoever waits is woken by an eventfd.
 * PROMISE   Nobody else ever waits for a name server. When a look-up fails, the addresses of the last one that succeeded stay
 *           in use. At most one look-up a second.
 * THREADS   Any may call; the eventfd is written by the watch's thread.
 * OWNERSHIP name_watch_stop() gives it up; a look-up that is under way ends by itself. The eventfd is borrowed, and must not be
 *           closed before.
 * ERRORS    SYSTEM, NO_MEMORY.
 * SECRETS   None.
 */
#ifndef NET_NAME_WATCH_H
#define NET_NAME_WATCH_H

#include "base/endpoint.h"

enum {
    NAME_ADDRESSES_MAX = 8,
    NAME_INTERVAL_MS = 30000,
    NAME_PAUSE_MS = 1000
};

/* Returns how many addresses it has written; 0: none, the look-up has failed. */
typedef size_t name_lookup_fn(const char *host,
                              uint16_t port,
                              struct endpoint_address ret_addresses[static NAME_ADDRESSES_MAX]);

struct name_watch_options {
    const char *host;
    uint16_t port;
    name_lookup_fn *lookup; /* NULL: the C library's */
    int wake;               /* an eventfd that each look-up's end is told to */
};

struct name_watch;

CC_ERR name_watch_start(const struct name_watch_options *options, struct name_watch **ret_watch);
/* The addresses, best first; *ret_asked: some look-up has ended, well or not. */
size_t name_watch_get(struct name_watch *watch,
                      struct endpoint_address ret_addresses[static NAME_ADDRESSES_MAX],
                      bool *ret_asked);
/* They did not lead anywhere: look the name up soon. */
void name_watch_doubt(struct name_watch *watch);
void name_watch_stop(struct name_watch *watch); /* takes NULL */

#endif
