/* cli/auth_print.h - answers about access control, for people.
 *
 * WHAT      From the JSON of an answer to lines on standard output.
 * PROMISE   What a signer says is printed only where it is text that can't steer a terminal. A new token goes to standard output alone,
 *           and everything about it to standard error.
 * THREADS   Main only.   OWNERSHIP Borrows; the answer's text is changed.
 * ERRORS    Exit codes of app/supervisor.h.
 * SECRETS   A new token, on its way to standard output.
 */
#ifndef CLI_AUTH_PRINT_H
#define CLI_AUTH_PRINT_H

#include "base/span.h"

typedef int auth_print_fn(struct buf *answer);

auth_print_fn auth_print_json; /* as it is */
auth_print_fn auth_print_names, auth_print_tokens, auth_print_new_token;
auth_print_fn auth_print_changed, auth_print_unlatched;

#endif
