/* The plan of an enclave's init: what is one, and that everything else is refused. */
#include "enclave/plan.h"
#include "support/test.h"

static struct enclave_plan plan;

static cc_err parse(const char *text)
{
    return enclave_plan_parse(span_str(text), &plan);
}

/* What tools/enclave-image writes (tests/integration/test_enclave_image.py has the same text). */
static void test_what_the_image_tool_writes(void **state)
{
    (void)state;
    static const char text[] =
        "parent-cid 3\nheartbeat-port 9000\nlog-port 9001\nrun /usr/bin/containment-chamber\n"
        "argument server\nargument -c\nargument /etc/containment-chamber/config.yaml\n";
    assert_int_equal(parse(text).code, 0);
    assert_int_equal(plan.parent_cid, 3);
    assert_int_equal(plan.heartbeat_port, 9000);
    assert_int_equal(plan.log_port, 9001);
    assert_string_equal(plan.program, "/usr/bin/containment-chamber");
    assert_int_equal(plan.argument_count, 3);
    assert_string_equal(plan.arguments[2], "/etc/containment-chamber/config.yaml");
}

static void test_a_log_port_may_be_left_out(void **state)
{
    (void)state;
    assert_int_equal(parse("run /x\nheartbeat-port 1\nparent-cid 4294967294\n").code, 0);
    assert_int_equal(plan.log_port, 0);
    assert_int_equal(plan.argument_count, 0);
}

static void test_what_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum error_code code;
    } cases[] = {
        {"", ERROR_FIELD_MISSING},
        {"parent-cid 3\nheartbeat-port 9000\n", ERROR_FIELD_MISSING},
        {"parent-cid 3\nrun /x\n", ERROR_FIELD_MISSING},
        {"heartbeat-port 9000\nrun /x\n", ERROR_FIELD_MISSING},
        {"parent-cid 1\n", ERROR_NUMBER_RANGE},
        {"parent-cid 4294967295\n", ERROR_NUMBER_RANGE},
        {"heartbeat-port 0\n", ERROR_NUMBER_RANGE},
        {"log-port 0\n", ERROR_NUMBER_RANGE},
        {"parent-cid 3\nparent-cid 3\n", ERROR_MALFORMED},
        {"parent-cid 3x\n", ERROR_MALFORMED},
        {"run x\n", ERROR_MALFORMED},
        {"run /x\nrun /y\n", ERROR_MALFORMED},
        {"run \n", ERROR_LIMIT},
        {"argument \n", ERROR_LIMIT},
        {"argument a\tb\n", ERROR_MALFORMED},
        {"shell /bin/sh\n", ERROR_MALFORMED},
        {"run\n", ERROR_MALFORMED},
        {"\n", ERROR_MALFORMED},
        {" parent-cid 3\n", ERROR_MALFORMED},
        {"parent-cid 3", ERROR_MALFORMED},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (!error_is(parse(cases[i].text), cases[i].code))
            fail_msg("case %zu: %s", i, error_detail());
}

static void test_limits(void **state)
{
    (void)state;
    CC_CLEANUP(buf_release) struct buf text = buf_init(2 * ENCLAVE_PLAN_MAX);
    assert_int_equal(buf_append_str(&text, "parent-cid 3\nheartbeat-port 9000\nrun /x\n").code, 0);
    for (int i = 0; i < ENCLAVE_ARGUMENTS_MAX; i++)
        assert_int_equal(buf_append_str(&text, "argument x\n").code, 0);
    assert_int_equal(enclave_plan_parse(buf_span(&text), &plan).code, 0);
    assert_int_equal(buf_append_str(&text, "argument x\n").code, 0);
    assert_true(error_is(enclave_plan_parse(buf_span(&text), &plan), ERROR_LIMIT));
    text.len = 0;
    assert_int_equal(buf_append_str(&text, "argument ").code, 0);
    for (int i = 0; i < ENCLAVE_ARGUMENT_SIZE; i++)
        assert_int_equal(buf_append_str(&text, "x").code, 0);
    assert_int_equal(buf_append_str(&text, "\n").code, 0);
    assert_true(error_is(enclave_plan_parse(buf_span(&text), &plan), ERROR_LIMIT));
    text.len = 0;
    while (text.len <= ENCLAVE_PLAN_MAX)
        assert_int_equal(
            buf_append_str(&text, "argument xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n")
                .code,
            0);
    assert_true(error_is(enclave_plan_parse(buf_span(&text), &plan), ERROR_LIMIT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_the_image_tool_writes),
        cmocka_unit_test(test_a_log_port_may_be_left_out),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
