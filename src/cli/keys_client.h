/* cli/keys_client.h - the chamber's key routes of a running signer, asked and answered in words.
 *
 * WHAT      One request, its answer as JSON, what it says of each key, and the exit code that this is.
 * PROMISE   An answer that says `error` of one key never ends with EXIT_CODE_DONE.
 * THREADS   One.
 * OWNERSHIP keys_reply_release() frees; it takes zeros.
 * ERRORS    Exit codes of app/supervisor.h, printed.
 * SECRETS   The body of an import; it is the caller's to wipe.
 */
#ifndef CLI_KEYS_CLIENT_H
#define CLI_KEYS_CLIENT_H

#include <stdbool.h>
#include <stdio.h>

#include "base/span.h"

#include "cli/signer_client.h"
#include "codec/json.h"

/* What the signer said. */
struct keys_reply {
    int status;
    struct buf text;
    struct jdoc doc; /* of `text`; nothing in it unless `parsed` */
    bool parsed;
};

/* Says what is wrong, on standard error; the exit code. */
int keys_say(const char *what, cc_err err);
struct keys_request {
    const struct signer *signer;
    const char *method;
    const char *target;
    struct span body;
    bool print;       /* a 200's body on standard output, as it came */
    const char *lead; /* and this before it; NULL: nothing */
};

/* Asks. EXIT_CODE_DONE for a 200 that can be read; for all else it prints and says why. */
int keys_ask(const struct keys_request *request, struct keys_reply *ret_reply);
void keys_reply_release(struct keys_reply *reply);

/* Members of an answer; what is not there is empty, false or nothing. */
struct span keys_text(struct jval object, const char *name);
bool keys_flag(struct jval object, const char *name);
struct jval_iter keys_data(const struct keys_reply *reply);

#endif
