#include "app/listeners.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/endpoint.h"
#include "base/io.h"
#include "base/log.h"

#include "app/handed.h"
#include "wire/control.h"

enum {
    UNIX_MODE = 0660,
    ADMIN_MODE = 0600
};

/* What is being opened, and what was handed over. */
struct opening {
    struct listeners made;
    struct handed handed;
};

/* A socket that was handed over is taken in the place of a new one. */
static cc_err
take_or_listen(struct opening *o, enum listener kind, const struct endpoint *endpoint, int *ret_fd)
{
    const mode_t mode = kind == LISTENER_ADMIN ? ADMIN_MODE : UNIX_MODE;
    CC_TRY(handed_find(&o->handed, endpoint, mode, ret_fd));
    if (*ret_fd < 0)
        return endpoint_listen(endpoint, mode, ret_fd);
    o->made.held |= UINT32_C(1) << kind;
    return CC_OK;
}

/* Where a listener of one kind is, in the configuration's words: `listen` is an endpoint in the place of address and port; what was
 * checked with the configuration can't fail to be one.
 */
struct place {
    enum listener kind;
    const char *what; /* for the log */
    const char *listen;
    const char *address;
    uint16_t port;
};

static cc_err endpoint_of(const struct place *place, struct endpoint *ret_endpoint)
{
    *ret_endpoint = (struct endpoint){.kind = ENDPOINT_TCP, .literal = true, .port = place->port};
    if (place->listen[0])
        return endpoint_parse(span_str(place->listen), ret_endpoint);
    (void)snprintf(ret_endpoint->host, sizeof ret_endpoint->host, "%s", place->address);
    return CC_OK;
}

/* Keeps the path of a Unix socket that was made here, for listeners_close(). */
static cc_err open_place(struct opening *o,
                         const struct place *place,
                         int *ret_fd,
                         uint16_t *ret_port,
                         char ret_path[static LISTENERS_PATH_SIZE])
{
    struct endpoint endpoint = {0};
    cc_err err = endpoint_of(place, &endpoint);
    if (!err.code)
        err = take_or_listen(o, place->kind, &endpoint, ret_fd);
    if (err.code) {
        log_error(place->what, KV_STR("address", place->address), KV_NUM("port", place->port),
                  KV_STR("listen", place->listen), KV_ERR(err));
        return err;
    }
    *ret_port = endpoint.kind == ENDPOINT_TCP ? endpoint_port_of(*ret_fd) : (uint16_t)endpoint.port;
    if (endpoint.kind == ENDPOINT_UNIX && !(o->made.held >> place->kind & 1))
        memcpy(ret_path, endpoint.host, LISTENERS_PATH_SIZE);
    return CC_OK;
}

static cc_err open_api(struct opening *o, const struct config *config)
{
    const struct server_config *server = &config->server;
    const struct place place = {LISTENER_API, "cannot listen for the API", server->listen,
                                server->listen_address, server->listen_port};
    return open_place(o, &place, &o->made.api, &o->made.api_port, o->made.api_path);
}

static cc_err open_tls(struct opening *o, const struct config *config)
{
    const struct place place = {LISTENER_TLS, "cannot listen for TLS", config->tls.listen,
                                config->server.listen_address, config->tls.listen_port};
    if (config->tls.mode == TLS_DISABLED)
        return CC_OK;
    return open_place(o, &place, &o->made.tls, &o->made.tls_port, o->made.tls_path);
}

static cc_err open_metrics(struct opening *o, const struct config *config)
{
    const struct metrics_config *metrics = &config->metrics;
    const struct place place = {LISTENER_METRICS, "cannot listen for metrics", metrics->listen,
                                metrics->listen_address, metrics->listen_port};
    return open_place(o, &place, &o->made.metrics, &o->made.metrics_port, o->made.metrics_path);
}

static cc_err open_unix(struct opening *o,
                        enum listener kind,
                        const char *path,
                        int *ret_fd,
                        char ret_path[static LISTENERS_PATH_SIZE])
{
    struct endpoint endpoint = {.kind = ENDPOINT_UNIX};
    if (strlen(path) >= LISTENERS_PATH_SIZE)
        return CC_FAIL(LIMIT, "path of the Unix socket");
    (void)snprintf(endpoint.host, sizeof endpoint.host, "%s", path);
    CC_TRY(take_or_listen(o, kind, &endpoint, ret_fd));
    if (!(o->made.held >> kind & 1))
        memcpy(ret_path, endpoint.host, LISTENERS_PATH_SIZE);
    return CC_OK;
}

static cc_err open_local(struct opening *o, const struct config *config)
{
    const char *path = config->server.unix_socket;
    if (!path[0])
        return CC_OK;
    cc_err err = open_unix(o, LISTENER_UNIX, path, &o->made.unix_fd, o->made.unix_path);
    if (error_is(err, ERROR_LOCKED)) /* no store's lock: anybody may listen there */
        err = CC_FAIL(EXISTS, "the Unix socket is in use");
    if (err.code)
        log_error("cannot listen on the Unix socket", KV_STR("path", path), KV_ERR(err));
    return err;
}

CC_ERR listeners_admin_path(const struct config *config, char ret_path[static LISTENERS_PATH_SIZE])
{
    const char *path = config->server.admin_socket;
    ret_path[0] = 0;
    if (!path[0] || strcmp(path, "-") == 0)
        return CC_OK;
    int n = path[0] == '/'
                ? snprintf(ret_path, LISTENERS_PATH_SIZE, "%s", path)
                : snprintf(ret_path, LISTENERS_PATH_SIZE, "%s/%s", config->data_dir, path);
    if (n > 0 && n < LISTENERS_PATH_SIZE)
        return CC_OK;
    ret_path[0] = 0;
    return CC_FAIL(LIMIT, "path of the admin socket");
}

/* A second signer on one data directory meets this socket first: it is told what the lock of the stores would say. */
static cc_err open_admin(struct opening *o, const struct config *config)
{
    char path[LISTENERS_PATH_SIZE];
    CC_TRY(listeners_admin_path(config, path)); /* the configuration was checked for it */
    if (!path[0])
        return CC_OK;
    cc_err err = open_unix(o, LISTENER_ADMIN, path, &o->made.admin_fd, o->made.admin_path);
    if (err.code)
        log_error("cannot listen on the admin socket", KV_STR("path", path), KV_ERR(err));
    return err;
}

static cc_err open_served(struct opening *o, const struct config *config)
{
    CC_TRY(open_api(o, config));
    CC_TRY(open_tls(o, config));
    return open_metrics(o, config);
}

CC_ERR listeners_try(const struct config *config)
{
    struct opening o = {
        .made = {.api = -1, .metrics = -1, .unix_fd = -1, .admin_fd = -1, .tls = -1}};
    cc_err err = open_served(&o, config);
    listeners_close(&o.made);
    return err;
}

CC_ERR listeners_open(const struct config *config,
                      char *const *environment,
                      struct listeners *ret_listeners)
{
    static cc_err (*const open[])(struct opening * o, const struct config *config) = {
        open_served, open_local, open_admin};
    struct opening o = {
        .made = {.api = -1, .metrics = -1, .unix_fd = -1, .admin_fd = -1, .tls = -1}};
    cc_err err = handed_take(environment, &o.handed);
    for (size_t i = 0; i < ARRAY_LEN(open) && !err.code; i++)
        err = open[i](&o, config);
    if (!err.code)
        err = handed_all_found(&o.handed);
    handed_close(&o.handed);
    if (err.code)
        listeners_close(&o.made);
    *ret_listeners = o.made;
    return err;
}

static void remove_socket(char path[static LISTENERS_PATH_SIZE])
{
    if (path[0])
        (void)unlink(path);
    path[0] = 0;
}

void listeners_close(struct listeners *listeners)
{
    fd_closep(&listeners->api);
    fd_closep(&listeners->metrics);
    fd_closep(&listeners->unix_fd);
    fd_closep(&listeners->admin_fd);
    fd_closep(&listeners->tls);
    remove_socket(listeners->api_path);
    remove_socket(listeners->tls_path);
    remove_socket(listeners->metrics_path);
    remove_socket(listeners->unix_path);
    remove_socket(listeners->admin_path);
}

CC_ERR listeners_write_ports(const struct listeners *listeners, const char *data_dir)
{
    char path[PATH_MAX];
    char text[64];
    int n = snprintf(path, sizeof path, "%s/ports", data_dir);
    if (n < 0 || (size_t)n >= sizeof path)
        return CC_FAIL(LIMIT, "path of the ports file");
    n = snprintf(text, sizeof text, "http-port=%u\nmetrics-port=%u\n", listeners->api_port,
                 listeners->metrics_port);
    if (listeners->tls >= 0 && n > 0)
        (void)snprintf(text + n, sizeof text - (size_t)n, "https-port=%u\n", listeners->tls_port);
    return file_write_durable(path, span_str(text), false);
}
