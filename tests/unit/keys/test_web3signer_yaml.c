#include <stdio.h>

#include "base/alloc.h"

#include "keys/web3signer_yaml.h"
#include "support/test.h"

#define KEY "3ee2224386c82ffea477e2adf28a2929f5c349165a4196158c7f3a2ecca40f35"
#define PUB                                                                                        \
    "98d083489b3b06b8740da2dfec5cc3c01b2086363fe023a9d7dc1f907633b1ff"                             \
    "11f7b99b19e0533e969862270061d884"

static struct key_descriptor got[4];
static size_t count;
static struct yml_fault fault;

static cc_err take(void *context, const struct key_descriptor *d)
{
    (void)context;
    assert_true(count < ARRAY_LEN(got));
    got[count++] = *d;
    return CC_OK;
}

static cc_err parse(const char *text)
{
    count = 0;
    return key_yaml_parse(span_str(text), take, NULL, &fault);
}

static void parse_one(const char *text)
{
    cc_err err = parse(text);
    if (err.code)
        print_error("%u: %s\n", fault.line, fault.text);
    assert_int_equal(err.code, 0);
    assert_int_equal(count, 1);
}

static void test_raw_in_every_spelling(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "type: \"file-raw\"\nkeyType: \"BLS\"\nprivateKey: \"" KEY "\"\n",
        "type: file-raw\nprivateKey: 0x" KEY "\n",
        "{type: 'File-Raw', keyType: bls, privateKey: '0X" KEY "', unknown: [1, {x: y}]}",
        "--- \ntype: FILE-RAW\nkeyType:\nprivateKey: |-\n  " KEY "\n...\n",
        "type: file-raw # comment\r\nprivateKey: 0x3EE2224386C82FFEA477E2ADF28A2929F5C349165A4196158C7F3A2ECCA40F35",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        parse_one(texts[i]);
        assert_int_equal(got[0].error.code, 0);
        assert_int_equal(got[0].kind, DESCRIPTOR_RAW);
        assert_int_equal(got[0].secret[0], 0x3e);
        assert_int_equal(got[0].secret[16], 0xf5);
        assert_int_equal(got[0].secret[31], 0x35);
    }
}

static void test_keystore(void **state)
{
    (void)state;
    parse_one("type: file-keystore\nkeyType: BLS\nkeystoreFile: 0x" PUB ".json\n"
              "keystorePasswordFile: \"passwords/" PUB ".txt\"\n");
    assert_int_equal(got[0].error.code, 0);
    assert_int_equal(got[0].kind, DESCRIPTOR_KEYSTORE);
    assert_string_equal(got[0].keystore_file, "0x" PUB ".json");
    assert_string_equal(got[0].password_file, "passwords/" PUB ".txt");
}

static void test_a_masked_run_comes_back_where_it_was(void **state)
{
    (void)state;
    parse_one("type: file-keystore\n"
              "keystoreFile: a" KEY "-" KEY "g/0123456789abcdef0123456789abcdef\n"
              "keystorePasswordFile: ZZZZZZZZ00000000ZZZZZZZZZZZZZZZZZZZZZZZZZZ\n");
    assert_int_equal(got[0].error.code, 0);
    assert_string_equal(got[0].keystore_file, "a" KEY "-" KEY "g/0123456789abcdef0123456789abcdef");
    /* Whoever writes a place-holder by hand gets nothing longer than what he wrote. */
    assert_int_equal(strlen(got[0].password_file), 42);
}

static void test_several_documents_are_judged_alone(void **state)
{
    (void)state;
    assert_int_equal(
        parse("type: file-raw\nprivateKey: 0x" KEY "\n---\ntype: aws-secret\n---\n---\n"
              "type: file-keystore\nkeystoreFile: a.json\nkeystorePasswordFile: a.txt\n")
            .code,
        0);
    assert_int_equal(count, 3);
    assert_int_equal(got[0].error.code, 0);
    assert_int_equal(got[1].error.code, ERROR_KEY_TYPE);
    assert_int_equal(got[1].line, 4);
    assert_int_equal(got[2].error.code, 0);
    assert_int_equal(parse("# nothing\n").code, 0);
    assert_int_equal(count, 0);
}

static void test_other_types_are_refused_by_name(void **state)
{
    (void)state;
    static const char *const types[] = {
        "hashicorp", "azure-secret", "aws-secret", "gcp-secret",
        "yubihsm",   "interlock",    "azure-key",  "aws-kms",
    };
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        char text[100];
        char prefix[40];
        (void)snprintf(text, sizeof text, "type: \"%s\"\nkeyType: BLS\nx: 1\n", types[i]);
        (void)snprintf(prefix, sizeof prefix, "type %s: ", types[i]);
        parse_one(text);
        assert_int_equal(got[0].error.code, ERROR_KEY_TYPE);
        assert_memory_equal(got[0].detail, prefix, strlen(prefix));
    }
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int code;
        const char *why;
    } rows[] = {
        {"just text", ERROR_FIELD_TYPE, "not a key description: a mapping with a type expected"},
        {"[a]", ERROR_FIELD_TYPE, "not a key description: a mapping with a type expected"},
        {"privateKey: 0x" KEY, ERROR_FIELD_MISSING, "type is missing"},
        {"type: []", ERROR_FIELD_TYPE, "type: text expected"},
        {"type: file-row", ERROR_KEY_TYPE, "type: file-raw or file-keystore expected"},
        {"{type: file-raw, keyType: SECP256K1, privateKey: " KEY "}", ERROR_KEY_TYPE,
         "keyType SECP256K1: such keys are for the execution layer, which is not served; remove the "
         "file"},
        {"{type: file-raw, keyType: secp256k1}", ERROR_KEY_TYPE,
         "keyType SECP256K1: such keys are for the execution layer, which is not served; remove the "
         "file"},
        {"{type: file-raw, keyType: RSA}", ERROR_KEY_TYPE, "keyType: BLS expected"},
        {"{type: file-raw, keyType: []}", ERROR_FIELD_TYPE, "keyType: text expected"},
        {"type: file-raw", ERROR_FIELD_MISSING, "privateKey is missing"},
        {"{type: file-raw, PrivateKey: " KEY "}", ERROR_FIELD_MISSING, "privateKey is missing"},
        {"{type: file-raw, privateKey: 0x}", ERROR_KEY_INVALID,
         "privateKey: 32 bytes of hex expected"},
        {"{type: file-raw, privateKey: " KEY "00}", ERROR_KEY_INVALID,
         "privateKey: 32 bytes of hex expected"},
        {"{type: file-raw, privateKey: 0x0x" KEY "}", ERROR_KEY_INVALID,
         "privateKey: 32 bytes of hex expected"},
        {"{type: file-raw, privateKey: g" KEY "}", ERROR_KEY_INVALID,
         "privateKey: 32 bytes of hex expected"},
        {"{type: file-raw, privateKey: [" KEY "]}", ERROR_KEY_INVALID,
         "privateKey: 32 bytes of hex expected"},
        {"{type: file-keystore, keystoreFile: a.json}", ERROR_FIELD_MISSING,
         "keystoreFile or keystorePasswordFile is missing"},
        {"{type: file-keystore, keystoreFile: '', keystorePasswordFile: a}", ERROR_FIELD_MISSING,
         "keystoreFile or keystorePasswordFile is missing"},
        {"{type: file-keystore, keystoreFile: {}, keystorePasswordFile: a}", ERROR_FIELD_TYPE,
         "text expected"},
        {"{type: file-keystore, keystoreFile: \"a\\0b\", keystorePasswordFile: a}",
         ERROR_FIELD_TYPE, "text expected"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        parse_one(rows[i].text);
        assert_int_equal(got[0].error.code, rows[i].code);
        assert_string_equal(got[0].detail, rows[i].why);
    }
}

static void test_a_path_too_long(void **state)
{
    (void)state;
    struct buf text = buf_init(10000);
    assert_int_equal(
        buf_printf(&text, "{type: file-keystore, keystorePasswordFile: p, keystoreFile: ").code, 0);
    for (int i = 0; i < KEY_YAML_PATH_MAX; i++)
        assert_int_equal(buf_append_str(&text, "a").code, 0);
    assert_int_equal(buf_append(&text, "}", 2).code, 0);
    parse_one((const char *)text.data);
    assert_int_equal(got[0].error.code, ERROR_NUMBER_RANGE);
    buf_release(&text);
}

static void test_a_bad_file_is_refused_whole(void **state)
{
    (void)state;
    assert_int_equal(parse("type: file-raw\nprivateKey: " KEY "\n---\ntype: [\n").code,
                     ERROR_YAML_SYNTAX);
    assert_int_equal(count, 0);
    assert_int_equal(fault.line, 5);
    assert_int_equal(parse("type: file-raw\ntype: file-raw\n").code, ERROR_YAML_SYNTAX);
    assert_int_equal(fault.line, 2);
    assert_string_equal(fault.text, "the same key twice");
    assert_int_equal(parse("type: &a file-raw\n").code, ERROR_YAML_SYNTAX);
    assert_int_equal(key_yaml_parse(span_of("", KEY_YAML_TEXT_MAX + 1), take, NULL, &fault).code,
                     ERROR_YAML_SYNTAX);
    assert_int_equal(key_yaml_parse((struct span){0}, take, NULL, &fault).code, 0);
}

static cc_err stop(void *context, const struct key_descriptor *d)
{
    (void)context;
    (void)d;
    count++;
    return CC_FAIL(DOOR_CLOSED, "test");
}

static void test_the_callback_can_stop(void **state)
{
    (void)state;
    count = 0;
    assert_int_equal(key_yaml_parse(span_str("a: 1\n---\nb: 1\n"), stop, NULL, &fault).code,
                     ERROR_DOOR_CLOSED);
    assert_int_equal(count, 1);
}

static void test_each_allocation_fails(void **state)
{
    (void)state;
    for (uint64_t nth = 1;; nth++) {
        (void)alloc_fail_nth(nth);
        cc_err err = parse("type: file-raw\nprivateKey: 0x" KEY "\n");
        (void)alloc_fail_nth(0);
        if (!err.code) {
            assert_true(nth > 5);
            assert_int_equal(count, 1);
            return;
        }
        assert_int_equal(err.code, ERROR_NO_MEMORY);
        assert_int_equal(count, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_raw_in_every_spelling),
        cmocka_unit_test(test_keystore),
        cmocka_unit_test(test_a_masked_run_comes_back_where_it_was),
        cmocka_unit_test(test_several_documents_are_judged_alone),
        cmocka_unit_test(test_other_types_are_refused_by_name),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_a_path_too_long),
        cmocka_unit_test(test_a_bad_file_is_refused_whole),
        cmocka_unit_test(test_the_callback_can_stop),
        cmocka_unit_test(test_each_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
