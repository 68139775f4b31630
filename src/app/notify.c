#include "app/notify.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#include "app/variable.h"

void notify_init(struct notify *notify, char *const *environment)
{
    *notify = (struct notify){.fd = -1};
    const char *path = variable_of(environment, "NOTIFY_SOCKET");
    size_t len = path ? strlen(path) : 0;
    if (len < 2 || len >= sizeof notify->address.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    notify->address.sun_family = AF_UNIX;
    memcpy(notify->address.sun_path, path, len);
    if (path[0] == '@')
        notify->address.sun_path[0] = 0;
    notify->address_len = (uint32_t)(offsetof(struct sockaddr_un, sun_path) + len);
    notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (!variable_of(environment, "WATCHDOG_PID") ||
        variable_number(environment, "WATCHDOG_PID") == (uint64_t)getpid())
        notify->watchdog_ms = variable_number(environment, "WATCHDOG_USEC") / 1000;
}

void notify_release(struct notify *notify)
{
    if (notify->fd >= 0)
        (void)close(notify->fd);
    notify->fd = -1;
}

void notify_send(const struct notify *notify, const char *state)
{
    if (notify->fd < 0)
        return;
    (void)sendto(notify->fd, state, strlen(state), MSG_NOSIGNAL,
                 (const struct sockaddr *)&notify->address, notify->address_len);
}

void notify_reloading(const struct notify *notify)
{
    char state[64];
    (void)snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                   clock_mono_ns() / 1000);
    notify_send(notify, state);
}
