#include "vault/port.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"

static void lock(struct port *p)
{
    cc_assert(pthread_mutex_lock(&p->lock) == 0);
}

static void unlock(struct port *p)
{
    cc_assert(pthread_mutex_unlock(&p->lock) == 0);
}

void port_init(struct port *port)
{
    *port = (struct port){.present = NULL};
    cc_assert(pthread_mutex_init(&port->lock, NULL) == 0);
    cc_assert(pthread_cond_init(&port->changed, NULL) == 0);
}

static void door_free(struct port_door *door)
{
    (void)close(door->fd);
    cc_free(door);
}

/* The caller holds the lock. Readers that block in the door return from it; the last one frees it. */
static void end_present(struct port *p)
{
    struct port_door *door = p->present;
    p->present = NULL;
    if (!door)
        return;
    door->ended = true;
    (void)shutdown(door->fd, SHUT_RDWR);
    if (door->holders == 0)
        door_free(door);
}

void port_destroy(struct port *port)
{
    end_present(port);
    (void)pthread_cond_destroy(&port->changed);
    (void)pthread_mutex_destroy(&port->lock);
}

CC_ERR port_put(struct port *port, int fd, uint32_t life)
{
    struct port_door *door = cc_alloc(sizeof *door);
    lock(port);
    end_present(port);
    if (door && !port->closed) {
        door->fd = fd;
        door->life = life;
        port->present = door;
        cc_assert(pthread_cond_broadcast(&port->changed) == 0);
        door = NULL;
        fd = -1;
    }
    unlock(port);
    if (fd < 0)
        return CC_OK;
    (void)close(fd);
    cc_free(door);
    return CC_FAIL(NO_MEMORY, "a door could not be put in place");
}

void port_open(struct port *port)
{
    lock(port);
    port->open = true;
    cc_assert(pthread_cond_broadcast(&port->changed) == 0);
    unlock(port);
}

struct port_door *port_take(struct port *port)
{
    lock(port);
    while (!(port->open && port->present) && !port->closed)
        cc_assert(pthread_cond_wait(&port->changed, &port->lock) == 0);
    struct port_door *door = port->present;
    if (door)
        door->holders++;
    unlock(port);
    return door;
}

void port_return(struct port *port, struct port_door *door)
{
    lock(port);
    door->holders--;
    if (!door->ended)
        end_present(port);
    else if (door->holders == 0)
        door_free(door);
    unlock(port);
}

void port_keep(struct port *port, struct port_door *door)
{
    lock(port);
    door->holders++;
    unlock(port);
}

void port_let_go(struct port *port, struct port_door *door)
{
    lock(port);
    if (--door->holders == 0 && door->ended)
        door_free(door);
    unlock(port);
}

void port_close(struct port *port)
{
    lock(port);
    port->closed = true;
    end_present(port);
    cc_assert(pthread_cond_broadcast(&port->changed) == 0);
    unlock(port);
}
