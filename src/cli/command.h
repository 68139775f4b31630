/* cli/command.h - what subcommands share.
 *
 * WHAT      A subcommand's arguments, and the options that every one with a configuration takes: -c FILE, --set
 *           PATH=VALUE, and a flag per option (--server-listen-port 9001).
 * PROMISE   An argument that nobody takes is an error. Faults of the configuration go to standard error, all of them.
 * THREADS   Main only.
 * OWNERSHIP Borrows argv and environment.
 * ERRORS    Exit codes of app/supervisor.h.
 * SECRETS   None.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "app/supervisor.h"
#include "config/config.h"

/* What stands after the subcommand's name. */
struct arguments {
    int count;
    char **items;
    char *const *environment;
    const char *command; /* "server": for messages */
};

enum {
    COMMAND_OVERRIDES_MAX = 64
};

struct command_config {
    struct supervisor_source source;
    struct config_override overrides[COMMAND_OVERRIDES_MAX];
    char texts[COMMAND_OVERRIDES_MAX][128]; /* paths of --set, and origins */
    size_t text_count;
};

/* Takes the configuration's options out of `arguments`, which keeps the rest. EXIT_CODE_USAGE and a message when
 * one is not understood.
 */
int command_take_config(struct arguments *arguments, struct command_config *ret_config);
/* Loads it. Prints what is wrong, and returns EXIT_CODE_REFUSED then. */
int command_load_config(const struct command_config *command, struct config *ret_config);
/* The same; a configuration that is valid by itself is then given to `look` (NULL: to none), which
 * may add what it finds. What was printed is appended to `ret_faults`, too, one fault a line (NULL: to nothing).
 */
typedef void command_look_fn(const struct config *config, struct config_faults *faults);
int command_look_at_config(const struct command_config *command,
                           command_look_fn *look,
                           struct config *ret_config,
                           struct buf *ret_faults);
/* What `config check` does: prints all that is wrong with it, also with the files that it names. */
int command_check_config(const struct command_config *command,
                         struct config *ret_config,
                         struct buf *ret_faults);
/* Takes `name` out of `arguments`; false when it is not there. */
bool command_take_switch(struct arguments *arguments, const char *name);
/* Takes `name VALUE` or `name=VALUE` out of `arguments`; *ret_value NULL when it is not there. EXIT_CODE_USAGE and a
 * message when the value is missing.
 */
int command_take_value(struct arguments *arguments, const char *name, const char **ret_value);
/* --json of a command that writes to `to` (NULL, "-": to standard output), which `option` names: an object about it has no place beside
 * it there, and EXIT_CODE_USAGE says so.
 */
int command_refuse_mixed(const struct arguments *arguments, const char *option, const char *to);
/* Says what is left over, with EXIT_CODE_USAGE; EXIT_CODE_DONE when nothing is. */
int command_refuse_rest(const struct arguments *arguments);
int command_usage(const struct arguments *arguments, const char *message, const char *about);
/* Standard output is a terminal, and NO_COLOR (set, and not empty) doesn't ask for none. */
bool command_may_color(char *const *environment);

/* `server --init-if-missing`, and `slashing ACTION`, with a configuration from elsewhere. */
int command_serve(const struct supervisor_source *source);
int command_slashing_on(struct arguments *arguments,
                        const char *action,
                        const struct supervisor_source *source);

int command_init(struct arguments *arguments);
int command_server(struct arguments *arguments);
int command_config(struct arguments *arguments);
int command_auth(struct arguments *arguments);
int command_keys(struct arguments *arguments);
int command_slashing(struct arguments *arguments);
int command_operator(struct arguments *arguments);
int command_audit(struct arguments *arguments);
int command_attest(struct arguments *arguments);
int command_bench(struct arguments *arguments);
int command_enclave(struct arguments *arguments);
int command_web3signer(struct arguments *arguments);
int command_migrate(struct arguments *arguments);
int command_doctor(struct arguments *arguments);
int command_backup(struct arguments *arguments);
int command_restore(struct arguments *arguments);
int command_room(struct arguments *arguments);

#endif
