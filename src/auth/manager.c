#include "auth/manager.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"

#include "codec/base64.h"
#include "secret/wipe.h"

static const char text_prefix[] = "cc_management_";
static const char covers_path[] = "(\"@method\" \"@path\" \"content-digest\")";
static const char covers_uri[] = "(\"@method\" \"@target-uri\" \"content-digest\")";
static const char digest_prefix[] = "sha-256=:";
static const char algorithm[] = "ed25519";

enum {
    DIGEST_LEN = sizeof digest_prefix - 1 + 44 + 1,
    LABEL_MAX = 16,
    BASE_MAX = 2048
};

/* --- the key ------------------------------------------------------------------------------------------------ */

CC_SENSITIVE void manager_text(const uint8_t seed[static ED25519_SEED_SIZE],
                               char ret_text[static MANAGER_TEXT_SIZE])
{
    struct buf text = {
        .data = (uint8_t *)ret_text, .cap = MANAGER_TEXT_SIZE, .max = MANAGER_TEXT_SIZE};
    cc_err err = buf_append_str(&text, text_prefix);
    if (!err.code)
        err = base64url_append(&text, seed, ED25519_SEED_SIZE);
    cc_assert(!err.code && text.len == MANAGER_TEXT_SIZE - 1 && text.data == (uint8_t *)ret_text);
    ret_text[text.len] = 0;
}

CC_SENSITIVE CC_ERR manager_text_parse(struct span text, uint8_t ret_seed[static ED25519_SEED_SIZE])
{
    const size_t prefix = strlen(text_prefix);
    if (text.len != MANAGER_TEXT_SIZE - 1 || !span_is(span_of(text.data, prefix), text_prefix))
        return CC_FAIL(MALFORMED, "not a management token: cc_management_ and 43 characters");
    if (base64url_decode(span_of(text.data + prefix, text.len - prefix), ret_seed,
                         ED25519_SEED_SIZE)
            .code) {
        wipe(ret_seed, ED25519_SEED_SIZE);
        return CC_FAIL(MALFORMED, "not a management token: it is not base64url");
    }
    return CC_OK;
}

static void hex_text(const uint8_t *bytes, size_t len, char *ret_text)
{
    for (size_t i = 0; i < len; i++)
        (void)snprintf(ret_text + 2 * i, 3, "%02x", bytes[i]);
}

void manager_keyid(const uint8_t public_key[static ED25519_PUBLIC_SIZE],
                   char ret_keyid[static MANAGER_KEYID_SIZE])
{
    uint8_t digest[SHA256_SIZE];
    sha256(span_of(public_key, ED25519_PUBLIC_SIZE), digest);
    hex_text(digest, SHA256_SIZE / 2, ret_keyid);
}

/* --- reading the headers ------------------------------------------------------------------------------------------ */

struct reader {
    struct span left;
};

static cc_err odd(void)
{
    return CC_FAIL(MALFORMED, "not a signature as docs/access.md has it");
}

static bool take(struct reader *r, const char *text)
{
    const size_t len = strlen(text);
    if (r->left.len < len || !span_is(span_of(r->left.data, len), text))
        return false;
    r->left = span_of(r->left.data + len, r->left.len - len);
    return true;
}

static bool is_label_byte(uint8_t c, bool first)
{
    bool lower = c >= 'a' && c <= 'z';
    bool digit = c >= '0' && c <= '9';
    return lower || (!first && (digit || c == '_' || c == '-'));
}

/* `sig1=`: both headers name their one member the same. */
static bool take_label(struct reader *r, struct span *ret_label)
{
    size_t len = 0;
    while (len < r->left.len && len <= LABEL_MAX && is_label_byte(r->left.data[len], len == 0))
        len++;
    if (len == 0 || len > LABEL_MAX)
        return false;
    *ret_label = span_of(r->left.data, len);
    r->left = span_of(r->left.data + len, r->left.len - len);
    return take(r, "=");
}

/* Digits of one number, as it is always written. */
static cc_err take_number(struct reader *r, uint64_t *ret_number)
{
    size_t len = 0;
    while (len < r->left.len && r->left.data[len] >= '0' && r->left.data[len] <= '9')
        len++;
    if (len == 0 || len > 15 || r->left.data[0] == '0')
        return odd();
    CC_TRY(u64_parse(span_of(r->left.data, len), ret_number));
    r->left = span_of(r->left.data + len, r->left.len - len);
    return CC_OK;
}

/* "…" of characters that need no escape. */
static cc_err take_string(struct reader *r, struct span *ret_text)
{
    size_t len = 0;
    if (!take(r, "\""))
        return odd();
    while (len < r->left.len && r->left.data[len] != '"') {
        const uint8_t c = r->left.data[len];
        if (c < 0x20 || c > 0x7e || c == '\\' || len >= MANAGER_NONCE_MAX)
            return odd();
        len++;
    }
    *ret_text = span_of(r->left.data, len);
    r->left = span_of(r->left.data + len, r->left.len - len);
    return take(r, "\"") ? CC_OK : odd();
}

enum parameter {
    PARAMETER_CREATED = 1 << 0,
    PARAMETER_KEYID = 1 << 1,
    PARAMETER_NONCE = 1 << 2,
    PARAMETER_ALG = 1 << 3,
    PARAMETER_NEEDED = PARAMETER_CREATED | PARAMETER_KEYID | PARAMETER_ALG
};

static unsigned take_parameter_name(struct reader *r)
{
    static const struct {
        const char *name;
        unsigned parameter;
    } names[] = {
        {";created=", PARAMETER_CREATED},
        {";keyid=", PARAMETER_KEYID},
        {";nonce=", PARAMETER_NONCE},
        {";alg=", PARAMETER_ALG},
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (take(r, names[i].name))
            return names[i].parameter;
    return 0;
}

static cc_err take_keyid(struct span text, struct manager_signature *signature)
{
    if (text.len != MANAGER_KEYID_SIZE - 1)
        return odd();
    for (size_t i = 0; i < text.len; i++)
        if (!strchr("0123456789abcdef", text.data[i]) || !text.data[i])
            return odd();
    memcpy(signature->keyid, text.data, text.len);
    signature->keyid[text.len] = 0;
    return CC_OK;
}

static cc_err
take_parameter(struct reader *r, unsigned parameter, struct manager_signature *signature)
{
    struct span text;
    if (parameter == PARAMETER_CREATED)
        return take_number(r, &signature->created);
    CC_TRY(take_string(r, &text));
    if (parameter == PARAMETER_KEYID)
        return take_keyid(text, signature);
    if (parameter == PARAMETER_ALG)
        return span_is(text, algorithm) ? CC_OK : odd();
    return text.len ? CC_OK : odd();
}

static cc_err read_input(struct span input, struct manager_signature *signature, struct span *label)
{
    struct reader r = {input};
    unsigned seen = 0;
    if (input.len > MANAGER_INPUT_MAX || !take_label(&r, label))
        return odd();
    signature->parameters = r.left;
    signature->whole_uri = take(&r, covers_uri);
    if (!signature->whole_uri && !take(&r, covers_path))
        return odd();
    while (r.left.len) {
        const unsigned parameter = take_parameter_name(&r);
        if (parameter == 0 || (seen & parameter))
            return odd();
        seen |= parameter;
        CC_TRY(take_parameter(&r, parameter, signature));
    }
    return (seen & PARAMETER_NEEDED) == PARAMETER_NEEDED ? CC_OK : odd();
}

static cc_err read_bytes(struct span header, struct manager_signature *signature, struct span label)
{
    struct reader r = {header};
    struct span same;
    size_t len = 0;
    if (header.len > MANAGER_HEADER_MAX || !take_label(&r, &same) || !span_equal(same, label) ||
        !take(&r, ":") || r.left.len != 89 || r.left.data[88] != ':')
        return odd();
    if (base64_decode(span_of(r.left.data, 88), signature->bytes, sizeof signature->bytes, &len)
            .code ||
        len != sizeof signature->bytes)
        return odd();
    return CC_OK;
}

static cc_err check_digest(struct span digest)
{
    uint8_t bytes[SHA256_SIZE];
    size_t len = 0;
    struct reader r = {digest};
    if (digest.len != DIGEST_LEN || !take(&r, digest_prefix) || r.left.data[44] != ':' ||
        base64_decode(span_of(r.left.data, 44), bytes, sizeof bytes, &len).code ||
        len != sizeof bytes)
        return odd();
    return CC_OK;
}

CC_ERR manager_signature_parse(const struct manager_headers *headers,
                               struct manager_signature *ret_signature)
{
    struct manager_signature signature = {.digest = headers->digest};
    struct span label = {0};
    CC_TRY(read_input(headers->input, &signature, &label));
    CC_TRY(read_bytes(headers->signature, &signature, label));
    CC_TRY(check_digest(headers->digest));
    *ret_signature = signature;
    return CC_OK;
}

/* --- what is signed ------------------------------------------------------------------------------------------------ */

static cc_err write_digest(struct span body, struct buf *out)
{
    uint8_t digest[SHA256_SIZE];
    sha256(body, digest);
    CC_TRY(buf_append_str(out, digest_prefix));
    CC_TRY(base64_append(out, digest, sizeof digest));
    return buf_append_str(out, ":");
}

/* RFC 9421, section 2.5. */
static cc_err write_base(const struct manager_request *request,
                         bool whole_uri,
                         struct span parameters,
                         struct buf *out)
{
    CC_TRY(buf_printf(out, "\"@method\": %s\n", request->method));
    if (whole_uri) {
        CC_TRY(buf_printf(out, "\"@target-uri\": %s://", request->scheme));
        CC_TRY(buf_append(out, request->authority.data, request->authority.len));
        CC_TRY(buf_printf(out, "%s\n", request->path));
    } else {
        CC_TRY(buf_printf(out, "\"@path\": %s\n", request->path));
    }
    CC_TRY(buf_append_str(out, "\"content-digest\": "));
    CC_TRY(write_digest(request->body, out));
    CC_TRY(buf_append_str(out, "\n\"@signature-params\": "));
    return buf_append(out, parameters.data, parameters.len);
}

CC_ERR manager_verify(const struct manager_signature *signature,
                      const struct manager_request *request,
                      const uint8_t public_key[static ED25519_PUBLIC_SIZE])
{
    CC_CLEANUP(buf_release) struct buf base = buf_init(BASE_MAX);
    CC_CLEANUP(buf_release) struct buf digest = buf_init(MANAGER_HEADER_MAX);
    if (signature->whole_uri && request->authority.len == 0)
        return CC_FAIL(UNAUTHENTICATED, NULL);
    CC_TRY(write_digest(request->body, &digest));
    if (!span_equal(buf_span(&digest), signature->digest))
        return CC_FAIL(UNAUTHENTICATED, NULL);
    CC_TRY(write_base(request, signature->whole_uri, signature->parameters, &base));
    if (ed25519_verify(public_key, buf_span(&base), signature->bytes).code)
        return CC_FAIL(UNAUTHENTICATED, NULL);
    return CC_OK;
}

/* --- signing --------------------------------------------------------------------------------------------------------- */

static cc_err copy_text(const struct buf *from, char *to, size_t size)
{
    if (from->len >= size)
        return CC_FAIL(LIMIT, "a signature's header is too long");
    memcpy(to, from->data, from->len);
    to[from->len] = 0;
    return CC_OK;
}

static cc_err write_signature(const uint8_t *seed, struct span base, struct manager_signed *ret)
{
    uint8_t bytes[ED25519_SIGNATURE_SIZE];
    CC_CLEANUP(buf_release) struct buf text = buf_init(MANAGER_HEADER_MAX);
    ed25519_sign(seed, base, bytes);
    CC_TRY(buf_append_str(&text, "sig1=:"));
    CC_TRY(base64_append(&text, bytes, sizeof bytes));
    CC_TRY(buf_append_str(&text, ":"));
    return copy_text(&text, ret->signature, sizeof ret->signature);
}

CC_SENSITIVE CC_ERR manager_sign(const uint8_t seed[static ED25519_SEED_SIZE],
                                 const struct manager_request *request,
                                 uint64_t created,
                                 const char *nonce,
                                 struct manager_signed *ret_signed)
{
    uint8_t public_key[ED25519_PUBLIC_SIZE];
    char keyid[MANAGER_KEYID_SIZE];
    CC_CLEANUP(buf_release) struct buf digest = buf_init(MANAGER_HEADER_MAX);
    CC_CLEANUP(buf_release) struct buf base = buf_init(BASE_MAX);
    const bool whole_uri = request->authority.len > 0;
    ed25519_public(seed, public_key);
    manager_keyid(public_key, keyid);
    const int len =
        snprintf(ret_signed->input, sizeof ret_signed->input,
                 "sig1=%s;created=%" PRIu64 ";keyid=\"%s\";nonce=\"%s\";alg=\"%s\"",
                 whole_uri ? covers_uri : covers_path, created, keyid, nonce, algorithm);
    if (len < 0 || (size_t)len >= sizeof ret_signed->input)
        return CC_FAIL(LIMIT, "a signature's header is too long");
    CC_TRY(write_digest(request->body, &digest));
    CC_TRY(copy_text(&digest, ret_signed->digest, sizeof ret_signed->digest));
    CC_TRY(write_base(request, whole_uri, span_str(ret_signed->input + strlen("sig1=")), &base));
    return write_signature(seed, buf_span(&base), ret_signed);
}
