/* One client, and its own connection to the signer. Both sockets are watched by their edges: what is tried goes on until the kernel
 * says that it would wait, and so there is always an event to come for what has stopped.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/num.h"

#include "attest/proxy_inside.h"
#include "secret/wipe.h"

enum {
    ROUNDS_MAX = 16, /* of moving bytes before others get their turn */
    QUIET_MS = 1000, /* then no answer is on its way, and none is asked for */
    DRAIN_QUIET_MS = 100,
    LINGER_MS = 2000,
    AGING_MS = 5 * 60 * 1000,
    TELL_MS = 1000,
    DETAIL_SIZE = 160
};

#define NEVER UINT64_MAX

/* --- the ends of a pair --------------------------------------------------------------------------------------- */

static void unlink_pair(struct pair *pair)
{
    struct attest_proxy *proxy = pair->proxy;
    if (pair->next)
        pair->next->previous = pair->previous;
    if (pair->previous)
        pair->previous->next = pair->next;
    else
        proxy->pairs = pair->next;
    proxy->pair_count--;
}

static void close_signer(struct pair *pair)
{
    atls_session_free(pair->session);
    pair->session = NULL;
    fd_closep(&pair->signer_fd);
    pair->signer_fd = -1;
}

/* Freed after the turn: events may still name it. */
static void pair_end(struct pair *pair)
{
    if (pair->dead)
        return;
    close_signer(pair);
    fd_closep(&pair->client_fd);
    pair->client_fd = -1;
    unlink_pair(pair);
    pair->dead = true;
    pair->next_dead = pair->proxy->dead;
    pair->proxy->dead = pair;
}

/* With a reset: the client must not take what it has for all there is. Over a Unix socket the kernel has no such thing, and it is an end. */
static void pair_break(struct pair *pair)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    if (!pair->dead)
        (void)setsockopt(pair->client_fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    pair_end(pair);
}

void pair_free(struct pair *pair)
{
    close_signer(pair);
    fd_closep(&pair->client_fd);
    if (pair->up.data)
        wipe(pair->up.data, FLOW_SIZE);
    if (pair->down.data)
        wipe(pair->down.data, FLOW_SIZE);
    cc_free(pair->up.data);
    cc_free(pair->down.data);
    cc_free(pair);
}

/* All is said: the client gets the end, and what it still sends must not become a reset that overtakes it. */
static void pair_linger(struct pair *pair)
{
    close_signer(pair);
    (void)shutdown(pair->client_fd, SHUT_WR);
    pair->state = PAIR_LINGERS;
    pair->deadline_ms = clock_mono_ms() + LINGER_MS;
}

/* An answer in two pieces would else wait for the client's delayed acknowledgement of the first: 40 ms a signature. */
static void send_at_once(int fd)
{
    const int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on,
                     sizeof on); /* a Unix socket has no such thing */
}

/* --- refusing -------------------------------------------------------------------------------------------------- */

static void pcr_text(const struct atls_peer *peer, char ret_text[static 2 * ATTEST_PCR_SIZE + 1])
{
    ret_text[0] = 0;
    for (size_t i = 0; peer->pcrs_known && (peer->pcrs.present & 1) && i < ATTEST_PCR_SIZE; i++)
        (void)snprintf(ret_text + 2 * i, 3, "%02x", peer->pcrs.value[0][i]);
}

/* One line a second at most: whoever holds the signer's place could else fill the log. */
static void tell(struct pair *pair, cc_err err, const char *detail)
{
    struct attest_proxy *proxy = pair->proxy;
    const uint64_t now_ms = clock_mono_ms();
    char pcr0[2 * ATTEST_PCR_SIZE + 1] = "";
    if (proxy->told_ms && now_ms < proxy->told_ms + TELL_MS) {
        proxy->untold++;
        return;
    }
    if (pair->session)
        pcr_text(atls_session_refused_peer(pair->session), pcr0);
    log_warn("no connection to the signer for a client", KV_STR("error", error_name(err)),
             KV_STR("reason", error_text(err)), KV_STR("detail", detail), KV_STR("image", pcr0),
             KV_NUM("lines_held_back", proxy->untold));
    proxy->told_ms = now_ms;
    proxy->untold = 0;
}

static void count_refusal(struct attest_proxy *proxy, cc_err err)
{
    if (error_is(err, ERROR_IO))
        proxy->counters.unreachable++;
    else
        proxy->counters.refused[err.code]++;
}

/* Into a JSON string: details are texts of ours, but a few name what came from elsewhere. */
static void plain_text(const char *detail, char ret_text[static DETAIL_SIZE])
{
    size_t len = 0;
    for (; detail && *detail && len + 1 < DETAIL_SIZE; detail++)
        if (*detail >= ' ' && *detail <= '~' && *detail != '"' && *detail != '\\')
            ret_text[len++] = *detail;
    ret_text[len] = 0;
}

/* Nothing of the client's has been read yet, and nothing will be. */
static void pair_refuse(struct pair *pair, cc_err err, const char *detail)
{
    char body[512], why[DETAIL_SIZE];
    plain_text(detail, why);
    count_refusal(pair->proxy, err);
    tell(pair, err, detail);
    close_signer(pair);
    int body_len = snprintf(
        body, sizeof body, "{\"code\":502,\"message\":\"attest proxy: %s%s%s\",\"error\":\"%s\"}\n",
        error_text(err), why[0] ? ": " : "", why, error_name(err));
    int len =
        snprintf((char *)pair->down.data, FLOW_SIZE,
                 "HTTP/1.1 502 Bad Gateway\r\nContent-Type: application/json; charset=utf-8\r\n"
                 "Content-Length: %d\r\nConnection: close\r\n\r\n%s",
                 body_len, body);
    pair->down.at = 0;
    pair->down.len = (uint32_t)len;
    pair->state = PAIR_REFUSED;
    pair->deadline_ms = clock_mono_ms() + LINGER_MS;
}

/* --- connecting ----------------------------------------------------------------------------------------------- */

/* Tries the addresses that are left. */
static void connect_next(struct pair *pair)
{
    struct attest_proxy *proxy = pair->proxy;
    cc_err err = CC_FAIL(IO, "the signer's host is not known, or nothing listens there");
    while (pair->address_at < pair->address_count) {
        err = endpoint_connect(&pair->addresses[pair->address_at], &pair->signer_fd);
        if (error_is(err, ERROR_BUSY)) { /* a later tick tries it again */
            pair->state = PAIR_WAITS;
            return;
        }
        pair->address_at++;
        if (!err.code)
            err = proxy_watch(proxy, pair->signer_fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                              &pair->source);
        if (!err.code) {
            send_at_once(pair->signer_fd);
            pair->state = PAIR_CONNECTS;
            return;
        }
        close_signer(pair);
    }
    if (proxy->names)
        name_watch_doubt(proxy->names);
    pair_refuse(pair, CC_FAIL(IO, "nothing listens at the signer's endpoint"),
                "nothing listens at the signer's endpoint");
}

void pair_find_address(struct pair *pair)
{
    struct attest_proxy *proxy = pair->proxy;
    bool asked = true;
    if (pair->address_at == pair->address_count) {
        pair->address_at = 0;
        pair->address_count = 1;
        pair->addresses[0] = proxy->address;
        if (proxy->names)
            pair->address_count = name_watch_get(proxy->names, pair->addresses, &asked);
    }
    if (asked || pair->address_count)
        connect_next(pair);
    pair_step(pair);
}

static void open_session(struct pair *pair)
{
    const char *name = pair->proxy->signer.kind == ENDPOINT_TCP ? pair->proxy->signer.host : NULL;
    cc_err err = atls_session_new(pair->proxy->client, pair->signer_fd, name, &pair->session);
    if (err.code)
        pair_refuse(pair, err, error_detail());
    else
        pair->state = PAIR_SHAKES_HANDS;
}

/* True when there is another step to take at once. */
static bool step_connect(struct pair *pair)
{
    struct pollfd stands = {.fd = pair->signer_fd, .events = POLLOUT};
    if (poll(&stands, 1, 0) == 0)
        return false;
    cc_err err = endpoint_connected(pair->signer_fd);
    if (!err.code) {
        open_session(pair);
        return true;
    }
    close_signer(pair);
    connect_next(pair);
    return pair->state != PAIR_CONNECTS;
}

/* So long before its end a connection is ended as soon as it is quiet: a part of what it has. */
static uint64_t aging_of(uint64_t until_ms)
{
    const uint64_t now_ms = clock_wall_ms();
    return until_ms > now_ms ? u64_min(AGING_MS, (until_ms - now_ms) / 8) : 0;
}

static bool step_handshake(struct pair *pair)
{
    struct attest_proxy *proxy = pair->proxy;
    switch (atls_session_shake_hands(pair->session)) {
    case ATLS_WANTS_TO_READ:
    case ATLS_WANTS_TO_WRITE:
        return false;
    case ATLS_ENDED:
    case ATLS_FAILED:
        pair_refuse(pair, atls_session_error(pair->session), atls_session_detail(pair->session));
        return true;
    case ATLS_DONE:
        break;
    }
    proxy->last = *atls_session_peer(pair->session);
    proxy->counters.verified++;
    pair->until_ms = proxy->last.until_ms;
    pair->aging_ms = aging_of(pair->until_ms);
    pair->deadline_ms = NEVER;
    pair->moved_ms = clock_mono_ms();
    pair->state = PAIR_CARRIES;
    return true;
}

/* --- carrying ------------------------------------------------------------------------------------------------- */

enum moved {
    MOVED_NOTHING,
    MOVED_SOME,
    MOVED_TO_ITS_END /* of the pair, by whatever way */
};

static enum moved read_client(struct pair *pair)
{
    struct flow *up = &pair->up;
    if (up->len || up->ended_in)
        return MOVED_NOTHING;
    ssize_t n;
    do
        n = recv(pair->client_fd, up->data, FLOW_SIZE, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return MOVED_NOTHING;
    if (n < 0) {
        pair_end(pair);
        return MOVED_TO_ITS_END;
    }
    up->at = 0;
    up->len = (uint32_t)n;
    up->ended_in = n == 0;
    return MOVED_SOME;
}

/* What a call of the session came to, where it was not ATLS_DONE. */
static enum moved judge(struct pair *pair, enum atls_progress progress)
{
    if (progress == ATLS_WANTS_TO_READ || progress == ATLS_WANTS_TO_WRITE)
        return MOVED_NOTHING;
    pair_break(pair);
    return MOVED_TO_ITS_END;
}

static enum moved write_signer(struct pair *pair)
{
    struct flow *up = &pair->up;
    size_t n = 0;
    if (up->len == 0 && (!up->ended_in || up->ended_out))
        return MOVED_NOTHING;
    if (up->len == 0) {
        enum atls_progress progress = atls_session_end(pair->session);
        up->ended_out = progress == ATLS_DONE;
        return up->ended_out ? MOVED_SOME : judge(pair, progress);
    }
    enum atls_progress progress = atls_session_write(pair->session, up->data + up->at, up->len, &n);
    if (progress != ATLS_DONE)
        return judge(pair, progress);
    up->at += (uint32_t)n;
    up->len -= (uint32_t)n;
    pair->proxy->counters.bytes_up += n;
    pair->asks = true;
    return MOVED_SOME;
}

static enum moved read_signer(struct pair *pair)
{
    struct flow *down = &pair->down;
    size_t n = 0;
    if (down->len || down->ended_in)
        return MOVED_NOTHING;
    enum atls_progress progress = atls_session_read(pair->session, down->data, FLOW_SIZE, &n);
    if (progress == ATLS_ENDED) {
        down->ended_in = true;
        return MOVED_SOME;
    }
    if (progress != ATLS_DONE)
        return judge(pair, progress);
    down->at = 0;
    down->len = (uint32_t)n;
    pair->proxy->counters.bytes_down += n;
    pair->asks = false;
    return MOVED_SOME;
}

static enum moved write_client(struct pair *pair)
{
    struct flow *down = &pair->down;
    if (down->len == 0) {
        if (!down->ended_in)
            return MOVED_NOTHING;
        pair_linger(pair);
        return MOVED_TO_ITS_END;
    }
    ssize_t n;
    do
        n = send(pair->client_fd, down->data + down->at, down->len, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return MOVED_NOTHING;
    if (n < 0) {
        pair_end(pair);
        return MOVED_TO_ITS_END;
    }
    down->at += (uint32_t)n;
    down->len -= (uint32_t)n;
    return MOVED_SOME;
}

/* One round of all four; what has come goes out first. */
static enum moved carry_once(struct pair *pair)
{
    static enum moved (*const moves[])(struct pair *) = {write_client, read_signer, write_client,
                                                         write_signer, read_client, write_signer};
    enum moved all = MOVED_NOTHING;
    for (size_t i = 0; i < ARRAY_LEN(moves); i++) {
        enum moved one = moves[i](pair);
        if (one == MOVED_TO_ITS_END)
            return one;
        if (one == MOVED_SOME)
            all = one;
    }
    return all;
}

static void leave_for_later(struct pair *pair)
{
    if (pair->again)
        return;
    pair->again = true;
    pair->next_again = pair->proxy->again;
    pair->proxy->again = pair;
}

static void step_carry(struct pair *pair)
{
    bool some = false;
    for (int i = 0; i < ROUNDS_MAX; i++) {
        enum moved moved = carry_once(pair);
        if (moved == MOVED_TO_ITS_END)
            return;
        if (moved == MOVED_NOTHING) {
            if (some)
                pair->moved_ms = clock_mono_ms();
            return;
        }
        some = true;
    }
    pair->moved_ms = clock_mono_ms();
    leave_for_later(pair);
}

/* --- the last answer ------------------------------------------------------------------------------------------ */

static void step_refused(struct pair *pair)
{
    while (pair->down.len)
        if (write_client(pair) != MOVED_SOME)
            return;
    pair_linger(pair);
}

static void step_linger(struct pair *pair)
{
    for (int i = 0; i < ROUNDS_MAX; i++) {
        ssize_t n = recv(pair->client_fd, pair->up.data, FLOW_SIZE, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            pair_end(pair);
            return;
        }
    }
    leave_for_later(pair);
}

/* --- steps ---------------------------------------------------------------------------------------------------- */

void pair_step(struct pair *pair)
{
    if (pair->dead)
        return;
    if (pair->state == PAIR_CONNECTS && !step_connect(pair))
        return;
    if (pair->state == PAIR_SHAKES_HANDS && !step_handshake(pair))
        return;
    if (pair->state == PAIR_CARRIES)
        step_carry(pair);
    if (!pair->dead && pair->state == PAIR_REFUSED)
        step_refused(pair);
    if (!pair->dead && pair->state == PAIR_LINGERS)
        step_linger(pair);
}

/* --- time ----------------------------------------------------------------------------------------------------- */

/* No answer is on its way, and none is to be expected. */
static bool is_quiet(const struct pair *pair, uint64_t mono_ms, uint64_t quiet_ms)
{
    return !pair->asks && !pair->up.len && !pair->down.len && mono_ms >= pair->moved_ms + quiet_ms;
}

static void end_quiet(struct pair *pair)
{
    (void)atls_session_end(pair->session);
    pair_linger(pair);
}

static void tick_carries(struct pair *pair, uint64_t mono_ms, uint64_t wall_ms)
{
    struct attest_proxy *proxy = pair->proxy;
    if (wall_ms >= pair->until_ms) {
        proxy->counters.aged++;
        pair_break(pair);
    } else if (wall_ms + pair->aging_ms >= pair->until_ms && is_quiet(pair, mono_ms, QUIET_MS)) {
        proxy->counters.aged++;
        end_quiet(pair);
    } else if (proxy->drains && is_quiet(pair, mono_ms, DRAIN_QUIET_MS)) {
        end_quiet(pair);
    }
}

void pair_tick(struct pair *pair, uint64_t mono_ms, uint64_t wall_ms)
{
    const bool late = mono_ms >= pair->deadline_ms;
    switch (pair->state) {
    case PAIR_WAITS:
    case PAIR_CONNECTS:
    case PAIR_SHAKES_HANDS:
        if (late)
            pair_refuse(pair, CC_FAIL(IO, "no connection in time"), "no connection in time");
        else if (pair->state == PAIR_WAITS)
            pair_find_address(pair);
        pair_step(pair);
        return;
    case PAIR_CARRIES:
        tick_carries(pair, mono_ms, wall_ms);
        return;
    case PAIR_REFUSED:
    case PAIR_LINGERS:
        if (late)
            pair_end(pair);
        return;
    }
}

void pair_begin(struct attest_proxy *proxy, int client_fd)
{
    send_at_once(client_fd);
    struct pair *pair = cc_alloc(sizeof *pair);
    if (!pair) {
        (void)close(client_fd);
        return;
    }
    *pair = (struct pair){.proxy = proxy,
                          .source = {SOURCE_PAIR, pair},
                          .state = PAIR_WAITS,
                          .client_fd = client_fd,
                          .signer_fd = -1,
                          .until_ms = NEVER,
                          .deadline_ms = clock_mono_ms() + proxy->patience_ms};
    pair->up.data = cc_alloc(FLOW_SIZE);
    pair->down.data = cc_alloc(FLOW_SIZE);
    if (!pair->up.data || !pair->down.data ||
        proxy_watch(proxy, client_fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, &pair->source)
            .code) {
        pair_free(pair);
        return;
    }
    pair->next = proxy->pairs;
    if (pair->next)
        pair->next->previous = pair;
    proxy->pairs = pair;
    proxy->pair_count++;
    pair_find_address(pair);
}
