/* cli/own_signer.h - a signer that a command starts for itself: this binary, in a chamber of its own.
 *
 * WHAT      A new directory; in it `chamber` with config.yaml, data and log.txt, which the caller fills; commands on it, and
 *           `server` until it is ready.
 * PROMISE   Nothing that exists is touched: the directory is new. The server has no environment and dies with this process.
 * THREADS   One.
 * OWNERSHIP own_signer_end() ends the server, own_signer_remove() removes a directory.
 * ERRORS    SYSTEM, IO, LIMIT, FILESYSTEM (a memory file system: nothing would be durable), BUSY (not ready in time). When the
 *           server does not come up or ends badly, the end of its log goes to standard error.
 * SECRETS   What the caller writes there.
 */
#ifndef CLI_OWN_SIGNER_H
#define CLI_OWN_SIGNER_H

#include <limits.h>
#include <sys/types.h>

#include "base/error.h"

struct own_signer {
    char directory[PATH_MAX];
    pid_t pid; /* 0: not running */
    uint16_t port;
    const char *program; /* to start, borrowed; NULL: this one */
    uint64_t ready_ns;   /* from exec to /readyz */
};

/* Makes the directory containment-chamber-`what`-... below `below`. */
CC_ERR own_signer_make(const char *below, const char *what, struct own_signer *ret_signer);
/* `name` in the directory. */
CC_ERR
own_signer_path(const struct own_signer *signer, const char *name, char out[static PATH_MAX]);
/* Runs a subcommand to its end; its standard output to `out` (-1: to the log as well). */
CC_ERR own_signer_run(const struct own_signer *signer, char *const *argv, int out);
/* Starts `server`, and waits until a signature would succeed. */
CC_ERR own_signer_spawn(struct own_signer *signer, char *const *argv);
CC_ERR own_signer_wait(struct own_signer *signer);
CC_ERR own_signer_end(struct own_signer *signer); /* one that doesn't run is at its end */
void own_signer_remove(const char *path);

#endif
