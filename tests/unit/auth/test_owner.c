/* Rows of auth.owner_keys, and the text that a key's holder keeps. */
#include <stdio.h>
#include <string.h>

#include "auth/owner.h"
#include "support/test.h"

#define DIGITS "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"
#define OTHER  "8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394"
#define KEYID  "34750f98bd59fcfc946da45aaabe933b"

static struct config_text_list rows;

static void add(const char *row)
{
    (void)snprintf(rows.items[rows.count++], CONFIG_TEXT_MAX, "%s", row);
}

static int clear(void **state)
{
    (void)state;
    memset(&rows, 0, sizeof rows);
    return 0;
}

/* The faults' text. */
static const char *checked(unsigned expected)
{
    static char text[2048];
    struct config_faults faults = {.text = buf_init(sizeof text - 1)};
    owner_keys_check(&rows, &faults);
    assert_int_equal(faults.count, expected);
    (void)snprintf(text, sizeof text, "%.*s", (int)faults.text.len,
                   faults.text.len ? (const char *)faults.text.data : "");
    buf_release(&faults.text);
    return text;
}

static void test_a_row_is_a_name_and_a_key_or_a_key(void **state)
{
    (void)state;
    struct owner_key key;
    assert_int_equal(owner_key_parse(span_str("alice=" DIGITS), &key).code, 0);
    assert_string_equal(key.name, "alice");
    assert_string_equal(key.keyid, KEYID);
    assert_int_equal(key.public_key[0], 0x8a);
    assert_int_equal(owner_key_parse(span_str(DIGITS), &key).code, 0);
    assert_string_equal(key.name, KEYID);
}

static void test_other_rows_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "=",
                                      "alice",
                                      "alice=",
                                      "=" DIGITS,
                                      "Alice=" DIGITS,
                                      "alice=0x" DIGITS,
                                      "alice==" DIGITS,
                                      "alice=" DIGITS "00",
                                      "alice=" DIGITS " ",
                                      " " DIGITS,
                                      "a23456789012345678901234567890123456789a=" DIGITS};
    struct owner_key key = {.name = "kept"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(owner_key_parse(span_str(bad[i]), &key).code, ERROR_MALFORMED);
        assert_string_equal(key.name, "kept");
    }
}

static void test_keys_are_found_by_their_id(void **state)
{
    (void)state;
    struct owner_key key;
    assert_false(owner_keys_find(&rows, KEYID, &key));
    add("nonsense");
    add("bob=" OTHER);
    assert_false(owner_keys_find(&rows, KEYID, &key));
    add("alice=" DIGITS);
    assert_true(owner_keys_find(&rows, KEYID, &key));
    assert_string_equal(key.name, "alice");
    assert_false(owner_keys_find(&rows, "", &key));
}

static void test_faults_say_which_row(void **state)
{
    (void)state;
    add("alice=" DIGITS);
    add("bob=" OTHER);
    (void)checked(0);
    add(DIGITS);
    add("bob=11" DIGITS);
    const char *text = checked(2);
    assert_non_null(strstr(text, "auth.owner_keys: item 3 has a key or a name that stands before"));
    assert_non_null(strstr(text, "auth.owner_keys: item 4 is not [NAME=]"));
}

static void test_a_name_is_one_keys(void **state)
{
    (void)state;
    add("alice=" DIGITS);
    add("alice=" OTHER);
    assert_non_null(strstr(checked(1), "item 2 has a key or a name"));
}

static void test_no_more_than_eight(void **state)
{
    (void)state;
    char row[80];
    for (unsigned i = 0; i <= OWNER_KEYS_MAX; i++) {
        (void)snprintf(row, sizeof row, "%02x%s", i, &DIGITS[2]);
        add(row);
    }
    assert_non_null(strstr(checked(1), "has more than 8 rows"));
}

static void test_the_text_of_a_key(void **state)
{
    (void)state;
    uint8_t seed[ED25519_SEED_SIZE], again[ED25519_SEED_SIZE];
    char text[OWNER_TEXT_SIZE], management[MANAGER_TEXT_SIZE];
    for (size_t i = 0; i < sizeof seed; i++)
        seed[i] = (uint8_t)(7 * i);
    owner_text(seed, text);
    assert_memory_equal(text, "cc_owner_", 9);
    assert_int_equal(strlen(text), OWNER_TEXT_SIZE - 1);
    assert_int_equal(owner_text_parse(span_str(text), again).code, 0);
    assert_memory_equal(seed, again, sizeof seed);
    manager_text(seed, management); /* of another kind: neither passes for the other */
    assert_int_equal(owner_text_parse(span_str(management), again).code, ERROR_MALFORMED);
    assert_int_equal(manager_text_parse(span_str(text), again).code, ERROR_MALFORMED);
    assert_int_equal(owner_text_parse(span_of(text, OWNER_TEXT_SIZE - 2), again).code,
                     ERROR_MALFORMED);
    text[20] = '+';
    assert_int_equal(owner_text_parse(span_str(text), again).code, ERROR_MALFORMED);
    for (size_t i = 0; i < sizeof again; i++)
        assert_int_equal(again[i], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_row_is_a_name_and_a_key_or_a_key),
        cmocka_unit_test(test_other_rows_are_refused),
        cmocka_unit_test_setup(test_keys_are_found_by_their_id, clear),
        cmocka_unit_test_setup(test_faults_say_which_row, clear),
        cmocka_unit_test_setup(test_a_name_is_one_keys, clear),
        cmocka_unit_test_setup(test_no_more_than_eight, clear),
        cmocka_unit_test(test_the_text_of_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
