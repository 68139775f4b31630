/* The fence of a key directory: refused, or the id that its text shows. */
#include "keys/fence.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t id[FENCE_ID_SIZE];
    cc_err err = fence_parse(span_of(data, size), id);
    cc_assert(err.code ? error_is(err, ERROR_KEY_FENCED) : size < FENCE_TEXT_MAX);
    return 0;
}
