#include "eth/address.h"

#include "codec/hex.h"
#include "crypto/keccak.h"

enum {
    DIGITS = 2 * sizeof(struct eth_address)
};

static bool is_lower(uint8_t c)
{
    return c >= 'a' && c <= 'f';
}

static bool is_capital(uint8_t c)
{
    return c >= 'A' && c <= 'F';
}

/* A letter is a capital where the digit of the hash at its place is 8 or more: the hash of the lower-case digits. */
static bool has_checksum(struct span digits, const struct eth_address *address)
{
    char lower[DIGITS + 1];
    uint8_t hash[KECCAK_SIZE];
    hex_encode(address->bytes, sizeof address->bytes, lower);
    keccak_256(span_of(lower, DIGITS), hash);
    for (size_t i = 0; i < DIGITS; i++) {
        const unsigned digit = i % 2 ? hash[i / 2] & 15 : hash[i / 2] >> 4;
        if (digit >= 8 ? is_lower(digits.data[i]) : is_capital(digits.data[i]))
            return false;
    }
    return true;
}

CC_ERR address_parse(struct span text, struct eth_address *ret_address)
{
    const struct span digits = hex_digits(text);
    struct eth_address address;
    bool lower = false, capital = false;
    CC_TRY(hex_decode(text, address.bytes, sizeof address.bytes));
    for (size_t i = 0; i < digits.len; i++) {
        lower |= is_lower(digits.data[i]);
        capital |= is_capital(digits.data[i]);
    }
    if (lower && capital && !has_checksum(digits, &address))
        return CC_FAIL(MALFORMED, "an address with a wrong checksum");
    *ret_address = address;
    return CC_OK;
}

const char *address_fault(cc_err err)
{
    return error_is(err, ERROR_MALFORMED)
               ? "its capital letters are not its checksum (EIP-55): it is mistyped, or write it in lower case"
               : "not an address of 20 bytes in hex";
}
