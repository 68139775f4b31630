#include "cli/own_signer.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/num.h"

#include "cli/bench_load.h"
#include "cli/bench_request.h"

enum {
    ANSWER_MAX = 1 << 24,
    LOG_TAIL = 2000,
    START_SECONDS = 600,
    STOP_SECONDS = 60
};

CC_ERR own_signer_path(const struct own_signer *signer, const char *name, char out[static PATH_MAX])
{
    int n = snprintf(out, PATH_MAX, "%s/%s", signer->directory, name);
    return n > 0 && n < PATH_MAX ? CC_OK : CC_FAIL(LIMIT, "path too long");
}

static void pause_ms(long ms)
{
    const struct timespec pause = {.tv_nsec = ms * 1000000};
    (void)nanosleep(&pause, NULL);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)type, (void)where;
    return remove(path);
}

void own_signer_remove(const char *path)
{
    (void)nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static cc_err check_filesystem(const char *path)
{
    struct statfs fs;
    if (statfs(path, &fs) != 0)
        return CC_FAIL(IO, "the directory to work in");
    if (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC)
        return CC_FAIL(FILESYSTEM, "this one is in memory; name a directory on a disk with --dir");
    return CC_OK;
}

CC_ERR own_signer_make(const char *below, const char *what, struct own_signer *ret_signer)
{
    char path[PATH_MAX];
    *ret_signer = (struct own_signer){0};
    CC_TRY(check_filesystem(below));
    int n = snprintf(path, sizeof path, "%s/containment-chamber-%s-XXXXXX", below, what);
    if (n < 0 || (size_t)n >= sizeof path || !mkdtemp(path))
        return CC_FAIL(IO, "no directory can be made");
    if (!realpath(path, ret_signer->directory))
        return CC_FAIL(IO, "realpath");
    /* Started as root, rooms have users of their own, who must pass. */
    return chmod(ret_signer->directory, 0711) == 0 ? CC_OK : CC_FAIL(IO, "chmod");
}

static CC_NORETURN void become(const char *program, char *const *argv, int out, int log)
{
    char *const environment[] = {NULL};
    int null = open("/dev/null", O_RDONLY);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    (void)setsid(); /* a terminal's Ctrl-C is for `bench`, which stops its server */
    if (dup2(null, 0) == 0 && dup2(out, 1) == 1 && dup2(log, 2) == 2)
        (void)execve(program ? program : "/proc/self/exe", argv, environment);
    _exit(127);
}

/* Starts the binary; standard output to `out` (-1: to the log as well). */
static cc_err start(const struct own_signer *signer, char *const *argv, int out, pid_t *ret_pid)
{
    char path[PATH_MAX];
    CC_TRY(own_signer_path(signer, "chamber/log.txt", path));
    CC_CLEANUP(fd_closep)
    int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0)
        return CC_FAIL(IO, "the log");
    pid_t pid = fork();
    if (pid == 0)
        become(signer->program, argv, out >= 0 ? out : log, log);
    if (pid < 0)
        return CC_FAIL(SYSTEM, "fork");
    *ret_pid = pid;
    return CC_OK;
}

/* True when `pid` has ended; it is reaped then. */
static bool has_ended(pid_t pid, int *ret_status)
{
    return waitpid(pid, ret_status, WNOHANG) == pid;
}

static void show_log(const struct own_signer *signer)
{
    char path[PATH_MAX];
    CC_CLEANUP(buf_release) struct buf log = buf_init(ANSWER_MAX);
    if (own_signer_path(signer, "chamber/log.txt", path).code || file_read(path, &log).code ||
        !log.len)
        return;
    size_t from = log.len > LOG_TAIL ? log.len - LOG_TAIL : 0;
    (void)fwrite(log.data + from, 1, log.len - from, stderr);
}

CC_ERR own_signer_spawn(struct own_signer *signer, char *const *argv)
{
    return start(signer, argv, -1, &signer->pid);
}

CC_ERR own_signer_run(const struct own_signer *signer, char *const *argv, int out)
{
    pid_t pid;
    int status = 0;
    CC_TRY(start(signer, argv, out, &pid));
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return CC_FAIL(SYSTEM, "waitpid");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return CC_OK;
    show_log(signer);
    return CC_FAIL(SYSTEM, "a command on the chamber failed");
}

static bool read_port(struct own_signer *signer)
{
    static const char mark[] = "http-port=";
    char path[PATH_MAX];
    uint64_t port = 0;
    CC_CLEANUP(buf_release) struct buf text = buf_init(4096);
    if (own_signer_path(signer, "chamber/data/ports", path).code || file_read(path, &text).code)
        return false;
    const uint8_t *at = memmem(text.data, text.len, mark, sizeof mark - 1);
    if (!at)
        return false;
    at += sizeof mark - 1;
    const uint8_t *end = memchr(at, '\n', text.len - (size_t)(at - text.data));
    if (!end || u64_parse(span_of(at, (size_t)(end - at)), &port).code || port > UINT16_MAX)
        return false;
    signer->port = (uint16_t)port;
    return true;
}

static bool is_ready(const struct own_signer *signer)
{
    CC_CLEANUP(buf_release) struct buf answer = buf_init(ANSWER_MAX);
    cc_err err =
        bench_ask(signer->port,
                  "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", &answer);
    return !err.code && bench_answer_status(buf_span(&answer)) == 200;
}

CC_ERR own_signer_wait(struct own_signer *signer)
{
    uint64_t begun = clock_mono_ns();
    int status;
    while (!(read_port(signer) && is_ready(signer))) {
        if (has_ended(signer->pid, &status)) {
            signer->pid = 0;
            show_log(signer);
            return CC_FAIL(SYSTEM, "the signer ended while it started");
        }
        if (clock_mono_ns() - begun > (uint64_t)START_SECONDS * 1000000000) {
            show_log(signer);
            return CC_FAIL(BUSY, "the signer does not become ready");
        }
        pause_ms(2);
    }
    signer->ready_ns = clock_mono_ns() - begun;
    return CC_OK;
}

CC_ERR own_signer_end(struct own_signer *signer)
{
    int status = 0;
    uint64_t begun = clock_mono_ns();
    if (signer->pid <= 0)
        return CC_OK;
    (void)kill(signer->pid, SIGTERM);
    while (!has_ended(signer->pid, &status)) {
        if (clock_mono_ns() - begun > (uint64_t)STOP_SECONDS * 1000000000)
            (void)kill(signer->pid, SIGKILL); /* its rooms die with it */
        pause_ms(2);
    }
    signer->pid = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return CC_OK;
    show_log(signer);
    return CC_FAIL(SYSTEM, "the signer did not end well");
}
