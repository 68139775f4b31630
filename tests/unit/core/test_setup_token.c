/* The setup token: T13. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/setup_token.h"
#include "support/test.h"

static char directory[64];
static struct setup_token token;

static int up(void **state)
{
    (void)state;
    (void)snprintf(directory, sizeof directory, "/tmp/cc-setup-XXXXXX");
    assert_non_null(mkdtemp(directory));
    assert_int_equal(setup_token_begin(&token, directory).code, 0);
    return 0;
}

static int down(void **state)
{
    (void)state;
    setup_token_drop(&token);
    assert_int_equal(rmdir(directory), 0);
    return 0;
}

static struct span read_text(char text[static 128])
{
    const int fd = open(token.path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    const ssize_t n = read(fd, text, 128);
    assert_int_equal(close(fd), 0);
    assert_true(n > 0);
    return span_of(text, (size_t)n);
}

static void test_T13_it_is_in_its_file_alone_and_good_for_a_quarter_of_an_hour(void **state)
{
    (void)state;
    char text[128];
    struct stat st;
    assert_int_equal(setup_token_make(&token, 1000).code, 0);
    assert_int_equal(stat(token.path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    const struct span secret = read_text(text);
    assert_int_equal(secret.len, SETUP_TOKEN_TEXT_SIZE); /* with its line feed */
    assert_memory_equal(text, "cc_setup_", 9);
    assert_int_equal(setup_token_check(&token, secret, 1000).code, 0);
    assert_int_equal(setup_token_check(&token, span_of(text, secret.len - 1), 1000 + 899).code, 0);
    assert_int_equal(setup_token_check(&token, secret, 1000 + 900).code, ERROR_CREDENTIAL);
    assert_int_equal(access(token.path, F_OK), -1);
    assert_int_equal(setup_token_check(&token, secret, 1000).code, ERROR_CREDENTIAL);
}

static void test_T13_any_other_text_is_refused(void **state)
{
    (void)state;
    char text[128];
    assert_int_equal(setup_token_check(&token, span_str(""), 1).code,
                     ERROR_CREDENTIAL); /* there is none */
    assert_int_equal(setup_token_make(&token, 1).code, 0);
    struct span secret = read_text(text);
    for (size_t i = 0; i < secret.len - 1; i++) {
        text[i] ^= 1;
        assert_int_equal(setup_token_check(&token, secret, 1).code, ERROR_CREDENTIAL);
        text[i] ^= 1;
    }
    assert_int_equal(setup_token_check(&token, span_of(text, secret.len - 2), 1).code,
                     ERROR_CREDENTIAL);
    assert_int_equal(setup_token_check(&token, span_str(""), 1).code, ERROR_CREDENTIAL);
    assert_int_equal(setup_token_check(&token, secret, 1).code, 0);
}

static void test_a_new_one_takes_its_place_and_a_used_one_is_gone(void **state)
{
    (void)state;
    char first[128], second[128];
    assert_int_equal(setup_token_make(&token, 1).code, 0);
    const struct span old = read_text(first);
    assert_int_equal(setup_token_make(&token, 2).code, 0);
    const struct span secret = read_text(second);
    assert_int_equal(setup_token_check(&token, old, 2).code, ERROR_CREDENTIAL);
    assert_int_equal(setup_token_check(&token, secret, 2).code, 0);
    setup_token_drop(&token);
    assert_int_equal(setup_token_check(&token, secret, 2).code, ERROR_CREDENTIAL);
    assert_int_equal(access(token.path, F_OK), -1);
}

/* What another life has left is nobody's token. */
static void test_a_start_removes_what_is_left(void **state)
{
    (void)state;
    assert_int_equal(setup_token_make(&token, 1).code, 0);
    assert_int_equal(setup_token_begin(&token, directory).code, 0);
    assert_int_equal(access(token.path, F_OK), -1);
}

static void test_T13_one_that_is_given_to_the_owner_is_in_no_file(void **state)
{
    (void)state;
    char text[SETUP_TOKEN_TEXT_SIZE], old[128];
    assert_int_equal(setup_token_make(&token, 1).code, 0);
    const struct span before = read_text(old);
    assert_int_equal(setup_token_give(&token, 2, text).code, 0);
    assert_int_equal(access(token.path, F_OK), -1);
    assert_memory_equal(text, "cc_setup_", 9);
    assert_int_equal(setup_token_check(&token, before, 2).code, ERROR_CREDENTIAL);
    assert_int_equal(setup_token_check(&token, span_str(text), 2 + 899).code, 0);
    assert_int_equal(setup_token_check(&token, span_str(text), 2 + 900).code, ERROR_CREDENTIAL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_T13_it_is_in_its_file_alone_and_good_for_a_quarter_of_an_hour),
        T(test_T13_any_other_text_is_refused),
        T(test_a_new_one_takes_its_place_and_a_used_one_is_gone),
        T(test_a_start_removes_what_is_left),
        T(test_T13_one_that_is_given_to_the_owner_is_in_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
