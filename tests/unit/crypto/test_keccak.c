/* Keccak-256: known answers, and its permutation against OpenSSL's SHA-3, which differs in the padding alone. */
#include <openssl/evp.h>
#include <string.h>

#include "codec/hex.h"
#include "crypto/keccak.h"
#include "support/test.h"

static void assert_digest(struct span data, const char *expected)
{
    uint8_t got[KECCAK_SIZE], want[KECCAK_SIZE];
    keccak_256(data, got);
    assert_int_equal(hex_decode(span_str(expected), want, sizeof want).code, 0);
    assert_memory_equal(got, want, sizeof got);
}

static void test_known_answers(void **state)
{
    (void)state;
    assert_digest(span_str(""), "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
    assert_digest(span_str("abc"),
                  "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45");
    assert_digest(span_str("The quick brown fox jumps over the lazy dog"),
                  "4d741b6f1eb29cb2a9b9911c82f56fa8d73b04959d3d9d222895df6c0b28aa15");
}

/* Every length over three blocks and more, so that each edge of a block is among them. */
static void test_the_permutation_is_that_of_sha3(void **state)
{
    (void)state;
    uint8_t data[450], got[KECCAK_SIZE], want[KECCAK_SIZE];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 167 + i / 7);
    for (size_t len = 0; len <= sizeof data; len++) {
        unsigned size = 0;
        keccak_padded(span_of(data, len), KECCAK_PAD_SHA3, got);
        assert_int_equal(EVP_Digest(data, len, want, &size, EVP_sha3_256(), NULL), 1);
        assert_int_equal(size, sizeof want);
        assert_memory_equal(got, want, sizeof got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_the_permutation_is_that_of_sha3),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
