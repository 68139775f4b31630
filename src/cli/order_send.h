/* cli/order_send.h - has the rooms carry out an order while no signer runs.
 *
 * WHAT      Starts vault and core for one order (core/order.h), and reads the answer.
 * PROMISE   An answer is complete when the exit code is EXIT_CODE_DONE.
 * THREADS   Main only.   OWNERSHIP The answer is the caller's.   ERRORS Exit codes of app/supervisor.h.   SECRETS None.
 */
#ifndef CLI_ORDER_SEND_H
#define CLI_ORDER_SEND_H

#include "app/supervisor.h"
#include "cli/progress.h"

/* An order that may be long: what is said of it meanwhile. */
struct order_watch {
    const char *what; /* "verifying" */
    enum progress_how how;
};

/* Where a signer runs with the data directory it says "stop it first"; `when_runs` is what order_send_or() says instead. */
int order_send_or(const struct supervisor_source *source,
                  struct config *config,
                  struct span order,
                  const char *when_runs,
                  struct buf *ret_answer);
/* `watch` NULL: it is short. */
int order_send(const struct supervisor_source *source,
               struct config *config,
               struct span order,
               const struct order_watch *watch,
               struct buf *ret_answer);
/* Prints an answer for people; with `json` as {"report": [LINE, ...]}. `command` is whose errors are said. */
int order_print(const char *command, const struct buf *answer, bool json);

#endif
