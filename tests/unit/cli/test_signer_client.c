/* Where a command's signer is: URLs, and where its token comes from. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/signer_arguments.h"
#include "support/test.h"

static struct signer signer;

static void is_tcp(const char *url, const char *authority, const char *host, const char *port)
{
    assert_int_equal(signer_of_url(url, &signer).code, 0);
    assert_string_equal(signer.path, "");
    assert_string_equal(signer.authority, authority);
    assert_string_equal(signer.host, host);
    assert_string_equal(signer.port, port);
}

static void is_unix(const char *url, const char *path)
{
    assert_int_equal(signer_of_url(url, &signer).code, 0);
    assert_string_equal(signer.path, path);
}

static void test_urls(void **state)
{
    (void)state;
    is_tcp("http://127.0.0.1:9000", "127.0.0.1:9000", "127.0.0.1", "9000");
    is_tcp("http://signer.example:65535/", "signer.example:65535", "signer.example", "65535");
    is_tcp("http://localhost", "localhost", "localhost", "80");
    is_tcp("http://localhost/", "localhost", "localhost", "80");
    is_tcp("http://[::1]:9000", "[::1]:9000", "::1", "9000");
    is_tcp("http://[2001:db8::1]/", "[2001:db8::1]", "2001:db8::1", "80");
    is_unix("unix:/run/cc.sock", "/run/cc.sock");
    is_unix("unix:///run/cc.sock", "/run/cc.sock");
    is_unix("http+unix://%2Frun%2fcc.sock", "/run/cc.sock");
    is_unix("/run/cc.sock", "/run/cc.sock");
}

static void test_what_is_no_url(void **state)
{
    (void)state;
    char longest[400] = "http://";
    memset(longest + 7, 'a', 300);
    static const char *const bad[] = {
        "",
        "localhost:9000",
        "ftp://localhost",
        "http:/localhost",
        "http://",
        "http:///",
        "http://:9000",
        "http://localhost:",
        "http://localhost:0",
        "http://localhost:65536",
        "http://localhost:9000000",
        "http://localhost:90x",
        "http://localhost:+90",
        "http://localhost:9000/api",
        "http://localhost?x",
        "http://user@localhost",
        "http://user:token@localhost:9000",
        "http://localhost:9000/@",
        "http://a b",
        "http://a\r\nX: y",
        "http://[::1",
        "http://[]:9000",
        "http://[::1]9000",
        "http://[::1]x:9000",
        "http://[/]",
        "unix:relative",
        "unix:",
        "http+unix://%2",
        "http+unix://%00",
        "unix:/%zz",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (!signer_of_url(bad[i], &signer).code)
            fail_msg("'%s' was taken", bad[i]);
    assert_int_not_equal(signer_of_url(longest, &signer).code, 0);
    char path[200] = "unix:/";
    memset(path + 6, 'a', SIGNER_PATH_MAX - 2);
    assert_int_equal(signer_of_url(path, &signer).code, 0);
    path[6 + SIGNER_PATH_MAX - 2] = 'a';
    assert_int_not_equal(signer_of_url(path, &signer).code, 0);
}

/* argv and environment are of type char *. */
#define TEXT(text) ((char *)(uintptr_t)(text))

static int take(const char *source, char *const *environment)
{
    char *items[] = {TEXT("--signer-url"), TEXT("http://localhost:9"),
                     TEXT("--json"),       TEXT("--auth-token"),
                     TEXT(source),         TEXT("--allow-plaintext-signer")};
    struct arguments arguments = {
        .count = ARRAY_LEN(items), .items = items, .environment = environment, .command = "test"};
    int code = command_take_signer(&arguments, &signer);
    if (code == EXIT_CODE_DONE) {
        assert_int_equal(arguments.count, 1);
        assert_true(signer.allow_plaintext);
    }
    return code;
}

static void test_tokens(void **state)
{
    (void)state;
    char *environment[] = {TEXT("OTHERTOKEN=x"), TEXT("TOKENS=y"),  TEXT("TOKEN=cc_token_abc"),
                           TEXT("EMPTY="),       TEXT("BLANK=a b"), NULL};
    assert_int_equal(take("env:TOKEN", environment), EXIT_CODE_DONE);
    assert_string_equal(signer.token, "cc_token_abc");
    signer_release(&signer);
    assert_memory_equal(signer.token, (char[sizeof signer.token]){0}, sizeof signer.token);
    static const char *const bad[] = {"env:",           "env:NONE", "env:EMPTY", "env:BLANK",
                                      "cc_token_abc",   "",         "fd:",       "fd:x",
                                      "fd:99999999999", "fd:250",   "file:",     "file:/nowhere",
                                      "file:/dev/zero", "TOKEN"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(take(bad[i], environment), EXIT_CODE_USAGE);
    int pipes[2];
    char source[32];
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(write(pipes[1], "from-a-pipe\r\n", 13), 13);
    (void)close(pipes[1]);
    (void)snprintf(source, sizeof source, "fd:%d", pipes[0]);
    assert_int_equal(take(source, environment), EXIT_CODE_DONE);
    assert_string_equal(signer.token, "from-a-pipe");
    (void)close(pipes[0]);
}

static void test_options_without_a_signer(void **state)
{
    (void)state;
    char *with_token[] = {TEXT("--auth-token"), TEXT("env:TOKEN")};
    char *allowing[] = {TEXT("--allow-plaintext-signer")};
    char *nothing[] = {TEXT("--json")};
    struct arguments arguments = {.count = 2, .items = with_token, .command = "test"};
    assert_int_equal(command_take_signer(&arguments, &signer), EXIT_CODE_USAGE);
    arguments = (struct arguments){.count = 1, .items = allowing, .command = "test"};
    assert_int_equal(command_take_signer(&arguments, &signer), EXIT_CODE_USAGE);
    arguments = (struct arguments){.count = 1, .items = nothing, .command = "test"};
    assert_int_equal(command_take_signer(&arguments, &signer), EXIT_CODE_DONE);
    assert_null(signer.url);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_what_is_no_url),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_options_without_a_signer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
