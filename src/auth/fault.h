/* auth/fault.h - where a text about access is wrong.
 *
 * WHAT      Notes the place and the reason of what a parser refuses, and walks lists under their limits.
 * PROMISE   Nothing of the text itself gets into a fault.
 * THREADS   One per parse.   OWNERSHIP Borrows.   ERRORS MALFORMED, FIELD_TYPE.   SECRETS None.
 */
#ifndef AUTH_FAULT_H
#define AUTH_FAULT_H

#include "auth/policy.h"
#include "codec/json.h"

/* A fault with its place; always an error. */
CC_ERR fault_at(struct auth_fault *fault, const char *what, const char *fmt, ...) CC_PRINTF(3, 4);
/* `err` with the place, and its own detail as the reason. */
CC_ERR fault_from(struct auth_fault *fault, cc_err err, const char *place);

/* Checks that `list` is an array of 1 to `max` elements. `place` is also the first part of the elements' places. */
CC_ERR
fault_check_list(struct auth_fault *fault, struct jval list, uint32_t max, const char *place);
/* The text of the element `i` of the list at `place`. */
CC_ERR fault_text(struct auth_fault *fault,
                  struct jval value,
                  const char *place,
                  uint32_t i,
                  struct span *ret_text);

#endif
