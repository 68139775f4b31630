/* aws/session.h - region, endpoints and credentials that all clients of one process share.
 *
 * WHAT      Opened once from the configuration and what lies outside of it (aws/inputs.h); clients (aws/client.h) borrow it.
 * PROMISE   Credentials are fetched at first use and again before they expire, on the thread that needs them; while a
 *           renewal fails the old ones are used until they end. One thread renews, the others go on with the old ones.
 *           With an account, credentials of another one are never given out: STS is asked whose they are after each fetch.
 * THREADS   Any, after aws_session_open(), which is called before any thread is made and before the sandbox's lock.
 * OWNERSHIP The session is closed after its clients. Configuration and inputs are borrowed for its life.
 * ERRORS    CONFIG (no region), AWS_CREDENTIALS, AWS_ACCOUNT, AWS_UNREACHABLE, NO_MEMORY, MEMLOCK.
 * SECRETS   The credentials, in a locked region (secret_map()); wiped at close.
 */
#ifndef AWS_SESSION_H
#define AWS_SESSION_H

#include "aws/credentials.h"
#include "aws/endpoint.h"
#include "aws/inputs.h"
#include "config/config.h"

struct aws_session;

CC_ERR aws_session_open(const struct aws_config *config,
                        const struct aws_inputs *inputs,
                        struct aws_session **ret_session);
void aws_session_close(struct aws_session *session);
/* Credentials that don't come from the chain (aws/chain.h). */
struct aws_source {
    cc_err (*fetch)(void *context, struct aws_credentials *ret_credentials); /* may take seconds */
    void *context;
};
/* From now on they come from there, and from nowhere else. Before they are asked for. */
void aws_session_source(struct aws_session *session, const struct aws_source *source);
/* From now on credentials count only if they are of this account; "": any. Before they are asked for. */
void aws_session_pin(struct aws_session *session, const char *account);
/* The account; "": any. */
const char *aws_session_account(const struct aws_session *session);

const char *aws_session_region(const struct aws_session *session);
/* The authorities that TLS is checked against, PEM; empty: the system's. */
struct span aws_session_ca_bundle(const struct aws_session *session);
/* The endpoint of `service` ("dynamodb", "kms", "sts"): the configuration's, or the regional one of AWS. */
CC_ERR aws_session_endpoint(const struct aws_session *session,
                            const char *service,
                            char ret_url[static AWS_ENDPOINT_MAX]);

/* The same in another region; empty: the session's. A URL of the configuration or the environment is that of every region. */
CC_ERR aws_session_endpoint_in(const struct aws_session *session,
                               const char *service,
                               const char *region,
                               char ret_url[static AWS_ENDPOINT_MAX]);

/* Copies credentials that are good now to locked memory of the caller's. `stale`: the key id that a service has just
 * refused ("": none); other ones are fetched unless that has happened already. May take seconds when they are fetched.
 */
CC_ERR aws_session_credentials(struct aws_session *session,
                               const char *stale,
                               struct aws_credentials *ret_credentials);

#endif
