#include "aws/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"

/* --- words --------------------------------------------------------------------------------------------------------------- */

struct splitter {
    struct span rest;
    char *at;
    char quote; /* 0: none */
    bool open;  /* inside a word */
};

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static uint8_t take(struct splitter *s)
{
    uint8_t c = s->rest.data[0];
    s->rest = span_of(s->rest.data + 1, s->rest.len - 1);
    return c;
}

/* Puts one character, or opens or closes quotes. False: a backslash at the end. */
static bool put(struct splitter *s, uint8_t c)
{
    if (s->quote && c == (uint8_t)s->quote) {
        s->quote = 0;
        return true;
    }
    if (!s->quote && (c == '"' || c == '\'')) {
        s->quote = (char)c;
        return true;
    }
    if (c == '\\' && s->quote != '\'') {
        if (!s->rest.len)
            return false;
        uint8_t next = s->rest.data[0];
        if (!s->quote || next == '"' || next == '\\')
            c = take(s);
    }
    *s->at++ = (char)c;
    return true;
}

CC_ERR aws_command_split(struct span text, struct aws_command *ret_command)
{
    struct splitter s = {.rest = text, .at = ret_command->text};
    size_t count = 0;
    if (text.len >= sizeof ret_command->text)
        return CC_FAIL(AWS_CREDENTIALS, "credential_process: too long");
    while (s.rest.len) {
        uint8_t c = take(&s);
        if (c == 0)
            return CC_FAIL(AWS_CREDENTIALS, "credential_process: a zero byte");
        if (is_space(c) && !s.quote) {
            if (s.open)
                *s.at++ = 0;
            s.open = false;
            continue;
        }
        if (!s.open && count == AWS_PROCESS_WORDS_MAX)
            return CC_FAIL(AWS_CREDENTIALS, "credential_process: too many words");
        if (!s.open)
            ret_command->words[count++] = s.at;
        s.open = true;
        if (!put(&s, c))
            return CC_FAIL(AWS_CREDENTIALS, "credential_process: ends in a backslash");
    }
    if (s.quote || count == 0)
        return CC_FAIL(AWS_CREDENTIALS,
                       "credential_process: a quote that is not closed, or no command");
    if (s.open)
        *s.at = 0;
    ret_command->words[count] = NULL;
    return ret_command->words[0][0] == '/'
               ? CC_OK
               : CC_FAIL(AWS_CREDENTIALS, "credential_process: not a path from the root");
}

/* --- the process --------------------------------------------------------------------------------------------------------- */

static void become(const struct aws_command *command, int output)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigset_t none;
    for (int number = 1; number < NSIG; number++)
        (void)sigaction(number, &standard, NULL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    /* A group of its own: what it starts is ended with it. */
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
        dup2(null, STDERR_FILENO) < 0)
        _exit(127);
    (void)execve(command->words[0], command->words, environ);
    _exit(127);
}

static cc_err read_until(int fd, uint64_t end_ms, struct buf *ret_output)
{
    char part[4096];
    for (;;) {
        uint64_t now = clock_mono_ms();
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (now >= end_ms || poll(&ready, 1, (int)(end_ms - now)) <= 0)
            return CC_FAIL(AWS_CREDENTIALS, "credential_process: takes too long");
        ssize_t n = read(fd, part, sizeof part);
        if (n == 0)
            return CC_OK;
        if (n < 0)
            return CC_FAIL(AWS_CREDENTIALS, "credential_process: its output can't be read");
        cc_err err = buf_append(ret_output, part, (size_t)n);
        explicit_bzero(part, (size_t)n);
        CC_TRY(err);
    }
}

CC_ERR aws_process_run(struct span command, uint32_t timeout_ms, struct buf *ret_output)
{
    struct aws_command words;
    int fds[2];
    int status = 0;
    CC_TRY(aws_command_split(command, &words));
    if (pipe2(fds, O_CLOEXEC) != 0)
        return CC_FAIL(SYSTEM, "pipe");
    CC_CLEANUP(fd_closep) int from = fds[0];
    CC_CLEANUP(fd_closep) int to = fds[1];
    pid_t pid = fork();
    if (pid == 0)
        become(&words, to);
    if (pid < 0)
        return CC_FAIL(SYSTEM, "fork");
    (void)setpgid(pid, pid);
    fd_closep(&to);
    cc_err err = read_until(from, clock_mono_ms() + timeout_ms, ret_output);
    if (err.code)
        (void)kill(-pid, SIGKILL);
    (void)waitpid(pid, &status, 0);
    if (!err.code && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
        return CC_FAIL(AWS_CREDENTIALS, "credential_process: has failed");
    return err;
}
