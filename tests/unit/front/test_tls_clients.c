#include <stdio.h>
#include <string.h>

#include "front/tls_clients.h"
#include "support/test.h"

#define HEX64 "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"

static const uint8_t print[TLS_FINGERPRINT_SIZE] = {
    0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff,
    0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};

static struct tls_certificate certificate_of(const char *name)
{
    struct tls_certificate made = {0};
    memcpy(made.fingerprint, print, sizeof print);
    (void)snprintf(made.name, sizeof made.name, "%s", name);
    return made;
}

static void with_colons(char out[static 97])
{
    for (int i = 0; i < TLS_FINGERPRINT_SIZE; i++)
        (void)snprintf(out + 3 * i, 4, "%02X:", print[i]);
    out[95] = 0;
}

static void test_fingerprints(void **state)
{
    (void)state;
    uint8_t got[TLS_FINGERPRINT_SIZE];
    char colons[97];
    with_colons(colons);
    assert_int_equal(tls_fingerprint_parse(span_str(HEX64), got).code, 0);
    assert_memory_equal(got, print, sizeof print);
    memset(got, 1, sizeof got);
    assert_int_equal(tls_fingerprint_parse(span_str(colons), got).code, 0);
    assert_memory_equal(got, print, sizeof print);
    colons[5] = '-';
    static const char *const bad[] = {
        "", "00", (HEX64 "00"), ("0x" HEX64),
        "zz112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(tls_fingerprint_parse(span_str(bad[i]), got).code, ERROR_CONFIG);
    assert_int_equal(tls_fingerprint_parse(span_str(colons), got).code, ERROR_CONFIG);
}

static void test_a_file_of_known_clients(void **state)
{
    (void)state;
    static const char text[] = "# clients\r\n\n  validator one  " HEX64 "\r\nother\t" HEX64;
    struct tls_known known = {0};
    uint32_t line;
    assert_int_equal(tls_known_parse(span_str(text), &known, &line).code, 0);
    assert_int_equal(known.count, 2);
    assert_string_equal(known.clients[0].name, "validator one");
    assert_memory_equal(known.clients[0].fingerprint, print, sizeof print);
    assert_string_equal(known.clients[1].name, "other");
    struct tls_certificate one = certificate_of("validator one");
    assert_true(tls_known_has(&known, &one));
    one = certificate_of("Validator one");
    assert_false(tls_known_has(&known, &one)); /* another name */
    one = certificate_of("");
    assert_false(tls_known_has(&known, &one));
    one = certificate_of("other");
    one.fingerprint[31] ^= 1;
    assert_false(tls_known_has(&known, &one));
    tls_known_release(&known);
    assert_int_equal(tls_known_parse(span_str(""), &known, &line).code, 0);
    assert_int_equal(known.count, 0);
    tls_known_release(&known);
}

static void test_a_faulty_line_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t line;
    } cases[] = {{HEX64, 1}, {"\n\n" HEX64 "\n", 3}, {"a b\n", 1}, {"a " HEX64 "\nb 00", 2}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct tls_known known = {0};
        uint32_t line = 0;
        assert_int_equal(tls_known_parse(span_str(cases[i].text), &known, &line).code,
                         ERROR_CONFIG);
        assert_int_equal(line, cases[i].line);
        assert_null(known.clients);
    }
    char long_line[TLS_NAME_MAX + 80];
    memset(long_line, 'n', TLS_NAME_MAX);
    (void)snprintf(long_line + TLS_NAME_MAX, 80, " %s", HEX64);
    struct tls_known known = {0};
    uint32_t line;
    assert_int_equal(tls_known_parse(span_str(long_line), &known, &line).code, ERROR_CONFIG);
    const char zero[] = "a\0b " HEX64;
    assert_int_equal(tls_known_parse(span_of(zero, sizeof zero - 1), &known, &line).code,
                     ERROR_CONFIG);
}

static struct config_text_list rows_of(const char *first, const char *second)
{
    struct config_text_list rows = {.count = 2};
    (void)snprintf(rows.items[0], sizeof rows.items[0], "%s", first);
    (void)snprintf(rows.items[1], sizeof rows.items[1], "%s", second);
    return rows;
}

static void test_rows(void **state)
{
    (void)state;
    struct tls_certificate one = certificate_of("a=b");
    one.alternative_count = 2;
    strcpy(one.alternatives[0], "one.example");
    strcpy(one.alternatives[1], "10.0.0.1");
    struct config_text_list rows = rows_of("cn:other=p", "sha256:" HEX64 "=p,q");
    assert_int_equal(tls_row_of(&rows, &one, false), 2);
    assert_true(tls_rows_pin(&rows));
    rows = rows_of("cn:a=b=policy", "san:10.0.0.1=p");
    assert_int_equal(tls_row_of(&rows, &one, true), 1);
    assert_int_equal(tls_row_of(&rows, &one, false), 0); /* a name that nobody vouched for */
    assert_false(tls_rows_pin(&rows));
    rows = rows_of("cn:a=p", "san:10.0.0.1=p");
    assert_int_equal(tls_row_of(&rows, &one, true), 2);
    rows = rows_of("cn:=p", "san:=p");
    one = certificate_of("");
    assert_int_equal(tls_row_of(&rows, &one, true), 0); /* no name fits no name */
    rows.count = 0;
    assert_int_equal(tls_row_of(&rows, &one, true), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fingerprints),
        cmocka_unit_test(test_a_file_of_known_clients),
        cmocka_unit_test(test_a_faulty_line_is_named),
        cmocka_unit_test(test_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
