/* System calls after lock(), as app/sandbox.def has them:
 *   threads and memory    futex mmap munmap mprotect madvise brk rseq sched_yield rt_sigprocmask exit exit_group
 *   time                  clock_gettime gettimeofday (where the vdso falls back to them)
 *   accepting             poll accept4
 *   loops, libmicrohttpd  epoll_wait epoll_ctl recvfrom sendto sendmsg read and write (eventfd) shutdown close fcntl
 *                         setsockopt (TCP) getsockname getsockopt (SO_PEERCRED)
 *   doors, control, log   read write writev recvmsg sendmsg shutdown close
 *   refused, coped with   openat: free() asks for overcommit_memory when a thread's heap first shrinks; sched_getaffinity
 * No socket, connect, bind, listen, ioctl, clone, execve, kill, ptrace; every thread is older than the lock.
 */
#include "front/front.h"

#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/num.h"

#include "core/report.h"
#include "front/exchange.h"
#include "front/http.h"
#include "front/route.h"

enum {
    TICK_MS = 100,
    ALLOCATOR_ARENAS = 4,
    ACCEPT_WHILE_DRAINING_MS = 5000, /* until load balancers have noticed */
    LAST_ANSWERS_MS = 500            /* after the core is gone */
};

struct front {
    const struct room_context *room;
    struct eth_network network;
    struct exchange exchange;
    struct http *http;
    int door;
    uint32_t life;
    int listeners[LISTENER_METRICS + 1];
    bool started;
    uint64_t drain_began_ms; /* 0: not draining */
    uint64_t drain_limit_ms;
    bool accepting;
};

/* --- what the supervisor sends ------------------------------------------------------------------------------------ */

static cc_err take_descriptor(struct front *f, const struct control *message, int fd)
{
    if (fd < 0)
        return CC_FAIL(PROTOCOL, "a descriptor was expected");
    if (message->type == CONTROL_DOOR_FRONT) {
        fd_closep(&f->door);
        f->door = fd;
        f->life = message->life;
        return CC_OK;
    }
    if (message->type != CONTROL_LISTENER || message->value < LISTENER_API ||
        message->value > LISTENER_METRICS) {
        (void)close(fd);
        return CC_FAIL(PROTOCOL, "unexpected descriptor");
    }
    fd_closep(&f->listeners[message->value]);
    f->listeners[message->value] = fd;
    return CC_OK;
}

static void begin_drain(struct front *f, uint64_t seconds)
{
    if (f->drain_began_ms)
        return;
    log_info("draining", KV_NUM("seconds", seconds));
    f->drain_began_ms = clock_mono_ms();
    f->drain_limit_ms = seconds * 1000;
    http_drain(f->http);
}

static cc_err take_order(struct front *f, const struct control *message, int fd)
{
    switch ((enum control_type)message->type) {
    case CONTROL_DOOR_FRONT:
    case CONTROL_LISTENER:
        if (!f->started)
            return take_descriptor(f, message, fd);
        break;
    case CONTROL_START:
        f->started = true;
        return CC_OK;
    case CONTROL_LOG_LEVEL:
        log_set_level((enum log_level)message->value);
        return CC_OK;
    case CONTROL_DRAIN:
        if (f->http)
            begin_drain(f, message->value);
        return CC_OK;
    case CONTROL_RELOAD: /* keys are the core's */
        return CC_OK;
    case CONTROL_DOOR_VAULT:
    case CONTROL_DOOR_KEY:
    case CONTROL_DOOR_LOAD:
    case CONTROL_CHAMBER_KEY:
    case CONTROL_READY:
    case CONTROL_FAILED:
    case CONTROL_WANT_LOADER:
    case CONTROL_PEER_STALLED:
    case CONTROL_DRAINED:
        break;
    }
    fd_closep(&fd);
    return CC_FAIL(PROTOCOL, "unexpected order");
}

static cc_err receive_order(struct front *f)
{
    struct control message;
    int fd = -1;
    CC_TRY(control_receive(f->room->control_fd, &message, &fd));
    return take_order(f, &message, fd);
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

static cc_err load_network(struct front *f)
{
    const struct network_config *config = &f->room->config->network;
    CC_TRY(network_load(config->network, &f->network));
    for (uint32_t i = 0; i < config->overrides.count && i < CONFIG_LIST_MAX; i++)
        CC_TRY(network_override_line(&f->network, config->overrides.items[i]));
    return network_check(&f->network);
}

static uint32_t thread_count(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    return processors < 4 ? 1 : processors < 16 ? (uint32_t)processors / 2 : 8;
}

static cc_err open_front(struct front *f)
{
    const struct server_config *server = &f->room->config->server;
    struct metric_cells *cells = NULL;
    CC_TRY(metric_open(ROOM_FD_METRICS, false, &cells));
    report_init();
    metric_label_names(METRIC_SET_ROUTE, route_names, ROUTE_END);
    CC_TRY(load_network(f));
    while (!f->started)
        CC_TRY(receive_order(f));
    if (f->door < 0)
        return CC_FAIL(PROTOCOL, "no door to the core");
    CC_TRY(exchange_init(&f->exchange, http_tickets(server), http_done));
    struct http_options options = {server, &f->network, &f->exchange, cells, thread_count()};
    CC_TRY(http_open(&options, &f->http));
    for (int kind = LISTENER_API; kind <= LISTENER_METRICS; kind++) {
        if (f->listeners[kind] < 0)
            continue;
        CC_TRY(http_listen(f->http, (enum listener)kind, f->listeners[kind]));
        f->listeners[kind] = -1;
    }
    exchange_start(&f->exchange, f->door, f->life);
    return CC_OK;
}

/* --- serving ------------------------------------------------------------------------------------------------------ */

/* True when the last answer is out, or the time for it is over. */
static bool drain_is_over(struct front *f, uint64_t now_ms)
{
    uint64_t since = now_ms - f->drain_began_ms;
    if (f->accepting && since >= u64_min(ACCEPT_WHILE_DRAINING_MS, f->drain_limit_ms)) {
        f->accepting = false;
        http_stop_accepting(f->http);
    }
    return !f->accepting && (http_active(f->http) == 0 || since >= f->drain_limit_ms);
}

/* Orders and ticks in turn; ends with CC_OK when it has drained or the supervisor is gone. */
static cc_err serve(struct front *f)
{
    struct pollfd orders = {.fd = f->room->control_fd, .events = POLLIN};
    for (;;) {
        int n = poll(&orders, 1, TICK_MS);
        if (n > 0) {
            cc_err err = receive_order(f);
            if (error_is(err, ERROR_DOOR_CLOSED))
                return CC_OK;
            CC_TRY(err);
        }
        uint64_t now_ms = clock_mono_ms();
        exchange_expire(&f->exchange, now_ms, HTTP_CORE_LIMIT_MS);
        http_tick(f->http, now_ms);
        if (f->drain_began_ms && drain_is_over(f, now_ms))
            return control_send(f->room->control_fd, CONTROL_DRAINED, f->life, 0, -1);
        if (!exchange_is_open(&f->exchange))
            return CC_FAIL(DOOR_CLOSED, "the core is gone");
    }
}

/* Requests that waited for a core that is gone were answered 503: lets those answers go out. */
static void let_answers_out(struct front *f)
{
    uint64_t began_ms = clock_mono_ms();
    http_drain(f->http);
    while (http_active(f->http) && clock_mono_ms() - began_ms < LAST_ANSWERS_MS) {
        exchange_expire(&f->exchange, clock_mono_ms(), 0);
        (void)poll(NULL, 0, 10);
    }
}

static cc_err run(struct front *f)
{
    CC_TRY(open_front(f));
    CC_TRY(f->room->lock(ROOM_FRONT));
    CC_TRY(http_serve(f->http));
    f->accepting = true;
    CC_TRY(control_send(f->room->control_fd, CONTROL_READY, f->life, 0, -1));
    cc_err err = serve(f);
    if (error_is(err, ERROR_DOOR_CLOSED)) {
        if (exchange_is_stalled(&f->exchange))
            (void)control_send(f->room->control_fd, CONTROL_PEER_STALLED, f->life, ROOM_CORE, -1)
                .code;
        let_answers_out(f);
    }
    return err;
}

static void close_front(struct front *f)
{
    if (f->http)
        http_stop_accepting(f->http);
    exchange_stop(&f->exchange);
    http_close(f->http);
    exchange_release(&f->exchange);
    fd_closep(&f->door);
    for (int kind = 0; kind <= LISTENER_METRICS; kind++)
        fd_closep(&f->listeners[kind]);
}

CC_ERR front_main(const struct room_context *room)
{
    struct front f = {
        .room = room, .door = -1, .exchange = {.fd = -1}, .listeners = {-1, -1, -1, -1}};
    /* Without a given number the allocator asks for the processors when a thread first needs memory: a system call that
     * nobody expects after lock().
     */
    (void)mallopt(M_ARENA_MAX, ALLOCATOR_ARENAS);
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    if (sigaction(SIGPIPE, &ignore, NULL) != 0)
        return CC_FAIL(SYSTEM, "sigaction");
    cc_err err = run(&f);
    close_front(&f);
    return err;
}
