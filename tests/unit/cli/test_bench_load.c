/* The load generator against a server of a few lines that answers, stalls, refuses or hangs up as it is told. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/macros.h"

#include "cli/bench_load.h"
#include "support/test.h"

enum {
    KEYS = 16,
    REQUEST_MAX = 1 << 16
};

/* One connection, one request after the other. */
struct server {
    int listener;
    uint16_t port;
    pthread_t thread;
    unsigned stall_at; /* this request (from 1) is answered late; 0: none */
    long stall_ms;
    unsigned hang_up_at; /* the connection is closed instead of this answer */
    const char *answer;  /* NULL: a signature for each message */
    unsigned seen;
};

static char names[KEYS][BENCH_NAME_SIZE];
static atomic_bool ending;

static size_t read_request(int fd, char *text)
{
    size_t len = 0;
    while (bench_answer_length(span_of(text, len)) == 0) {
        ssize_t n = read(fd, text + len, REQUEST_MAX - len);
        if (n <= 0)
            return 0;
        len += (size_t)n;
    }
    return len;
}

/* {"signature":…} for each "type" in the request. */
static void answer_all(int fd, const char *request, size_t len)
{
    static const char mark[] = "\"type\"";
    char body[REQUEST_MAX / 8], head[128];
    size_t body_len = 0;
    const char *end = request + len;
    for (const char *at = request; (at = memmem(at, (size_t)(end - at), mark, sizeof mark - 1));
         at++)
        body_len += (size_t)snprintf(body + body_len, sizeof body - body_len,
                                     "{\"status\":200,\"signature\":\"0xab\"}");
    int n = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", body_len);
    assert_int_equal(fd_write_all(fd, head, (size_t)n).code, 0);
    assert_int_equal(fd_write_all(fd, body, body_len).code, 0);
}

static void *serve(void *arg)
{
    static char request[REQUEST_MAX];
    struct server *server = arg;
    CC_CLEANUP(fd_closep) int fd = accept(server->listener, NULL, NULL);
    for (size_t len; (len = read_request(fd, request)) > 0;) {
        server->seen++;
        if (server->seen == server->hang_up_at)
            return NULL;
        if (server->seen == server->stall_at)
            (void)nanosleep(&(struct timespec){.tv_nsec = server->stall_ms * 1000000}, NULL);
        if (server->answer)
            assert_int_equal(fd_write_all(fd, server->answer, strlen(server->answer)).code, 0);
        else
            answer_all(fd, request, len);
    }
    return NULL;
}

static void start(struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(server->listener, 8), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &size), 0);
    server->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void stop(struct server *server)
{
    assert_int_equal(pthread_join(server->thread, NULL), 0);
    (void)close(server->listener);
}

static cc_err load(struct server *server, struct bench_plan plan, struct bench_result *ret_result)
{
    struct bench_source source;
    bench_source_init(&source, (const char(*)[BENCH_NAME_SIZE])names, KEYS, BENCH_ROOTS_SHARED,
                      BENCH_FIRST_EPOCH);
    start(server);
    plan.port = server->port;
    plan.connections = 1;
    plan.ending = &ending;
    cc_err err = bench_load_run(&plan, &source, ret_result);
    stop(server);
    return err;
}

static uint64_t slower_than(const struct bench_histogram *histogram, uint64_t ms)
{
    uint64_t found = 0;
    for (size_t i = 0; i < BENCH_HISTOGRAM_BUCKETS; i++)
        if (bench_histogram_upper_ns(i) > ms * 1000000)
            found += histogram->count[i];
    return found;
}

static struct bench_result result;

static void a_closed_load_counts_every_answer(void **state)
{
    (void)state;
    struct server server = {0};
    struct bench_plan plan = {.mode = BENCH_CLOSED, .run_ns = 100000000};
    assert_int_equal(load(&server, plan, &result).code, 0);
    assert_true(result.signatures > 0);
    assert_int_equal(result.signatures, server.seen);
    assert_int_equal(result.messages, server.seen);
    assert_int_equal(result.failures + result.refused, 0);
    assert_true(result.counted > 0 && result.counted <= (double)result.signatures);
}

/* While one request is late no other can be sent, but thirty become due meanwhile: all of them were kept waiting, and a histogram
 * that shows one slow request would be a lie.
 */
static void a_stall_is_not_hidden(void **state)
{
    (void)state;
    struct server server = {.stall_at = 20, .stall_ms = 300};
    struct bench_plan plan = {.mode = BENCH_OPEN, .run_ns = 1000000000, .per_second = 100};
    assert_int_equal(load(&server, plan, &result).code, 0);
    assert_int_equal(result.latency.total, 100);
    assert_true(slower_than(&result.latency, 50) >= 20);
    assert_true(result.latency.max_ns >= 290000000);
}

static void all_keys_of_a_slot_are_answered(void **state)
{
    (void)state;
    struct server server = {0};
    struct bench_plan plan = {.mode = BENCH_SLOT,
                              .batch = 5,
                              .warm_ns = 20000000,
                              .run_ns = 60000000,
                              .slot_ns = 20000000};
    assert_int_equal(load(&server, plan, &result).code, 0);
    assert_int_equal(result.signatures, 4 * KEYS);
    assert_int_equal(server.seen, 4 * 4); /* 5 + 5 + 5 + 1 */
    assert_int_equal(result.slots, 3);
    for (size_t i = 0; i < result.slots; i++)
        assert_true(result.slot_ns[i] > 0);
    bench_result_release(&result);
}

static void what_is_no_signature_is_not_counted(void **state)
{
    (void)state;
    const struct bench_plan plan = {.mode = BENCH_OPEN, .run_ns = 50000000, .per_second = 100};
    struct server busy = {.answer =
                              "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}"};
    assert_int_equal(load(&busy, plan, &result).code, 0);
    assert_int_equal(result.refused, 5);
    assert_int_equal(result.signatures + result.failures + result.latency.total, 0);
    struct server refusing = {
        .answer = "HTTP/1.1 412 Precondition Failed\r\nContent-Length: 2\r\n\r\n{}"};
    assert_int_equal(load(&refusing, plan, &result).code, 0);
    assert_int_equal(result.failures, 5);
    assert_true(strncmp(result.failure, "HTTP/1.1 412", 12) == 0);
    struct server empty = {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"};
    assert_int_equal(load(&empty, plan, &result).code, 0);
    assert_int_equal(result.failures, 5);
}

static void a_server_that_hangs_up_is_an_error(void **state)
{
    (void)state;
    const struct bench_plan plan = {.mode = BENCH_CLOSED, .run_ns = 100000000};
    struct server gone = {.hang_up_at = 3};
    assert_true(error_is(load(&gone, plan, &result), ERROR_SYSTEM));
    struct server nonsense = {.answer = "HTTP/1.1 200 OK\r\n\r\n"};
    assert_true(error_is(load(&nonsense, plan, &result), ERROR_PROTOCOL));
}

static void it_ends_when_told(void **state)
{
    (void)state;
    struct server server = {0};
    const struct bench_plan plan = {.mode = BENCH_CLOSED, .run_ns = UINT64_C(3600000000000)};
    atomic_store(&ending, true);
    assert_int_equal(load(&server, plan, &result).code, 0);
    assert_int_equal(result.messages, 0);
    atomic_store(&ending, false);
}

static int set_up(void **state)
{
    (void)state;
    memset(names, 'a', sizeof names);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_closed_load_counts_every_answer),
        cmocka_unit_test(a_stall_is_not_hidden),
        cmocka_unit_test(all_keys_of_a_slot_are_answered),
        cmocka_unit_test(what_is_no_signature_is_not_counted),
        cmocka_unit_test(a_server_that_hangs_up_is_an_error),
        cmocka_unit_test(it_ends_when_told),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
