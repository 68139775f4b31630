/* cli/web3signer.h - Web3Signer's options, and what they are here.
 *
 * WHAT      Takes the options of Web3Signer's eth2 mode from flags, variables (WEB3SIGNER_...) and its YAML file, in that order of
 *           rank, and makes options of config/config.def of them.
 * PROMISE   Each option of the table has one fate (cli/web3signer_option.def): it is translated, named in the notes as without
 *           effect, or refused. What is in no row is refused. All faults are collected. No fault and no note shows a value of the
 *           database's URL or a password.
 * THREADS   One.
 * OWNERSHIP web3signer_release() wipes and frees; it takes zeros. Argv and environment are borrowed.
 * ERRORS    NO_MEMORY, LIMIT (of the text); all else is a fault.
 * SECRETS   The database's password: its value, and the URL made of it (docs/secrets.md). What argv held of it is overwritten.
 */
#ifndef CLI_WEB3SIGNER_H
#define CLI_WEB3SIGNER_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/command.h"
#include "config/config.h"

enum web3signer_scope {
    WEB3SIGNER_ROOT,
    WEB3SIGNER_ETH2
};

enum web3signer_kind {
    WEB3SIGNER_TEXT,
    WEB3SIGNER_BOOL,
    WEB3SIGNER_LIST,
    WEB3SIGNER_PART,
    WEB3SIGNER_PARTB,
    WEB3SIGNER_SAME,
    WEB3SIGNER_IDLE,
    WEB3SIGNER_IDLEB,
    WEB3SIGNER_NOT,
    WEB3SIGNER_NOTB
};

struct web3signer_option {
    const char *name;
    enum web3signer_scope scope;
    enum web3signer_kind kind;
    const char *target;
    const char *text;
    const char *origin; /* for people: where a fault of the target came from */
};

extern const struct web3signer_option web3signer_options[];
extern const size_t web3signer_option_count;

enum {
    WEB3SIGNER_OPTIONS_MAX = 128,
    WEB3SIGNER_OVERRIDES_MAX = 64
};

struct web3signer {
    char *values[WEB3SIGNER_OPTIONS_MAX]; /* of the rows that were given */
    const char *task;                     /* export, import, watermark-repair; NULL: to serve */
    struct config_override overrides[WEB3SIGNER_OVERRIDES_MAX];
    char *texts[WEB3SIGNER_OVERRIDES_MAX]; /* their values */
    size_t override_count;
    char *const *environment;
    char *database; /* its URL without a password, for people; NULL: none is named */
    struct buf notes;
    struct buf faults;
    uint32_t fault_count;
};

/* Takes flags out of `arguments`; with a task the rest is that one's. Then variables, then the file. */
CC_ERR web3signer_take(struct arguments *arguments, struct web3signer *ret_w);
/* The file's text, as `name`; for rows that have no value yet. */
CC_ERR web3signer_take_file(struct web3signer *w, const char *name, struct span text);
/* Makes w->overrides of what was taken. `directory` is where keys are looked for when no option says it. */
CC_ERR web3signer_plan(struct web3signer *w, const char *directory);
void web3signer_release(struct web3signer *w);

/* --- for the rules ------------------------------------------------------------------------------------------------- */

/* NULL when it was not given. The option is one of the table. */
const char *web3signer_value(const struct web3signer *w, const char *name);
bool web3signer_is_true(const struct web3signer *w, const char *name);
/* `path` is set to `value`, because of the option `name`. */
CC_ERR
web3signer_set(struct web3signer *w, const char *name, const char *path, const char *value);
/* The same unless this program's own variable says it. */
CC_ERR
web3signer_default(struct web3signer *w, const char *name, const char *path, const char *value);
/* True when CONTAINMENT_... sets `path`. */
bool web3signer_has_own(const struct web3signer *w, const char *path);
CC_ERR web3signer_note(struct web3signer *w, const char *name, const char *text);
/* `name` "": of no option. */
CC_ERR web3signer_fault(struct web3signer *w, const char *name, const char *text);

/* cli/web3signer_database.c: --slashing-protection-enabled and -db-... */
CC_ERR web3signer_plan_database(struct web3signer *w);
/* libpq's URL for a JDBC one: `ret_url` with the password, `ret_shown` without. CONFIG with a detail when it can't be. */
CC_ERR web3signer_database_url(const char *jdbc,
                               const char *user,
                               const char *password,
                               struct buf *ret_url,
                               struct buf *ret_shown);
/* cli/web3signer_tls.c: --tls-..., and the port that depends on it. */
CC_ERR web3signer_plan_tls(struct web3signer *w);
/* cli/web3signer_network.c: --network, with the genesis that lies beside a file. */
CC_ERR web3signer_plan_network(struct web3signer *w);

#endif
