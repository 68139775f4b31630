/* Bodies of the key routes: what is read, and every way to be refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#include "front/keys_body.h"
#include "support/front_rig.h"
#include "support/keystore.h"
#include "support/test.h"

static struct buf body;
static struct keys_body got;
static const struct keys_body_rules manager = {4, false};
static const struct keys_body_rules chamber = {4, true};

static int begin(void **state)
{
    (void)state;
    body = buf_init(80 << 20);
    return 0;
}

static int end(void **state)
{
    (void)state;
    keys_body_release(&got);
    buf_release(&body);
    return 0;
}

static void add(const char *text)
{
    assert_int_equal(buf_append_str(&body, text).code, 0);
}

/* A keystore as text in JSON. */
static void add_keystore(uint8_t number, const char *password, bool names_key)
{
    struct keystore_recipe recipe = {.password = password};
    struct buf text = buf_init(65536);
    recipe.secret[31] = number;
    struct eth_pubkey key = keystore_pubkey(recipe.secret);
    recipe.pubkey = names_key ? &key : NULL;
    assert_int_equal(keystore_make(&recipe, &text).code, 0);
    add("\"");
    for (size_t i = 0; i < text.len; i++) {
        char c = (char)text.data[i];
        if (c == '"' || c == '\\')
            add("\\");
        if (c == '\n')
            add("\\n");
        else
            assert_int_equal(buf_append(&body, &c, 1).code, 0);
    }
    add("\"");
    buf_release(&text);
}

static cc_err read_import(const struct keys_body_rules *rules)
{
    keys_body_release(&got);
    return keys_body_import(rules, body.data, body.len, &got);
}

static void test_keystores_and_passwords_are_read_in_order(void **state)
{
    (void)state;
    add("{\"keystores\":[");
    add_keystore(1, "one", true);
    add(",");
    add_keystore(2, "two", false);
    add("],\"passwords\":[\"o\\u006ee\",\"two\\u0007\"]}");
    assert_int_equal(read_import(&manager).code, 0);
    assert_int_equal(got.count, 2);
    assert_false(got.has_history || got.inactive || got.all);
    for (size_t i = 0; i < 2; i++) {
        uint8_t secret[32];
        struct eth_pubkey key;
        assert_int_equal(got.items[i].err.code, 0);
        assert_int_equal(keystore_open(&got.keystores[i], secret, &key).code, 0);
        assert_int_equal(secret[31], i + 1);
        assert_int_equal(got.items[i].has_pubkey, i == 0);
    }
}

static void test_one_bad_keystore_or_password_is_its_own_error(void **state)
{
    (void)state;
    add("{\"keystores\":[\"\",\"{\\\"crypto\\\":{}}\",");
    add_keystore(3, "three", true);
    add(",");
    add_keystore(4, "four", true);
    add("],\"passwords\":[\"a\",\"b\",\"three\",\"");
    for (int i = 0; i < K_PASSWORD_MAX + 1; i++)
        add("x");
    add("\"]}");
    assert_int_equal(read_import(&manager).code, 0);
    assert_int_equal(got.count, 4);
    assert_int_equal(got.items[0].err.code, ERROR_JSON_SYNTAX);
    assert_int_equal(got.items[1].err.code, ERROR_KEYSTORE);
    assert_string_equal(got.items[1].static_detail, "version: 4 expected");
    assert_int_equal(got.items[2].err.code, 0);
    assert_int_equal(got.items[3].err.code, ERROR_PASSWORD_TEXT);
    const struct k_keystore none = {0};
    assert_memory_equal(&got.keystores[3], &none, sizeof none); /* nothing half-read stays */
}

static void test_history_and_status(void **state)
{
    (void)state;
    add("{\"slashing_protection\":\"{\\\"a\\\":1}\",\"status\":\"inactive\",\"keystores\":[],"
        "\"passwords\":[]}");
    assert_int_equal(read_import(&chamber).code, 0);
    assert_true(got.has_history && got.inactive);
    assert_true(span_is(got.history, "{\"a\":1}"));
    body.len = 0;
    add("{\"slashing_protection\":null,\"status\":7,\"keystores\":[],\"passwords\":[],\"x\":[1]}");
    assert_int_equal(read_import(&manager).code, 0); /* what others add is theirs */
    assert_false(got.has_history || got.inactive);
    body.len = 0;
    add("{\"slashing_protection\":\"\",\"keystores\":[],\"passwords\":[]}");
    assert_int_equal(read_import(&manager).code, 0);
    assert_false(got.has_history);
}

static void test_bad_bodies_of_an_import_are_refused(void **state)
{
    static const struct {
        const char *text;
        enum error_code code;
    } cases[] = {
        {"", ERROR_JSON_SYNTAX},
        {"[]", ERROR_FIELD_TYPE},
        {"{}", ERROR_FIELD_MISSING},
        {"{\"keystores\":[]}", ERROR_FIELD_MISSING},
        {"{\"keystores\":null,\"passwords\":[]}", ERROR_FIELD_MISSING},
        {"{\"keystores\":{},\"passwords\":[]}", ERROR_FIELD_TYPE},
        {"{\"keystores\":[{}],\"passwords\":[\"\"]}", ERROR_FIELD_TYPE},
        {"{\"keystores\":[\"\"],\"passwords\":[null]}", ERROR_FIELD_TYPE},
        {"{\"keystores\":[\"\"],\"passwords\":[]}", ERROR_MALFORMED},
        {"{\"keystores\":[],\"passwords\":[],\"slashing_protection\":{}}", ERROR_FIELD_TYPE},
        {"{\"keystores\":[],\"passwords\":[],\"keystores\":[]}", ERROR_JSON_DUPLICATE_KEY},
        {"{\"keystores\":[],\"passwords\":[\"\xff\"]}", ERROR_JSON_UTF8},
        {"{\"keystores\":[\"\",\"\",\"\",\"\",\"\"],\"passwords\":[\"\",\"\",\"\",\"\",\"\"]}",
         ERROR_BODY_TOO_LARGE},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        body.len = 0;
        add(cases[i].text);
        assert_int_equal(read_import(&manager).code, cases[i].code);
    }
    body.len = 0;
    add("{\"keystores\":[],\"passwords\":[],\"also\":1}");
    assert_int_equal(read_import(&chamber).code, ERROR_MALFORMED);
    body.len = 0;
    add("{\"keystores\":[],\"passwords\":[],\"status\":\"asleep\"}");
    assert_int_equal(read_import(&chamber).code, ERROR_MALFORMED);
}

/* The memory of a body is that of its items: a list of a million values is given up early. */
static void test_P24_a_body_of_many_values_or_levels_is_refused(void **state)
{
    (void)state;
    add("{\"keystores\":[");
    for (int i = 0; i < 100000; i++)
        add("[],");
    add("[]],\"passwords\":[]}");
    (void)alloc_fail_nth(0);
    assert_int_equal(read_import(&manager).code, ERROR_BODY_TOO_LARGE);
    body.len = 0;
    for (int i = 0; i < 100; i++)
        add("{\"keystores\":");
    assert_int_equal(read_import(&manager).code, ERROR_JSON_TOO_DEEP);
}

static cc_err
read_list(const struct keys_body_rules *rules, enum a_keys_verb verb, const char *text)
{
    keys_body_release(&got);
    body.len = 0;
    add(text);
    return keys_body_list(rules, verb, body.data, body.len, &got);
}

static void test_public_keys_are_read_in_order(void **state)
{
    char text[512];
    (void)state;
    (void)snprintf(text, sizeof text, "{\"pubkeys\":[\"%s\",\"%s\"]}", rig_key, rig_key + 2);
    assert_int_equal(read_list(&manager, KEYS_DELETE, text).code, 0);
    assert_int_equal(got.count, 2);
    assert_memory_equal(&got.items[0].pubkey, &got.items[1].pubkey, sizeof got.items[0].pubkey);
    assert_int_equal(got.items[0].pubkey.bytes[0], 0x93);
    assert_int_equal(read_list(&manager, KEYS_DELETE, "{\"pubkeys\":[]}").code, 0);
    assert_int_equal(got.count, 0);
    (void)snprintf(text, sizeof text, "{\"status\":\"inactive\",\"pubkeys\":[\"%s\"]}", rig_key);
    assert_int_equal(read_list(&chamber, KEYS_SET, text).code, 0);
    assert_true(got.inactive && got.count == 1);
    assert_int_equal(read_list(&chamber, KEYS_PAUSE, "{\"all\":true}").code, 0);
    assert_true(got.all && got.count == 0);
}

static void test_bad_lists_are_refused(void **state)
{
    static const struct {
        enum a_keys_verb verb;
        const char *text;
        enum error_code code;
    } cases[] = {
        {KEYS_DELETE, "", ERROR_JSON_SYNTAX},
        {KEYS_DELETE, "[]", ERROR_FIELD_TYPE},
        {KEYS_DELETE, "{}", ERROR_FIELD_MISSING},
        {KEYS_DELETE, "{\"pubkeys\":\"\"}", ERROR_FIELD_TYPE},
        {KEYS_DELETE, "{\"pubkeys\":[1]}", ERROR_FIELD_TYPE},
        {KEYS_DELETE, "{\"pubkeys\":[\"0x12\"]}", ERROR_MALFORMED},
        {KEYS_DELETE, "{\"all\":true}", ERROR_MALFORMED},
        {KEYS_DELETE, "{\"pubkeys\":[],\"status\":\"active\"}", ERROR_MALFORMED},
        {KEYS_SET, "{\"pubkeys\":[]}", ERROR_FIELD_MISSING},
        {KEYS_SET, "{\"pubkeys\":[],\"status\":\"\"}", ERROR_MALFORMED},
        {KEYS_SET, "{\"pubkeys\":[],\"status\":\"active\",\"all\":true}", ERROR_MALFORMED},
        {KEYS_PAUSE, "{}", ERROR_FIELD_MISSING},
        {KEYS_PAUSE, "{\"all\":false}", ERROR_FIELD_MISSING},
        {KEYS_PAUSE, "{\"all\":1}", ERROR_FIELD_TYPE},
        {KEYS_PAUSE, "{\"all\":true,\"pubkeys\":[]}", ERROR_MALFORMED},
        {KEYS_RESUME, "{\"pubkeys\":[],\"status\":\"active\"}", ERROR_MALFORMED},
        {KEYS_RESUME, "{\"pubkeys\":[\"\",\"\",\"\",\"\",\"\"]}", ERROR_BODY_TOO_LARGE},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(read_list(&chamber, cases[i].verb, cases[i].text).code, cases[i].code);
}

/* With each allocation failing in turn: an error or the whole, and nothing is lost or freed twice. */
static void test_memory_that_runs_out_is_an_error(void **state)
{
    uint64_t nth = 1;
    (void)state;
    cc_err err;
    do {
        body.len = 0;
        add("{\"keystores\":[");
        add_keystore(5, "five", true);
        add("],\"passwords\":[\"five\"]}");
        (void)alloc_fail_nth(nth++);
        err = read_import(&manager);
        (void)alloc_fail_nth(0);
        if (!err.code && got.items[0].err.code)
            err = got.items[0].err;
        if (err.code)
            assert_int_equal(err.code, ERROR_NO_MEMORY);
    } while (err.code && nth < 100);
    assert_int_equal(err.code, 0);
    assert_true(nth > 4);
}

/* --- new keys ----------------------------------------------------------------------------------------------------- */

static cc_err read_generate(const char *text)
{
    keys_body_release(&got);
    body.len = 0;
    add(text);
    return keys_body_generate(&chamber, body.data, body.len, &got);
}

#define ADDRESS "\"withdrawal_address\":\"0x00112233445566778899AABbCCdDeeFf00112233\""

static void test_new_keys_are_read(void **state)
{
    (void)state;
    static const uint8_t tail[20] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99,
                                     0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x00, 0x11, 0x22, 0x33};
    assert_int_equal(read_generate("{\"count\":4}").code, 0);
    assert_int_equal(got.count, 4);
    assert_int_equal(got.generate.total, 4);
    assert_false(got.inactive || got.generate.has_deposit);
    assert_int_equal(read_generate("{\"count\":\"1\",\"status\":\"inactive\"," ADDRESS "}").code,
                     0);
    assert_true(got.inactive && got.generate.has_deposit);
    assert_true(got.generate.amount == UINT64_C(32000000000));
    assert_int_equal(got.generate.withdrawal_credentials.bytes[0], 1);
    assert_memory_equal(got.generate.withdrawal_credentials.bytes + 12, tail, sizeof tail);
    assert_int_equal(
        read_generate("{\"count\":1,\"compounding\":true,\"amount_gwei\":2048000000000," ADDRESS
                      "}")
            .code,
        0);
    assert_int_equal(got.generate.withdrawal_credentials.bytes[0], 2);
    assert_true(got.generate.amount == UINT64_C(2048000000000));
}

static void test_new_keys_that_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum error_code error;
    } rows[] = {
        {"{}", ERROR_FIELD_MISSING},
        {"{\"count\":0}", ERROR_NUMBER_RANGE},
        {"{\"count\":5}", ERROR_BODY_TOO_LARGE},
        {"{\"count\":-1}", ERROR_MALFORMED},
        {"{\"count\":1,\"mnemonic\":\"abandon\"}", ERROR_MALFORMED},
        {"{\"count\":1,\"status\":\"deleted\"}", ERROR_MALFORMED},
        {"{\"count\":1,\"compounding\":true}", ERROR_FIELD_MISSING},
        {"{\"count\":1,\"amount_gwei\":1000000000}", ERROR_FIELD_MISSING},
        {"{\"count\":1,\"withdrawal_address\":\"0x0011\"}", ERROR_MALFORMED},
        {"{\"count\":1,\"withdrawal_address\":\"0x0000000000000000000000000000000000000000\"}",
         ERROR_MALFORMED},
        {"{\"count\":1,\"withdrawal_address\":\"0x00112233445566778899aABbCCdDeeFf00112233\"}",
         ERROR_MALFORMED}, /* one capital of its checksum is another one */
        {"{\"count\":1,\"amount_gwei\":32000000001," ADDRESS "}", ERROR_NUMBER_RANGE},
        {"{\"count\":1,\"amount_gwei\":999999999," ADDRESS "}", ERROR_NUMBER_RANGE},
        {"{\"count\":1,\"compounding\":true,\"amount_gwei\":2048000000001," ADDRESS "}",
         ERROR_NUMBER_RANGE},
        {"[]", ERROR_FIELD_TYPE},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        cc_err err = read_generate(rows[i].text);
        if (!error_is(err, rows[i].error))
            fail_msg("%s: %s", rows[i].text, error_name(err));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_keystores_and_passwords_are_read_in_order, begin, end),
        cmocka_unit_test_setup_teardown(test_one_bad_keystore_or_password_is_its_own_error, begin,
                                        end),
        cmocka_unit_test_setup_teardown(test_history_and_status, begin, end),
        cmocka_unit_test_setup_teardown(test_bad_bodies_of_an_import_are_refused, begin, end),
        cmocka_unit_test_setup_teardown(test_P24_a_body_of_many_values_or_levels_is_refused, begin,
                                        end),
        cmocka_unit_test_setup_teardown(test_public_keys_are_read_in_order, begin, end),
        cmocka_unit_test_setup_teardown(test_bad_lists_are_refused, begin, end),
        cmocka_unit_test_setup_teardown(test_memory_that_runs_out_is_an_error, begin, end),
        cmocka_unit_test_setup_teardown(test_new_keys_are_read, begin, end),
        cmocka_unit_test_setup_teardown(test_new_keys_that_are_refused, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
