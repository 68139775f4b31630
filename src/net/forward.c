#include "net/forward.h"

#include <errno.h>
#include <linux/vm_sockets.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"

#include "net/forward_inside.h"

enum {
    CONNECT_MS = 5000,
    HALF_MS = 900000, /* as long as the signer's longest answer may take */
    UNIX_MODE = 0660,
    SWEEP_MS = 1000,
    SWEEP_WAITING_MS = 50, /* while something waits to be connected */
    REST_MS = 100,         /* without descriptors */
    EVENTS_MAX = 256,
    ACCEPTS_A_TURN = 64
};

/* --- lists and watches ---------------------------------------------------------------------------------------------------- */

void link_list_add(struct link_list *list, struct link *link)
{
    link->before = NULL;
    link->after = list->first;
    if (list->first)
        list->first->before = link;
    list->first = link;
}

void link_list_remove(struct link_list *list, struct link *link)
{
    if (link->before)
        link->before->after = link->after;
    else
        list->first = link->after;
    if (link->after)
        link->after->before = link->before;
    link->before = link->after = NULL;
}

bool watch_for(struct forward *f, struct watch *watch, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (events == watch->events)
        return true;
    int op = watch->events == 0 ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
    if (epoll_ctl(f->epoll, op, fd, &event) != 0)
        return false;
    watch->events = events;
    return true;
}

static void bury(struct forward *f)
{
    while (f->ended.first) {
        struct link *link = f->ended.first;
        link_list_remove(&f->ended, link);
        cc_free(link);
    }
}

/* --- accepting ------------------------------------------------------------------------------------------------------------- */

static bool has_place(const struct route *route)
{
    return route->open < route->set.places;
}

static void watch_listeners(struct forward *f)
{
    bool rests = clock_mono_ms() < f->rest_until_ms;
    for (size_t i = 0; i < f->route_count; i++) {
        struct route *route = &f->routes[i];
        if (route->listener >= 0)
            (void)watch_for(f, &route->watch, route->listener,
                            !rests && has_place(route) ? EPOLLIN : 0);
    }
}

/* The parent is reached by every enclave on it: who else comes is not let in. */
bool route_welcomes(const struct route *route, const struct endpoint_address *from)
{
    const struct sockaddr_vm *vm = (const void *)&from->storage;
    return route->set.from.kind != ENDPOINT_VSOCK || route->set.peer_cid == ENDPOINT_ANY_CID ||
           (from->storage.ss_family == AF_VSOCK && vm->svm_cid == route->set.peer_cid);
}

static void rest_when_out_of(struct forward *f, struct route *route, int error)
{
    if (error != EMFILE && error != ENFILE && error != ENOBUFS && error != ENOMEM)
        return;
    if (route->starved++ == 0)
        log_warn("no descriptor or memory for a connection: it waits",
                 KV_STR("way", route->set.way));
    f->rest_until_ms = clock_mono_ms() + REST_MS;
}

static void accept_some(struct forward *f, struct route *route)
{
    for (int i = 0; i < ACCEPTS_A_TURN && route->listener >= 0; i++) {
        struct endpoint_address from = {.len = sizeof from.storage};
        if (!has_place(route)) {
            route->full++;
            break;
        }
        int fd = accept4(route->listener, (struct sockaddr *)&from.storage, &from.len,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            rest_when_out_of(f, route, errno);
            break;
        }
        if (route_welcomes(route, &from)) {
            link_new(f, route, fd, &from);
            continue;
        }
        if (route->refused++ == 0)
            log_warn("a connection from another CID is refused, as will be those after it",
                     KV_STR("way", route->set.way));
        (void)close(fd);
    }
}

/* --- a turn ---------------------------------------------------------------------------------------------------------------- */

static void retry_waiting(struct forward *f)
{
    struct link *after;
    for (struct link *link = f->waiting.first; link; link = after) {
        after = link->after;
        link_retry(f, link);
    }
}

static void on_names(struct forward *f)
{
    uint64_t told;
    ssize_t n = read(f->wake, &told, sizeof told);
    (void)n; /* nothing more to know than that it was told */
    retry_waiting(f);
}

static void dispatch(struct forward *f, const struct epoll_event *event)
{
    struct watch *watch = event->data.ptr;
    switch (watch->kind) {
    case WATCH_LISTENER:
        accept_some(f, watch->owner);
        return;
    case WATCH_NAMES:
        on_names(f);
        return;
    case WATCH_LINK:
        /* An earlier event of this turn may have ended it, or made it wait for nothing. */
        if (watch->events)
            link_on_event(f, watch->owner, watch->side, event->events);
        return;
    }
}

static void check_list(struct forward *f, struct link *first, uint64_t now)
{
    struct link *after;
    for (struct link *link = first; link; link = after) {
        after = link->after;
        link_check_time(f, link, now);
    }
}

static void sweep(struct forward *f, uint64_t now)
{
    if (now - f->swept_waiting_ms >= SWEEP_WAITING_MS) { /* not with every event: it tries again */
        f->swept_waiting_ms = now;
        check_list(f, f->waiting.first, now);
    }
    if (now - f->swept_ms < SWEEP_MS)
        return;
    f->swept_ms = now;
    check_list(f, f->carrying.first, now);
}

uint32_t forward_patience_ms(const struct forward *f)
{
    return f->waiting.first || f->rest_until_ms ? SWEEP_WAITING_MS : SWEEP_MS;
}

int forward_fd(const struct forward *f)
{
    return f->epoll;
}

CC_ERR forward_turn(struct forward *f, uint32_t wait_ms)
{
    struct epoll_event events[EVENTS_MAX];
    uint32_t patience = forward_patience_ms(f);
    int n =
        epoll_wait(f->epoll, events, EVENTS_MAX, (int)(wait_ms < patience ? wait_ms : patience));
    if (n < 0 && errno != EINTR)
        return CC_FAIL(SYSTEM, "epoll_wait");
    for (int i = 0; i < n; i++)
        dispatch(f, &events[i]);
    uint64_t now = clock_mono_ms();
    if (now >= f->rest_until_ms)
        f->rest_until_ms = 0;
    sweep(f, now);
    bury(f);
    watch_listeners(f);
    return CC_OK;
}

/* --- beginning and end ------------------------------------------------------------------------------------------------------ */

static cc_err open_target(struct forward *f, struct route *route)
{
    const struct endpoint *to = &route->set.to;
    if (to->kind != ENDPOINT_TCP || to->literal)
        return endpoint_address(to, &route->address);
    const struct name_watch_options options = {
        .host = to->host, .port = (uint16_t)to->port, .lookup = f->options.lookup, .wake = f->wake};
    return name_watch_start(&options, &route->names);
}

static cc_err open_route(struct forward *f, const struct forward_route *set)
{
    char text[ENDPOINT_TEXT_SIZE];
    struct route *route = &f->routes[f->route_count++];
    *route = (struct route){.set = *set, .listener = set->listener};
    route->watch = (struct watch){.kind = WATCH_LISTENER, .owner = route};
    if (route->set.places == 0)
        route->set.places = FORWARD_PLACES;
    cc_err err = CC_OK;
    if (route->listener < 0)
        err = endpoint_listen(&set->from, f->options.unix_mode, &route->listener);
    if (err.code) {
        endpoint_text(&set->from, text);
        log_error("cannot listen", KV_STR("way", set->way), KV_STR("at", text), KV_ERR(err));
        return err;
    }
    return open_target(f, route);
}

static cc_err open_all(struct forward *f, const struct forward_options *options)
{
    f->epoll = epoll_create1(EPOLL_CLOEXEC);
    f->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    f->wake_watch = (struct watch){.kind = WATCH_NAMES};
    if (f->epoll < 0 || f->wake < 0 || !watch_for(f, &f->wake_watch, f->wake, EPOLLIN))
        return CC_FAIL(SYSTEM, "epoll");
    for (size_t i = 0; i < options->count; i++)
        CC_TRY(open_route(f, &options->routes[i]));
    watch_listeners(f);
    return CC_OK;
}

CC_ERR forward_new(const struct forward_options *options, struct forward **ret_forward)
{
    if (options->count > FORWARD_ROUTES_MAX)
        return CC_FAIL(LIMIT, "routes");
    struct forward *f = cc_alloc(sizeof *f);
    if (!f)
        return CC_FAIL(NO_MEMORY, "forward");
    f->epoll = f->wake = -1;
    f->options = *options;
    f->options.routes = NULL; /* copied */
    f->options.connect_ms = options->connect_ms ? options->connect_ms : CONNECT_MS;
    f->options.half_ms = options->half_ms ? options->half_ms : HALF_MS;
    f->options.unix_mode = options->unix_mode ? options->unix_mode : UNIX_MODE;
    f->swept_ms = clock_mono_ms();
    cc_err err = open_all(f, options);
    if (err.code) {
        forward_free(f);
        return err;
    }
    *ret_forward = f;
    return CC_OK;
}

/* A listener that was taken over is another's to open again; its file stays. */
static void close_listener(struct forward *f, struct route *route)
{
    if (route->listener < 0)
        return;
    (void)watch_for(f, &route->watch, route->listener, 0);
    fd_closep(&route->listener);
    if (route->set.from.kind == ENDPOINT_UNIX && route->set.listener < 0)
        (void)unlink(route->set.from.host);
}

void forward_drain(struct forward *f)
{
    f->draining = true;
    for (size_t i = 0; i < f->route_count; i++)
        close_listener(f, &f->routes[i]);
}

void forward_free(struct forward *f)
{
    if (!f)
        return;
    forward_drain(f);
    while (f->waiting.first)
        link_end(f, f->waiting.first, true);
    while (f->carrying.first)
        link_end(f, f->carrying.first, true);
    bury(f);
    for (size_t i = 0; i < f->route_count; i++)
        name_watch_stop(f->routes[i].names);
    fd_closep(&f->wake);
    fd_closep(&f->epoll);
    cc_free(f);
}

uint32_t forward_open(const struct forward *f)
{
    return f->open;
}

uint16_t forward_port(const struct forward *f, size_t route)
{
    return route < f->route_count ? endpoint_port_of(f->routes[route].listener) : 0;
}
