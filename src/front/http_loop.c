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
    EVENTS = 4
};

enum source {
    SOURCE_CLIENTS, /* libmicrohttpd's epoll */
    SOURCE_WAKE,
    SOURCE_DOOR
};

static cc_err watch(struct loop *loop, int fd, enum source source)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = source};
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
static cc_err start_daemon(struct http *h, struct loop *loop)
{
    unsigned flags =
        MHD_USE_EPOLL | MHD_USE_TURBO | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET;
    loop->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, request_handle, h, MHD_OPTION_NOTIFY_COMPLETED, request_completed, h,
        MHD_OPTION_NOTIFY_CONNECTION, connection_notify, h, MHD_OPTION_URI_LOG_CALLBACK,
        request_target_seen, h, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_HEAD_MAX,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)http_tickets(h->config),
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)h->config->idle_timeout_seconds, MHD_OPTION_END);
    return loop->daemon ? CC_OK : CC_FAIL(SYSTEM, "libmicrohttpd");
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
    CC_TRY(start_daemon(h, loop));
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(loop->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (!info || info->epoll_fd < 0)
        return CC_FAIL(SYSTEM, "libmicrohttpd has no epoll");
    CC_TRY(watch(loop, info->epoll_fd, SOURCE_CLIENTS));
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

/* libmicrohttpd closes the socket also when it refuses it. */
static void take_newcomers(struct loop *loop)
{
    struct newcomer n;
    while (next_newcomer(loop, &n))
        if (MHD_add_connection(loop->daemon, n.fd, (const struct sockaddr *)&n.address,
                               n.address_len) != MHD_YES)
            connection_closed(loop->http, n.connection);
}

/* How long libmicrohttpd can go without a turn. */
static int patience_ms(struct loop *loop)
{
    MHD_UNSIGNED_LONG_LONG timeout;
    if (atomic_exchange(&loop->woken, false))
        return 0;
    if (MHD_get_timeout(loop->daemon, &timeout) != MHD_YES)
        return TURN_MAX_MS;
    return (int)u64_min(timeout, TURN_MAX_MS);
}

static void take_event(struct loop *loop, enum source source)
{
    struct exchange *x = loop->http->exchange;
    uint64_t count;
    if (source == SOURCE_WAKE)
        (void)!read(loop->wake_fd, &count, sizeof count);
    else if (source == SOURCE_DOOR && !exchange_receive(x))
        (void)epoll_ctl(loop->epoll, EPOLL_CTL_DEL, x->fd, NULL);
}

static void *loop_main(void *arg)
{
    struct loop *loop = arg;
    while (!atomic_load(&loop->ending)) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(loop->epoll, events, EVENTS, patience_ms(loop));
        for (int i = 0; i < n; i++)
            take_event(loop, (enum source)events[i].data.u32);
        take_newcomers(loop);
        (void)MHD_run(loop->daemon);
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

void loop_close(struct loop *loop)
{
    atomic_store(&loop->ending, true);
    if (loop->runs) {
        loop_wake(loop);
        (void)pthread_join(loop->thread, NULL);
    }
    if (loop->daemon) {
        take_newcomers(loop);
        (void)MHD_run(loop->daemon); /* what was resumed since its last turn */
        MHD_stop_daemon(loop->daemon);
    }
    fd_closep(&loop->wake_fd);
    fd_closep(&loop->epoll);
    (void)pthread_mutex_destroy(&loop->lock);
    (void)pthread_cond_destroy(&loop->taken);
}
