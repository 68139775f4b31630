#include "core/stores.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"

#include "codec/hex.h"
#include "crypto/random.h"
#include "slash/postgres.h"

static const char restore_hint[] =
    "restore it from its backup; or move the data directory away, run `containment-chamber init`, and load an EIP-3076 "
    "export of these keys with `containment-chamber slashing import` BEFORE signing";

struct paths {
    char pin[PATH_MAX];
    char state[PATH_MAX];
    char seen[PATH_MAX];
    char history[PATH_MAX];
};

static cc_err in_directory(const char *directory, const char *name, char ret_path[static PATH_MAX])
{
    int n = snprintf(ret_path, PATH_MAX, "%s/%s", directory, name);
    return n > 0 && n < PATH_MAX ? CC_OK : CC_FAIL(LIMIT, "path too long");
}

/* For people: no password, and no path of a file. */
static cc_err describe_database(const char *url, char ret_path[static PATH_MAX])
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(PATH_MAX);
    CC_TRY(slash_postgres_url_describe(url, &text));
    (void)snprintf(ret_path, PATH_MAX, "%.*s", (int)text.len, (const char *)text.data);
    return CC_OK;
}

static cc_err find_paths(const struct config *config, struct paths *ret_paths)
{
    const char *history = config->anti_slashing.path;
    CC_TRY(in_directory(config->data_dir, "identity.pub", ret_paths->pin));
    CC_TRY(in_directory(config->data_dir, "state.sqlite", ret_paths->state));
    CC_TRY(in_directory(config->data_dir, "state.seen", ret_paths->seen));
    if (config->anti_slashing.backend == HISTORY_POSTGRES)
        return describe_database(config->anti_slashing.url, ret_paths->history);
    if (!history[0])
        return in_directory(config->data_dir, "history.sqlite", ret_paths->history);
    (void)snprintf(ret_paths->history, PATH_MAX, "%s", history);
    return CC_OK;
}

/* What the vault is shown of a history. */
static void history_digest(const uint8_t history_id[static 32],
                           const uint8_t chamber_id[static 32],
                           uint8_t ret_digest[static 32])
{
    static const char title[] = "containment-chamber/history/v1"; /* with its zero */
    uint8_t message[sizeof title + 64];
    memcpy(message, title, sizeof title);
    memcpy(message + sizeof title, history_id, 32);
    memcpy(message + sizeof title + 32, chamber_id, 32);
    sha256(span_of(message, sizeof message), ret_digest);
}

/* --- configuration ------------------------------------------------------------------------------------- */

static cc_err apply_overrides(const struct config_text_list *overrides, struct eth_network *network)
{
    for (uint32_t i = 0; i < overrides->count && i < CONFIG_LIST_MAX; i++)
        CC_TRY(network_override_line(network, overrides->items[i]));
    return network_check(network);
}

static cc_err load_network(const struct network_config *config, struct stores *stores)
{
    struct eth_network *network = &stores->network;
    CC_TRY(network_load(config->network, network));
    CC_TRY(apply_overrides(&config->overrides, network));
    if (config->genesis_time)
        network->genesis_time = config->genesis_time;
    stores->has_genesis_validators_root = network->has_genesis_validators_root;
    stores->genesis_validators_root = network->genesis_validators_root;
    if (!config->genesis_validators_root[0])
        return CC_OK;
    struct eth_root root;
    CC_TRY(hex_decode(span_str(config->genesis_validators_root), root.bytes, sizeof root.bytes));
    if (network->has_genesis_validators_root &&
        !span_equal(span_of(&root, sizeof root),
                    span_of(&network->genesis_validators_root, sizeof root)))
        return CC_FAIL(CONFIG, "genesis_validators_root is not this network's");
    stores->has_genesis_validators_root = true;
    stores->genesis_validators_root = root;
    return CC_OK;
}

CC_ERR stores_load_config(const struct config *config, struct stores *stores)
{
    const char *unknown = NULL;
    cc_err err = load_network(&config->network, stores);
    if (err.code) {
        log_error("the network can't be loaded", KV_STR("network", config->network.network),
                  KV_ERR(err));
        return err;
    }
    err = policy_compile(&config->auth, &stores->policy, &unknown);
    if (err.code) {
        log_error("auth.open_operations names no operation", KV_STR("item", unknown), KV_ERR(err));
        return err;
    }
    if (config->anti_slashing.backend == HISTORY_NOOP &&
        !config->anti_slashing.i_accept_slashing_risk)
        return CC_FAIL(CONFIG, "anti_slashing.backend noop needs i_accept_slashing_risk: true");
    return config->anti_slashing.backend == HISTORY_POSTGRES
               ? slash_postgres_url_check(config->anti_slashing.url)
               : CC_OK;
}

/* --- init ---------------------------------------------------------------------------------------------- */

static cc_err must_not_exist(const char *path)
{
    struct stat st;
    if (lstat(path, &st) == 0) {
        log_error("init refused: there is something already", KV_STR("path", path));
        return CC_FAIL(EXISTS, "init never replaces anything");
    }
    return errno == ENOENT ? CC_OK : CC_FAIL(IO, "data directory");
}

static struct slash_identity identity_of(const struct stores *stores)
{
    const struct history_record *record = &stores->record;
    struct slash_identity identity = {
        .has_genesis_validators_root = record->has_genesis_validators_root,
        .genesis_validators_root = record->genesis_validators_root,
    };
    memcpy(identity.history_id, record->history_id, sizeof identity.history_id);
    memcpy(identity.chamber_id, stores->chamber.chamber_id, sizeof identity.chamber_id);
    memcpy(identity.proof, record->proof, sizeof identity.proof);
    return identity;
}

static cc_err make_in_database(const char *url, const struct slash_identity *identity)
{
    uint64_t adopted = 0;
    CC_TRY(slash_postgres_create(url, identity, &adopted));
    if (adopted)
        log_notice("the database had records already, and they are this chamber's history now",
                   KV_NUM("validators", adopted));
    return CC_OK;
}

static cc_err make_history(const struct config *config,
                           const char *path,
                           struct vault_call *vault,
                           struct stores *stores)
{
    uint8_t digest[32];
    struct history_record *record = &stores->record;
    CC_TRY(random_bytes(record->history_id, sizeof record->history_id));
    history_digest(record->history_id, stores->chamber.chamber_id, digest);
    CC_TRY(vault_call_prove_history(vault, digest, record->proof));
    record->has_genesis_validators_root = stores->has_genesis_validators_root;
    record->genesis_validators_root = stores->genesis_validators_root;
    const struct slash_identity identity = identity_of(stores);
    switch (config->anti_slashing.backend) {
    case HISTORY_SQLITE:
        return slash_sqlite_create(path, stores->network.production, &identity);
    case HISTORY_POSTGRES:
        return make_in_database(config->anti_slashing.url, &identity);
    case HISTORY_NOOP:
        break;
    }
    return CC_OK;
}

/* The state's records come last of all but the pin: a start without them is refused, so a half-made chamber never
 * serves.
 */
static cc_err make_state(const struct paths *paths, struct vault_call *vault, struct stores *stores)
{
    uint8_t chamber[CHAMBER_RECORD_SIZE];
    uint8_t history[HISTORY_RECORD_SIZE];
    struct state_pin pin;
    const struct state_signer signer = {vault_call_sign_head, vault};
    chamber_record_encode(&stores->chamber, chamber);
    history_record_encode(&stores->record, history);
    const struct state_change changes[] = {
        {"chamber", "local", 0, span_of(chamber, sizeof chamber)},
        {"history", "identity", 0, span_of(history, sizeof history)},
    };
    memcpy(pin.chamber_id, stores->chamber.chamber_id, sizeof pin.chamber_id);
    memcpy(pin.identity_public, stores->chamber.identity_public, sizeof pin.identity_public);
    CC_TRY(state_sqlite_create(paths->state));
    CC_TRY(state_sqlite_open(paths->state, &stores->state));
    CC_TRY(state_open_new(stores->state, &pin, paths->seen));
    CC_TRY(state_commit(stores->state, changes, ARRAY_LEN(changes), &signer));
    return pin_write(paths->pin, &pin);
}

CC_ERR stores_create(const struct config *config, struct vault_call *vault, struct stores *stores)
{
    struct paths paths;
    CC_TRY(find_paths(config, &paths));
    CC_TRY(must_not_exist(paths.pin));
    CC_TRY(must_not_exist(paths.state));
    CC_TRY(must_not_exist(paths.seen));
    if (config->anti_slashing.backend == HISTORY_SQLITE)
        CC_TRY(must_not_exist(paths.history));
    CC_TRY(vault_call_create(vault, &stores->chamber));
    CC_TRY(make_history(config, paths.history, vault, stores));
    cc_err err = make_state(&paths, vault, stores);
    /* Files are taken back by who made the directory; the database is known here alone. */
    if (err.code && config->anti_slashing.backend == HISTORY_POSTGRES) {
        const struct slash_identity identity = identity_of(stores);
        slash_postgres_forget(config->anti_slashing.url, &identity);
    }
    return err;
}

/* --- start --------------------------------------------------------------------------------------------- */

/* Nothing at all is not tampering: nobody has run `init` here. */
static cc_err check_made(const struct paths *paths)
{
    struct stat st;
    if (lstat(paths->pin, &st) == 0 || lstat(paths->state, &st) == 0 ||
        lstat(paths->seen, &st) == 0 || lstat(paths->history, &st) == 0)
        return CC_OK;
    log_error(
        "there is no chamber here: run `containment-chamber init` with this configuration first",
        KV_STR("path", paths->state));
    return CC_FAIL(CHAMBER_MISSING, NULL);
}

static cc_err open_state(const struct paths *paths, struct stores *stores)
{
    struct state_pin pin;
    struct state_fault fault = {0};
    cc_err err = pin_read(paths->pin, &pin);
    if (!err.code)
        err = state_sqlite_open(paths->state, &stores->state);
    if (!err.code)
        err = state_open(stores->state, &pin, paths->seen, &fault);
    if (err.code)
        log_error("the state store is refused", KV_STR("fault", fault.what),
                  KV_STR("kind", fault.kind), KV_STR("name", fault.name),
                  KV_STR("path", paths->state), KV_ERR(err),
                  KV_STR("hint", "restore the data directory from its backup"));
    return err;
}

static cc_err read_record(const struct stores *stores,
                          const char *kind,
                          const char *name,
                          const struct state_record **ret_record)
{
    *ret_record = state_find(stores->state, kind, name);
    return *ret_record ? CC_OK : CC_FAIL(TAMPERED, "a state record is not there");
}

static cc_err read_records(struct stores *stores)
{
    const struct state_record *record = NULL;
    CC_TRY(read_record(stores, "chamber", "local", &record));
    CC_TRY(chamber_record_decode(span_of(record->bytes, record->len), &stores->chamber));
    CC_TRY(read_record(stores, "history", "identity", &record));
    return history_record_decode(span_of(record->bytes, record->len), &stores->record);
}

static cc_err
open_backend(const struct config *config, const char *path, struct stores *stores, int *ret_holder)
{
    switch (config->anti_slashing.backend) {
    case HISTORY_SQLITE:
        return slash_sqlite_open(path, stores->network.production, &stores->history, ret_holder);
    case HISTORY_POSTGRES:
        return slash_postgres_open(config->anti_slashing.url, &stores->history);
    case HISTORY_NOOP:
        break;
    }
    const struct slash_identity identity = identity_of(stores);
    return slash_noop_open(&identity, &stores->history);
}

static cc_err open_history(const struct config *config, const char *path, struct stores *stores)
{
    int holder = 0;
    cc_err err = open_backend(config, path, stores, &holder);
    if (error_is(err, ERROR_LOCKED))
        log_error("the history is in use by another process", KV_STR("path", path),
                  KV_NUM("pid", holder));
    else if (error_class(err) == CLASS_UNAVAILABLE)
        log_error("the history can't be opened now", KV_STR("path", path), KV_ERR(err));
    else if (err.code)
        log_error("the history can't be opened", KV_STR("path", path), KV_ERR(err),
                  KV_STR("hint", restore_hint));
    return err;
}

/* P3: an emptied or swapped history has another id, or another chamber's. */
static cc_err check_identity(const struct stores *stores, const char *path)
{
    const struct slash_identity *found = &stores->history->identity;
    bool same_history =
        span_equal(span_of(found->history_id, 32), span_of(stores->record.history_id, 32));
    bool same_chamber =
        span_equal(span_of(found->chamber_id, 32), span_of(stores->chamber.chamber_id, 32));
    if (same_history && same_chamber)
        return CC_OK;
    log_error("this is not the history that belongs to this chamber: it was emptied or swapped",
              KV_STR("path", path), KV_STR("differs", same_chamber ? "history" : "chamber"),
              KV_STR("hint", restore_hint));
    return CC_FAIL(IDENTITY, "the history is another one");
}

static cc_err same_root(const struct eth_root *a, const struct eth_root *b, const char *detail)
{
    return span_equal(span_of(a, sizeof *a), span_of(b, sizeof *b)) ? CC_OK
                                                                    : CC_FAIL(IDENTITY, detail);
}

/* A root once known anywhere is fixed everywhere; two different ones stop the start. */
static cc_err settle_genesis(struct stores *stores)
{
    const struct slash_identity *found = &stores->history->identity;
    struct history_record *record = &stores->record;
    if (!stores->has_genesis_validators_root && record->has_genesis_validators_root) {
        stores->has_genesis_validators_root = true;
        stores->genesis_validators_root = record->genesis_validators_root;
    }
    if (!stores->has_genesis_validators_root && found->has_genesis_validators_root) {
        stores->has_genesis_validators_root = true;
        stores->genesis_validators_root = found->genesis_validators_root;
    }
    if (!stores->has_genesis_validators_root)
        return CC_OK;
    if (record->has_genesis_validators_root)
        CC_TRY(same_root(&record->genesis_validators_root, &stores->genesis_validators_root,
                         "the chamber was made for another network"));
    if (found->has_genesis_validators_root)
        return same_root(&found->genesis_validators_root, &stores->genesis_validators_root,
                         "the history is another network's");
    return slash_fix_genesis(stores->history, &stores->genesis_validators_root);
}

static cc_err remember_genesis(struct vault_call *vault, struct stores *stores)
{
    uint8_t bytes[HISTORY_RECORD_SIZE];
    const struct state_signer signer = {vault_call_sign_head, vault};
    if (!stores->has_genesis_validators_root || stores->record.has_genesis_validators_root)
        return CC_OK;
    stores->record.has_genesis_validators_root = true;
    stores->record.genesis_validators_root = stores->genesis_validators_root;
    history_record_encode(&stores->record, bytes);
    const struct state_change change = {"history", "identity",
                                        state_find(stores->state, "history", "identity")->version,
                                        span_of(bytes, sizeof bytes)};
    return state_commit(stores->state, &change, 1, &signer);
}

static cc_err greet(struct vault_call *vault, const struct stores *stores)
{
    uint8_t digest[32];
    const struct slash_identity *found = &stores->history->identity;
    history_digest(found->history_id, found->chamber_id, digest);
    cc_err err = vault_call_hello(vault, digest, found->proof);
    if (err.code)
        log_error("the vault refuses the history", KV_ERR(err), KV_STR("hint", restore_hint));
    return err;
}

CC_ERR stores_open(const struct config *config, struct vault_call *vault, struct stores *stores)
{
    struct paths paths;
    struct slash_status status = {0};
    CC_TRY(find_paths(config, &paths));
    CC_TRY(check_made(&paths));
    CC_TRY(open_state(&paths, stores));
    CC_TRY(read_records(stores));
    cc_err err = vault_call_open(vault, &stores->chamber);
    if (err.code) {
        log_error("the vault can't open the chamber", KV_ERR(err));
        return err;
    }
    CC_TRY(open_history(config, paths.history, stores));
    CC_TRY(check_identity(stores, paths.history));
    err = settle_genesis(stores);
    if (err.code) {
        log_error("genesis_validators_root does not fit", KV_STR("network", stores->network.name),
                  KV_ERR(err));
        return err;
    }
    CC_TRY(remember_genesis(vault, stores));
    CC_TRY(slash_status(stores->history, &status));
    stores->high = status.high;
    return greet(vault, stores);
}

void stores_close(struct stores *stores)
{
    if (stores->history)
        slash_store_close(stores->history);
    state_store_close(stores->state);
    stores->history = NULL;
    stores->state = NULL;
}
