#include "attest/proxy.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/num.h"

#include "attest/proxy_inside.h"

enum {
    EVENTS = 64,
    TICK_MS = 250,
    ACCEPTS_MAX = 64 /* in one turn */
};

CC_ERR proxy_watch(struct attest_proxy *proxy, int fd, uint32_t events, struct source *source)
{
    struct epoll_event event = {.events = events, .data.ptr = source};
    if (epoll_ctl(proxy->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        return CC_FAIL(SYSTEM, "epoll_ctl");
    return CC_OK;
}

/* --- accepting ------------------------------------------------------------------------------------------------ */

static void accept_again(struct attest_proxy *proxy)
{
    if (proxy->accepts || proxy->drains || proxy->pair_count >= proxy->connections_max)
        return;
    proxy->accepts = !proxy_watch(proxy, proxy->listener, EPOLLIN, &proxy->listener_source).code;
}

/* Until the next tick: whoever waits stays in the kernel's queue. */
static void accept_no_more(struct attest_proxy *proxy)
{
    if (proxy->accepts)
        (void)epoll_ctl(proxy->epoll, EPOLL_CTL_DEL, proxy->listener, NULL);
    proxy->accepts = false;
}

static void accept_clients(struct attest_proxy *proxy)
{
    for (int i = 0; i < ACCEPTS_MAX && proxy->accepts; i++) {
        if (proxy->pair_count >= proxy->connections_max) {
            accept_no_more(proxy);
            return;
        }
        int fd = accept4(proxy->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            proxy->counters.accepted++;
            pair_begin(proxy, fd);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) { /* out of descriptors or memory */
            accept_no_more(proxy);
        }
    }
}

/* --- turns ---------------------------------------------------------------------------------------------------- */

static void names_came(struct attest_proxy *proxy)
{
    uint64_t count;
    (void)!read(proxy->wake, &count, sizeof count);
    for (struct pair *pair = proxy->pairs; pair; pair = pair->next)
        if (pair->state == PAIR_WAITS)
            pair_find_address(pair);
}

static void take_event(struct attest_proxy *proxy, const struct source *source)
{
    switch (source->kind) {
    case SOURCE_CLIENTS:
        accept_clients(proxy);
        return;
    case SOURCE_NAMES:
        names_came(proxy);
        return;
    case SOURCE_PAGE:
        metrics_page_turn(proxy->page);
        return;
    case SOURCE_PAIR:
        pair_step(source->owner);
        return;
    }
}

/* Those that moved much, and left off so that others get their turn. */
static void go_on(struct attest_proxy *proxy)
{
    struct pair *pair = proxy->again;
    proxy->again = NULL;
    while (pair) {
        struct pair *next = pair->next_again;
        pair->again = false;
        pair_step(pair);
        pair = next;
    }
}

/* Not while events, or the list of those with more to do, may still name them. */
static void bury(struct attest_proxy *proxy, bool all)
{
    struct pair *pair = proxy->dead;
    proxy->dead = NULL;
    while (pair) {
        struct pair *next = pair->next_dead;
        if (pair->again && !all) {
            pair->next_dead = proxy->dead;
            proxy->dead = pair;
        } else {
            pair_free(pair);
        }
        pair = next;
    }
}

static void tick(struct attest_proxy *proxy, uint64_t now_ms)
{
    const uint64_t wall_ms = clock_wall_ms();
    struct pair *next = NULL;
    proxy->tick_ms = now_ms + TICK_MS;
    for (struct pair *pair = proxy->pairs; pair; pair = next) {
        next = pair->next;
        pair_tick(pair, now_ms, wall_ms);
    }
    if (proxy->page)
        metrics_page_turn(proxy->page);
    accept_again(proxy);
}

CC_ERR attest_proxy_turn(struct attest_proxy *proxy, uint32_t wait_ms)
{
    struct epoll_event events[EVENTS];
    uint64_t now_ms = clock_mono_ms();
    uint64_t wait =
        proxy->again ? 0 : u64_min(wait_ms, proxy->tick_ms > now_ms ? proxy->tick_ms - now_ms : 0);
    int n = epoll_wait(proxy->epoll, events, EVENTS, (int)wait);
    if (n < 0 && errno != EINTR)
        return CC_FAIL(SYSTEM, "epoll_wait");
    go_on(proxy);
    for (int i = 0; i < n; i++)
        take_event(proxy, events[i].data.ptr);
    now_ms = clock_mono_ms();
    if (now_ms >= proxy->tick_ms)
        tick(proxy, now_ms);
    bury(proxy, false);
    return CC_OK;
}

void attest_proxy_drain(struct attest_proxy *proxy)
{
    proxy->drains = true;
    accept_no_more(proxy);
    fd_closep(&proxy->listener);
    proxy->listener = -1;
}

uint32_t attest_proxy_open(const struct attest_proxy *proxy)
{
    return proxy->pair_count;
}

uint16_t attest_proxy_port(const struct attest_proxy *proxy)
{
    return endpoint_port_of(proxy->listener);
}

uint16_t attest_proxy_metrics_port(const struct attest_proxy *proxy)
{
    return proxy->page ? metrics_page_port(proxy->page) : 0;
}

/* --- life ----------------------------------------------------------------------------------------------------- */

static cc_err open_target(struct attest_proxy *proxy)
{
    if (proxy->signer.kind != ENDPOINT_TCP || proxy->signer.literal)
        return endpoint_address(&proxy->signer, &proxy->address);
    proxy->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (proxy->wake < 0)
        return CC_FAIL(SYSTEM, "eventfd");
    CC_TRY(proxy_watch(proxy, proxy->wake, EPOLLIN, &proxy->names_source));
    const struct name_watch_options options = {
        .host = proxy->signer.host, .port = (uint16_t)proxy->signer.port, .wake = proxy->wake};
    return name_watch_start(&options, &proxy->names);
}

static cc_err report(void *proxy, struct buf *out)
{
    return attest_proxy_report(proxy, out);
}

static cc_err open_all(struct attest_proxy *proxy, const struct attest_proxy_options *options)
{
    const mode_t mode = options->unix_mode ? options->unix_mode : 0600;
    proxy->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (proxy->epoll < 0)
        return CC_FAIL(SYSTEM, "epoll");
    CC_TRY(atls_client_new(options->policy, &proxy->client));
    CC_TRY(open_target(proxy));
    if (options->has_metrics) {
        CC_TRY(metrics_page_open(&options->metrics, report, proxy, &proxy->page));
        CC_TRY(proxy_watch(proxy, metrics_page_fd(proxy->page), EPOLLIN, &proxy->page_source));
    }
    CC_TRY(endpoint_listen(&options->listen, mode, &proxy->listener));
    accept_again(proxy);
    return proxy->accepts ? CC_OK : CC_FAIL(SYSTEM, "epoll_ctl");
}

CC_ERR attest_proxy_new(const struct attest_proxy_options *options, struct attest_proxy **ret_proxy)
{
    struct attest_proxy *proxy = cc_alloc(sizeof *proxy);
    if (!proxy)
        return CC_FAIL(NO_MEMORY, "proxy");
    *proxy = (struct attest_proxy){
        .signer = options->signer,
        .patience_ms = options->patience_ms ? options->patience_ms : ATTEST_PROXY_PATIENCE_MS,
        .connections_max = options->connections ? options->connections : ATTEST_PROXY_CONNECTIONS,
        .epoll = -1,
        .wake = -1,
        .listener = -1,
        .listener_source = {SOURCE_CLIENTS, proxy},
        .names_source = {SOURCE_NAMES, proxy},
        .page_source = {SOURCE_PAGE, proxy}};
    cc_err err = open_all(proxy, options);
    if (err.code) {
        attest_proxy_free(proxy);
        return err;
    }
    *ret_proxy = proxy;
    return CC_OK;
}

void attest_proxy_free(struct attest_proxy *proxy)
{
    if (!proxy)
        return;
    while (proxy->pairs) {
        struct pair *pair = proxy->pairs;
        proxy->pairs = pair->next;
        pair_free(pair);
    }
    bury(proxy, true);
    metrics_page_free(proxy->page);
    name_watch_stop(proxy->names);
    fd_closep(&proxy->listener);
    fd_closep(&proxy->wake);
    fd_closep(&proxy->epoll);
    atls_client_free(proxy->client);
    cc_free(proxy);
}
