#include <string.h>

#include "support/test.h"
#include "support/yubikey_token.h"

static void challenge_of(uint8_t first, uint8_t last, uint8_t ret_challenge[FACTOR_CHALLENGE_SIZE])
{
    for (size_t i = 0; i < FACTOR_CHALLENGE_SIZE; i++)
        ret_challenge[i] = (uint8_t)(first + i);
    ret_challenge[FACTOR_CHALLENGE_SIZE - 1] = last;
}

static int ask(struct yubikey_token *token, uint8_t ret_answer[YUBIKEY_ANSWER_SIZE])
{
    struct yubikey_port port;
    uint8_t challenge[FACTOR_CHALLENGE_SIZE];
    challenge_of(1, 9, challenge);
    yubikey_token_port(token, &port);
    return yubikey_ask(&port, challenge, ret_answer).code;
}

/* RFC 2202, section 3: what the software key of these tests computes is HMAC-SHA1. */
static void test_the_software_key_is_hmac_sha1(void **state)
{
    (void)state;
    static const struct {
        const char *key, *data;
        uint8_t mac[20];
    } cases[] = {
        {"\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b",
         "Hi There",
         {0xb6, 0x17, 0x31, 0x86, 0x55, 0x05, 0x72, 0x64, 0xe2, 0x8b,
          0xc0, 0xb6, 0xfb, 0x37, 0x8c, 0x8e, 0xf1, 0x46, 0xbe, 0x00}},
        {"Jefe", "what do ya want for nothing?", {0xef, 0xfc, 0xdf, 0x6a, 0xe5, 0xeb, 0x2f,
                                                  0xa2, 0xd2, 0x74, 0x16, 0xd5, 0xf1, 0x84,
                                                  0xdf, 0x9c, 0x25, 0x9a, 0x7c, 0x79}},
        {"\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c",
         "Test With Truncation",
         {0x4c, 0x1a, 0x03, 0x42, 0x4b, 0x55, 0xe0, 0x7f, 0xe7, 0xf2,
          0x7b, 0xe1, 0xd5, 0x8b, 0xb9, 0x32, 0x4a, 0x9a, 0x5a, 0x04}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t mac[20];
        yubikey_token_hmac(span_str(cases[i].key), span_str(cases[i].data), mac);
        assert_memory_equal(mac, cases[i].mac, sizeof mac);
    }
}

/* CRC-16/ISO-HDLC (the catalogue of parametrised CRC algorithms): check 0x906e, residue 0xf0b8. */
static void test_the_checksum_is_crc_16_iso_hdlc(void **state)
{
    (void)state;
    assert_int_equal((uint16_t)~yubikey_crc(span_str("123456789")), 0x906e);
    const uint8_t with_check[] = {'1', '2', '3', '4', '5', '6', '7', '8', '9', 0x6e, 0x90};
    assert_int_equal(yubikey_crc(span_of(with_check, sizeof with_check)), YUBIKEY_CRC_GOOD);
    assert_int_equal(yubikey_crc(span_str("")), 0xffff);
}

static void test_a_frame_asks_slot_2_and_ends_with_its_checksum(void **state)
{
    (void)state;
    uint8_t challenge[FACTOR_CHALLENGE_SIZE], frame[YUBIKEY_FRAME_SIZE];
    challenge_of(0, 7, challenge);
    yubikey_frame(challenge, frame);
    assert_memory_equal(frame, challenge, sizeof challenge);
    assert_int_equal(frame[63], 0);
    assert_int_equal(frame[64], 0x38);
    assert_int_equal(frame[65] | frame[66] << 8, yubikey_crc(span_of(frame, 64)));
    assert_int_equal(frame[67] | frame[68] | frame[69], 0);
    challenge_of(0, 0, challenge); /* ends like the padding would: the key would take it off */
    yubikey_frame(challenge, frame);
    assert_int_equal(frame[63], 0xff);
}

/* Whatever the challenge is, also with whole parts of zeros: the key sees all of it, and its answer comes back. */
static void test_any_challenge_arrives_whole(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 256; i++) {
        struct yubikey_token token;
        struct yubikey_port port;
        uint8_t challenge[FACTOR_CHALLENGE_SIZE] = {0}, answer[20], expected[20];
        yubikey_token_init(&token);
        yubikey_token_port(&token, &port);
        if (i & 1)
            challenge_of((uint8_t)i, (uint8_t)i, challenge);
        challenge[62] = (uint8_t)i;
        assert_int_equal(yubikey_ask(&port, challenge, answer).code, 0);
        assert_int_equal(token.challenge_len, sizeof challenge);
        assert_memory_equal(token.challenge, challenge, sizeof challenge);
        yubikey_token_hmac(span_of(token.secret, 20), span_of(challenge, sizeof challenge),
                           expected);
        assert_memory_equal(answer, expected, sizeof answer);
        assert_int_equal(token.resets, 1);
    }
}

static void test_it_waits_for_a_touch_and_says_so_once(void **state)
{
    (void)state;
    struct yubikey_token token;
    uint8_t answer[20];
    yubikey_token_init(&token);
    token.polls_until_touch = 50;
    assert_int_equal(ask(&token, answer), 0);
    assert_int_equal(token.touches, 1);
    assert_true(token.waited_ms >= 50 * YUBIKEY_POLL_MS);
}

static void test_a_key_that_is_not_touched_is_given_up_and_reset(void **state)
{
    (void)state;
    struct yubikey_token token;
    uint8_t answer[20];
    yubikey_token_init(&token);
    token.polls_until_touch = -1;
    assert_int_equal(ask(&token, answer), ERROR_FACTOR);
    assert_true(token.waited_ms >= YUBIKEY_PATIENCE_MS - YUBIKEY_POLL_MS);
    assert_true(token.waited_ms < 2 * YUBIKEY_PATIENCE_MS);
    assert_int_equal(token.resets, 1);
}

static void test_what_a_key_does_wrong_is_no_answer(void **state)
{
    (void)state;
    struct yubikey_token token;
    uint8_t answer[20];
    yubikey_token_init(&token);
    token.no_slot = true;
    assert_int_equal(ask(&token, answer), ERROR_FACTOR);
    yubikey_token_init(&token);
    token.never_ready = true;
    assert_int_equal(ask(&token, answer), ERROR_FACTOR);
    assert_int_equal(token.frames, 0);
    yubikey_token_init(&token);
    token.wrong_checksum = true;
    assert_int_equal(ask(&token, answer), ERROR_FACTOR);
    yubikey_token_init(&token);
    token.breaks_off = true;
    assert_int_equal(ask(&token, answer), ERROR_FACTOR);
}

static void test_a_key_that_is_pulled_out_at_any_report_is_an_error(void **state)
{
    (void)state;
    uint8_t answer[20];
    struct yubikey_token whole;
    yubikey_token_init(&whole);
    assert_int_equal(ask(&whole, answer), 0);
    for (int n = 1; n < whole.reports; n++) {
        struct yubikey_token token;
        yubikey_token_init(&token);
        token.unplugged_after = n;
        assert_int_equal(ask(&token, answer), ERROR_IO);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_software_key_is_hmac_sha1),
        cmocka_unit_test(test_the_checksum_is_crc_16_iso_hdlc),
        cmocka_unit_test(test_a_frame_asks_slot_2_and_ends_with_its_checksum),
        cmocka_unit_test(test_any_challenge_arrives_whole),
        cmocka_unit_test(test_it_waits_for_a_touch_and_says_so_once),
        cmocka_unit_test(test_a_key_that_is_not_touched_is_given_up_and_reset),
        cmocka_unit_test(test_what_a_key_does_wrong_is_no_answer),
        cmocka_unit_test(test_a_key_that_is_pulled_out_at_any_report_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
