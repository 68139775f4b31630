#include "core/stores.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"

#include "codec/hex.h"
#include "config/databases.h"
#include "core/first_set.h"
#include "core/history_guard.h"
#include "core/seal_latch.h"
#include "core/state_backend.h"
#include "crypto/random.h"
#include "seal/enclave_root_record.h"
#include "seal/record.h"
#include "slash/dynamodb.h"
#include "slash/postgres.h"
#include "sql/postgres_url.h"

static const char restore_hint[] =
    "restore it from its backup; or move the data directory away, run `containment-chamber init`, and load an EIP-3076 "
    "export of these keys with `containment-chamber slashing import` BEFORE signing";

enum {
    COMMIT_TRIES = 8 /* while other replicas commit */
};

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
    CC_TRY(postgres_url_describe(url, &text));
    (void)snprintf(ret_path, PATH_MAX, "%.*s", (int)text.len, (const char *)text.data);
    return CC_OK;
}

static cc_err find_paths(const struct config *config, struct paths *ret_paths)
{
    const char *history = config->anti_slashing.path;
    CC_TRY(in_directory(config->data_dir, "identity.pub", ret_paths->pin));
    CC_TRY(state_backend_describe(config, ret_paths->state, sizeof ret_paths->state));
    CC_TRY(in_directory(config->data_dir, "state.seen", ret_paths->seen));
    if (config->anti_slashing.backend == HISTORY_POSTGRES)
        return describe_database(config->anti_slashing.url, ret_paths->history);
    if (config->anti_slashing.backend == HISTORY_DYNAMODB) {
        (void)snprintf(ret_paths->history, PATH_MAX, "DynamoDB table %s",
                       config->anti_slashing.table);
        return CC_OK;
    }
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

/* T11. Test networks may talk to a database as they like. */
static cc_err check_databases(const struct config *config)
{
    struct config_database databases[CONFIG_DATABASES];
    const bool strict = config->tee.platform == TEE_NITRO && config_is_about_money(config);
    for (size_t i = config_databases(config, databases); i-- > 0;) {
        const char *url = databases[i].url;
        cc_err err = strict ? postgres_url_check_enclave(url) : postgres_url_check(url);
        const char *why = error_detail();
        if (err.code)
            log_error("the URL of a database is refused", KV_STR("option", databases[i].option),
                      KV_STR("why", why));
        if (err.code)
            return error_make((enum error_code)err.code, why, __FILE__, __LINE__);
    }
    return CC_OK;
}

CC_ERR stores_load_config(const struct config *config, struct stores *stores)
{
    cc_err err = load_network(&config->network, stores);
    if (err.code) {
        log_error("the network can't be loaded", KV_STR("network", config->network.network),
                  KV_ERR(err));
        return err;
    }
    if (config->anti_slashing.backend == HISTORY_NOOP &&
        !config->anti_slashing.i_accept_slashing_risk)
        return CC_FAIL(CONFIG, "anti_slashing.backend noop needs i_accept_slashing_risk: true");
    return check_databases(config);
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

/* T11. In an enclave the role, which its parent has as well, may not be let near the tables. */
static struct aws_session *tables_session(const struct stores *stores)
{
    return stores->tables_own ? stores->tables_own : stores->aws;
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

static cc_err make_in_database(const struct config *config, const struct slash_identity *identity)
{
    const char *url = config->anti_slashing.url;
    uint64_t adopted = 0;
    if (!config->anti_slashing.auto_migrate)
        CC_TRY(slash_postgres_has_tables(url));
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
        return make_in_database(config, &identity);
    case HISTORY_DYNAMODB:
        return slash_dynamodb_create(tables_session(stores), config->anti_slashing.table,
                                     &identity);
    case HISTORY_NOOP:
        break;
    }
    return CC_OK;
}

/* --- the key store ------------------------------------------------------------------------------------ */

CC_ERR stores_key_settings(const struct config *config,
                           const struct stores *stores,
                           enum key_book_kind kind,
                           char path[static STORES_PATH_MAX],
                           struct key_book_settings *ret_settings)
{
    const struct key_sources_config *keys = &config->key_sources;
    *ret_settings = (struct key_book_settings){
        .kind = kind,
        .path = path,
        .production = stores->network.production,
        .replica = stores->replica,
        .chamber = stores->chamber.chamber_id,
        .aws = tables_session(stores),
        .may_make = config->anti_slashing.auto_migrate,
    };
    if (kind != KEY_BOOK_SQLITE) {
        ret_settings->path = kind == KEY_BOOK_POSTGRES ? keys->postgres.url : keys->dynamodb.table;
        return ret_settings->path[0] ? CC_OK
                                     : CC_FAIL(CONFIG, "the key store's url or table is not set");
    }
    if (!keys->sqlite.path[0])
        return in_directory(config->data_dir, "keys.sqlite", path);
    (void)snprintf(path, STORES_PATH_MAX, "%s", keys->sqlite.path);
    return CC_OK;
}

/* One store takes what is imported: a shared one, where one is configured, in the place of the file. */
bool stores_key_kind(const struct config *config, enum key_book_kind *ret_kind)
{
    const struct key_sources_config *keys = &config->key_sources;
    *ret_kind = keys->postgres.url[0]     ? KEY_BOOK_POSTGRES
                : keys->dynamodb.table[0] ? KEY_BOOK_DYNAMODB
                                          : KEY_BOOK_SQLITE;
    return *ret_kind != KEY_BOOK_SQLITE || keys->sqlite.enabled;
}

/* Where tables are missing and may be made: those of a file come with its first key. */
static cc_err make_keys(const struct config *config, const struct stores *stores)
{
    char path[STORES_PATH_MAX];
    enum key_book_kind kind;
    struct key_book_settings settings;
    if (!stores_key_kind(config, &kind) || kind == KEY_BOOK_SQLITE)
        return CC_OK;
    CC_TRY(stores_key_settings(config, stores, kind, path, &settings));
    return key_book_make(&settings);
}

/* The state's records come last of all: a start without them is refused, so a half-made chamber never serves. */
static cc_err make_state(const struct config *config,
                         const struct paths *paths,
                         struct vault_call *vault,
                         struct stores *stores)
{
    uint8_t chamber[CHAMBER_RECORD_SIZE];
    uint8_t history[HISTORY_RECORD_SIZE];
    CC_CLEANUP(buf_release) struct buf set = buf_init(SEAL_RECORD_MAX);
    CC_CLEANUP(buf_release) struct buf root = buf_init(STATE_RECORD_MAX);
    struct state_pin pin;
    const bool by_ceremony = config->signer_state.seal == SEAL_BEGINS_BY_CEREMONY;
    const struct state_signer signer = {vault_call_sign_head, vault};
    chamber_record_encode(&stores->chamber, chamber);
    history_record_encode(&stores->record, history);
    if (!by_ceremony)
        CC_TRY(first_set_make(vault, &stores->chamber, &set));
    if (stores->root)
        CC_TRY(enclave_root_bytes(stores->root, &root));
    struct state_change changes[] = {
        {.kind = "chamber",
         .name = "local",
         .expected_version = 0,
         .bytes = span_of(chamber, sizeof chamber)},
        {.kind = "history",
         .name = "identity",
         .expected_version = 0,
         .bytes = span_of(history, sizeof history)},
        {.kind = SEAL_RECORD_KIND,
         .name = SEAL_RECORD_CURRENT,
         .expected_version = 0,
         .bytes = span_of(set.data, set.len)},
        {0},
    };
    size_t count = by_ceremony ? 2 : 3;
    if (stores->root)
        changes[count++] = (struct state_change){
            .kind = ENCLAVE_ROOT_KIND, .name = ENCLAVE_ROOT_NAME, .bytes = buf_span(&root)};
    memcpy(pin.chamber_id, stores->chamber.chamber_id, sizeof pin.chamber_id);
    memcpy(pin.identity_public, stores->chamber.identity_public, sizeof pin.identity_public);
    CC_TRY(state_backend_make(config, tables_session(stores)));
    CC_TRY(state_backend_open(config, tables_session(stores), &stores->state));
    CC_TRY(state_open_new(stores->state, &pin, paths->seen));
    CC_TRY(pin_write(paths->pin, &pin));
    return state_commit(stores->state, changes, count, &signer);
}

/* Files are taken back by who made the directory; a database or a table is known here alone. */
static void take_back_history(const struct config *config, const struct stores *stores)
{
    const struct slash_identity identity = identity_of(stores);
    if (config->anti_slashing.backend == HISTORY_POSTGRES)
        slash_postgres_forget(config->anti_slashing.url, &identity);
    if (config->anti_slashing.backend == HISTORY_DYNAMODB)
        slash_dynamodb_forget(tables_session(stores), config->anti_slashing.table, &identity);
}

static void say_history_exists(const struct config *config, cc_err err)
{
    if (state_backend_is_shared(config))
        log_error("another replica has made this chamber: join it with `init --join`", KV_ERR(err));
    else
        log_error(
            "there is a history of another chamber", KV_ERR(err),
            KV_STR(
                "hint",
                "give this chamber a place of its own; of an init that was cut short only the history's identity is "
                "left: docs/runbook-history.md, \"An init was cut short\""));
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
    CC_TRY(stores->root ? enclave_root_create(stores->root, vault, &stores->chamber)
                        : vault_call_create(vault, &stores->chamber));
    cc_err made = make_history(config, paths.history, vault, stores);
    if (error_is(made, ERROR_EXISTS))
        say_history_exists(config, made);
    CC_TRY(made);
    cc_err err = make_keys(config, stores);
    if (err.code)
        log_error("the key store can't be made", KV_ERR(err));
    else
        err = make_state(config, &paths, vault, stores);
    if (err.code)
        take_back_history(config, stores);
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

static const char state_hint[] = "restore it from its backup, the data directory with it";
static const char join_hint[] =
    "chamber.key and identity.pub must be copies of the other replica's, and signer_state must name the same store";

static const char root_hint[] = "docs/enclave.md, \"The chamber outlives its enclave\"";

static cc_err
say_state(cc_err err, const struct state_fault *fault, const struct paths *paths, const char *hint)
{
    if (error_class(err) == CLASS_UNAVAILABLE)
        log_error("the state store can't be opened now", KV_STR("path", paths->state), KV_ERR(err));
    else if (err.code)
        log_error("the state store is refused", KV_STR("fault", fault->what),
                  KV_STR("kind", fault->kind), KV_STR("name", fault->name),
                  KV_STR("path", paths->state), KV_ERR(err), KV_STR("hint", hint));
    return err;
}

static cc_err open_once(const struct config *config,
                        const struct paths *paths,
                        struct stores *stores,
                        struct state_fault *fault)
{
    struct state_pin pin;
    CC_TRY(pin_read(paths->pin, &pin));
    CC_TRY(state_backend_open(config, tables_session(stores), &stores->state));
    cc_err err = state_open(stores->state, &pin, paths->seen, fault);
    if (err.code) {
        state_store_close(stores->state);
        stores->state = NULL;
    }
    return err;
}

/* A database that is away is waited for (stores_may_come()), as it is later: a signer may be up before it (P19). */
static cc_err
open_state(const struct config *config, const struct paths *paths, struct stores *stores)
{
    struct state_fault fault = {0};
    cc_err err = open_once(config, paths, stores, &fault);
    if (!error_is(err, ERROR_STATE))
        return say_state(err, &fault, paths, state_hint);
    if (!stores->waiting)
        log_warn("waiting for the state store", KV_STR("path", paths->state), KV_ERR(err));
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
        if (!stores->awaited)
            CC_TRY(
                slash_postgres_new(config->anti_slashing.url, stores->replica, &stores->awaited));
        CC_TRY(slash_postgres_connect(stores->awaited));
        stores->history = stores->awaited;
        stores->awaited = NULL;
        return CC_OK;
    case HISTORY_DYNAMODB:
        return slash_dynamodb_open(tables_session(stores), config->anti_slashing.table,
                                   &stores->history);
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
    else if (error_class(err) == CLASS_UNAVAILABLE && !stores->waiting)
        log_error("the history can't be opened now", KV_STR("path", path), KV_ERR(err));
    else if (err.code && error_class(err) != CLASS_UNAVAILABLE)
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

static cc_err put_genesis(struct vault_call *vault, struct stores *stores)
{
    uint8_t bytes[HISTORY_RECORD_SIZE];
    const struct state_signer signer = {vault_call_sign_head, vault};
    if (stores->record.has_genesis_validators_root)
        return same_root(&stores->record.genesis_validators_root, &stores->genesis_validators_root,
                         "the chamber was made for another network");
    stores->record.has_genesis_validators_root = true;
    stores->record.genesis_validators_root = stores->genesis_validators_root;
    history_record_encode(&stores->record, bytes);
    const struct state_change change = {
        .kind = "history",
        .name = "identity",
        .expected_version = state_find(stores->state, "history", "identity")->version,
        .bytes = span_of(bytes, sizeof bytes)};
    return state_commit(stores->state, &change, 1, &signer);
}

/* Another replica may be about the same. */
static cc_err remember_genesis(struct vault_call *vault, struct stores *stores)
{
    struct state_fault fault;
    bool changed;
    if (!stores->has_genesis_validators_root)
        return CC_OK;
    cc_err err = put_genesis(vault, stores);
    for (unsigned again = 0; error_is(err, ERROR_CONFLICT) && again < COMMIT_TRIES; again++) {
        CC_TRY(state_refresh(stores->state, &changed, &fault));
        CC_TRY(read_records(stores));
        err = put_genesis(vault, stores);
    }
    return err;
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

/* T8. A history that keeps nothing has nothing to lose. */
static cc_err
settle_ceiling(const struct config *config, struct vault_call *vault, struct stores *stores)
{
    const struct state_signer signer = {vault_call_sign_head, vault};
    const struct ceiling_stores both = {stores->state, stores->history, &signer,
                                        stores->network.preset.slots_per_epoch};
    if (config->anti_slashing.backend == HISTORY_NOOP)
        return CC_OK;
    stores->has_ceiling = true;
    cc_err err = ceiling_settle(&both, &stores->ceiling);
    /* Another replica raises it meanwhile. State before history: so the one is never ahead of the other by that alone. */
    for (unsigned again = 0; error_is(err, ERROR_CONFLICT) && again < COMMIT_TRIES; again++) {
        struct state_fault fault;
        bool changed;
        CC_TRY(state_refresh(stores->state, &changed, &fault));
        err = ceiling_settle(&both, &stores->ceiling);
    }
    if (!err.code)
        err = ceiling_read_floor(stores->state, &stores->floor);
    if (err.code)
        log_error("the history's ceiling can't be settled", KV_ERR(err));
    return err;
}

/* The chamber's records, opened by the vault, and the history that belongs to them. */
static cc_err open_chamber(const struct config *config,
                           const struct paths *paths,
                           struct vault_call *vault,
                           struct stores *stores)
{
    CC_TRY(read_records(stores));
    if (stores->root)
        CC_TRY(enclave_root_open(stores->root, stores->state, &stores->chamber, vault));
    cc_err err = vault_call_open(vault, &stores->chamber, &stores->memory);
    if (err.code && !error_is(err, ERROR_SEALED))
        log_error("the vault can't open the chamber: its key is another chamber's", KV_ERR(err));
    CC_TRY(err);
    CC_TRY(first_set_open(vault, stores->state, stores->latched && !stores->ignores_seal,
                          &stores->seal));
    if (!stores->awaited)
        CC_TRY(history_guard_replica(config, stores));
    CC_TRY(open_history(config, paths->history, stores));
    return check_identity(stores, paths->history);
}

static cc_err settle_root(struct vault_call *vault, struct stores *stores)
{
    const struct state_signer signer = {vault_call_sign_head, vault};
    return stores->root ? enclave_root_settle(stores->root, stores->state, &signer) : CC_OK;
}

CC_ERR stores_open(const struct config *config, struct vault_call *vault, struct stores *stores)
{
    struct paths paths;
    CC_TRY(find_paths(config, &paths));
    CC_TRY(check_made(&paths));
    CC_TRY(open_state(config, &paths, stores));
    stores->sealed = seal_latch_record(stores->state);
    stores->latched |= stores->sealed;
    CC_TRY(open_chamber(config, &paths, vault, stores));
    CC_TRY(greet(vault, stores));
    CC_TRY(history_guard_wrap(config, false, vault, stores));
    cc_err err = settle_genesis(stores);
    if (err.code) {
        log_error("genesis_validators_root does not fit", KV_STR("network", stores->network.name),
                  KV_ERR(err));
        return err;
    }
    CC_TRY(remember_genesis(vault, stores));
    CC_TRY(settle_root(vault, stores));
    return settle_ceiling(config, vault, stores);
}

/* Nobody should believe that they are loaded. */
static void say_what_is_left(const struct config *config, const struct stores *stores)
{
    char name[STATE_NAME_SIZE];
    struct key_book_record record;
    key_record_name(KEY_BOOK_SQLITE, stores->replica, name);
    const struct state_record *there = state_find(stores->state, KEY_RECORD_KIND, name);
    if (there && (key_book_record_decode(span_of(there->bytes, there->len), &record).code ||
                  record.mark != KEY_MARK_MOVED))
        log_warn(
            "the keys of this signer's own key store are not loaded: another store is configured",
            KV_STR("data_dir", config->data_dir),
            KV_STR("hint", "containment-chamber keys move --from sqlite"));
}

/* T3. What is wrong with a key store is no reason for the other keys not to sign (core/key_book.h). */
CC_ERR
stores_open_keys(const struct config *config, struct vault_call *vault, struct stores *stores)
{
    char path[STORES_PATH_MAX];
    enum key_book_kind kind;
    struct key_book_settings settings;
    const struct state_signer signer = {vault_call_sign_head, vault};
    if (!stores_key_kind(config, &kind))
        return CC_OK;
    CC_TRY(stores_key_settings(config, stores, kind, path, &settings));
    if (kind != KEY_BOOK_SQLITE)
        say_what_is_left(config, stores);
    cc_err err = key_book_open(&settings, stores->state, &signer, &stores->keys);
    if (err.code)
        log_error("the key store can't be compared with the state store", KV_ERR(err));
    return err;
}

/* --- join ---------------------------------------------------------------------------------------------- */

/* A replica with a history of its own would sign what another has refused (P6). */
static cc_err check_shared(const struct config *config)
{
    if (!state_backend_is_shared(config)) {
        log_error("only a state store that replicas share can be joined: set signer_state.backend");
        return CC_FAIL(CONFIG, "signer_state.backend is sqlite");
    }
    if (config->anti_slashing.backend == HISTORY_SQLITE) {
        log_error("replicas of one chamber need one history: set anti_slashing.backend");
        return CC_FAIL(CONFIG, "anti_slashing.backend is sqlite");
    }
    return CC_OK;
}

static cc_err join_by_pin(const struct config *config,
                          const struct paths *paths,
                          struct stores *stores,
                          struct state_fault *fault)
{
    struct state_pin pin;
    CC_TRY(must_not_exist(paths->seen));
    cc_err err = pin_read(paths->pin, &pin);
    if (err.code) {
        fault->what = error_detail();
        return err;
    }
    CC_TRY(state_backend_open(config, tables_session(stores), &stores->state));
    return state_open_joined(stores->state, &pin, paths->seen, fault);
}

/* No file says which chamber it is: the record does, for which an image vouches. From then on the file holds this enclave to it. */
static cc_err join_by_root(const struct config *config,
                           const struct paths *paths,
                           struct stores *stores,
                           struct state_fault *fault)
{
    struct state_pin pin;
    struct stat st;
    if (stores->waiting && lstat(paths->pin, &st) == 0) /* of a try before this one */
        return open_once(config, paths, stores, fault);
    CC_TRY(must_not_exist(paths->pin));
    CC_TRY(must_not_exist(paths->seen));
    cc_err err = state_backend_open(config, tables_session(stores), &stores->state);
    /* No table is as good as an empty one: whoever took it away gets a new chamber at the most, which has nothing of this one. */
    if (error_is(err, ERROR_TAMPERED))
        return CC_FAIL(CHAMBER_MISSING, "there is no state store");
    CC_TRY(err);
    err = enclave_root_find(stores->root, stores->state, &pin);
    if (err.code) {
        fault->what = "no image that may vouches for its chamber";
        return err;
    }
    CC_TRY(state_open_joined(stores->state, &pin, paths->seen, fault));
    return pin_write(paths->pin, &pin);
}

CC_ERR stores_join(const struct config *config, struct vault_call *vault, struct stores *stores)
{
    struct paths paths;
    struct state_fault fault = {0};
    CC_TRY(check_shared(config));
    CC_TRY(find_paths(config, &paths));
    cc_err err = stores->root ? join_by_root(config, &paths, stores, &fault)
                              : join_by_pin(config, &paths, stores, &fault);
    if (error_is(err, ERROR_CHAMBER_MISSING))
        return err;
    CC_TRY(say_state(err, &fault, &paths, stores->root ? root_hint : join_hint));
    CC_TRY(open_chamber(config, &paths, vault, stores));
    CC_TRY(greet(vault, stores));
    CC_TRY(settle_root(vault, stores));
    return history_guard_wrap(config, true, vault, stores);
}

bool stores_may_come(const struct config *config, cc_err err)
{
    bool in_database =
        config->anti_slashing.backend == HISTORY_POSTGRES || state_backend_is_shared(config);
    if (config_has_root(config) && error_is(err, ERROR_AWS_UNREACHABLE))
        return true;
    return in_database && (error_is(err, ERROR_STORE) || error_is(err, ERROR_STATE));
}

void stores_begin_again(struct stores *stores)
{
    key_book_close(stores->keys);
    stores->keys = NULL;
    if (stores->history)
        slash_store_close(stores->history);
    state_store_close(stores->state);
    stores->history = NULL;
    stores->state = NULL;
    stores->waiting = true;
}

void stores_close(struct stores *stores)
{
    key_book_close(stores->keys);
    stores->keys = NULL;
    if (stores->history)
        slash_store_close(stores->history);
    if (stores->awaited)
        slash_store_close(stores->awaited);
    state_store_close(stores->state);
    aws_session_close(stores->tables_own);
    aws_session_close(stores->aws);
    stores->tables_own = NULL;
    stores->aws = NULL;
    stores->history = NULL;
    stores->state = NULL;
}
