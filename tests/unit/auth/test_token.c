/* A token's text, what is kept of it, its record, and whether it may be used now, from there, over that connection. */
#include <stdlib.h>
#include <string.h>

#include "auth/token.h"
#include "codec/base64.h"
#include "support/test.h"

#define MAC_TEXT "5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c"
#define SMALL                                                                                      \
    "{\"name\":\"vc-1\",\"mac\":\"" MAC_TEXT "\",\"policies\":[\"alpha\"],\"created\":1700000000"

static struct auth_fault fault;

static cc_err parse(const char *text, struct token *ret_token)
{
    char *copy = strdup(text);
    assert_non_null(copy);
    cc_err err = token_parse((uint8_t *)copy, strlen(copy), "vc-1", ret_token, &fault);
    free(copy);
    return err;
}

static void test_the_text_of_a_token(void **state)
{
    uint8_t random[TOKEN_RANDOM_SIZE];
    uint8_t again[TOKEN_RANDOM_SIZE];
    char text[TOKEN_TEXT_SIZE];
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        memset(random, (int)byte, sizeof random);
        random[31] = (uint8_t)(255 - byte);
        token_text(random, text);
        assert_int_equal(strlen(text), 52);
        assert_memory_equal(text, "cc_token_", 9);
        assert_int_equal(base64url_decode(span_str(text + 9), again, sizeof again).code, 0);
        assert_memory_equal(again, random, sizeof again);
    }
    memset(random, 0xff, sizeof random);
    token_text(random, text);
    assert_string_equal(text, "cc_token___________________________________________8");
}

/* docs/formats.md: HMAC-SHA256 under the key of the SHA-256 of the text; values from Python's hashlib and hmac. */
static void test_what_is_kept_of_a_token(void **state)
{
    static const uint8_t key[MAC_SIZE] = {1, 2, 3};
    static const uint8_t expected[4] = {0x45, 0x03, 0x37, 0x3a};
    uint8_t digest[SHA256_SIZE];
    uint8_t mac[MAC_SIZE];
    (void)state;
    token_digest(span_str("cc_token_AAAA"), digest);
    token_mac(key, digest, mac);
    assert_memory_equal(mac, expected, sizeof expected);
}

static void test_a_record_is_one_text(void **state)
{
    static const char text[] =
        SMALL ",\"expires\":1800000000,\"last_used\":1700000001,\"cidrs\":[\"10.0.0.0/8\","
              "\"::1/128\"],\"certificate\":\"" MAC_TEXT "\"}";
    struct token token;
    CC_CLEANUP(buf_release) struct buf out = buf_init(TOKEN_STORED_MAX);
    (void)state;
    assert_int_equal(parse(text, &token).code, 0);
    assert_string_equal(token.name, "vc-1");
    assert_int_equal(token.mac[31], 0x5c);
    assert_int_equal(token.policy_count, 1);
    assert_string_equal(token.policies[0], "alpha");
    assert_int_equal(token.created, 1700000000);
    assert_int_equal(token.expires, 1800000000);
    assert_int_equal(token.last_used, 1700000001);
    assert_int_equal(token.cidr_count, 2);
    assert_true(token.has_certificate);
    assert_int_equal(token_write(&token, &out).code, 0);
    assert_true(span_is(buf_span(&out), text));
    out.len = 0;
    assert_int_equal(parse(SMALL "}", &token).code, 0);
    assert_int_equal(token_write(&token, &out).code, 0);
    assert_true(span_is(buf_span(&out), SMALL "}"));
}

static void test_T03_a_record_is_read_strictly(void **state)
{
    static const struct {
        const char *text;
        const char *place;
        const char *what;
    } rows[] = {
        {"[]", "", "not an object"},
        {SMALL ",\"note\":1}", "", "an unknown member"},
        {SMALL ",\"expires\":-1}", "expires", "not a whole number below 2^64"},
        {SMALL ",\"cidrs\":[]}", "cidrs", "an empty list"},
        {SMALL ",\"cidrs\":[\"x\"]}", "cidrs[0]", "not an address or a range of addresses"},
        {SMALL ",\"certificate\":\"5c\"}", "certificate", "not 32 bytes in hex"},
        {"{\"name\":\"vc-2\",\"mac\":\"" MAC_TEXT "\",\"policies\":[\"a\"],\"created\":1}", "name",
         "not the record's name"},
        {"{\"mac\":\"" MAC_TEXT "\",\"policies\":[\"a\"],\"created\":1}", "name", "is missing"},
        {"{\"name\":\"vc-1\",\"policies\":[\"a\"],\"created\":1}", "mac", "is missing"},
        {"{\"name\":\"vc-1\",\"mac\":\"" MAC_TEXT "\",\"created\":1}", "policies", "is missing"},
        {"{\"name\":\"vc-1\",\"mac\":\"" MAC_TEXT "\",\"policies\":[\"a\"]}", "created",
         "is missing"},
        {"{\"name\":\"vc-1\",\"mac\":\"" MAC_TEXT "\",\"policies\":[],\"created\":1}", "policies",
         "an empty list"},
        {"{\"name\":\"vc-1\",\"mac\":\"" MAC_TEXT "\",\"policies\":[\"a\",\"B\"],\"created\":1}",
         "policies[1]", "not a policy's name"},
    };
    struct token token;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_not_equal(parse(rows[i].text, &token).code, 0);
        assert_string_equal(fault.place, rows[i].place);
        assert_string_equal(fault.what, rows[i].what);
    }
}

static void test_where_and_when_a_token_is_good(void **state)
{
    struct token token = {.expires = 100, .cidr_count = 1};
    struct caller caller = {.address = {[10] = 0xff, [11] = 0xff, [12] = 10}};
    (void)state;
    assert_int_equal(cidr_parse(span_str("10.0.0.0/8"), &token.cidrs[0]).code, 0);
    assert_int_equal(token_check(&token, &caller, 99), TOKEN_GOOD);
    assert_int_equal(token_check(&token, &caller, 100), TOKEN_EXPIRED);
    assert_int_equal(token_check(&token, &caller, UINT64_MAX), TOKEN_EXPIRED);
    token.expires = 0;
    assert_int_equal(token_check(&token, &caller, UINT64_MAX), TOKEN_GOOD);
    caller.address[12] = 11;
    assert_int_equal(token_check(&token, &caller, 1), TOKEN_ELSEWHERE);
    memset(caller.address, 0,
           sizeof caller.address); /* a Unix connection has no address to go by */
    assert_int_equal(token_check(&token, &caller, 1), TOKEN_ELSEWHERE);
    assert_int_equal(cidr_parse(span_str("::/0"), &token.cidrs[0]).code, 0);
    assert_int_equal(token_check(&token, &caller, 1), TOKEN_ELSEWHERE);
    token.cidr_count = 0;
    assert_int_equal(token_check(&token, &caller, 1), TOKEN_GOOD);
    token.has_certificate = true;
    token.certificate[0] = 7;
    assert_int_equal(token_check(&token, &caller, 1), TOKEN_OTHER_CERTIFICATE);
    caller.fingerprint[0] = 7;
    assert_int_equal(token_check(&token, &caller, 1), TOKEN_GOOD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_text_of_a_token),
        cmocka_unit_test(test_what_is_kept_of_a_token),
        cmocka_unit_test(test_a_record_is_one_text),
        cmocka_unit_test(test_T03_a_record_is_read_strictly),
        cmocka_unit_test(test_where_and_when_a_token_is_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
