#include "codec/hex.h"

/* One more than the digit's value, so that what is not named is 0: not a digit. */
static const uint8_t digit_plus_one[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

struct span hex_digits(struct span text)
{
    if (text.len >= 2 && text.data[0] == '0' && (text.data[1] == 'x' || text.data[1] == 'X'))
        return span_of(text.data + 2, text.len - 2);
    return text;
}

static CC_ERR decode_pairs(struct span digits, uint8_t *ret_bytes)
{
    unsigned bad = 0;
    for (size_t i = 0; i < digits.len / 2; i++) {
        unsigned high = digit_plus_one[digits.data[2 * i]];
        unsigned low = digit_plus_one[digits.data[2 * i + 1]];
        bad |= (unsigned)(high == 0) | (unsigned)(low == 0);
        ret_bytes[i] = (uint8_t)((high - 1) << 4 | ((low - 1) & 15));
    }
    if (cc_unlikely(bad))
        return CC_FAIL(HEX_SYNTAX, "not a hex digit");
    return CC_OK;
}

CC_ERR hex_decode(struct span text, uint8_t *ret_bytes, size_t len)
{
    struct span digits = hex_digits(text);
    if (digits.len % 2)
        return CC_FAIL(HEX_SYNTAX, "odd number of hex digits");
    if (digits.len / 2 != len)
        return CC_FAIL(HEX_LENGTH, NULL);
    return decode_pairs(digits, ret_bytes);
}

CC_ERR hex_decode_padded(struct span text, uint8_t *ret_bytes, size_t len)
{
    struct span digits = hex_digits(text);
    if (digits.len % 2)
        return CC_FAIL(HEX_SYNTAX, "odd number of hex digits");
    if (digits.len / 2 > len)
        return CC_FAIL(HEX_LENGTH, NULL);
    size_t zeros = len - digits.len / 2;
    memset(ret_bytes, 0, zeros);
    return decode_pairs(digits, ret_bytes + zeros);
}

CC_ERR hex_decode_some(struct span text, uint8_t *ret_bytes, size_t max, size_t *ret_len)
{
    struct span digits = hex_digits(text);
    if (digits.len % 2)
        return CC_FAIL(HEX_SYNTAX, "odd number of hex digits");
    if (digits.len / 2 > max)
        return CC_FAIL(HEX_LENGTH, NULL);
    CC_TRY(decode_pairs(digits, ret_bytes));
    *ret_len = digits.len / 2;
    return CC_OK;
}

void hex_encode(const void *data, size_t len, char *ret_digits)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = data;
    for (size_t i = 0; i < len; i++) {
        ret_digits[2 * i] = digits[bytes[i] >> 4];
        ret_digits[2 * i + 1] = digits[bytes[i] & 15];
    }
}

CC_ERR hex_append(struct buf *out, const void *data, size_t len)
{
    if (len > SIZE_MAX / 2 - 1)
        return CC_FAIL(LIMIT, "hex text too long");
    uint8_t *at;
    CC_TRY(buf_grow(out, 2 + 2 * len, &at));
    at[0] = '0';
    at[1] = 'x';
    hex_encode(data, len, (char *)at + 2);
    return CC_OK;
}
