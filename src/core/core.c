/* Threads of a serving core, and what each may wait for:
 *
 *   control   (main)   the supervisor's line, once a second the gauges
 *   requests           door A; judges, queues, answers questions and refusals
 *   writer             the history: the only thread that uses it
 *   keeper             the state store: the only thread that uses it, and asks the vault to sign its head
 *   manage             administrative questions; waits for the keeper, and for the vault
 *   objects            passes on what needs no record
 *   keys               work on keys: the key store, and turns of keeper, writer and vault
 *   to vault, from vault    door B, one for each direction
 *   answers            writes to the audit log, then sends signatures to the front
 *   audit, anchor      makes the audit log durable and begins its next file; gives its position to the keeper
 *   seal, canary       wait for an emergency: files, the keeper, the vault
 *   ceremony           the master key: the keeper, the vault, KMS, turns of the thread of keys
 *   loads              the load door, when a loader runs
 *   time               in an enclave: the security module's word about the time, each minute, by way of the vault
 *   attestation        in an enclave: the vault, for documents
 *   traces             a collector, when one is named; nobody waits for it
 *
 * Locks (registry, pause, pending table, backlog, the queues, front link, loads, manage, keeper, audit log, seal, ceremony, canary, question to the vault, exporter) guard data, are leaves, and are never held over I/O.
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
 *                               state.seen and seal.latch are replaced by rename; the audit log's files
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
#include "base/io.h"
#include "base/log.h"
#include "base/metric.h"

#include "aws/inputs_line.h"
#include "config/egress.h"
#include "core/auth_latch.h"
#include "core/documents.h"
#include "core/enclave_secrets.h"
#include "core/enclave_time.h"
#include "core/kms_attester.h"
#include "core/order.h"
#include "core/own_image.h"
#include "core/report.h"
#include "core/seal_latch.h"
#include "core/service.h"
#include "core/stores.h"
#include "core/test_point.h"
#include "core/waiting.h"
#include "secret/wipe.h"

enum {
    TICK_MS = 1000,
    AGAIN_MS = 1000, /* from one try to reach a database to the next, at a start */
    TICKS_WITHOUT_VAULT =
        2 /* enough for the supervisor to act first, and for all that waits to be answered */
};

struct core {
    const struct room_context *room;
    int vault_fd;
    uint32_t vault_life;
    int front_fd; /* -1: none yet, or given to the service */
    uint32_t front_life;
    int order_fd;                /* -1: none */
    struct documents *documents; /* NULL: not in an enclave */
    enum room_mode mode;
    struct aws_inputs_line aws_inputs; /* fd -1: no store is in AWS */
    struct enclave_root *root;         /* NULL: chamber.key is a file */
    struct stores stores;
    struct audit *audit;             /* NULL: not opened */
    struct tracing *tracing;         /* NULL: none */
    struct seal_kms *kms;            /* NULL: this signer may not call KMS */
    struct enclave_secrets *secrets; /* NULL: KMS gives none */
    struct enclave_time *time;       /* NULL: not in an enclave */
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

static void take_aws_inputs(struct core *core, int fd)
{
    if (core->aws_inputs.fd >= 0)
        (void)close(core->aws_inputs.fd);
    core->aws_inputs = (struct aws_inputs_line){.fd = fd, .timeout_ms = AWS_INPUTS_LINE_TIMEOUT_MS};
}

/* As the vault's first door, it is kept. */
static void take_documents(struct core *core, int fd, uint32_t life)
{
    if (core->documents || documents_new(fd, life, &core->documents).code)
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
    case CONTROL_AWS_INPUTS:
        take_aws_inputs(core, fd);
        return;
    case CONTROL_DOOR_DOCUMENTS:
        take_documents(core, fd, message->life);
        return;
    case CONTROL_ORDER:
        fd_closep(&core->order_fd);
        core->order_fd = fd;
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
    case CONTROL_TLS:
    case CONTROL_TLS_TAKEN:
    case CONTROL_LISTENER:
    case CONTROL_CHAMBER_KEY:
    case CONTROL_NSM:
    case CONTROL_READY:
    case CONTROL_FAILED:
    case CONTROL_WANT_LOADER:
    case CONTROL_PEER_STALLED:
    case CONTROL_DRAINED:
    case CONTROL_SEALED:
        break;
    }
    if (fd >= 0)
        (void)close(fd);
}

static bool needs_fd(uint32_t type)
{
    return type == CONTROL_DOOR_FRONT || type == CONTROL_DOOR_VAULT || type == CONTROL_DOOR_LOAD ||
           type == CONTROL_AWS_INPUTS || type == CONTROL_DOOR_DOCUMENTS || type == CONTROL_ORDER;
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
    if (core->mode < ROOM_MODE_SERVE || core->mode > ROOM_MODE_ORDER)
        return CC_FAIL(PROTOCOL, "unknown mode");
    if (core->room->config->tee.platform == TEE_NITRO && !core->documents)
        return CC_FAIL(PROTOCOL, "started without a door to the enclave's security module");
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
    if (core->order_fd >= 0) /* which history the key directories are to be fenced for */
        CC_TRY(fd_write_all(core->order_fd, core->stores.record.history_id,
                            sizeof core->stores.record.history_id));
    return control_send(core->room->control_fd, CONTROL_READY, 0, 0, -1);
}

/* To the supervisor of an enclave: whether there was a chamber. */
static cc_err say_joined(const struct core *core, enum join_answer answer)
{
    const uint8_t byte = (uint8_t)answer;
    return core->order_fd >= 0 ? fd_write_all(core->order_fd, &byte, 1) : CC_OK;
}

static cc_err do_order(struct core *core, struct vault_call *vault)
{
    CC_TRY(core->room->lock(ROOM_CORE));
    if (core->order_fd < 0)
        return CC_FAIL(PROTOCOL, "no order");
    core->stores.ignores_seal = true;
    CC_TRY(stores_open(core->room->config, vault, &core->stores));
    CC_TRY(order_carry_out(core->order_fd, core->room->config, vault, &core->stores));
    return control_send(core->room->control_fd, CONTROL_READY, 0, 0, -1);
}

/* --- serve ----------------------------------------------------------------------------------------------- */

/* noop promises nothing, so it has no clock rule either. */
static uint64_t max_future_epochs(const struct anti_slashing_config *config)
{
    return config->backend == HISTORY_NOOP ? UINT64_MAX : config->max_future_epochs;
}

/* Answers the front, and obeys, until the next try is due. `waiting` is NULL where there is no front. */
static cc_err wait_a_moment(struct core *core, struct waiting *waiting)
{
    uint64_t until_ms = clock_mono_ms() + AGAIN_MS;
    for (uint64_t now = until_ms - AGAIN_MS; now < until_ms; now = clock_mono_ms()) {
        struct control message;
        struct pollfd lines[] = {{.fd = core->room->control_fd, .events = POLLIN},
                                 {.fd = core->front_fd, .events = POLLIN}};
        if (poll(lines, ARRAY_LEN(lines), (int)(until_ms - now)) <= 0)
            continue;
        if (lines[0].revents)
            CC_TRY(take_order(core, &message));
        if (lines[1].revents && waiting_answer(waiting, core->front_fd, core->front_life).code) {
            (void)close(core->front_fd);
            core->front_fd = -1;
        }
    }
    return CC_OK;
}

/* Nobody is there to start an enclave again: it waits for its tables and for KMS. */
static cc_err join_stores(struct core *core, struct vault_call *vault)
{
    for (;;) {
        cc_err err = stores_join(core->room->config, vault, &core->stores);
        if (!core->root || !stores_may_come(core->room->config, err))
            return err;
        if (!core->stores.waiting)
            log_warn("what this enclave's chamber is kept in is away: waiting for it", KV_ERR(err));
        CC_TRY(wait_a_moment(core, NULL));
        stores_begin_again(&core->stores);
    }
}

static cc_err join(struct core *core, struct vault_call *vault)
{
    CC_TRY(core->room->lock(ROOM_CORE));
    cc_err err = join_stores(core, vault);
    if (error_is(err, ERROR_CHAMBER_MISSING) && core->order_fd >= 0) {
        log_notice("there is no chamber in the state store yet");
        return say_joined(core, JOIN_FOUND_NOTHING);
    }
    CC_TRY(err);
    CC_TRY(say_joined(core, JOIN_DONE));
    log_notice("this data directory belongs to one more replica of the chamber",
               KV_STR("data_dir", core->room->config->data_dir));
    return control_send(core->room->control_fd, CONTROL_READY, 0, 0, -1);
}

/* A database that is away is waited for, whether it goes before a start or after it; everything else ends the start. */
static cc_err open_stores(struct core *core, struct vault_call *vault)
{
    CC_CLEANUP(cc_freep) struct waiting *waiting = NULL;
    for (;;) {
        cc_err err = stores_open(core->room->config, vault, &core->stores);
        if (!stores_may_come(core->room->config, err))
            return err;
        if (!waiting) {
            waiting = cc_alloc(sizeof *waiting);
            if (!waiting)
                return CC_FAIL(NO_MEMORY, NULL);
            waiting->config = core->room->config;
            waiting->error = core->stores.latched ? ERROR_SEALED : ERROR_STORE;
            log_warn("a database is away: waiting for it, and answering 503 until it comes");
            CC_TRY(control_send(core->room->control_fd, CONTROL_READY, 0, 0, -1));
        }
        CC_TRY(wait_a_moment(core, waiting));
        stores_begin_again(&core->stores);
    }
}

static cc_err open_kms(struct core *core)
{
    const struct seal_kms_attester attester = kms_attester(core->documents);
    const struct seal_kms_options options = {.attester = core->documents ? &attester : NULL};
    return seal_kms_open(core->stores.aws, core->stores.chamber.chamber_id, &options, &core->kms);
}

/* A start in debug mode has no measurement, and nothing is approved for it. */
static cc_err read_image(struct core *core, struct seal_link_ids *ids)
{
    struct own_image image;
    if (!core->documents || !core->room->config->signer_state.auto_unseal)
        return CC_OK;
    CC_TRY(own_image_read(core->documents, &image));
    ids->by_image = own_image_is_measured(&image);
    memcpy(ids->image.pcr0, image.pcr0, sizeof ids->image.pcr0);
    memcpy(ids->image.pcr8, image.pcr8, sizeof ids->image.pcr8);
    if (!ids->by_image)
        log_warn("auto-unseal: an image in debug mode has no measurement: operators must unseal");
    return CC_OK;
}

/* T11. How far an earlier enclave has signed, its parent's stores may not say: so nothing is signed here that one may have signed until now, and
 * the module's time says how far that is. Held in this core, where no store's word counts: what a parent forgets or forges changes nothing.
 */
static cc_err raise_enclave_floor(struct core *core, struct sign_rules *rules)
{
    if (!core->documents)
        return CC_OK;
    CC_TRY(enclave_time_start(core->documents, &core->time));
    const uint64_t now_ms = enclave_time_now(core->time);
    if (core->room->config->anti_slashing.backend == HISTORY_NOOP)
        return CC_OK;
    if (sign_path_enclave_floor(rules, now_ms, ENCLAVE_TIME_LIMIT_MS, &rules->floor)) {
        metric_set(METRIC_ENCLAVE_FLOOR, 0, rules->floor.target);
        log_notice(
            "an earlier enclave may have signed up to now: duties begin again when a later epoch is justified",
            KV_NUM("epoch", rules->floor.target), KV_NUM("slot", rules->floor.slot));
        return CC_OK;
    }
    if (rules->network->production)
        return CC_FAIL(CONFIG, "an enclave has to know the network's genesis_time");
    log_warn(
        "an earlier enclave may have signed anything: the test network's genesis time is not known",
        KV_STR("hint", "set genesis_time"));
    return CC_OK;
}

static cc_err start(struct core *core, struct vault_call *vault)
{
    CC_CLEANUP(secret32_wipep) struct secret32 token_key;
    const struct state_signer signer = {vault_call_sign_head, vault};
    const char *data_dir = core->room->config->data_dir;
    test_point_pass(TEST_POINT_BEGIN);
    metric_set(METRIC_POSTGRES_CONNECTIONS, 0, 0); /* a core before this one may have had some */
    core->stores.latched = seal_latch_file(data_dir);
    CC_TRY(open_stores(core, vault));
    if (core->room->config->signer_state.kms || core->room->config->signer_state.auto_unseal)
        CC_TRY(open_kms(core));
    if (core->stores
            .sealed) /* by another replica: from now on by this one too, whatever the state store says then */
        CC_TRY(seal_latch_make_file(data_dir, "replica", clock_wall_ms()));
    const bool opens = core->stores.seal.open && !core->stores.latched;
    CC_TRY(auth_latch_settle(core->room->config, core->stores.state, &signer));
    if (opens)
        CC_TRY(vault_call_token_key(vault, token_key.bytes));
    CC_TRY(stores_open_keys(core->room->config, vault, &core->stores));
    CC_TRY(vault_call_held(vault, &core->held, &core->held_count));
    CC_TRY(audit_begin(core->room->config, vault, &core->stores, &core->audit));
    struct service_settings settings = {
        .config = core->room->config,
        .control_fd = core->room->control_fd,
        .vault_fd = core->vault_fd,
        .vault_life = core->vault_life,
        .history = core->stores.history,
        .state = core->stores.state,
        .has_ceiling = core->stores.has_ceiling,
        .ceiling = core->stores.ceiling,
        .floor = core->stores.floor,
        .rules = {.network = &core->stores.network,
                  .has_genesis_validators_root = core->stores.has_genesis_validators_root,
                  .genesis_validators_root = core->stores.genesis_validators_root,
                  .max_future_epochs = max_future_epochs(&core->room->config->anti_slashing)},
        .token_key = opens ? token_key.bytes : NULL,
        .book = core->stores.keys,
        .kms = core->kms,
        .documents = core->documents,
        .audit = core->audit,
        .tracing = core->tracing,
        .held = core->held,
        .held_count = core->held_count,
        .latched = core->stores.latched,
        .memory = core->stores.memory,
        .seal_again = core->stores.latched && (core->stores.seal.open || core->held_count),
    };
    CC_TRY(raise_enclave_floor(core, &settings.rules));
    settings.time = core->time;
    audit_replica(core->room->config, &core->stores, settings.audit_replica);
    memcpy(settings.ids.chamber_id, core->stores.chamber.chamber_id,
           sizeof settings.ids.chamber_id);
    memcpy(settings.ids.identity, core->stores.chamber.identity_public,
           sizeof settings.ids.identity);
    memcpy(settings.ids.replica, settings.audit_replica, sizeof settings.ids.replica);
    CC_TRY(read_image(core, &settings.ids));
    CC_TRY(service_start(&settings, &core->service));
    core->serving = true;
    CC_TRY(core->room->lock(ROOM_CORE));
    CC_TRY(control_send(core->room->control_fd, CONTROL_READY, 0, 0, -1));
    if (core->front_fd >= 0)
        front_link_offer(core->service.link, core->front_fd, core->front_life);
    core->front_fd = -1;
    /* A supervisor that is gone already is noticed by serve(). */
    (void)loads_begin(core->service.loads).code;
    if (core->stores.latched)
        log_warn("the chamber is sealed: every request is answered 503 until `operator unseal`");
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

/* A core that has died in the middle of a seal has left a vault that is of no more use: all rooms start anew. Not without a latch,
 * or that would undo the seal.
 */
static void end_the_seal(struct core *core)
{
    cc_err err = seal_latch_make_file(core->room->config->data_dir, "restart", clock_wall_ms());
    if (err.code)
        log_error("seal.latch can't be made: trying again", KV_ERR(err));
    else
        (void)control_send(core->room->control_fd, CONTROL_SEALED, 0, 0, -1).code;
}

/* The vault was sealed in this life. */
static cc_err serve_sealed(struct core *core)
{
    CC_CLEANUP(cc_freep) struct waiting *waiting = cc_alloc(sizeof *waiting);
    if (!waiting)
        return CC_FAIL(NO_MEMORY, NULL);
    waiting->config = core->room->config;
    waiting->error = ERROR_SEALED;
    stores_close(&core->stores);
    log_warn("the vault was sealed: every request is answered 503");
    metric_choose(METRIC_SIGNER_STATE, METRIC_STATE_SEALED);
    CC_TRY(core->room->lock(ROOM_CORE));
    CC_TRY(control_send(core->room->control_fd, CONTROL_READY, 0, 0, -1));
    for (;;) {
        end_the_seal(core);
        cc_err err = wait_a_moment(core, waiting);
        if (error_is(err, ERROR_DOOR_CLOSED))
            return CC_OK;
        if (err.code)
            log_error("a control message was not obeyed", KV_ERR(err));
    }
}

/* Before there is a thread, and before the lock: all that curl opens for itself is open then. */
static cc_err open_aws(struct core *core)
{
    if (!config_uses_aws(core->room->config))
        return CC_OK;
    if (core->aws_inputs.fd < 0)
        return CC_FAIL(PROTOCOL, "started without the inputs of the AWS credentials");
    const struct aws_inputs inputs = aws_inputs_of_line(&core->aws_inputs);
    CC_TRY(aws_session_open(&core->room->config->aws, &inputs, &core->stores.aws));
    aws_session_pin(core->stores.aws, core->room->config->tee.aws_account);
    return CC_OK;
}

static cc_err open_secrets(struct core *core)
{
    const struct config *config = core->room->config;
    const struct aws_inputs inputs = aws_inputs_of_line(&core->aws_inputs);
    CC_TRY(enclave_secrets_open(config, core->stores.aws, core->documents, &core->secrets));
    return enclave_secrets_aws_session(core->secrets, config, &inputs, &core->stores.tables_own);
}

static cc_err open_root(struct core *core)
{
    if (!config_has_root(core->room->config))
        return CC_OK;
    CC_TRY(enclave_root_new(core->room->config, core->documents, core->stores.aws, &core->root));
    core->stores.root = core->root;
    return CC_OK;
}

static cc_err run(struct core *core)
{
    CC_CLEANUP(cc_freep) struct vault_call *vault = cc_alloc(sizeof *vault);
    if (!vault)
        return CC_FAIL(NO_MEMORY, NULL);
    CC_TRY(collect(core));
    CC_TRY(egress_install(&core->room->config->egress)); /* before there are threads */
    CC_TRY(stores_load_config(core->room->config, &core->stores));
    CC_TRY(open_aws(core));
    if (core->mode == ROOM_MODE_SERVE)
        CC_TRY(tracing_open(core->room->config, &core->tracing));
    CC_TRY(open_root(core));
    CC_TRY(open_secrets(core));
    vault->fd = core->vault_fd;
    vault->life = core->vault_life;
    if (core->mode == ROOM_MODE_INIT)
        return init(core, vault);
    if (core->mode == ROOM_MODE_JOIN)
        return join(core, vault);
    if (core->mode == ROOM_MODE_ORDER)
        return do_order(core, vault);
    cc_err err = start(core, vault);
    if (error_is(err, ERROR_SEALED))
        return serve_sealed(core);
    if (error_is(err, ERROR_DOOR_CLOSED) && core->stores.waiting)
        return CC_OK; /* told to end while it waited */
    CC_TRY(err);
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
    core->aws_inputs.fd = -1;
    core->order_fd = -1;
    (void)umask(077);
    /* A door that has ended is an error of the write, never the end of this room. */
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL);
    attach_metrics();
    cc_err err = run(core);
    if (core->serving)
        service_stop(&core->service);
    enclave_time_stop(core->time);
    audit_close(core->audit);
    seal_kms_close(core->kms);
    enclave_root_free(core->root);
    enclave_secrets_close(core->secrets);
    stores_close(&core->stores);
    documents_free(core->documents);
    tracing_close(core->tracing); /* last: a collector that can't be reached takes its time */
    if (core->aws_inputs.fd >= 0)
        (void)close(core->aws_inputs.fd);
    if (core->vault_fd >= 0)
        (void)close(core->vault_fd);
    if (core->front_fd >= 0)
        (void)close(core->front_fd);
    fd_closep(&core->order_fd);
    cc_free(core->held);
    cc_free(core);
    return err;
}
