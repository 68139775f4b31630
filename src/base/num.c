#include "base/num.h"

CC_ERR u64_parse(struct span text, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (text.len == 0)
        return CC_FAIL(MALFORMED, "empty number");
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c < '0' || c > '9')
            return CC_FAIL(MALFORMED, "not a decimal number");
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(c - '0'), &value))
            return CC_FAIL(NUMBER_RANGE, "2^64 or more");
    }
    *ret_value = value;
    return CC_OK;
}
