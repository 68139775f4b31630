#include "core/loads.h"

#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"

#include "core/report.h"
#include "wire/control.h"
#include "wire/door_key.h"

enum {
    LOADER_PATIENCE_MS = 30000, /* from the question to the load door */
    RETRY_FIRST_MS = 1000,
    RETRY_LAST_MS = 30000,
    REGISTER_PATIENCE_MS =
        2000, /* a load has ended when its keys can sign; a dead history does not hold it up */
};

struct loads {
    struct loads_settings settings;
    pthread_t thread;
    struct door_message *message;
    struct report_budget failures;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    int offered_fd;
    uint32_t offered_life;
    int fd; /* being read: for loads_stop() */
    bool stopped;
    bool again;      /* asked for while one ran */
    bool ended_once; /* a load of all keys has come to its end */
    uint64_t asked_ms;
    uint64_t retry_ms; /* when to ask again; 0: not by itself */
    uint64_t retry_pause_ms;
    enum reload_state state;
    uint64_t ended_wall_ms;
    uint64_t errors;
};

static void take_lock(struct loads *loads)
{
    cc_assert(pthread_mutex_lock(&loads->lock) == 0);
}

static void drop_lock(struct loads *loads)
{
    cc_assert(pthread_mutex_unlock(&loads->lock) == 0);
}

static cc_err ask(struct loads *loads)
{
    return control_send(loads->settings.control_fd, CONTROL_WANT_LOADER, 0, 0, -1);
}

/* Under the lock. */
static void set_active(struct loads *loads)
{
    loads->state = RELOAD_ACTIVE;
    loads->asked_ms = clock_mono_ms();
    loads->retry_ms = 0;
}

/* True when a loader is to be asked for; while a load runs, `again` remembers the wish. */
static bool take_wish(struct loads *loads, bool again)
{
    take_lock(loads);
    bool running = loads->state == RELOAD_ACTIVE;
    if (running)
        loads->again |= again;
    else
        set_active(loads);
    drop_lock(loads);
    return !running;
}

CC_ERR loads_begin(struct loads *loads)
{
    if (seal_is(loads->settings.seal))
        return CC_FAIL(SEALED, NULL);
    return take_wish(loads, false) ? ask(loads) : CC_FAIL(RELOAD_RUNNING, NULL);
}

void loads_begin_again(struct loads *loads)
{
    if (seal_is(loads->settings.seal))
        log_notice("the chamber is sealed: no keys are loaded");
    else if (take_wish(loads, true))
        (void)ask(loads).code; /* an unreachable supervisor ends this room by its control line */
    else
        log_info("keys are being loaded; they will be loaded once more after that");
}

void loads_offer(struct loads *loads, int fd, uint32_t life)
{
    take_lock(loads);
    if (loads->offered_fd >= 0)
        (void)close(loads->offered_fd);
    loads->offered_fd = fd;
    loads->offered_life = life;
    (void)pthread_cond_broadcast(&loads->changed);
    drop_lock(loads);
}

void loads_status(struct loads *loads, struct a_reload *ret_status)
{
    take_lock(loads);
    ret_status->error = 0;
    ret_status->state = loads->state;
    ret_status->ended_wall_ms = loads->ended_wall_ms;
    ret_status->load_errors = loads->errors;
    drop_lock(loads);
}

/* --- one load -------------------------------------------------------------------------------------- */

struct load {
    uint64_t began_ns;
    bool listed;
    bool done;
    bool complete;
    uint64_t failed;
};

static void log_key(struct loads *loads, const struct l_key *key)
{
    cc_err err = error_from_number(key->error);
    uint32_t held_back = 0;
    if (key->state != L_FAILED)
        return;
    metric_add(METRIC_KEY_LOAD_FAILURES, 0, 0, 1);
    if (report_may_log(&loads->failures, &held_back))
        log_error("a key file was not loaded", KV_STR("path", key->path),
                  KV_STR("error", error_name(err)), KV_STR("reason", error_text(err)),
                  KV_NUM("lines_held_back", held_back));
}

static cc_err take_keys(struct loads *loads, const struct door_message *message)
{
    struct l_key key;
    bool to_register = false;
    for (size_t i = 0; i < message->head.count; i++) {
        bool more = false;
        memcpy(&key, &message->items[i * sizeof key], sizeof key);
        key.path[L_PATH_MAX - 1] = 0;
        log_key(loads, &key);
        CC_TRY(registry_scan_key(loads->settings.registry, &key, &more));
        to_register |= more;
    }
    if (to_register)
        writer_poke(loads->settings.writer);
    return CC_OK;
}

static void remove_gone(struct loads *loads, const struct registry_key *gone, size_t count)
{
    if (!count)
        return;
    log_notice("keys were removed: their files are gone", KV_NUM("keys", count));
    cc_err err = vault_client_remove(loads->settings.vault, gone, count);
    if (err.code)
        log_error("the vault still holds keys that were removed", KV_ERR(err));
}

static cc_err take_done(struct loads *loads, const struct door_message *message, struct load *load)
{
    struct l_done done;
    CC_CLEANUP(cc_freep) struct registry_key *gone = NULL;
    size_t count = 0;
    memcpy(&done, message->items, sizeof done);
    load->complete = done.complete;
    load->failed = done.failed;
    if (done.scanned) {
        load->listed = true;
        registry_scan_listed(loads->settings.registry, &done);
        return CC_OK;
    }
    load->done = true;
    CC_TRY(registry_scan_end(loads->settings.registry, &done, &gone, &count));
    remove_gone(loads, gone, count);
    if (!done.complete)
        log_error("a key directory could not be read to its end: no key was removed");
    if (!registry_wait_registered(loads->settings.registry, REGISTER_PATIENCE_MS))
        log_error("some keys have no protection row yet and can't sign");
    return CC_OK;
}

static cc_err say_begin(const struct loads *loads, int fd, uint32_t life)
{
    struct l_begin begin;
    memcpy(begin.history_id, loads->settings.history_id, sizeof begin.history_id);
    return door_send(fd, life, L_BEGIN, &begin, sizeof begin, 1);
}

static cc_err read_load(struct loads *loads, int fd, uint32_t life, struct load *load)
{
    while (!load->done) {
        CC_TRY(door_receive(fd, life, door_load_to_core, loads->message));
        if (loads->message->head.type == L_KEYS)
            CC_TRY(take_keys(loads, loads->message));
        else
            CC_TRY(take_done(loads, loads->message, load));
    }
    return CC_OK;
}

static void end_load(struct loads *loads, const struct load *load, cc_err err)
{
    struct registry_counts counts;
    bool clean = !err.code && load->complete && load->failed == 0;
    registry_count(loads->settings.registry, &counts);
    take_lock(loads);
    loads->state = err.code ? RELOAD_FAILED
                   : clean  ? RELOAD_COMPLETED
                            : RELOAD_COMPLETED_WITH_ERRORS;
    loads->ended_wall_ms = clock_wall_ms();
    loads->errors = counts.load_errors;
    loads->ended_once |= !err.code;
    if (loads->again)
        loads->retry_ms = clock_mono_ms();
    else if (!loads->ended_once)
        loads->retry_ms = clock_mono_ms() + loads->retry_pause_ms;
    loads->again = false;
    loads->retry_pause_ms =
        loads->retry_pause_ms * 2 < RETRY_LAST_MS ? loads->retry_pause_ms * 2 : RETRY_LAST_MS;
    drop_lock(loads);
    metric_set(METRIC_KEYS_ACTIVE, METRIC_SOURCE_FILESYSTEM, counts.active_from[0]);
    metric_set(METRIC_KEY_LOADING, 0, clock_mono_ns() - load->began_ns);
    if (err.code)
        log_error("loading keys failed", KV_ERR(err), KV_NUM("active", counts.active));
    else
        log_notice("keys are loaded", KV_NUM("active", counts.active),
                   KV_NUM("failed", load->failed),
                   KV_NUM("took_ms", (clock_mono_ns() - load->began_ns) / 1000000));
}

/* --- the thread ------------------------------------------------------------------------------------ */

static void wait_a_little(struct loads *loads)
{
    uint64_t until = clock_mono_ns() + 1000000000;
    const struct timespec at = {(time_t)(until / 1000000000), (long)(until % 1000000000)};
    (void)pthread_cond_timedwait(&loads->changed, &loads->lock, &at);
}

/* What the passing of time asks for, under the lock; true when a loader is to be asked for. */
static bool time_passes(struct loads *loads)
{
    uint64_t now = clock_mono_ms();
    if (loads->state == RELOAD_ACTIVE && now > loads->asked_ms + LOADER_PATIENCE_MS) {
        loads->state = RELOAD_FAILED;
        loads->ended_wall_ms = clock_wall_ms();
        loads->retry_ms = loads->ended_once ? 0 : now;
    }
    if (loads->state == RELOAD_ACTIVE || loads->retry_ms == 0 || now < loads->retry_ms ||
        seal_is(loads->settings.seal))
        return false;
    set_active(loads);
    return true;
}

/* Waits for a load door; false at the end. */
static bool next_door(struct loads *loads, int *ret_fd, uint32_t *ret_life)
{
    take_lock(loads);
    while (loads->offered_fd < 0 && !loads->stopped) {
        if (!time_passes(loads)) {
            wait_a_little(loads);
            continue;
        }
        drop_lock(loads);
        (void)ask(loads).code; /* an unreachable supervisor ends this room by its control line */
        take_lock(loads);
    }
    bool stopped = loads->stopped;
    if (!stopped) {
        loads->fd = loads->offered_fd;
        loads->offered_fd = -1;
        loads->state = RELOAD_ACTIVE;
        *ret_fd = loads->fd;
        *ret_life = loads->offered_life;
    }
    drop_lock(loads);
    return !stopped;
}

static void *loads_thread(void *argument)
{
    struct loads *loads = argument;
    int fd = -1;
    uint32_t life = 0;
    while (next_door(loads, &fd, &life)) {
        struct load load = {.began_ns = clock_mono_ns()};
        registry_scan_begin(loads->settings.registry);
        cc_err err = say_begin(loads, fd, life);
        if (!err.code)
            err = read_load(loads, fd, life, &load);
        if (error_is(err, ERROR_PROTOCOL))
            metric_add(METRIC_DOOR_ERRORS, METRIC_ROOM_LOADER, 0, 1);
        take_lock(loads);
        loads->fd = -1;
        drop_lock(loads);
        (void)close(fd);
        end_load(loads, &load, err);
    }
    return NULL;
}

static void release(struct loads *loads)
{
    if (loads->offered_fd >= 0)
        (void)close(loads->offered_fd);
    (void)pthread_cond_destroy(&loads->changed);
    (void)pthread_mutex_destroy(&loads->lock);
    cc_free(loads->message);
    cc_free(loads);
}

CC_ERR loads_start(const struct loads_settings *settings, struct loads **ret_loads)
{
    pthread_condattr_t attributes;
    struct loads *loads = cc_alloc(sizeof *loads);
    if (!loads)
        return CC_FAIL(NO_MEMORY, NULL);
    loads->settings = *settings;
    loads->offered_fd = -1;
    loads->fd = -1;
    loads->retry_pause_ms = RETRY_FIRST_MS;
    cc_assert(pthread_mutex_init(&loads->lock, NULL) == 0);
    cc_assert(pthread_condattr_init(&attributes) == 0);
    cc_assert(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    cc_assert(pthread_cond_init(&loads->changed, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
    loads->message = cc_alloc(sizeof *loads->message);
    if (!loads->message || pthread_create(&loads->thread, NULL, loads_thread, loads) != 0) {
        release(loads);
        return CC_FAIL(SYSTEM, "loads thread");
    }
    *ret_loads = loads;
    return CC_OK;
}

void loads_stop(struct loads *loads)
{
    if (!loads)
        return;
    take_lock(loads);
    loads->stopped = true;
    if (loads->fd >= 0)
        (void)shutdown(loads->fd, SHUT_RDWR);
    (void)pthread_cond_broadcast(&loads->changed);
    drop_lock(loads);
    (void)pthread_join(loads->thread, NULL);
    release(loads);
}
