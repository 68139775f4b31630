/* app/loop.h - what the supervisor waits for.
 *
 * WHAT      One epoll set: signals, the rooms' control lines and logs, the supervisor's own log.
 * PROMISE   No polling: it sleeps until something happens or a deadline has come.
 * THREADS   One.
 * OWNERSHIP loop_release() closes; rooms are borrowed; of the sink it makes its own.
 * ERRORS    SYSTEM.
 * SECRETS   None.
 */
#ifndef APP_LOOP_H
#define APP_LOOP_H

#include "app/rooms.h"

enum loop_signal {
    LOOP_SIGNAL_NONE = 0,
    LOOP_SIGNAL_STOP = 1,  /* SIGTERM, SIGINT */
    LOOP_SIGNAL_RELOAD = 2 /* SIGHUP */
};

struct loop {
    int epoll;
    int signals;
    struct logpipe
        own_log; /* what the supervisor itself says, in the same form as the rooms' lines */
    int own_log_write;
    struct log_sink sink; /* on a descriptor of the loop's own, which does not block */
    pid_t watched[ROOM_END];
};

/* Also blocks the signals and sends log_write() through the loop. */
CC_ERR loop_init(struct loop *loop, const struct log_sink *sink, enum log_level level);
void loop_release(struct loop *loop);
/* Handles what has happened, after at most `timeout_ms` (-1: none). Returns enum loop_signal, or'd together. */
unsigned loop_wait(struct loop *loop, struct rooms *rooms, int timeout_ms);

#endif
