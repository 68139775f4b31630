/* An envelope of KMS: refused, or all of it is where it should be. */
#include "aws/kms_envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool inside(struct span part, const uint8_t *data, size_t size)
{
    return part.data >= data && part.data + part.len <= data + size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kms_envelope envelope = {0};
    struct buf ciphertext = buf_init(KMS_ENVELOPE_MAX);
    if (!kms_envelope_parse(span_of(data, size), &envelope, &ciphertext).code) {
        cc_assert(envelope.wrapped.len == KMS_ENVELOPE_WRAPPED &&
                  inside(envelope.wrapped, data, size));
        cc_assert(envelope.iv.len == KMS_ENVELOPE_IV && inside(envelope.iv, data, size));
        cc_assert(ciphertext.len > 0 && ciphertext.len % 16 == 0 && ciphertext.len < size);
    }
    buf_release(&ciphertext);
    return 0;
}
