/* What is read beside the configuration: by a process itself, and by line for a room. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#include "aws/environment.h"
#include "aws/inputs.h"
#include "aws/inputs_line.h"
#include "aws/process.h"
#include "support/folder.h"
#include "support/test.h"

static struct folder home;
static struct aws_config config;

static void write_file(const char *name, const char *text)
{
    folder_write_text(&home, name, text);
}

static int begin(void **state)
{
    (void)state;
    static const char *const variables[] = {"AWS_PROFILE", "AWS_CONFIG_FILE",
                                            "AWS_SHARED_CREDENTIALS_FILE", "AWS_CA_BUNDLE",
                                            "AWS_WEB_IDENTITY_TOKEN_FILE"};
    folder_make(&home);
    folder_mkdir(&home, ".aws");
    folder_mkdir(&home, ".aws/sso");
    folder_mkdir(&home, ".aws/sso/cache");
    for (size_t i = 0; i < ARRAY_LEN(variables); i++)
        (void)unsetenv(variables[i]);
    return setenv("HOME", home.path, 1) || setenv("AWS_TEST", "1", 1) ||
           setenv("SECRET_OF_ANOTHER", "x", 1);
}

static int end(void **state)
{
    (void)state;
    folder_remove(&home);
    return 0;
}

static cc_err read_input(enum aws_input input, struct buf *ret_text)
{
    const struct aws_inputs inputs = aws_inputs_own(&config);
    *ret_text = buf_init(AWS_INPUT_MAX);
    return inputs.read(inputs.context, input, ret_text);
}

static void expect_input(enum aws_input input, const char *expected)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(0);
    assert_int_equal(read_input(input, &text).code, 0);
    if (!span_is(buf_span(&text), expected))
        fail_msg("input %d is not \"%s\"", (int)input, expected);
}

static void test_the_environment_is_ours_alone(void **state)
{
    (void)state;
    CC_CLEANUP(buf_release) struct buf text = buf_init(0);
    assert_int_equal(read_input(AWS_INPUT_ENVIRONMENT, &text).code, 0);
    assert_true(span_is(aws_environment_get(buf_span(&text), "AWS_TEST"), "1"));
    assert_true(span_is(aws_environment_get(buf_span(&text), "HOME"), home.path));
    assert_int_equal(aws_environment_get(buf_span(&text), "SECRET_OF_ANOTHER").len, 0);
    assert_int_equal(aws_environment_get(buf_span(&text), "PATH").len, 0);
}

static void test_files_are_found(void **state)
{
    (void)state;
    expect_input(AWS_INPUT_CONFIG_FILE, "");
    expect_input(AWS_INPUT_WEB_IDENTITY_TOKEN, "");
    expect_input(AWS_INPUT_SSO_TOKEN, "");
    expect_input(AWS_INPUT_PROCESS, "");
    write_file(".aws/config", "[default]\nweb_identity_token_file = ~/token\nsso_session = work\n");
    write_file(".aws/credentials", "[default]\n");
    write_file("token", "jwt\n");
    /* printf work | sha1sum */
    write_file(".aws/sso/cache/e274eeff768c6396088ec6eb091f4bf4d47ab1e0.json", "cached");
    expect_input(AWS_INPUT_CONFIG_FILE,
                 "[default]\nweb_identity_token_file = ~/token\nsso_session = work\n");
    expect_input(AWS_INPUT_CREDENTIALS_FILE, "[default]\n");
    expect_input(AWS_INPUT_WEB_IDENTITY_TOKEN, "jwt\n");
    expect_input(AWS_INPUT_SSO_TOKEN, "cached");
    write_file("other-token", "other");
    (void)setenv("AWS_WEB_IDENTITY_TOKEN_FILE", folder_at(&home, "other-token"), 1);
    expect_input(AWS_INPUT_WEB_IDENTITY_TOKEN, "other");
    /* A profile that the configuration names counts before the environment. */
    (void)snprintf(config.profile, sizeof config.profile, "default");
    expect_input(AWS_INPUT_WEB_IDENTITY_TOKEN, "jwt\n");
    config.profile[0] = 0;
    (void)unsetenv("AWS_WEB_IDENTITY_TOKEN_FILE");
}

static void test_a_bundle_that_is_named_must_be_there(void **state)
{
    (void)state;
    CC_CLEANUP(buf_release) struct buf text = buf_init(0);
    expect_input(AWS_INPUT_CA_BUNDLE, "");
    (void)snprintf(config.ca_bundle, sizeof config.ca_bundle, "%s/none.pem", home.path);
    assert_true(error_is(read_input(AWS_INPUT_CA_BUNDLE, &text), ERROR_AWS_CREDENTIALS));
    write_file("none.pem", "PEM");
    expect_input(AWS_INPUT_CA_BUNDLE, "PEM");
    config.ca_bundle[0] = 0;
}

/* --- credential_process -------------------------------------------------------------------------------------------------- */

static void test_commands_are_split_into_words(void **state)
{
    (void)state;
    struct aws_command command;
    assert_int_equal(
        aws_command_split(span_str("/a  \"b \\\"c\\\\ $HOME\" 'd \\'\t\\ e\\\"f ''"), &command)
            .code,
        0);
    static const char *const words[] = {"/a", "b \"c\\ $HOME", "d \\", " e\"f", ""};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        assert_string_equal(command.words[i], words[i]);
    assert_null(command.words[ARRAY_LEN(words)]);
    static const char *const refused[] = {"", "  ", "relative x", "/a 'b", "/a \"b", "/a \\", "''"};
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        if (!error_is(aws_command_split(span_str(refused[i]), &command), ERROR_AWS_CREDENTIALS))
            fail_msg("taken: %s", refused[i]);
    char many[300] = "/a";
    for (size_t i = 0; i < 64; i++)
        memcpy(many + 2 + 2 * i, " b", 3);
    assert_true(error_is(aws_command_split(span_str(many), &command), ERROR_AWS_CREDENTIALS));
}

static cc_err run(const char *command, uint32_t timeout_ms, struct buf *ret_output)
{
    *ret_output = buf_init(4096);
    return aws_process_run(span_str(command), timeout_ms, ret_output);
}

static void test_a_process_is_run(void **state)
{
    (void)state;
    CC_CLEANUP(buf_release) struct buf output = buf_init(0);
    assert_int_equal(
        run("/bin/sh -c 'echo noise >&2; printf \"$AWS_TEST $1\"' sh two", 10000, &output).code, 0);
    assert_true(span_is(buf_span(&output), "1 two"));
    buf_release(&output);
    assert_true(error_is(run("/bin/sh -c 'exit 3'", 10000, &output), ERROR_AWS_CREDENTIALS));
    buf_release(&output);
    assert_true(error_is(run("/nowhere/at/all", 10000, &output), ERROR_AWS_CREDENTIALS));
    buf_release(&output);
    assert_true(error_is(run("/bin/sh -c 'yes'", 10000, &output), ERROR_LIMIT));
    buf_release(&output);
    /* Its children are ended with it: none holds the output open. */
    uint64_t then = clock_mono_ms();
    assert_true(
        error_is(run("/bin/sh -c 'sleep 100 & sleep 100'", 200, &output), ERROR_AWS_CREDENTIALS));
    assert_true(clock_mono_ms() - then < 20000);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nothing is left to be reaped */
    write_file(".aws/config", "[default]\ncredential_process = /bin/echo made\n");
    expect_input(AWS_INPUT_PROCESS, "made\n");
}

/* --- by line ---------------------------------------------------------------------------------------------------------------- */

static struct {
    int fds[2];
    pthread_t thread;
    struct aws_inputs_line line;
} rig;

static cc_err give(void *context, enum aws_input input, struct buf *ret_text)
{
    (void)context;
    switch (input) {
    case AWS_INPUT_ENVIRONMENT:
        return buf_append(ret_text, "A=1", 4);
    case AWS_INPUT_CONFIG_FILE:
        return CC_OK;
    case AWS_INPUT_CREDENTIALS_FILE: {
        uint8_t *at = NULL;
        CC_TRY(buf_grow(ret_text, AWS_INPUT_MAX, &at));
        memset(at, 'x', AWS_INPUT_MAX);
        return CC_OK;
    }
    case AWS_INPUT_WEB_IDENTITY_TOKEN:
        return CC_FAIL(IO, "test");
    case AWS_INPUT_CONTAINER_TOKEN:
    case AWS_INPUT_SSO_TOKEN:
    case AWS_INPUT_PROCESS:
    case AWS_INPUT_CA_BUNDLE:
    case AWS_INPUT_END:
        break;
    }
    return CC_FAIL(AWS_CREDENTIALS, "test");
}

static void *answer_all(void *context)
{
    static const struct aws_inputs inputs = {give, NULL};
    (void)context;
    while (aws_inputs_answer(rig.fds[1], &inputs))
        continue;
    return NULL;
}

static cc_err ask(enum aws_input input, struct buf *ret_text)
{
    const struct aws_inputs inputs = aws_inputs_of_line(&rig.line);
    *ret_text = buf_init(AWS_INPUT_MAX);
    return inputs.read(inputs.context, input, ret_text);
}

static void open_line(uint32_t timeout_ms)
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, rig.fds), 0);
    rig.line = (struct aws_inputs_line){.fd = rig.fds[0], .timeout_ms = timeout_ms};
}

static void test_a_line_gives_the_same_texts(void **state)
{
    (void)state;
    CC_CLEANUP(buf_release) struct buf text = buf_init(0);
    open_line(10000);
    assert_int_equal(pthread_create(&rig.thread, NULL, answer_all, NULL), 0);
    assert_int_equal(ask(AWS_INPUT_ENVIRONMENT, &text).code, 0);
    assert_int_equal(text.len, 4);
    buf_release(&text);
    assert_int_equal(ask(AWS_INPUT_CONFIG_FILE, &text).code, 0);
    assert_int_equal(text.len, 0);
    buf_release(&text);
    assert_int_equal(ask(AWS_INPUT_CREDENTIALS_FILE, &text).code, 0);
    assert_int_equal(text.len, AWS_INPUT_MAX);
    buf_release(&text);
    assert_true(error_is(ask(AWS_INPUT_WEB_IDENTITY_TOKEN, &text), ERROR_IO));
    assert_int_equal(text.len, 0);
    /* A number that names nothing: an error, and the line lives on. */
    buf_release(&text);
    assert_true(error_is(ask((enum aws_input)77, &text), ERROR_PROTOCOL));
    buf_release(&text);
    assert_int_equal(ask(AWS_INPUT_ENVIRONMENT, &text).code, 0);
    (void)close(rig.fds[0]);
    assert_int_equal(pthread_join(rig.thread, NULL), 0);
    (void)close(rig.fds[1]);
}

static void test_a_late_answer_is_nobodys(void **state)
{
    (void)state;
    static const struct aws_inputs inputs = {give, NULL};
    CC_CLEANUP(buf_release) struct buf text = buf_init(0);
    open_line(20);
    assert_true(
        error_is(ask(AWS_INPUT_CONFIG_FILE, &text), ERROR_AWS_CREDENTIALS)); /* nobody answers */
    assert_true(aws_inputs_answer(rig.fds[1], &inputs));
    rig.line.timeout_ms = 10000;
    assert_int_equal(pthread_create(&rig.thread, NULL, answer_all, NULL), 0);
    buf_release(&text);
    assert_int_equal(ask(AWS_INPUT_ENVIRONMENT, &text).code, 0);
    assert_int_equal(text.len, 4);
    (void)shutdown(rig.fds[1], SHUT_RDWR);
    assert_int_equal(pthread_join(rig.thread, NULL), 0);
    buf_release(&text);
    assert_true(error_is(ask(AWS_INPUT_ENVIRONMENT, &text),
                         ERROR_AWS_CREDENTIALS)); /* the line has ended */
    (void)close(rig.fds[0]);
    (void)close(rig.fds[1]);
}

static void test_a_malformed_answer_is_refused(void **state)
{
    (void)state;
    static const struct {
        uint32_t head[3];
        size_t len;
    } cases[] = {{{1, 0, AWS_INPUT_MAX + 1}, 12}, {{1, 0, 5}, 12}, {{1, 0, 0}, 7}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CC_CLEANUP(buf_release) struct buf text = buf_init(0);
        open_line(10000);
        assert_int_equal(write(rig.fds[1], cases[i].head, cases[i].len), (ssize_t)cases[i].len);
        (void)shutdown(rig.fds[1], SHUT_WR);
        assert_true(error_is(ask(AWS_INPUT_CONFIG_FILE, &text), ERROR_AWS_CREDENTIALS));
        (void)close(rig.fds[0]);
        (void)close(rig.fds[1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_environment_is_ours_alone),
        cmocka_unit_test(test_files_are_found),
        cmocka_unit_test(test_a_bundle_that_is_named_must_be_there),
        cmocka_unit_test(test_commands_are_split_into_words),
        cmocka_unit_test(test_a_process_is_run),
        cmocka_unit_test(test_a_line_gives_the_same_texts),
        cmocka_unit_test(test_a_late_answer_is_nobodys),
        cmocka_unit_test(test_a_malformed_answer_is_refused),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, begin, end);
}
