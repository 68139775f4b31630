/* app/listeners.h - the sockets that the front accepts on.
 *
 * WHAT      TCP and Unix sockets for the API, TCP for metrics: opened by the supervisor, so that the front needs no
 *           call that makes or binds one, and keeps no port when it is restarted.
 * PROMISE   All that the configuration asks for, or none. A Unix socket that somebody listens on is never replaced.
 * THREADS   The supervisor's one thread.
 * OWNERSHIP listeners_close() closes, and removes the Unix socket's file.
 * ERRORS    SYSTEM (the detail says which socket), LIMIT, EXISTS.
 * SECRETS   None.
 */
#ifndef APP_LISTENERS_H
#define APP_LISTENERS_H

#include "config/config.h"

struct listeners {
    int api;
    int metrics;
    int unix_fd; /* -1: none */
    uint16_t api_port;
    uint16_t metrics_port;
    char unix_path[108];
};

CC_ERR listeners_open(const struct config *config, struct listeners *ret_listeners);
void listeners_close(struct listeners *listeners);
/* Replaces <data_dir>/ports: "http-port=9000\nmetrics-port=3000\n". */
CC_ERR listeners_write_ports(const struct listeners *listeners, const char *data_dir);

#endif
