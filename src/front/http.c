#include "front/http.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/num.h"

#include "crypto/random.h"
#include "eth/request_json.h"
#include "front/http_inside.h"
#include "front/peer.h"

/* Descriptors of this process that are no client's. */
enum {
    OWN_DESCRIPTORS = 64,
    ACCEPT_POLL_MS = 100,
    YIELD_IDLE_MS = 1000, /* a client that asks every second is not idle */
    YIELD_POLL_MS = 1,    /* until a connection that was shut has been closed */
    FULL_POLL_MS = 10,
    LINGER_MS = 500,       /* whoever has connected so lately is about to ask */
    PROXY_HEADER_MS = 5000 /* a proxy sends its header with the connection */
};

#define NEVER UINT64_MAX

/* --- connections -------------------------------------------------------------------------------------------------- */

struct connection *connection_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static uint64_t deadline_ms(const struct http *h)
{
    return (uint64_t)h->config->request_deadline_seconds * 1000;
}

/* Between requests: the time a connection may be idle, and then that of one request. Not seeing the first byte, this is
 * the bound for header bytes that trickle in.
 */
void connection_expect_request(struct http *h, struct connection *c)
{
    uint64_t now = clock_mono_ms();
    atomic_store(&c->idle_since_ms, now);
    atomic_store(&c->deadline_ms,
                 now + (uint64_t)h->config->idle_timeout_seconds * 1000 + deadline_ms(h));
}

/* A request line is here, or an answer waits to be read. */
void connection_expect_rest(struct http *h, struct connection *c)
{
    atomic_store(&c->idle_since_ms, 0);
    atomic_store(&c->deadline_ms, clock_mono_ms() + deadline_ms(h));
}

/* The client has done its part. */
void connection_wait(struct connection *c)
{
    atomic_store(&c->deadline_ms, NEVER);
}

/* Under connections_lock. */
static void forget(struct http *h, struct connection *c)
{
    h->yield_count -= c->yields;
    c->open = c->yields = false;
    h->open_count--;
    metric_sub(METRIC_HTTP_CONNECTIONS, 1);
}

/* A token that comes here has not left the machine, or has not been in the clear. */
static bool stays_here(const struct arrival *arrival, const uint8_t peer[CIDR_ADDRESS_SIZE])
{
    if (arrival->listener == LISTENER_TLS || arrival->address.ss_family == AF_UNIX)
        return true;
    return cidr_is_loopback(peer) && (!arrival->proxied || cidr_is_loopback(arrival->client));
}

/* Where server.listen or tls.listen is a Unix socket, whoever connects may carry anybody's bytes. */
static bool tells_the_owner(const struct arrival *arrival)
{
    return arrival->listener == LISTENER_UNIX || arrival->listener == LISTENER_ADMIN;
}

/* What all requests of a connection have in common. */
static void introduce(const struct http *h, const struct arrival *arrival, struct connection *c)
{
    uint8_t peer[CIDR_ADDRESS_SIZE];
    peer_address(&arrival->address, peer);
    c->caller = (struct caller){.listener = (uint8_t)arrival->listener};
    memcpy(c->caller.address, arrival->proxied ? arrival->client : peer, CIDR_ADDRESS_SIZE);
    if (arrival->proxied)
        c->caller.flags |= CALLER_PROXIED;
    if (tells_the_owner(arrival) && peer_is_owner(arrival->fd, &arrival->address, h->own_uid))
        c->caller.flags |= CALLER_OWNER;
    if (arrival->listener == LISTENER_TLS)
        c->caller.flags |= CALLER_TLS;
    c->client = arrival->proxied ? peer_number_of_address(h->peer_key, arrival->client)
                                 : peer_number(h->peer_key, arrival->fd, &arrival->address);
    c->crosses_network = !stays_here(arrival, peer);
    c->nameless = !arrival->proxied && arrival->address.ss_family != AF_INET &&
                  arrival->address.ss_family != AF_INET6;
}

/* The slot of a new socket; NULL when the process has no room for it. */
static struct connection *connection_open(struct http *h, const struct arrival *arrival)
{
    uint32_t fd = (uint32_t)arrival->fd;
    struct loop *loop = &h->loops[fd % h->loop_count];
    struct connection *c = NULL;
    (void)pthread_mutex_lock(&h->connections_lock);
    if (fd < h->connection_slots) {
        c = &h->connections[fd];
        if (c->open) /* libmicrohttpd gave it up without a word: the number is free, or it weren't here */
            forget(h, c);
        c->open = true;
        c->loop = loop;
        c->listener = arrival->listener;
        introduce(h, arrival, c);
        c->target = NULL;
        tls_end(&c->tls);
        atomic_store(&c->idle_since_ms, clock_mono_ms());
        atomic_store(&c->deadline_ms, clock_mono_ms() + deadline_ms(h));
        h->open_count++;
        metric_add(METRIC_HTTP_CONNECTIONS, 0, 0, 1);
    }
    (void)pthread_mutex_unlock(&h->connections_lock);
    return c;
}

void connection_closed(struct http *h, struct connection *c)
{
    handshake_end(c);
    tls_end(&c->tls);
    (void)pthread_mutex_lock(&h->connections_lock);
    forget(h, c);
    (void)pthread_mutex_unlock(&h->connections_lock);
}

void connection_notify(void *http,
                       struct MHD_Connection *mhd,
                       void **socket_context,
                       enum MHD_ConnectionNotificationCode code)
{
    struct http *h = http;
    switch (code) {
    case MHD_CONNECTION_NOTIFY_STARTED: {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
        *socket_context = &h->connections[info->connect_fd];
        if (h->connections[info->connect_fd].listener == LISTENER_TLS)
            handshake_begin(h, *socket_context, mhd, info->connect_fd);
        return;
    }
    case MHD_CONNECTION_NOTIFY_CLOSED:
        /* libmicrohttpd closes the descriptor after this, so nobody else can have its number yet. */
        connection_closed(h, *socket_context);
        return;
    }
}

/* Hands an accepted socket to its loop. */
static void adopt(struct http *h, const struct arrival *arrival)
{
    struct connection *c = connection_open(h, arrival);
    if (!c) {
        (void)close(arrival->fd);
        return;
    }
    struct newcomer newcomer = {arrival->fd, c, arrival->address, arrival->address_len};
    loop_adopt(c->loop, &newcomer);
}

/* Shuts every connection that `should` picks. The lock keeps a descriptor from being closed meanwhile. */
typedef bool shut_fn(const struct connection *c, int fd, uint64_t now_ms);

static uint32_t shut_connections(struct http *h, shut_fn *should, uint64_t now_ms)
{
    uint32_t count = 0;
    (void)pthread_mutex_lock(&h->connections_lock);
    for (uint32_t fd = 0; fd < h->connection_slots && h->open_count; fd++) {
        struct connection *c = &h->connections[fd];
        if (!c->open || !should(c, (int)fd, now_ms))
            continue;
        atomic_store(&c->deadline_ms, NEVER);
        if (shutdown((int)fd, SHUT_RDWR) != 0 && errno == EBADF)
            forget(h, c);
        count++;
    }
    (void)pthread_mutex_unlock(&h->connections_lock);
    return count;
}

static bool is_late(const struct connection *c, int fd, uint64_t now_ms)
{
    (void)fd;
    return atomic_load(&c->deadline_ms) < now_ms;
}

/* Nothing was asked of late, and nothing has come that wasn't read. */
static bool is_quiet(const struct connection *c, int fd, uint64_t now_ms)
{
    uint64_t since = atomic_load(&c->idle_since_ms);
    char byte;
    return since != 0 && since + LINGER_MS <= now_ms &&
           recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

void http_tick(struct http *h, uint64_t now_ms)
{
    uint32_t late = shut_connections(h, is_late, now_ms);
    if (late)
        metric_add(METRIC_HTTP_TIMEOUTS, 0, 0, late);
}

/* --- accepting ---------------------------------------------------------------------------------------------------- */

static bool is_full(struct http *h)
{
    (void)pthread_mutex_lock(&h->connections_lock);
    bool full = h->open_count + proxy_gate_count(h->proxies) >= h->config->max_connections;
    (void)pthread_mutex_unlock(&h->connections_lock);
    return full;
}

/* The open connection that has been idle longest, and long enough; NULL for none. Under connections_lock. */
static struct connection *longest_idle(struct http *h, uint64_t now_ms)
{
    struct connection *oldest = NULL;
    uint64_t since = now_ms - YIELD_IDLE_MS;
    for (uint32_t fd = 0; fd < h->connection_slots; fd++) {
        struct connection *c = &h->connections[fd];
        uint64_t idle = atomic_load(&c->idle_since_ms);
        if (!c->open || c->yields || idle == 0 || idle > since)
            continue;
        since = idle;
        oldest = c;
    }
    return oldest;
}

/* All places are taken and somebody waits: who has been idle longest loses his, one at a time. Who waits keeps the
 * listener readable, so there is a rest instead of a busy loop.
 */
static void make_room(struct http *h, uint64_t now_ms)
{
    (void)pthread_mutex_lock(&h->connections_lock);
    struct connection *c = h->yield_count ? NULL : longest_idle(h, now_ms);
    if (c) {
        c->yields = true;
        h->yield_count++;
        (void)shutdown((int)(c - h->connections), SHUT_RDWR);
    }
    bool yields = h->yield_count > 0;
    (void)pthread_mutex_unlock(&h->connections_lock);
    (void)poll(NULL, 0, yields ? YIELD_POLL_MS : FULL_POLL_MS);
}

/* Out of descriptors or memory, the listener stays readable: a moment's rest instead of a busy loop. */
static void rest_when_out_of(int error)
{
    if (error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS)
        (void)poll(NULL, 0, 20);
}

/* To its loop, or first to where its proxy has to say for whom it is. */
static void welcome(struct http *h, const struct arrival *arrival)
{
    uint64_t now_ms = clock_mono_ms();
    if (proxy_gate_wants(h->proxies, arrival))
        proxy_gate_hold(h->proxies, arrival, now_ms + u64_min(deadline_ms(h), PROXY_HEADER_MS));
    else
        adopt(h, arrival);
}

/* Probes and metrics have their own spare tickets; the API waits in the kernel's queue while all places are taken and
 * none is idle.
 */
static void accept_some(struct http *h, enum listener kind)
{
    for (;;) {
        struct arrival arrival = {.listener = kind};
        arrival.address_len = sizeof arrival.address;
        if (kind != LISTENER_METRICS && is_full(h)) {
            make_room(h, clock_mono_ms());
            return;
        }
        arrival.fd = accept4(h->listeners[kind], (struct sockaddr *)&arrival.address,
                             &arrival.address_len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (arrival.fd < 0) {
            rest_when_out_of(errno);
            return;
        }
        if (arrival.address_len < sizeof arrival.address.ss_family)
            arrival.address.ss_family = AF_UNIX;
        if (arrival.address_len < sizeof(struct sockaddr))
            arrival.address_len = sizeof(struct sockaddr);
        welcome(h, &arrival);
    }
}

static bool is_held(const struct http *h, int kind)
{
    return atomic_load(&h->held) >> kind & 1;
}

/* Waits for what there is to accept or to read, and does it. */
static void accept_turn(struct http *h)
{
    struct pollfd fds[LISTENER_END - 1 + PROXY_WAITING_MAX];
    struct pollfd *proxied = fds + LISTENER_END - 1;
    struct arrival arrival;
    for (int kind = LISTENER_API; kind < LISTENER_END; kind++)
        fds[kind - 1] =
            (struct pollfd){.fd = is_held(h, kind) ? -1 : h->listeners[kind], .events = POLLIN};
    nfds_t waiting = proxy_gate_watch(h->proxies, proxied);
    int n = poll(fds, LISTENER_END - 1 + waiting, ACCEPT_POLL_MS);
    if (n < 0)
        return;
    proxy_gate_read(h->proxies, proxied, clock_mono_ms());
    while (proxy_gate_take(h->proxies, &arrival))
        adopt(h, &arrival);
    for (int kind = LISTENER_API; n > 0 && kind < LISTENER_END; kind++)
        if (fds[kind - 1].revents)
            accept_some(h, (enum listener)kind);
}

static void *acceptor_main(void *http)
{
    struct http *h = http;
    while (sem_wait(&h->gate) != 0)
        ;
    while (atomic_load(&h->accepting))
        accept_turn(h);
    return NULL;
}

CC_ERR http_listen(struct http *h, enum listener kind, int fd)
{
    if (kind < LISTENER_API || kind >= LISTENER_END || h->listeners[kind] >= 0)
        return CC_FAIL(PROTOCOL, "listener");
    h->listeners[kind] = fd;
    return CC_OK;
}

/* Threads are older than the lock of the room: this one waits at its gate. */
static cc_err start_acceptor(struct http *h)
{
    if (pthread_create(&h->acceptor, NULL, acceptor_main, h) != 0)
        return CC_FAIL(SYSTEM, "pthread_create");
    h->has_acceptor = true;
    return CC_OK;
}

void http_hold(struct http *h, enum listener kind)
{
    (void)atomic_fetch_or(&h->held, UINT32_C(1) << kind);
}

void http_let_in(struct http *h)
{
    atomic_store(&h->held, 0);
}

CC_ERR http_read_answers(struct http *h)
{
    return loop_watch_door(&h->loops[0]);
}

void http_serve(struct http *h)
{
    atomic_store(&h->accepting, true);
    (void)sem_post(&h->gate);
}

void http_drain(struct http *h)
{
    atomic_store(&h->draining, true);
}

void http_stop_accepting(struct http *h)
{
    atomic_store(&h->accepting, false);
    (void)sem_post(&h->gate);
    if (h->has_acceptor)
        (void)pthread_join(h->acceptor, NULL);
    h->has_acceptor = false;
    proxy_gate_free(h->proxies);
    h->proxies = NULL;
    for (int kind = LISTENER_API; kind < LISTENER_END; kind++) {
        fd_closep(&h->listeners[kind]);
        h->listeners[kind] = -1;
    }
}

void http_shut_quiet(struct http *h, uint64_t now_ms)
{
    (void)shut_connections(h, is_quiet, now_ms);
}

uint32_t http_open_count(struct http *h)
{
    (void)pthread_mutex_lock(&h->connections_lock);
    uint32_t count = h->open_count;
    (void)pthread_mutex_unlock(&h->connections_lock);
    return count;
}

uint32_t http_active(const struct http *h)
{
    return atomic_load(&h->active);
}

/* --- opening and closing ------------------------------------------------------------------------------------------ */

uint32_t http_tickets(const struct server_config *server)
{
    return server->max_connections + HTTP_TICKETS_SPARE;
}

/* A request that has one reading goes through the whole path, so that no code runs for the first time after the room is
 * locked; and if its lines don't lie in libmicrohttpd's memory as expected, the check for hidden bytes is left out.
 */
static cc_err warm_up_once(struct http *h, bool *ret_ok)
{
    static const char request[] =
        "GET /upcheck HTTP/1.1\r\nHost: localhost\r\nX-Empty:\r\nConnection: close\r\n\r\n";
    static const char good[] = "HTTP/1.1 200 ";
    struct arrival arrival = {.listener = LISTENER_API,
                              .address_len = sizeof(struct sockaddr),
                              .address.ss_family = AF_UNIX};
    char answer[1024];
    size_t len = 0;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return CC_FAIL(SYSTEM, "socketpair");
    CC_CLEANUP(fd_closep) int mine = pair[0];
    arrival.fd = pair[1];
    adopt(h, &arrival);
    CC_TRY(fd_write_all(mine, request, sizeof request - 1));
    struct pollfd waits = {.fd = mine, .events = POLLIN};
    while (len < sizeof answer && poll(&waits, 1, 5000) == 1) {
        ssize_t n = read(mine, answer + len, sizeof answer - len);
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    *ret_ok = len > sizeof good &&
              span_equal(span_of(answer, sizeof good - 1), span_of(good, sizeof good - 1));
    return CC_OK;
}

static cc_err warm_up(struct http *h)
{
    bool ok = false;
    h->strict_layout = true;
    CC_TRY(warm_up_once(h, &ok));
    if (ok)
        return CC_OK;
    log_warn(
        "libmicrohttpd keeps headers otherwise than expected, not looking for hidden bytes in them");
    h->strict_layout = false;
    CC_TRY(warm_up_once(h, &ok));
    return ok ? CC_OK : CC_FAIL(SYSTEM, "the HTTP server does not answer itself");
}

/* One descriptor for each connection; the limit may be lower than asked for, and then further clients wait. */
static void raise_descriptor_limit(uint32_t want)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= want)
        return;
    limit.rlim_cur = limit.rlim_max < want ? limit.rlim_max : want;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < want)
        log_warn(
            "the limit of open files is lower than server.max_connections needs, serving fewer",
            KV_NUM("limit", limit.rlim_cur), KV_NUM("wanted", want));
}

static cc_err make_tables(struct http *h)
{
    uint32_t tickets = http_tickets(h->config);
    h->connection_slots = tickets + OWN_DESCRIPTORS;
    if (h->config->trusted_proxies.count) {
        CC_TRY(proxy_gate_new(&h->config->trusted_proxies, &h->proxies));
        h->connection_slots += PROXY_WAITING_MAX;
    }
    h->connections = cc_alloc_array(h->connection_slots, sizeof *h->connections);
    h->requests = cc_alloc_array(tickets, sizeof *h->requests);
    if (!h->connections || !h->requests)
        return CC_FAIL(NO_MEMORY, "connections");
    for (uint32_t i = 0; i < tickets; i++) {
        h->requests[i].body = buf_init(SLASHING_BODY_MAX);
        h->requests[i].answer = buf_init(HTTP_ANSWER_MAX);
    }
    for (size_t i = 0; i < HTTP_PARSERS; i++)
        h->parsers[i].doc = jdoc_init(SIGN_TOKENS_MAX);
    return CC_OK;
}

static cc_err open_all(struct http *h, uint32_t threads)
{
    CC_TRY(make_tables(h));
    raise_descriptor_limit(h->connection_slots);
    if (pthread_create(&h->apart, NULL, request_apart_main, h) != 0)
        return CC_FAIL(SYSTEM, "pthread_create");
    h->has_apart = true;
    for (uint32_t i = 0; i < threads; i++) {
        h->loop_count = i + 1;
        CC_TRY(loop_open(h, &h->loops[i]));
        CC_TRY(loop_start(&h->loops[i]));
    }
    return warm_up(h);
}

CC_ERR http_open(const struct http_options *options, struct http **ret_http)
{
    cc_assert(options->threads >= 1 && options->threads <= HTTP_LOOPS_MAX);
    struct http *h = cc_alloc(sizeof *h);
    if (!h)
        return CC_FAIL(NO_MEMORY, "HTTP server");
    h->config = options->server;
    h->keys_config = options->config;
    h->allow_plaintext = options->allow_plaintext;
    h->network = options->network;
    h->exchange = options->exchange;
    h->metrics = options->metrics;
    h->tls = options->tls;
    for (int kind = 0; kind < LISTENER_END; kind++)
        h->listeners[kind] = -1;
    cc_assert(pthread_mutex_init(&h->connections_lock, NULL) == 0 &&
              pthread_mutex_init(&h->parsers_lock, NULL) == 0 &&
              pthread_mutex_init(&h->apart_lock, NULL) == 0 &&
              pthread_cond_init(&h->apart_filled, NULL) == 0 && sem_init(&h->gate, 0, 0) == 0);
    h->own_uid = geteuid();
    cc_err err = random_bytes(&h->peer_key, sizeof h->peer_key);
    if (!err.code)
        err = open_all(h, options->threads);
    if (!err.code)
        err = start_acceptor(h);
    if (err.code) {
        http_close(h);
        return err;
    }
    *ret_http = h;
    return CC_OK;
}

static void stop_apart(struct http *h)
{
    (void)pthread_mutex_lock(&h->apart_lock);
    h->apart_stop = true;
    (void)pthread_cond_signal(&h->apart_filled);
    (void)pthread_mutex_unlock(&h->apart_lock);
    if (h->has_apart)
        (void)pthread_join(h->apart, NULL);
}

void http_close(struct http *h)
{
    if (!h)
        return;
    http_stop_accepting(h);
    for (uint32_t i = 0; i < h->loop_count; i++)
        loop_join(&h->loops[i]);
    stop_apart(h);
    /* A question may have been on its way between two threads when the door was shut, and then it was overlooked. By now there
     * are no others, and whoever still waits would be suspended for ever.
     */
    exchange_expire(h->exchange, clock_mono_ms(), 0);
    for (uint32_t i = 0; i < h->loop_count; i++)
        loop_close(&h->loops[i]);
    for (uint32_t i = 0; h->requests && i < http_tickets(h->config); i++) {
        buf_release(&h->requests[i].body);
        buf_release(&h->requests[i].answer);
    }
    for (size_t i = 0; i < HTTP_PARSERS; i++)
        jdoc_release(&h->parsers[i].doc);
    cc_free(h->requests);
    cc_free(h->connections);
    (void)pthread_mutex_destroy(&h->connections_lock);
    (void)pthread_mutex_destroy(&h->parsers_lock);
    (void)pthread_mutex_destroy(&h->apart_lock);
    (void)pthread_cond_destroy(&h->apart_filled);
    (void)sem_destroy(&h->gate);
    cc_free(h);
}
