#include "support/child.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/test.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum {
    SANITIZED = 1
};
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
enum {
    SANITIZED = 1
};
#    else
enum {
    SANITIZED = 0
};
#    endif
#else
enum {
    SANITIZED = 0
};
#endif

int child_run(int (*body)(void *context), void *context)
{
    int status = 0;
    (void)fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        (void)dup2(null, STDERR_FILENO);
        /* cmocka turns signals into failed tests; here they must end the process. */
        for (int sig = 1; sig < 32; sig++)
            (void)signal(sig, SIG_DFL);
        _exit(body(context));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

bool child_faulted(int status)
{
    return status == SIGSEGV || status == SIGBUS;
}

bool child_sanitized(const char *left_out)
{
    if (SANITIZED)
        print_message("left out in a sanitizer build: %s\n", left_out);
    return SANITIZED;
}
