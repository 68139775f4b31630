#include "wire/door.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    DOOR_BUFFER = 4 << 20
};

CC_ERR door_pair(int ret_fds[static 2])
{
    const int size = DOOR_BUFFER;
    const struct timeval stall = {.tv_sec = DOOR_STALL_MS / 1000,
                                  .tv_usec = (DOOR_STALL_MS % 1000) * 1000};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) != 0)
        return CC_FAIL(SYSTEM, "socketpair");
    for (int i = 0; i < 2; i++) {
        /* FORCE needs a capability; the plain option is capped by the system and good enough. */
        if (setsockopt(ret_fds[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0)
            (void)setsockopt(ret_fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
        (void)setsockopt(ret_fds[i], SOL_SOCKET, SO_SNDTIMEO, &stall, sizeof stall);
    }
    return CC_OK;
}

CC_ERR
door_send(int fd, uint32_t life, uint16_t type, const void *items, size_t item_size, size_t count)
{
    cc_assert(item_size <= UINT16_MAX && count >= 1 && count <= DOOR_FIT(item_size));
    struct door_head head = {DOOR_VERSION, type, life, (uint32_t)count, (uint32_t)item_size};
    union {
        const void *in;
        void *out;
    } cast = {.in = items}; /* struct iovec has no const */
    struct iovec parts[2] = {{&head, sizeof head}, {cast.out, item_size * count}};
    for (;;) {
        ssize_t n = writev(fd, parts, 2);
        if (n == (ssize_t)(sizeof head + item_size * count))
            return CC_OK;
        if (n < 0 && errno == EINTR)
            continue;
        return n < 0 && errno != EPIPE && errno != EAGAIN && errno != ECONNRESET
                   ? CC_FAIL(IO, "door send")
                   : CC_FAIL(DOOR_CLOSED, "door send");
    }
}

CC_ERR door_check(struct door_message *message,
                  size_t len,
                  uint32_t life,
                  const struct door_type *accepted)
{
    const struct door_head *head = &message->head;
    if (len < sizeof *head || head->version != DOOR_VERSION)
        return CC_FAIL(PROTOCOL, "not a message of this version");
    if (head->life != life)
        return CC_FAIL(PROTOCOL, "a message of another life");
    for (const struct door_type *t = accepted; t->type; t++) {
        if (t->type != head->type)
            continue;
        if (head->item_size != t->item_size || head->count == 0 || head->count > t->max_count ||
            head->count > DOOR_FIT(t->item_size))
            return CC_FAIL(PROTOCOL, "wrong item size or count");
        if (len != sizeof *head + (size_t)head->count * t->item_size)
            return CC_FAIL(PROTOCOL, "wrong message length");
        return CC_OK;
    }
    return CC_FAIL(PROTOCOL, "unexpected message type");
}

CC_ERR door_receive(int fd,
                    uint32_t life,
                    const struct door_type *accepted,
                    struct door_message *ret_message)
{
    _Static_assert(sizeof(struct door_head) == 16 && offsetof(struct door_message, items) == 16,
                   "one packet");
    for (;;) {
        ssize_t n = read(fd, ret_message, DOOR_PACKET_MAX);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != ECONNRESET)
            return CC_FAIL(IO, "door receive");
        if (n <= 0)
            return CC_FAIL(DOOR_CLOSED, "peer is gone");
        return door_check(ret_message, (size_t)n, life, accepted);
    }
}

void door_message_wipe(struct door_message *message)
{
    explicit_bzero(message, sizeof *message);
}
