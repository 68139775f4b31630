/* System calls after lock(), as app/sandbox.def has them:
 *   threads and memory    futex mmap munmap mprotect madvise brk rseq sched_yield rt_sigprocmask exit exit_group
 *   time                  clock_gettime gettimeofday (where the vdso falls back to them)
 *   accepting             poll accept4 recvfrom (PROXY headers)
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
#include "front/atls.h"
#include "front/exchange.h"
#include "front/http.h"
#include "front/readiness.h"
#include "front/route.h"
#include "front/tls.h"

enum {
    TICK_MS = 100,
    HOLDING_TICK_MS = 10, /* clients wait */
    ALLOCATOR_ARENAS = 4,
    ACCEPT_WHILE_DRAINING_MS = 5000, /* until load balancers have noticed */
    /* Where duties come. Operators and probes of the others are let in at once. */
    SIGNING_LISTENERS = 1 << LISTENER_API | 1 << LISTENER_UNIX | 1 << LISTENER_TLS,
    LAST_ANSWERS_MS = 500,  /* after the core is gone */
    ATTESTED_WAIT_MS = 5000 /* for the first certificate */
};

struct front {
    const struct room_context *room;
    struct eth_network network;
    struct exchange exchange;
    struct http *http;
    int door;
    uint32_t life;
    struct tls *tls;  /* NULL: tls.mode is disabled */
    struct atls atls; /* of tls.mode: atls */
    int listeners[LISTENER_END];
    uint32_t
        held; /* bits 1 << enum listener: connections wait there until a signature would succeed */
    struct readiness readiness; /* while `holding` */
    bool holding;
    bool started;
    uint64_t drain_began_ms; /* 0: not draining */
    uint64_t drain_limit_ms;
    bool accepting;
};

/* --- what the supervisor sends ------------------------------------------------------------------------------------ */

/* The files of TLS, from the descriptor to GnuTLS; tells the supervisor that they are in use. */
static cc_err load_tls(const struct front *f, const struct control *message, int fd)
{
    CC_CLEANUP(buf_release) struct buf bytes = buf_init(TLS_FILES_MAX);
    struct tls_files files;
    cc_err err = fd_read_all(fd, &bytes);
    (void)close(fd);
    if (!err.code)
        err = tls_files_read(buf_span(&bytes), &files);
    if (!err.code)
        err = tls_load(f->tls, &files);
    CC_TRY(err);
    return control_send(f->room->control_fd, CONTROL_TLS_TAKEN, f->life, message->value, -1);
}

static cc_err take_first_tls(struct front *f, const struct control *message, int fd)
{
    cc_err err = f->tls ? CC_OK : tls_new(&f->room->config->auth.certificates, false, &f->tls);
    if (err.code)
        (void)close(fd);
    else
        err = load_tls(f, message, fd);
    if (err.code)
        log_error("TLS cannot be served with these files", KV_ERR(err));
    return err;
}

/* What is served now stays when the new files are no good. */
static void take_new_tls(const struct front *f, const struct control *message, int fd)
{
    cc_err err = load_tls(f, message, fd);
    metric_add(err.code ? METRIC_TLS_RELOAD_FAILURES : METRIC_TLS_RELOADS, 0, 0, 1);
    if (err.code)
        log_error("the TLS files are refused: the certificate before them stays in use",
                  KV_ERR(err));
}

static cc_err take_listener(struct front *f, const struct control *message, int fd)
{
    const uint64_t kind = message->value & ~(uint64_t)LISTENER_HELD;
    if (message->type != CONTROL_LISTENER || kind < LISTENER_API || kind >= LISTENER_END) {
        (void)close(fd);
        return CC_FAIL(PROTOCOL, "unexpected descriptor");
    }
    fd_closep(&f->listeners[kind]);
    f->listeners[kind] = fd;
    if (message->value & LISTENER_HELD)
        f->held |= UINT32_C(1) << kind & SIGNING_LISTENERS;
    return CC_OK;
}

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
    if (message->type == CONTROL_TLS)
        return take_first_tls(f, message, fd);
    return take_listener(f, message, fd);
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
    case CONTROL_TLS:
        if (!f->started && fd >= 0)
            return take_descriptor(f, message, fd);
        if (!f->tls || fd < 0)
            break;
        take_new_tls(f, message, fd);
        return CC_OK;
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
    case CONTROL_AWS_INPUTS:
    case CONTROL_DOOR_DOCUMENTS:
    case CONTROL_NSM:
    case CONTROL_CHAMBER_KEY:
    case CONTROL_ORDER:
    case CONTROL_READY:
    case CONTROL_FAILED:
    case CONTROL_WANT_LOADER:
    case CONTROL_PEER_STALLED:
    case CONTROL_DRAINED:
    case CONTROL_SEALED:
    case CONTROL_TLS_TAKEN:
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

static bool is_attested(const struct front *f)
{
    return f->room->config->tls.mode == TLS_ATTESTED;
}

static cc_err open_tls(struct front *f)
{
    const struct config *config = f->room->config;
    if (is_attested(f)) {
        CC_TRY(tls_new(&config->auth.certificates, true, &f->tls));
        return atls_init(&f->exchange, f->tls, config->tls.atls_renew_minutes, &f->atls);
    }
    return config->tls.mode == TLS_FILES && !f->tls ? CC_FAIL(PROTOCOL, "no files of TLS") : CC_OK;
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
    CC_TRY(open_tls(f));
    const struct http_options options = {
        .server = server,
        .config = f->room->config,
        .allow_plaintext = f->room->config->auth.allow_plaintext,
        .network = &f->network,
        .exchange = &f->exchange,
        .metrics = cells,
        .threads = thread_count(),
        .tls = f->tls,
    };
    CC_TRY(http_open(&options, &f->http));
    for (int kind = LISTENER_API; kind < LISTENER_END; kind++) {
        if (f->listeners[kind] < 0)
            continue;
        CC_TRY(http_listen(f->http, (enum listener)kind, f->listeners[kind]));
        f->listeners[kind] = -1;
        if (f->held >> kind & 1)
            http_hold(f->http, (enum listener)kind);
    }
    exchange_start(&f->exchange, f->door, f->life);
    return CC_OK;
}

/* --- serving ------------------------------------------------------------------------------------------------------ */

/* True when the last answer is out, or the time for it is over. Some of that time is left for who has connected last and not
 * asked yet.
 */
static bool drain_is_over(struct front *f, uint64_t now_ms)
{
    uint64_t since = now_ms - f->drain_began_ms;
    uint64_t accepting_ms = u64_min(ACCEPT_WHILE_DRAINING_MS, f->drain_limit_ms * 3 / 4);
    if (f->accepting && since >= accepting_ms) {
        f->accepting = false;
        http_stop_accepting(f->http);
    }
    if (f->accepting)
        return false;
    http_shut_quiet(f->http, now_ms);
    return since >= f->drain_limit_ms ||
           (http_active(f->http) == 0 && http_open_count(f->http) == 0);
}

static void let_in_when_ready(struct front *f, uint64_t now_ms)
{
    if (!f->holding || !readiness_tick(&f->readiness, now_ms))
        return;
    f->holding = false;
    http_let_in(f->http);
}

/* One order, if there is one within the tick, and what is due. The core's end ends the tick, and the thread that reads its door
 * sees it at the same moment.
 */
static cc_err turn(struct front *f, uint64_t *ret_now_ms)
{
    struct pollfd fds[] = {{.fd = f->room->control_fd, .events = POLLIN}, {.fd = f->door}};
    if (poll(fds, ARRAY_LEN(fds), f->holding ? HOLDING_TICK_MS : TICK_MS) > 0 && fds[0].revents)
        CC_TRY(receive_order(f));
    *ret_now_ms = clock_mono_ms();
    exchange_expire(&f->exchange, *ret_now_ms, HTTP_CORE_LIMIT_MS);
    if (is_attested(f))
        atls_tick(&f->atls, *ret_now_ms);
    return CC_OK;
}

/* It is there at once, unless the core itself waits for something. Then the front goes on without it: probes are answered, connections of
 * TLS are not taken, and it comes when it comes.
 */
static cc_err wait_for_certificate(struct front *f)
{
    const uint64_t began_ms = clock_mono_ms();
    uint64_t now_ms = began_ms;
    while (is_attested(f) && !f->atls.in_use) {
        CC_TRY(turn(f, &now_ms));
        if (!exchange_is_open(&f->exchange))
            return CC_FAIL(DOOR_CLOSED, "the core is gone");
        if (now_ms - began_ms > ATTESTED_WAIT_MS)
            return CC_OK;
    }
    return CC_OK;
}

/* Orders and ticks in turn; ends with CC_OK when it has drained or the supervisor is gone. */
static cc_err serve(struct front *f)
{
    for (;;) {
        uint64_t now_ms;
        cc_err err = turn(f, &now_ms);
        if (error_is(err, ERROR_DOOR_CLOSED))
            return CC_OK;
        CC_TRY(err);
        http_tick(f->http, now_ms);
        let_in_when_ready(f, now_ms);
        if (f->drain_began_ms && drain_is_over(f, now_ms))
            return control_send(f->room->control_fd, CONTROL_DRAINED, f->life, 0, -1);
        if (!exchange_is_open(&f->exchange))
            return CC_FAIL(DOOR_CLOSED, "the core is gone");
    }
}

/* Requests that waited for a core that is gone were answered 503: lets those answers go out. The supervisor waits for them. */
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
    CC_TRY(http_read_answers(f->http));
    CC_TRY(wait_for_certificate(f));
    f->holding = f->held != 0;
    readiness_init(&f->exchange, clock_mono_ms(), &f->readiness);
    http_serve(f->http);
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
    readiness_release(&f->readiness);
    http_close(f->http);
    tls_free(f->tls);
    atls_release(&f->atls);
    exchange_release(&f->exchange);
    fd_closep(&f->door);
    for (int kind = 0; kind < LISTENER_END; kind++)
        fd_closep(&f->listeners[kind]);
}

CC_ERR front_main(const struct room_context *room)
{
    struct front f = {.room = room, .door = -1, .exchange = {.fd = -1}};
    for (int kind = 0; kind < LISTENER_END; kind++)
        f.listeners[kind] = -1;
    /* Without a given number the allocator asks for the processors when a thread first needs memory: a system call that
     * nobody expects after lock().
     */
    (void)mallopt(M_ARENA_MAX, ALLOCATOR_ARENAS);
    /* Libraries free what bodies and headers passed through; free() overwrites it (docs/secrets.md). */
    (void)mallopt(M_PERTURB, 1);
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    if (sigaction(SIGPIPE, &ignore, NULL) != 0)
        return CC_FAIL(SYSTEM, "sigaction");
    cc_err err = run(&f);
    close_front(&f);
    return err;
}
