/* enclave/log_relay.h - the program's log on its way out of an enclave.
 *
 * WHAT      What the program writes goes to the console (which shows it where the enclave runs in debug mode) and, where the
 *           parent has a port for it, over vsock.
 * PROMISE   A parent that doesn't read, or isn't there, never holds up the program: at most LOG_RELAY_SIZE bytes wait; what comes
 *           beyond them is dropped, and a line says how much.
 * THREADS   One.
 * OWNERSHIP The relay closes the parent's connection; `from` and `console` stay the caller's.
 * ERRORS    IO when `from` can't be read. What fails on the other side is only a reason to connect again.
 * SECRETS   Never in a log; the parent, which is not trusted, may read all of this.
 */
#ifndef ENCLAVE_LOG_RELAY_H
#define ENCLAVE_LOG_RELAY_H

#include <stdbool.h>

#include "base/error.h"

enum {
    LOG_RELAY_SIZE = 256 * 1024
};

struct log_relay {
    int from;    /* non-blocking */
    int console; /* -1: none */
    int parent;  /* -1: not connected; non-blocking */
    bool keeps;  /* for a parent: else there is none to wait for */
    bool ended;  /* all of `from` has been read */
    uint64_t dropped;
    size_t start; /* of what waits, in `bytes` */
    size_t len;
    uint8_t bytes[LOG_RELAY_SIZE];
};

void log_relay_init(struct log_relay *relay, int from, int console, bool keeps);
/* What can be read now is taken; `ended` is set when there will be no more. */
CC_ERR log_relay_take(struct log_relay *relay);
/* Sends what the parent takes now; a broken connection is closed. */
void log_relay_send(struct log_relay *relay);
/* What log_relay_send() waits for at the parent's connection: POLLOUT or POLLIN (its end). */
short log_relay_events(const struct log_relay *relay);
void log_relay_connected(struct log_relay *relay, int parent);
void log_relay_close(struct log_relay *relay);

#endif
