#include "app/listeners.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/io.h"

enum {
    BACKLOG = 1024,
    UNIX_MODE = 0660
};

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
};

static socklen_t make_address(const char *text, uint16_t port, union address *ret_address)
{
    memset(ret_address, 0, sizeof *ret_address);
    if (inet_pton(AF_INET6, text, &ret_address->v6.sin6_addr) == 1) {
        ret_address->v6.sin6_family = AF_INET6;
        ret_address->v6.sin6_port = htons(port);
        return sizeof ret_address->v6;
    }
    ret_address->v4.sin_family = AF_INET;
    ret_address->v4.sin_port = htons(port);
    return inet_pton(AF_INET, text, &ret_address->v4.sin_addr) == 1 ? sizeof ret_address->v4 : 0;
}

static cc_err open_tcp(const char *text, uint16_t port, int *ret_fd, uint16_t *ret_port)
{
    union address address;
    socklen_t len = make_address(text, port, &address);
    if (len == 0)
        return CC_FAIL(SYSTEM, "listen address");
    CC_CLEANUP(fd_closep)
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
        return CC_FAIL(SYSTEM, "socket");
    if (bind(fd, &address.any, len) != 0)
        return CC_FAIL(SYSTEM, errno == EADDRINUSE ? "the port is in use" : "bind");
    if (listen(fd, BACKLOG) != 0 || getsockname(fd, &address.any, &len) != 0)
        return CC_FAIL(SYSTEM, "listen");
    *ret_port =
        ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
    *ret_fd = fd;
    fd = -1;
    return CC_OK;
}

/* A socket file of a process that has ended may be replaced; anything else may not. */
static cc_err clear_stale(const struct sockaddr_un *address)
{
    struct stat st;
    if (lstat(address->sun_path, &st) != 0)
        return CC_OK;
    if (!S_ISSOCK(st.st_mode))
        return CC_FAIL(EXISTS, "the path of the Unix socket is a file");
    CC_CLEANUP(fd_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return CC_FAIL(SYSTEM, "socket");
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 ||
        errno != ECONNREFUSED)
        return CC_FAIL(EXISTS, "the Unix socket is in use");
    return unlink(address->sun_path) == 0 ? CC_OK : CC_FAIL(SYSTEM, "the old Unix socket stays");
}

static cc_err open_unix(const char *path, int *ret_fd)
{
    union address address = {.local = {.sun_family = AF_UNIX}};
    size_t len = strlen(path);
    if (len >= sizeof address.local.sun_path)
        return CC_FAIL(LIMIT, "path of the Unix socket");
    memcpy(address.local.sun_path, path, len);
    CC_TRY(clear_stale(&address.local));
    CC_CLEANUP(fd_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t before =
        umask(0777 & ~UNIX_MODE); /* the file never has a wider mode, not even for a moment */
    int bound = fd < 0 ? -1 : bind(fd, &address.any, sizeof address.local);
    (void)umask(before);
    if (bound != 0 || listen(fd, BACKLOG) != 0)
        return CC_FAIL(SYSTEM, "Unix socket");
    *ret_fd = fd;
    fd = -1;
    return CC_OK;
}

CC_ERR listeners_open(const struct config *config, struct listeners *ret_listeners)
{
    struct listeners made = {.api = -1, .metrics = -1, .unix_fd = -1};
    const struct server_config *server = &config->server;
    cc_err err = open_tcp(server->listen_address, server->listen_port, &made.api, &made.api_port);
    if (err.code)
        log_error("cannot listen for the API", KV_STR("address", server->listen_address),
                  KV_NUM("port", server->listen_port), KV_ERR(err));
    if (!err.code) {
        const struct metrics_config *metrics = &config->metrics;
        err = open_tcp(metrics->listen_address, metrics->listen_port, &made.metrics,
                       &made.metrics_port);
        if (err.code)
            log_error("cannot listen for metrics", KV_STR("address", metrics->listen_address),
                      KV_NUM("port", metrics->listen_port), KV_ERR(err));
    }
    if (!err.code && server->unix_socket[0]) {
        err = open_unix(server->unix_socket, &made.unix_fd);
        if (err.code)
            log_error("cannot listen on the Unix socket", KV_STR("path", server->unix_socket),
                      KV_ERR(err));
        else
            memcpy(made.unix_path, server->unix_socket, sizeof made.unix_path);
    }
    if (err.code)
        listeners_close(&made);
    *ret_listeners = made;
    return err;
}

void listeners_close(struct listeners *listeners)
{
    fd_closep(&listeners->api);
    fd_closep(&listeners->metrics);
    fd_closep(&listeners->unix_fd);
    if (listeners->unix_path[0])
        (void)unlink(listeners->unix_path);
    listeners->unix_path[0] = 0;
}

CC_ERR listeners_write_ports(const struct listeners *listeners, const char *data_dir)
{
    char path[PATH_MAX];
    char text[64];
    int n = snprintf(path, sizeof path, "%s/ports", data_dir);
    if (n < 0 || (size_t)n >= sizeof path)
        return CC_FAIL(LIMIT, "path of the ports file");
    (void)snprintf(text, sizeof text, "http-port=%u\nmetrics-port=%u\n", listeners->api_port,
                   listeners->metrics_port);
    return file_write_durable(path, span_str(text), false);
}
