#include "aws/kms.h"

#include "base/alloc.h"

#include "codec/base64.h"
#include "codec/json.h"
#include "secret/wipe.h"

enum {
    ANSWER_TOKENS = 256
};

static const char algorithm[] = "SYMMETRIC_DEFAULT";

const struct aws_service kms_service = {"kms", "TrentService", "application/x-amz-json-1.1"};

/* --- requests --------------------------------------------------------------------------------------------------- */

/* What has to be escaped isn't sent: all that stands there is ours. */
static bool is_plain(const char *text)
{
    for (const char *at = text; *at; at++)
        if (*at < ' ' || *at > '~' || *at == '"' || *at == '\\')
            return false;
    return true;
}

static cc_err put_context(const struct kms_request *request, struct buf *body)
{
    for (size_t i = 0; i < request->context_count; i++) {
        const struct kms_pair *pair = &request->context[i];
        cc_assert(is_plain(pair->name) && is_plain(pair->value));
        CC_TRY(buf_printf(body, "%s\"%s\":\"%s\"", i ? "," : ",\"EncryptionContext\":{", pair->name,
                          pair->value));
    }
    return request->context_count ? buf_append_str(body, "}") : CC_OK;
}

static cc_err begin(const struct kms_request *request, struct buf *body)
{
    cc_assert(kms_arn_check(span_str(request->key_arn)));
    CC_TRY(buf_printf(body, "{\"KeyId\":\"%s\",\"EncryptionAlgorithm\":\"%s\"", request->key_arn,
                      algorithm));
    return put_context(request, body);
}

/* base64url, which is coded in constant time, in the alphabet of base64. */
static void to_standard(uint8_t *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const int c = text[i];
        const int is_minus = ((c ^ '-') - 1) >> 8;
        const int is_line = ((c ^ '_') - 1) >> 8;
        text[i] = (uint8_t)(c ^ (is_minus & ('-' ^ '+')) ^ (is_line & ('_' ^ '/')));
    }
}

static void to_url(uint8_t *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const int c = text[i];
        /* What is of the other alphabet is of none. */
        const int is_plus = ((c ^ '+') - 1) >> 8;
        const int is_slash = ((c ^ '/') - 1) >> 8;
        const int is_foreign = (((c ^ '-') - 1) >> 8) | (((c ^ '_') - 1) >> 8);
        const int mapped = c ^ (is_plus & ('+' ^ '-')) ^ (is_slash & ('/' ^ '_'));
        text[i] = (uint8_t)(mapped | (is_foreign & 0xff));
    }
}

CC_SENSITIVE CC_ERR kms_encrypt_body(const struct kms_request *request,
                                     struct span plain,
                                     struct buf *body)
{
    static const char pads[] = "==";
    if (plain.len == 0 || plain.len > KMS_PLAIN_MAX)
        return CC_FAIL(LIMIT, "KMS: the length of a plain text");
    CC_TRY(begin(request, body));
    CC_TRY(buf_append_str(body, ",\"Plaintext\":\""));
    const size_t at = body->len;
    CC_TRY(base64url_append(body, plain.data, plain.len));
    to_standard(body->data + at, body->len - at);
    CC_TRY(buf_append(body, pads, (3 - plain.len % 3) % 3));
    return buf_append_str(body, "\"}");
}

static cc_err put_recipient(const struct kms_request *request, struct buf *body)
{
    if (request->document.len == 0)
        return CC_OK;
    CC_TRY(buf_append_str(
        body,
        ",\"Recipient\":{\"KeyEncryptionAlgorithm\":\"RSAES_OAEP_SHA_256\",\"AttestationDocument\":\""));
    CC_TRY(base64_append(body, request->document.data, request->document.len));
    return buf_append_str(body, "\"}");
}

CC_ERR
kms_decrypt_body(const struct kms_request *request, struct span ciphertext, struct buf *body)
{
    if (ciphertext.len == 0 || ciphertext.len > KMS_CIPHERTEXT_MAX)
        return CC_FAIL(LIMIT, "KMS: the length of a ciphertext");
    CC_TRY(begin(request, body));
    CC_TRY(buf_append_str(body, ",\"CiphertextBlob\":\""));
    CC_TRY(base64_append(body, ciphertext.data, ciphertext.len));
    CC_TRY(buf_append_str(body, "\""));
    CC_TRY(put_recipient(request, body));
    return buf_append_str(body, "}");
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

/* Who asked the signer has not sent that JSON. */
static cc_err parse(struct jdoc *doc, struct buf *text)
{
    const cc_err err = jdoc_parse(doc, text->data, text->len);
    return err.code && !error_is(err, ERROR_NO_MEMORY)
               ? CC_FAIL(KMS_ANSWER, "KMS: its answer is not JSON")
               : err;
}

static cc_err text_of(struct jval root, const char *name, struct span *ret_text)
{
    struct jval value;
    if (!jval_member(root, name, &value) || jval_text(value, ret_text).code)
        return CC_FAIL(KMS_ANSWER, "KMS: a member of its answer is missing, or no text");
    return CC_OK;
}

static cc_err check(struct jval root, const char *key_arn)
{
    struct jval value;
    struct span text;
    CC_TRY(text_of(root, "KeyId", &text));
    if (!span_is(text, key_arn))
        return CC_FAIL(KMS_ANSWER, "KMS has used another key than the one that was named");
    if (!jval_member(root, "EncryptionAlgorithm", &value))
        return CC_OK;
    if (jval_text(value, &text).code || !span_is(text, algorithm))
        return CC_FAIL(KMS_ANSWER, "KMS has used another algorithm");
    return CC_OK;
}

static cc_err read_blob(struct span coded, uint8_t *ret_blob, size_t max, uint32_t *ret_len)
{
    size_t len = 0;
    if (base64_decode(coded, ret_blob, max, &len).code || len == 0)
        return CC_FAIL(KMS_ANSWER, "KMS: a ciphertext that is too long, or no base64");
    *ret_len = (uint32_t)len;
    return CC_OK;
}

CC_ERR kms_encrypt_read(
    struct buf *text, const char *key_arn, uint8_t *ret_ciphertext, size_t max, uint32_t *ret_len)
{
    CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(ANSWER_TOKENS);
    struct span blob;
    CC_TRY(parse(&doc, text));
    CC_TRY(check(jdoc_root(&doc), key_arn));
    CC_TRY(text_of(jdoc_root(&doc), "CiphertextBlob", &blob));
    return read_blob(blob, ret_ciphertext, max, ret_len);
}

CC_SENSITIVE static cc_err read_plain(struct span coded, uint8_t *ret_plain, size_t len)
{
    uint8_t url[(KMS_PLAIN_MAX * 8 + 5) / 6];
    const size_t digits = (len * 8 + 5) / 6;
    const size_t pads = (3 - len % 3) % 3;
    if (coded.len != digits + pads)
        return CC_FAIL(KMS_ANSWER, "KMS: a plain text of another length");
    for (size_t i = 0; i < pads; i++)
        if (coded.data[digits + i] != '=')
            return CC_FAIL(KMS_ANSWER, "KMS: a plain text that is no base64");
    memcpy(url, coded.data, digits);
    to_url(url, digits);
    const cc_err err = base64url_decode(span_of(url, digits), ret_plain, len);
    wipe(url, digits);
    return err.code ? CC_FAIL(KMS_ANSWER, "KMS: a plain text that is no base64") : CC_OK;
}

CC_ERR
kms_decrypt_read(struct buf *text, const char *key_arn, uint8_t *ret_plain, size_t len)
{
    struct jdoc doc = jdoc_init(ANSWER_TOKENS);
    struct span coded = {0};
    cc_assert(len > 0 && len <= KMS_PLAIN_MAX);
    cc_err err = parse(&doc, text);
    if (!err.code)
        err = check(jdoc_root(&doc), key_arn);
    if (!err.code)
        err = text_of(jdoc_root(&doc), "Plaintext", &coded);
    if (!err.code)
        err = read_plain(coded, ret_plain, len);
    if (err.code)
        wipe(ret_plain, len);
    jdoc_wipe(&doc);
    jdoc_release(&doc);
    return err;
}

/* Absent, null, or empty: all three are to be met. */
static bool has_plain(struct jval root)
{
    struct jval value;
    struct span text;
    return jval_member(root, "Plaintext", &value) && jval_type(value) != JVAL_NULL &&
           (jval_text(value, &text).code || text.len != 0);
}

CC_ERR kms_decrypt_read_envelope(
    struct buf *text, const char *key_arn, uint8_t *ret_envelope, size_t max, uint32_t *ret_len)
{
    struct jdoc doc = jdoc_init(ANSWER_TOKENS);
    struct span blob = {0};
    cc_err err = parse(&doc, text);
    if (!err.code)
        err = check(jdoc_root(&doc), key_arn);
    if (!err.code && has_plain(jdoc_root(&doc)))
        err = CC_FAIL(KMS_ANSWER, "KMS: a plain text where an envelope was asked for");
    if (!err.code)
        err = text_of(jdoc_root(&doc), "CiphertextForRecipient", &blob);
    if (!err.code)
        err = read_blob(blob, ret_envelope, max, ret_len);
    jdoc_wipe(&doc);
    jdoc_release(&doc);
    return err;
}
