#include "secret/ct.h"

#include "secret/wipe.h"

bool ct_equal(const void *a, const void *b, size_t len)
{
    const volatile uint8_t *x = a;
    const volatile uint8_t *y = b;
    unsigned difference = 0;
    for (size_t i = 0; i < len; i++)
        difference |= (unsigned)x[i] ^ (unsigned)y[i];
    return difference == 0;
}

bool ct_is_zero(const void *a, size_t len)
{
    const volatile uint8_t *x = a;
    unsigned bits = 0;
    for (size_t i = 0; i < len; i++)
        bits |= x[i];
    return bits == 0;
}

/* All ones when low <= c <= high, else 0; all three are below 256. */
static unsigned mask_between(unsigned c, unsigned low, unsigned high)
{
    /* A difference below zero has its high bits set; bit 8 of either tells. */
    unsigned outside = ((c - low) | (high - c)) >> 8 & 1u;
    return outside - 1u;
}

/* The compiler must not turn the masks into branches: the result passes through a volatile. */
static unsigned nibble(unsigned c, volatile unsigned *bad)
{
    volatile unsigned digit = mask_between(c, '0', '9');
    volatile unsigned lower = mask_between(c | 0x20, 'a', 'f');
    *bad |= ~(digit | lower);
    return (digit & (c - '0')) | (lower & ((c | 0x20) - 'a' + 10));
}

CC_SENSITIVE CC_ERR ct_hex_decode(const char *digits, uint8_t *ret_bytes, size_t len)
{
    volatile unsigned bad = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned high = nibble((unsigned char)digits[2 * i], &bad);
        unsigned low = nibble((unsigned char)digits[2 * i + 1], &bad);
        ret_bytes[i] = (uint8_t)(high << 4 | low);
    }
    if (bad) {
        wipe(ret_bytes, len);
        return CC_FAIL(HEX_SYNTAX, "hex digits of a secret");
    }
    return CC_OK;
}

static char digit_of(unsigned value)
{
    /* '0' + value, and 39 more ('a' - '0' - 10) where value is above 9. */
    return (char)('0' + value + (((9 - value) >> 8) & 39u));
}

CC_SENSITIVE void ct_hex_encode(const uint8_t *bytes, size_t len, char *ret_digits)
{
    for (size_t i = 0; i < len; i++) {
        ret_digits[2 * i] = digit_of(bytes[i] >> 4);
        ret_digits[2 * i + 1] = digit_of(bytes[i] & 15u);
    }
}
