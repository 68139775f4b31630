#include "net/relay.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/io.h"

void relay_init(struct relay *relay, int first, int second)
{
    *relay = (struct relay){.fds = {first, second}};
}

static bool hold(struct relay_flow *flow, const uint8_t *bytes, size_t len)
{
    cc_assert(!flow->held && len <= RELAY_HOLD_MAX);
    flow->held = cc_alloc(len);
    if (!flow->held)
        return false;
    memcpy(flow->held, bytes, len);
    flow->held_at = 0;
    flow->held_len = (uint32_t)len;
    return true;
}

bool relay_begin_with(struct relay *relay, const void *bytes, size_t len)
{
    return hold(&relay->flows[0], bytes, len);
}

static enum relay_state state_of(const struct relay *relay)
{
    const struct relay_flow *flows = relay->flows;
    bool both = flows[0].passed_on && flows[1].passed_on;
    bool left = (relay->gone[0] && flows[0].passed_on) || (relay->gone[1] && flows[1].passed_on);
    return both || left ? RELAY_DONE : RELAY_GOES_ON;
}

/* How many bytes the sink has taken; -1: it has failed. */
static ssize_t deliver(struct relay *relay, struct relay_flow *flow, const uint8_t *bytes, size_t n)
{
    int sink = relay->fds[flow == &relay->flows[0] ? 1 : 0];
    ssize_t taken;
    do
        taken = send(sink, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (taken < 0 && errno == EINTR);
    if (taken < 0)
        return errno == EAGAIN ? 0 : -1;
    flow->bytes += (uint64_t)taken;
    return taken;
}

/* The end follows the last byte. A sink that is gone can't be told, and need not: it breaks when it is written to or read. */
static void pass_on_end(struct relay *relay, struct relay_flow *flow)
{
    if (!flow->ended || flow->passed_on || flow->held)
        return;
    (void)shutdown(relay->fds[flow == &relay->flows[0] ? 1 : 0], SHUT_WR);
    flow->passed_on = true;
}

enum relay_state relay_read(struct relay *relay, int side, uint8_t *scratch)
{
    struct relay_flow *flow = &relay->flows[side];
    if (!relay_wants_read(relay, side))
        return state_of(relay);
    ssize_t got = recv(relay->fds[side], scratch, RELAY_HOLD_MAX, MSG_DONTWAIT);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? RELAY_GOES_ON : RELAY_BROKEN;
    if (got == 0) {
        flow->ended = true;
        pass_on_end(relay, flow);
        return state_of(relay);
    }
    ssize_t taken = deliver(relay, flow, scratch, (size_t)got);
    if (taken < 0)
        return RELAY_BROKEN;
    if (taken < got && !hold(flow, scratch + taken, (size_t)(got - taken)))
        return RELAY_BROKEN;
    return RELAY_GOES_ON;
}

enum relay_state relay_write(struct relay *relay, int side)
{
    struct relay_flow *flow = &relay->flows[1 - side];
    if (!flow->held)
        return state_of(relay);
    ssize_t taken = deliver(relay, flow, flow->held + flow->held_at, flow->held_len);
    if (taken < 0)
        return RELAY_BROKEN;
    flow->held_at += (uint32_t)taken;
    flow->held_len -= (uint32_t)taken;
    if (flow->held_len == 0) {
        cc_free(flow->held);
        flow->held = NULL;
        pass_on_end(relay, flow);
    }
    return state_of(relay);
}

enum relay_state relay_hang_up(struct relay *relay, int side)
{
    relay->gone[side] = true;
    return state_of(relay);
}

bool relay_wants_read(const struct relay *relay, int side)
{
    const struct relay_flow *flow = &relay->flows[side];
    return !flow->held && !flow->ended;
}

bool relay_wants_write(const struct relay *relay, int side)
{
    return relay->flows[1 - side].held != NULL;
}

bool relay_is_half(const struct relay *relay)
{
    return relay->flows[0].ended != relay->flows[1].ended;
}

/* With it close() sends a reset, whatever was sent before. Other kinds of socket ignore it. */
static void reset_on_close(int fd)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void relay_close(struct relay *relay, bool abort)
{
    for (int side = 0; side < 2; side++) {
        if (abort && relay->fds[side] >= 0)
            reset_on_close(relay->fds[side]);
        fd_closep(&relay->fds[side]);
        cc_free(relay->flows[side].held);
        relay->flows[side].held = NULL;
    }
}
