/* app/child.h - one room as the supervisor sees it: a process, a control line, a log pipe.
 *
 * WHAT      fork and exec of our own binary with the descriptors of enum room_fd, no environment, and less privilege.
 * PROMISE   A room has addresses and canaries of its own (threats T24), inherits nothing that is not listed in
 *           wire/control.h, and dies with the supervisor.
 * THREADS   The supervisor's one thread.
 * OWNERSHIP child_reap() closes what child_spawn() opened.
 * ERRORS    SYSTEM, NO_MEMORY.
 * SECRETS   None: a room's part of the configuration names files and variables, not their content.
 */
#ifndef APP_CHILD_H
#define APP_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "app/logpipe.h"
#include "config/config.h"
#include "wire/control.h"

struct child {
    enum room room;
    pid_t pid;   /* 0: not running */
    int control; /* our end, non-blocking; -1: none */
    struct logpipe log;
    bool ready;
    bool end_expected; /* we have killed it, or it ends with a room that is gone */
    uint32_t failure;  /* enum error_code of CONTROL_FAILED */
};

/* What every spawn needs. */
struct child_maker {
    int program;       /* our own binary, open */
    int null;          /* /dev/null */
    int metrics_write; /* for the core */
    int metrics_read;
    pid_t supervisor;
};

CC_ERR child_maker_open(struct child_maker *ret_maker);
void child_maker_close(struct child_maker *maker);

CC_ERR child_spawn(const struct child_maker *maker,
                   const struct config *config,
                   enum room room,
                   struct child *ret_child);
/* Sends without blocking; a room that does not read its line is killed. */
void child_tell(struct child *child, enum control_type type, uint32_t life, uint64_t value, int fd);
void child_kill(struct child *child);
/* Tells a room that no order will follow: it closes what it has open and ends. It can still be heard. */
void child_hang_up(struct child *child);
/* True when a message was there. False: none now, or the line is closed. */
bool child_hear(struct child *child, struct control *ret_message);
/* After the process has ended: empties the log and closes. */
void child_reap(struct child *child, const struct log_sink *sink);

#endif
