/* Any bytes as a password: refused, or prepared to decomposed UTF-8 without control codes. Preparing it again may only put
 * marks in order that a control code stood between: EIP-2335 strips after the decomposition.
 */
#include "codec/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t once[2048];
    uint8_t twice[2048];
    size_t len;
    size_t again;
    if (utf8_password(span_of(data, size), once, sizeof once, &len).code)
        return 0;
    cc_assert(len <= sizeof once);
    for (size_t i = 0; i < len; i++)
        cc_assert(once[i] >= 0x20 && once[i] != 0x7f);
    cc_assert(!utf8_password(span_of(once, len), twice, sizeof twice, &again).code);
    cc_assert(again == len);
    return 0;
}
