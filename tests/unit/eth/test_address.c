/* Addresses and their checksums: the examples of EIP-55, and what is next to them. */
#include <ctype.h>
#include <string.h>

#include "eth/address.h"
#include "support/test.h"

static const char *const examples[] = {
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB", "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    "0x52908400098527886E0F7030069857D2E4169EE7", "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
    "0xde709f2102306220921060314715629080e2fb77", "0x27b1fdb04752bbc536007a920d24acb045561c26",
};

static int parse(const char *text, struct eth_address *ret_address)
{
    return address_parse(span_str(text), ret_address).code;
}

static void test_the_examples_of_eip_55(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
        struct eth_address address = {{0}}, same = {{0}};
        char text[43];
        assert_int_equal(parse(examples[i], &address), 0);
        assert_int_equal(parse(examples[i] + 2, &same), 0);
        assert_memory_equal(&address, &same, sizeof same);
        for (int capital = 0; capital < 2; capital++) { /* without a checksum */
            memcpy(text, examples[i], sizeof text);
            for (char *c = text + 2; *c; c++)
                *c = (char)(capital ? toupper(*c) : tolower(*c));
            assert_int_equal(parse(text, &same), 0);
            assert_memory_equal(&address, &same, sizeof same);
        }
    }
}

/* Whatever letter has the other case, and whatever digit is another one. */
static void test_a_wrong_checksum_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        for (size_t at = 2; at < 42; at++) {
            struct eth_address address = {{7}};
            char text[43];
            memcpy(text, examples[i], sizeof text);
            if (isalpha((unsigned char)text[at])) {
                text[at] = (char)(text[at] ^ 0x20);
                assert_int_equal(parse(text, &address), ERROR_MALFORMED);
                assert_int_equal(address.bytes[0], 7);
                text[at] = text[at] == 'a' || text[at] == 'A' ? 'b' : 'a';
            } else {
                text[at] = text[at] == '0' ? '1' : '0';
            }
            assert_int_equal(parse(text, &address), ERROR_MALFORMED);
        }
    }
    assert_non_null(strstr(address_fault((cc_err){ERROR_MALFORMED}), "EIP-55"));
}

static void test_what_is_no_address_is_refused(void **state)
{
    (void)state;
    struct eth_address address;
    char text[43];
    memcpy(text, examples[0], sizeof text);
    text[10] = 'g';
    assert_int_equal(parse(text, &address), ERROR_HEX_SYNTAX);
    text[40] = 0;
    assert_int_equal(parse(text, &address), ERROR_HEX_LENGTH);
    assert_int_equal(parse("", &address), ERROR_HEX_LENGTH);
    assert_non_null(strstr(address_fault((cc_err){ERROR_HEX_LENGTH}), "20 bytes"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_examples_of_eip_55),
        cmocka_unit_test(test_a_wrong_checksum_is_refused),
        cmocka_unit_test(test_what_is_no_address_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
