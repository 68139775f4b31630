/* System calls after room->lock(), all threads:
 *
 *   read writev write        doors, log
 *   recvmsg sendmsg          control line, main thread (sendmsg also where a peer stalls)
 *   close shutdown           a door that has ended
 *   futex                    locks
 *   mmap munmap mprotect madvise brk    malloc; scrypt maps up to 512 MiB
 *   getrandom                nonces, glibc
 *   clock_gettime gettimeofday          where the vDSO falls back
 *   rt_sigreturn rt_sigprocmask sched_yield restart_syscall
 *   exit exit_group          end of threads, of the process
 *   rt_sigaction tgkill getpid gettid   abort() of a failed assertion
 *
 *   ioctl (one number)       in an enclave: its security module
 *
 * No open, no socket, no clone, no exec: all threads run and every library has loaded before it.
 */
#include "vault/vault.h"

#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/machine.h"
#include "base/num.h"

#include "crypto/self_test.h"
#include "secret/harden.h"
#include "vault/auto_unseal.h"
#include "vault/document_door.h"
#include "vault/threads.h"

enum {
    THREADS_MAX = 256
};

/* Half of the memory, so that decryption at start does not push out what else runs here. */
static size_t keystore_memory(void)
{
    return (size_t)(machine_memory() / 2);
}

static struct threads_plan
plan_of(const struct config *config, int control_fd, struct engine *engine, struct vault *vault)
{
    uint64_t signers = config->signing.concurrency;
    /* One per processor, which raw keys need; what scrypt may take at a time is the gate's matter. */
    uint64_t openers =
        u64_min(config->key_sources.filesystem.keystore_load_concurrency, machine_processors());
    return (struct threads_plan){
        .signers = (uint32_t)u64_min(signers ? signers : machine_processors(), THREADS_MAX),
        .openers = (uint32_t)u64_min(u64_max(openers, 1), THREADS_MAX),
        .control_fd = control_fd,
        .engine = engine,
        .vault = vault,
        .documents = config->tee.platform == TEE_NITRO,
    };
}

/* Threads use it from CONTROL_START on: another one is none of the supervisor's. */
static cc_err take_nsm(struct vault *vault, int fd)
{
    cc_err err = fd < 0 || vault->nsm
                     ? CC_FAIL(PROTOCOL, "one security module, with its descriptor")
                     : nsm_adopt(fd, &vault->nsm);
    if (err.code && fd >= 0)
        (void)close(fd);
    return err;
}

/* What a message of the supervisor means, before and after CONTROL_START. A descriptor that is not taken over is
 * closed.
 */
static cc_err
obey(struct vault *vault, struct threads *threads, const struct control *message, int fd)
{
    switch ((enum control_type)message->type) {
    case CONTROL_DOOR_VAULT:
        if (fd < 0)
            return CC_FAIL(PROTOCOL, "a door without its descriptor");
        return port_put(threads_core_port(threads), fd, message->life);
    case CONTROL_DOOR_KEY:
        if (fd < 0)
            return CC_FAIL(PROTOCOL, "a door without its descriptor");
        return port_put(threads_key_port(threads), fd, message->life);
    case CONTROL_DOOR_DOCUMENTS:
        if (fd < 0)
            return CC_FAIL(PROTOCOL, "a door without its descriptor");
        return port_put(threads_documents_port(threads), fd, message->life);
    case CONTROL_NSM:
        return take_nsm(vault, fd);
    case CONTROL_CHAMBER_KEY:
        if (fd < 0)
            return CC_FAIL(PROTOCOL, "chamber.key without its descriptor");
        return chamber_take_key(vault->chamber, fd);
    case CONTROL_START:
        chamber_set_mode(vault->chamber, (enum room_mode)message->value);
        break;
    case CONTROL_ORDER:
    case CONTROL_LOG_LEVEL:
        log_set_level((enum log_level)message->value);
        break;
    case CONTROL_DOOR_FRONT:
    case CONTROL_DOOR_LOAD:
    case CONTROL_AWS_INPUTS:
    case CONTROL_TLS:
    case CONTROL_TLS_TAKEN:
    case CONTROL_LISTENER:
    case CONTROL_RELOAD:
    case CONTROL_DRAIN:
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
    return CC_OK;
}

static cc_err collect(const struct room_context *room, struct vault *vault, struct threads *threads)
{
    struct control message;
    do {
        int fd = -1;
        CC_TRY(control_receive(room->control_fd, &message, &fd));
        CC_TRY(obey(vault, threads, &message, fd));
    } while (message.type != CONTROL_START);
    if (room->config->tee.platform != TEE_NITRO)
        return CC_OK;
    return vault->nsm ? document_door_look(vault)
                      : CC_FAIL(PROTOCOL, "started without the enclave's security module");
}

/* Until the supervisor closes the line or ends: then the vault ends too, and wipes. What one message asks for may fail
 * without ending the vault: the keys are worth more than one door.
 */
static cc_err serve(const struct room_context *room, struct vault *vault, struct threads *threads)
{
    for (;;) {
        struct control message;
        int fd = -1;
        cc_err err = control_receive(room->control_fd, &message, &fd);
        if (error_is(err, ERROR_DOOR_CLOSED))
            return CC_OK;
        if (!err.code)
            err = obey(vault, threads, &message, fd);
        if (err.code)
            log_error("control message not obeyed", KV_NUM("type", message.type), KV_ERR(err));
    }
}

static uint64_t key_slots(const struct vault *vault)
{
    return u64_min(arena_capacity(vault->arena) - VAULT_OTHER_SECRETS, VAULT_KEYS_MAX);
}

static cc_err run(const struct room_context *room, struct vault *vault, struct threads *threads)
{
    CC_TRY(threads_start(threads));
    CC_TRY(collect(room, vault, threads));
    CC_TRY(room->lock(ROOM_VAULT));
    port_open(threads_core_port(threads));
    port_open(threads_key_port(threads));
    port_open(threads_documents_port(threads));
    const bool hidden = secret_is_kernel_secret();
    log_info("vault ready", KV_NUM("key_slots", key_slots(vault)),
             KV_STR("memory", hidden ? "memfd_secret" : "locked"));
    if (!hidden)
        log_warn("the keys lie in memory that root can read: memfd_secret can't be had",
                 KV_STR("hint", "secretmem.enable=1 on the kernel's command line"));
    CC_TRY(control_send(room->control_fd, CONTROL_READY, 0, 0, -1));
    return serve(room, vault, threads);
}

/* The vault's own configuration says so, not the core: a captured core can't switch the floors off. */
static bool promises_nothing(const struct anti_slashing_config *config)
{
    if (config->backend != HISTORY_NOOP || !config->i_accept_slashing_risk)
        return false;
    log_warn("anti_slashing.backend is noop: the vault's floors are off");
    return true;
}

/* Whom words are encrypted to is the vault's own configuration too, not the core's word. */
static cc_err take_recipients(const struct generate_backup_config *config,
                              struct generator *generator)
{
    struct age_recipient recipients[CONFIG_LIST_MAX];
    if (!config->enabled)
        return CC_OK;
    for (uint32_t i = 0; i < config->recipients.count; i++)
        CC_TRY(age_recipient_parse(span_str(config->recipients.items[i]), &recipients[i]));
    generator_set_recipients(generator, recipients, config->recipients.count);
    return CC_OK;
}

static void raise_memlock(const struct threads_plan *plan)
{
    harden_raise_memlock(VAULT_LOCKED_MAX + threads_locked_memory(plan) + 2 * sets_locked_memory());
}

CC_ERR vault_try_memory(const struct config *config, uint64_t *ret_key_slots)
{
    struct vault vault;
    void *region = NULL;
    const struct threads_plan plan = plan_of(config, -1, NULL, NULL);
    const size_t size = threads_locked_memory(&plan);
    raise_memlock(&plan);
    CC_TRY(secret_map(size, &region));
    cc_err err = vault_open(config->key_sources.expected_keys, keystore_memory(), NULL, &vault);
    if (!err.code) {
        *ret_key_slots = key_slots(&vault);
        vault_close(&vault);
    }
    secret_unmap(region, size);
    return err;
}

static cc_err open_and_run(const struct room_context *room, struct engine *engine)
{
    struct vault vault;
    struct threads *threads = NULL;
    const struct threads_plan plan = plan_of(room->config, room->control_fd, engine, &vault);
    raise_memlock(&plan);
    CC_TRY(threads_new(&plan, &threads));
    cc_err err =
        vault_open(room->config->key_sources.expected_keys, keystore_memory(), engine, &vault);
    if (err.code) {
        threads_stop(threads);
        return err;
    }
    vault.root_config = &room->config->tee.root;
    memcpy(vault.config_digest, room->config->core_digest, sizeof vault.config_digest);
    if (promises_nothing(&room->config->anti_slashing))
        key_table_drop_floors(vault.keys);
    if (room->config->signer_state.seal == SEAL_BEGINS_BY_CEREMONY)
        sets_allow_ceremony(vault.sets);
    if (room->config->signer_state.auto_unseal)
        auto_unseal_allow(vault.sets);
    err = take_recipients(&room->config->chamber_keys.generate_backup, vault.generator);
    if (!err.code && room->config->tee.platform == TEE_NITRO)
        err = recipient_new(&vault.recipient);
    if (!err.code)
        err = run(room, &vault, threads);
    /* No thread may use what is wiped. */
    threads_stop(threads);
    vault_close(&vault);
    return err;
}

CC_ERR vault_main(const struct room_context *room)
{
    struct engine *engine = NULL;
    CC_TRY(crypto_self_test());
    CC_TRY(engine_new(room->config->signing.engine, &engine));
    cc_err err = open_and_run(room, engine);
    engine_free(engine);
    return err;
}
