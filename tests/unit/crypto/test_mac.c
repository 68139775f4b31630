/* Two ways to one MAC: RFC 4231's vector, and each other. */
#include <string.h>

#include "crypto/mac.h"
#include "support/test.h"

static void test_the_vector_of_rfc_4231(void **state)
{
    static const uint8_t expected[MAC_SIZE] = {0xb0, 0x34, 0x4c, 0x61, 0xd8, 0xdb, 0x38, 0x53,
                                               0x5c, 0xa8, 0xaf, 0xce, 0xaf, 0x0b, 0xf1, 0x2b,
                                               0x88, 0x1d, 0xc2, 0x00, 0xc9, 0x83, 0x3d, 0xa7,
                                               0x26, 0xe9, 0x37, 0x6c, 0x2e, 0x32, 0xcf, 0xf7};
    uint8_t key[32] = {0}; /* 20 bytes and zeros: what HMAC makes of a short key */
    uint8_t mac[MAC_SIZE];
    const struct span message = span_str("Hi There");
    (void)state;
    memset(key, 0x0b, 20);
    mac_hmac_sha256(span_of(key, 20), &message, 1, mac);
    assert_memory_equal(mac, expected, sizeof mac);
    mac_hmac_sha256_once(key, message, mac);
    assert_memory_equal(mac, expected, sizeof mac);
}

static void test_both_ways_agree_for_every_length(void **state)
{
    uint8_t key[32];
    uint8_t message[MAC_SHORT_MAX];
    uint32_t seed = 7;
    (void)state;
    for (size_t len = 0; len <= sizeof message; len++) {
        uint8_t one[MAC_SIZE];
        uint8_t other[MAC_SIZE];
        for (size_t i = 0; i < sizeof key; i++)
            key[i] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
        for (size_t i = 0; i < sizeof message; i++)
            message[i] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
        const struct span part = span_of(message, len);
        mac_hmac_sha256(span_of(key, sizeof key), &part, 1, one);
        mac_hmac_sha256_once(key, part, other);
        assert_memory_equal(one, other, sizeof one);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_vector_of_rfc_4231),
        cmocka_unit_test(test_both_ways_agree_for_every_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
