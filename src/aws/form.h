/* aws/form.h - bodies and queries of name=value pairs.
 *
 * WHAT      Percent-encoding as AWS's signatures want it (RFC 3986: all but letters, digits and -._~).
 * PROMISE   A value can't end its pair.
 * THREADS   Any.   OWNERSHIP Appends to the caller's buf.   ERRORS NO_MEMORY, LIMIT.   SECRETS Tokens may pass.
 */
#ifndef AWS_FORM_H
#define AWS_FORM_H

#include "base/span.h"

/* Appends "&name=value"; without '&' to an empty buf, or after a '?'. Nothing for an empty value. */
CC_ERR aws_form_add(struct buf *out, const char *name, struct span value);

#endif
