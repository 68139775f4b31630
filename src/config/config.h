/* config/config.h - the effective configuration, as plain data.
 *
 * WHAT      One struct per part of the system; config.def is the one table from which parser, environment
 *           names, flags, checks, `config dump|example` and docs/config.md come.
 * PROMISE   A loaded config is complete and in range. Unknown key, wrong type, out of range: refused with
 *           file, line and path. Flags > environment > file > defaults.
 * THREADS   Constant after loading.
 * OWNERSHIP By value: fixed arrays, no pointers, so that a room's part can cross a descriptor.
 * ERRORS    CONFIG, YAML_SYNTAX, IO.
 * SECRETS   anti_slashing.url may hold a database password (docs/secrets.md): masked in every output, refused as a flag.
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
    CONFIG_ROWS_MAX = 64
};

struct config_text_list {
    uint32_t count;
    char items[CONFIG_LIST_MAX][CONFIG_TEXT_MAX];
};

struct server_config {
    char listen_address[64]; /* 127.0.0.1 */
    uint16_t listen_port;    /* 9000; 0 picks a free one, logged and written to <data_dir>/ports */
    char unix_socket[108];   /* "" : none */
    uint32_t idle_timeout_seconds;          /* 120 */
    uint32_t request_deadline_seconds;      /* 30: absolute, from the first byte of a request */
    uint32_t max_connections;               /* 4096 */
    uint32_t drain_seconds;                 /* 25 */
    struct config_text_list host_allowlist; /* localhost, 127.0.0.1, [::1]; "*" or "all": any */
};

struct metrics_config {
    char listen_address[64]; /* 127.0.0.1 */
    uint16_t listen_port;    /* 3000 */
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

struct key_sources_config {
    struct filesystem_config filesystem;
    uint64_t expected_keys; /* 0: any number */
};

enum history_backend {
    HISTORY_SQLITE,
    HISTORY_POSTGRES,
    HISTORY_NOOP
};

struct anti_slashing_config {
    enum history_backend backend;
    char path[CONFIG_PATH_MAX]; /* "" : <data_dir>/history.sqlite */
    char url[CONFIG_PATH_MAX];  /* of the database; may hold a password */
    uint64_t max_future_epochs; /* 2 */
    bool pruning_enabled;
    uint64_t pruning_keep_epochs;    /* 250 */
    uint32_t pruning_interval_hours; /* 12 */
    bool i_accept_slashing_risk;
};

enum auth_mode {
    AUTH_OPEN
};

struct auth_config {
    enum auth_mode mode;
    struct config_text_list open_operations; /* "*" : the routine class; "all"; or names */
};

enum log_style {
    LOG_STYLE_JSON,
    LOG_STYLE_TEXT
};

struct logging_config {
    enum log_level level;
    enum log_style format;
};

struct config {
    char data_dir[CONFIG_PATH_MAX]; /* /var/lib/containment-chamber */
    struct server_config server;
    struct metrics_config metrics;
    struct signing_config signing;
    struct network_config network;
    struct key_sources_config key_sources;
    struct anti_slashing_config anti_slashing;
    struct auth_config auth;
    struct logging_config logging;
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
CC_ERR config_example(struct buf *out);
CC_ERR config_document(struct buf *out);

enum config_room {
    CONFIG_FOR_FRONT = 1,
    CONFIG_FOR_CORE = 2,
    CONFIG_FOR_VAULT = 4,
    CONFIG_FOR_LOADER = 8
};
/* Only the rows that `room` may see, and back; what a room does not see has its default there. */
CC_ERR config_encode(const struct config *config, enum config_room room, struct buf *out);
CC_ERR config_decode(struct span encoded, enum config_room room, struct config *ret_config);

#endif
