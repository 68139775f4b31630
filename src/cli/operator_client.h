/* cli/operator_client.h - the chamber's routes of ceremonies, asked and answered in words.
 *
 * WHAT      One request and its answer as JSON; a challenge that may be answered.
 * PROMISE   A refusal is printed without what a terminal would take for a command.
 * THREADS   One.
 * OWNERSHIP operator_reply_release() wipes and frees; it takes zeros.
 * ERRORS    Exit codes of app/supervisor.h, printed.
 * SECRETS   The body of an init (the setup token), the caller's to wipe. Answers hold secrets of others only encrypted to them.
 */
#ifndef CLI_OPERATOR_CLIENT_H
#define CLI_OPERATOR_CLIENT_H

#include <stdbool.h>

#include "cli/operator_challenge.h"
#include "cli/signer_client.h"

struct operator_reply {
    int status;
    struct buf text; /* as it came */
    struct buf copy; /* what `doc` points into */
    struct jdoc doc;
};

enum {
    OPERATOR_IS_OPEN = -1 /* no exit code */
};

struct operator_request {
    const struct signer *signer;
    const char *method;
    const char *target; /* below /api/v1/chamber/ */
    struct span body;
};

/* EXIT_CODE_DONE for a 2xx with JSON; for all else it says why on standard error. */
int operator_ask(const struct operator_request *request, struct operator_reply *ret_reply);
void operator_reply_release(struct operator_reply *reply);

/* Asks for a challenge and judges it; `wanted->now` is set here. OPERATOR_IS_OPEN: there is nothing to unseal; nothing was printed. */
int operator_challenge(const struct signer *signer,
                       struct challenge_wanted *wanted,
                       struct seal_challenge *ret_challenge);

/* Says on standard error what is wrong; the exit code. */
int operator_say(const char *what, cc_err err);

/* Members of an answer; what is not there is empty or 0. */
struct span operator_text(struct jval object, const char *name);
uint64_t operator_number(struct jval object, const char *name);

/* Prints text of the signer's, without control characters. */
void operator_print(void *stream, struct span text);

#endif
