#include "app/child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"
#include "base/metric.h"

#include "app/privilege.h"
#include "app/sandbox.h"
#include "app/test_switch.h"

enum {
    CONFIG_MAX = 1 << 17
};

CC_ERR child_maker_open(struct child_maker *ret_maker)
{
    struct child_maker made = {-1, -1, -1, -1, getpid()};
    /* Opened once: a binary that is replaced on disk later does not mix versions between the rooms. */
    made.program = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    made.null = open("/dev/null", O_RDWR | O_CLOEXEC);
    cc_err err = made.program < 0 || made.null < 0
                     ? CC_FAIL(SYSTEM, "/proc/self/exe, /dev/null")
                     : metric_create(&made.metrics_write, &made.metrics_read);
    if (err.code)
        child_maker_close(&made);
    *ret_maker = made;
    return err;
}

void child_maker_close(struct child_maker *maker)
{
    fd_closep(&maker->program);
    fd_closep(&maker->null);
    fd_closep(&maker->metrics_write);
    fd_closep(&maker->metrics_read);
}

static enum config_room part_of(enum room room)
{
    switch (room) {
    case ROOM_FRONT:
        return CONFIG_FOR_FRONT;
    case ROOM_CORE:
        return CONFIG_FOR_CORE;
    case ROOM_VAULT:
        return CONFIG_FOR_VAULT;
    case ROOM_LOADER:
        return CONFIG_FOR_LOADER;
    case ROOM_FORWARDER:
        return CONFIG_FOR_FORWARDER;
    case ROOM_END:
        break;
    }
    cc_assert(false); /* no such room */
    return CONFIG_FOR_FRONT;
}

/* The room's part in a sealed memfd: read once, from the start, and never changed under the reader. */
static cc_err config_file(const struct config *config, enum room room, int *ret_fd)
{
    CC_CLEANUP(buf_release) struct buf blob = buf_init(CONFIG_MAX);
    CC_TRY(config_encode(config, part_of(room), &blob));
    CC_CLEANUP(fd_closep) int fd = memfd_create("config", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return CC_FAIL(SYSTEM, "memfd_create");
    CC_TRY(fd_write_all(fd, blob.data, blob.len));
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0 ||
        lseek(fd, 0, SEEK_SET) != 0)
        return CC_FAIL(SYSTEM, "sealing the configuration");
    *ret_fd = fd;
    fd = -1;
    return CC_OK;
}

/* --- between fork and exec -------------------------------------------------------------------------------------- */

static cc_err die_with(pid_t supervisor)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
        return CC_FAIL(SYSTEM, "PR_SET_PDEATHSIG");
    return getppid() == supervisor ? CC_OK : CC_FAIL(SYSTEM, "the supervisor has ended");
}

static cc_err place_descriptors(const int sources[static ROOM_FD_FIRST_FREE])
{
    int above[ROOM_FD_FIRST_FREE];
    for (int i = 0; i < ROOM_FD_FIRST_FREE; i++) {
        above[i] = fcntl(sources[i], F_DUPFD_CLOEXEC, ROOM_FD_FIRST_FREE);
        if (above[i] < 0)
            return CC_FAIL(SYSTEM, "F_DUPFD");
    }
    for (int i = 0; i < ROOM_FD_FIRST_FREE; i++)
        if (dup2(above[i], i) != i)
            return CC_FAIL(SYSTEM, "dup2");
    return CC_OK;
}

static void reset_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;
    for (int number = 1; number < NSIG; number++)
        (void)sigaction(number, &action, NULL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

struct role {
    enum room room;
    bool network;
    char *switch_or_null;
};

static cc_err become(const struct child_maker *maker,
                     const struct role *role,
                     const int sources[static ROOM_FD_FIRST_FREE])
{
    enum room room = role->room;
    char name[16];
    char *const argv[] = {(char[]){"containment-chamber"}, (char[]){"room"}, name,
                          role->switch_or_null, NULL};
    char *const no_environment[] = {NULL};
    size_t len = strlen(room_name(room));
    memcpy(name, room_name(room), len + 1);
    int program = fcntl(maker->program, F_DUPFD_CLOEXEC, ROOM_FD_FIRST_FREE);
    reset_signals();
    CC_TRY(die_with(maker->supervisor));
    CC_TRY(place_descriptors(sources));
    log_init(ROOM_FD_LOG, false, LOG_LEVEL_INFO);
    if (setsid() < 0) /* a terminal's Ctrl-C is for the supervisor, which drains */
        return CC_FAIL(SYSTEM, "setsid");
    if (!role->network && !privilege_leave_network())
        log_info("no network namespace of its own: the kernel does not allow it");
    CC_TRY(privilege_enter(room));
    CC_TRY(die_with(maker->supervisor)); /* a change of uid has switched it off */
    if (close_range(ROOM_FD_FIRST_FREE, ~0U, CLOSE_RANGE_CLOEXEC) != 0)
        return CC_FAIL(SYSTEM, "close_range");
    (void)syscall(SYS_execveat, program, "", argv, no_environment, AT_EMPTY_PATH);
    return CC_FAIL(SYSTEM, "execveat");
}

/* --- the supervisor's side ---------------------------------------------------------------------------------------- */

CC_ERR child_spawn(const struct child_maker *maker,
                   const struct config *config,
                   enum room room,
                   struct child *ret_child)
{
    CC_CLEANUP(fd_closep) int blob = -1;
    CC_CLEANUP(fd_closep) int log_write_end = -1;
    CC_CLEANUP(fd_closep) int ours = -1;
    CC_CLEANUP(fd_closep) int theirs = -1;
    int pair[2];
    CC_TRY(config_file(config, room, &blob));
    CC_TRY(control_pair(pair));
    ours = pair[0];
    theirs = pair[1];
    if (fcntl(ours, F_SETFL, O_NONBLOCK) != 0)
        return CC_FAIL(SYSTEM, "control line");
    struct child made = {.room = room};
    CC_TRY(logpipe_open(&made.log, room_name(room), &log_write_end));
    /* The audit log's lines never pass the log's pipe, which drops what it has no room for. */
    const bool has_stdout = room == ROOM_CORE && config->audit.sink == AUDIT_STDOUT;
    const int sources[ROOM_FD_FIRST_FREE] = {
        maker->null,
        has_stdout ? STDOUT_FILENO : maker->null,
        [ROOM_FD_LOG] = log_write_end,
        [ROOM_FD_CONFIG] = blob,
        [ROOM_FD_CONTROL] = theirs,
        [ROOM_FD_METRICS] = room == ROOM_CORE ? maker->metrics_write : maker->metrics_read,
    };
    const struct role role = {room, sandbox_needs_network(room, config), test_switch_for(room)};
    made.pid = fork();
    if (made.pid == 0) {
        cc_err err = become(maker, &role, sources);
        log_error("a room could not be started", KV_ERR(err));
        _exit(127);
    }
    if (made.pid < 0) {
        fd_closep(&made.log.fd);
        return CC_FAIL(SYSTEM, "fork");
    }
    made.control = ours;
    ours = -1;
    *ret_child = made;
    return CC_OK;
}

void child_kill(struct child *child)
{
    if (child->pid <= 0)
        return;
    child->end_expected = true;
    (void)kill(child->pid, SIGKILL);
}

void child_hang_up(struct child *child)
{
    if (child->pid > 0 && child->control >= 0)
        (void)shutdown(child->control, SHUT_WR);
}

void child_tell(struct child *child, enum control_type type, uint32_t life, uint64_t value, int fd)
{
    if (child->pid <= 0 || child->control < 0)
        return;
    cc_err err = control_send(child->control, type, life, value, fd);
    if (!err.code)
        return;
    /* A room that is ending closes its line first; one whose line is full has stopped working. Both end here. */
    log_warn("a room does not take its orders, ending it", KV_STR("which", room_name(child->room)),
             KV_ERR(err));
    (void)kill(child->pid, SIGKILL);
}

bool child_hear(struct child *child, struct control *ret_message)
{
    struct pollfd p = {.fd = child->control, .events = POLLIN};
    if (child->control < 0 || poll(&p, 1, 0) != 1 || !(p.revents & POLLIN))
        return false;
    int fd = -1;
    cc_err err = control_receive(child->control, ret_message, &fd);
    fd_closep(&fd); /* no room passes a descriptor to the supervisor */
    if (err.code)
        fd_closep(&child->control);
    return !err.code;
}

void child_reap(struct child *child, const struct log_sink *sink)
{
    logpipe_close(&child->log, sink);
    fd_closep(&child->control);
    child->pid = 0;
    child->ready = false;
}
