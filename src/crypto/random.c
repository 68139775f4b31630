#include "crypto/random.h"

#include <errno.h>
#include <sys/random.h>

CC_ERR random_bytes(void *ret_bytes, size_t len)
{
    uint8_t *at = ret_bytes;
    while (len) {
        ssize_t n = getrandom(at, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return CC_FAIL(SYSTEM, "getrandom");
        at += n;
        len -= (size_t)n;
    }
    return CC_OK;
}
