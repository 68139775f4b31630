/* crypto/shamir.h - a secret of 32 bytes shared out, so that any `threshold` shares give it back and fewer tell nothing.
 *
 * WHAT      Shamir's scheme over GF(256) with the polynomial x^8 + x^4 + x^3 + x + 1, for each byte apart. A share is y (32 bytes), then
 *           x (one byte); x counts from 1.
 * PROMISE   Time and addresses don't depend on secrets, coefficients or shares' y, only on the number of shares and on their x (P22).
 *           Coefficients are uniform, the highest one too: threshold - 1 shares exclude no value. A share itself has no integrity: who
 *           keeps shares keeps commitments of them (T18).
 * THREADS   Any: pure.   OWNERSHIP Borrows.
 * ERRORS    NUMBER_RANGE (threshold 0 or above the count, too many), MALFORMED (x is 0, or twice the same), SYSTEM (no randomness).
 * SECRETS   Secret, coefficients and shares pass through; coefficients are wiped, and what is given back on an error is zeros.
 */
#ifndef CRYPTO_SHAMIR_H
#define CRYPTO_SHAMIR_H

#include "base/error.h"

#include "secret/wipe.h"

enum {
    SHAMIR_SECRET_SIZE = 32,
    SHAMIR_SHARES_MAX = 16
};

struct shamir_share {
    uint8_t y[SHAMIR_SECRET_SIZE];
    uint8_t x;
};
_Static_assert(sizeof(struct shamir_share) == SHAMIR_SECRET_SIZE + 1, "a share is its bytes");

CC_ERR shamir_split(const uint8_t secret[static SHAMIR_SECRET_SIZE],
                    uint32_t threshold,
                    uint32_t count,
                    struct shamir_share *ret_shares);
/* `count` shares, of a threshold that is not above it. Shares that are wrong give another secret, not an error. */
CC_ERR shamir_combine(const struct shamir_share *shares,
                      uint32_t count,
                      uint8_t ret_secret[static SHAMIR_SECRET_SIZE]);

/* The share at x of the polynomials whose constant terms are `secret`, and whose others are `coefficients`, of rising degree. */
void shamir_share_at(const uint8_t secret[static SHAMIR_SECRET_SIZE],
                     const struct secret32 *coefficients,
                     uint32_t degree,
                     uint8_t x,
                     struct shamir_share *ret_share);
/* The field's product and quotient, for tests. Both take the same time for all operands; a / 0 is 0. */
uint8_t shamir_multiply(uint8_t a, uint8_t b);
uint8_t shamir_divide(uint8_t a, uint8_t b);

#endif
