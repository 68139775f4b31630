/* front/readiness.h - whether a signature would succeed yet, for connections that may wait until it would.
 *
 * WHAT      Asks the core for its health until every key is loaded and a signature would succeed, or until the limit is over.
 * PROMISE   Says no more than /healthcheck and /readyz. The limit ends it where nothing else does: a chamber that only its operators open
 *           needs to be reached to be opened.
 * THREADS   The front's main thread; the exchange's callback only marks the answer.
 * OWNERSHIP readiness_release() after exchange_stop().
 * ERRORS    None: what can't be asked is asked again.
 * SECRETS   None.
 */
#ifndef FRONT_READINESS_H
#define FRONT_READINESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "front/exchange.h"

enum {
    READINESS_LIMIT_MS = 10000 /* clients give a duty up soon after */
};

struct readiness {
    struct exchange *exchange;
    struct ticket *ticket; /* NULL: nothing is asked */
    _Atomic bool answered;
    uint64_t due_ms;
    uint64_t limit_ms;
};

void readiness_init(struct exchange *exchange, uint64_t now_ms, struct readiness *ret_readiness);
/* True: wait no longer. Not to be called again then. */
bool readiness_tick(struct readiness *readiness, uint64_t now_ms);
void readiness_release(struct readiness *readiness);

#endif
