#include "app/logpipe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"

enum {
    READ_SIZE = 16384,
    READS_PER_TURN = 8,
    LINE_MAX = 8 * LOG_RECORD_MAX
};

CC_ERR logpipe_open(struct logpipe *pipe, const char *static_name, int *ret_write_fd)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0)
        return CC_FAIL(SYSTEM, "pipe2");
    (void)fcntl(fds[0], F_SETFL, O_NONBLOCK);
    *pipe = (struct logpipe){.fd = fds[0], .name = static_name};
    *ret_write_fd = fds[1];
    return CC_OK;
}

/* A pipe or terminal that nobody reads must not stop the supervisor. */
static bool is_writable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT);
}

static bool within_rate(struct logpipe *pipe)
{
    uint64_t second = clock_mono_ms() / 1000;
    if (second != pipe->second) {
        pipe->second = second;
        pipe->lines_in_second = 0;
    }
    return pipe->lines_in_second++ < LOGPIPE_LINES_PER_SECOND;
}

static void
write_record(const struct logpipe *pipe, const struct log_sink *sink, struct span record)
{
    CC_CLEANUP(buf_release) struct buf line = buf_init(LINE_MAX);
    cc_err err = log_format(&line, sink->json, pipe->name, clock_wall_ms(), record);
    if (!err.code)
        err = fd_write_all(sink->fd, line.data, line.len);
    (void)err; /* there is nowhere left to say it */
}

static void say_lost(struct logpipe *pipe, const struct log_sink *sink)
{
    char record[96];
    int n = snprintf(record, sizeof record, "warn\x1flog lines lost\x1flines\x1f%llu",
                     (unsigned long long)pipe->lost);
    pipe->lost = 0;
    if (n > 0)
        write_record(pipe, sink, span_of(record, (size_t)n));
}

static void end_line(struct logpipe *pipe, const struct log_sink *sink)
{
    if (!within_rate(pipe) || !is_writable(sink->fd)) {
        pipe->lost++;
    } else {
        if (pipe->lost)
            say_lost(pipe, sink);
        write_record(pipe, sink, span_of(pipe->line, pipe->len));
    }
    pipe->len = 0;
}

static void take_byte(struct logpipe *pipe, const struct log_sink *sink, uint8_t byte)
{
    if (byte == '\n') {
        end_line(pipe, sink);
        return;
    }
    if (pipe->len < sizeof pipe->line) /* the rest of a longer line is thrown away */
        pipe->line[pipe->len++] = byte;
}

/* A bounded number of reads, so that one room that floods its pipe can't starve the others. */
bool logpipe_read(struct logpipe *pipe, const struct log_sink *sink)
{
    uint8_t bytes[READ_SIZE];
    for (int turn = 0; turn < READS_PER_TURN; turn++) {
        ssize_t n = read(pipe->fd, bytes, sizeof bytes);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        if (n == 0) {
            if (pipe->len)
                end_line(pipe, sink);
            return false;
        }
        for (ssize_t i = 0; i < n; i++)
            take_byte(pipe, sink, bytes[i]);
    }
    return true;
}

void logpipe_close(struct logpipe *pipe, const struct log_sink *sink)
{
    if (pipe->fd < 0)
        return;
    (void)logpipe_read(pipe, sink);
    if (pipe->len)
        end_line(pipe, sink);
    if (pipe->lost)
        say_lost(pipe, sink);
    (void)close(pipe->fd);
    pipe->fd = -1;
}
