#include "app/supervisor.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"

#include "app/datadir.h"
#include "app/egress_listen.h"
#include "app/limits.h"
#include "app/listeners.h"
#include "app/loop.h"
#include "app/notify.h"
#include "app/rooms.h"
#include "app/tls_source.h"
#include "secret/harden.h"

enum {
    DRAIN_GRACE_MS = 2000,
    CORE_END_MS = 5000,
    VAULT_END_MS = 3000
};

/* In this order: the front finishes what is under way, then the core closes its stores, then the vault wipes. */
enum phase {
    PHASE_RUN,
    PHASE_DRAIN_FRONT,
    PHASE_END_CORE,
    PHASE_END_VAULT,
    PHASE_ENDED
};

struct supervisor {
    const struct supervisor_source *source;
    struct config *config;
    struct listeners listeners;
    struct tls_source tls;
    struct egress_listeners egress;
    struct loop loop;
    struct rooms rooms;
    struct notify notify;
    int chamber_key;
    int order;                            /* 0: none; borrowed */
    const struct supervisor_watch *watch; /* NULL: none */
    enum phase phase;
    uint64_t deadline_ms;    /* of a phase that is not PHASE_RUN */
    uint64_t watchdog_at_ms; /* 0: none */
    enum rooms_state told;   /* the state that was logged last */
    bool was_ready;
};

int supervisor_exit_code(cc_err err)
{
    if (!err.code)
        return EXIT_CODE_DONE;
    if (error_is(err, ERROR_LOCKED))
        return EXIT_CODE_LOCKED;
    static const enum error_code refusals[] = {
        ERROR_NOT_INITIALIZED, ERROR_EXISTS,      ERROR_PERMISSIONS,     ERROR_IDENTITY,
        ERROR_TAMPERED,        ERROR_FILESYSTEM,  ERROR_HISTORY_MISSING, ERROR_WRONG_NETWORK,
        ERROR_CONFIG,          ERROR_ENCLAVE_ROOT};
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
        if (error_is(err, refusals[i]))
            return EXIT_CODE_REFUSED;
    return EXIT_CODE_FAILED;
}

/* --- SIGHUP --------------------------------------------------------------------------------------------------------- */

static struct config reloaded;

static void log_faults(const struct config_faults *faults)
{
    struct span rest = buf_span(&faults->text);
    while (rest.len) {
        char line[512];
        const uint8_t *end = memchr(rest.data, '\n', rest.len);
        size_t len = end ? (size_t)(end - rest.data) : rest.len;
        (void)snprintf(line, sizeof line, "%.*s", (int)len, (const char *)rest.data);
        log_warn("configuration", KV_STR("fault", line));
        rest = end ? span_of(end + 1, rest.len - len - 1) : (struct span){0};
    }
}

static void read_tls(struct supervisor *s, const char *why)
{
    cc_err err = tls_source_read(&s->tls);
    if (err.code) {
        log_error("the TLS files stay as they were", KV_ERR(err));
        return;
    }
    log_notice("reading the TLS files", KV_STR("why", why));
    rooms_tell_tls(&s->rooms);
}

static void on_reload(struct supervisor *s)
{
    struct config_faults faults;
    notify_reloading(&s->notify);
    cc_err err = config_load(s->source->path, s->source->environment, s->source->overrides,
                             s->source->override_count, &reloaded, &faults);
    log_faults(&faults);
    buf_release(&faults.text);
    if (err.code) {
        log_error("the configuration stays as it was: it is not read again with these faults");
    } else {
        struct buf fixed = buf_init(8192);
        config_take_reloadable(s->config, &reloaded, &fixed);
        if (fixed.len && !buf_append(&fixed, "", 1).code)
            log_warn("these options need a restart, ignoring their change",
                     KV_STR("options", (const char *)fixed.data));
        buf_release(&fixed);
        log_set_level(s->config->logging.level);
        for (enum room room = ROOM_FRONT; room < ROOM_END; room++)
            rooms_tell(&s->rooms, room, CONTROL_LOG_LEVEL, s->config->logging.level);
    }
    if (s->tls.config)
        read_tls(s, "SIGHUP");
    rooms_tell(&s->rooms, ROOM_CORE, CONTROL_RELOAD, 0);
    log_notice("reloading keys");
    notify_send(&s->notify, "READY=1");
}

/* --- the end -------------------------------------------------------------------------------------------------------- */

static void enter(struct supervisor *s, enum phase phase, uint64_t in_ms)
{
    s->phase = phase;
    s->deadline_ms = clock_mono_ms() + in_ms;
}

static void on_stop(struct supervisor *s)
{
    uint32_t seconds = s->config->server.drain_seconds;
    if (s->phase != PHASE_RUN || s->rooms.state == ROOMS_STARTING) {
        log_notice("ending at once");
        s->phase = PHASE_ENDED;
        return;
    }
    log_notice("draining", KV_NUM("seconds", seconds));
    notify_send(&s->notify, "STOPPING=1\nSTATUS=draining");
    rooms_stop_starting(&s->rooms);
    child_kill(&s->rooms.children[ROOM_LOADER]);
    rooms_tell(&s->rooms, ROOM_FRONT, CONTROL_DRAIN, seconds);
    enter(s, PHASE_DRAIN_FRONT, seconds * UINT64_C(1000) + DRAIN_GRACE_MS);
}

static void end_room(struct supervisor *s, enum room room, enum phase phase, uint64_t in_ms)
{
    rooms_tell(&s->rooms, room, CONTROL_DRAIN, 0);
    child_hang_up(&s->rooms.children[room]);
    enter(s, phase, in_ms);
}

static void step_phase(struct supervisor *s)
{
    bool late = clock_mono_ms() >= s->deadline_ms;
    switch (s->phase) {
    case PHASE_RUN:
    case PHASE_ENDED:
        return;
    case PHASE_DRAIN_FRONT:
        if (rooms_alive(&s->rooms, ROOM_FRONT) && !s->rooms.drained && !late)
            return;
        child_kill(&s->rooms.children[ROOM_FRONT]);
        end_room(s, ROOM_CORE, PHASE_END_CORE, CORE_END_MS);
        return;
    case PHASE_END_CORE:
        if (rooms_alive(&s->rooms, ROOM_CORE) && !late)
            return;
        child_kill(&s->rooms.children[ROOM_CORE]);
        end_room(s, ROOM_VAULT, PHASE_END_VAULT, VAULT_END_MS);
        return;
    case PHASE_END_VAULT:
        if (!rooms_alive(&s->rooms, ROOM_VAULT) || late)
            s->phase = PHASE_ENDED;
        return;
    }
}

static const char *where(const struct config *config)
{
    return config->server.listen[0] ? config->server.listen : config->server.listen_address;
}

/* Only now: a second server on this data directory ends before it gets here. */
static void publish_ports(const struct supervisor *s)
{
    cc_err err = listeners_write_ports(&s->listeners, s->config->data_dir);
    if (err.code)
        log_warn("the ports file was not written", KV_ERR(err));
}

/* --- running -------------------------------------------------------------------------------------------------------- */

static void tell_state(struct supervisor *s)
{
    if (s->rooms.state == s->told)
        return;
    s->told = s->rooms.state;
    if (s->told == ROOMS_SERVING && !s->was_ready) {
        s->was_ready = true;
        publish_ports(s);
        log_notice("serving", KV_STR("address", where(s->config)),
                   KV_NUM("http_port", s->listeners.api_port),
                   KV_NUM("metrics_port", s->listeners.metrics_port),
                   KV_NUM("https_port", s->listeners.tls_port));
        notify_send(&s->notify, "READY=1\nSTATUS=serving");
    } else if (s->told == ROOMS_SERVING) {
        log_notice("all rooms serve again");
        notify_send(&s->notify, "STATUS=serving");
    } else if (s->told == ROOMS_RECOVERING) {
        notify_send(&s->notify, "STATUS=a room is being started again");
    }
}

/* The loop turning is what the watchdog watches: the rooms are the supervisor's own business. */
static void feed_watchdog(struct supervisor *s, uint64_t now)
{
    if (s->notify.watchdog_ms == 0 || now < s->watchdog_at_ms)
        return;
    notify_send(&s->notify, "WATCHDOG=1");
    s->watchdog_at_ms = now + s->notify.watchdog_ms / 2;
}

static int sooner(int timeout_ms, uint64_t at_ms, uint64_t now)
{
    uint64_t in = at_ms > now ? at_ms - now : 0;
    int in_ms = in > INT32_MAX ? INT32_MAX : (int)in;
    return timeout_ms < 0 || in_ms < timeout_ms ? in_ms : timeout_ms;
}

/* How long nothing is to be done, if nothing happens. */
static int wait_ms(const struct supervisor *s, int timeout_ms, uint64_t now)
{
    if (s->phase != PHASE_RUN)
        timeout_ms = sooner(timeout_ms, s->deadline_ms, now);
    if (s->phase == PHASE_RUN && s->tls.config && s->tls.due_ms)
        timeout_ms = sooner(timeout_ms, s->tls.due_ms, now);
    if (s->notify.watchdog_ms)
        timeout_ms = sooner(timeout_ms, s->watchdog_at_ms, now);
    if (s->watch)
        timeout_ms = sooner(timeout_ms, now + SUPERVISOR_LOOK_MS, now);
    return timeout_ms;
}

static void run(struct supervisor *s)
{
    while (s->phase != PHASE_ENDED && s->rooms.state != ROOMS_FAILED &&
           s->rooms.state != ROOMS_DONE) {
        int timeout_ms = rooms_tick(&s->rooms);
        if (s->rooms.state == ROOMS_FAILED)
            return;
        uint64_t now = clock_mono_ms();
        feed_watchdog(s, now);
        if (s->phase == PHASE_RUN && tls_source_has_changed(&s->tls, now))
            read_tls(s, "they have changed");
        if (s->watch)
            s->watch->look(s->watch->context);
        unsigned signals = loop_wait(&s->loop, &s->rooms, wait_ms(s, timeout_ms, now));
        tell_state(s);
        if (signals & LOOP_SIGNAL_STOP)
            on_stop(s);
        else if ((signals & LOOP_SIGNAL_RELOAD) && s->phase == PHASE_RUN)
            on_reload(s);
        step_phase(s);
    }
}

static cc_err start(struct supervisor *s, enum room_mode mode)
{
    limits_raise(s->config);
    CC_TRY(datadir_open(s->config, &s->chamber_key));
    CC_TRY(egress_open(&s->config->egress, &s->egress));
    if (mode == ROOM_MODE_SERVE) {
        CC_TRY(datadir_check_restored(s->config));
        CC_TRY(tls_source_open(&s->tls, &s->config->tls, s->source->environment));
        CC_TRY(listeners_open(s->config, s->source->environment, &s->listeners));
        log_notice("listening", KV_STR("address", where(s->config)),
                   KV_NUM("http_port", s->listeners.api_port),
                   KV_NUM("metrics_port", s->listeners.metrics_port),
                   KV_STR("sockets", s->listeners.held ? "handed over" : "own"));
    }
    const struct rooms_setup setup = {.config = s->config,
                                      .listeners = mode == ROOM_MODE_SERVE ? &s->listeners : NULL,
                                      .tls = mode == ROOM_MODE_SERVE ? &s->tls : NULL,
                                      .egress = &s->egress,
                                      .chamber_key = s->chamber_key,
                                      .order = s->order,
                                      .mode = mode,
                                      .sink = s->loop.sink};
    return rooms_init(&s->rooms, &setup);
}

static const char *const failures[] = {
    [ROOM_MODE_SERVE] = "the server ends",
    [ROOM_MODE_INIT] = "no chamber was made",
    [ROOM_MODE_JOIN] = "no chamber was joined",
    [ROOM_MODE_ORDER] = "nothing was done",
};

static int supervise(const struct supervisor_source *source,
                     struct config *config,
                     enum room_mode mode,
                     int order,
                     const struct supervisor_watch *watch)
{
    static struct supervisor s;
    s = (struct supervisor){
        .source = source, .config = config, .chamber_key = -1, .order = order, .watch = watch};
    s.listeners =
        (struct listeners){.api = -1, .metrics = -1, .unix_fd = -1, .admin_fd = -1, .tls = -1};
    s.tls = (struct tls_source){.newest = -1, .taken = -1};
    const struct log_sink sink = {STDERR_FILENO, config->logging.format == LOG_STYLE_JSON};
    notify_init(&s.notify, mode == ROOM_MODE_SERVE ? source->environment : NULL);
    cc_err err = loop_init(&s.loop, &sink, config->logging.level);
    if (!err.code)
        err = harden_process();
    if (!err.code)
        err = start(&s, mode);
    if (!err.code) {
        run(&s);
        rooms_release(&s.rooms);
        if (s.rooms.state == ROOMS_FAILED)
            err = error_make(s.rooms.failure, "a room said so", __FILE__, __LINE__);
        else if (mode != ROOM_MODE_SERVE && s.rooms.state != ROOMS_DONE)
            err = CC_FAIL(SYSTEM, "interrupted");
    }
    if (err.code)
        log_error(failures[mode], KV_ERR(err));
    else if (mode == ROOM_MODE_SERVE)
        log_notice("ended");
    listeners_close(&s.listeners);
    egress_close(&s.egress);
    tls_source_close(&s.tls);
    fd_closep(&s.chamber_key);
    loop_release(&s.loop);
    notify_release(&s.notify);
    return supervisor_exit_code(err);
}

int supervisor_serve(const struct supervisor_source *source, struct config *config)
{
    return supervise(source, config, ROOM_MODE_SERVE, 0, NULL);
}

int supervisor_init(const struct supervisor_source *source, struct config *config, int history_id)
{
    cc_err err = datadir_make(config);
    if (err.code) {
        log_error("no chamber was made", KV_STR("data_dir", config->data_dir), KV_ERR(err));
        return supervisor_exit_code(err);
    }
    int code = supervise(source, config, ROOM_MODE_INIT, history_id, NULL);
    if (code != EXIT_CODE_DONE)
        datadir_unmake(config);
    return code;
}

static int join(const struct supervisor_source *source,
                struct config *config,
                const struct datadir_copies *copies,
                int answer)
{
    cc_err err = datadir_join(config, copies);
    if (err.code) {
        log_error(failures[ROOM_MODE_JOIN], KV_STR("data_dir", config->data_dir), KV_ERR(err));
        return supervisor_exit_code(err);
    }
    int code = supervise(source, config, ROOM_MODE_JOIN, answer, NULL);
    if (code != EXIT_CODE_DONE)
        datadir_unjoin(config, copies);
    return code;
}

int supervisor_join(const struct supervisor_source *source,
                    struct config *config,
                    const struct datadir_copies *copies)
{
    return join(source, config, copies, 0);
}

int supervisor_take_over(const struct supervisor_source *source,
                         struct config *config,
                         bool *ret_found)
{
    static const struct datadir_copies none;
    CC_CLEANUP(fd_closep) int fd = memfd_create("answer", MFD_CLOEXEC);
    uint8_t answer = 0;
    if (fd < 0)
        return EXIT_CODE_FAILED;
    int code = join(source, config, &none, fd);
    if (code != EXIT_CODE_DONE)
        return code;
    if (pread(fd, &answer, 1, 0) != 1)
        return EXIT_CODE_FAILED;
    *ret_found = answer == JOIN_DONE;
    if (!*ret_found)
        datadir_unjoin(config, &none);
    return EXIT_CODE_DONE;
}

int supervisor_order(const struct supervisor_source *source,
                     struct config *config,
                     int order,
                     const struct supervisor_watch *watch)
{
    return supervise(source, config, ROOM_MODE_ORDER, order, watch);
}
