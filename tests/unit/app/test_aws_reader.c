#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/aws_reader.h"
#include "aws/environment.h"
#include "aws/inputs_line.h"
#include "support/folder.h"
#include "support/test.h"

static struct folder home;
static struct aws_config config;
static pid_t reader;
static struct aws_inputs_line line;

static int begin(void **state)
{
    (void)state;
    folder_make(&home);
    folder_mkdir(&home, ".aws");
    (void)setenv("HOME", home.path, 1);
    (void)setenv("AWS_TEST", "of the supervisor", 1);
    (void)setenv("OTHER_TEST", "nobody's", 1);
    line = (struct aws_inputs_line){.timeout_ms = 20000};
    return aws_reader_start(&config, &reader, &line.fd).code;
}

static int end(void **state)
{
    (void)state;
    if (line.fd >= 0)
        (void)close(line.fd);
    if (reader > 0) {
        (void)kill(reader, SIGKILL);
        (void)waitpid(reader, NULL, 0);
    }
    folder_remove(&home);
    return 0;
}

static cc_err ask(enum aws_input input, struct buf *ret_text)
{
    const struct aws_inputs inputs = aws_inputs_of_line(&line);
    *ret_text = buf_init(AWS_INPUT_MAX);
    return inputs.read(inputs.context, input, ret_text);
}

static void test_it_reads_what_the_supervisor_sees(void **state)
{
    (void)state;
    CC_CLEANUP(buf_release) struct buf text = buf_init(0);
    assert_int_equal(ask(AWS_INPUT_ENVIRONMENT, &text).code, 0);
    assert_true(span_is(aws_environment_get(buf_span(&text), "AWS_TEST"), "of the supervisor"));
    assert_int_equal(aws_environment_get(buf_span(&text), "OTHER_TEST").len, 0);
    buf_release(&text);
    folder_write_text(&home, ".aws/config", "[default]\ncredential_process = /bin/echo 'a  b'\n");
    assert_int_equal(ask(AWS_INPUT_PROCESS, &text).code, 0);
    assert_true(span_is(buf_span(&text), "a  b\n"));
}

/* A question is answered, so it has given up by then what it got from its parent. */
static void test_it_keeps_no_descriptor_of_its_parent(void **state)
{
    (void)state;
    CC_CLEANUP(buf_release) struct buf text = buf_init(0);
    char path[64];
    assert_int_equal(ask(AWS_INPUT_ENVIRONMENT, &text).code, 0);
    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)reader);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
        if (entry->d_name[0] != '.')
            assert_true(strtol(entry->d_name, NULL, 10) <= 3);
    (void)closedir(folder);
}

static void test_it_ends_with_its_line(void **state)
{
    (void)state;
    int status = -1;
    (void)close(line.fd);
    line.fd = -1;
    assert_int_equal(waitpid(reader, &status, 0), reader);
    reader = 0;
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_it_reads_what_the_supervisor_sees, begin, end),
        cmocka_unit_test_setup_teardown(test_it_keeps_no_descriptor_of_its_parent, begin, end),
        cmocka_unit_test_setup_teardown(test_it_ends_with_its_line, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
