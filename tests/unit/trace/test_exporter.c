/* Records on their way to a collector: one that is there, one that is not, and the end. */
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/metric.h"

#include "support/test.h"
#include "trace/exporter.h"

enum {
    PATIENCE_MS = 30000,
    REQUEST_MAX = 1 << 20,
    SPANS = 2 /* of a record with nothing but its arrival and its answer */
};

static struct exporter *exporter;
static char url[64];
static uint64_t counted[3];

/* A socket of loopback that holds its port, so that nobody else answers there. */
static int bound_socket(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/v1/traces", ntohs(address.sin_port));
    return fd;
}

static void open_exporter(void)
{
    const struct exporter_options options = {.url = url, .version = "1"};
    assert_int_equal(exporter_open(&options, &exporter).code, 0);
    for (uint32_t i = 0; i < ARRAY_LEN(counted); i++)
        counted[i] = metric_get(METRIC_TRACING_SPANS, i, 0);
}

static uint64_t more(enum metric_result result)
{
    return metric_get(METRIC_TRACING_SPANS, result, 0) - counted[result];
}

static void wait_for(enum metric_result result, uint64_t spans)
{
    const uint64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    while (more(result) < spans && clock_mono_ms() < until_ms)
        (void)poll(NULL, 0, 5);
    assert_int_equal(more(result), spans);
}

static void put(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct trace_record *record = exporter_take(exporter);
        assert_non_null(record);
        record->trace_id[0] = record->span_id[0] = 1;
        record->marks[TRACE_ARRIVED] = 1000;
        record->marks[TRACE_ANSWERED] = 2000;
        exporter_put(exporter, record);
    }
}

/* --- a collector ------------------------------------------------------------------------------------------------------- */

static char request[REQUEST_MAX];

/* Reads one whole request from `fd`; how many spans it has. */
static int read_request(int fd)
{
    size_t have = 0;
    size_t want = SIZE_MAX;
    while (have < want && have + 1 < sizeof request) {
        ssize_t n = read(fd, request + have, sizeof request - 1 - have);
        if (n <= 0)
            return -1;
        have += (size_t)n;
        request[have] = 0;
        const char *end = strstr(request, "\r\n\r\n");
        const char *length = strstr(request, "Content-Length: ");
        unsigned long body = 0;
        if (end && length && sscanf(length, "Content-Length: %lu", &body) == 1)
            want = (size_t)(end - request) + 4 + body;
    }
    int spans = 0;
    for (const char *at = request; (at = strstr(at, "\"spanId\"")); at++)
        spans++;
    return spans;
}

struct collector {
    int fd;
    int spans;
    const char *answer;
};

/* One connection, as many requests as come. */
static void *collector_main(void *argument)
{
    struct collector *c = argument;
    int fd = accept(c->fd, NULL, NULL);
    for (int spans = 0; fd >= 0 && (spans = read_request(fd)) > 0; c->spans += spans)
        if (write(fd, c->answer, strlen(c->answer)) < 0)
            break;
    if (fd >= 0)
        (void)close(fd);
    return NULL;
}

static void test_what_is_put_arrives(void **state)
{
    (void)state;
    struct collector c = {
        .fd = bound_socket(),
        .answer =
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"};
    pthread_t thread;
    open_exporter(); /* while there is one thread */
    assert_int_equal(listen(c.fd, 4), 0);
    assert_int_equal(pthread_create(&thread, NULL, collector_main, &c), 0);
    assert_int_equal(exporter_start(exporter, "me").code, 0);
    const size_t n = (size_t)2 * EXPORT_BATCH + 7;
    put(n);
    exporter_give_back(exporter, exporter_take(exporter)); /* of no request: no span */
    wait_for(METRIC_RESULT_EXPORTED, n * SPANS);
    put(3); /* the end doesn't lose them */
    exporter_close(exporter);
    (void)shutdown(c.fd, SHUT_RDWR);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_non_null(strstr(request, "POST /v1/traces HTTP/1.1\r\n"));
    assert_non_null(strstr(request, "\r\nContent-Type: application/json\r\n"));
    assert_int_equal(c.spans, (n + 3) * SPANS);
    assert_int_equal(more(METRIC_RESULT_EXPORTED), (n + 3) * SPANS);
    assert_int_equal(more(METRIC_RESULT_FAILED) + more(METRIC_RESULT_DROPPED), 0);
    (void)close(c.fd);
}

static void test_a_collector_that_is_away(void **state)
{
    (void)state;
    int fd = bound_socket(); /* and nobody listens */
    open_exporter();
    assert_int_equal(exporter_start(exporter, "me").code, 0);
    put(2);
    wait_for(METRIC_RESULT_FAILED, 2 * SPANS); /* after all tries */
    put(EXPORT_BATCH + 3);                     /* none of it in time */
    const uint64_t began_ms = clock_mono_ms();
    exporter_close(exporter);
    assert_true(clock_mono_ms() - began_ms < PATIENCE_MS);
    assert_int_equal(more(METRIC_RESULT_EXPORTED), 0);
    assert_int_equal(more(METRIC_RESULT_FAILED) + more(METRIC_RESULT_DROPPED),
                     (2 + EXPORT_BATCH + 3) * SPANS);
    (void)close(fd);
}

static void test_one_that_was_never_started(void **state)
{
    (void)state;
    (void)snprintf(url, sizeof url, "http://127.0.0.1:1/v1/traces");
    open_exporter();
    put(EXPORT_RECORDS); /* all that there are */
    assert_null(exporter_take(exporter));
    assert_int_equal(more(METRIC_RESULT_DROPPED), 1);
    exporter_close(exporter);
    exporter_close(NULL);
    assert_int_equal(more(METRIC_RESULT_EXPORTED), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_put_arrives),
        cmocka_unit_test(test_a_collector_that_is_away),
        cmocka_unit_test(test_one_that_was_never_started),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
