/* Rows of auth.certificates and auth.listeners. */
#include <string.h>

#include "auth/principal.h"
#include "support/test.h"
#include "wire/control.h"

#define HEX "5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c"

static void test_rows_of_certificates(void **state)
{
    struct principal_row row;
    (void)state;
    assert_int_equal(principal_certificate_parse(span_str("sha256:" HEX "=a,b"), &row).code, 0);
    assert_int_equal(row.kind, PRINCIPAL_FINGERPRINT);
    assert_int_equal(row.fingerprint[31], 0x5c);
    assert_int_equal(row.policy_count, 2);
    assert_string_equal(row.policies[0], "a");
    assert_string_equal(row.policies[1], "b");
    assert_int_equal(principal_certificate_parse(span_str("san:vc.example=a"), &row).code, 0);
    assert_int_equal(row.kind, PRINCIPAL_SAN);
    assert_string_equal(row.name, "vc.example");
    assert_int_equal(principal_certificate_parse(span_str("cn:O=Staking, 1=a"), &row).code, 0);
    assert_int_equal(row.kind, PRINCIPAL_CN);
    assert_string_equal(row.name, "O=Staking, 1");
}

static void test_rows_of_listeners(void **state)
{
    static const struct {
        const char *text;
        unsigned listener;
    } rows[] = {{"unix=a", LISTENER_UNIX}, {"tcp=a", LISTENER_API}, {"tls=a", LISTENER_TLS}};
    struct principal_row row;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(principal_listener_parse(span_str(rows[i].text), &row).code, 0);
        assert_int_equal(row.kind, PRINCIPAL_LISTENER);
        assert_int_equal(row.listener, 1U << rows[i].listener);
    }
}

static void test_what_is_no_row(void **state)
{
    static const char *const texts[] = {
        "",          "=a",      "cn:x",    "cn:x=",   "cn:=a",
        "cn:x=A",    "cn:x=a,", "cn:x=,a", "o:x=a",   "sha256:5c=a",
        "sha256:=a", "unix",    "udp=a",   "admin=a", "unix=a,b,c,d,e,f,g,h,i",
        "x=a"};
    struct principal_row row;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_true(error_is(principal_certificate_parse(span_str(texts[i]), &row), ERROR_CONFIG));
        assert_true(error_is(principal_listener_parse(span_str(texts[i]), &row), ERROR_CONFIG));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_of_certificates),
        cmocka_unit_test(test_rows_of_listeners),
        cmocka_unit_test(test_what_is_no_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
