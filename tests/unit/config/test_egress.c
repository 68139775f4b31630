/* Rows of the way out: what is one, where each listens, and whom they are for. */
#include <stdio.h>
#include <string.h>

#include "config/egress.h"
#include "support/test.h"

static struct egress_config config;

static void set(const char *first_address, uint32_t count, const char *const *rows)
{
    memset(&config, 0, sizeof config);
    (void)snprintf(config.listen_address, sizeof config.listen_address, "%s", first_address);
    config.routes.count = count;
    for (uint32_t i = 0; i < count; i++)
        (void)snprintf(config.routes.items[i], CONFIG_TEXT_MAX, "%s", rows[i]);
}

static void test_each_row_has_an_address_of_its_own(void **state)
{
    (void)state;
    static const char *const rows[] = {"kms.eu-central-1.amazonaws.com:443=vsock:3:8001",
                                       "169.254.169.254:80=vsock:3:8002",
                                       "db.test:5432=unix:/run/db", "db.test:5433=unix:/run/db"};
    static const char *const addresses[] = {"127.77.0.254", "127.77.0.255", "127.77.1.0",
                                            "127.77.1.1"};
    static const uint16_t ports[] = {443, 80, 5432, 5433};
    uint32_t wrong = 0;
    set("127.77.0.254", ARRAY_LEN(rows), rows);
    assert_false(egress_check(&config, &wrong).code);
    for (uint32_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct egress_route route;
        assert_false(egress_route(&config, i, &route).code);
        assert_string_equal(route.address, addresses[i]);
        assert_int_equal(route.port, ports[i]);
    }
    assert_false(egress_install(&config).code);
    assert_true(egress_is_on());
    assert_string_equal(egress_find("kms.eu-central-1.amazonaws.com", 443), "127.77.0.254");
    assert_string_equal(egress_find("KMS.eu-central-1.AmazonAWS.com", 443), "127.77.0.254");
    assert_string_equal(egress_find("169.254.169.254", 80), "127.77.0.255");
    assert_string_equal(egress_find("db.test", 5433), "127.77.1.1");
    assert_null(egress_find("db.test", 443));
    assert_null(egress_find("other.db.test", 5432));
    assert_null(egress_find("kms.eu-central-1.amazonaws.com.evil.test", 443));
    config.routes.count = 0;
    assert_false(egress_install(&config).code);
    assert_false(egress_is_on());
    assert_null(egress_find("db.test", 5432));
}

static void test_rows_that_are_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {"",
                                       "a",
                                       "a:1",
                                       "a:1=",
                                       "=vsock:3:1",
                                       "a=vsock:3:1",
                                       "a:0=vsock:3:1",
                                       "[::1]:443=vsock:3:1",
                                       "A:443=vsock:3:1",
                                       "a:443=vsock:any:1",
                                       "a:443=tcp:10.0.0.1:443",
                                       "a:443=tcp:a:443",
                                       "a:443=vsock:3:1 ",
                                       "a:443 =vsock:3:1",
                                       "tcp:a:443=vsock:3:1",
                                       "a:443=vsock:3:1=vsock:3:2"};
    uint32_t wrong = 9;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        set("127.77.0.1", 1, &rows[i]);
        if (!error_is(egress_check(&config, &wrong), ERROR_MALFORMED))
            fail_msg("taken: %s", rows[i]);
        assert_int_equal(wrong, 0);
    }
}

static void test_one_host_has_one_way(void **state)
{
    (void)state;
    static const char *const rows[] = {"a:443=vsock:3:1", "b:443=vsock:3:1", "a:443=vsock:3:2"};
    uint32_t wrong = 0;
    set("127.77.0.1", ARRAY_LEN(rows), rows);
    assert_true(error_is(egress_check(&config, &wrong), ERROR_MALFORMED));
    assert_int_equal(wrong, 2);
}

static void test_only_loopback_is_listened_on(void **state)
{
    (void)state;
    static const char *const rows[] = {"a:443=vsock:3:1", "b:443=vsock:3:1"};
    static const char *const wrong_first[] = {"0.0.0.0", "10.0.0.1", "128.0.0.1", "126.255.255.255",
                                              "::1",     "",         "localhost"};
    uint32_t wrong = 0;
    for (size_t i = 0; i < ARRAY_LEN(wrong_first); i++) {
        set(wrong_first[i], 1, rows);
        assert_true(error_is(egress_check(&config, &wrong), ERROR_MALFORMED));
    }
    set("127.255.255.254", 1, rows);
    assert_false(egress_check(&config, &wrong).code);
    set("127.255.255.254", 2, rows); /* the next one is the broadcast address */
    assert_true(error_is(egress_check(&config, &wrong), ERROR_MALFORMED));
    assert_int_equal(wrong, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_row_has_an_address_of_its_own),
        cmocka_unit_test(test_rows_that_are_refused),
        cmocka_unit_test(test_one_host_has_one_way),
        cmocka_unit_test(test_only_loopback_is_listened_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
