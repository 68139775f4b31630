#include "cli/bench_load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/num.h"

#include "secret/wipe.h"

enum {
    ANSWER_HEAD_MAX = 8192,
    ANSWER_ITEM_MAX = 1024,
    EVENTS = 256
};

static const uint64_t second_ns = 1000000000;
static const uint64_t patience_ns = 10000000000;

struct connection {
    int fd;
    bool blocked; /* part of the request waits for the socket to take it */
    char *out;
    size_t out_len, out_at;
    uint8_t *in;
    size_t in_len;
    uint64_t first; /* messages under way: first to first + n */
    size_t n;
    uint64_t since_ns; /* when they were due, or sent */
};

struct load {
    const struct bench_plan *plan;
    const struct bench_source *source;
    struct bench_result *result;
    int epoll;
    struct connection *connections;
    unsigned *idle; /* a ring, so that all connections take part */
    unsigned idle_at, idle_count;
    uint8_t *under_way; /* one a key */
    size_t in_room;
    uint64_t next; /* message */
    uint64_t begun_ns, end_ns, heard_ns;
    size_t *slot_left; /* messages of each slot that are not answered */
    size_t slot_total;
};

/* --- connections --------------------------------------------------------------------------------------- */

static cc_err connect_to(uint16_t port, int *ret_fd)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int one = 1;
    CC_CLEANUP(fd_closep) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
        return CC_FAIL(SYSTEM, "connect");
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    *ret_fd = fd;
    fd = -1;
    return CC_OK;
}

CC_ERR bench_ask(uint16_t port, const char *request, struct buf *answer)
{
    CC_CLEANUP(fd_closep) int fd = -1;
    CC_TRY(connect_to(port, &fd));
    CC_TRY(fd_write_all(fd, request, strlen(request)));
    while (bench_answer_length(buf_span(answer)) == 0) {
        uint8_t chunk[4096];
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n <= 0)
            return CC_FAIL(IO, "the connection was closed");
        CC_TRY(buf_append(answer, chunk, (size_t)n));
    }
    return bench_answer_length(buf_span(answer)) == SIZE_MAX ? CC_FAIL(PROTOCOL, "answer") : CC_OK;
}

static cc_err watch(struct load *load, unsigned i, int operation)
{
    const struct connection *c = &load->connections[i];
    struct epoll_event event = {.events = c->blocked ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.u32 = i};
    return epoll_ctl(load->epoll, operation, c->fd, &event) == 0 ? CC_OK
                                                                 : CC_FAIL(SYSTEM, "epoll_ctl");
}

static void make_idle(struct load *load, unsigned i)
{
    load->idle[(load->idle_at + load->idle_count++) % load->plan->connections] = i;
}

static cc_err open_connections(struct load *load)
{
    const struct bench_plan *plan = load->plan;
    load->in_room = ANSWER_HEAD_MAX + (size_t)u64_max(plan->batch, 1) * ANSWER_ITEM_MAX;
    for (unsigned i = 0; i < plan->connections; i++) {
        struct connection *c = &load->connections[i];
        c->out = cc_alloc(bench_request_room(u64_max(plan->batch, 1)));
        c->in = cc_alloc(load->in_room);
        if (!c->out || !c->in)
            return CC_FAIL(NO_MEMORY, "connections");
        CC_TRY(connect_to(plan->port, &c->fd));
        CC_TRY(watch(load, i, EPOLL_CTL_ADD));
        make_idle(load, i);
    }
    return CC_OK;
}

/* --- what is sent when --------------------------------------------------------------------------------- */

static uint64_t due_ns(const struct load *load, uint64_t message, uint64_t now)
{
    const struct bench_plan *plan = load->plan;
    if (plan->mode == BENCH_CLOSED)
        return now;
    if (plan->mode == BENCH_SLOT)
        return load->begun_ns + message / load->source->keys * plan->slot_ns;
    return load->begun_ns + (uint64_t)((double)message / plan->per_second * (double)second_ns);
}

/* No request spans two epochs: a batch has one root, or its keys' next ones. */
static size_t next_count(const struct load *load)
{
    uint64_t left = load->source->keys - load->next % load->source->keys;
    return (size_t)u64_min(u64_max(load->plan->batch, 1), left);
}

static bool any_under_way(const struct load *load, size_t n)
{
    size_t key = (size_t)(load->next % load->source->keys);
    return memchr(load->under_way + key, 1, n) != NULL;
}

static bool is_over(const struct load *load, uint64_t due)
{
    return due >= load->end_ns || atomic_load_explicit(load->plan->ending, memory_order_relaxed);
}

static cc_err send_rest(struct load *load, unsigned i)
{
    struct connection *c = &load->connections[i];
    bool was_blocked = c->blocked;
    c->blocked = false;
    while (c->out_at < c->out_len && !c->blocked) {
        ssize_t n =
            send(c->fd, c->out + c->out_at, c->out_len - c->out_at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return CC_FAIL(SYSTEM, "send");
        c->out_at += n > 0 ? (size_t)n : 0;
        c->blocked = n < 0 && errno == EAGAIN;
    }
    return c->blocked == was_blocked ? CC_OK : watch(load, i, EPOLL_CTL_MOD);
}

static cc_err send_next(struct load *load, size_t n, uint64_t since_ns)
{
    unsigned i = load->idle[load->idle_at];
    struct connection *c = &load->connections[i];
    load->idle_at = (load->idle_at + 1) % load->plan->connections;
    load->idle_count--;
    c->first = load->next;
    c->n = n;
    c->since_ns = since_ns;
    c->in_len = 0;
    c->out_at = 0;
    c->out_len = bench_request_write(load->source, c->first, n, load->plan->batch > 0, c->out);
    memset(load->under_way + c->first % load->source->keys, 1, n);
    load->next += n;
    return send_rest(load, i);
}

/* Sends all that is due. *ret_wait_ns: until the next one is; *ret_over: none will be. */
static cc_err send_due(struct load *load, uint64_t *ret_wait_ns, bool *ret_over)
{
    *ret_wait_ns = patience_ns;
    for (;;) {
        uint64_t now = clock_mono_ns(), due = due_ns(load, load->next, now);
        *ret_over = is_over(load, due);
        size_t n = next_count(load);
        if (*ret_over || load->idle_count == 0 || any_under_way(load, n))
            return CC_OK;
        if (due > now) {
            *ret_wait_ns = due - now;
            return CC_OK;
        }
        CC_TRY(send_next(load, n, due));
    }
}

/* --- what comes back ------------------------------------------------------------------------------------ */

static size_t count_text(struct span body, const char *text)
{
    size_t found = 0, len = strlen(text);
    for (const uint8_t *at; (at = memmem(body.data, body.len, text, len)); found++)
        body = span_of(at + len, body.len - (size_t)(at - body.data) - len);
    return found;
}

static void judge(struct load *load, const struct connection *c, struct span answer)
{
    struct bench_result *result = load->result;
    unsigned status = bench_answer_status(answer);
    size_t good = status == 200 ? bench_answer_signatures(answer) : 0;
    size_t refused = status == 503   ? c->n
                     : status == 200 ? count_text(bench_answer_body(answer), "\"status\":503")
                                     : 0;
    result->signatures += good;
    result->refused += refused;
    if (good + refused == c->n)
        return;
    if (result->failures == 0)
        (void)snprintf(result->failure, sizeof result->failure, "%.*s", (int)answer.len,
                       (const char *)answer.data);
    result->failures += c->n - good - refused;
}

static void count_slot(struct load *load, const struct connection *c, uint64_t now)
{
    size_t slot = (size_t)(c->first / load->source->keys);
    load->slot_left[slot] -= c->n;
    if (load->slot_left[slot] == 0 && slot > 0)
        load->result->slot_ns[load->result->slots++] = now - c->since_ns;
}

/* How much of a request's time lies in the counted time. */
static double share_counted(const struct load *load, const struct connection *c, uint64_t now)
{
    uint64_t from = u64_max(c->since_ns, load->begun_ns + load->plan->warm_ns);
    uint64_t to = u64_min(now, load->end_ns);
    return to > from ? (double)(to - from) / (double)(now - c->since_ns) : 0;
}

/* In a closed load requests are always under way: each counts by the part of its time that lies in the counted time. A count of
 * answers would depend on whether that time begins before or after a handful of large batches is answered at once. The
 * others count by when they were due.
 */
static void count(struct load *load, const struct connection *c, uint64_t good, uint64_t now)
{
    struct bench_result *result = load->result;
    bool closed = load->plan->mode == BENCH_CLOSED;
    bool begun = (closed ? now : c->since_ns) >= load->begun_ns + load->plan->warm_ns;
    if (closed)
        result->counted += (double)good * share_counted(load, c, now);
    else if (begun)
        result->counted += (double)good;
    if (begun && good == c->n)
        bench_histogram_add(&result->latency, now - c->since_ns);
}

static void finish(struct load *load, unsigned i, size_t len)
{
    struct connection *c = &load->connections[i];
    uint64_t now = clock_mono_ns(), before = load->result->signatures;
    judge(load, c, span_of(c->in, len));
    count(load, c, load->result->signatures - before, now);
    if (load->plan->mode == BENCH_SLOT)
        count_slot(load, c, now);
    memset(load->under_way + c->first % load->source->keys, 0, c->n);
    make_idle(load, i);
}

static cc_err receive(struct load *load, unsigned i)
{
    struct connection *c = &load->connections[i];
    ssize_t n = recv(c->fd, c->in + c->in_len, load->in_room - c->in_len, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return CC_OK;
    if (n <= 0)
        return CC_FAIL(SYSTEM, "the signer closed a connection");
    c->in_len += (size_t)n;
    size_t len = bench_answer_length(span_of(c->in, c->in_len));
    if (len == 0 && c->in_len < load->in_room)
        return CC_OK;
    if (len != c->in_len)
        return CC_FAIL(PROTOCOL, "an answer that is not understood");
    finish(load, i, len);
    return CC_OK;
}

static cc_err serve_events(struct load *load, uint64_t wait_ns)
{
    struct epoll_event events[EVENTS];
    const struct timespec wait = {.tv_sec = (time_t)(wait_ns / second_ns),
                                  .tv_nsec = (long)(wait_ns % second_ns)};
    int n = epoll_pwait2(load->epoll, events, EVENTS, &wait, NULL);
    if (n < 0 && errno != EINTR)
        return CC_FAIL(SYSTEM, "epoll_pwait2");
    uint64_t now = clock_mono_ns();
    if (n > 0 || load->idle_count == load->plan->connections)
        load->heard_ns = now;
    if (now - load->heard_ns > patience_ns)
        return CC_FAIL(BUSY, "no answer for ten seconds");
    for (int e = 0; e < n; e++) {
        unsigned i = events[e].data.u32;
        if (events[e].events & EPOLLOUT)
            CC_TRY(send_rest(load, i));
        if (events[e].events & ~(uint32_t)EPOLLOUT)
            CC_TRY(receive(load, i));
    }
    return CC_OK;
}

/* --- a run ------------------------------------------------------------------------------------------------ */

static uint64_t thread_cpu_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * second_ns + (uint64_t)t.tv_nsec;
}

static cc_err load_open(struct load *load)
{
    const struct bench_plan *plan = load->plan;
    load->connections = cc_alloc_array(plan->connections, sizeof *load->connections);
    load->idle = cc_alloc_array(plan->connections, sizeof *load->idle);
    load->under_way = cc_alloc_array(load->source->keys, 1);
    if (!load->connections || !load->idle || !load->under_way)
        return CC_FAIL(NO_MEMORY, "load");
    for (unsigned i = 0; i < plan->connections; i++)
        load->connections[i].fd = -1;
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (load->epoll < 0)
        return CC_FAIL(SYSTEM, "epoll_create1");
    CC_TRY(open_connections(load));
    if (plan->mode != BENCH_SLOT)
        return CC_OK;
    load->slot_total = (size_t)((plan->warm_ns + plan->run_ns) / plan->slot_ns) + 2;
    load->slot_left = cc_alloc_array(load->slot_total, sizeof *load->slot_left);
    load->result->slot_ns = cc_alloc_array(load->slot_total, sizeof *load->result->slot_ns);
    if (!load->slot_left || !load->result->slot_ns)
        return CC_FAIL(NO_MEMORY, "slots");
    for (size_t i = 0; i < load->slot_total; i++)
        load->slot_left[i] = load->source->keys;
    return CC_OK;
}

static void load_close(struct load *load)
{
    for (unsigned i = 0; load->connections && i < load->plan->connections; i++) {
        fd_closep(&load->connections[i].fd);
        if (load->connections[i].out)
            wipe(load->connections[i].out, bench_request_room(u64_max(load->plan->batch, 1)));
        cc_free(load->connections[i].out);
        cc_free(load->connections[i].in);
    }
    fd_closep(&load->epoll);
    cc_free(load->connections);
    cc_free(load->idle);
    cc_free(load->under_way);
    cc_free(load->slot_left);
}

static cc_err run(struct load *load)
{
    uint64_t cpu_ns = thread_cpu_ns(), wait_ns;
    bool over = false;
    CC_TRY(load_open(load));
    load->begun_ns = load->heard_ns = clock_mono_ns();
    load->end_ns = load->begun_ns + load->plan->warm_ns + load->plan->run_ns;
    while (!over || load->idle_count < load->plan->connections) {
        CC_TRY(send_due(load, &wait_ns, &over));
        if (load->idle_count < load->plan->connections || !over)
            CC_TRY(serve_events(load, wait_ns));
    }
    load->result->messages = load->next;
    load->result->counted_ns = load->plan->run_ns;
    load->result->client_cpu_ns = thread_cpu_ns() - cpu_ns;
    return CC_OK;
}

CC_ERR bench_load_run(const struct bench_plan *plan,
                      const struct bench_source *source,
                      struct bench_result *ret_result)
{
    cc_assert(plan->connections > 0 && plan->connections <= BENCH_CONNECTIONS_MAX);
    cc_assert(plan->batch <= BENCH_BATCH_MAX && source->keys > 0);
    *ret_result = (struct bench_result){0};
    struct load load = {.plan = plan, .source = source, .result = ret_result, .epoll = -1};
    cc_err err = run(&load);
    load_close(&load);
    return err;
}

void bench_result_release(struct bench_result *result)
{
    cc_free(result->slot_ns);
    result->slot_ns = NULL;
}
