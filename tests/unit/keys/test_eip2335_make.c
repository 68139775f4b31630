#include <string.h>

#include "base/alloc.h"

#include "codec/hex.h"
#include "keys/eip2335.h"
#include "keys/eip2335_make.h"
#include "support/keystore.h"
#include "support/test.h"

static const uint8_t secret[32] = {0x25, 0x29, 0x5f, 0x0d, 0x1d, 0x59, 0x2a, 0x90, 0xb3, 0x33, 0xe2,
                                   0x6e, 0x85, 0x14, 0x97, 0x08, 0x20, 0x8e, 0x9f, 0x8e, 0x8b, 0xc1,
                                   0x8f, 0x6c, 0x77, 0xbd, 0x62, 0xf8, 0xad, 0x7a, 0x68, 0x66};

/* The tests' own words of EIP-2335 open what was made, as the vault does. */
static void what_is_made_is_opened(void **state)
{
    (void)state;
    struct buf text = buf_init(EIP2335_TEXT_MAX);
    uint8_t password[EIP2335_MADE_PASSWORD], opened[32];
    struct eth_pubkey pubkey, found;
    struct k_keystore keystore;
    assert_int_equal(eip2335_make(secret, password, &pubkey, &text).code, 0);
    struct eth_pubkey expected = keystore_pubkey(secret);
    assert_memory_equal(&pubkey, &expected, sizeof pubkey);
    assert_int_equal(eip2335_parse(text.data, text.len, &keystore).code, 0);
    memcpy(keystore.password, password, sizeof password);
    keystore.password_len = sizeof password;
    assert_int_equal(keystore_open(&keystore, opened, &found).code, 0);
    assert_memory_equal(opened, secret, sizeof opened);
    assert_memory_equal(&found, &expected, sizeof found);
    keystore.password[0] ^= 1;
    assert_true(error_is(keystore_open(&keystore, opened, &found), ERROR_KEYSTORE_PASSWORD));
    buf_release(&text);
}

static void each_has_a_password_of_its_own(void **state)
{
    (void)state;
    struct buf first = buf_init(EIP2335_TEXT_MAX), second = buf_init(EIP2335_TEXT_MAX);
    uint8_t one[EIP2335_MADE_PASSWORD], other[EIP2335_MADE_PASSWORD];
    struct eth_pubkey pubkey;
    assert_int_equal(eip2335_make(secret, one, &pubkey, &first).code, 0);
    assert_int_equal(eip2335_make(secret, other, &pubkey, &second).code, 0);
    assert_memory_not_equal(one, other, sizeof one);
    assert_false(span_equal(buf_span(&first), buf_span(&second)));
    buf_release(&first);
    buf_release(&second);
}

static void what_is_no_key_is_refused(void **state)
{
    (void)state;
    uint8_t none[32] = {0}, password[EIP2335_MADE_PASSWORD];
    struct buf text = buf_init(EIP2335_TEXT_MAX);
    struct eth_pubkey pubkey;
    assert_true(error_is(eip2335_make(none, password, &pubkey, &text), ERROR_KEY_INVALID));
    memset(none, 0xff, sizeof none);
    assert_true(error_is(eip2335_make(none, password, &pubkey, &text), ERROR_KEY_INVALID));
    assert_int_equal(text.len, 0);
    buf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_made_is_opened),
        cmocka_unit_test(each_has_a_password_of_its_own),
        cmocka_unit_test(what_is_no_key_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
