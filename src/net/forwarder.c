#include "net/forwarder.h"

#include <poll.h>

#include "base/io.h"

#include "config/egress.h"
#include "net/forward.h"

_Static_assert((int)CONFIG_LIST_MAX <= (int)FORWARD_ROUTES_MAX, "each row has a route");

enum {
    PLACES = 256 /* of each row: far more than one core opens */
};

struct forwarder {
    const struct room_context *room;
    int listeners[CONFIG_LIST_MAX];
    uint32_t life;
    bool started;
    struct forward *forward;
};

static cc_err take_listener(struct forwarder *f, uint64_t row, int *fd)
{
    if (row >= f->room->config->egress.routes.count || *fd < 0 || f->listeners[row] >= 0)
        return CC_FAIL(PROTOCOL, "a listener of no row, or twice");
    f->listeners[row] = *fd;
    *fd = -1;
    return CC_OK;
}

static cc_err obey_one(struct forwarder *f)
{
    struct control message;
    CC_CLEANUP(fd_closep) int fd = -1;
    CC_TRY(control_receive(f->room->control_fd, &message, &fd));
    f->life = message.life;
    if (message.type == CONTROL_LISTENER && !f->started)
        return take_listener(f, message.value, &fd);
    if (message.type == CONTROL_LOG_LEVEL && message.value <= LOG_LEVEL_DEBUG)
        log_set_level((enum log_level)message.value);
    f->started = f->started || message.type == CONTROL_START;
    return CC_OK;
}

static cc_err open_routes(struct forwarder *f)
{
    const struct egress_config *egress = &f->room->config->egress;
    struct forward_route routes[CONFIG_LIST_MAX];
    for (uint32_t i = 0; i < egress->routes.count; i++) {
        struct egress_route row;
        CC_TRY(egress_route(egress, i, &row));
        if (f->listeners[i] < 0)
            return CC_FAIL(PROTOCOL, "a row without a listener");
        routes[i] = (struct forward_route){
            .from = {.kind = ENDPOINT_TCP, .literal = true, .port = row.port},
            .to = row.to,
            .peer_cid = ENDPOINT_ANY_CID,
            .places = PLACES,
            .listener = f->listeners[i],
            .way = "egress"};
        memcpy(routes[i].from.host, row.address, sizeof row.address);
    }
    const struct forward_options options = {.routes = routes, .count = egress->routes.count};
    CC_TRY(forward_new(&options, &f->forward));
    for (uint32_t i = 0; i < egress->routes.count; i++)
        f->listeners[i] = -1; /* they are the forward's now */
    return CC_OK;
}

/* The supervisor's end of the line is the end of this room. */
static cc_err serve(struct forwarder *f)
{
    struct pollfd fds[] = {{.fd = f->room->control_fd, .events = POLLIN},
                           {.fd = forward_fd(f->forward), .events = POLLIN}};
    for (;;) {
        (void)poll(fds, ARRAY_LEN(fds), (int)forward_patience_ms(f->forward));
        if (fds[0].revents) {
            cc_err err = obey_one(f);
            if (error_is(err, ERROR_DOOR_CLOSED))
                return CC_OK;
            CC_TRY(err);
        }
        CC_TRY(forward_turn(f->forward, 0));
    }
}

static cc_err run(struct forwarder *f)
{
    while (!f->started)
        CC_TRY(obey_one(f));
    CC_TRY(open_routes(f));
    CC_TRY(f->room->lock(ROOM_FORWARDER));
    CC_TRY(control_send(f->room->control_fd, CONTROL_READY, f->life, 0, -1));
    return serve(f);
}

CC_ERR forwarder_main(const struct room_context *room)
{
    struct forwarder f = {.room = room};
    for (size_t i = 0; i < ARRAY_LEN(f.listeners); i++)
        f.listeners[i] = -1;
    cc_err err = run(&f);
    forward_free(f.forward);
    for (size_t i = 0; i < ARRAY_LEN(f.listeners); i++)
        fd_closep(&f.listeners[i]);
    return err;
}
