/* core/enclave_secrets.h - secrets of the configuration that KMS gives to an enclave.
 *
 * WHAT      Has KMS decrypt anti_slashing.url_password_kms and its kin, and aws.dynamodb_credentials_kms, for the vault, and the vault give them here. What connects
 *           to a database asks here (sql/postgres_password.h), and so does the session that calls of DynamoDB are signed by.
 * PROMISE   KMS is asked with a document of the vault's, in the encryption context app=containment-chamber, purpose=database-password or dynamodb-credentials, so neither is
 *           opened in the place of the other, nor of a share; the answer opens in the vault alone, which gives texts and no share (vault/release.h), and a plain text of KMS is refused,
 *           whoever gave it. Each is kept until the database or AWS refuses it: then KMS is asked anew.
 * THREADS   enclave_secrets_open() and enclave_secrets_aws_session() before there are threads and before the sandbox's lock, after
 *           aws_session_open(); who needs a secret from any.
 * OWNERSHIP enclave_secrets_close() when nothing connects any more; borrows session, door of documents and configuration. The session for DynamoDB is the
 *           caller's, and borrows this.
 * ERRORS    CONFIG, NO_MEMORY, MEMLOCK, SYSTEM; a connection without its password: STORE; a call without its credentials: KMS's.
 * SECRETS   The passwords, in a locked region, as are the credentials on their way to their session.
 */
#ifndef CORE_ENCLAVE_SECRETS_H
#define CORE_ENCLAVE_SECRETS_H

#include "aws/session.h"
#include "core/documents.h"

struct enclave_secrets;

/* *ret_secrets is NULL where the configuration has none. `session`: what KMS is asked with. */
CC_ERR enclave_secrets_open(const struct config *config,
                            struct aws_session *session,
                            struct documents *documents,
                            struct enclave_secrets **ret_secrets);
/* A session whose credentials are those of aws.dynamodb_credentials_kms; NULL where there are none. Takes NULL for `secrets`. */
CC_ERR enclave_secrets_aws_session(struct enclave_secrets *secrets,
                                   const struct config *config,
                                   const struct aws_inputs *inputs,
                                   struct aws_session **ret_session);
void enclave_secrets_close(struct enclave_secrets *secrets); /* takes NULL */

#endif
