#include <stdio.h>
#include <string.h>

#include "aws/dynamodb_table.h"
#include "support/test.h"

/* An answer of DescribeTable with `keys` as its key, and `more` beside. */
static cc_err read_answer(const char *keys, const char *more, struct dynamodb_table *ret_table)
{
    CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(256);
    char text[2048];
    (void)snprintf(text, sizeof text, "{\"Table\":{\"TableName\":\"t\",%s,\"KeySchema\":[%s]}}",
                   more, keys);
    assert_int_equal(jdoc_parse(&doc, (uint8_t *)text, strlen(text)).code, 0);
    return dynamodb_table_read(jdoc_root(&doc), ret_table);
}

#define ID     "\"TableId\":\"0aaf4fe2-1b2c-4b6e-9a4e-0123456789ab\""
#define ACTIVE ID ",\"TableStatus\":\"ACTIVE\""
static const char keys[] =
    "{\"AttributeName\":\"pk\",\"KeyType\":\"HASH\"},{\"AttributeName\":\"sk\",\"KeyType\":\"RANGE\"}";

static void test_a_table_that_fits(void **state)
{
    (void)state;
    struct dynamodb_table table;
    assert_int_equal(read_answer(keys, ACTIVE, &table).code, 0);
    assert_true(table.exists && table.ready);
    assert_null(table.unfit);
    assert_string_equal(table.id, "0aaf4fe2-1b2c-4b6e-9a4e-0123456789ab");
    assert_int_equal(read_answer(keys, ACTIVE ",\"Replicas\":[]", &table).code, 0);
    assert_null(table.unfit);
    assert_int_equal(read_answer(keys, ID ",\"TableStatus\":\"CREATING\"", &table).code, 0);
    assert_false(table.ready);
    assert_int_equal(read_answer(keys, ID ",\"TableStatus\":\"DELETING\"", &table).code, 0);
    assert_false(table.ready);
}

static void test_T27_a_global_table_is_unfit(void **state)
{
    (void)state;
    static const char *const more[] = {
        ACTIVE ",\"Replicas\":[{\"RegionName\":\"eu-west-1\",\"ReplicaStatus\":\"ACTIVE\"}]",
        ACTIVE ",\"Replicas\":[{\"RegionName\":\"eu-west-1\",\"ReplicaStatus\":\"CREATING\"}]",
        ACTIVE ",\"GlobalTableVersion\":\"2019.11.21\"",
    };
    struct dynamodb_table table;
    for (size_t i = 0; i < ARRAY_LEN(more); i++) {
        assert_int_equal(read_answer(keys, more[i], &table).code, 0);
        assert_non_null(table.unfit);
    }
}

static void test_T27_another_key_is_unfit(void **state)
{
    (void)state;
    static const char *const others[] = {
        "",
        "{\"AttributeName\":\"pk\",\"KeyType\":\"HASH\"}",
        "{\"AttributeName\":\"sk\",\"KeyType\":\"HASH\"},{\"AttributeName\":\"pk\",\"KeyType\":\"RANGE\"}",
        "{\"AttributeName\":\"pk\",\"KeyType\":\"RANGE\"},{\"AttributeName\":\"sk\",\"KeyType\":\"HASH\"}",
        "{\"AttributeName\":\"id\",\"KeyType\":\"HASH\"},{\"AttributeName\":\"sk\",\"KeyType\":\"RANGE\"}",
    };
    struct dynamodb_table table;
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        assert_int_equal(read_answer(others[i], ACTIVE, &table).code, 0);
        assert_non_null(table.unfit);
    }
}

static void test_T27_the_id_of_a_service_that_gives_none(void **state)
{
    (void)state;
    static const char made[] =
        "\"TableStatus\":\"ACTIVE\",\"TableArn\":\"arn:aws:dynamodb:eu:1:table/t\"";
    char more[256];
    struct dynamodb_table table, restored;
    (void)snprintf(more, sizeof more, "%s,\"CreationDateTime\":1795688426.556", made);
    assert_int_equal(read_answer(keys, more, &table).code, 0);
    (void)snprintf(more, sizeof more, "%s,\"CreationDateTime\":1795688427.556", made);
    assert_int_equal(read_answer(keys, more, &restored).code, 0);
    assert_string_not_equal(table.id, restored.id);
    assert_int_equal(read_answer(keys, made, &table).code, ERROR_AWS_REFUSED);
    assert_int_equal(read_answer(keys, "\"TableStatus\":\"ACTIVE\"", &table).code,
                     ERROR_AWS_REFUSED);
}

static void test_T11_the_arn_of_another_account_region_or_name(void **state)
{
    (void)state;
    static const char own[] = "arn:aws:dynamodb:eu-central-1:123456789012:table/t";
    static const char *const others[] = {
        "",
        "arn",
        "arn:aws",
        "arn:aws:dynamodb:eu-central-1:123456789012:table/",
        "arn:aws:dynamodb:eu-central-1:123456789012:table/tt",
        "arn:aws:dynamodb:eu-central-1:123456789012:table/t/index/t",
        "arn:aws:dynamodb:eu-central-1:123456789013:table/t",
        "arn:aws:dynamodb:eu-central-2:123456789012:table/t",
        "arn:aws:kms:eu-central-1:123456789012:table/t",
        "xarn:aws:dynamodb:eu-central-1:123456789012:table/t",
    };
    char more[640];
    struct dynamodb_table table;
    assert_true(dynamodb_arn_is(own, "eu-central-1", "123456789012", "t"));
    assert_true(
        dynamodb_arn_is("arn:aws-cn:dynamodb:cn-north-1:1:table/t", "cn-north-1", "1", "t"));
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_false(dynamodb_arn_is(others[i], "eu-central-1", "123456789012", "t"));
    (void)snprintf(more, sizeof more, ACTIVE ",\"TableArn\":\"%s\"", own);
    assert_int_equal(read_answer(keys, more, &table).code, 0);
    assert_string_equal(table.arn, own);
    (void)snprintf(more, sizeof more, ACTIVE ",\"TableArn\":\"%0512d\"", 1);
    assert_int_equal(read_answer(keys, more, &table).code, 0); /* none that anybody would want */
    assert_string_equal(table.arn, "");
}

static void test_names_of_tables(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "ab", "a b", "a/b/c", "abc\"", "abc\\", "t\303\244bc"};
    char longest[300];
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(dynamodb_table_name_is_valid(bad[i]));
    assert_true(dynamodb_table_name_is_valid("Containment_history-1.x"));
    memset(longest, 'a', sizeof longest);
    longest[255] = 0;
    assert_true(dynamodb_table_name_is_valid(longest));
    longest[255] = 'a';
    longest[256] = 0;
    assert_false(dynamodb_table_name_is_valid(longest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_table_that_fits),
        cmocka_unit_test(test_T27_a_global_table_is_unfit),
        cmocka_unit_test(test_T27_another_key_is_unfit),
        cmocka_unit_test(test_T27_the_id_of_a_service_that_gives_none),
        cmocka_unit_test(test_T11_the_arn_of_another_account_region_or_name),
        cmocka_unit_test(test_names_of_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
