/* Connections of trusted proxies, until the proxy has said for whom they are. */
#include <errno.h>
#include <linux/vm_sockets.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/endpoint.h"
#include "base/log.h"
#include "base/metric.h"

#include "core/report.h"
#include "front/http_inside.h"
#include "front/peer.h"
#include "front/proxy.h"

struct waiting {
    struct arrival arrival;
    uint64_t deadline_ms;
    bool complete;
    size_t want; /* of `header` */
    size_t got;
    uint8_t header[PROXY_HEADER_MAX];
};

struct proxy_gate {
    struct cidr trusted[CONFIG_LIST_MAX];
    uint32_t trusted_count;
    uint32_t cids[CONFIG_LIST_MAX]; /* of vsock */
    uint32_t cid_count;
    uint32_t count;
    struct waiting waiting[PROXY_WAITING_MAX];
};

CC_ERR proxy_gate_new(const struct config_text_list *trusted, struct proxy_gate **ret_gate)
{
    struct proxy_gate *gate = cc_alloc(sizeof *gate);
    cc_err err = gate ? CC_OK : CC_FAIL(NO_MEMORY, "proxies");
    for (uint32_t i = 0; !err.code && i < trusted->count && i < CONFIG_LIST_MAX; i++) {
        struct span item = span_str(trusted->items[i]);
        if (!endpoint_cid(item, &gate->cids[gate->cid_count]).code)
            gate->cid_count++;
        else
            err = cidr_parse(item, &gate->trusted[gate->trusted_count++]);
    }
    if (err.code) {
        proxy_gate_free(gate);
        return err;
    }
    *ret_gate = gate;
    return CC_OK;
}

void proxy_gate_free(struct proxy_gate *gate)
{
    for (uint32_t i = 0; gate && i < gate->count; i++)
        (void)close(gate->waiting[i].arrival.fd);
    cc_free(gate);
}

static bool is_trusted_cid(const struct proxy_gate *gate, const struct sockaddr_vm *address)
{
    for (uint32_t i = 0; i < gate->cid_count; i++)
        if (gate->cids[i] == address->svm_cid)
            return true;
    return false;
}

bool proxy_gate_wants(const struct proxy_gate *gate, const struct arrival *arrival)
{
    uint8_t address[CIDR_ADDRESS_SIZE];
    if (!gate || (arrival->listener != LISTENER_API && arrival->listener != LISTENER_TLS) ||
        arrival->address.ss_family == AF_UNIX)
        return false;
    if (arrival->address.ss_family == AF_VSOCK)
        return is_trusted_cid(gate, (const void *)&arrival->address);
    peer_address(&arrival->address, address);
    for (uint32_t i = 0; i < gate->trusted_count; i++)
        if (cidr_holds(&gate->trusted[i], address))
            return true;
    return false;
}

uint32_t proxy_gate_count(const struct proxy_gate *gate)
{
    return gate ? gate->count : 0;
}

/* The last one takes its place: the order says nothing. */
static void forget(struct proxy_gate *gate, uint32_t i)
{
    if (i != --gate->count)
        gate->waiting[i] = gate->waiting[gate->count];
}

static void refuse(struct proxy_gate *gate, uint32_t i, const char *why)
{
    static struct report_budget budget;
    uint32_t held_back = 0;
    metric_add(METRIC_HTTP_PROXY_REFUSED, 0, 0, 1);
    if (report_may_log(&budget, &held_back))
        log_warn("a trusted proxy did not say for whom it connects, closing the connection",
                 KV_STR("reason", why), KV_NUM("lines_held_back", held_back));
    (void)close(gate->waiting[i].arrival.fd);
    forget(gate, i);
}

static uint32_t first_to_end(const struct proxy_gate *gate)
{
    uint32_t first = 0;
    for (uint32_t i = 1; i < gate->count; i++)
        if (gate->waiting[i].deadline_ms < gate->waiting[first].deadline_ms)
            first = i;
    return first;
}

void proxy_gate_hold(struct proxy_gate *gate, const struct arrival *arrival, uint64_t deadline_ms)
{
    if (gate->count == PROXY_WAITING_MAX)
        refuse(gate, first_to_end(gate), "too many wait");
    struct waiting *w = &gate->waiting[gate->count++];
    w->arrival = *arrival;
    w->deadline_ms = deadline_ms;
    w->complete = false;
    w->want = PROXY_HEAD;
    w->got = 0;
}

nfds_t proxy_gate_watch(const struct proxy_gate *gate, struct pollfd *fds)
{
    for (uint32_t i = 0; gate && i < gate->count; i++)
        fds[i] = (struct pollfd){.fd = gate->waiting[i].arrival.fd, .events = POLLIN};
    return proxy_gate_count(gate);
}

/* Not a byte more than the header is taken from the socket: what follows is HTTP's. */
static cc_err read_some(struct waiting *w)
{
    while (w->got < w->want) {
        ssize_t n = recv(w->arrival.fd, w->header + w->got, w->want - w->got, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return CC_OK;
        if (n <= 0)
            return CC_FAIL(DOOR_CLOSED, "the connection ended");
        w->got += (size_t)n;
        if (w->got == PROXY_HEAD && w->want == PROXY_HEAD) {
            size_t rest = 0;
            CC_TRY(proxy_rest(w->header, &rest));
            w->want += rest;
        }
    }
    struct proxy_client client;
    CC_TRY(proxy_read(span_of(w->header, w->want), &client));
    w->complete = true;
    w->arrival.proxied = !client.local;
    memcpy(w->arrival.client, client.address, sizeof client.address);
    return CC_OK;
}

/* A look at whether the port is open (a load balancer's), and nothing to tell of. */
static bool left_without_a_word(const struct waiting *w, cc_err err)
{
    return w->got == 0 && error_is(err, ERROR_DOOR_CLOSED);
}

/* From the last one down, so that what is forgotten moves none that is still to be looked at. */
void proxy_gate_read(struct proxy_gate *gate, const struct pollfd *fds, uint64_t now_ms)
{
    for (uint32_t i = gate ? gate->count : 0; i-- > 0;) {
        struct waiting *w = &gate->waiting[i];
        cc_err err = fds[i].revents ? read_some(w) : CC_OK;
        if (left_without_a_word(w, err)) {
            (void)close(w->arrival.fd);
            forget(gate, i);
        } else if (err.code)
            refuse(gate, i, error_detail());
        else if (!w->complete && now_ms >= w->deadline_ms)
            refuse(gate, i, "no header in time");
    }
}

bool proxy_gate_take(struct proxy_gate *gate, struct arrival *ret_arrival)
{
    for (uint32_t i = 0; gate && i < gate->count; i++) {
        if (!gate->waiting[i].complete)
            continue;
        *ret_arrival = gate->waiting[i].arrival;
        forget(gate, i);
        return true;
    }
    return false;
}
