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

#include "app/datadir.h"
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
/* Makes the chamber and the empty stores. The new history's id, 32 bytes, goes to the file `history_id`. */
int supervisor_init(const struct supervisor_source *source, struct config *config, int history_id);
/* Makes this data directory one more replica's of a chamber that is there. */
int supervisor_join(const struct supervisor_source *source,
                    struct config *config,
                    const struct datadir_copies *copies);
/* The same in an enclave whose root KMS keys hold, without files: *ret_found is false where the state store is empty, and nothing was made. */
int supervisor_take_over(const struct supervisor_source *source,
                         struct config *config,
                         bool *ret_found);
/* Called every SUPERVISOR_LOOK_MS, or more often, while an order is carried out. */
struct supervisor_watch {
    void (*look)(void *context);
    void *context;
};

enum {
    SUPERVISOR_LOOK_MS = 100
};

/* Starts vault and core for one piece of work: `order` is a file with its text (core/order.h), and then with the answer. `watch` NULL: nobody
 * looks at it meanwhile.
 */
int supervisor_order(const struct supervisor_source *source,
                     struct config *config,
                     int order,
                     const struct supervisor_watch *watch);
/* Which exit code an error ends with. */
int supervisor_exit_code(cc_err err);

#endif
