#include "aws/credentials.h"

#include "secret/wipe.h"

/* A line break in a credential would become a header of the request. */
static cc_err copy(char *to, size_t size, struct span text)
{
    if (text.len >= size)
        return CC_FAIL(AWS_CREDENTIALS, "a credential is too long");
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] <= ' ' || text.data[i] > '~')
            return CC_FAIL(AWS_CREDENTIALS, "a credential has a character that none can have");
    if (text.len)
        memcpy(to, text.data, text.len);
    to[text.len] = 0;
    return CC_OK;
}

CC_ERR aws_credentials_set(struct aws_credentials *ret_credentials,
                           struct span key_id,
                           struct span secret_key,
                           struct span token)
{
    if (key_id.len == 0 || secret_key.len == 0)
        return CC_FAIL(AWS_CREDENTIALS, "an access key needs its id and its secret");
    aws_credentials_wipe(ret_credentials);
    CC_TRY(copy(ret_credentials->key_id, sizeof ret_credentials->key_id, key_id));
    CC_TRY(copy(ret_credentials->secret_key, sizeof ret_credentials->secret_key, secret_key));
    return copy(ret_credentials->session_token, sizeof ret_credentials->session_token, token);
}

void aws_credentials_wipe(struct aws_credentials *credentials)
{
    wipe(credentials, sizeof *credentials);
}
