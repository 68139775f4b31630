/* aws/environment.h - the variables of AWS_INPUT_ENVIRONMENT.
 *
 * WHAT      Looks a name up in a text of NAME=value parts, each ended by a zero byte.
 * PROMISE   The first of a name counts; a part without '=' is none.
 * THREADS   Any: pure.   OWNERSHIP Borrows: values point into the text.   ERRORS None.   SECRETS Values may be.
 */
#ifndef AWS_ENVIRONMENT_H
#define AWS_ENVIRONMENT_H

#include "base/span.h"

/* The value of `name`; an empty span where there is none, or it is empty. */
struct span aws_environment_get(struct span text, const char *name);

#endif
