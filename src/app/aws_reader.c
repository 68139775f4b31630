#include "app/aws_reader.h"

#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"

#include "aws/inputs_line.h"
#include "wire/control.h"

enum {
    LINE = ROOM_FD_CONFIG /* the first beyond the standard three */
};

/* Nothing of the supervisor's but standard error and the line: no listener, no other room's line, no key file. */
static bool keep_only(int line)
{
    return dup2(line, LINE) == LINE && close_range(LINE + 1, ~0U, 0) == 0;
}

CC_NORETURN static void serve(const struct aws_config *config, pid_t supervisor, int line)
{
    const struct aws_inputs inputs = aws_inputs_own(config);
    (void)setsid(); /* a terminal's Ctrl-C is for the supervisor */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != supervisor ||
        !keep_only(line))
        _exit(1);
    while (aws_inputs_answer(LINE, &inputs))
        continue;
    _exit(0);
}

CC_ERR aws_reader_start(const struct aws_config *config, pid_t *ret_pid, int *ret_line)
{
    int fds[2];
    pid_t supervisor = getpid();
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
        return CC_FAIL(SYSTEM, "socketpair");
    pid_t pid = fork();
    if (pid == 0)
        serve(config, supervisor, fds[1]);
    (void)close(fds[1]);
    if (pid < 0) {
        (void)close(fds[0]);
        return CC_FAIL(SYSTEM, "fork");
    }
    *ret_pid = pid;
    *ret_line = fds[0];
    return CC_OK;
}
