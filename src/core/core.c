/* Threads of a serving core, and what each may wait for:
 *
 *   control   (main)   the supervisor's line, once a second the gauges
 *   requests           door A; judges, queues, answers questions and refusals
 *   writer             the history: the only thread that uses it
 *   objects            passes on what needs no record
 *   to vault, from vault    door B, one for each direction
 *   answers            sends signatures to the front
 *   loads              the load door, when a loader runs
 *
 * Locks (registry, pending table, backlog, the queues, front link, loads) guard data, are leaves, and are never held over I/O.
 *
 * System calls after room->lock(), all threads:
 *
 *   read writev write           doors, log, event-less
 *   recvmsg sendmsg             control line
 *   ppoll poll                  control line with the gauges' second
 *   close shutdown              doors that end
 *   futex                       locks
 *   clock_nanosleep             pause before a history that failed is tried again
 *   clock_gettime               where the vDSO falls back
 *   mmap munmap mprotect madvise mremap brk    malloc, SQLite
 *   openat (O_CREAT) fstat newfstatat statx lstat access faccessat fcntl (locks, F_GETFD, F_SETFD) pread64 pwrite64
 *   lseek fsync fdatasync ftruncate fallocate unlink unlinkat rename fchmod fchown geteuid getpid readlink
 *                               SQLite: history.sqlite with its WAL and shared memory, state.sqlite with its journal;
 *                               state.seen is replaced by rename
 *   getrandom                   SQLite, malloc
 *   sched_yield rt_sigreturn rt_sigprocmask restart_syscall
 *   exit exit_group             end of threads, of the process
 *   rt_sigaction tgkill gettid  abort() of a failed assertion
 *
 * No socket, no connect, no exec, no clone: all threads run before it. Landlock: the data directory and the directory
 * of anti_slashing.path, read and write; nothing else.
 */
#include "core/core.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"

#include "core/report.h"
#include "core/service.h"
#include "core/stores.h"

enum {
    TICK_MS = 1000,
    TICKS_WITHOUT_VAULT =
        2 /* enough for the supervisor to act first, and for all that waits to be answered */
};

struct core {
    const struct room_context *room;
    int vault_fd;
    uint32_t vault_life;
    int front_fd; /* -1: none yet, or given to the service */
    uint32_t front_life;
    enum room_mode mode;
    struct stores stores;
    struct registry_key *held;
    size_t held_count;
    struct service service;
    bool serving;
    unsigned ticks_without_vault;
};

/* A front whose door comes before there is a service waits here. */
static void take_front(struct core *core, int fd, uint32_t life)
{
    if (core->serving) {
        front_link_offer(core->service.link, fd, life);
        return;
    }
    if (core->front_fd >= 0)
        (void)close(core->front_fd);
    core->front_fd = fd;
    core->front_life = life;
}

static void take_vault(struct core *core, int fd, uint32_t life)
{
    if (core->vault_fd >= 0) {
        log_error("a second door to the vault: this core keeps its first");
        (void)close(fd);
        return;
    }
    core->vault_fd = fd;
    core->vault_life = life;
}

static void take_load(struct core *core, int fd, uint32_t life)
{
    if (core->serving)
        loads_offer(core->service.loads, fd, life);
    else
        (void)close(fd);
}

/* Obeys one message; descriptors that are not taken over are closed. */
static void obey(struct core *core, const struct control *message, int fd)
{
    switch ((enum control_type)message->type) {
    case CONTROL_DOOR_FRONT:
        take_front(core, fd, message->life);
        return;
    case CONTROL_DOOR_VAULT:
        take_vault(core, fd, message->life);
        return;
    case CONTROL_DOOR_LOAD:
        take_load(core, fd, message->life);
        return;
    case CONTROL_START:
        core->mode = (enum room_mode)message->value;
        break;
    case CONTROL_RELOAD:
        if (core->serving)
            loads_begin_again(core->service.loads);
        break;
    case CONTROL_DRAIN:
        if (core->serving)
            atomic_store(&core->service.draining, true);
        break;
    case CONTROL_LOG_LEVEL:
        log_set_level((enum log_level)message->value);
        break;
    case CONTROL_DOOR_KEY:
    case CONTROL_LISTENER:
    case CONTROL_CHAMBER_KEY:
    case CONTROL_READY:
    case CONTROL_FAILED:
    case CONTROL_WANT_LOADER:
    case CONTROL_PEER_STALLED:
    case CONTROL_DRAINED:
        break;
    }
    if (fd >= 0)
        (void)close(fd);
}

static bool needs_fd(uint32_t type)
{
    return type == CONTROL_DOOR_FRONT || type == CONTROL_DOOR_VAULT || type == CONTROL_DOOR_LOAD;
}

static cc_err take_order(struct core *core, struct control *ret_message)
{
    int fd = -1;
    CC_TRY(control_receive(core->room->control_fd, ret_message, &fd));
    if (needs_fd(ret_message->type) && fd < 0)
        return CC_FAIL(PROTOCOL, "a door without its descriptor");
    obey(core, ret_message, fd);
    return CC_OK;
}

static cc_err collect(struct core *core)
{
    struct control message = {0};
    do
        CC_TRY(take_order(core, &message));
    while (message.type != CONTROL_START);
    if (core->vault_fd < 0)
        return CC_FAIL(PROTOCOL, "started without a door to the vault");
    if (core->mode != ROOM_MODE_SERVE && core->mode != ROOM_MODE_INIT)
        return CC_FAIL(PROTOCOL, "unknown mode");
    return CC_OK;
}

/* --- init ------------------------------------------------------------------------------------------------ */

static cc_err init(struct core *core, struct vault_call *vault)
{
    CC_TRY(core->room->lock(ROOM_CORE));
    CC_TRY(stores_create(core->room->config, vault, &core->stores));
    log_notice("the chamber is made, with an empty history",
               KV_STR("data_dir", core->room->config->data_dir));
    metric_add(METRIC_CHAMBER_INIT, 0, 0, 1);
    return control_send(core->room->control_fd, CONTROL_READY, 0, 0, -1);
}

/* --- serve ----------------------------------------------------------------------------------------------- */

/* noop promises nothing, so it has no clock rule either. */
static uint64_t max_future_epochs(const struct anti_slashing_config *config)
{
    return config->backend == HISTORY_NOOP ? UINT64_MAX : config->max_future_epochs;
}

static cc_err start(struct core *core, struct vault_call *vault)
{
    CC_TRY(stores_open(core->room->config, vault, &core->stores));
    CC_TRY(vault_call_held(vault, &core->held, &core->held_count));
    const struct service_settings settings = {
        .config = core->room->config,
        .control_fd = core->room->control_fd,
        .vault_fd = core->vault_fd,
        .vault_life = core->vault_life,
        .history = core->stores.history,
        .high = core->stores.high,
        .rules = {.policy = &core->stores.policy,
                  .network = &core->stores.network,
                  .has_genesis_validators_root = core->stores.has_genesis_validators_root,
                  .genesis_validators_root = core->stores.genesis_validators_root,
                  .max_future_epochs = max_future_epochs(&core->room->config->anti_slashing)},
        .held = core->held,
        .held_count = core->held_count,
    };
    CC_TRY(service_start(&settings, &core->service));
    core->serving = true;
    CC_TRY(core->room->lock(ROOM_CORE));
    CC_TRY(control_send(core->room->control_fd, CONTROL_READY, 0, 0, -1));
    if (core->front_fd >= 0)
        front_link_offer(core->service.link, core->front_fd, core->front_life);
    core->front_fd = -1;
    /* A supervisor that is gone already is noticed by serve(). */
    (void)loads_begin(core->service.loads).code;
    return CC_OK;
}

static int wait_for_order(const struct core *core, uint64_t until_ms)
{
    uint64_t now = clock_mono_ms();
    struct pollfd line = {.fd = core->room->control_fd, .events = POLLIN};
    return poll(&line, 1, now < until_ms ? (int)(until_ms - now) : 0);
}

/* A dead vault ends every room. One that lives behind a broken door needs a new core with new doors: so this one ends. */
static cc_err tick(struct core *core)
{
    service_tick(&core->service);
    if (vault_client_is_up(core->service.vault))
        return CC_OK;
    return ++core->ticks_without_vault > TICKS_WITHOUT_VAULT
               ? CC_FAIL(DOOR_CLOSED, "the vault can't be reached")
               : CC_OK;
}

/* Until the supervisor closes the line. */
static cc_err serve(struct core *core)
{
    uint64_t tick_ms = clock_mono_ms();
    for (;;) {
        if (clock_mono_ms() >= tick_ms) {
            CC_TRY(tick(core));
            tick_ms = clock_mono_ms() + TICK_MS;
        }
        int ready = wait_for_order(core, tick_ms);
        if (ready < 0 && errno != EINTR)
            return CC_FAIL(SYSTEM, "poll");
        if (ready <= 0)
            continue;
        struct control message;
        cc_err err = take_order(core, &message);
        if (error_is(err, ERROR_DOOR_CLOSED))
            return CC_OK;
        if (err.code)
            log_error("a control message was not obeyed", KV_NUM("type", message.type),
                      KV_ERR(err));
    }
}

static cc_err run(struct core *core)
{
    CC_CLEANUP(cc_freep) struct vault_call *vault = cc_alloc(sizeof *vault);
    if (!vault)
        return CC_FAIL(NO_MEMORY, NULL);
    CC_TRY(collect(core));
    CC_TRY(stores_load_config(core->room->config, &core->stores));
    vault->fd = core->vault_fd;
    vault->life = core->vault_life;
    if (core->mode == ROOM_MODE_INIT)
        return init(core, vault);
    CC_TRY(start(core, vault));
    return serve(core);
}

static void attach_metrics(void)
{
    struct metric_cells *cells = NULL;
    report_init();
    if (metric_open(ROOM_FD_METRICS, true, &cells).code)
        log_warn("metrics can't be shared: what the core counts is not shown");
    else
        metric_attach(cells);
}

CC_ERR core_main(const struct room_context *room)
{
    struct core *core = cc_alloc(sizeof *core);
    if (!core)
        return CC_FAIL(NO_MEMORY, NULL);
    core->room = room;
    core->vault_fd = -1;
    core->front_fd = -1;
    (void)umask(077);
    /* A door that has ended is an error of the write, never the end of this room. */
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL);
    attach_metrics();
    cc_err err = run(core);
    if (core->serving)
        service_stop(&core->service);
    stores_close(&core->stores);
    if (core->vault_fd >= 0)
        (void)close(core->vault_fd);
    if (core->front_fd >= 0)
        (void)close(core->front_fd);
    cc_free(core->held);
    cc_free(core);
    return err;
}
