/* What a store's table in DynamoDB has to be, at its opening and while it is used: tests/support/aws.py is the service. */
#include <stdio.h>
#include <string.h>

#include "aws/dynamodb_link.h"
#include "support/aws_server.h"
#include "support/dynamodb_table.h"
#include "support/test.h"

static const struct dynamodb_words words = {.away = ERROR_STORE,
                                            .missing = "the table is missing",
                                            .making = "the table is being made",
                                            .body_max = 4096};
static char table[64];
static struct dynamodb_link link_to;

static int begin(void **state)
{
    (void)state;
    dynamodb_table_name(table, sizeof table);
    return dynamodb_link_make(dynamodb_table_session(), table, &words).code;
}

static int end(void **state)
{
    (void)state;
    dynamodb_link_release(&link_to);
    aws_server_do("account AKIDTEST 123456789012");
    return 0;
}

static cc_err look_in(struct aws_session *session)
{
    dynamodb_link_release(&link_to);
    assert_int_equal(dynamodb_link_open(&link_to, session, table, &words).code, 0);
    return dynamodb_link_look(&link_to);
}

static void test_T11_another_table_of_that_name_while_it_is_used(void **state)
{
    (void)state;
    assert_int_equal(look_in(dynamodb_table_session()).code, 0);
    dynamodb_table_call("UpdateTable", "{\"TableName\":\"%s\",\"DeletionProtectionEnabled\":false}",
                        table);
    dynamodb_table_call("DeleteTable", "{\"TableName\":\"%s\"}", table);
    link_to.described_ms = 0; /* a minute later */
    assert_int_equal(dynamodb_link_look(&link_to).code, ERROR_TAMPERED);
    assert_int_equal(dynamodb_link_make(dynamodb_table_session(), table, &words).code, 0);
    assert_int_equal(dynamodb_link_look(&link_to).code, ERROR_IDENTITY);
    assert_int_equal(dynamodb_link_look(&link_to).code, ERROR_IDENTITY); /* it stays refused */
}

static void test_T11_a_table_of_another_account(void **state)
{
    struct aws_config config;
    struct aws_session *session = NULL;
    (void)state;
    aws_server_config(&config);
    assert_int_equal(aws_session_open(&config, &aws_server_inputs, &session).code, 0);
    aws_session_pin(session, "123456789012");
    assert_int_equal(look_in(session).code, 0);
    dynamodb_link_release(&link_to);
    aws_session_close(session);
    /* Credentials of the account that is wanted: of the table it says itself whose it is. */
    aws_server_do("account AKIDTEST 999999999999");
    assert_int_equal(aws_session_open(&config, &aws_server_inputs, &session).code, 0);
    aws_session_pin(session, "999999999999");
    assert_int_equal(look_in(session).code, ERROR_IDENTITY);
    assert_non_null(strstr(error_detail(), "tee.aws_account"));
    dynamodb_link_release(&link_to);
    aws_session_close(session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_T11_another_table_of_that_name_while_it_is_used, begin,
                                        end),
        cmocka_unit_test_setup_teardown(test_T11_a_table_of_another_account, begin, end),
    };
    if (!aws_server_exists())
        return AWS_SERVER_SKIPPED;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
