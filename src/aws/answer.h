/* aws/answer.h - credentials as the sources write them.
 *
 * WHAT      Reads credentials from the JSON of the metadata services, of credential_process, of SSO, and from the XML of
 *           STS; the access token from the SSO cache's file; whose credentials are, by STS.
 * PROMISE   Any bytes give credentials that are whole (aws/credentials.h), or an error; nothing is guessed.
 * THREADS   Any: pure.
 * OWNERSHIP Borrows; JSON is parsed in place, so its text is changed.
 * ERRORS    AWS_CREDENTIALS for anything that is not as it should be; NO_MEMORY.
 * SECRETS   All of it. The caller's text is wiped by the caller; copies here are wiped.
 */
#ifndef AWS_ANSWER_H
#define AWS_ANSWER_H

#include "aws/credentials.h"
#include "config/config.h"

enum aws_answer_form {
    AWS_ANSWER_METADATA, /* containers, IMDS: AccessKeyId, SecretAccessKey, Token, Expiration */
    AWS_ANSWER_PROCESS,  /* Version 1, AccessKeyId, SecretAccessKey, SessionToken, Expiration */
    AWS_ANSWER_SSO, /* roleCredentials: accessKeyId, secretAccessKey, sessionToken, expiration in ms */
    AWS_ANSWER_FORM_END
};

CC_ERR
aws_answer_json(struct buf *text,
                enum aws_answer_form form,
                struct aws_credentials *ret_credentials);
/* <Credentials> of AssumeRole and AssumeRoleWithWebIdentity. */
CC_ERR aws_answer_xml(struct span text, struct aws_credentials *ret_credentials);
/* accessToken, and expiresAt in seconds since 1970. */
CC_ERR aws_answer_sso_token(struct buf *text, char *ret_token, size_t room, int64_t *ret_expires);
/* <Account> of GetCallerIdentity: twelve digits, or AWS_CREDENTIALS. */
CC_ERR aws_answer_account(struct span text, char ret_account[static AWS_ACCOUNT_SIZE]);

#endif
