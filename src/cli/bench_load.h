/* cli/bench_load.h - one load on a signer.
 *
 * WHAT      A client of kept-alive connections on loopback, in one thread over epoll, that costs a few microseconds a request:
 *           it shares the processors with what it measures.
 *             closed  each connection sends its next request when the last one is answered
 *             open    requests are due at a fixed rate, whatever the answers do
 *             slot    all keys' messages are due at once, slot after slot
 * PROMISE   In open and slot loads a latency counts from when the request was due, also while no connection was free to send
 *           it: a signer that stalls can't hide the requests that it kept from being sent. A key has never two messages under
 *           way. No answer is counted that does not hold all its signatures.
 * THREADS   One; nothing else is needed.
 * OWNERSHIP Borrows plan and source; bench_result_release() frees a result's slots.
 * ERRORS    SYSTEM (a socket, or a connection that was closed), PROTOCOL (an answer that can't be read), BUSY (no answer for ten
 *           seconds), NO_MEMORY.
 * SECRETS   None.
 */
#ifndef CLI_BENCH_LOAD_H
#define CLI_BENCH_LOAD_H

#include <stdatomic.h>

#include "base/error.h"

#include "cli/bench_histogram.h"
#include "cli/bench_request.h"

enum bench_mode {
    BENCH_CLOSED,
    BENCH_OPEN,
    BENCH_SLOT
};

enum {
    BENCH_CONNECTIONS_MAX = 4096
};

struct bench_plan {
    enum bench_mode mode;
    uint16_t port;
    unsigned connections;
    unsigned batch;      /* messages in a request; 0: single requests */
    uint64_t warm_ns;    /* not counted; slot loads leave the first slot out */
    uint64_t run_ns;     /* counted */
    double per_second;   /* open: messages */
    uint64_t slot_ns;    /* slot: between two slots */
    atomic_bool *ending; /* set: stop now */
};

struct bench_result {
    uint64_t messages;   /* sent, warm-up included: the source's next one */
    uint64_t signatures; /* received, warm-up included */
    uint64_t refused;    /* 503 */
    uint64_t failures;   /* anything else */
    char failure[256];   /* how the first failure began */
    double counted;      /* signatures that belong to `counted_ns` */
    uint64_t counted_ns;
    uint64_t client_cpu_ns;
    struct bench_histogram latency; /* of requests */
    uint64_t *slot_ns;              /* slot: from due to the last answer, each counted slot */
    size_t slots;
};

CC_ERR bench_load_run(const struct bench_plan *plan,
                      const struct bench_source *source,
                      struct bench_result *ret_result);
void bench_result_release(struct bench_result *result);

/* A request that is no load: sends `request`, appends the whole answer to `answer`. */
CC_ERR bench_ask(uint16_t port, const char *request, struct buf *answer);

#endif
