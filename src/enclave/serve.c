#include "enclave/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"

#include "enclave/log_relay.h"

enum {
    CONNECT_AGAIN_MS = 1000,
    LAST_WORDS_MS = 2000
};

struct running {
    const struct serve *serve;
    struct log_relay *relay;
    int signals;
    pid_t pid; /* 0: has ended */
    int status;
    uint64_t connect_at_ms;
    uint64_t deadline_ms; /* after the program's end */
};

/* --- the program ------------------------------------------------------------------------------------------------------ */

static void become(const struct enclave_plan *plan, int log)
{
    char program[ENCLAVE_PATH_SIZE];
    char arguments[ENCLAVE_ARGUMENTS_MAX][ENCLAVE_ARGUMENT_SIZE];
    char *argv[ENCLAVE_ARGUMENTS_MAX + 2] = {program};
    char *const no_environment[] = {NULL};
    sigset_t none;
    memcpy(program, plan->program, sizeof program);
    memcpy(arguments, plan->arguments, sizeof arguments);
    for (size_t i = 0; i < plan->argument_count; i++)
        argv[i + 1] = arguments[i];
    int null = open("/dev/null", O_RDONLY);
    (void)sigemptyset(&none);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(log, STDOUT_FILENO) < 0 ||
        dup2(log, STDERR_FILENO) < 0 || setsid() < 0 || sigprocmask(SIG_SETMASK, &none, NULL) != 0)
        return;
    (void)close_range(STDERR_FILENO + 1, ~0U, 0);
    (void)execve(program, argv, no_environment);
}

static cc_err start(const struct enclave_plan *plan, int log, pid_t *ret_pid)
{
    pid_t pid = fork();
    if (pid == 0) {
        become(plan, log);
        _exit(127);
    }
    if (pid < 0)
        return CC_FAIL(SYSTEM, "fork");
    *ret_pid = pid;
    return CC_OK;
}

static void reap(struct running *r)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid != r->pid)
            continue;
        r->pid = 0;
        r->status = status;
        r->deadline_ms = clock_mono_ms() + LAST_WORDS_MS;
    }
}

static void take_signal(struct running *r)
{
    struct signalfd_siginfo info;
    while (read(r->signals, &info, sizeof info) == sizeof info)
        if (info.ssi_signo == SIGTERM && r->pid)
            (void)kill(r->pid, SIGTERM);
    reap(r);
}

/* --- the loop --------------------------------------------------------------------------------------------------------- */

static void connect_if_due(struct running *r, uint64_t now)
{
    const struct enclave_plan *plan = r->serve->plan;
    int fd = -1;
    if (!plan->log_port || r->relay->parent >= 0 || now < r->connect_at_ms)
        return;
    r->connect_at_ms = now + CONNECT_AGAIN_MS;
    if (!r->serve->connect(plan->parent_cid, plan->log_port, &fd).code)
        log_relay_connected(r->relay, fd);
}

static bool is_over(const struct running *r, uint64_t now)
{
    if (r->pid)
        return false;
    /* A log that something else still holds open, or that nobody takes, isn't waited for. */
    return now >= r->deadline_ms || (r->relay->ended && r->relay->len == 0);
}

static cc_err turn(struct running *r, uint64_t now)
{
    struct log_relay *relay = r->relay;
    struct pollfd fds[] = {{.fd = r->signals, .events = POLLIN},
                           {.fd = relay->ended ? -1 : relay->from, .events = POLLIN},
                           {.fd = relay->parent, .events = log_relay_events(relay)}};
    uint64_t until = r->pid ? UINT64_MAX : r->deadline_ms;
    if (r->serve->plan->log_port && relay->parent < 0 && r->connect_at_ms < until)
        until = r->connect_at_ms;
    int timeout_ms = until == UINT64_MAX ? -1 : until <= now ? 0 : (int)(until - now);
    if (poll(fds, ARRAY_LEN(fds), timeout_ms) < 0 && errno != EINTR)
        return CC_FAIL(SYSTEM, "poll");
    if (fds[0].revents)
        take_signal(r);
    if (fds[1].revents)
        CC_TRY(log_relay_take(relay));
    log_relay_send(relay);
    /* A vsock whose connection was refused says only "not connected" to who writes, for good. */
    if (fds[2].revents & (POLLERR | POLLHUP | POLLNVAL))
        log_relay_close(relay);
    return CC_OK;
}

static cc_err run(struct running *r)
{
    for (;;) {
        uint64_t now = clock_mono_ms();
        connect_if_due(r, now);
        if (is_over(r, now))
            return CC_OK;
        CC_TRY(turn(r, now));
    }
}

CC_ERR serve_run(const struct serve *serve, int *ret_status)
{
    static struct log_relay relay;
    int ends[2];
    sigset_t watched;
    (void)sigemptyset(&watched);
    (void)sigaddset(&watched, SIGCHLD);
    (void)sigaddset(&watched, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &watched, NULL) != 0)
        return CC_FAIL(SYSTEM, "sigprocmask");
    CC_CLEANUP(fd_closep) int signals = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals < 0 || pipe2(ends, O_CLOEXEC) != 0)
        return CC_FAIL(SYSTEM, "signalfd, pipe");
    CC_CLEANUP(fd_closep) int from = ends[0];
    CC_CLEANUP(fd_closep) int to = ends[1];
    if (fcntl(from, F_SETFL, O_NONBLOCK) != 0)
        return CC_FAIL(SYSTEM, "pipe");
    log_relay_init(&relay, from, serve->console, serve->plan->log_port != 0);
    struct running r = {.serve = serve, .relay = &relay, .signals = signals};
    CC_TRY(start(serve->plan, to, &r.pid));
    fd_closep(&to);
    cc_err err = run(&r);
    log_relay_close(&relay);
    *ret_status = r.status;
    return err;
}
