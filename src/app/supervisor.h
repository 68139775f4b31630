/* app/supervisor.h - the process that everything hangs on, and that does nothing itself.
 *
 * WHAT      `server` and `init`: limits, data directory, listeners, rooms; signals, restarts, log, service manager.
 * PROMISE   Parses nothing but its own configuration. Ends with a code that says why; takes all rooms with it.
 * THREADS   One: it forks.
 * OWNERSHIP Everything is released before it returns.
 * ERRORS    As exit codes (cli/cli.h).
 * SECRETS   None.
 */
#ifndef APP_SUPERVISOR_H
#define APP_SUPERVISOR_H

#include "config/config.h"

enum exit_code {
    EXIT_CODE_DONE = 0,
    EXIT_CODE_FAILED = 1,
    EXIT_CODE_USAGE = 2,
    EXIT_CODE_REFUSED = 3,
    EXIT_CODE_LOCKED = 4
};

/* Where the configuration came from, so that SIGHUP can read it again. */
struct supervisor_source {
    const char *path; /* NULL: no file */
    char *const *environment;
    const struct config_override *overrides;
    size_t override_count;
};

int supervisor_serve(const struct supervisor_source *source, struct config *config);
/* Makes the chamber and the empty stores. */
int supervisor_init(const struct supervisor_source *source, struct config *config);
/* Which exit code an error ends with. */
int supervisor_exit_code(cc_err err);

#endif
