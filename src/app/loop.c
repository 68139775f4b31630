#include "app/loop.h"

#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/io.h"

enum source {
    SOURCE_SIGNAL = 1,
    SOURCE_OWN_LOG,
    SOURCE_CONTROL,
    SOURCE_LOG
};
enum {
    EVENTS_MAX = 16
};

static cc_err watch(struct loop *loop, int fd, enum source source, int room)
{
    struct epoll_event event = {.events = EPOLLIN,
                                .data.u32 = (uint32_t)source << 8 | (uint32_t)room};
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        return CC_FAIL(SYSTEM, "epoll_ctl");
    return CC_OK;
}

static cc_err open_signals(int *ret_fd)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    (void)sigaddset(&set, SIGCHLD);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction usual = {.sa_handler = SIG_DFL};
    if (sigaction(SIGPIPE, &ignore, NULL) != 0 || sigaction(SIGXFSZ, &ignore, NULL) != 0 ||
        sigaction(SIGCHLD, &usual, NULL) != 0 || sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return CC_FAIL(SYSTEM, "signals");
    *ret_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return *ret_fd >= 0 ? CC_OK : CC_FAIL(SYSTEM, "signalfd");
}

CC_ERR loop_init(struct loop *loop, const struct log_sink *sink, enum log_level level)
{
    *loop = (struct loop){
        .epoll = -1, .signals = -1, .own_log.fd = -1, .own_log_write = -1, .sink = *sink};
    CC_TRY(logpipe_open_output(sink->fd, &loop->sink.fd));
    CC_TRY(logpipe_open(&loop->own_log, "supervisor", &loop->own_log_write));
    log_init(loop->own_log_write, false, level);
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll < 0)
        return CC_FAIL(SYSTEM, "epoll");
    CC_TRY(open_signals(&loop->signals));
    CC_TRY(watch(loop, loop->signals, SOURCE_SIGNAL, 0));
    return watch(loop, loop->own_log.fd, SOURCE_OWN_LOG, 0);
}

void loop_release(struct loop *loop)
{
    if (loop->own_log_write >= 0)
        log_init(STDERR_FILENO, true, LOG_LEVEL_INFO);
    fd_closep(&loop->own_log_write);
    logpipe_close(&loop->own_log, &loop->sink);
    fd_closep(&loop->sink.fd);
    fd_closep(&loop->signals);
    fd_closep(&loop->epoll);
}

static unsigned take_signals(struct loop *loop, struct rooms *rooms)
{
    unsigned taken = LOOP_SIGNAL_NONE;
    struct signalfd_siginfo info;
    while (read(loop->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            rooms_on_child_end(rooms);
        else if (info.ssi_signo == SIGHUP)
            taken |= LOOP_SIGNAL_RELOAD;
        else
            taken |= LOOP_SIGNAL_STOP;
    }
    return taken;
}

/* A reaped room's descriptors have left the set by being closed. */
static void watch_new_rooms(struct loop *loop, struct rooms *rooms)
{
    for (int i = 1; i < ROOM_END; i++) {
        struct child *child = &rooms->children[i];
        if (child->pid == loop->watched[i])
            continue;
        loop->watched[i] = child->pid;
        if (child->pid <= 0)
            continue;
        cc_err err = watch(loop, child->control, SOURCE_CONTROL, i);
        if (!err.code)
            err = watch(loop, child->log.fd, SOURCE_LOG, i);
        if (err.code) {
            log_error("a room cannot be watched, ending it",
                      KV_STR("which", room_name((enum room)i)), KV_ERR(err));
            (void)kill(child->pid, SIGKILL);
        }
    }
}

unsigned loop_wait(struct loop *loop, struct rooms *rooms, int timeout_ms)
{
    struct epoll_event events[EVENTS_MAX];
    unsigned taken = LOOP_SIGNAL_NONE;
    watch_new_rooms(loop, rooms);
    int n = epoll_wait(loop->epoll, events, EVENTS_MAX, timeout_ms);
    for (int i = 0; i < n; i++) {
        enum room room = (enum room)(events[i].data.u32 & 0xff);
        switch ((enum source)(events[i].data.u32 >> 8)) {
        case SOURCE_SIGNAL:
            taken |= take_signals(loop, rooms);
            break;
        case SOURCE_OWN_LOG:
            (void)logpipe_read(&loop->own_log, &loop->sink);
            break;
        case SOURCE_CONTROL:
            rooms_on_control(rooms, room);
            break;
        case SOURCE_LOG:
            rooms_on_log(rooms, room);
            break;
        }
    }
    return taken;
}
