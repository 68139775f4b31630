/* vault/port.h - a door that is replaced while many threads serve it.
 *
 * WHAT      Core and loader come and go; each life of theirs brings a new door. A port hands the present door to the
 *           serving threads and moves them to the next.
 * PROMISE   A descriptor is closed only when no thread reads it any more, so its number can't come to mean another
 *           file under a reader. An ended or replaced door is never served again.
 * THREADS   One thread puts and closes; any number takes.
 * OWNERSHIP The port owns the descriptors. What port_take() gave goes back by port_return().
 * ERRORS    NO_MEMORY (the door is closed then).
 * SECRETS   None.
 */
#ifndef VAULT_PORT_H
#define VAULT_PORT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/error.h"

struct port_door {
    int fd;
    uint32_t life;
    _Atomic bool greeted; /* this life has proved its history (door B) */
    /* private, under port.lock */
    uint32_t holders;
    bool ended;
};

struct port {
    pthread_mutex_t lock; /* a leaf */
    pthread_cond_t changed;
    struct port_door *present; /* NULL: none, wait */
    bool open;
    bool closed;
};

void port_init(struct port *port);
/* All takers must have ended. */
void port_destroy(struct port *port);
/* Takes `fd` over and ends the door before it. */
CC_ERR port_put(struct port *port, int fd, uint32_t life);
/* Before it nothing is served: doors that were put wait. */
void port_open(struct port *port);
/* Blocks until the port is open and there is a door; NULL once the port is closed. */
struct port_door *port_take(struct port *port);
/* Gives a door back that has ended; the other threads are woken out of it. */
void port_return(struct port *port, struct port_door *door);
/* One more holder of a door that the caller has: work that is done beside it. Ends with port_let_go(), which does not end the
 * door.
 */
void port_keep(struct port *port, struct port_door *door);
void port_let_go(struct port *port, struct port_door *door);
void port_close(struct port *port);

#endif
