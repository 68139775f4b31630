/* enclave/serve.h - the one program of an enclave: started, its log carried out, its end noticed.
 *
 * WHAT      Runs the plan's program with nothing in its environment and /dev/null as standard input, relays what it writes,
 *           and reaps whatever becomes PID 1's child.
 * PROMISE   Returns only when the program has ended, and all of its log that the parent took in time is on its way.
 * THREADS   One. It blocks SIGCHLD and SIGTERM for the process; SIGTERM is passed on to the program.
 * OWNERSHIP None kept.
 * ERRORS    SYSTEM.
 * SECRETS   None.
 */
#ifndef ENCLAVE_SERVE_H
#define ENCLAVE_SERVE_H

#include <sys/types.h>

#include "enclave/plan.h"

/* How the log's connection is made: ground_connect() in an enclave. */
typedef cc_err (*serve_connect)(uint32_t cid, uint32_t port, int *ret_fd);

struct serve {
    const struct enclave_plan *plan;
    serve_connect connect;
    int console; /* -1: none */
};

/* `ret_status` is what waitpid() gave for the program. */
CC_ERR serve_run(const struct serve *serve, int *ret_status);

#endif
