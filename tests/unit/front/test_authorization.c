/* Authorization headers: the two forms, and everything that is neither. */
#include <stdlib.h>
#include <string.h>

#include "codec/base64.h"
#include "crypto/sha256.h"
#include "front/authorization.h"
#include "support/test.h"

static struct caller read_value(const char *value, size_t len)
{
    struct caller caller;
    memset(&caller, 0xee, sizeof caller);
    /* An exact copy, so that a sanitizer sees reads beyond the end. */
    char *copy = malloc(len + !len);
    assert_non_null(copy);
    memcpy(copy, value, len);
    authorization_read(span_of(copy, len), &caller);
    free(copy);
    return caller;
}

static bool carries(struct caller caller, enum caller_token kind, const char *token)
{
    uint8_t digest[SHA256_SIZE];
    sha256(span_str(token), digest);
    return caller.token_kind == kind && memcmp(caller.token, digest, sizeof digest) == 0;
}

#define assert_token(kind, token, value)                                                           \
    assert_true(carries(read_value(value, strlen(value)), CALLER_##kind, token))
#define assert_bad(value) is_bad(value, strlen(value))

static void is_bad(const char *value, size_t len)
{
    static const uint8_t none[SHA256_SIZE];
    struct caller caller = read_value(value, len);
    if (caller.token_kind != CALLER_BAD || memcmp(caller.token, none, sizeof none) != 0)
        fail_msg("'%.*s' is a token", (int)len, value);
}

static void test_bearer(void **state)
{
    (void)state;
    assert_token(BEARER, "cc_token_abc-_", "Bearer cc_token_abc-_");
    assert_token(BEARER, "a", "bearer a");
    assert_token(BEARER, "a", "BEARER    a");
    assert_token(BEARER, "a", "  Bearer a \t");
    assert_token(BEARER, "Az09-._~+/==", "Bearer Az09-._~+/==");
    assert_bad("");
    assert_bad("Bearer");
    assert_bad("Bearer ");
    assert_bad("Bearer  ");
    assert_bad("Bearer\ta");
    assert_bad("Bearera");
    assert_bad("Bearer a b");
    assert_bad("Bearer a,Basic YTpi");
    assert_bad("Bearer =");
    assert_bad("Bearer a=b");
    assert_bad("Bearer \"a\"");
    assert_bad("Bearer a:b");
    assert_bad("Bearer \xc3\xa9");
    assert_bad("Bear a");
    assert_bad("Token a");
    assert_bad("a");
    is_bad("Bearer a\0b", 10);
    is_bad("Bearer \0", 8);
    is_bad("\0Bearer a", 9);
}

static void test_basic(void **state)
{
    (void)state;
    /* As Lodestar 1.5.1 sent http://user:p%40ss@…: it had decoded the escape. */
    assert_token(BASIC, "p@ss", "Basic dXNlcjpwQHNz");
    assert_token(BASIC, "p@ss", "bAsIc dXNlcjpwQHNz");
    assert_token(BASIC, "b", "Basic YTpi");
    assert_token(BASIC, "b", "Basic OmI=");       /* no user */
    assert_token(BASIC, "b:c", "Basic YTpiOmM="); /* the first colon ends the user */
    assert_token(BASIC, "b", "Basic w6k6Yg==");   /* a user in UTF-8 */
    assert_bad("Basic");
    assert_bad("Basic ");
    assert_bad("Basic YTo=");          /* an empty password */
    assert_bad("Basic Og==");          /* nothing at all */
    assert_bad("Basic YWI=");          /* no colon */
    assert_bad("Basic YTpi YTpi");     /* two of them */
    assert_bad("Basic YTpi\tYTpi");    /* the same */
    assert_bad("Basic YTp");           /* no base64: cut */
    assert_bad("Basic YTpiYw");        /* padding left out */
    assert_bad("Basic YTpi=");         /* too much of it */
    assert_bad("Basic YTp=");          /* stray bits */
    assert_bad("Basic YTpi!A==");      /* no digits */
    assert_bad("Basic YT_-");          /* of the other alphabet */
    assert_bad("Basic YTpiIGM=");      /* "b c" */
    assert_bad("Basic YTpiAA==");      /* a zero in the token */
    assert_bad("Basic AGE6Yg==");      /* a zero in the user */
    assert_bad("Basic YTpiCg==");      /* a line end */
    assert_bad("Basic YTrDqQ==");      /* a password that no token is */
    assert_bad("Basic user:password"); /* not encoded */
}

static char *basic_of(size_t user, size_t password)
{
    struct buf out = buf_init(1 << 16);
    char *pair = malloc(user + 1 + password);
    assert_non_null(pair);
    memset(pair, 'u', user);
    pair[user] = ':';
    memset(pair + user + 1, 'p', password);
    assert_int_equal(buf_append_str(&out, "Basic ").code, 0);
    assert_int_equal(base64_append(&out, pair, user + 1 + password).code, 0);
    assert_int_equal(buf_append(&out, "", 1).code, 0);
    free(pair);
    char *text = strdup((const char *)out.data);
    buf_release(&out);
    return text;
}

static void test_lengths(void **state)
{
    (void)state;
    static const struct {
        size_t user, password;
        bool good;
    } cases[] = {{0, AUTHORIZATION_TOKEN_MAX, true},
                 {0, AUTHORIZATION_TOKEN_MAX + 1, false},
                 {AUTHORIZATION_USER_MAX, AUTHORIZATION_TOKEN_MAX, true},
                 {AUTHORIZATION_USER_MAX + 1, 1, false},
                 {9000, 1, false},
                 {1, 9000, false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *value = basic_of(cases[i].user, cases[i].password);
        assert_int_equal(read_value(value, strlen(value)).token_kind == CALLER_BASIC,
                         cases[i].good);
        free(value);
    }
    char bearer[AUTHORIZATION_TOKEN_MAX + 16] = "Bearer ";
    memset(bearer + 7, 'a', AUTHORIZATION_TOKEN_MAX);
    assert_int_equal(read_value(bearer, strlen(bearer)).token_kind, CALLER_BEARER);
    strcat(bearer, "a");
    assert_bad(bearer);
}

/* What was not the header's is not touched. */
static void test_the_rest_of_a_caller_stays(void **state)
{
    (void)state;
    struct caller caller = {.listener = LISTENER_API, .flags = CALLER_OWNER, .address = {1, 2}};
    struct caller before = caller;
    authorization_read(span_str("nonsense"), &caller);
    before.token_kind = CALLER_BAD;
    assert_memory_equal(&caller, &before, sizeof caller);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bearer),
        cmocka_unit_test(test_basic),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_the_rest_of_a_caller_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
