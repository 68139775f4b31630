/* Shares of a secret: published vectors, those of another implementation (shamir_reference.py), every subset, what fewer shares tell, and
 * what is refused.
 */
#include <string.h>

#include "codec/hex.h"
#include "crypto/sha256.h"
#include "crypto/shamir.h"
#include "support/test.h"

static struct secret32 counting(void)
{
    struct secret32 secret;
    for (uint8_t i = 0; i < 32; i++)
        secret.bytes[i] = i;
    return secret;
}

static struct shamir_share share_of(const char *hex)
{
    struct shamir_share share;
    assert_int_equal(strlen(hex), 66);
    assert_int_equal(hex_decode(span_of(hex, 66), (uint8_t *)&share, sizeof share).code, 0);
    return share;
}

/* Coefficients SHA-256("coef1"), SHA-256("coef2"); computed apart, in Python. */
static void test_P22_the_vectors_of_the_format(void **state)
{
    (void)state;
    static const struct {
        uint32_t degree;
        uint8_t x;
        const char *share;
    } rows[] = {
        {1, 1, "48496eaa93727c9fb13d5f6574012a0fb812eef46c188e5c812a55f44651a6c701"},
        {1, 2, "9091da4a31ebf22c6161a0d7fc15460f5b17f1c6e40f3d81317f84dea88575b402"},
        {2, 1, "6f8faa393e13407e33efe08e003c57936400cf5dcd3994c8c00266b99feed59401"},
        {2, 2, "0ca4e730b37402855f046a5637e1a949065f7554568b55e72edf48f1e14fa2e302"},
        {2, 3, "632a4f0a896244fc64e280d33bd0f0d5724ea81a8fa7d738f6c4345362bc696803"},
    };
    const struct secret32 secret = counting();
    struct secret32 coefficients[2];
    sha256(span_of("coef1", 5), coefficients[0].bytes);
    sha256(span_of("coef2", 5), coefficients[1].bytes);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct shamir_share share;
        const struct shamir_share expected = share_of(rows[i].share);
        shamir_share_at(secret.bytes, coefficients, rows[i].degree, rows[i].x, &share);
        assert_memory_equal(&share, &expected, sizeof share);
    }
    const struct shamir_share three[] = {share_of(rows[4].share), share_of(rows[2].share),
                                         share_of(rows[3].share)};
    struct secret32 back;
    assert_int_equal(shamir_combine(three, 3, back.bytes).code, 0);
    assert_memory_equal(&back, &secret, sizeof back);
}

static const struct {
    uint32_t threshold;
    const char *secret;
    const char *shares[SHAMIR_SHARES_MAX];
} reference[] = {
#include "shamir_reference.inc"
};

static void test_P22_shares_of_another_implementation(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(reference); i++) {
        struct shamir_share shares[SHAMIR_SHARES_MAX];
        struct secret32 secret;
        struct secret32 back;
        for (uint32_t n = 0; n < reference[i].threshold; n++)
            shares[n] = share_of(reference[i].shares[n]);
        assert_int_equal(hex_decode(span_of(reference[i].secret, 64), secret.bytes, 32).code, 0);
        assert_int_equal(shamir_combine(shares, reference[i].threshold, back.bytes).code, 0);
        assert_memory_equal(&back, &secret, sizeof back);
        assert_int_equal(shamir_combine(shares, reference[i].threshold - 1, back.bytes).code, 0);
        assert_memory_not_equal(&back, &secret, sizeof back);
    }
}

/* Product and quotient against the school's way, for all operands. */
static void test_P22_the_field(void **state)
{
    (void)state;
    assert_int_equal(shamir_multiply(3, 7), 9);
    assert_int_equal(shamir_divide(6, 3), 2);
    for (unsigned a = 0; a < 256; a++) {
        for (unsigned b = 0; b < 256; b++) {
            unsigned product = 0;
            for (unsigned bit = 0; bit < 8; bit++)
                product ^= b >> bit & 1 ? a << bit : 0;
            for (unsigned bit = 15; bit >= 8; bit--)
                product ^= product >> bit & 1 ? 0x11bu << (bit - 8) : 0;
            assert_int_equal(shamir_multiply((uint8_t)a, (uint8_t)b), product);
            if (b)
                assert_int_equal(shamir_divide((uint8_t)product, (uint8_t)b), a);
        }
        assert_int_equal(shamir_divide((uint8_t)a, 0), 0);
    }
}

/* Every subset of at least the threshold gives the secret back, in any order; one of fewer does not. */
static void check_subsets(uint32_t threshold, uint32_t count)
{
    const struct secret32 secret = counting();
    struct shamir_share shares[6];
    assert_int_equal(shamir_split(secret.bytes, threshold, count, shares).code, 0);
    for (unsigned set = 1; set < 1u << count; set++) {
        struct shamir_share some[6];
        struct secret32 back;
        uint32_t n = 0;
        for (uint32_t i = count; i-- > 0;)
            if (set >> i & 1)
                some[n++] = shares[i];
        assert_int_equal(shamir_combine(some, n, back.bytes).code, 0);
        const bool same = memcmp(&back, &secret, sizeof back) == 0;
        assert_int_equal(same, n >= threshold);
    }
}

static void test_P25_every_quorum_gives_the_secret_back(void **state)
{
    (void)state;
    for (uint32_t count = 1; count <= 6; count++)
        for (uint32_t threshold = 1; threshold <= count; threshold++)
            check_subsets(threshold, count);
}

/* With one share too few, each value of a byte is as possible as any other: for a given share there is exactly one coefficient for each
 * secret (2 of N), and for two given shares exactly one pair (3 of N).
 */
static void test_P22_fewer_shares_tell_nothing(void **state)
{
    (void)state;
    for (unsigned y = 0; y < 256; y += 17) {
        unsigned seen = 0;
        for (unsigned secret = 0; secret < 256; secret++) {
            unsigned ways = 0;
            for (unsigned c = 0; c < 256; c++)
                ways += ((unsigned)shamir_multiply((uint8_t)c, 5) ^ secret) == y;
            assert_int_equal(ways, 1);
            seen++;
        }
        assert_int_equal(seen, 256);
    }
    for (unsigned secret = 0; secret < 256; secret++) {
        unsigned ways = 0;
        for (unsigned c1 = 0; c1 < 256; c1++) {
            /* The second coefficient follows from the share at 1, which is 0x5a; does the share at 2 fit, which is 0xc3? */
            const uint8_t c2 = (uint8_t)(0x5a ^ secret ^ c1);
            const uint8_t at_2 = (uint8_t)(secret ^ shamir_multiply((uint8_t)c1, 2) ^
                                           shamir_multiply(c2, shamir_multiply(2, 2)));
            ways += at_2 == 0xc3;
        }
        assert_int_equal(ways, 1);
    }
}

/* The highest coefficient may be zero: forcing it not to be would exclude a value. */
static void test_P22_no_coefficient_is_forced(void **state)
{
    (void)state;
    const struct secret32 secret = counting();
    bool zero = false;
    for (unsigned n = 0; n < 400 && !zero; n++) {
        struct shamir_share shares[2];
        assert_int_equal(shamir_split(secret.bytes, 2, 2, shares).code, 0);
        for (size_t i = 0; i < 32; i++)
            zero = zero || shares[0].y[i] == secret.bytes[i];
    }
    assert_true(zero); /* 12,800 bytes: fails once in 10^21 runs */
}

static void test_T18_impossible_shares_are_refused(void **state)
{
    (void)state;
    static const uint8_t none[32];
    const struct secret32 secret = counting();
    struct shamir_share shares[SHAMIR_SHARES_MAX + 1];
    struct secret32 back;
    assert_int_equal(shamir_split(secret.bytes, 0, 3, shares).code, ERROR_NUMBER_RANGE);
    assert_int_equal(shamir_split(secret.bytes, 4, 3, shares).code, ERROR_NUMBER_RANGE);
    assert_int_equal(shamir_split(secret.bytes, 1, 0, shares).code, ERROR_NUMBER_RANGE);
    assert_int_equal(shamir_split(secret.bytes, 2, SHAMIR_SHARES_MAX + 1, shares).code,
                     ERROR_NUMBER_RANGE);
    assert_int_equal(shamir_split(secret.bytes, 3, 3, shares).code, 0);
    assert_int_equal(shamir_combine(shares, 0, back.bytes).code, ERROR_NUMBER_RANGE);
    assert_int_equal(shamir_combine(shares, SHAMIR_SHARES_MAX + 1, back.bytes).code,
                     ERROR_NUMBER_RANGE);
    shares[1].x = 0;
    assert_int_equal(shamir_combine(shares, 3, back.bytes).code, ERROR_MALFORMED);
    shares[1].x = 3;
    assert_int_equal(shamir_combine(shares, 3, back.bytes).code, ERROR_MALFORMED);
    assert_memory_equal(&back, none, sizeof back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_P22_the_vectors_of_the_format),
        cmocka_unit_test(test_P22_shares_of_another_implementation),
        cmocka_unit_test(test_P22_the_field),
        cmocka_unit_test(test_P25_every_quorum_gives_the_secret_back),
        cmocka_unit_test(test_P22_fewer_shares_tell_nothing),
        cmocka_unit_test(test_P22_no_coefficient_is_forced),
        cmocka_unit_test(test_T18_impossible_shares_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
