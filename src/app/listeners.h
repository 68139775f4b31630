/* app/listeners.h - the sockets that the front accepts on.
 *
 * WHAT      TCP, vsock and Unix sockets for the API and for metrics: opened by the supervisor, or handed to it by the service
 *           manager (app/handed.h), so that the front needs no call that makes or binds one, and keeps no port when it is restarted.
 * PROMISE   All that the configuration asks for, or none. A Unix socket that somebody listens on is never replaced. No more was
 *           handed over than the configuration asks for.
 * THREADS   The supervisor's one thread.
 * OWNERSHIP listeners_close() closes, and removes the files of those Unix sockets that were opened here.
 * ERRORS    SYSTEM (the detail says which socket), LIMIT, EXISTS, LOCKED (another signer has this data directory), CONFIG and
 *           PERMISSIONS (what was handed over).
 * SECRETS   None.
 */
#ifndef APP_LISTENERS_H
#define APP_LISTENERS_H

#include "config/config.h"

enum {
    LISTENERS_PATH_SIZE = 108 /* of a Unix socket, with the terminator */
};

struct listeners {
    int api;
    int metrics;
    int unix_fd;   /* -1: none */
    int admin_fd;  /* the same */
    int tls;       /* the same */
    uint32_t held; /* bits 1 << enum listener: handed over by who keeps them open after us */
    uint16_t api_port;
    uint16_t metrics_port;
    uint16_t tls_port;
    char
        api_path[LISTENERS_PATH_SIZE]; /* of server.listen, where that is a Unix socket; "": none */
    char tls_path[LISTENERS_PATH_SIZE];
    char metrics_path[LISTENERS_PATH_SIZE];
    char unix_path[LISTENERS_PATH_SIZE];
    char admin_path[LISTENERS_PATH_SIZE];
};

/* Where the admin socket is: of a relative path below the data directory; "": there is none. LIMIT: too long for a socket. */
CC_ERR listeners_admin_path(const struct config *config, char ret_path[static LISTENERS_PATH_SIZE]);
/* `environment`: what may speak of sockets that were handed over. */
CC_ERR listeners_open(const struct config *config,
                      char *const *environment,
                      struct listeners *ret_listeners);
/* Opens those of the API and of metrics, and closes them at once; the log names the one that can't be had. */
CC_ERR listeners_try(const struct config *config);
void listeners_close(struct listeners *listeners);
/* Replaces <data_dir>/ports: "http-port=9000\nmetrics-port=3000\n", with TLS "https-port=9443\n" too. */
CC_ERR listeners_write_ports(const struct listeners *listeners, const char *data_dir);

#endif
