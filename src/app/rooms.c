#include "app/rooms.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/metric.h"

#include "app/aws_reader.h"
#include "app/datadir.h"
#include "attest/nsm.h"
#include "wire/door.h"

enum {
    LOADER_RETRY_MS = 1000,
    FRONT_END_MS = 1000 /* twice what a front takes for its last answers */
};

CC_ERR rooms_init(struct rooms *rooms, const struct rooms_setup *setup)
{
    memset(rooms, 0, sizeof *rooms);
    rooms->setup = *setup;
    rooms->door_to_core = -1;
    rooms->documents_to_core = -1;
    rooms->door_to_front = -1;
    for (int i = 0; i < ROOM_END; i++) {
        rooms->children[i].room = (enum room)i;
        rooms->children[i].control = -1;
        rooms->children[i].log.fd = -1;
    }
    CC_TRY(child_maker_open(&rooms->maker));
    struct metric_cells *cells = NULL;
    CC_TRY(metric_open(rooms->maker.metrics_write, true, &cells));
    metric_attach(cells);
    metric_set(METRIC_START, 0, clock_wall_ms() * 1000000);
    metric_choose(METRIC_BUILD_INFO, 0);
    return CC_OK;
}

/* It may be within a credential_process, so it is not asked. */
static void end_aws_reader(struct rooms *rooms)
{
    if (rooms->aws_reader <= 0)
        return;
    (void)kill(rooms->aws_reader, SIGKILL);
    (void)waitpid(rooms->aws_reader, NULL, 0);
    rooms->aws_reader = 0;
}

void rooms_release(struct rooms *rooms)
{
    for (int i = 1; i < ROOM_END; i++) {
        struct child *child = &rooms->children[i];
        child_kill(child);
        if (child->pid > 0)
            (void)waitpid(child->pid, NULL, 0);
        child_reap(child, &rooms->setup.sink);
    }
    end_aws_reader(rooms);
    fd_closep(&rooms->door_to_core);
    fd_closep(&rooms->documents_to_core);
    fd_closep(&rooms->door_to_front);
    child_maker_close(&rooms->maker);
}

bool rooms_alive(const struct rooms *rooms, enum room room)
{
    return rooms->children[room].pid > 0;
}

void rooms_tell(struct rooms *rooms, enum room room, enum control_type type, uint64_t value)
{
    child_tell(&rooms->children[room], type, rooms->life, value, -1);
}

static void send_tls(struct rooms *rooms, int fd, uint64_t generation)
{
    if (lseek(fd, 0, SEEK_SET) == 0) /* a front before this one has read it to its end */
        child_tell(&rooms->children[ROOM_FRONT], CONTROL_TLS, rooms->life, generation, fd);
}

void rooms_tell_tls(struct rooms *rooms)
{
    const struct tls_source *tls = rooms->setup.tls;
    send_tls(rooms, tls->newest, tls->newest_generation);
}

void rooms_stop_starting(struct rooms *rooms)
{
    rooms->stopping = true;
}

/* --- starting --------------------------------------------------------------------------------------------------- */

static bool serves(const struct rooms *rooms)
{
    return rooms->setup.mode == ROOM_MODE_SERVE;
}

static cc_err spawn(struct rooms *rooms, enum room room)
{
    CC_TRY(child_spawn(&rooms->maker, rooms->setup.config, room, &rooms->children[room]));
    restart_started(&rooms->restarts[room], clock_mono_ms());
    metric_add(METRIC_ROOM_STARTS, (uint32_t)room - ROOM_FRONT, 0, 1);
    log_debug("room started", KV_STR("which", room_name(room)),
              KV_NUM("pid", rooms->children[room].pid));
    return CC_OK;
}

/* Gives one end of a new door to a room that lives, and keeps the other for one that is still to be started. */
static cc_err make_door(struct rooms *rooms, enum room to, enum control_type type, int *ret_other)
{
    int fds[2];
    CC_TRY(door_pair(fds));
    child_tell(&rooms->children[to], type, rooms->life, 0, fds[0]);
    fd_closep(&fds[0]);
    fd_closep(ret_other);
    *ret_other = fds[1];
    return CC_OK;
}

/* Hands over the end that was kept. */
static void give_door(struct rooms *rooms, enum room to, enum control_type type, int *kept)
{
    child_tell(&rooms->children[to], type, rooms->life, 0, *kept);
    fd_closep(kept);
}

static void give_start(struct rooms *rooms, enum room room)
{
    rooms_tell(rooms, room, CONTROL_START, rooms->setup.mode);
}

static cc_err give_chamber_key(struct rooms *rooms)
{
    const int key = rooms->setup.chamber_key;
    if (key < 0)
        return CC_OK;
    /* The vault before this one has read the same open file to its end. */
    if (lseek(key, 0, SEEK_SET) != 0)
        return CC_FAIL(SYSTEM, "chamber.key");
    child_tell(&rooms->children[ROOM_VAULT], CONTROL_CHAMBER_KEY, rooms->life, 0, key);
    return CC_OK;
}

/* An enclave's security module is the vault's alone. */
static cc_err give_nsm(struct rooms *rooms)
{
    CC_CLEANUP(fd_closep) int fd = -1;
    if (rooms->setup.config->tee.platform != TEE_NITRO)
        return CC_OK;
    CC_TRY(nsm_descriptor_open(rooms->setup.config->tee.device, &fd));
    child_tell(&rooms->children[ROOM_VAULT], CONTROL_NSM, rooms->life, 0, fd);
    return CC_OK;
}

/* All that a core asks its vault by. */
static cc_err make_doors_of_core(struct rooms *rooms)
{
    CC_TRY(make_door(rooms, ROOM_VAULT, CONTROL_DOOR_VAULT, &rooms->door_to_core));
    return rooms->setup.config->tee.platform == TEE_NITRO
               ? make_door(rooms, ROOM_VAULT, CONTROL_DOOR_DOCUMENTS, &rooms->documents_to_core)
               : CC_OK;
}

static cc_err start_vault(struct rooms *rooms)
{
    rooms->life++;
    CC_TRY(spawn(rooms, ROOM_VAULT));
    CC_TRY(give_chamber_key(rooms));
    CC_TRY(give_nsm(rooms));
    CC_TRY(make_doors_of_core(rooms));
    give_start(rooms, ROOM_VAULT);
    return CC_OK;
}

/* A core whose stores are in AWS: its credentials are read by a process that can see them. */
static cc_err give_aws_reader(struct rooms *rooms)
{
    CC_CLEANUP(fd_closep) int line = -1;
    if (!config_uses_aws(rooms->setup.config))
        return CC_OK;
    CC_TRY(aws_reader_start(&rooms->setup.config->aws, &rooms->aws_reader, &line));
    child_tell(&rooms->children[ROOM_CORE], CONTROL_AWS_INPUTS, rooms->life, 0, line);
    return CC_OK;
}

static cc_err start_core(struct rooms *rooms)
{
    if (rooms->door_to_core < 0) { /* the vault has outlived a core */
        rooms->life++;
        CC_TRY(make_doors_of_core(rooms));
    }
    if (serves(rooms)) {
        cc_err err = datadir_keep_audit(rooms->setup.config);
        if (err.code)
            log_error("the audit log's directory is missing", KV_ERR(err));
    }
    CC_TRY(spawn(rooms, ROOM_CORE));
    give_door(rooms, ROOM_CORE, CONTROL_DOOR_VAULT, &rooms->door_to_core);
    if (rooms->documents_to_core >= 0)
        give_door(rooms, ROOM_CORE, CONTROL_DOOR_DOCUMENTS, &rooms->documents_to_core);
    if (serves(rooms))
        CC_TRY(make_door(rooms, ROOM_CORE, CONTROL_DOOR_FRONT, &rooms->door_to_front));
    CC_TRY(give_aws_reader(rooms));
    if (rooms->setup.order > 0)
        child_tell(&rooms->children[ROOM_CORE], CONTROL_ORDER, rooms->life, 0, rooms->setup.order);
    give_start(rooms, ROOM_CORE);
    return CC_OK;
}

static void give_listener(struct rooms *rooms, enum listener kind, int fd)
{
    const bool held = rooms->core_is_new && rooms->setup.listeners->held >> kind & 1;
    if (fd >= 0)
        child_tell(&rooms->children[ROOM_FRONT], CONTROL_LISTENER, rooms->life,
                   kind | (held ? LISTENER_HELD : 0U), fd);
}

/* A new front begins with files that a front has served with, where there are any; newer ones come once it runs. */
static void give_tls(struct rooms *rooms)
{
    const struct listeners *listeners = rooms->setup.listeners;
    const struct tls_source *tls = rooms->setup.tls;
    give_listener(rooms, LISTENER_TLS, listeners->tls);
    if (tls->taken_generation)
        send_tls(rooms, tls->taken, tls->taken_generation);
    else
        rooms_tell_tls(rooms);
}

static cc_err start_front(struct rooms *rooms)
{
    const struct listeners *listeners = rooms->setup.listeners;
    rooms->core_is_new = rooms->door_to_front >= 0;
    if (!rooms->core_is_new) /* it has outlived a front, and clients are let in at once */
        CC_TRY(make_door(rooms, ROOM_CORE, CONTROL_DOOR_FRONT, &rooms->door_to_front));
    CC_TRY(spawn(rooms, ROOM_FRONT));
    give_door(rooms, ROOM_FRONT, CONTROL_DOOR_FRONT, &rooms->door_to_front);
    give_listener(rooms, LISTENER_API, listeners->api);
    give_listener(rooms, LISTENER_METRICS, listeners->metrics);
    give_listener(rooms, LISTENER_UNIX, listeners->unix_fd);
    give_listener(rooms, LISTENER_ADMIN, listeners->admin_fd);
    if (listeners->tls >= 0)
        give_tls(rooms);
    give_start(rooms, ROOM_FRONT);
    if (listeners->tls >= 0 && rooms->setup.tls->taken_generation &&
        rooms->setup.tls->taken_generation != rooms->setup.tls->newest_generation)
        rooms_tell_tls(rooms);
    return CC_OK;
}

/* What the core connects to meanwhile waits in the listeners' queues. */
static cc_err start_forwarder(struct rooms *rooms)
{
    const struct egress_listeners *egress = rooms->setup.egress;
    CC_TRY(spawn(rooms, ROOM_FORWARDER));
    for (uint32_t row = 0; row < egress->count; row++)
        child_tell(&rooms->children[ROOM_FORWARDER], CONTROL_LISTENER, rooms->life, row,
                   egress->fds[row]);
    give_start(rooms, ROOM_FORWARDER);
    return CC_OK;
}

static cc_err start_loader(struct rooms *rooms)
{
    CC_CLEANUP(fd_closep) int key = -1;
    CC_CLEANUP(fd_closep) int load = -1;
    rooms->loader_wanted = false;
    CC_TRY(make_door(rooms, ROOM_VAULT, CONTROL_DOOR_KEY, &key));
    CC_TRY(make_door(rooms, ROOM_CORE, CONTROL_DOOR_LOAD, &load));
    CC_TRY(spawn(rooms, ROOM_LOADER));
    give_door(rooms, ROOM_LOADER, CONTROL_DOOR_KEY, &key);
    give_door(rooms, ROOM_LOADER, CONTROL_DOOR_LOAD, &load);
    give_start(rooms, ROOM_LOADER);
    return CC_OK;
}

static void fail(struct rooms *rooms, enum error_code failure)
{
    rooms->state = ROOMS_FAILED;
    rooms->failure = failure;
    rooms->stopping = true;
}

/* A front whose core is gone tells those who wait for it (front/front.c), and ends by itself. */
static void expect_end_of_front(struct rooms *rooms)
{
    struct child *front = &rooms->children[ROOM_FRONT];
    if (!front->ready || front->end_expected)
        return;
    front->end_expected = true;
    rooms->front_until_ms = clock_mono_ms() + FRONT_END_MS;
}

/* Returns how many milliseconds the room has left to end by itself; -1: none. */
static int end_with(struct rooms *rooms, enum room room)
{
    const uint64_t now = clock_mono_ms();
    if (room == ROOM_FRONT)
        expect_end_of_front(rooms);
    if (room == ROOM_FRONT && rooms->children[room].ready && now < rooms->front_until_ms)
        return (int)(rooms->front_until_ms - now);
    child_kill(&rooms->children[room]);
    return -1;
}

/* What hangs on a room that is gone goes with it; true when nothing of it is left. Else their ends will wake us, or
 * *ret_wait_ms is when to look again; -1: not before.
 */
static bool is_cleared(struct rooms *rooms, enum room room, int *ret_wait_ms)
{
    static const enum room hangs_on[ROOM_END][ROOM_END] = {
        [ROOM_VAULT] = {ROOM_CORE, ROOM_FRONT, ROOM_LOADER},
        [ROOM_CORE] = {ROOM_FRONT, ROOM_LOADER},
    };
    bool cleared = true;
    for (const enum room *other = hangs_on[room]; *other; other++) {
        if (!rooms_alive(rooms, *other))
            continue;
        int wait_ms = end_with(rooms, *other);
        *ret_wait_ms = wait_ms < 0 ? *ret_wait_ms : wait_ms;
        cleared = false;
    }
    return cleared;
}

/* No descriptor, no memory, no process to be had: once the signer has served, that is a reason to wait. Returns in how
 * many milliseconds the room is due again; -1: never.
 */
static int on_start_error(struct rooms *rooms, enum room room, cc_err err)
{
    uint32_t delay = 0;
    log_error("a room cannot be started", KV_STR("which", room_name(room)), KV_ERR(err));
    child_kill(&rooms->children[room]); /* it may be there, but without its doors */
    bool go_on = restart_ended(&rooms->restarts[room], clock_mono_ms(), false, &delay);
    if (rooms->state == ROOMS_STARTING || !go_on) {
        fail(rooms, (enum error_code)err.code);
        return -1;
    }
    rooms->due_ms[room] = clock_mono_ms() + delay;
    return (int)delay;
}

/* `init` has no front, and nothing in it is tried twice. */
static bool is_wanted(const struct rooms *rooms, enum room room)
{
    return serves(rooms) || (room != ROOM_FRONT && rooms->restarts[room].started_ms == 0);
}

/* Nothing hangs on it, and it hangs on nothing. */
static int tick_forwarder(struct rooms *rooms)
{
    const struct egress_listeners *egress = rooms->setup.egress;
    uint64_t now = clock_mono_ms();
    if (!egress || egress->count == 0 || rooms->stopping || rooms_alive(rooms, ROOM_FORWARDER))
        return -1;
    if (rooms->due_ms[ROOM_FORWARDER] > now)
        return (int)(rooms->due_ms[ROOM_FORWARDER] - now);
    cc_err err = start_forwarder(rooms);
    return err.code ? on_start_error(rooms, ROOM_FORWARDER, err) : -1;
}

/* The rooms from the inside out; each needs the one before it. */
static int tick_chain(struct rooms *rooms)
{
    static const struct {
        enum room room;
        cc_err (*start)(struct rooms *rooms);
    } order[] = {{ROOM_VAULT, start_vault}, {ROOM_CORE, start_core}, {ROOM_FRONT, start_front}};
    uint64_t now = clock_mono_ms();
    for (size_t i = 0; i < ARRAY_LEN(order) && !rooms->stopping; i++) {
        enum room room = order[i].room;
        if (rooms_alive(rooms, room) || !is_wanted(rooms, room))
            continue;
        int wait_ms = -1;
        if (!is_cleared(rooms, room, &wait_ms))
            return wait_ms;
        if (rooms->due_ms[room] > now)
            return (int)(rooms->due_ms[room] - now);
        cc_err err = order[i].start(rooms);
        if (err.code)
            return on_start_error(rooms, room, err);
    }
    if (rooms->loader_wanted && !rooms->stopping && !rooms_alive(rooms, ROOM_LOADER)) {
        cc_err err = start_loader(rooms);
        if (!err.code)
            return -1;
        log_error("the loader cannot be started, trying again", KV_ERR(err));
        rooms->loader_wanted = true;
        return LOADER_RETRY_MS;
    }
    return -1;
}

int rooms_tick(struct rooms *rooms)
{
    int forwarder_ms = tick_forwarder(rooms);
    int chain_ms = rooms->state == ROOMS_FAILED ? -1 : tick_chain(rooms);
    if (forwarder_ms < 0 || chain_ms < 0)
        return forwarder_ms < 0 ? chain_ms : forwarder_ms;
    return forwarder_ms < chain_ms ? forwarder_ms : chain_ms;
}

/* --- what rooms say ------------------------------------------------------------------------------------------------ */

static void on_ready(struct rooms *rooms, struct child *child)
{
    child->ready = true;
    if (!serves(rooms) || rooms->stopping)
        return;
    for (enum room room = ROOM_FRONT; room <= ROOM_VAULT; room++)
        if (!rooms->children[room].ready)
            return;
    rooms->state = ROOMS_SERVING;
}

/* A room may only accuse one that is further from the keys: a captured front must not end a core by a word. */
static void on_stalled(struct rooms *rooms, enum room accuser, uint64_t accused)
{
    bool believed = (accused == ROOM_FRONT && accuser == ROOM_CORE) ||
                    (accused == ROOM_CORE && accuser == ROOM_VAULT) ||
                    (accused == ROOM_LOADER && (accuser == ROOM_CORE || accuser == ROOM_VAULT));
    if (!believed) {
        log_warn("a room complains of one that it has no say over, ignoring",
                 KV_STR("which", room_name(accuser)));
        return;
    }
    log_error("a room does not read its door, ending it",
              KV_STR("which", room_name((enum room)accused)));
    if (rooms_alive(rooms, (enum room)accused))
        (void)kill(rooms->children[accused].pid, SIGKILL);
}

/* The vault is of no more use in this life. A captured core could have it wiped as well. */
static void on_sealed(struct rooms *rooms)
{
    if (!serves(rooms) || rooms->stopping)
        return;
    log_notice("the chamber was sealed: starting all rooms anew");
    child_kill(&rooms->children[ROOM_VAULT]);
}

static void on_message(struct rooms *rooms, struct child *child, const struct control *message)
{
    switch (message->type) {
    case CONTROL_READY:
        on_ready(rooms, child);
        return;
    case CONTROL_FAILED:
        child->failure = error_from_number((uint32_t)message->value).code
                             ? (uint32_t)error_from_number((uint32_t)message->value).code
                             : ERROR_SYSTEM;
        return;
    case CONTROL_PEER_STALLED:
        on_stalled(rooms, child->room, message->value);
        return;
    case CONTROL_WANT_LOADER:
        if (child->room == ROOM_CORE) {
            rooms->loader_wanted = true;
            return;
        }
        break;
    case CONTROL_DRAINED:
        if (child->room == ROOM_FRONT) {
            rooms->drained = true;
            return;
        }
        break;
    case CONTROL_TLS_TAKEN:
        if (child->room == ROOM_FRONT && rooms->setup.tls) {
            tls_source_taken(rooms->setup.tls, message->value);
            return;
        }
        break;
    case CONTROL_SEALED:
        if (child->room == ROOM_CORE) {
            on_sealed(rooms);
            return;
        }
        break;
    }
    log_warn("a room says what it has no business to, ignoring",
             KV_STR("which", room_name(child->room)), KV_NUM("type", message->type));
}

void rooms_on_control(struct rooms *rooms, enum room room)
{
    struct control message;
    while (child_hear(&rooms->children[room], &message))
        on_message(rooms, &rooms->children[room], &message);
}

void rooms_on_log(struct rooms *rooms, enum room room)
{
    struct child *child = &rooms->children[room];
    if (child->log.fd >= 0 && !logpipe_read(&child->log, &rooms->setup.sink))
        logpipe_close(&child->log, &rooms->setup.sink);
}

/* --- ends ----------------------------------------------------------------------------------------------------------- */

static void log_end(const struct child *child, int status)
{
    const char *name = room_name(child->room);
    cc_err failure = {(int)child->failure};
    if (WIFSIGNALED(status))
        log_error("a room was ended by a signal", KV_STR("which", name),
                  KV_NUM("signal", WTERMSIG(status)));
    else if (failure.code)
        log_error("a room has failed", KV_STR("which", name), KV_STR("error", error_name(failure)),
                  KV_STR("reason", error_text(failure)));
    else if (WEXITSTATUS(status))
        log_error("a room has failed", KV_STR("which", name),
                  KV_NUM("status", WEXITSTATUS(status)));
    else
        log_notice("a room has ended", KV_STR("which", name));
}

/* When the vault fails, the core fails too, for want of it: the innermost room that says more than that is right. */
static enum error_code cause_of_failure(struct rooms *rooms)
{
    for (enum room room = ROOM_VAULT; room >= ROOM_FRONT; room--) {
        rooms_on_control(rooms, room);
        uint32_t failure = rooms->children[room].failure;
        if (failure && failure != ERROR_DOOR_CLOSED)
            return (enum error_code)failure;
    }
    return ERROR_SYSTEM;
}

static void plan_restart(struct rooms *rooms, const struct child *child)
{
    uint32_t delay = 0;
    /* A closed door is another room's failure, which will be seen next: it is no reason to end the start. */
    bool first_start = rooms->state == ROOMS_STARTING && !child->ready &&
                       !(serves(rooms) && child->failure == ERROR_DOOR_CLOSED);
    bool go_on =
        restart_ended(&rooms->restarts[child->room], clock_mono_ms(), child->ready, &delay);
    if (first_start || !go_on) {
        log_error(first_start ? "the start has failed"
                              : "giving up: a room cannot be started any more",
                  KV_STR("which", room_name(child->room)));
        fail(rooms, cause_of_failure(rooms));
        return;
    }
    if (rooms->state != ROOMS_STARTING)
        rooms->state = ROOMS_RECOVERING;
    rooms->due_ms[child->room] = clock_mono_ms() + delay;
    log_warn("starting a room again", KV_STR("which", room_name(child->room)),
             KV_NUM("delay_ms", delay));
}

static bool has_ended_well(int status)
{
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* An end that nobody asked for. In `init` rooms end when they are done. */
static void on_unexpected_end(struct rooms *rooms, const struct child *child, int status)
{
    if (has_ended_well(status) && (!serves(rooms) || child->room == ROOM_LOADER))
        return;
    log_end(child, status);
    if (child->room != ROOM_LOADER)
        plan_restart(rooms, child);
}

static void on_end(struct rooms *rooms, struct child *child, int status)
{
    enum room room = child->room;
    rooms_on_control(rooms, room); /* why it failed may still lie in the line */
    if (!serves(rooms) && room == ROOM_CORE && has_ended_well(status)) {
        rooms->state = ROOMS_DONE;
        rooms->stopping = true;
    } else if (!child->end_expected && !rooms->stopping) {
        on_unexpected_end(rooms, child, status);
    } else if (rooms->state == ROOMS_SERVING && room != ROOM_LOADER && !rooms->stopping) {
        rooms->state = ROOMS_RECOVERING;
    }
    child_reap(child, &rooms->setup.sink);
    if (room == ROOM_CORE) { /* what was prepared for its life is void */
        expect_end_of_front(rooms);
        end_aws_reader(rooms);
        rooms->loader_wanted = false;
        fd_closep(&rooms->door_to_front);
    }
}

/* Without its reader a core could not renew its credentials: a new one is started, with a new reader. One that ends well
 * has seen its line closed: the core is ending too.
 */
static void on_aws_reader_end(struct rooms *rooms, int status)
{
    rooms->aws_reader = 0;
    if (has_ended_well(status) || rooms->stopping || !rooms_alive(rooms, ROOM_CORE))
        return;
    log_error("the reader of AWS credentials has ended, starting the core again");
    (void)kill(rooms->children[ROOM_CORE].pid, SIGKILL);
}

/* From the inside out, so that the cause is seen before what follows from it. */
void rooms_on_child_end(struct rooms *rooms)
{
    static const enum room order[] = {ROOM_VAULT, ROOM_CORE, ROOM_FRONT, ROOM_LOADER,
                                      ROOM_FORWARDER};
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        struct child *child = &rooms->children[order[i]];
        int status = 0;
        if (child->pid > 0 && waitpid(child->pid, &status, WNOHANG) == child->pid)
            on_end(rooms, child, status);
    }
    int status = 0;
    if (rooms->aws_reader > 0 && waitpid(rooms->aws_reader, &status, WNOHANG) == rooms->aws_reader)
        on_aws_reader_end(rooms, status);
}
