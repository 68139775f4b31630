/* Attestation documents, and what else a verifier reads: spans lie in the bytes, user data have one form, and nothing that the
 * fuzzer makes holds under AWS's root. The document's own root is trusted once, so that its certificates are read too.
 */
#include <stdlib.h>
#include <string.h>

#include "attest/binding.h"
#include "attest/root.h"
#include "attest/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void assert_inside(struct span part, const uint8_t *bytes, size_t size)
{
    cc_assert(part.data >= bytes && part.data + part.len <= bytes + size);
}

static void look_at_binding(struct span user_data)
{
    struct attest_binding binding;
    uint8_t again[ATTEST_BINDING_MAX];
    if (attest_binding_decode(user_data, &binding).code)
        return;
    size_t len = attest_binding_encode(&binding, again);
    cc_assert(span_equal(span_of(again, len), user_data));
}

static void look_at_document(const uint8_t *bytes, size_t size)
{
    struct attest_document d;
    struct attest_document again;
    struct attest_policy policy = {.any_pcrs = true, .allow_zero_pcrs = true};
    if (attest_document_parse(span_of(bytes, size), &d).code) {
        cc_assert(
            error_is(attest_verify(span_of(bytes, size), &policy, &again), ERROR_ATTEST_FORMAT));
        return;
    }
    assert_inside(d.payload, bytes, size);
    assert_inside(d.signature, bytes, size);
    cc_assert(d.signature.len == ATTEST_SIGNATURE_SIZE);
    cc_assert(d.bundle_count >= 1 && d.bundle_count <= ATTEST_BUNDLE_MAX);
    for (uint32_t i = 0; i < d.bundle_count; i++)
        assert_inside(d.bundle[i], bytes, size);
    assert_inside(d.certificate, bytes, size);
    if (d.has_user_data) {
        assert_inside(d.user_data, bytes, size);
        look_at_binding(d.user_data);
    }
    cc_assert(attest_verify(span_of(bytes, size), &policy, &again).code);
    policy.root_der = d.bundle[0];
    (void)attest_verify(span_of(bytes, size), &policy, &again).code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *bytes = malloc(size ? size : 1);
    cc_assert(bytes);
    if (size)
        memcpy(bytes, data, size);
    struct buf decoded = buf_init(1 << 20);
    look_at_document(bytes, size);
    look_at_binding(span_of(bytes, size));
    if (!attest_bytes_decode(span_of(bytes, size), &decoded).code)
        cc_assert(decoded.len > 0 && decoded.len <= size);
    buf_release(&decoded);
    decoded = buf_init(1 << 20);
    if (!attest_root_decode(span_of(bytes, size), &decoded).code)
        cc_assert(decoded.len > 0 && decoded.len <= size);
    buf_release(&decoded);
    struct attest_pcrs pcrs = {.present = 0};
    if (!attest_pcrs_add(&pcrs, span_of(bytes, size)).code)
        cc_assert(__builtin_popcount(pcrs.present) == 1);
    free(bytes);
    return 0;
}
