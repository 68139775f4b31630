#include "secret/harden.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/log.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define SANITIZED true
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                     \
        __has_feature(memory_sanitizer)
#        define SANITIZED true
#    endif
#endif
#ifndef SANITIZED
#    define SANITIZED false
#endif

bool harden_is_sanitized(void)
{
    return SANITIZED;
}

CC_ERR harden_process(void)
{
    const struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0)
        return CC_FAIL(SYSTEM, "RLIMIT_CORE");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return CC_FAIL(SYSTEM, "PR_SET_NO_NEW_PRIVS");
    if (SANITIZED) {
        log_warn("sanitizer build: dumps may hold secrets");
        return CC_OK;
    }
    /* Also closes ptrace and /proc/PID/{mem,environ,fd} to other processes of the same user. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return CC_FAIL(SYSTEM, "PR_SET_DUMPABLE");
    return CC_OK;
}

void harden_raise_memlock(size_t bytes)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur >= bytes)
        return;
    const struct rlimit higher = {bytes, limit.rlim_max > bytes ? limit.rlim_max : bytes};
    if (setrlimit(RLIMIT_MEMLOCK, &higher) == 0)
        return;
    const struct rlimit most = {limit.rlim_max < bytes ? limit.rlim_max : bytes, limit.rlim_max};
    (void)setrlimit(RLIMIT_MEMLOCK, &most);
}
