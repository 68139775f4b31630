/* Connections carried on: all bytes, ends in their order, back pressure, places, and what happens when a side fails. The far
 * sides are sockets of this test; Unix sockets stand for vsock, which differs in its addresses alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"

#include "net/forward.h"
#include "net/forward_inside.h"
#include "support/folder.h"
#include "support/test.h"

enum {
    PATIENCE_MS = 20000
};

static struct folder folder;
static struct forward *forward;
static int target = -1; /* a listener */

static struct endpoint unix_at(const char *name)
{
    struct endpoint endpoint = {.kind = ENDPOINT_UNIX};
    (void)snprintf(endpoint.host, sizeof endpoint.host, "%.200s/%s", folder.path, name);
    return endpoint;
}

static struct endpoint parsed(const char *text)
{
    struct endpoint endpoint;
    cc_err err = endpoint_parse(span_str(text), &endpoint);
    assert_false(err.code);
    return endpoint;
}

static struct endpoint tcp_target(void)
{
    struct endpoint any = parsed("tcp:127.0.0.1:0");
    assert_false(endpoint_listen(&any, 0, &target).code);
    any.port = endpoint_port_of(target);
    return any;
}

static void start(const struct forward_options *options)
{
    cc_err err = forward_new(options, &forward);
    if (err.code)
        fail_msg("%s", error_detail());
}

/* One route, from TCP to `to`. */
static void start_one(const struct endpoint *to, uint32_t places)
{
    const struct forward_route route = {.from = parsed("tcp:127.0.0.1:0"),
                                        .to = *to,
                                        .peer_cid = ENDPOINT_ANY_CID,
                                        .places = places,
                                        .listener = -1,
                                        .way = "ingress"};
    const struct forward_options options = {.routes = &route, .count = 1};
    start(&options);
}

static int dial(const struct endpoint *to)
{
    struct endpoint_address address;
    int fd = -1;
    assert_false(endpoint_address(to, &address).code);
    assert_false(endpoint_connect(&address, &fd).code);
    return fd;
}

static int client(void)
{
    struct endpoint at = parsed("tcp:127.0.0.1:0");
    at.port = forward_port(forward, 0);
    return dial(&at);
}

static void turn(void)
{
    assert_false(forward_turn(forward, 5).code);
}

static int served(void)
{
    uint64_t end = clock_mono_ms() + PATIENCE_MS;
    for (;;) {
        int fd = accept4(target, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            return fd;
        assert_true(clock_mono_ms() < end);
        turn();
    }
}

/* What recv() says in the end: 0, or -1 with errno. Up to `room` bytes before it; stops when `want` are there. */
static ssize_t receive(int fd, uint8_t *into, size_t want, size_t *ret_got)
{
    uint64_t end = clock_mono_ms() + PATIENCE_MS;
    *ret_got = 0;
    while (*ret_got < want) {
        ssize_t n = recv(fd, into + *ret_got, want - *ret_got, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            return n;
        if (n > 0)
            *ret_got += (size_t)n;
        assert_true(clock_mono_ms() < end);
        turn();
    }
    return 1;
}

static ssize_t end_of(int fd)
{
    uint8_t byte;
    size_t got;
    ssize_t n = receive(fd, &byte, 1, &got);
    assert_true(n <= 0);
    return n;
}

static void expect(int fd, const char *text)
{
    uint8_t bytes[64] = {0};
    size_t got;
    assert_int_equal(receive(fd, bytes, strlen(text), &got), 1);
    assert_memory_equal(bytes, text, got);
}

static void say(int fd, const char *text)
{
    uint64_t end = clock_mono_ms() + PATIENCE_MS;
    while (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0) { /* not connected yet */
        assert_true(errno == EAGAIN || errno == ENOTCONN);
        assert_true(clock_mono_ms() < end);
        turn();
    }
}

static void wait_until_open(uint32_t count)
{
    uint64_t end = clock_mono_ms() + PATIENCE_MS;
    while (forward_open(forward) != count) {
        assert_true(clock_mono_ms() < end);
        turn();
    }
}

static uint64_t counter(const char *name)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(1 << 16);
    char start_of_line[128];
    assert_false(forward_report(forward, &text).code);
    assert_false(buf_append(&text, "", 1).code);
    (void)snprintf(start_of_line, sizeof start_of_line, "\ncontainment_forward_%s{", name);
    const char *line = strstr((const char *)text.data, start_of_line);
    assert_non_null(line);
    const char *value = strstr(line, "} ");
    assert_non_null(value);
    return strtoull(value + 2, NULL, 10);
}

static int make(void **state)
{
    (void)state;
    folder_make(&folder);
    return 0;
}

static int release(void **state)
{
    (void)state;
    forward_free(forward);
    forward = NULL;
    fd_closep(&target);
    folder_remove(&folder);
    return 0;
}

/* --- carrying -------------------------------------------------------------------------------------------------------------- */

static void test_bytes_go_both_ways_and_ends_one_by_one(void **state)
{
    (void)state;
    const struct endpoint to = tcp_target();
    start_one(&to, 0);
    CC_CLEANUP(fd_closep) int here = client();
    CC_CLEANUP(fd_closep) int there = served();
    say(here, "question");
    expect(there, "question");
    assert_int_equal(shutdown(here, SHUT_WR), 0);
    assert_int_equal(end_of(there), 0);
    say(there, "an answer after the question's end"); /* the other direction is open still */
    expect(here, "an answer after the question's end");
    assert_int_equal(forward_open(forward), 1);
    assert_int_equal(shutdown(there, SHUT_WR), 0);
    assert_int_equal(end_of(here), 0);
    wait_until_open(0);
    assert_int_equal(counter("broken_total"), 0);
    assert_int_equal(counter("accepted_total"), 1);
}

/* Far more than all buffers on the way, in both directions at once, by sides that read slowly and by pieces. */
static void test_nothing_is_lost_under_back_pressure(void **state)
{
    (void)state;
    enum {
        TOTAL = 24 << 20,
        PIECE = 100000
    };
    const struct endpoint to = tcp_target();
    start_one(&to, 0);
    int fds[2] = {client(), served()};
    size_t sent[2] = {0}, got[2] = {0};
    static uint8_t bytes[PIECE];
    uint64_t end = clock_mono_ms() + 3 * PATIENCE_MS;
    while (got[0] < TOTAL || got[1] < TOTAL) {
        for (int side = 0; side < 2; side++) {
            size_t n = TOTAL - sent[side] < PIECE ? TOTAL - sent[side] : PIECE;
            for (size_t i = 0; i < n; i++)
                bytes[i] = (uint8_t)((sent[side] + i) * 31 >> 3);
            ssize_t taken = n ? send(fds[side], bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
            sent[side] += taken > 0 ? (size_t)taken : 0;
            ssize_t read = recv(fds[1 - side], bytes, 1 + got[1 - side] % PIECE, MSG_DONTWAIT);
            for (ssize_t i = 0; i < read; i++)
                assert_int_equal(bytes[i], (uint8_t)((got[1 - side] + (size_t)i) * 31 >> 3));
            got[1 - side] += read > 0 ? (size_t)read : 0;
        }
        assert_true(clock_mono_ms() < end);
        assert_false(forward_turn(forward, 0).code);
    }
    fd_closep(&fds[0]);
    assert_int_equal(end_of(fds[1]), 0);
    fd_closep(&fds[1]);
    wait_until_open(0);
    assert_int_equal(counter("broken_total"), 0);
}

/* A side that reads nothing stops its sender, and memory is not what it is paid with. */
static void test_a_side_that_reads_nothing_stops_the_other(void **state)
{
    (void)state;
    const struct endpoint to = tcp_target();
    static uint8_t bytes[1 << 16];
    start_one(&to, 0);
    CC_CLEANUP(fd_closep) int here = client();
    CC_CLEANUP(fd_closep) int there = served();
    size_t sent = 0;
    for (int still = 0; still < 20;) {
        ssize_t n = send(here, bytes, sizeof bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
        still = n > 0 ? 0 : still + 1;
        sent += n > 0 ? (size_t)n : 0;
        turn();
        assert_true(sent < (64 << 20));
    }
    say(there, "the other direction is free");
    expect(here, "the other direction is free");
    /* An end that comes while bytes are held follows them. */
    assert_int_equal(shutdown(here, SHUT_WR), 0);
    size_t got = 0, all = 0;
    while (receive(there, bytes, sizeof bytes, &got) == 1)
        all += got;
    assert_int_equal(all + got, sent);
}

/* Else who never closes, after the signer has, would keep a place. */
static void test_a_side_that_hangs_up_ends_both(void **state)
{
    (void)state;
    const struct endpoint to = unix_at("target");
    static uint8_t bytes[1 << 16];
    assert_false(endpoint_listen(&to, 0600, &target).code);
    start_one(&to, 0);
    CC_CLEANUP(fd_closep) int here = client();
    CC_CLEANUP(fd_closep) int there = served();
    size_t sent = 0;
    for (int still = 0; still < 20;) { /* far more than is taken at once */
        ssize_t n = send(there, bytes, sizeof bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
        still = n > 0 ? 0 : still + 1;
        sent += n > 0 ? (size_t)n : 0;
        turn();
    }
    fd_closep(&there);
    size_t got = 0, all = 0;
    while (receive(here, bytes, sizeof bytes, &got) == 1)
        all += got;
    assert_int_equal(all + got, sent);
    wait_until_open(0); /* although `here` is open still */
    assert_int_equal(counter("broken_total"), 0);
}

/* --- failing --------------------------------------------------------------------------------------------------------------- */

static void reset(int *fd)
{
    const struct linger at_once = {.l_onoff = 1};
    assert_int_equal(setsockopt(*fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    fd_closep(fd);
}

static void test_a_cut_stream_is_not_taken_for_a_whole_one(void **state)
{
    (void)state;
    const struct endpoint to = tcp_target();
    start_one(&to, 0);
    for (int side = 0; side < 2; side++) {
        int fds[2] = {client(), served()};
        say(fds[side], "half of");
        expect(fds[1 - side], "half of");
        reset(&fds[side]);
        assert_int_equal(end_of(fds[1 - side]), -1);
        assert_int_equal(errno, ECONNRESET);
        fd_closep(&fds[1 - side]);
        wait_until_open(0);
    }
    assert_int_equal(counter("broken_total"), 2);
}

static void test_a_target_that_refuses_is_told_by_a_reset(void **state)
{
    (void)state;
    const struct endpoint to = tcp_target();
    fd_closep(&target);
    start_one(&to, 0);
    CC_CLEANUP(fd_closep) int here = client();
    assert_int_equal(end_of(here), -1);
    assert_int_equal(errno, ECONNRESET);
    assert_int_equal(counter("failed_total"), 1);
    assert_int_equal(forward_open(forward), 0);
}

static void test_one_that_says_nothing_ends(void **state)
{
    (void)state;
    const struct endpoint to = tcp_target();
    const struct forward_route route = {
        .from = parsed("tcp:127.0.0.1:0"), .to = to, .listener = -1, .way = "ingress"};
    const struct forward_options options = {
        .routes = &route, .count = 1, .idle_ms = 200, .half_ms = 100};
    start(&options);
    CC_CLEANUP(fd_closep) int here = client();
    CC_CLEANUP(fd_closep) int there = served();
    assert_int_equal(end_of(here), -1);
    assert_int_equal(end_of(there), -1);
    /* And one whose other side stays silent after the end of this one. */
    CC_CLEANUP(fd_closep) int half = client();
    CC_CLEANUP(fd_closep) int silent = served();
    assert_int_equal(shutdown(half, SHUT_WR), 0);
    assert_int_equal(end_of(silent), 0);
    assert_int_equal(end_of(half), -1);
    assert_int_equal(counter("broken_total"), 2);
}

/* --- places ---------------------------------------------------------------------------------------------------------------- */

static void test_a_full_route_lets_others_wait_and_harms_no_other(void **state)
{
    (void)state;
    const struct endpoint to = tcp_target();
    const struct endpoint second = unix_at("second");
    const struct forward_route routes[] = {{.from = parsed("tcp:127.0.0.1:0"),
                                            .to = to,
                                            .places = 2,
                                            .listener = -1,
                                            .way = "ingress"},
                                           {.from = second,
                                            .to = to,
                                            .places = 2,
                                            .listener = -1,
                                            .way = "egress",
                                            .peer_cid = ENDPOINT_ANY_CID}};
    const struct forward_options options = {.routes = routes, .count = 2};
    start(&options);
    int flood[6], there[2];
    for (size_t i = 0; i < ARRAY_LEN(flood); i++)
        flood[i] = client();
    there[0] = served();
    there[1] = served();
    assert_true(counter("full_total") > 0);
    assert_int_equal(forward_open(forward), 2);
    int other = dial(&second);
    int served_other = served();
    say(other, "through");
    expect(served_other, "through");
    /* A place that is given up is the next one's. */
    fd_closep(&there[0]);
    fd_closep(&flood[0]);
    fd_closep(&flood[1]);
    there[0] = served();
    say(there[0], "at last");
    fd_closep(&there[0]);
    fd_closep(&there[1]);
    fd_closep(&other);
    fd_closep(&served_other);
    for (size_t i = 0; i < ARRAY_LEN(flood); i++)
        fd_closep(&flood[i]);
}

static void test_without_descriptors_the_rest_goes_on(void **state)
{
    (void)state;
    const struct endpoint to = tcp_target();
    struct rlimit before;
    start_one(&to, 0);
    CC_CLEANUP(fd_closep) int here = client();
    CC_CLEANUP(fd_closep) int there = served();
    int waiting = client();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    const struct rlimit none = {(rlim_t)waiting + 1, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    uint64_t end = clock_mono_ms() + PATIENCE_MS;
    while (counter("starved_total") == 0) {
        assert_true(clock_mono_ms() < end);
        turn();
    }
    say(here, "still here");
    expect(there, "still here");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    int late = served();
    say(waiting, "my turn");
    expect(late, "my turn");
    fd_closep(&late);
    fd_closep(&waiting);
}

static void test_without_memory_one_is_lost_and_the_rest_goes_on(void **state)
{
    (void)state;
    const struct endpoint to = tcp_target();
    start_one(&to, 0);
    CC_CLEANUP(fd_closep) int here = client();
    CC_CLEANUP(fd_closep) int there = served();
    (void)alloc_fail_nth(1);
    CC_CLEANUP(fd_closep) int lost = client();
    (void)end_of(lost);
    (void)alloc_fail_nth(0);
    assert_int_equal(counter("starved_total"), 1);
    say(here, "still here");
    expect(there, "still here");
    /* Nor may what can't be held be dropped unseen. */
    static uint8_t bytes[1 << 20];
    ssize_t n = 1;
    (void)alloc_fail_nth(1);
    for (int i = 0; i < 1000 && n > 0; i++) {
        n = send(here, bytes, sizeof bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
        n = n < 0 && errno == EAGAIN ? 1 : n;
        turn();
    }
    (void)alloc_fail_nth(0);
    assert_int_equal(n, -1);
    assert_int_equal(counter("broken_total"), 1);
}

/* --- whose connections ------------------------------------------------------------------------------------------------------- */

static struct endpoint_address from_cid(uint32_t cid)
{
    struct endpoint_address from = {.len = sizeof(struct sockaddr_vm)};
    const struct sockaddr_vm vm = {.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = 1023};
    memcpy(&from.storage, &vm, sizeof vm);
    return from;
}

/* Each enclave of a machine reaches its parent's ports. The one that is let in keeps its CID over restarts (--enclave-cid). */
static void test_P26_T11_one_enclave_is_let_in_by_its_cid_and_no_other(void **state)
{
    (void)state;
    enum {
        OURS = 16
    };
    struct route route = {.set = {.from = parsed("vsock:any:8001"), .peer_cid = OURS}};
    struct endpoint_address from = from_cid(OURS);
    assert_true(route_welcomes(&route, &from));
    const uint32_t others[] = {0, 1, 2, 3, OURS - 1, OURS + 1, OURS << 8, ENDPOINT_ANY_CID};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        from = from_cid(others[i]);
        assert_false(route_welcomes(&route, &from));
    }
    from = from_cid(OURS);
    from.storage.ss_family = AF_UNIX; /* what stands there then is no CID */
    assert_false(route_welcomes(&route, &from));
    from = (struct endpoint_address){0};
    assert_false(route_welcomes(&route, &from));
    from = from_cid(OURS + 1);
    route.set.peer_cid = ENDPOINT_ANY_CID;
    assert_true(route_welcomes(&route, &from));
    route.set = (struct forward_route){.from = parsed("tcp:127.0.0.1:9443"), .peer_cid = OURS};
    from = (struct endpoint_address){.storage.ss_family = AF_INET};
    assert_true(route_welcomes(&route, &from));
}

/* Two ends of vsock can't be had here: a Unix socket is handed over in the place of its listener, so that whoever comes has no CID. */
static void test_P26_T11_who_is_not_let_in_reaches_no_target(void **state)
{
    (void)state;
    const struct endpoint to = tcp_target(), way_in = unix_at("in");
    CC_CLEANUP(fd_closep) int listener = -1;
    assert_false(endpoint_listen(&way_in, 0600, &listener).code);
    struct forward_route route = {.from = parsed("vsock:any:8001"),
                                  .to = to,
                                  .peer_cid = 16,
                                  .listener = dup(listener),
                                  .way = "egress"};
    const struct forward_options options = {.routes = &route, .count = 1};
    start(&options);
    for (uint64_t n = 1; n <= 3; n++) {
        CC_CLEANUP(fd_closep) int here = dial(&way_in);
        assert_int_equal(end_of(here), 0);
        assert_int_equal(counter("refused_total"), n);
    }
    assert_int_equal(counter("accepted_total"), 0);
    assert_int_equal(accept(target, NULL, NULL), -1);
    assert_int_equal(errno, EAGAIN);
    /* The same way in, for everybody. */
    forward_free(forward);
    route.peer_cid = ENDPOINT_ANY_CID;
    route.listener = dup(listener);
    start(&options);
    CC_CLEANUP(fd_closep) int here = dial(&way_in);
    CC_CLEANUP(fd_closep) int there = served();
    say(here, "through");
    expect(there, "through");
}

/* --- by chance -------------------------------------------------------------------------------------------------------------- */

enum {
    PAIRS = 24,
    STEPS = 15000
};

static struct pair {
    int fds[2];
    size_t sent[2]; /* by this side */
    size_t got[2];  /* by this side */
    bool shut[2];   /* this side says no more */
    bool cut;       /* a side was closed before its time: the rest may be lost */
} pairs[PAIRS];

static uint64_t chance_state;

static uint32_t chance(uint32_t below)
{
    chance_state = chance_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(chance_state >> 33) % below;
}

static uint8_t expected(size_t pair, int side, size_t at)
{
    return (uint8_t)((at * 31 >> 3) + pair * 7 + (size_t)side);
}

static void pair_send(size_t i, int side)
{
    static uint8_t bytes[60000];
    struct pair *p = &pairs[i];
    size_t n = 1 + chance(sizeof bytes);
    if (p->shut[side])
        return;
    for (size_t at = 0; at < n; at++)
        bytes[at] = expected(i, side, p->sent[side] + at);
    ssize_t taken = send(p->fds[side], bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    p->sent[side] += taken > 0 ? (size_t)taken : 0;
    assert_true(taken >= 0 || errno == EAGAIN || p->cut);
}

static void pair_receive(size_t i, int side)
{
    static uint8_t bytes[60000];
    struct pair *p = &pairs[i];
    ssize_t n = recv(p->fds[side], bytes, 1 + chance(sizeof bytes), MSG_DONTWAIT);
    for (ssize_t at = 0; at < n; at++)
        assert_int_equal(bytes[at], expected(i, 1 - side, p->got[side] + (size_t)at));
    p->got[side] += n > 0 ? (size_t)n : 0;
    if (n == 0 && !p->cut) { /* an end: all of it is here */
        assert_true(p->shut[1 - side]);
        assert_int_equal(p->got[side], p->sent[1 - side]);
    }
    assert_true(n >= 0 || errno == EAGAIN || p->cut);
}

static void pair_close(struct pair *p, int side, bool with_reset)
{
    p->cut = true;
    p->shut[0] = p->shut[1] = true;
    if (with_reset)
        reset(&p->fds[side]);
    for (int n = 0; n < 2; n++) {
        fd_closep(&p->fds[n]);
        turn();
    }
}

static void pair_step(size_t i)
{
    struct pair *p = &pairs[i];
    int side = (int)chance(2);
    if (p->fds[0] < 0) {
        *p = (struct pair){.fds = {client(), -1}};
        p->fds[1] = served();
        /* Until a byte is through, an end of the far side is a target that could not be reached. */
        say(p->fds[0], "!");
        expect(p->fds[1], "!");
        return;
    }
    switch (chance(64)) {
    case 0:
        pair_close(p, side, chance(2));
        return;
    case 1:
        if (!p->shut[side])
            assert_int_equal(shutdown(p->fds[side], SHUT_WR), 0);
        p->shut[side] = true;
        return;
    default:
        if (chance(2))
            pair_send(i, side);
        else
            pair_receive(i, side);
    }
}

static int descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void test_by_chance(void **state)
{
    (void)state;
    const char *seed = getenv("CC_SEED");
    const struct endpoint to = tcp_target();
    chance_state = seed ? strtoull(seed, NULL, 0) : clock_mono_ns();
    print_message("CC_SEED=%llu\n", (unsigned long long)chance_state);
    start_one(&to, 0);
    int before = descriptors();
    for (size_t i = 0; i < PAIRS; i++)
        pairs[i] = (struct pair){.fds = {-1, -1}};
    for (int step = 0; step < STEPS; step++) {
        pair_step(chance(PAIRS));
        if (chance(4) == 0)
            assert_false(forward_turn(forward, 0).code);
    }
    for (size_t i = 0; i < PAIRS; i++)
        pair_close(&pairs[i], 0, false);
    wait_until_open(0);
    assert_int_equal(descriptors(), before);
    assert_int_equal(counter("failed_total"), 0);
}

/* --- names ----------------------------------------------------------------------------------------------------------------- */

static uint16_t answers; /* the port where the name leads; 0: nowhere */
static int asked;

static size_t
look_up(const char *host, uint16_t port, struct endpoint_address ret[static NAME_ADDRESSES_MAX])
{
    struct sockaddr_in *four = (void *)&ret[0].storage;
    uint16_t at = __atomic_load_n(&answers, __ATOMIC_SEQ_CST);
    assert_string_equal(host, "target.test");
    assert_int_equal(port, 443);
    __atomic_fetch_add(&asked, 1, __ATOMIC_SEQ_CST);
    if (!at)
        return 0;
    memset(&ret[0], 0, sizeof ret[0]);
    *four = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(at), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ret[0].len = sizeof *four;
    return 1;
}

static void test_a_name_is_looked_up_again(void **state)
{
    (void)state;
    const struct forward_route route = {.from = parsed("tcp:127.0.0.1:0"),
                                        .to = parsed("tcp:target.test:443"),
                                        .listener = -1,
                                        .way = "egress"};
    const struct forward_options options = {.routes = &route, .count = 1, .lookup = look_up};
    struct endpoint to = tcp_target();
    __atomic_store_n(&answers, (uint16_t)to.port, __ATOMIC_SEQ_CST);
    start(&options);
    int here = client(); /* perhaps before the first answer: it waits for that */
    int there = served();
    fd_closep(&here);
    fd_closep(&there);
    /* The service moves; the old place refuses, and that is reason enough to look. */
    fd_closep(&target);
    to = tcp_target();
    int before = __atomic_load_n(&asked, __ATOMIC_SEQ_CST);
    here = client();
    assert_int_equal(end_of(here), -1);
    fd_closep(&here);
    __atomic_store_n(&answers, (uint16_t)to.port, __ATOMIC_SEQ_CST);
    uint64_t end = clock_mono_ms() + PATIENCE_MS;
    while (__atomic_load_n(&asked, __ATOMIC_SEQ_CST) < before + 2) {
        assert_true(clock_mono_ms() < end);
        here = client();
        turn();
        fd_closep(&here);
    }
    there = served();
    fd_closep(&there);
    /* A name server that fails takes nothing away. */
    __atomic_store_n(&answers, 0, __ATOMIC_SEQ_CST);
    here = client();
    there = served();
    fd_closep(&here);
    fd_closep(&there);
}

static void test_a_name_without_an_address_is_told_by_a_reset(void **state)
{
    (void)state;
    const struct forward_route route = {.from = parsed("tcp:127.0.0.1:0"),
                                        .to = parsed("tcp:target.test:443"),
                                        .listener = -1,
                                        .way = "egress"};
    const struct forward_options options = {.routes = &route, .count = 1, .lookup = look_up};
    __atomic_store_n(&answers, 0, __ATOMIC_SEQ_CST);
    start(&options);
    CC_CLEANUP(fd_closep) int here = client();
    assert_int_equal(end_of(here), -1);
    assert_int_equal(counter("failed_total"), 1);
}

/* --- beginning and end -------------------------------------------------------------------------------------------------------- */

static void test_a_full_queue_of_the_target_is_waited_for(void **state)
{
    (void)state;
    const struct endpoint to = unix_at("target");
    struct endpoint_address address;
    assert_false(endpoint_listen(&to, 0600, &target).code);
    assert_int_equal(listen(target, 0), 0); /* a queue of one */
    assert_false(endpoint_address(&to, &address).code);
    int first = -1;
    assert_false(endpoint_connect(&address, &first).code);
    start_one(&to, 0);
    CC_CLEANUP(fd_closep) int here = client();
    say(here, "patience");
    for (int i = 0; i < 5; i++)
        turn();
    assert_int_equal(counter("failed_total"), 0);
    fd_closep(&first);
    first = served();
    fd_closep(&first);
    CC_CLEANUP(fd_closep) int there = served();
    expect(there, "patience");
}

static void test_draining(void **state)
{
    (void)state;
    const struct endpoint to = tcp_target();
    start_one(&to, 0);
    CC_CLEANUP(fd_closep) int here = client();
    CC_CLEANUP(fd_closep) int there = served();
    struct endpoint at = parsed("tcp:127.0.0.1:0");
    at.port = forward_port(forward, 0);
    forward_drain(forward);
    CC_CLEANUP(fd_closep) int late = dial(&at);
    assert_int_equal(end_of(late), -1);
    say(here, "the last words");
    expect(there, "the last words");
    forward_free(forward); /* who is left sees that it was cut */
    forward = NULL;
    uint8_t byte;
    struct pollfd p = {.fd = there, .events = POLLIN};
    assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
    assert_int_equal(recv(there, &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
}

static void test_the_client_is_named(void **state)
{
    (void)state;
    const struct endpoint to = tcp_target();
    const struct forward_route route = {.from = parsed("tcp:127.0.0.1:0"),
                                        .to = to,
                                        .says_client = true,
                                        .listener = -1,
                                        .way = "ingress"};
    const struct forward_options options = {.routes = &route, .count = 1};
    start(&options);
    CC_CLEANUP(fd_closep) int here = client();
    CC_CLEANUP(fd_closep) int there = served();
    uint8_t header[28 + 5];
    size_t got;
    say(here, "hello");
    assert_int_equal(receive(there, header, sizeof header, &got), 1);
    static const uint8_t begins[20] = {0x0d, 0x0a, 0x0d, 0x0a, 0, 0x0d, 0x0a, 'Q', 'U', 'I',
                                       'T',  0x0a, 0x21, 0x11, 0, 12,   127,  0,   0,   1};
    assert_memory_equal(header, begins, sizeof begins);
    assert_int_equal(header[24] << 8 | header[25], endpoint_port_of(here));
    assert_int_equal(header[26] << 8 | header[27], forward_port(forward, 0));
    assert_memory_equal(header + 28, "hello", 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bytes_go_both_ways_and_ends_one_by_one, make, release),
        cmocka_unit_test_setup_teardown(test_nothing_is_lost_under_back_pressure, make, release),
        cmocka_unit_test_setup_teardown(test_a_side_that_reads_nothing_stops_the_other, make,
                                        release),
        cmocka_unit_test_setup_teardown(test_a_side_that_hangs_up_ends_both, make, release),
        cmocka_unit_test_setup_teardown(test_a_cut_stream_is_not_taken_for_a_whole_one, make,
                                        release),
        cmocka_unit_test_setup_teardown(test_a_target_that_refuses_is_told_by_a_reset, make,
                                        release),
        cmocka_unit_test_setup_teardown(test_one_that_says_nothing_ends, make, release),
        cmocka_unit_test_setup_teardown(test_a_full_route_lets_others_wait_and_harms_no_other, make,
                                        release),
        cmocka_unit_test_setup_teardown(test_without_descriptors_the_rest_goes_on, make, release),
        cmocka_unit_test_setup_teardown(test_without_memory_one_is_lost_and_the_rest_goes_on, make,
                                        release),
        cmocka_unit_test(test_P26_T11_one_enclave_is_let_in_by_its_cid_and_no_other),
        cmocka_unit_test_setup_teardown(test_P26_T11_who_is_not_let_in_reaches_no_target, make,
                                        release),
        cmocka_unit_test_setup_teardown(test_by_chance, make, release),
        cmocka_unit_test_setup_teardown(test_a_name_is_looked_up_again, make, release),
        cmocka_unit_test_setup_teardown(test_a_name_without_an_address_is_told_by_a_reset, make,
                                        release),
        cmocka_unit_test_setup_teardown(test_a_full_queue_of_the_target_is_waited_for, make,
                                        release),
        cmocka_unit_test_setup_teardown(test_draining, make, release),
        cmocka_unit_test_setup_teardown(test_the_client_is_named, make, release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
