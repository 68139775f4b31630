#include "support/core_room.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/metric.h"
#include "base/num.h"

#include "core/core.h"
#include "eth/network.h"
#include "eth/signing_root.h"
#include "support/test.h"
#include "vault/chamber_key.h"

void core_room_reserve_metrics(void)
{
    int writable = -1;
    int readable = -1;
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    assert_int_equal(sigaction(SIGPIPE, &ignore, NULL),
                     0); /* rooms that die under a test are errors of its sends */
    assert_int_equal(metric_create(&writable, &readable).code, 0);
    (void)close(readable);
    if (writable != ROOM_FD_METRICS) {
        assert_int_equal(dup2(writable, ROOM_FD_METRICS), ROOM_FD_METRICS);
        (void)close(writable);
    }
}

static cc_err no_lock(enum room room)
{
    (void)room;
    return CC_OK;
}

void core_room_make(struct core_room *room)
{
    *room = (struct core_room){
        .directory = "/tmp/cc-test-core-XXXXXX", .control = -1, .front = -1, .nsm = -1};
    assert_non_null(mkdtemp(room->directory));
    (void)snprintf(room->secret.directory, sizeof room->secret.directory, "%s", room->directory);
    (void)snprintf(room->secret.key_path, sizeof room->secret.key_path, "%s/chamber.key",
                   room->directory);
    assert_int_equal(chamber_key_create(room->secret.key_path).code, 0);
    char audit[sizeof room->directory + sizeof "/audit"];
    (void)snprintf(audit, sizeof audit, "%s/audit", room->directory);
    assert_int_equal(mkdir(audit, 0700), 0);
    room->vault.control = -1;
    room->config = calloc(1, sizeof *room->config);
    assert_non_null(room->config);
    config_defaults(room->config);
    (void)snprintf(room->config->data_dir, sizeof room->config->data_dir, "%s", room->directory);
    (void)snprintf(room->config->network.network, sizeof room->config->network.network, "sepolia");
    room->config->signing.concurrency = 2;
    room->config->anti_slashing.quarantine_epochs = 0; /* tests sign for epochs long past */
}

/* The child has only what a room has; in particular not the other ends of its own lines. */
static void run_child(struct core_room *room, int control)
{
    (void)close(room->control);
    if (room->front >= 0)
        (void)close(room->front);
    (void)close(room->vault.control);
    if (room->vault.loader >= 0)
        (void)close(room->vault.loader);
    if (room->nsm >= 0)
        (void)close(room->nsm);
    if (room->prepare)
        room->prepare();
    if (room->point)
        test_point_arm(room->point, room->point_nth);
    const struct room_context context = {room->config, control, no_lock};
    int code = core_main(&context).code;
    free(room->config);
    (void)close(control);
    exit(code);
}

/* `order` -1: none. */
static void start_with(struct core_room *room, enum room_mode mode, int order)
{
    int line[2];
    int door_a[2] = {-1, -1};
    assert_int_equal(room->pid, 0);
    assert_int_equal(control_pair(line).code, 0);
    room->control = line[0];
    (void)fflush(NULL);
    room->pid = fork();
    assert_true(room->pid >= 0);
    if (room->pid == 0)
        run_child(room, line[1]);
    (void)close(line[1]);
    /* A core that has refused to start may be gone by now: core_room_start() finds out. */
    (void)control_send(room->control, CONTROL_DOOR_VAULT, room->vault.core_life, 0,
                       room->vault.core)
        .code;
    (void)close(room->vault.core);
    room->vault.core = -1;
    if (room->vault.documents >= 0) {
        (void)control_send(room->control, CONTROL_DOOR_DOCUMENTS, room->vault.core_life, 0,
                           room->vault.documents)
            .code;
        (void)close(room->vault.documents);
        room->vault.documents = -1;
    }
    if (mode == ROOM_MODE_SERVE) {
        assert_int_equal(door_pair(door_a).code, 0);
        room->front = door_a[0];
        (void)control_send(room->control, CONTROL_DOOR_FRONT, ++room->front_life, 0, door_a[1])
            .code;
        (void)close(door_a[1]);
    }
    if (order >= 0)
        (void)control_send(room->control, CONTROL_ORDER, 0, 0, order).code;
    (void)control_send(room->control, CONTROL_START, 0, mode, -1).code;
}

static void start(struct core_room *room, enum room_mode mode)
{
    start_with(room, mode, -1);
}

static void close_ends(struct core_room *room)
{
    if (room->control >= 0)
        (void)close(room->control);
    if (room->front >= 0)
        (void)close(room->front);
    room->control = -1;
    room->front = -1;
}

int core_room_wait(struct core_room *room)
{
    int status = 0;
    assert_int_equal(waitpid(room->pid, &status, 0), room->pid);
    room->pid = 0;
    close_ends(room);
    return status;
}

static int exit_of(int status)
{
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void start_vault(struct core_room *room, enum room_mode mode)
{
    uint8_t digest[32];
    if (room->nsm < 0) {
        vault_room_start(&room->vault, &room->secret, mode, false);
        return;
    }
    assert_int_equal(config_digest(room->config, digest).code, 0);
    vault_room_start_enclave(&room->vault, &room->secret, mode, room->nsm, digest);
}

int core_room_init(struct core_room *room)
{
    start_vault(room, ROOM_MODE_INIT);
    start(room, ROOM_MODE_INIT);
    int code = exit_of(core_room_wait(room));
    assert_int_equal(vault_room_stop(&room->vault), 0);
    room->vault.control = -1;
    return code;
}

int core_room_order(struct core_room *room, int fd)
{
    start_vault(room, ROOM_MODE_ORDER);
    start_with(room, ROOM_MODE_ORDER, fd);
    int code = exit_of(core_room_wait(room));
    assert_int_equal(vault_room_stop(&room->vault), 0);
    room->vault.control = -1;
    return code;
}

void core_room_start_vault(struct core_room *room)
{
    if (room->config->signer_state.seal == SEAL_BEGINS_BY_CEREMONY)
        vault_room_start_ceremony(&room->vault, &room->secret);
    else
        start_vault(room, ROOM_MODE_SERVE);
}

int core_room_start(struct core_room *room)
{
    int status = 0;
    struct control message = {0};
    int fd = -1;
    if (room->vault.core < 0)
        vault_room_next_core(&room->vault);
    start(room, ROOM_MODE_SERVE);
    if (control_receive(room->control, &message, &fd).code) {
        status = core_room_wait(room);
        return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? CORE_ROOM_KILLED
                                                                  : exit_of(status);
    }
    assert_int_equal(message.type, CONTROL_READY);
    return 0;
}

void core_room_serve(struct core_room *room, unsigned keys)
{
    assert_int_equal(core_room_start(room), 0);
    core_room_load(room, keys);
    (void)core_room_await_health(room, true);
}

void core_room_up(struct core_room *room, unsigned keys)
{
    core_room_make(room);
    assert_int_equal(core_room_init(room), 0);
    core_room_start_vault(room);
    core_room_serve(room, keys);
    (void)core_room_await_load(room);
}

void core_room_kill(struct core_room *room)
{
    assert_int_equal(kill(room->pid, SIGKILL), 0);
    (void)core_room_wait(room);
}

int core_room_stop_core(struct core_room *room)
{
    (void)close(room->control);
    room->control = -1;
    return exit_of(core_room_wait(room));
}

void core_room_freeze_vault(struct core_room *room)
{
    int status = 0;
    assert_int_equal(kill(room->vault.pid, SIGSTOP), 0);
    assert_int_equal(waitpid(room->vault.pid, &status, WUNTRACED), room->vault.pid);
    assert_true(WIFSTOPPED(status));
}

void core_room_thaw_vault(struct core_room *room)
{
    assert_int_equal(kill(room->vault.pid, SIGCONT), 0);
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

void core_room_remove(struct core_room *room)
{
    if (room->pid)
        core_room_kill(room);
    if (room->vault.control >= 0) {
        core_room_thaw_vault(room); /* a failed test may have left it frozen */
        (void)vault_room_stop(&room->vault);
    }
    assert_int_equal(nftw(room->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
    free(room->config);
}

void core_room_next_front(struct core_room *room)
{
    int door_a[2];
    if (room->front >= 0)
        (void)close(room->front);
    assert_int_equal(door_pair(door_a).code, 0);
    room->front = door_a[0];
    assert_int_equal(
        control_send(room->control, CONTROL_DOOR_FRONT, ++room->front_life, 0, door_a[1]).code, 0);
    (void)close(door_a[1]);
}

struct control core_room_expect(struct core_room *room, uint32_t type)
{
    struct control message = {0};
    int fd = -1;
    do
        assert_int_equal(control_receive(room->control, &message, &fd).code, 0);
    while (message.type != type);
    return message;
}

/* --- keys ------------------------------------------------------------------------------------------------- */

void test_secret(unsigned n, uint8_t ret_secret[static 32])
{
    memset(ret_secret, 0, 32);
    u32_store_be(ret_secret + 28, 0x01020300 + n);
    u32_store_be(ret_secret + 4, 0xcafe0000 + n);
}

static struct eth_pubkey pubkeys[64]; /* by number, as the vault derived them */

struct eth_pubkey test_pubkey(unsigned n)
{
    assert_true(n < ARRAY_LEN(pubkeys));
    return pubkeys[n];
}

void test_know_pubkey(unsigned n, const struct eth_pubkey *pubkey)
{
    assert_true(n < ARRAY_LEN(pubkeys));
    pubkeys[n] = *pubkey;
}

struct l_key core_room_vault_key(struct core_room *room, unsigned n)
{
    uint8_t secret[32];
    test_secret(n, secret);
    const struct k_result result = loader_add_raw(&room->vault, secret);
    assert_true(n < ARRAY_LEN(pubkeys));
    pubkeys[n] = result.pubkey;
    struct l_key key = {.state = L_LOADED,
                        .has_pubkey = 1,
                        .existed = result.existed,
                        .pubkey = result.pubkey,
                        .key = result.key};
    (void)snprintf(key.path, sizeof key.path, "/keys/%u.yaml", n);
    return key;
}

int core_room_load_door(struct core_room *room)
{
    int door[2];
    assert_int_equal(door_pair(door).code, 0);
    assert_int_equal(
        control_send(room->control, CONTROL_DOOR_LOAD, ++room->load_life, 0, door[1]).code, 0);
    (void)close(door[1]);
    /* Left unread it would take what is sent with it, when this end is closed. */
    struct door_message *begin = calloc(1, sizeof *begin);
    assert_non_null(begin);
    assert_int_equal(door_receive(door[0], room->load_life, door_load_to_loader, begin).code, 0);
    free(begin);
    return door[0];
}

void core_room_load_key(struct core_room *room, int door, const struct l_key *key)
{
    assert_int_equal(door_send(door, room->load_life, L_KEYS, key, sizeof *key, 1).code, 0);
}

void core_room_load_done(
    struct core_room *room, int door, bool scanned, bool complete, unsigned failed)
{
    const struct l_done done = {.failed = failed, .complete = complete, .scanned = scanned};
    assert_int_equal(door_send(door, room->load_life, L_DONE, &done, sizeof done, 1).code, 0);
}

void core_room_load(struct core_room *room, unsigned keys)
{
    (void)core_room_expect(room, CONTROL_WANT_LOADER);
    int door = core_room_load_door(room);
    core_room_load_done(room, door, true, true, 0);
    for (unsigned n = 1; n <= keys; n++) {
        const struct l_key key = core_room_vault_key(room, n);
        core_room_load_key(room, door, &key);
    }
    core_room_load_done(room, door, false, true, 0);
    (void)close(door);
}

/* --- requests --------------------------------------------------------------------------------------------- */

static void fill(void *bytes, size_t len, uint8_t value)
{
    memset(bytes, value, len);
}

static const struct eth_network *sepolia(void)
{
    static struct eth_network network;
    assert_int_equal(network_load("sepolia", &network).code, 0);
    return &network;
}

static struct a_sign request_of(unsigned n, enum eth_kind kind, uint64_t epoch)
{
    static uint64_t next_id;
    const struct eth_network *network = sepolia();
    struct a_sign item = {.id = ++next_id};
    struct sign_request *request = &item.request;
    request->pubkey = test_pubkey(n);
    request->kind = kind;
    request->flags = SIGN_HAS_FORK_INFO;
    request->epoch = epoch;
    request->fork_info.fork.previous_version = network->forks[FORK_DENEB].version;
    request->fork_info.fork.current_version = network->forks[FORK_ELECTRA].version;
    request->fork_info.fork.epoch = network->forks[FORK_ELECTRA].epoch;
    request->fork_info.genesis_validators_root = network->genesis_validators_root;
    return item;
}

struct a_sign test_attestation(unsigned n, uint64_t source, uint64_t target, uint8_t variant)
{
    struct a_sign item = request_of(n, KIND_ATTESTATION, target);
    struct eth_attestation_data *data = &item.request.claim.attestation;
    data->slot = target * 32;
    data->source.epoch = source;
    data->target.epoch = target;
    fill(&data->beacon_block_root, sizeof data->beacon_block_root, variant);
    return item;
}

struct a_sign test_block(unsigned n, uint64_t slot, uint8_t variant)
{
    struct a_sign item = request_of(n, KIND_BLOCK_V2, slot / 32);
    item.request.claim.block.slot = slot;
    fill(&item.request.claim.block.body_root, sizeof(struct eth_root), variant);
    return item;
}

struct a_sign test_object(unsigned n, enum eth_kind kind, uint8_t variant)
{
    struct a_sign item = request_of(n, kind, 1000);
    fill(&item.request.object_root, sizeof item.request.object_root, variant);
    if (kind == KIND_VALIDATOR_REGISTRATION) { /* the core makes its root again */
        item.request.claim.fees.timestamp = variant;
        item.request.claim.fees.pubkey = item.request.pubkey;
        item.request.object_root = registration_root(&item.request);
    }
    return item;
}

cc_err core_room_try_sign(struct core_room *room,
                          const struct a_sign *request,
                          struct a_signed *ret_answer)
{
    struct door_message *message = calloc(1, sizeof *message);
    assert_non_null(message);
    cc_err err = door_send(room->front, room->front_life, A_SIGN, request, sizeof *request, 1);
    if (!err.code)
        err = door_receive(room->front, room->front_life, door_a_to_front, message);
    if (!err.code) {
        assert_int_equal(message->head.type, A_SIGNED);
        assert_int_equal(message->head.count, 1);
        memcpy(ret_answer, message->items, sizeof *ret_answer);
        assert_int_equal(ret_answer->id, request->id);
    }
    free(message);
    return err;
}

struct a_signed core_room_sign(struct core_room *room, const struct a_sign *request)
{
    struct a_signed answer = {0};
    assert_int_equal(core_room_try_sign(room, request, &answer).code, 0);
    return answer;
}

void core_room_ask(struct core_room *room,
                   enum a_question question,
                   struct door_message *ret_answer)
{
    const struct a_query query = {
        .id = 0xabcdef,
        .question = question,
        .caller = {.listener = LISTENER_ADMIN, .flags = CALLER_OWNER},
    };
    assert_int_equal(
        door_send(room->front, room->front_life, A_QUERY, &query, sizeof query, 1).code, 0);
    assert_int_equal(door_receive(room->front, room->front_life, door_a_to_front, ret_answer).code,
                     0);
    uint64_t id = 0;
    memcpy(&id, ret_answer->items, sizeof id);
    assert_int_equal(id, 0xabcdef);
}

struct a_health core_room_health(struct core_room *room)
{
    struct door_message *message = calloc(1, sizeof *message);
    struct a_health health;
    assert_non_null(message);
    core_room_ask(room, ASK_HEALTH, message);
    assert_int_equal(message->head.type, A_HEALTH);
    memcpy(&health, message->items, sizeof health);
    free(message);
    return health;
}

struct a_health core_room_await_health(struct core_room *room, bool ready)
{
    for (;;) {
        const struct a_health health = core_room_health(room);
        if (health.ready == ready && (!ready || health.keys_complete))
            return health;
        (void)usleep(2000);
    }
}

struct a_reload core_room_await_load(struct core_room *room)
{
    struct door_message *message = calloc(1, sizeof *message);
    struct a_reload reload;
    assert_non_null(message);
    do {
        core_room_ask(room, ASK_RELOAD_STATUS, message);
        assert_int_equal(message->head.type, A_RELOAD);
        memcpy(&reload, message->items, sizeof reload);
    } while (reload.state == RELOAD_ACTIVE);
    free(message);
    return reload;
}

/* --- the audit log ----------------------------------------------------------------------------------------------- */

static void log_path(const struct core_room *room, unsigned segment, char ret_path[static 128])
{
    (void)snprintf(ret_path, 128, "%s/audit/%08u.jsonl", room->directory, segment);
}

unsigned core_room_log_holds(struct core_room *room, const char *text)
{
    char path[128];
    unsigned count = 0;
    struct buf segment = buf_init(1 << 22);
    for (unsigned n = 1;; n++) {
        log_path(room, n, path);
        if (access(path, F_OK) != 0)
            break;
        segment.len = 0;
        assert_int_equal(file_read(path, &segment).code, 0);
        assert_int_equal(buf_append(&segment, "", 1).code, 0);
        for (const char *at = (const char *)segment.data; (at = strstr(at, text)); at++)
            count++;
    }
    buf_release(&segment);
    return count;
}

void core_room_ignore_file_size(void)
{
    (void)signal(SIGXFSZ, SIG_IGN);
}

static void limit_files(const struct core_room *room, rlim_t bytes)
{
    const struct rlimit limit = {bytes, RLIM_INFINITY};
    assert_int_equal(prlimit(room->pid, RLIMIT_FSIZE, &limit, NULL), 0);
}

void core_room_fill_log(struct core_room *room)
{
    char path[128];
    struct stat st;
    log_path(room, 1, path);
    assert_int_equal(stat(path, &st), 0);
    limit_files(room, (rlim_t)st.st_size + 20);
}

void core_room_empty_log(struct core_room *room)
{
    limit_files(room, RLIM_INFINITY);
}
