#include "crypto/shamir.h"

#include <string.h>

#include "crypto/random.h"
#include "secret/ct.h"
#include "secret/wipe.h"

enum {
    REDUCTION = 0x1b /* x^8 = x^4 + x^3 + x + 1 */
};

/* Carry-less, reduced at each step: no table, no jump. */
uint8_t shamir_multiply(uint8_t a, uint8_t b)
{
    uint64_t left = a;
    uint64_t product = 0;
    for (unsigned bit = 0; bit < 8; bit++) {
        product ^= left & ct_mask_bit((uint64_t)(b >> bit) & 1);
        left = (left << 1 & 0xff) ^ (REDUCTION & ct_mask_bit(left >> 7 & 1));
    }
    return (uint8_t)product;
}

/* b^254 is 1 / b: 254 = 2 + 4 + 8 + ... + 128. */
uint8_t shamir_divide(uint8_t a, uint8_t b)
{
    uint8_t power = b;
    uint8_t inverse = 1;
    for (unsigned n = 0; n < 7; n++) {
        power = shamir_multiply(power, power);
        inverse = shamir_multiply(inverse, power);
    }
    return shamir_multiply(a, inverse);
}

/* Horner's scheme, from the highest coefficient down. */
void shamir_share_at(const uint8_t secret[static SHAMIR_SECRET_SIZE],
                     const struct secret32 *coefficients,
                     uint32_t degree,
                     uint8_t x,
                     struct shamir_share *ret_share)
{
    *ret_share = (struct shamir_share){.x = x};
    for (uint32_t n = degree; n-- > 0;)
        for (size_t i = 0; i < SHAMIR_SECRET_SIZE; i++)
            ret_share->y[i] = shamir_multiply(ret_share->y[i] ^ coefficients[n].bytes[i], x);
    for (size_t i = 0; i < SHAMIR_SECRET_SIZE; i++)
        ret_share->y[i] ^= secret[i];
}

struct coefficients {
    struct secret32 of_degree[SHAMIR_SHARES_MAX - 1];
};

static void coefficients_wipep(struct coefficients *c)
{
    wipe(c, sizeof *c);
}

CC_SENSITIVE CC_ERR shamir_split(const uint8_t secret[static SHAMIR_SECRET_SIZE],
                                 uint32_t threshold,
                                 uint32_t count,
                                 struct shamir_share *ret_shares)
{
    CC_CLEANUP(coefficients_wipep) struct coefficients c;
    if (count > SHAMIR_SHARES_MAX || threshold < 1 || threshold > count)
        return CC_FAIL(NUMBER_RANGE, "threshold and number of shares");
    cc_err err = random_bytes(&c, sizeof c);
    for (uint32_t n = 0; n < count; n++) {
        if (err.code)
            wipe(&ret_shares[n], sizeof ret_shares[n]);
        else
            shamir_share_at(secret, c.of_degree, threshold - 1, (uint8_t)(n + 1), &ret_shares[n]);
    }
    return err;
}

/* The x are no secrets: who holds a share says which. */
static cc_err check_places(const struct shamir_share *shares, uint32_t count)
{
    if (count < 1 || count > SHAMIR_SHARES_MAX)
        return CC_FAIL(NUMBER_RANGE, "number of shares");
    for (uint32_t n = 0; n < count; n++) {
        CT_DECLASSIFY(&shares[n].x, 1);
        if (!shares[n].x)
            return CC_FAIL(MALFORMED, "a share at zero");
        for (uint32_t m = 0; m < n; m++)
            if (shares[n].x == shares[m].x)
                return CC_FAIL(MALFORMED, "the same share twice");
    }
    return CC_OK;
}

/* What share n counts at zero: the product of x_m / (x_m - x_n). */
static uint8_t weight(const struct shamir_share *shares, uint32_t count, uint32_t n)
{
    uint8_t above = 1;
    uint8_t below = 1;
    const uint8_t x = shares[n].x;
    for (uint32_t m = 0; m < count; m++) {
        if (m == n)
            continue;
        const uint8_t other = shares[m].x;
        above = shamir_multiply(above, other);
        below = shamir_multiply(below, other ^ x);
    }
    return shamir_divide(above, below);
}

CC_ERR shamir_combine(const struct shamir_share *shares,
                      uint32_t count,
                      uint8_t ret_secret[static SHAMIR_SECRET_SIZE])
{
    memset(ret_secret, 0, SHAMIR_SECRET_SIZE);
    CC_TRY(check_places(shares, count));
    for (uint32_t n = 0; n < count; n++) {
        const uint8_t w = weight(shares, count, n);
        for (size_t i = 0; i < SHAMIR_SECRET_SIZE; i++)
            ret_secret[i] ^= shamir_multiply(shares[n].y[i], w);
    }
    return CC_OK;
}
