/* app/logpipe.h - the supervisor's end of a room's log.
 *
 * WHAT      One pipe per room: whole records are read from it and written out with the room's name and the time, which
 *           the room itself has no word in (threats T24).
 * PROMISE   A line has a limit, a room has a rate, and a slow reader of the log loses lines instead of holding up
 *           the supervisor; what was lost is counted and said.
 * THREADS   The supervisor's one thread.
 * OWNERSHIP logpipe_open() gives the write end to the caller; logpipe_close() closes the read end.
 * ERRORS    SYSTEM.
 * SECRETS   None, as base/log.h.
 */
#ifndef APP_LOGPIPE_H
#define APP_LOGPIPE_H

#include "base/error.h"
#include "base/log.h"

struct log_sink {
    int fd;
    bool json;
};

enum {
    LOGPIPE_LINES_PER_SECOND = 4000
};

struct logpipe {
    int fd; /* -1: closed */
    const char *name;
    /* private */
    size_t len;
    uint64_t second;
    uint32_t lines_in_second;
    uint64_t lost;
    uint8_t line[LOG_RECORD_MAX];
};

/* The form of `output_fd` that a full pipe or a halted terminal can't block: an open file of its own, not blocking, where
 * there can be one; else the descriptor itself, as a duplicate. The caller closes it.
 */
CC_ERR logpipe_open_output(int output_fd, int *ret_fd);
CC_ERR logpipe_open(struct logpipe *pipe, const char *static_name, int *ret_write_fd);
/* Writes out what is there now; false when the other end is closed and all has been read. */
bool logpipe_read(struct logpipe *pipe, const struct log_sink *sink);
void logpipe_close(struct logpipe *pipe, const struct log_sink *sink);

#endif
