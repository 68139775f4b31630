/* cli/auth_client.h - management requests to a running signer.
 *
 * WHAT      Asks over the admin socket as its owner, or signs with a management key or an owner's (RFC 9421); a refusal is said on standard error.
 * PROMISE   A management key never leaves this process: it is taken out of struct signer before anything is sent. A request that came in the
 *           same second as the last one of its key is signed and sent again, a second later.
 * THREADS   One.
 * OWNERSHIP auth_client_release() wipes; the signer is borrowed.
 * ERRORS    Exit codes of app/supervisor.h.
 * SECRETS   The seed of a management key; the text of a new token in an answer, whose buffer the caller wipes.
 */
#ifndef CLI_AUTH_CLIENT_H
#define CLI_AUTH_CLIENT_H

#include "auth/manager.h"
#include "cli/signer_client.h"

enum {
    AUTH_ANSWER_MAX = 2 << 20
};

struct auth_client {
    struct signer *signer;
    uint8_t seed[ED25519_SEED_SIZE];
};

/* Takes a management key out of the signer's token, where it is one. */
CC_ERR auth_client_init(struct auth_client *client, struct signer *signer);
void auth_client_release(struct auth_client *client);
/* Appends the answer's body; EXIT_CODE_DONE for a 2xx. `path` is below /api/v1/chamber/auth/. */
int auth_client_ask(const struct auth_client *client,
                    const char *method,
                    const char *path,
                    struct span body,
                    struct buf *ret_answer);

#endif
