#include "app/egress_listen.h"

#include "base/io.h"
#include "base/log.h"

#include "config/egress.h"

static cc_err open_row(const struct egress_config *config, uint32_t row, int *ret_fd)
{
    struct egress_route route;
    CC_TRY(egress_route(config, row, &route));
    struct endpoint at = {.kind = ENDPOINT_TCP, .literal = true, .port = route.port};
    memcpy(at.host, route.address, sizeof route.address);
    cc_err err = endpoint_listen(&at, 0, ret_fd);
    if (err.code)
        log_error("cannot listen for the way out", KV_STR("host", route.host),
                  KV_STR("address", route.address), KV_NUM("port", route.port), KV_ERR(err));
    return err;
}

CC_ERR egress_open(const struct egress_config *config, struct egress_listeners *ret_listeners)
{
    struct egress_listeners made = {0};
    for (uint32_t i = 0; i < config->routes.count; i++) {
        cc_err err = open_row(config, i, &made.fds[i]);
        if (err.code) {
            egress_close(&made);
            return err;
        }
        made.count++;
    }
    *ret_listeners = made;
    return CC_OK;
}

void egress_close(struct egress_listeners *listeners)
{
    for (uint32_t i = 0; i < listeners->count; i++)
        fd_closep(&listeners->fds[i]);
    listeners->count = 0;
}
