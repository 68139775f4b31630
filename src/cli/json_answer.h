/* cli/json_answer.h - a request to a service that answers in JSON.
 *
 * WHAT      One request by cli/signer_client.h, and its answer read.
 * PROMISE   CC_OK means that a whole answer came; that of a 200 is JSON. Nothing of it stays in memory that is not the caller's.
 * THREADS   Main only: what reads an answer is too large for a stack.
 * OWNERSHIP json_answer_release() wipes and frees; it takes zeros.
 * ERRORS    As signer_ask(); JSON_*.
 * SECRETS   What the answer holds.
 */
#ifndef CLI_JSON_ANSWER_H
#define CLI_JSON_ANSWER_H

#include "cli/signer_client.h"
#include "codec/json.h"

struct json_answer {
    int status;
    struct buf text;
    struct jdoc doc; /* of a 200's text */
};

CC_ERR json_ask(const struct signer *signer,
                const char *method,
                const char *target,
                struct span body,
                struct json_answer *ret_answer);
void json_answer_release(struct json_answer *answer);

/* The text of a member; false when there is none. */
bool json_member_text(struct jval object, const char *name, struct span *ret_text);

#endif
