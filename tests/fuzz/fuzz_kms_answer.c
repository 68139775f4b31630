/* What KMS, or whoever stands in its place, answers: refused, or bytes of the length that was asked for, by the key that was asked. */
#include <stdlib.h>
#include <string.h>

#include "aws/kms.h"

#define KEY "arn:aws:kms:eu-central-1:111122223333:key/0001"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct buf copy_of(const uint8_t *data, size_t size)
{
    struct buf text = buf_init(size + 1);
    cc_assert(!buf_append(&text, data, size).code);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t zeros[33];
    uint8_t plain[33];
    uint8_t blob[512];
    uint32_t len = 0;
    struct buf text = copy_of(data, size);
    memset(plain, 0xee, sizeof plain);
    const cc_err err = kms_decrypt_read(&text, KEY, plain, sizeof plain);
    cc_assert(!err.code || memcmp(plain, zeros, sizeof plain) == 0);
    cc_assert(err.code || memmem(data, size, "key", 3));
    buf_release(&text);
    text = copy_of(data, size);
    if (!kms_encrypt_read(&text, KEY, blob, sizeof blob, &len).code)
        cc_assert(len > 0 && len <= sizeof blob);
    buf_release(&text);
    return 0;
}
