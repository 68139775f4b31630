/* enclave/plan.h - what the init of an enclave image is told by the image.
 *
 * WHAT      Lines of a key, a space and a value: `parent-cid N` and `heartbeat-port N` (once each), `log-port N` (may be left
 *           out: no log leaves), `run PATH` (once), `argument TEXT` (any number, in their order). tools/enclave-image writes
 *           it to /etc/enclave-init; it is measured like everything else in the image.
 * PROMISE   Anything else is refused: an unknown key, one twice, a blank line, a value that doesn't fit, a last line
 *           without its end.
 * THREADS   Any: no state.
 * OWNERSHIP The plan has copies of all texts.
 * ERRORS    MALFORMED, NUMBER_RANGE, FIELD_MISSING, LIMIT.
 * SECRETS   None: a plan is public, as the image is.
 */
#ifndef ENCLAVE_PLAN_H
#define ENCLAVE_PLAN_H

#include "base/span.h"

enum {
    ENCLAVE_PATH_SIZE = 256,
    ENCLAVE_ARGUMENT_SIZE = 1024,
    ENCLAVE_ARGUMENTS_MAX = 32,
    ENCLAVE_PLAN_MAX = 64 * 1024
};

struct enclave_plan {
    uint32_t parent_cid;
    uint32_t heartbeat_port;
    uint32_t log_port; /* 0: none */
    char program[ENCLAVE_PATH_SIZE];
    char arguments[ENCLAVE_ARGUMENTS_MAX][ENCLAVE_ARGUMENT_SIZE];
    size_t argument_count;
};

CC_ERR enclave_plan_parse(struct span text, struct enclave_plan *ret_plan);

#endif
