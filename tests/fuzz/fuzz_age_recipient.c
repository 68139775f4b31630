/* A recipient of age files: refused, or one whose own text reads as itself and that a file can be encrypted to. */
#include <stdlib.h>
#include <string.h>

#include "crypto/age.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct age_recipient recipient;
    struct age_recipient again;
    uint8_t *text = malloc(size ? size : 1);
    cc_assert(text);
    if (size)
        memcpy(text, data, size);
    cc_err err = age_recipient_parse(span_of(text, size), &recipient);
    if (!err.code) {
        struct buf out = buf_init(AGE_RECIPIENT_TEXT_MAX);
        struct buf file = buf_init(1024);
        cc_assert(!age_recipient_write(&recipient, &out).code);
        cc_assert(out.len <= size && memcmp(out.data, text, out.len) == 0);
        cc_assert(!age_recipient_parse(buf_span(&out), &again).code);
        cc_assert(again.kind == recipient.kind &&
                  memcmp(again.key, recipient.key, sizeof again.key) == 0);
        cc_assert(!age_encrypt(&recipient, 1, span_of("x", 1), AGE_ARMOUR, &file).code);
        buf_release(&out);
        buf_release(&file);
    }
    free(text);
    return 0;
}
