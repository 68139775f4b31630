#include "support/vault_room.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/sandbox.h"
#include "support/age_tool.h"
#include "support/test.h"
#include "vault/chamber_key.h"
#include "vault/vault.h"

static cc_err no_lock(enum room room)
{
    (void)room;
    return CC_OK;
}

/* A process of its own gets the real sandbox: what the vault does under it is what it may do. */
static cc_err run(struct vault_room *room)
{
    const struct room_context context = {room->config, room->room_control,
                                         room->in_thread ? no_lock : sandbox_lock};
    return vault_main(&context);
}

/* The descriptors that the sandbox expects; no log. */
static void become_room(struct vault_room *room)
{
    if (dup2(room->room_control, ROOM_FD_CONTROL) != ROOM_FD_CONTROL)
        _exit(99);
    room->room_control = ROOM_FD_CONTROL;
    log_init(open("/dev/null", O_WRONLY | O_CLOEXEC), false, LOG_LEVEL_ERROR);
}

static void *run_thread(void *argument)
{
    struct vault_room *room = argument;
    room->result = run(room);
    (void)close(room->room_control);
    return NULL;
}

static void send_with_fd(struct vault_room *room, uint32_t type, uint32_t life, int fd)
{
    assert_int_equal(control_send(room->control, type, life, 0, fd).code, 0);
}

static int put_door(struct vault_room *room, uint32_t type, uint32_t life)
{
    int fds[2];
    assert_int_equal(door_pair(fds).code, 0);
    send_with_fd(room, type, life, fds[1]);
    (void)close(fds[1]);
    return fds[0];
}

void vault_room_next_core(struct vault_room *room)
{
    if (room->core >= 0)
        (void)close(room->core);
    room->core = put_door(room, CONTROL_DOOR_VAULT, ++room->core_life);
    if (room->documents >= 0)
        (void)close(room->documents);
    if (room->config->tee.platform == TEE_NITRO)
        room->documents = put_door(room, CONTROL_DOOR_DOCUMENTS, room->core_life);
}

void vault_room_next_loader(struct vault_room *room)
{
    if (room->loader >= 0)
        (void)close(room->loader);
    room->loader = put_door(room, CONTROL_DOOR_KEY, ++room->loader_life);
}

static void room_init(struct vault_room *room, bool in_thread)
{
    *room = (struct vault_room){.core = -1, .loader = -1, .documents = -1, .in_thread = in_thread};
    room->config = calloc(1, sizeof *room->config);
    assert_non_null(room->config);
    config_defaults(room->config);
}

/* `nsm` -1: none. */
static void start_with(struct vault_room *room,
                       const struct test_chamber *chamber,
                       enum room_mode mode,
                       int nsm)
{
    int line[2];
    int key = -1;
    assert_int_equal(control_pair(line).code, 0);
    room->control = line[0];
    room->room_control = line[1];
    if (room->in_thread) {
        log_set_level(LOG_LEVEL_ERROR);
        assert_int_equal(pthread_create(&room->thread, NULL, run_thread, room), 0);
    } else {
        (void)fflush(NULL);
        room->pid = fork();
        assert_true(room->pid >= 0);
        if (room->pid == 0) {
            (void)close(line[0]);
            become_room(room);
            int code = run(room).code;
            free(room->config);
            exit(code);
        }
        (void)close(line[1]);
    }
    assert_int_equal(chamber_key_open(chamber->key_path, &key).code, 0);
    send_with_fd(room, CONTROL_CHAMBER_KEY, 0, key);
    (void)close(key);
    if (nsm >= 0)
        send_with_fd(room, CONTROL_NSM, 0, nsm);
    vault_room_next_core(room);
    vault_room_next_loader(room);
    assert_int_equal(control_send(room->control, CONTROL_START, 0, mode, -1).code, 0);
    struct control message;
    int fd = -1;
    assert_int_equal(control_receive(room->control, &message, &fd).code, 0);
    assert_int_equal(message.type, CONTROL_READY);
}

static void
room_start(struct vault_room *room, const struct test_chamber *chamber, enum room_mode mode)
{
    start_with(room, chamber, mode, -1);
}

void vault_room_start_enclave(struct vault_room *room,
                              const struct test_chamber *chamber,
                              enum room_mode mode,
                              int nsm,
                              const uint8_t core_digest[static 32])
{
    room_init(room, false);
    room->config->signing.concurrency = 2;
    room->config->tee.platform = TEE_NITRO;
    memcpy(room->config->core_digest, core_digest, sizeof room->config->core_digest);
    start_with(room, chamber, mode, nsm);
}

void vault_room_start(struct vault_room *room,
                      const struct test_chamber *chamber,
                      enum room_mode mode,
                      bool in_thread)
{
    room_init(room, in_thread);
    /* More than malloc() makes arenas for without asking how many processors there are. */
    room->config->signing.concurrency = 12;
    room_start(room, chamber, mode);
}

void vault_room_start_engine(struct vault_room *room,
                             const struct test_chamber *chamber,
                             enum signing_engine engine)
{
    room_init(room, false);
    room->config->signing.concurrency = 2;
    room->config->signing.engine = engine;
    room_start(room, chamber, ROOM_MODE_SERVE);
}

void vault_room_start_ceremony(struct vault_room *room, const struct test_chamber *chamber)
{
    room_init(room, false);
    room->config->signing.concurrency = 2;
    room->config->signer_state.seal = SEAL_BEGINS_BY_CEREMONY;
    room_start(room, chamber, ROOM_MODE_SERVE);
}

void vault_room_start_by_image(struct vault_room *room, const struct test_chamber *chamber)
{
    room_init(room, false);
    room->config->signing.concurrency = 2;
    room->config->signer_state.seal = SEAL_BEGINS_BY_CEREMONY;
    room->config->signer_state.auto_unseal = true;
    room_start(room, chamber, ROOM_MODE_SERVE);
}

bool test_contains(const void *haystack, size_t len, const uint8_t needle[static 32])
{
    uint8_t reversed[32];
    for (size_t i = 0; i < 32; i++)
        reversed[i] = needle[31 - i];
    /* Half of it would be bad enough. */
    return memmem(haystack, len, needle, 16) || memmem(haystack, len, needle + 16, 16) ||
           memmem(haystack, len, reversed, 16) || memmem(haystack, len, reversed + 16, 16);
}

bool vault_room_holds(const struct vault_room *room, const uint8_t needle[static 32])
{
    char path[64];
    char line[512];
    bool found = false;
    (void)snprintf(path, sizeof path, "/proc/%d/mem", (int)room->pid);
    int memory = open(path, O_RDONLY | O_CLOEXEC);
    (void)snprintf(path, sizeof path, "/proc/%d/maps", (int)room->pid);
    FILE *maps = fopen(path, "re");
    assert_true(memory >= 0 && maps);
    while (fgets(line, sizeof line, maps)) {
        unsigned long begin;
        unsigned long end;
        char flags[5];
        if (sscanf(line, "%lx-%lx %4s", &begin, &end, flags) != 3 || strncmp(flags, "rw", 2) != 0 ||
            end - begin > (256ul << 20))
            continue;
        uint8_t *content = malloc(end - begin);
        assert_non_null(content);
        ssize_t n = pread(memory, content, end - begin, (off_t)begin);
        found = found || (n > 0 && test_contains(content, (size_t)n, needle));
        free(content);
    }
    (void)fclose(maps);
    (void)close(memory);
    return found;
}

void vault_room_start_generate(struct vault_room *room, const struct test_chamber *chamber)
{
    room_init(room, false);
    room->config->signing.concurrency = 2;
    struct generate_backup_config *backup = &room->config->chamber_keys.generate_backup;
    backup->enabled = true;
    backup->recipients.count = 2;
    (void)snprintf(backup->recipients.items[0], CONFIG_TEXT_MAX, "%s", AGE_TOOL_RECIPIENT);
    (void)snprintf(backup->recipients.items[1], CONFIG_TEXT_MAX, "%s", AGE_TOOL_SSH_RECIPIENT);
    room_start(room, chamber, ROOM_MODE_SERVE);
}

int vault_room_stop(struct vault_room *room)
{
    int status = 0;
    (void)close(room->control);
    if (!room->in_thread) {
        assert_int_equal(waitpid(room->pid, &status, 0), room->pid);
    } else {
        assert_int_equal(pthread_join(room->thread, NULL), 0);
        status = room->result.code;
    }
    if (room->core >= 0)
        (void)close(room->core);
    if (room->loader >= 0)
        (void)close(room->loader);
    if (room->documents >= 0)
        (void)close(room->documents);
    free(room->config);
    return status;
}

cc_err core_ask(struct vault_room *room,
                uint16_t type,
                const void *items,
                size_t item_size,
                size_t count,
                struct door_message *ret_answer)
{
    CC_TRY(door_send(room->core, room->core_life, type, items, item_size, count));
    return door_receive(room->core, room->core_life, door_b_to_core, ret_answer);
}

cc_err loader_ask(struct vault_room *room,
                  uint16_t type,
                  const void *items,
                  size_t item_size,
                  size_t count,
                  struct door_message *ret_answer)
{
    CC_TRY(door_send(room->loader, room->loader_life, type, items, item_size, count));
    return door_receive(room->loader, room->loader_life, door_key_to_loader, ret_answer);
}

struct k_result loader_add_raw(struct vault_room *room, const uint8_t secret[static 32])
{
    struct door_message *answer = calloc(1, sizeof *answer);
    struct k_raw raw = {.id = 7};
    struct k_result result;
    assert_non_null(answer);
    memcpy(raw.secret, secret, sizeof raw.secret);
    assert_int_equal(loader_ask(room, K_RAW, &raw, sizeof raw, 1, answer).code, 0);
    memcpy(&result, answer->items, sizeof result);
    free(answer);
    assert_int_equal(result.id, 7);
    assert_int_equal(result.error, 0);
    return result;
}

void vault_room_open_root(struct vault_room *room, const struct test_chamber *chamber)
{
    struct door_message *answer = calloc(1, sizeof *answer);
    assert_non_null(answer);
    assert_int_equal(
        core_ask(room, B_OPEN, &chamber->stored, sizeof chamber->stored, 1, answer).code, 0);
    assert_int_equal(((struct b_chamber *)(void *)answer->items)->error, 0);
    free(answer);
}

static void open_set(struct vault_room *room, const struct test_chamber *chamber)
{
    struct door_message *answer = calloc(1, sizeof *answer);
    struct b_set *question = calloc(1, sizeof *question);
    const struct b_seal_state *state = (const void *)answer->items;
    assert_non_null(answer);
    assert_non_null(question);
    question->which = B_SET_PRESENT;
    question->set = chamber->set;
    assert_int_equal(core_ask(room, B_SET_OPEN, question, sizeof *question, 1, answer).code, 0);
    assert_int_equal(state->error, 0);
    assert_int_equal(state->open, 1);
    free(question);
    free(answer);
}

void vault_room_greet(struct vault_room *room, const struct test_chamber *chamber)
{
    struct door_message *answer = calloc(1, sizeof *answer);
    assert_non_null(answer);
    vault_room_open_root(room, chamber);
    open_set(room, chamber);
    assert_int_equal(
        core_ask(room, B_HELLO, &chamber->hello, sizeof chamber->hello, 1, answer).code, 0);
    assert_int_equal(((struct b_answer *)(void *)answer->items)->error, 0);
    free(answer);
}

static void make_set(struct vault_room *room, struct test_chamber *chamber)
{
    struct door_message *answer = calloc(1, sizeof *answer);
    struct b_set_make make = {.proposal = {.mode = SEAL_LOCAL, .generation = 1}};
    const struct b_set *made = (const void *)answer->items;
    assert_non_null(answer);
    memcpy(make.proposal.chamber_id, chamber->stored.chamber_id, 32);
    assert_int_equal(core_ask(room, B_SET_MAKE, &make, sizeof make, 1, answer).code, 0);
    assert_int_equal(made->error, 0);
    assert_int_equal(made->which, B_SET_PRESENT);
    chamber->set = made->set;
    free(answer);
}

void test_chamber_make(struct test_chamber *chamber)
{
    struct door_message *answer = calloc(1, sizeof *answer);
    struct vault_room room;
    const struct b_create create = {1};
    assert_non_null(answer);
    *chamber = (struct test_chamber){.directory = "/tmp/cc-test-vault-XXXXXX"};
    assert_non_null(mkdtemp(chamber->directory));
    (void)snprintf(chamber->key_path, sizeof chamber->key_path, "%s/chamber.key",
                   chamber->directory);
    assert_int_equal(chamber_key_create(chamber->key_path).code, 0);
    vault_room_start(&room, chamber, ROOM_MODE_INIT, false);
    assert_int_equal(core_ask(&room, B_CREATE, &create, sizeof create, 1, answer).code, 0);
    memcpy(&chamber->stored, answer->items, sizeof chamber->stored);
    assert_int_equal(chamber->stored.error, 0);

    struct b_digest digest = {.id = 2, .purpose = B_PURPOSE_HISTORY};
    memset(digest.digest, 0x77, sizeof digest.digest);
    assert_int_equal(core_ask(&room, B_DIGEST, &digest, sizeof digest, 1, answer).code, 0);
    const struct b_proof *proof = (const void *)answer->items;
    assert_int_equal(proof->error, 0);
    assert_int_equal(proof->len, 32);
    memcpy(chamber->hello.history_id, digest.digest, sizeof digest.digest);
    memcpy(chamber->hello.proof, proof->bytes, sizeof chamber->hello.proof);
    make_set(&room, chamber);
    assert_int_equal(vault_room_stop(&room), 0);
    free(answer);
}

void test_chamber_remove(struct test_chamber *chamber)
{
    (void)unlink(chamber->key_path);
    (void)rmdir(chamber->directory);
}
