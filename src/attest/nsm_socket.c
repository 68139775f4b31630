#include "attest/nsm_socket.h"

#ifdef CC_TESTING

#    include <sys/socket.h>
#    include <sys/stat.h>
#    include <sys/time.h>
#    include <sys/un.h>
#    include <unistd.h>

enum {
    PATIENCE_S = 10
};

int nsm_socket_open(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof at.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(at.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0 ||
                    connect(fd, (const struct sockaddr *)&at, sizeof at) != 0)) {
        int error = errno;
        (void)close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

bool nsm_socket_is(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* sendmsg() and read(): what a vault may call. */
static cc_err transmit(int fd, struct span bytes)
{
    while (bytes.len > 0) {
        struct iovec part = {.iov_base = (void *)(uintptr_t)bytes.data, .iov_len = bytes.len};
        const struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
        ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return CC_FAIL(NSM, "the software device is gone");
        bytes = span_of(bytes.data + n, bytes.len - (size_t)n);
    }
    return CC_OK;
}

static cc_err receive(int fd, uint8_t *out, size_t len)
{
    while (len > 0) {
        ssize_t n = read(fd, out, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return CC_FAIL(NSM, "the software device gives no answer");
        out += n;
        len -= (size_t)n;
    }
    return CC_OK;
}

static cc_err
exchange(int fd, struct span request, uint8_t *ret_answer, size_t size, size_t *ret_len)
{
    uint8_t head[4];
    for (unsigned i = 0; i < sizeof head; i++)
        head[i] = (uint8_t)(request.len >> (8 * i));
    CC_TRY(transmit(fd, span_of(head, sizeof head)));
    CC_TRY(transmit(fd, request));
    CC_TRY(receive(fd, head, sizeof head));
    size_t len =
        (size_t)head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
    if (len > size)
        return CC_FAIL(NSM, "the software device gives too long an answer");
    CC_TRY(receive(fd, ret_answer, len));
    *ret_len = len;
    return CC_OK;
}

CC_ERR
nsm_socket_exchange(int fd, struct span request, uint8_t *ret_answer, size_t size, size_t *ret_len)
{
    cc_err err = exchange(fd, request, ret_answer, size, ret_len);
    if (err.code) /* half of an answer may be under way: it must not be taken for that of the next request */
        (void)shutdown(fd, SHUT_RDWR);
    return err.code ? CC_FAIL(NSM, "the software device gives no answer") : CC_OK;
}

#endif
