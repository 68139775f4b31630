/* config/config.h - the effective configuration, as plain data.
 *
 * WHAT      One struct per part of the system; config.def is the one table from which parser, environment
 *           names, flags, checks, `config dump|example` and docs/config.md come.
 * PROMISE   A loaded config is complete and in range. Unknown key, wrong type, out of range: refused with
 *           file, line and path. Flags > environment > file > defaults.
 * THREADS   Constant after loading.
 * OWNERSHIP By value: fixed arrays, no pointers, so that a room's part can cross a descriptor.
 * ERRORS    CONFIG, YAML_SYNTAX, IO.
 * SECRETS   anti_slashing.url, signer_state.url and key_sources.postgres.url may hold a database password (docs/secrets.md): masked in every output,
 *           refused as a flag.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>

#include "base/error.h"
#include "base/log.h"
#include "base/span.h"

enum {
    CONFIG_LIST_MAX = 16,
    CONFIG_TEXT_MAX = 256,
    CONFIG_PATH_MAX = 512,
    CONFIG_ROWS_MAX = 160
};

struct config_text_list {
    uint32_t count;
    char items[CONFIG_LIST_MAX][CONFIG_TEXT_MAX];
};

struct server_config {
    char listen_address[64]; /* 127.0.0.1 */
    uint16_t listen_port;    /* 9000; 0 picks a free one, logged and written to <data_dir>/ports */
    char unix_socket[108];   /* "" : none */
    char admin_socket
        [108]; /* admin.sock: below data_dir, where it is no absolute path; "" or "-": none */
    uint32_t idle_timeout_seconds;     /* 120 */
    uint32_t request_deadline_seconds; /* 30: absolute, from the first byte of a request */
    uint32_t max_connections;          /* 4096 */
    uint32_t drain_seconds;            /* 25 */
    char listen[CONFIG_TEXT_MAX];      /* "", or an endpoint in the place of address and port */
    struct config_text_list host_allowlist;  /* localhost, 127.0.0.1, [::1]; "*" or "all": any */
    struct config_text_list trusted_proxies; /* as base/cidr.h reads them */
};

struct metrics_config {
    char listen_address[64]; /* 127.0.0.1 */
    uint16_t listen_port;    /* 3000 */
    char listen[CONFIG_TEXT_MAX];
};

/* The way out where there is no network: config/egress.h. */
struct egress_config {
    struct config_text_list routes; /* HOST:PORT=ENDPOINT; none: names are looked up */
    char listen_address[64];        /* 127.77.0.1: the first row's; the nth has the nth after it */
};

/* Which arithmetic signs; crypto/batch.h says what each is. */
enum signing_engine {
    SIGNING_BLST,
    SIGNING_AUTO,
    SIGNING_FIXED_BASE,
    SIGNING_IFMA
};

struct signing_config {
    enum signing_engine engine;
    uint32_t batch_max;        /* 256 */
    uint32_t duty_deadline_ms; /* 2500 */
    uint32_t concurrency;      /* vault threads; 0: one per processor */
};

struct network_config {
    char network[CONFIG_PATH_MAX];     /* name or path */
    struct config_text_list overrides; /* "GLOAS_FORK_EPOCH=353024" */
    char genesis_validators_root[80];  /* "" or 0x + 64 hex */
    uint64_t genesis_time;
};

struct filesystem_config {
    uint32_t path_count;
    char paths[CONFIG_LIST_MAX]
              [CONFIG_PATH_MAX];          /* directories of Web3Signer YAML and EIP-2335 JSON */
    char passwords_path[CONFIG_PATH_MAX]; /* directory of <keystore base name>.txt, or "" */
    char password_file[CONFIG_PATH_MAX];  /* one password for all, or "" */
    uint32_t keystore_load_concurrency;   /* 128, bounded further by processors and memory */
    bool strict_permissions;
};

struct sqlite_keys_config {
    bool enabled;
    char path[CONFIG_PATH_MAX]; /* "": <data_dir>/keys.sqlite */
};

struct postgres_keys_config {
    char url[CONFIG_PATH_MAX]; /* "": none; may hold a password */
    char url_password_kms[CONFIG_PATH_MAX];
};

struct dynamodb_keys_config {
    char table[CONFIG_PATH_MAX]; /* "": none */
};

struct key_sources_config {
    struct filesystem_config filesystem;
    struct sqlite_keys_config sqlite;
    struct postgres_keys_config postgres; /* either takes the place of sqlite */
    struct dynamodb_keys_config dynamodb;
    uint64_t expected_keys; /* 0: any number */
};

enum state_backend {
    STATE_SQLITE,
    STATE_POSTGRES,
    STATE_DYNAMODB
};

enum seal_beginning {
    SEAL_BEGINS_LOCAL,
    SEAL_BEGINS_BY_CEREMONY
};

struct signer_state_config {
    enum state_backend backend;
    char url[CONFIG_PATH_MAX]; /* of the database; may hold a password */
    char url_password_kms[CONFIG_PATH_MAX];
    char table[CONFIG_PATH_MAX];
    uint32_t refresh_interval_seconds; /* 1; 0: no looking at all */
    enum seal_beginning seal;
    uint32_t unseal_timeout_minutes; /* 30 */
    bool kms;                        /* the core may call AWS KMS */
    struct config_text_list allowed_kms_key_arns;
    bool auto_unseal; /* an image that the operators have approved opens the chamber without them */
};

enum history_backend {
    HISTORY_SQLITE,
    HISTORY_POSTGRES,
    HISTORY_DYNAMODB,
    HISTORY_NOOP
};

enum timeline_policy {
    TIMELINE_VERIFY,
    TIMELINE_RAISE,
    TIMELINE_REFUSE
};

enum {
    CONFIG_ENCLAVE_FUTURE_EPOCHS =
        2 /* max_future_epochs is no more in an enclave, but on test networks */
};

struct anti_slashing_config {
    enum history_backend backend;
    char path[CONFIG_PATH_MAX];             /* "" : <data_dir>/history.sqlite */
    char url[CONFIG_PATH_MAX];              /* of the database; may hold a password */
    char url_password_kms[CONFIG_PATH_MAX]; /* "", or as config/kms_secret.h reads it */
    char table[CONFIG_PATH_MAX];
    bool shared_with_web3signer;
    bool auto_migrate; /* true */
    enum timeline_policy on_new_timeline;
    uint32_t quarantine_epochs; /* 2; 0: none */
    uint64_t max_future_epochs; /* 2 */
    bool pruning_enabled;
    uint64_t pruning_keep_epochs;    /* 250 */
    uint32_t pruning_interval_hours; /* 12 */
    bool i_accept_slashing_risk;
};

enum key_storage {
    KEY_STORAGE_PERSIST,
    KEY_STORAGE_MEMORY
};

/* What one group of key routes may do at one time. */
struct key_manager_api_config {
    bool enabled;
    uint32_t max_concurrent_reads;    /* 50: GET and DELETE */
    uint32_t max_concurrent_writes;   /* 10: POST */
    uint32_t request_timeout_seconds; /* 600 */
    uint32_t max_items_per_request;   /* 2000 */
    enum key_storage storage;
};

struct http_config {
    struct key_manager_api_config key_manager_api;
};

struct chamber_route_config {
    bool enabled;
    uint32_t max_items_per_request;
    uint32_t max_concurrent_requests;
    uint32_t request_timeout_seconds;
};

struct generate_backup_config {
    bool enabled;
    struct config_text_list recipients; /* as crypto/age.h reads them */
};

struct chamber_keys_config {
    struct chamber_route_config list; /* max_concurrent_requests alone */
    struct chamber_route_config generate;
    struct generate_backup_config generate_backup;
    struct chamber_route_config import;
    struct chamber_route_config lifecycle;
};

enum auth_mode {
    AUTH_OPEN,
    AUTH_REPORT,
    AUTH_ENFORCE
};

enum {
    CONFIG_NAME_MAX = 40, /* of a policy; with the terminator */
    CONFIG_SCOPES_MAX = 384,
    CONFIG_POLICIES_MAX = 16
};

/* One entry of auth_policies, as releases before policies were stored had them. */
struct static_policy {
    char name[CONFIG_NAME_MAX];
    char token[CONFIG_TEXT_MAX]; /* where it is: env:NAME, file:PATH; "" : there is none */
    bool has_token;
    uint8_t token_digest[32];               /* SHA-256 of it: the token itself is not kept */
    char allowed_scopes[CONFIG_SCOPES_MAX]; /* with commas between; "" : all */
    char denied_scopes[CONFIG_SCOPES_MAX];
};

struct static_policies {
    uint32_t count;
    struct static_policy items[CONFIG_POLICIES_MAX];
};

struct auth_config {
    enum auth_mode mode;
    struct config_text_list open_operations; /* "*" : the routine class; "all"; or names */
    struct config_text_list certificates;    /* rows of auth/principal.h */
    struct config_text_list listeners;
    struct config_text_list owner_keys; /* rows of auth/owner.h */
    struct static_policies policies;
    char unauthenticated_policy[CONFIG_NAME_MAX]; /* "" : none */
    bool allow_plaintext; /* tokens over plain TCP from elsewhere than loopback */
};

enum audit_level {
    AUDIT_ALL,
    AUDIT_REFUSALS,
    AUDIT_ADMIN
};

enum audit_sink {
    AUDIT_FILE,
    AUDIT_STDOUT
};

enum audit_on_failure {
    AUDIT_REFUSE,
    AUDIT_CONTINUE
};

struct audit_config {
    enum audit_level level;
    enum audit_sink sink;
    enum audit_on_failure on_failure;
    uint32_t segment_mib; /* 64 */
};

enum canary_action {
    CANARY_ALERT,
    CANARY_REVOKE,
    CANARY_SEAL
};

enum canary_answer {
    CANARY_SUCCESS,
    CANARY_NOT_FOUND
};

struct canary_config {
    struct config_text_list public_keys; /* 0x and 96 hex digits each */
    enum canary_action action;
    enum canary_answer answer;
};

enum tee_platform {
    TEE_NONE,
    TEE_NITRO
};

/* KMS keys that an enclave's image names. */
struct tee_root_config {
    struct config_text_list kms_key_arns;
    uint32_t threshold; /* 0: of one key */
    struct config_text_list images;
    char certificate[CONFIG_PATH_MAX]; /* "": AWS's root */
};

enum {
    AWS_ACCOUNT_DIGITS = 12,
    AWS_ACCOUNT_SIZE = AWS_ACCOUNT_DIGITS + 1
};

struct tee_config {
    enum tee_platform platform;
    char device[CONFIG_PATH_MAX];       /* /dev/nsm */
    char aws_account[AWS_ACCOUNT_SIZE]; /* "": any */
    struct tee_root_config root;
};

static inline uint32_t config_root_threshold(const struct tee_root_config *root)
{
    return root->threshold ? root->threshold : 1;
}

enum tls_mode {
    TLS_DISABLED,
    TLS_FILES,
    TLS_ATTESTED
};

enum tls_client_auth {
    TLS_CLIENT_NONE,
    TLS_CLIENT_OPTIONAL,
    TLS_CLIENT_REQUIRED
};

struct tls_config {
    enum tls_mode mode;
    uint16_t listen_port; /* 9443 */
    char listen[CONFIG_TEXT_MAX];
    char cert_path[CONFIG_PATH_MAX];
    char key_path[CONFIG_PATH_MAX];
    char pkcs12_path[CONFIG_PATH_MAX]; /* in the place of both */
    char password[CONFIG_PATH_MAX];    /* "", or where it is: env:NAME, file:PATH */
    char client_ca_path[CONFIG_PATH_MAX];
    char known_clients_path[CONFIG_PATH_MAX];
    enum tls_client_auth client_auth;
    uint32_t reload_interval_seconds; /* 60; 0: only at SIGHUP */
    uint32_t atls_renew_minutes;
};

enum log_style {
    LOG_STYLE_JSON,
    LOG_STYLE_TEXT
};

struct logging_config {
    enum log_level level;
    enum log_style format;
};

struct tracing_config {
    char otlp_endpoint[CONFIG_TEXT_MAX]; /* "": no tracing; as config/otlp_url.h reads it */
    uint32_t sample_millionths;          /* 10000: one of a hundred */
    char ca_path[CONFIG_PATH_MAX];       /* "": the system's authorities */
    bool allow_plaintext;
};

enum {
    AWS_REGION_MAX = 64
};

struct aws_config {
    char region[AWS_REGION_MAX];        /* "" : AWS_REGION, AWS_DEFAULT_REGION, the profile's */
    char profile[CONFIG_TEXT_MAX];      /* "" : AWS_PROFILE, or "default" */
    char ca_bundle[CONFIG_PATH_MAX];    /* "" : AWS_CA_BUNDLE, the profile's, or the system's */
    char endpoint_url[CONFIG_TEXT_MAX]; /* "" : AWS_ENDPOINT_URL, the profile's, or AWS's own */
    char kms_endpoint_url[CONFIG_TEXT_MAX];
    char dynamodb_endpoint_url[CONFIG_TEXT_MAX];
    char sts_endpoint_url[CONFIG_TEXT_MAX];
    char dynamodb_credentials_kms[CONFIG_PATH_MAX]; /* "", or as config/kms_secret.h reads it */
};

struct config {
    char data_dir[CONFIG_PATH_MAX]; /* /var/lib/containment-chamber */
    struct server_config server;
    struct metrics_config metrics;
    struct egress_config egress;
    struct signing_config signing;
    struct network_config network;
    struct signer_state_config signer_state;
    struct key_sources_config key_sources;
    struct anti_slashing_config anti_slashing;
    struct auth_config auth;
    struct http_config http;
    struct chamber_keys_config chamber_keys;
    struct tee_config tee;
    struct tls_config tls;
    struct aws_config aws;
    struct canary_config canary;
    struct audit_config audit;
    struct tracing_config tracing;
    struct logging_config logging;
    uint8_t
        core_digest[32]; /* of the vault's part alone: config_digest() of the whole. No option */
};

/* One `--set path=value`, flag or environment variable that overrides the file. */
struct config_override {
    const char *path; /* "server.listen_port" */
    const char *value;
    const char
        *origin; /* "--server-listen-port" or "CONTAINMENT_SERVER__LISTEN_PORT": for messages */
};

/* Where a value came from. */
struct config_place {
    struct span
        origin;    /* file, variable or flag: the caller's of config_load(); empty: the default */
    uint32_t line; /* 0: none */
};

/* What was wrong and where; the text names file, line and path and shows no secret value. */
struct config_faults {
    struct buf text; /* one fault a line */
    uint32_t count;
    uint32_t warnings;
    struct config_place places[CONFIG_ROWS_MAX]; /* of each row's value */
};

void config_defaults(struct config *ret_config);
/* Loads `path` (NULL: defaults only) with the environment `environ` and `overrides` on top. All faults are
 * collected before it answers CONFIG.
 */
CC_ERR config_load(const char *path,
                   char *const *environment,
                   const struct config_override *overrides,
                   size_t override_count,
                   struct config *ret_config,
                   struct config_faults *ret_faults);
/* Adds what is found wrong with the value of the option `path` after the loading, where files are looked at. */
void config_faults_add(struct config_faults *faults, const char *path, const char *fmt, ...)
    CC_PRINTF(3, 4);
/* SIGHUP: copies the reloadable options of `fresh`. The paths of others that differ are appended to
 * `fixed`, with spaces between.
 */
void config_take_reloadable(struct config *config, const struct config *fresh, struct buf *fixed);
/* Writes the effective configuration as YAML (secrets masked), the commented example, and docs/config.md. */
CC_ERR config_dump(const struct config *config, struct buf *out);
/* The options that differ from their defaults; `path`'s value is shown as `text`. */
CC_ERR config_dump_changed(const struct config *config,
                           const char *path,
                           const char *text,
                           struct buf *out);
CC_ERR config_example(struct buf *out);
CC_ERR config_document(struct buf *out);

/* True when a store of the core is in AWS (some option that chooses a backend says dynamodb), or it asks KMS. */
bool config_uses_dynamodb(const struct config *config);
bool config_uses_aws(const struct config *config);
/* The core sends traces to a collector. */
static inline bool config_traces(const struct config *config)
{
    return config->tracing.otlp_endpoint[0] != 0;
}
/* An enclave whose chamber.key lies under KMS keys, and in no file. */
bool config_has_root(const struct config *config);
/* The network carries real money, or isn't known: an enclave is held to more then. */
bool config_is_about_money(const struct config *config);

enum config_room {
    CONFIG_FOR_FRONT = 1,
    CONFIG_FOR_CORE = 2,
    CONFIG_FOR_VAULT = 4,
    CONFIG_FOR_LOADER = 8,
    CONFIG_FOR_FORWARDER = 16
};
/* Only the rows that `room` may see, and back; what a room does not see has its default there. */
/* SHA-256 over every option that the core has, by name and value, in the table's order. A secret counts as set or not. */
CC_ERR config_digest(const struct config *config, uint8_t ret_digest[static 32]);

/* The vault gets the digest of all of it beside its part: config->core_digest. */
CC_ERR config_encode(const struct config *config, enum config_room room, struct buf *out);
CC_ERR config_decode(struct span encoded, enum config_room room, struct config *ret_config);

#endif
