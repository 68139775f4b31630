#include <string.h>

#include "sql/postgres_dial.h"
#include "sql/postgres_url.h"
#include "support/test.h"

static void test_only_connection_strings_are_taken(void **state)
{
    (void)state;
    static const char *const good[] = {"postgresql://u@h/d", "postgres:///d?host=/run",
                                       "host=h port=1", ""};
    static const char *const bad[] = {"mysql://h", "postgresql://u:p@h/d?nonsense=1", "host",
                                      "postgresql://[::1/d"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_int_equal(postgres_url_check(good[i]).code, 0);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_string_equal(error_name(postgres_url_check(bad[i])), "CONFIG");
        assert_null(strstr(error_detail(), "p@h"));
    }
}

static void assert_described(const char *url, const char *wanted)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(1024);
    assert_int_equal(postgres_url_describe(url, &text).code, 0);
    assert_int_equal(buf_append(&text, "", 1).code, 0);
    assert_string_equal((const char *)text.data, wanted);
}

static void test_people_see_no_password(void **state)
{
    (void)state;
    assert_described("postgresql://u:hush@a,b:5433/d?sslmode=require&sslpassword=hush",
                     "postgresql host=a,b port=,5433 dbname=d user=u");
    assert_described("password=hush hostaddr=10.0.0.1", "postgresql hostaddr=10.0.0.1");
}

#define HOST  "postgresql://u@h/d?"
#define FULL  HOST "sslmode=verify-full"
#define ROOTS "&sslrootcert=/etc/ca.crt"

static void test_T11_what_an_enclaves_database_has_to_be(void **state)
{
    (void)state;
    static const char *const good[] = {
        FULL ROOTS, "host=h hostaddr=10.0.0.1 sslmode=verify-full sslrootcert=/etc/ca.crt",
        "postgresql://u@a,b/d?sslmode=verify-full" ROOTS, FULL ROOTS "&gssencmode=disable"};
    static const char *const bad[] = {
        "",
        HOST,
        FULL,
        FULL "&sslrootcert=system",
        FULL "&sslrootcert=",
        HOST "sslmode=verify-ca" ROOTS,
        HOST "sslmode=require" ROOTS,
        FULL ROOTS "&sslmode=prefer",
        "postgresql://u:hush@h/d?sslmode=verify-full" ROOTS,
        FULL ROOTS "&password=hush",
        FULL ROOTS "&passfile=/etc/pgpass",
        FULL ROOTS "&sslcert=/c&sslkey=/k",
        FULL ROOTS "&sslpassword=hush",
        FULL ROOTS "&service=mine",
        FULL ROOTS "&gssencmode=prefer",
        "host=/run sslmode=verify-full sslrootcert=/etc/ca.crt",
        "hostaddr=10.0.0.1 sslmode=verify-full sslrootcert=/etc/ca.crt",
        "nonsense"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_int_equal(postgres_url_check_enclave(good[i]).code, 0);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_string_equal(error_name(postgres_url_check_enclave(bad[i])), "CONFIG");
        assert_null(strstr(error_detail(), "hush"));
    }
}

/* Whether the core keeps a network hangs on this. */
static void test_what_leaves_the_machine(void **state)
{
    (void)state;
    static const char *const local[] = {"", "postgresql:///d", "host=/run/postgresql", "host=/a,/b",
                                        "postgresql://%2Frun%2Fpostgresql/d"};
    static const char *const remote[] = {
        "host=localhost",           "host=/run,h",          "host=h,/run",   "hostaddr=127.0.0.1",
        "postgresql://127.0.0.1/d", "postgresql://[::1]/d", "host=@abstract"};
    for (size_t i = 0; i < ARRAY_LEN(local); i++)
        assert_false(postgres_url_is_remote(local[i]));
    for (size_t i = 0; i < ARRAY_LEN(remote); i++)
        assert_true(postgres_url_is_remote(remote[i]));
}

static void test_files_that_libpq_will_read(void **state)
{
    (void)state;
    char path[64];
    const char *url = "host=h sslkey=/k/key sslcert=/k/crt passfile=/p/pgpass sslrootcert=system";
    assert_string_equal(postgres_url_file(url, 0, path, sizeof path), "/p/pgpass");
    assert_string_equal(postgres_url_file(url, 1, path, sizeof path), "/k/crt");
    assert_string_equal(postgres_url_file(url, 2, path, sizeof path), "/k/key");
    assert_null(postgres_url_file(url, 3, path, sizeof path));
    assert_null(postgres_url_file("no such thing", 0, path, sizeof path));
}

/* The last one counts, as libpq has it. */
static const char *value_of(const struct postgres_dial *plan, const char *key)
{
    const char *value = NULL;
    for (size_t i = 0; plan->keys[i]; i++)
        if (strcmp(plan->keys[i], key) == 0)
            value = plan->values[i];
    return value;
}

static void test_hosts_are_dialled_one_by_one(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        unsigned hosts;
        const char *host[3];
        const char *port[3];
    } cases[] = {
        {"postgresql://a,bb,c:5433/d?port=1,2,3", 3, {"a", "bb", "c"}, {"1", "2", "3"}},
        {"host=a,bb port=7", 2, {"a", "bb"}, {"7", "7"}},
        {"host=/run", 1, {"/run"}, {NULL}},
        {"host=a,,c", 3, {"a", "", "c"}, {NULL}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        unsigned hosts = 0;
        assert_int_equal(postgres_url_hosts(cases[i].url, &hosts).code, 0);
        assert_int_equal(hosts, cases[i].hosts);
        for (unsigned n = 0; n < hosts; n++) {
            struct postgres_dial plan;
            assert_int_equal(postgres_url_dial(cases[i].url, n, &plan).code, 0);
            assert_string_equal(value_of(&plan, "host"), cases[i].host[n]);
            if (cases[i].port[n])
                assert_string_equal(value_of(&plan, "port"), cases[i].port[n]);
            postgres_dial_release(&plan);
        }
    }
}

static void test_our_defaults_stand_below_the_url(void **state)
{
    (void)state;
    struct postgres_dial plan;
    assert_int_equal(postgres_url_dial("host=h", 0, &plan).code, 0);
    assert_string_equal(value_of(&plan, "target_session_attrs"), "read-write");
    assert_string_equal(value_of(&plan, "gssencmode"), "disable");
    postgres_dial_release(&plan);
    assert_int_equal(
        postgres_url_dial("host=h application_name=mine gssencmode=prefer", 0, &plan).code, 0);
    assert_string_equal(value_of(&plan, "application_name"), "mine");
    assert_string_equal(value_of(&plan, "gssencmode"), "prefer");
    postgres_dial_release(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_connection_strings_are_taken),
        cmocka_unit_test(test_people_see_no_password),
        cmocka_unit_test(test_T11_what_an_enclaves_database_has_to_be),
        cmocka_unit_test(test_what_leaves_the_machine),
        cmocka_unit_test(test_files_that_libpq_will_read),
        cmocka_unit_test(test_hosts_are_dialled_one_by_one),
        cmocka_unit_test(test_our_defaults_stand_below_the_url),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
