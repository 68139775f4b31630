#include "enclave/log_relay.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"

enum {
    CHUNK_SIZE = 4096,
    NOTE_SIZE = 96
};

void log_relay_init(struct log_relay *relay, int from, int console, bool keeps)
{
    relay->from = from;
    relay->console = console;
    relay->parent = -1;
    relay->keeps = keeps;
    relay->ended = false;
    relay->dropped = 0;
    relay->start = 0;
    relay->len = 0;
}

static void append(struct log_relay *relay, const void *data, size_t len)
{
    if (relay->start + relay->len + len > LOG_RELAY_SIZE) {
        memmove(relay->bytes, relay->bytes + relay->start, relay->len);
        relay->start = 0;
    }
    memcpy(relay->bytes + relay->start + relay->len, data, len);
    relay->len += len;
}

static void keep(struct log_relay *relay, const uint8_t *data, size_t len)
{
    char note[NOTE_SIZE];
    if (!relay->keeps)
        return;
    size_t needed = relay->dropped ? len + sizeof note : len;
    if (relay->len + needed > LOG_RELAY_SIZE) {
        relay->dropped += len;
        return;
    }
    if (relay->dropped) {
        int n =
            snprintf(note, sizeof note,
                     "\nenclave init: %" PRIu64 " bytes of the log were dropped\n", relay->dropped);
        append(relay, note, (size_t)n);
        relay->dropped = 0;
    }
    append(relay, data, len);
}

CC_ERR log_relay_take(struct log_relay *relay)
{
    uint8_t chunk[CHUNK_SIZE];
    for (;;) {
        ssize_t n = read(relay->from, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return CC_OK;
        if (n < 0)
            return CC_FAIL(IO, "the program's log");
        if (n == 0) {
            relay->ended = true;
            return CC_OK;
        }
        if (relay->console >= 0 && fd_write_all(relay->console, chunk, (size_t)n).code)
            relay->console = -1; /* nobody can be told of it either */
        keep(relay, chunk, (size_t)n);
        if (n < (ssize_t)sizeof chunk)
            return CC_OK;
    }
}

void log_relay_send(struct log_relay *relay)
{
    uint8_t ignored[64];
    if (relay->parent < 0)
        return;
    while (relay->len) {
        ssize_t n = send(relay->parent, relay->bytes + relay->start, relay->len, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOTCONN))
            break;
        if (n < 0) {
            fd_closep(&relay->parent);
            return;
        }
        relay->start += (size_t)n;
        relay->len -= (size_t)n;
    }
    if (relay->len == 0)
        relay->start = 0;
    /* The parent has nothing to say; its end is noticed here. */
    ssize_t n = recv(relay->parent, ignored, sizeof ignored, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR && errno != ENOTCONN))
        fd_closep(&relay->parent);
}

short log_relay_events(const struct log_relay *relay)
{
    return (short)(relay->len ? POLLOUT | POLLIN : POLLIN);
}

void log_relay_connected(struct log_relay *relay, int parent)
{
    fd_closep(&relay->parent);
    relay->parent = parent;
}

void log_relay_close(struct log_relay *relay)
{
    fd_closep(&relay->parent);
}
