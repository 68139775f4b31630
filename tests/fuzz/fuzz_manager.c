/* The headers of a signed management request (three lines), the record of the management keys (anything that begins with '{'), and a row of
 * auth.owner_keys: refused, or there is one way to write what they say.
 */
#include <string.h>

#include "base/alloc.h"

#include "auth/owner.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct span line(struct span *left)
{
    const uint8_t *end = left->len ? memchr(left->data, '\n', left->len) : NULL;
    const size_t len = end ? (size_t)(end - left->data) : left->len;
    const struct span taken = span_of(left->data, len);
    *left = span_of(left->data + len + (end != NULL), left->len - len - (end != NULL));
    return taken;
}

static void read_headers(struct span text)
{
    static const uint8_t nobody[ED25519_PUBLIC_SIZE] = {1};
    const struct manager_request request = {
        .method = "GET", .path = "/", .scheme = "http", .authority = span_str("h")};
    struct manager_headers headers;
    struct manager_signature signature;
    headers.input = line(&text);
    headers.signature = line(&text);
    headers.digest = line(&text);
    if (manager_signature_parse(&headers, &signature).code)
        return;
    cc_assert(strlen(signature.keyid) == MANAGER_KEYID_SIZE - 1);
    cc_assert(signature.parameters.len && signature.parameters.data[0] == '(');
    cc_assert(signature.parameters.data + signature.parameters.len ==
              headers.input.data + headers.input.len);
    cc_assert(error_is(manager_verify(&signature, &request, nobody), ERROR_UNAUTHENTICATED));
}

static void read_record(struct span text)
{
    struct managers managers, again;
    struct buf out = buf_init(MANAGERS_STORED_MAX);
    uint8_t *copy = cc_alloc(text.len + 1);
    cc_assert(copy);
    memcpy(copy, text.data, text.len);
    if (!managers_parse(copy, text.len, &managers).code) {
        cc_assert(!managers_write(&managers, &out).code);
        cc_assert(!managers_parse(out.data, out.len, &again).code);
        cc_assert(memcmp(&managers, &again, sizeof again) == 0);
    }
    buf_release(&out);
    cc_free(copy);
}

static void read_row(struct span text)
{
    struct owner_key key;
    if (owner_key_parse(text, &key).code)
        return;
    cc_assert(policy_is_name(span_str(key.name)));
    cc_assert(strlen(key.keyid) == MANAGER_KEYID_SIZE - 1);
    cc_assert(text.len == 64 || text.len == strlen(key.name) + 1 + 64);
}

static bool is_key_text(struct span text)
{
    uint8_t seed[ED25519_SEED_SIZE];
    return !manager_text_parse(text, seed).code || !owner_text_parse(text, seed).code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct span text = span_of(data, size);
    read_row(text);
    if (size && data[0] == '{')
        read_record(text);
    else if (!is_key_text(text))
        read_headers(text);
    return 0;
}
