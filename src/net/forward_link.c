/* One connection that is carried on: from its arrival to its end. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

#include "net/forward_inside.h"

enum {
    KEEPALIVE_IDLE_S = 60,
    KEEPALIVE_INTERVAL_S = 15,
    KEEPALIVE_COUNT = 4,
    ATTEMPTS_MAX_MS = 20000, /* for all addresses together */
    TELL_MS = 1000
};

/* A peer that has vanished is found by the kernel, however long the connection is idle. */
static void set_up_tcp(int fd)
{
    static const struct {
        int level;
        int name;
        int value;
    } options[] = {{IPPROTO_TCP, TCP_NODELAY, 1},
                   {SOL_SOCKET, SO_KEEPALIVE, 1},
                   {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
                   {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
                   {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT}};
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
}

/* A target that comes and goes fills no log. */
static bool may_tell(struct route *route)
{
    uint64_t now = clock_mono_ms();
    if (route->told_ms && now - route->told_ms < TELL_MS)
        return false;
    route->told_ms = now;
    return true;
}

static void tell_down(struct route *route, const char *why)
{
    char text[ENDPOINT_TEXT_SIZE];
    route->failed++;
    if (route->down || !may_tell(route))
        return;
    route->down = true;
    endpoint_text(&route->set.to, text);
    log_warn("no connection is to be had", KV_STR("way", route->set.way), KV_STR("to", text),
             KV_STR("reason", why));
}

static void tell_up(struct route *route)
{
    char text[ENDPOINT_TEXT_SIZE];
    if (!route->down || !may_tell(route))
        return;
    route->down = false;
    endpoint_text(&route->set.to, text);
    log_notice("connections are to be had again", KV_STR("way", route->set.way),
               KV_STR("to", text));
}

/* --- the end ------------------------------------------------------------------------------------------------------------- */

void link_end(struct forward *f, struct link *link, bool broken)
{
    struct route *route = link->route;
    struct link_list *list = link->state == LINK_OPEN ? &f->carrying : &f->waiting;
    if (link->state == LINK_ENDED)
        return;
    for (int side = 0; side < 2; side++) {
        if (link->relay.fds[side] >= 0)
            (void)watch_for(f, &link->watches[side], link->relay.fds[side], 0);
    }
    relay_close(&link->relay, broken);
    if (broken && link->state == LINK_OPEN)
        route->broken++;
    link_list_remove(list, link);
    link->state = LINK_ENDED;
    link_list_add(&f->ended, link);
    route->open--;
    f->open--;
}

static void fail(struct forward *f, struct link *link, const char *why)
{
    tell_down(link->route, why);
    if (link->route->names)
        name_watch_doubt(link->route->names);
    link_end(f, link, true);
}

/* --- carrying ------------------------------------------------------------------------------------------------------------- */

static void watch_both(struct forward *f, struct link *link)
{
    for (int side = 0; side < 2; side++) {
        uint32_t events = (relay_wants_read(&link->relay, side) ? EPOLLIN : 0U) |
                          (relay_wants_write(&link->relay, side) ? EPOLLOUT : 0U);
        if (!events)
            events = EPOLLET; /* a hang-up or an error is told still, and once */
        if (!watch_for(f, &link->watches[side], link->relay.fds[side], events)) {
            link_end(f, link, true);
            return;
        }
    }
}

static void carry(struct forward *f, struct link *link, int side, uint32_t events)
{
    struct relay *relay = &link->relay;
    enum relay_state state = RELAY_GOES_ON;
    uint64_t before[2] = {relay->flows[0].bytes, relay->flows[1].bytes};
    if (events & EPOLLOUT)
        state = relay_write(relay, side);
    if (state == RELAY_GOES_ON && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        state = relay_read(relay, side, f->scratch);
    for (int i = 0; i < 2; i++)
        link->route->bytes[i] += relay->flows[i].bytes - before[i];
    link->moved_ms = clock_mono_ms();
    if (state == RELAY_GOES_ON && (events & EPOLLHUP))
        state = relay_hang_up(relay, side);
    /* Nothing was wanted of it that could have shown the error. */
    if (state == RELAY_GOES_ON && (events & EPOLLERR))
        state = RELAY_BROKEN;
    if (state == RELAY_GOES_ON)
        watch_both(f, link);
    else
        link_end(f, link, state == RELAY_BROKEN);
}

static void open_link(struct forward *f, struct link *link)
{
    tell_up(link->route);
    link_list_remove(&f->waiting, link);
    link->state = LINK_OPEN;
    link_list_add(&f->carrying, link);
    link->moved_ms = clock_mono_ms();
    watch_both(f, link);
}

/* --- connecting ------------------------------------------------------------------------------------------------------------ */

static size_t addresses_of(struct route *route,
                           struct endpoint_address ret[static NAME_ADDRESSES_MAX],
                           bool *ret_asked)
{
    if (route->names)
        return name_watch_get(route->names, ret, ret_asked);
    ret[0] = route->address;
    *ret_asked = true;
    return 1;
}

/* Begins the next attempt; what fails at once is followed by the one after it. */
static void connect_next(struct forward *f, struct link *link)
{
    struct endpoint_address addresses[NAME_ADDRESSES_MAX];
    bool asked = false;
    size_t count = addresses_of(link->route, addresses, &asked);
    cc_err err;
    link->state = LINK_NAMING;
    if (count == 0 && !asked)
        return;
    while (link->next_address < count) {
        int *fd = &link->relay.fds[1];
        err = endpoint_connect(&addresses[link->next_address], fd);
        if (error_is(err, ERROR_BUSY)) {
            link->state = LINK_QUEUEING;
            return;
        }
        link->next_address++;
        if (err.code)
            continue;
        link->state = LINK_CONNECTING;
        link->attempt_ms = clock_mono_ms();
        if (link->route->set.to.kind == ENDPOINT_TCP)
            set_up_tcp(*fd);
        if (!watch_for(f, &link->watches[1], *fd, EPOLLOUT))
            link_end(f, link, true);
        return;
    }
    fail(f, link, count ? "no connection" : "the target's name has no address");
}

static void give_attempt_up(struct forward *f, struct link *link)
{
    int *fd = &link->relay.fds[1];
    (void)watch_for(f, &link->watches[1], *fd, 0);
    (void)close(*fd);
    *fd = -1;
    connect_next(f, link);
}

void link_retry(struct forward *f, struct link *link)
{
    if (link->state == LINK_NAMING || link->state == LINK_QUEUEING)
        connect_next(f, link);
}

void link_new(struct forward *f,
              struct route *route,
              int client,
              const struct endpoint_address *from)
{
    uint8_t header[CLIENT_HEADER_MAX];
    struct link *link = cc_alloc(sizeof *link);
    if (!link) {
        route->starved++;
        (void)close(client);
        return;
    }
    link->route = route;
    relay_init(&link->relay, client, -1);
    for (int side = 0; side < 2; side++)
        link->watches[side] = (struct watch){.kind = WATCH_LINK, .side = side, .owner = link};
    link->state = LINK_NAMING;
    link->started_ms = clock_mono_ms();
    link_list_add(&f->waiting, link);
    route->open++;
    route->accepted++;
    f->open++;
    if (route->set.from.kind == ENDPOINT_TCP)
        set_up_tcp(client);
    if (route->set.says_client &&
        !relay_begin_with(&link->relay, header, client_header(client, from, header)))
        link_end(f, link, true);
    else
        connect_next(f, link);
}

void link_on_event(struct forward *f, struct link *link, int side, uint32_t events)
{
    switch (link->state) {
    case LINK_CONNECTING: {
        cc_err err = endpoint_connected(link->relay.fds[1]);
        if (err.code)
            give_attempt_up(f, link);
        else
            open_link(f, link);
        return;
    }
    case LINK_OPEN:
        carry(f, link, side, events);
        return;
    case LINK_NAMING:
    case LINK_QUEUEING:
    case LINK_ENDED:
        return;
    }
}

void link_check_time(struct forward *f, struct link *link, uint64_t now_ms)
{
    const struct forward_options *o = &f->options;
    uint64_t still = now_ms > link->moved_ms ? now_ms - link->moved_ms : 0;
    if (link->state == LINK_OPEN) {
        if ((o->idle_ms && still >= o->idle_ms) ||
            (relay_is_half(&link->relay) && still >= o->half_ms))
            link_end(f, link, true);
        return;
    }
    if (now_ms - link->started_ms >= ATTEMPTS_MAX_MS)
        fail(f, link, "no connection in time");
    else if (link->state == LINK_CONNECTING && now_ms - link->attempt_ms >= o->connect_ms)
        give_attempt_up(f, link);
    else
        link_retry(f, link);
}
