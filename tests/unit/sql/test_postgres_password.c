/* Who is asked for a database's password, and what a connection makes of it. */
#include <string.h>

#include "sql/postgres_dial.h"
#include "sql/postgres_password.h"
#include "support/test.h"

static struct {
    unsigned gets;
    unsigned refusals;
    cc_err err;
} asked;

static cc_err get(void *context, struct buf *ret_password)
{
    asked.gets++;
    CC_TRY(asked.err);
    return buf_append(ret_password, context, strlen(context) + 1);
}

static void refuse(void *context)
{
    (void)context;
    asked.refusals++;
}

static void test_T11_each_url_has_its_own(void **state)
{
    (void)state;
    static char one[] = "first", two[] = "second";
    static const struct postgres_password both[] = {{"host=a", get, refuse, one},
                                                    {"host=b", get, refuse, two}};
    CC_CLEANUP(buf_release) struct buf password = buf_init(POSTGRES_PASSWORD_MAX);
    assert_false(postgres_password_exists("host=a"));
    postgres_passwords_install(both, 2);
    assert_true(postgres_password_exists("host=a"));
    assert_false(postgres_password_exists("host=a "));
    assert_int_equal(postgres_password_get("host=b", &password).code, 0);
    assert_string_equal((const char *)password.data, "second");
    postgres_password_refused("host=b");
    postgres_password_refused("host=c");
    assert_int_equal(asked.refusals, 1);
    assert_int_equal(postgres_password_get("host=c", &password).code, ERROR_STORE);
    /* Whatever the source says, a connection has one error; the words stay. */
    asked.err = CC_FAIL(AWS_DENIED, "not with this image");
    assert_int_equal(postgres_password_get("host=a", &password).code, ERROR_STORE);
    assert_string_equal(error_detail(), "not with this image");
    asked.err = CC_FAIL(NO_MEMORY, NULL);
    assert_int_equal(postgres_password_get("host=a", &password).code, ERROR_NO_MEMORY);
    postgres_passwords_install(NULL, 0);
    assert_false(postgres_password_exists("host=a"));
}

static void test_T11_it_counts_before_the_urls_own(void **state)
{
    (void)state;
    struct postgres_dial plan;
    const char *last = NULL;
    assert_int_equal(postgres_url_dial("host=a password=other", 0, &plan).code, 0);
    postgres_dial_add(&plan, "password", "mine");
    for (size_t i = 0; plan.keys[i]; i++)
        last = strcmp(plan.keys[i], "password") == 0 ? plan.values[i] : last;
    assert_string_equal(last, "mine");
    postgres_dial_release(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_T11_each_url_has_its_own),
        cmocka_unit_test(test_T11_it_counts_before_the_urls_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
