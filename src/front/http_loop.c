/* The threads that serve connections. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/io.h"
#include "base/num.h"

#include "front/http_inside.h"

enum {
    TURN_MAX_MS = 1000, /* without anything to do */
    EVENTS = 64
};

static cc_err watch(struct loop *loop, int fd, enum loop_source source)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = loop_event(source, fd)};
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        return CC_FAIL(SYSTEM, "epoll_ctl");
    return CC_OK;
}

/* Targets are matched as they were sent (front/route.h). */
static size_t keep_escapes(void *unused, struct MHD_Connection *mhd, char *text)
{
    (void)unused;
    (void)mhd;
    return strlen(text);
}

/* libmicrohttpd is run by us: in its own threads it writes to a pipe for each request that is resumed. */
static cc_err start_daemon(struct http *h,
                           unsigned more_flags,
                           const struct MHD_OptionItem *more,
                           struct MHD_Daemon **ret_daemon)
{
    unsigned flags = MHD_USE_EPOLL | MHD_USE_TURBO | MHD_ALLOW_SUSPEND_RESUME |
                     MHD_USE_NO_LISTEN_SOCKET | more_flags;
    *ret_daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, request_handle, h, MHD_OPTION_NOTIFY_COMPLETED, request_completed, h,
        MHD_OPTION_NOTIFY_CONNECTION, connection_notify, h, MHD_OPTION_URI_LOG_CALLBACK,
        request_target_seen, h, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_HEAD_MAX,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)http_tickets(h->config),
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)h->config->idle_timeout_seconds, MHD_OPTION_ARRAY,
        more, MHD_OPTION_END);
    return *ret_daemon ? CC_OK : CC_FAIL(SYSTEM, "libmicrohttpd");
}

static cc_err start_daemons(struct http *h, struct loop *loop)
{
    const union {
        tls_function *function;
        void *pointer;
    } no_certificate = {tls_no_certificate};
    const struct MHD_OptionItem nothing[] = {{MHD_OPTION_END, 0, NULL}};
    const struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)(h->tls ? tls_priorities(h->tls) : "")},
        {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, no_certificate.pointer},
        {MHD_OPTION_END, 0, NULL}};
    CC_TRY(start_daemon(h, 0, nothing, &loop->daemon));
    return h->tls ? start_daemon(h, MHD_USE_TLS, tls, &loop->tls_daemon) : CC_OK;
}

static cc_err watch_daemon(struct loop *loop, struct MHD_Daemon *daemon)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (!info || info->epoll_fd < 0)
        return CC_FAIL(SYSTEM, "libmicrohttpd has no epoll");
    return watch(loop, info->epoll_fd, SOURCE_CLIENTS);
}

CC_ERR loop_open(struct http *h, struct loop *loop)
{
    loop->http = h;
    cc_assert(pthread_mutex_init(&loop->lock, NULL) == 0 &&
              pthread_cond_init(&loop->taken, NULL) == 0);
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->epoll < 0 || loop->wake_fd < 0)
        return CC_FAIL(SYSTEM, "epoll");
    CC_TRY(start_daemons(h, loop));
    CC_TRY(watch_daemon(loop, loop->daemon));
    if (loop->tls_daemon)
        CC_TRY(watch_daemon(loop, loop->tls_daemon));
    return watch(loop, loop->wake_fd, SOURCE_WAKE);
}

CC_ERR loop_watch_door(struct loop *loop)
{
    return watch(loop, loop->http->exchange->fd, SOURCE_DOOR);
}

void loop_wake(struct loop *loop)
{
    const uint64_t one = 1;
    bool pending = atomic_exchange(&loop->woken, true);
    if (pending || pthread_equal(pthread_self(), loop->thread))
        return;
    /* The counter can't be full: the loop reads it in each turn. */
    (void)!write(loop->wake_fd, &one, sizeof one);
}

void loop_adopt(struct loop *loop, const struct newcomer *newcomer)
{
    (void)pthread_mutex_lock(&loop->lock);
    while (loop->newcomer_count == LOOP_NEWCOMERS_MAX)
        (void)pthread_cond_wait(&loop->taken, &loop->lock);
    loop->newcomers[loop->newcomer_count++] = *newcomer;
    (void)pthread_mutex_unlock(&loop->lock);
    loop_wake(loop);
}

static bool next_newcomer(struct loop *loop, struct newcomer *ret_newcomer)
{
    (void)pthread_mutex_lock(&loop->lock);
    bool some = loop->newcomer_count > 0;
    if (some)
        *ret_newcomer = loop->newcomers[--loop->newcomer_count];
    (void)pthread_cond_signal(&loop->taken);
    (void)pthread_mutex_unlock(&loop->lock);
    return some;
}

static struct MHD_Daemon *daemon_of(const struct loop *loop, const struct connection *c)
{
    return c->listener == LISTENER_TLS ? loop->tls_daemon : loop->daemon;
}

/* libmicrohttpd knows no vsock, and sets options of TCP on what it doesn't know: it is told of a Unix socket. It closes the
 * socket also when it refuses it.
 */
static bool hand_over(struct loop *loop, const struct newcomer *n)
{
    static const struct sockaddr unix_socket = {.sa_family = AF_UNIX};
    bool unknown = n->address.ss_family == AF_VSOCK;
    return MHD_add_connection(daemon_of(loop, n->connection), n->fd,
                              unknown ? &unix_socket : (const struct sockaddr *)&n->address,
                              unknown ? sizeof unix_socket : n->address_len) == MHD_YES;
}

static void take_newcomers(struct loop *loop)
{
    struct newcomer n;
    while (next_newcomer(loop, &n))
        if (!hand_over(loop, &n))
            connection_closed(loop->http, n.connection);
}

/* How long libmicrohttpd can go without a turn. */
static uint64_t daemon_patience_ms(struct MHD_Daemon *daemon)
{
    MHD_UNSIGNED_LONG_LONG timeout;
    return daemon && MHD_get_timeout(daemon, &timeout) == MHD_YES ? timeout : TURN_MAX_MS;
}

static int patience_ms(struct loop *loop)
{
    if (atomic_exchange(&loop->woken, false))
        return 0;
    uint64_t patience = u64_min(daemon_patience_ms(loop->daemon), TURN_MAX_MS);
    return (int)u64_min(patience, daemon_patience_ms(loop->tls_daemon));
}

static void run_daemons(struct loop *loop)
{
    (void)MHD_run(loop->daemon);
    if (loop->tls_daemon)
        (void)MHD_run(loop->tls_daemon);
}

static void take_event(struct loop *loop, uint64_t event)
{
    struct exchange *x = loop->http->exchange;
    uint64_t count;
    switch ((enum loop_source)(event >> 32)) {
    case SOURCE_CLIENTS:
        return;
    case SOURCE_WAKE:
        (void)!read(loop->wake_fd, &count, sizeof count);
        return;
    case SOURCE_DOOR:
        if (!exchange_receive(x))
            (void)epoll_ctl(loop->epoll, EPOLL_CTL_DEL, x->fd, NULL);
        return;
    case SOURCE_HANDSHAKE:
        handshake_wake(loop, (int)(uint32_t)event);
        return;
    }
}

static void *loop_main(void *arg)
{
    struct loop *loop = arg;
    while (!atomic_load(&loop->ending)) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(loop->epoll, events, EVENTS, patience_ms(loop));
        for (int i = 0; i < n; i++)
            take_event(loop, events[i].data.u64);
        take_newcomers(loop);
        run_daemons(loop);
        handshakes_rest(loop);
        exchange_flush(loop->http->exchange);
    }
    return NULL;
}

CC_ERR loop_start(struct loop *loop)
{
    if (pthread_create(&loop->thread, NULL, loop_main, loop) != 0)
        return CC_FAIL(SYSTEM, "pthread_create");
    loop->runs = true;
    return CC_OK;
}

void loop_join(struct loop *loop)
{
    atomic_store(&loop->ending, true);
    if (!loop->runs)
        return;
    loop_wake(loop);
    (void)pthread_join(loop->thread, NULL);
    loop->runs = false;
}

void loop_close(struct loop *loop)
{
    if (loop->daemon) {
        take_newcomers(loop);
        handshakes_wake_all(loop);
        run_daemons(loop); /* what was resumed since their last turn */
        MHD_stop_daemon(loop->daemon);
    }
    if (loop->tls_daemon)
        MHD_stop_daemon(loop->tls_daemon);
    fd_closep(&loop->wake_fd);
    fd_closep(&loop->epoll);
    (void)pthread_mutex_destroy(&loop->lock);
    (void)pthread_cond_destroy(&loop->taken);
}
