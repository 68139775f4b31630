#include <string.h>

#include "base/error.h"

#include "support/test.h"

static void test_every_row_has_a_status_that_fits_its_class(void **state)
{
    (void)state;
    for (int code = 1; code < ERROR_CODE_END; code++) {
        cc_err err = {code};
        int status = error_status(err);
        assert_non_null(error_name(err));
        assert_true(strlen(error_text(err)) > 3);
        switch (error_class(err)) {
        case CLASS_INPUT:
            assert_true((status >= 400 && status < 420 && status != 412 && status != 403) ||
                        status == 431 || status == 505);
            break;
        case CLASS_AUTH:
            assert_true(status == 401 || status == 403 || status == 408);
            break;
        case CLASS_REFUSED:
            assert_int_equal(status, 412);
            break;
        case CLASS_NOT_FOUND:
            assert_int_equal(status, 404);
            break;
        case CLASS_SEALED:
        case CLASS_UNAVAILABLE:
            assert_int_equal(status, 503);
            break;
        case CLASS_BUSY:
            assert_true(status == 503 || status == 409);
            break;
        case CLASS_INTERNAL:
            assert_true(status == 500 || status == 409 || status == 503);
            break;
        case CLASS_NONE:
            fail();
        }
    }
}

static void test_only_slashing_protection_answers_412(void **state)
{
    (void)state;
    for (int code = 1; code < ERROR_CODE_END; code++)
        assert_int_equal(error_status((cc_err){code}) == 412, code == ERROR_SLASHABLE);
}

static void test_a_number_out_of_the_table_is_a_protocol_error(void **state)
{
    (void)state;
    assert_int_equal(error_from_number(ERROR_SLASHABLE).code, ERROR_SLASHABLE);
    assert_true(error_is(error_from_number(ERROR_CODE_END), ERROR_PROTOCOL));
    assert_true(error_is(error_from_number(UINT32_MAX), ERROR_PROTOCOL));
    assert_int_equal(error_status((cc_err){99999}), 500);
}

static void test_detail_and_place_are_remembered(void **state)
{
    (void)state;
    cc_err err = CC_FAIL(STORE, "a detail");
    assert_int_equal(err.code, ERROR_STORE);
    assert_string_equal(error_detail(), "a detail");
    assert_non_null(strstr(error_place(), "test_error.c:"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_has_a_status_that_fits_its_class),
        cmocka_unit_test(test_only_slashing_protection_answers_412),
        cmocka_unit_test(test_a_number_out_of_the_table_is_a_protocol_error),
        cmocka_unit_test(test_detail_and_place_are_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
