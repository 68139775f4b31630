/* aws/fault.h - what a service's refusal means.
 *
 * WHAT      The error type of an answer (JSON `__type` or `code`, header x-amzn-errortype, XML <Code>), its class
 *           (fault.def), and the error that stands for the class.
 * PROMISE   Any bytes give a result; a type that is no plain word is none.
 * THREADS   Any: pure.   OWNERSHIP Borrows; the result is by value.   ERRORS None of its own.
 * SECRETS   None: answers that refuse hold none.
 */
#ifndef AWS_FAULT_H
#define AWS_FAULT_H

#include "base/span.h"

enum {
    AWS_FAULT_TYPE_MAX = 96
};

enum aws_fault_class {
    AWS_FAULT_NONE,
    AWS_FAULT_THROTTLED,
    AWS_FAULT_BROKEN,
    AWS_FAULT_EXPIRED,
    AWS_FAULT_DENIED,
    AWS_FAULT_CLOCK,
    AWS_FAULT_REFUSED
};

struct aws_fault {
    enum aws_fault_class class;
    char type
        [AWS_FAULT_TYPE_MAX]; /* "ConditionalCheckFailedException"; "" when the answer names none */
};

/* Reads an answer with `status` (2xx: NONE). `header` is x-amzn-errortype, or "". */
void aws_fault_read(int status, const char *header, struct span body, struct aws_fault *ret_fault);

/* CC_OK for NONE, and the row of error.def for the rest. */
CC_ERR aws_fault_error(const struct aws_fault *fault);
/* True when the same call may succeed a moment later. */
bool aws_fault_is_passing(enum aws_fault_class class);

#endif
