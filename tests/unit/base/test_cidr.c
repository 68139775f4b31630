/* Ranges of addresses: what is one, what lies in it, and that IPv4 and IPv6 stay apart. */
#include <arpa/inet.h>
#include <string.h>

#include "base/cidr.h"

#include "support/test.h"

static struct cidr range_of(const char *text)
{
    struct cidr range;
    cc_err err = cidr_parse(span_str(text), &range);
    if (err.code)
        fail_msg("%s: %s", text, error_detail());
    return range;
}

static bool holds(const char *text, const char *address)
{
    const struct cidr range = range_of(text);
    uint8_t bytes[16] = {[10] = 0xff, [11] = 0xff};
    bool v6 = strchr(address, ':') != NULL;
    assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, address, v6 ? bytes : bytes + 12), 1);
    return cidr_holds(&range, bytes);
}

static void test_what_lies_in_a_range(void **state)
{
    (void)state;
    assert_true(holds("10.0.0.0/8", "10.255.255.255"));
    assert_false(holds("10.0.0.0/8", "11.0.0.0"));
    assert_true(holds("10.1.2.3", "10.1.2.3"));
    assert_false(holds("10.1.2.3", "10.1.2.2"));
    assert_true(holds("10.1.2.2/31", "10.1.2.3"));
    assert_false(holds("10.1.2.2/31", "10.1.2.4"));
    assert_true(holds("0.0.0.0/0", "255.255.255.255"));
    assert_true(holds("2001:db8::/32", "2001:db8:ffff::1"));
    assert_false(holds("2001:db8::/33", "2001:db8:8000::1"));
    assert_true(holds("::1", "::1"));
    assert_true(holds("::/0", "fe80::1"));
}

/* Else `::/0` would mean everybody in one reading, and IPv6 in the other. */
static void test_the_families_stay_apart(void **state)
{
    (void)state;
    assert_false(holds("::/0", "10.0.0.1"));
    assert_false(holds("0.0.0.0/0", "::1"));
    assert_false(holds("0.0.0.0/0", "::10.0.0.1"));
    struct cidr range;
    assert_true(error_is(cidr_parse(span_str("::ffff:10.0.0.1"), &range), ERROR_MALFORMED));
    assert_true(error_is(cidr_parse(span_str("::ffff:0:0/96"), &range), ERROR_MALFORMED));
}

static void test_what_is_no_range(void **state)
{
    static const char *const texts[] = {"",
                                        "/",
                                        "10.0.0.0/",
                                        "10.0.0.0/33",
                                        "10.0.0.0/08",
                                        "10.0.0.0/8 ",
                                        " 10.0.0.0/8",
                                        "10.0.0.0/-1",
                                        "10.0.0.1/8",
                                        "10.0.0/8",
                                        "010.0.0.0/8",
                                        "localhost",
                                        "fe80::1%eth0",
                                        "2001:db8::1/32",
                                        "::/129",
                                        "10.0.0.0/8/8",
                                        "10.0.0.0/8x",
                                        "::1/",
                                        "1:2:3:4:5:6:7:8:9"};
    struct cidr range;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (!error_is(cidr_parse(span_str(texts[i]), &range), ERROR_MALFORMED))
            fail_msg("taken: \"%s\"", texts[i]);
    assert_true(error_is(cidr_parse(span_of("::1\0", 4), &range), ERROR_MALFORMED));
}

static void test_one_way_to_write_it(void **state)
{
    static const char *const texts[][2] = {
        {"10.0.0.0/8", "10.0.0.0/8"},
        {"10.1.2.3", "10.1.2.3/32"},
        {"2001:0DB8:0::/32", "2001:db8::/32"},
        {"::1", "::1/128"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"}};
    char text[CIDR_TEXT_SIZE];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        const struct cidr range = range_of(texts[i][0]);
        cidr_text(&range, text);
        assert_string_equal(text, texts[i][1]);
        const struct cidr again = range_of(text);
        assert_memory_equal(&again, &range, sizeof again);
    }
}

static void test_what_is_loopback(void **state)
{
    (void)state;
    static const char *const loops[] = {"127.0.0.1", "127.255.0.9", "::1"};
    static const char *const others[] = {
        "126.0.0.1", "128.0.0.1", "::2", "::", "::127.0.0.1", "0.0.0.0", "fe80::1"};
    const uint8_t four[4] = {127, 0, 0, 1};
    uint8_t mapped[CIDR_ADDRESS_SIZE];
    for (size_t i = 0; i < ARRAY_LEN(loops); i++)
        assert_true(cidr_is_loopback(range_of(loops[i]).address));
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_false(cidr_is_loopback(range_of(others[i]).address));
    cidr_map_v4(four, mapped);
    assert_memory_equal(mapped, range_of("127.0.0.1").address, sizeof mapped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_lies_in_a_range), cmocka_unit_test(test_the_families_stay_apart),
        cmocka_unit_test(test_what_is_no_range),     cmocka_unit_test(test_one_way_to_write_it),
        cmocka_unit_test(test_what_is_loopback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
