#include "aws/answer.h"

#include "aws/time.h"
#include "codec/json.h"
#include "secret/wipe.h"

enum {
    JSON_TOKENS_MAX = 4096
};

static const struct form {
    const char *within; /* the object that holds the members; NULL: the outermost */
    const char *key_id;
    const char *secret;
    const char *token;
    const char *expires;
    bool milliseconds;
} forms[AWS_ANSWER_FORM_END] = {
    [AWS_ANSWER_METADATA] = {NULL, "AccessKeyId", "SecretAccessKey", "Token", "Expiration", false},
    [AWS_ANSWER_PROCESS] = {NULL, "AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration",
                            false},
    [AWS_ANSWER_SSO] = {"roleCredentials", "accessKeyId", "secretAccessKey", "sessionToken",
                        "expiration", true},
};

/* A member that is a text; empty where there is none. */
static cc_err text_of(struct jval object, const char *name, struct span *ret_text)
{
    struct jval value;
    *ret_text = span_of(NULL, 0);
    if (!jval_member(object, name, &value) || jval_type(value) == JVAL_NULL)
        return CC_OK;
    if (jval_text(value, ret_text).code)
        return CC_FAIL(AWS_CREDENTIALS, "a credential is no text");
    return CC_OK;
}

static cc_err read_expiry(struct jval object, const struct form *form, int64_t *ret_expires)
{
    struct jval value;
    struct span text;
    uint64_t number = 0;
    *ret_expires = 0;
    if (!jval_member(object, form->expires, &value) || jval_type(value) == JVAL_NULL)
        return CC_OK;
    if (form->milliseconds) {
        if (jval_u64(value, &number).code || number > INT64_MAX)
            return CC_FAIL(AWS_CREDENTIALS, "the end of the credentials is no time");
        *ret_expires = (int64_t)(number / 1000);
        return CC_OK;
    }
    if (jval_text(value, &text).code || aws_time_parse(text, ret_expires).code)
        return CC_FAIL(AWS_CREDENTIALS, "the end of the credentials is no time");
    return CC_OK;
}

static cc_err check_version(struct jval root)
{
    struct jval value;
    uint64_t version = 0;
    if (!jval_member(root, "Version", &value) || jval_u64(value, &version).code || version != 1)
        return CC_FAIL(AWS_CREDENTIALS, "credential_process: not \"Version\": 1");
    return CC_OK;
}

static cc_err
read_members(struct jval object, const struct form *form, struct aws_credentials *ret_credentials)
{
    struct span key_id, secret, token;
    int64_t expires = 0;
    CC_TRY(text_of(object, form->key_id, &key_id));
    CC_TRY(text_of(object, form->secret, &secret));
    CC_TRY(text_of(object, form->token, &token));
    CC_TRY(read_expiry(object, form, &expires));
    CC_TRY(aws_credentials_set(ret_credentials, key_id, secret, token));
    ret_credentials->expires = expires;
    return CC_OK;
}

static cc_err parse(struct jdoc *doc, struct buf *text)
{
    cc_err err = jdoc_parse(doc, text->data, text->len);
    if (err.code && !error_is(err, ERROR_NO_MEMORY))
        return CC_FAIL(AWS_CREDENTIALS, "credentials that are no JSON");
    return err;
}

CC_ERR
aws_answer_json(struct buf *text,
                enum aws_answer_form form,
                struct aws_credentials *ret_credentials)
{
    CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(JSON_TOKENS_MAX);
    CC_TRY(parse(&doc, text));
    struct jval object = jdoc_root(&doc);
    if (form == AWS_ANSWER_PROCESS)
        CC_TRY(check_version(object));
    if (forms[form].within && !jval_member(object, forms[form].within, &object))
        return CC_FAIL(AWS_CREDENTIALS, "an answer without credentials");
    return read_members(object, &forms[form], ret_credentials);
}

CC_ERR aws_answer_sso_token(struct buf *text, char *ret_token, size_t room, int64_t *ret_expires)
{
    CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(JSON_TOKENS_MAX);
    struct span token, expires;
    CC_TRY(parse(&doc, text));
    CC_TRY(text_of(jdoc_root(&doc), "accessToken", &token));
    CC_TRY(text_of(jdoc_root(&doc), "expiresAt", &expires));
    if (token.len == 0 || token.len >= room || aws_time_parse(expires, ret_expires).code)
        return CC_FAIL(AWS_CREDENTIALS, "the SSO cache has no access token");
    for (size_t i = 0; i < token.len; i++)
        if (token.data[i] <= ' ' || token.data[i] > '~')
            return CC_FAIL(AWS_CREDENTIALS, "the SSO cache has no access token");
    memcpy(ret_token, token.data, token.len);
    ret_token[token.len] = 0;
    return CC_OK;
}

/* --- XML: only what STS's answers are, plain elements ----------------------------------------------------------------- */

/* What stands between <name> and </name>, the first time. */
static bool element(struct span text, const char *name, struct span *ret_content)
{
    char tag[48];
    size_t len = strlen(name);
    cc_assert(len + 3 < sizeof tag);
    tag[0] = '<';
    memcpy(tag + 1, name, len);
    tag[len + 1] = '>';
    const uint8_t *begin = memmem(text.data, text.len, tag, len + 2);
    if (!begin)
        return false;
    begin += len + 2;
    tag[1] = '/';
    memcpy(tag + 2, name, len);
    tag[len + 2] = '>';
    const uint8_t *end = memmem(begin, text.len - (size_t)(begin - text.data), tag, len + 3);
    if (!end)
        return false;
    *ret_content = span_of(begin, (size_t)(end - begin));
    return true;
}

/* Credentials are base64 and such: what XML would have to escape is not among their characters. */
static bool plain(struct span text)
{
    return !text.len || (!memchr(text.data, '&', text.len) && !memchr(text.data, '<', text.len));
}

CC_ERR aws_answer_xml(struct span text, struct aws_credentials *ret_credentials)
{
    struct span inside, key_id, secret, token, expiry;
    int64_t expires = 0;
    if (!text.len || !element(text, "Credentials", &inside) ||
        !element(inside, "AccessKeyId", &key_id) || !element(inside, "SecretAccessKey", &secret) ||
        !element(inside, "SessionToken", &token) || !element(inside, "Expiration", &expiry))
        return CC_FAIL(AWS_CREDENTIALS, "an answer of STS without credentials");
    if (!plain(key_id) || !plain(secret) || !plain(token) || aws_time_parse(expiry, &expires).code)
        return CC_FAIL(AWS_CREDENTIALS, "an answer of STS of another form");
    CC_TRY(aws_credentials_set(ret_credentials, key_id, secret, token));
    ret_credentials->expires = expires;
    return CC_OK;
}

CC_ERR aws_answer_account(struct span text, char ret_account[static AWS_ACCOUNT_SIZE])
{
    struct span inside, account;
    if (!text.len || !element(text, "GetCallerIdentityResult", &inside) ||
        !element(inside, "Account", &account) || account.len != AWS_ACCOUNT_DIGITS)
        return CC_FAIL(AWS_CREDENTIALS, "STS does not say whose the credentials are");
    memcpy(ret_account, account.data, AWS_ACCOUNT_DIGITS);
    ret_account[AWS_ACCOUNT_DIGITS] = 0;
    return strspn(ret_account, "0123456789") == AWS_ACCOUNT_DIGITS
               ? CC_OK
               : CC_FAIL(AWS_CREDENTIALS, "STS names an account that is none");
}
