#include "app/logpipe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"

enum {
    READ_SIZE = 16384,
    READS_PER_TURN = 8,
    LINE_MAX = 8 * LOG_RECORD_MAX,
    LINE_PATIENCE_MS = 50
};

/* There is one log: its last line may have been given up in its middle. */
static bool is_torn;

/* Others write to the same pipe or terminal, and would be surprised by a descriptor that does not block: so the flag
 * goes on an open file of our own.
 */
CC_ERR logpipe_open_output(int output_fd, int *ret_fd)
{
    struct stat st;
    char name[32];
    int fd = -1;
    (void)snprintf(name, sizeof name, "/proc/self/fd/%d", output_fd);
    if (fstat(output_fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)))
        fd = open(name, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        fd = fcntl(output_fd, F_DUPFD_CLOEXEC, 0);
    *ret_fd = fd;
    return fd >= 0 ? CC_OK : CC_FAIL(SYSTEM, "the log's output");
}

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
static bool is_writable(int fd, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    return poll(&p, 1, timeout_ms) == 1 && (p.revents & POLLOUT);
}

/* One byte of room makes a terminal writable: a line may stick in its middle. Then a reader that is only slow gets a
 * moment; false when the rest was given up.
 */
static bool write_line(int fd, struct span line)
{
    uint64_t until = clock_mono_ms() + LINE_PATIENCE_MS;
    while (line.len) {
        ssize_t n = write(fd, line.data, line.len);
        if (n > 0)
            line = span_of(line.data + n, line.len - (size_t)n);
        else if (n == 0 || (errno != EAGAIN && errno != EINTR))
            return true; /* there is nobody to read the rest */
        else if (clock_mono_ms() >= until || !is_writable(fd, LINE_PATIENCE_MS))
            return false;
    }
    return true;
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

static bool
write_record(const struct logpipe *pipe, const struct log_sink *sink, struct span record)
{
    CC_CLEANUP(buf_release) struct buf line = buf_init(LINE_MAX);
    cc_err err = is_torn ? buf_append_str(&line, "\n") : CC_OK;
    if (!err.code)
        err = log_format(&line, sink->json, pipe->name, clock_wall_ms(), record);
    if (err.code) /* there is nowhere left to say it */
        return false;
    is_torn = !write_line(sink->fd, buf_span(&line));
    return !is_torn;
}

static void say_lost(struct logpipe *pipe, const struct log_sink *sink)
{
    char record[96];
    int n = snprintf(record, sizeof record, "warn\x1flog lines lost\x1flines\x1f%llu",
                     (unsigned long long)pipe->lost);
    if (n > 0 && write_record(pipe, sink, span_of(record, (size_t)n)))
        pipe->lost = 0;
}

static void end_line(struct logpipe *pipe, const struct log_sink *sink)
{
    bool taken = within_rate(pipe) && is_writable(sink->fd, 0);
    if (taken && pipe->lost)
        say_lost(pipe, sink);
    if (!taken || !write_record(pipe, sink, span_of(pipe->line, pipe->len)))
        pipe->lost++;
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
    if (pipe->lost && is_writable(sink->fd, 0))
        say_lost(pipe, sink);
    (void)close(pipe->fd);
    pipe->fd = -1;
}
