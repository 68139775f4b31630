#include "wire/control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

const char *room_name(enum room room)
{
    static const char *const names[ROOM_END] = {"",      "front",  "core",
                                                "vault", "loader", "forwarder"};
    return room > 0 && room < ROOM_END ? names[room] : "unknown";
}

CC_ERR control_pair(int ret_fds[static 2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) != 0)
        return CC_FAIL(SYSTEM, "socketpair");
    return CC_OK;
}

union fd_space {
    struct cmsghdr head;
    char bytes[CMSG_SPACE(sizeof(int))];
};

CC_ERR control_send(int control_fd, uint32_t type, uint32_t life, uint64_t value, int fd)
{
    struct control message = {type, life, value};
    struct iovec part = {&message, sizeof message};
    union fd_space space = {.bytes = {0}};
    struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        msg.msg_control = space.bytes;
        msg.msg_controllen = sizeof space.bytes;
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    for (;;) {
        ssize_t n = sendmsg(control_fd, &msg, MSG_NOSIGNAL);
        if (n == (ssize_t)sizeof message)
            return CC_OK;
        if (n < 0 && errno == EINTR)
            continue;
        return CC_FAIL(DOOR_CLOSED, "control send");
    }
}

CC_ERR control_receive(int control_fd, struct control *ret_message, int *ret_fd)
{
    struct iovec part = {ret_message, sizeof *ret_message};
    union fd_space space = {.bytes = {0}};
    struct msghdr msg = {.msg_iov = &part,
                         .msg_iovlen = 1,
                         .msg_control = space.bytes,
                         .msg_controllen = sizeof space.bytes};
    ssize_t n;
    do
        n = recvmsg(control_fd, &msg, MSG_CMSG_CLOEXEC);
    /* ECONNRESET, told once: the peer has ended with messages unread. What it said before still comes. */
    while (n < 0 && (errno == EINTR || errno == ECONNRESET));
    if (n <= 0)
        return CC_FAIL(DOOR_CLOSED, "control line closed");
    *ret_fd = -1;
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
    if (n != (ssize_t)sizeof *ret_message || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
        if (*ret_fd >= 0)
            (void)close(*ret_fd);
        *ret_fd = -1;
        return CC_FAIL(PROTOCOL, "control message");
    }
    return CC_OK;
}
