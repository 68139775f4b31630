/* The whole front room over real sockets, with a core played by the test. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"

#include "support/front_case.h"
#include "support/test.h"

static void expect(const char *method,
                   const char *target,
                   const char *headers,
                   const char *sent,
                   int status,
                   const char *part)
{
    struct reply r = rig_ask(rig.api_port, method, target, headers, sent);
    if (r.status != status || (part && !(r.body && strstr(r.body, part)) && !strstr(r.head, part)))
        fail_msg("%s %s: %d, wanted %d\n%s%s", method, target, r.status, status, r.head,
                 r.body ? r.body : "");
    reply_release(&r);
}

static void test_probes(void **state)
{
    (void)state;
    expect("GET", "/upcheck", "", NULL, 200, "OK");
    expect("GET", "/upcheck", "Accept: application/json\r\n", NULL, 200, "{\"status\":\"OK\"}");
    expect("GET", "/upcheck", "Accept: image/png\r\n", NULL, 200, "text/plain; charset=utf-8");
    expect("GET", "/readyz", "", NULL, 200, "READY");
    expect("GET", "/healthcheck", "", NULL, 200, "\"outcome\":\"UP\"");
    expect("GET", "/healthcheck/x", "", NULL, 404, NULL);
}

static void test_queries(void **state)
{
    (void)state;
    expect("GET", "/api/v1/eth2/publicKeys", "", NULL, 200, "[\"0xa0");
    expect("GET", "/api/v1/eth2/publicKeys", "Accept: application/*\r\n", NULL, 200, ",\"0xa1");
    expect("GET", "/api/v1/eth2/publicKeys", "Accept: text/plain\r\n", NULL, 406, "NOT_ACCEPTABLE");
    expect("GET", "/api/v1/eth2/highWatermark", "", NULL, 200, "{\"epoch\":\"3\",\"slot\":\"99\"}");
    expect("GET", "/reload", "", NULL, 200, "\"status\":\"completed\"");
}

static void test_T20_reload_needs_a_token_over_tcp(void **state)
{
    (void)state;
    expect("POST", "/reload", "", "", 401, "UNAUTHENTICATED");
    expect("POST", "/reload", "", "", 401,
           "WWW-Authenticate: Basic realm=\"containment-chamber\", Bearer\r\n");
    expect("POST", "/reload", "Authorization: Bearer cc_x\r\n", "", 401, NULL);
    static const char request[] =
        "POST /reload HTTP/1.1\r\nHost: whatever\r\nContent-Length: 0\r\n\r\n";
    int fd = rig_connect_unix(rig.unix_path);
    rig_send(fd, request, sizeof request - 1);
    struct reply r = rig_read(fd, 10000);
    assert_int_equal(r.status, 202);
    reply_release(&r);
    (void)close(fd);
}

static void test_sign_in_both_forms(void **state)
{
    (void)state;
    struct reply r = rig_ask(rig.api_port, "POST", sign_target, "", body);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.len, 194);
    assert_int_equal(strncmp(r.body, "0x05000000", 10), 0);
    assert_non_null(strstr(r.head, "Content-Type: text/plain; charset=utf-8"));
    reply_release(&r);
    r = rig_ask(rig.api_port, "POST", sign_target, "Accept: */*\r\n", body);
    assert_int_equal(strncmp(r.body, "{\"signature\":\"0x05000000", 24), 0);
    assert_non_null(strstr(r.head, "Content-Type: application/json; charset=utf-8"));
    reply_release(&r);
    r = rig_ask(rig.api_port, "POST", sign_target, "Expect: 100-continue\r\n", body);
    assert_int_equal(r.status, 200);
    reply_release(&r);
}

static void test_refusals_before_the_core(void **state)
{
    (void)state;
    expect("GET", "/nowhere", "", NULL, 404, "ROUTE_UNKNOWN");
    expect("POST", "/nowhere", "", "{}", 404, "ROUTE_UNKNOWN");
    expect("GET", sign_target, "", NULL, 405, "Allow: POST");
    expect("DELETE", "/reload", "", NULL, 405, "Allow: GET, HEAD, POST");
    expect("POST", "/api/v1/eth2/sign/0x12", "", body, 400, "IDENTIFIER");
    expect("POST", sign_target, "", "", 400, "JSON_SYNTAX");
    expect("POST", sign_target, "", "{\"type\":\"NOTHING\"}", 400, "KIND_UNKNOWN");
    expect("POST", sign_target, "", "{\"type\":\"ATTESTATION\",\"type\":\"ATTESTATION\"}", 400,
           "JSON_DUPLICATE_KEY");
    expect("POST", sign_target, "Content-Encoding: gzip\r\n", body, 415, "CONTENT_TYPE");
    expect("POST", sign_target, "Origin: http://evil\r\n", body, 403, "ORIGIN_DENIED");
    expect("GET", "/upcheck", "Origin: http://evil\r\n", NULL, 403, "ORIGIN_DENIED");
    expect("GET", "/metrics", "", NULL, 404, NULL);
}

static void expect_raw(const char *raw, int status, const char *part)
{
    int fd = rig_connect(rig.api_port);
    rig_say(fd, raw);
    struct reply r = rig_read(fd, 10000);
    if (r.status != status || (part && !(r.body && strstr(r.body, part)) && !strstr(r.head, part)))
        fail_msg("%s: %d, wanted %d\n%s%s", raw, r.status, status, r.head, r.body ? r.body : "");
    if (status == 400)
        assert_true(rig_is_closed(fd, 10000));
    reply_release(&r);
    (void)close(fd);
}

static void test_host_allow_list(void **state)
{
    (void)state;
    expect_raw("GET /healthcheck HTTP/1.1\r\nHost: evil:9000\r\n\r\n", 403,
               "\"message\":\"Host not authorized.\"");
    expect_raw("GET /healthcheck HTTP/1.1\r\nHost:\r\n\r\n", 403, NULL);
    expect_raw("GET /healthcheck HTTP/1.1\r\nHost: LOCALHOST:9000\r\n\r\n", 200, NULL);
    expect_raw("GET /upcheck HTTP/1.1\r\nHost: 10.1.2.3:9000\r\n\r\n", 200, "OK");
    expect_raw("GET /readyz HTTP/1.1\r\nHost: 10.1.2.3:9000\r\n\r\n", 200, NULL);
}

static void test_heads_with_two_readings_close_the_connection(void **state)
{
    (void)state;
    expect_raw(
        "POST /upcheck HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400, "both Content-Length");
    expect_raw(
        "POST /upcheck HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        400, "twice");
    expect_raw("GET /upcheck HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "Host twice");
    expect_raw("GET /upcheck HTTP/1.1\r\nHost: a\r\n:\r\nX: y\r\n\r\n", 400, "empty line");
    expect_raw("GET /upcheck HTTP/1.1\r\nHost: a\r\n\n", 400, "empty line");
    expect_raw("GET /upcheck HTTP/1.1\r\nHost: a\r\n:ab\r\n\r\n", 400, "empty line");
    expect_raw("GET /upcheck HTTP/1.1\nHost: a\n\n", 400, "bare line feed");
    expect_raw("GET /upcheck HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400, "bare line feed");
    expect_raw("GET /upcheck HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400, "folded");
    expect_raw("GET /upcheck HTTP/1.1\r\nHost: a\r\n: b\r\nX: y\r\n\r\n", 400, "empty line");
    expect_raw("GET  /upcheck HTTP/1.1\r\nHost: a\r\n\r\n", 400, "request line");
    expect_raw("GET /upcheck HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\n", 400, "token");
    expect_raw("GET /upcheck HTTP/1.1\r\nHost: a\r\nX: b\rContent-Length: 5\r\n\r\n", 400,
               "control character");
    expect_raw("GET http://a/upcheck HTTP/1.1\r\nHost: a\r\n\r\n", 400, NULL);
}

static void test_keep_alive_and_pipelining(void **state)
{
    (void)state;
    char all[8192] = "";
    for (int i = 0; i < 3; i++) {
        size_t n = strlen(all);
        rig_attestation(body, sizeof body, (uint64_t)i);
        (void)snprintf(all + n, sizeof all - n,
                       "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n%s",
                       sign_target, strlen(body), body);
    }
    int fd = rig_connect(rig.api_port);
    rig_say(fd, all);
    for (int i = 0; i < 3; i++) {
        struct reply r = rig_read(fd, 10000);
        char wanted[16];
        (void)snprintf(wanted, sizeof wanted, "0x%02d0000", i);
        assert_int_equal(r.status, 200);
        assert_int_equal(strncmp(r.body, wanted, strlen(wanted)), 0);
        reply_release(&r);
    }
    /* A refused request with a body leaves the connection usable. */
    rig_say(fd, "POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello");
    struct reply r = rig_read(fd, 10000);
    assert_int_equal(r.status, 404);
    reply_release(&r);
    rig_say(fd, "GET /upcheck HTTP/1.1\r\nHost: localhost\r\n\r\n");
    r = rig_read(fd, 10000);
    assert_int_equal(r.status, 200);
    reply_release(&r);
    (void)close(fd);
}

static void test_chunked_bodies_and_trailers(void **state)
{
    (void)state;
    char raw[4096];
    (void)snprintf(
        raw, sizeof raw,
        "POST %s HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n%s\r\n0\r\n\r\n",
        sign_target, strlen(body), body);
    expect_raw(raw, 200, "0x05");
    (void)snprintf(
        raw, sizeof raw,
        "POST %s HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n%s\r\n0\r\nContent-Length: 3\r\n\r\n",
        sign_target, strlen(body), body);
    expect_raw(raw, 400, "trailer");
}

/* --- limits ------------------------------------------------------------------------------------------------------- */

/* Sends a sign request whose body is `len` bytes: the text, then blanks. */
static struct reply ask_padded(const char *text, size_t len, bool chunked)
{
    char *all = malloc(len);
    char head[512];
    assert_non_null(all);
    memset(all, ' ', len);
    memcpy(all, text, strlen(text));
    int n =
        chunked
            ? snprintf(
                  head, sizeof head,
                  "POST %s HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n",
                  sign_target, len)
            : snprintf(head, sizeof head,
                       "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n",
                       sign_target, len);
    int fd = rig_connect(rig.api_port);
    rig_send(fd, head, (size_t)n);
    rig_send(fd, all, len);
    if (chunked)
        rig_say(fd, "\r\n0\r\n\r\n");
    struct reply r = rig_read(fd, 20000);
    (void)close(fd);
    free(all);
    return r;
}

static void expect_padded(const char *text, size_t len, bool chunked, int status)
{
    struct reply r = ask_padded(text, len, chunked);
    if (r.status != status)
        fail_msg("%zu bytes, chunked %d: %d\n%s", len, chunked, r.status, r.body ? r.body : "");
    reply_release(&r);
}

static void test_P24_bodies_are_bounded(void **state)
{
    (void)state;
    for (int chunked = 0; chunked < 2; chunked++) {
        expect_padded(body, 1 << 20, chunked, 200); /* parsed by the thread for large bodies */
        expect_padded(body, (1 << 20) + 1, chunked, 413);
        expect_padded(body, 2 << 20, chunked, 413);
    }
    expect("POST", sign_target, "X: y\r\n", body, 200, NULL);
    char head[512];
    (void)snprintf(head, sizeof head,
                   "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 33554433\r\n\r\n",
                   sign_target);
    expect_raw(head, 413, "BODY_TOO_LARGE");
    expect_raw(
        "POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 18446744073709551615\r\n\r\n",
        404, NULL);
    expect_raw("GET /upcheck HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n", 413,
               NULL);
}

/* The one kind that may be large gets its body through; what is wrong in it is said after all of it has come. */
static void test_large_bodies_of_one_kind(void **state)
{
    (void)state;
    char text[2200];
    expect_padded("{\"type\":\"EXECUTION_PAYLOAD_ENVELOPE\"}", 2 << 20, false, 400);
    (void)snprintf(text, sizeof text, "{\"x\":\"EXECUTION_PAYLOAD_ENVELOPE\",%s", body + 1);
    expect_padded(text, 2 << 20, false, 413);
}

/* A body that has begun and waits for its end. */
static int begin_body(const char *text, size_t announced, size_t sent)
{
    char head[512];
    char *all = malloc(sent);
    assert_non_null(all);
    memset(all, ' ', sent);
    memcpy(all, text, strlen(text));
    int fd = rig_connect(rig.api_port);
    (void)snprintf(head, sizeof head,
                   "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n",
                   sign_target, announced);
    rig_say(fd, head);
    rig_send(fd, all, sent);
    free(all);
    return fd;
}

static int status_of_rest(int fd, size_t len)
{
    char *all = malloc(len);
    assert_non_null(all);
    memset(all, ' ', len);
    rig_send(fd, all, len);
    free(all);
    struct reply r = rig_read(fd, 20000);
    reply_release(&r);
    (void)close(fd);
    return r.status;
}

/* Of one more large body; which of them are counted already, only this can tell. */
static int status_of_large(void)
{
    static const char envelope[] = "{\"type\":\"EXECUTION_PAYLOAD_ENVELOPE\"}";
    struct reply r = ask_padded(envelope, (1 << 20) + (1 << 19), false);
    reply_release(&r);
    return r.status;
}

static void test_large_bodies_are_few(void **state)
{
    (void)state;
    static const char envelope[] = "{\"type\":\"EXECUTION_PAYLOAD_ENVELOPE\"}";
    int fds[64];
    size_t n = 0;
    int taken = 0;
    assert_int_equal(status_of_large(), 400);
    /* Which of them were in time for a place, only the server knows: the probe had one too. */
    do {
        assert_true(n < ARRAY_LEN(fds));
        fds[n++] = begin_body(envelope, 2 << 20, (1 << 20) + (1 << 19));
    } while (status_of_large() != 503);
    for (size_t i = 0; i < n; i++) {
        int status = status_of_rest(fds[i], 1 << 19);
        assert_true(status == 400 || status == 503);
        taken += status == 400;
    }
    assert_true(taken >= 3);
    while (status_of_large() != 400)
        ;
}

static void test_bodies_have_one_budget(void **state)
{
    (void)state;
    int fds[400]; /* 128 MiB are for 128 of these */
    size_t n = 0;
    size_t good = 0;
    size_t busy = 0;
    while (n < 140)
        fds[n++] = begin_body(body, 1 << 20, (1 << 20) - 100);
    /* How many of them have come by now only the server knows, and a probe that is let in may have taken the place of one. */
    struct reply probe = ask_padded(body, 600000, false);
    while (probe.status == 200) {
        reply_release(&probe);
        assert_true(n < ARRAY_LEN(fds));
        fds[n++] = begin_body(body, 1 << 20, (1 << 20) - 100);
        probe = ask_padded(body, 600000, false);
    }
    assert_int_equal(probe.status, 503);
    assert_non_null(strstr(probe.body, "BUSY"));
    reply_release(&probe);
    expect("POST", sign_target, "", body, 200, NULL); /* small ones go on */
    char rest[101];
    (void)snprintf(rest, sizeof rest, "%100s", "");
    for (size_t i = 0; i < n; i++) {
        rig_say(fds[i], rest);
        struct reply r = rig_read(fds[i], 20000);
        good += r.status == 200;
        busy += r.status == 503;
        reply_release(&r);
        (void)close(fds[i]);
    }
    assert_int_equal(good + busy, n);
    assert_true(good >= 100);
    expect_padded(body, 600000, false, 200);
}

/* Every allocation of ours on the way of a request fails once: that request gets an error, the next one a signature. */
static void test_C07_out_of_memory(void **state)
{
    (void)state;
    for (uint64_t nth = 1; nth <= 12; nth++) {
        (void)alloc_fail_nth(nth);
        struct reply large = ask_padded(body, 40000, false);
        struct reply keys = rig_ask(rig.api_port, "GET", "/api/v1/eth2/publicKeys", "", NULL);
        (void)alloc_fail_nth(0);
        assert_true(large.status == 200 || large.status == 500 || large.status == 503);
        assert_true(keys.status == 200 || keys.status == 500 || keys.status == 0);
        reply_release(&large);
        reply_release(&keys);
        expect("POST", sign_target, "", body, 200, NULL);
    }
}

static void test_P24_depth_is_bounded(void **state)
{
    (void)state;
    char deep[4000];
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    expect("POST", sign_target, "", deep, 400, "JSON");
    char text[4200];
    (void)snprintf(text, sizeof text, "{\"type\":%s", deep);
    expect("POST", sign_target, "", text, 400, "JSON");
}

static void test_headers_are_bounded(void **state)
{
    (void)state;
    char *raw = cc_alloc(40000);
    (void)snprintf(raw, 40000, "GET /upcheck HTTP/1.1\r\nHost: localhost\r\nX: ");
    size_t n = strlen(raw);
    memset(raw + n, 'a', 30000);
    strcpy(raw + n + 30000, "\r\n\r\n");
    expect_raw(raw, 431, NULL);
    cc_free(raw);
}

/* --- deadlines ---------------------------------------------------------------------------------------------------- */

static void test_slow_requests_are_shut(void **state)
{
    (void)front_begin(state);
    rig.config.server.request_deadline_seconds = 1;
    rig_open(&rig);
    int header = rig_connect(rig.api_port);
    int content = rig_connect(rig.api_port);
    int silent = rig_connect(rig.api_port);
    rig_say(header, "GET /upcheck HTTP/1.1\r\nHost: loc");
    rig_say(content, "POST /upcheck HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nab");
    assert_true(rig_is_closed(header, 10000));
    assert_true(rig_is_closed(content, 10000));
    assert_true(rig_is_closed(silent, 10000));
    (void)close(header);
    (void)close(content);
    (void)close(silent);
    /* A trickle does not prolong it. */
    int trickle = rig_connect(rig.api_port);
    uint64_t began = clock_mono_ms();
    rig_say(trickle, "GET /upcheck HTTP/1.1\r\nX: ");
    while (!rig_is_closed(trickle, 50))
        rig_say(trickle, "a");
    assert_in_range(clock_mono_ms() - began, 900, 5000);
    (void)close(trickle);
    expect("GET", "/upcheck", "", NULL, 200, "OK");
    assert_int_equal(rig_close(&rig).code, 0);
}

static void test_connections_beyond_the_limit_wait(void **state)
{
    (void)front_begin(state);
    rig.config.server.max_connections = 3;
    rig_open(&rig);
    int fds[4];
    for (int i = 0; i < 4; i++) {
        fds[i] = rig_connect(rig.api_port);
        rig_say(fds[i], "GET /upcheck HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    for (int i = 0; i < 3; i++) {
        struct reply r = rig_read(fds[i], 10000);
        assert_int_equal(r.status, 200);
        reply_release(&r);
    }
    struct reply r = rig_read(fds[3], 300);
    assert_int_equal(r.status, 0);
    (void)close(fds[0]);
    r = rig_read(fds[3], 10000);
    assert_int_equal(r.status, 200);
    reply_release(&r);
    for (int i = 1; i < 4; i++)
        (void)close(fds[i]);
    assert_int_equal(rig_close(&rig).code, 0);
}

static void ask_on(int fd, int status, int wait_ms)
{
    rig_say(fd, "GET /upcheck HTTP/1.1\r\nHost: a\r\n\r\n");
    struct reply r = rig_read(fd, wait_ms);
    assert_int_equal(r.status, status);
    reply_release(&r);
}

static void test_who_was_idle_longest_makes_room(void **state)
{
    (void)front_begin(state);
    rig.config.server.max_connections = 3;
    rig_open(&rig);
    int fds[5];
    for (int i = 0; i < 3; i++) {
        fds[i] = rig_connect(rig.api_port);
        ask_on(fds[i], 200, 10000);
        uint64_t before = clock_mono_ms(); /* so that the next one is younger */
        while (clock_mono_ms() < before + 20)
            (void)poll(NULL, 0, 1);
    }
    rig_say(fds[0], "GET /upcheck HTTP/1.1\r\n"); /* under way: not idle, though it came first */
    fds[3] = rig_connect(rig.api_port);
    ask_on(fds[3], 200, 10000);
    assert_true(rig_is_closed(fds[1], 10000));
    fds[4] = rig_connect(rig.api_port);
    ask_on(fds[4], 200, 10000);
    assert_true(rig_is_closed(fds[2], 10000));
    rig_say(fds[0], "Host: a\r\n\r\n");
    struct reply r = rig_read(fds[0], 10000);
    assert_int_equal(r.status, 200);
    reply_release(&r);
    ask_on(fds[3], 200, 10000);
    for (int i = 0; i < 5; i++)
        (void)close(fds[i]);
    assert_int_equal(rig_close(&rig).code, 0);
}

/* --- metrics ------------------------------------------------------------------------------------------------------ */

static void test_metrics(void **state)
{
    (void)state;
    expect("GET", "/nowhere", "", NULL, 404, NULL);
    struct reply r = rig_ask(rig.metrics_port, "GET", "/metrics", "", NULL);
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.head, "text/plain; version=0.0.4"));
    assert_non_null(
        strstr(r.body, "containment_http_requests_total{route=\"NONE\",status=\"404\"}"));
    assert_non_null(strstr(r.body, "containment_keys_active{source=\"filesystem\"} 0"));
    reply_release(&r);
    r = rig_ask(rig.metrics_port, "POST", sign_target, "", body);
    assert_int_equal(r.status, 404);
    reply_release(&r);
}

/* --- the core's troubles ------------------------------------------------------------------------------------------ */

static void silent_core(struct rig *r, const struct door_message *message)
{
    (void)message;
    (void)atomic_fetch_add((_Atomic int *)r->core_data, 1);
}

/* C2 from the other side: the core dies with questions in it, each is answered 503, and the front ends. */
static void test_killed_core(void **state)
{
    (void)front_begin(state);
    _Atomic int seen = 0;
    rig.core = silent_core;
    rig.core_data = &seen;
    rig_open(&rig);
    int fd = rig_connect(rig.api_port);
    char head[512];
    (void)snprintf(head, sizeof head,
                   "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n",
                   sign_target, strlen(body));
    rig_say(fd, head);
    rig_say(fd, body);
    while (atomic_load(&seen) == 0)
        (void)rig_is_closed(fd, 1);
    rig_kill_core(&rig);
    struct reply r = rig_read(fd, 10000);
    assert_int_equal(r.status, 503);
    assert_non_null(strstr(r.body, "DOOR_CLOSED"));
    reply_release(&r);
    (void)close(fd);
    assert_true(error_is(rig_wait_end(&rig), ERROR_DOOR_CLOSED));
    (void)rig_close(&rig).code;
}

static void slow_core(struct rig *r, const struct door_message *message)
{
    (void)usleep(300000);
    rig_good_core(r, message);
}

static void test_drain_finishes_what_it_began(void **state)
{
    (void)front_begin(state);
    rig.core = slow_core;
    rig_open(&rig);
    int idle = rig_connect(rig.api_port);
    rig_say(idle, "GET /upcheck HTTP/1.1\r\nHost: a\r\n\r\n");
    struct reply r = rig_read(idle, 10000);
    assert_int_equal(r.status, 200);
    reply_release(&r);
    int fd = rig_connect(rig.api_port);
    char head[512];
    (void)snprintf(head, sizeof head,
                   "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n",
                   sign_target, strlen(body));
    rig_say(fd, head);
    rig_say(fd, body);
    assert_int_equal(control_send(rig.control, CONTROL_DRAIN, RIG_LIFE, 1, -1).code, 0);
    r = rig_read(fd, 10000);
    assert_int_equal(r.status, 200);
    reply_release(&r);
    (void)close(fd);
    /* It still accepts, but says that it is not ready, and ends each connection. */
    r = rig_ask(rig.api_port, "GET", "/readyz", "", NULL);
    assert_int_equal(r.status, 503);
    assert_non_null(strstr(r.body, "\"draining\":true"));
    assert_true(r.closed);
    reply_release(&r);
    r = rig_ask(rig.api_port, "GET", "/healthcheck", "", NULL);
    assert_int_equal(r.status, 503);
    reply_release(&r);
    (void)rig_expect(&rig, CONTROL_DRAINED);
    assert_int_equal(rig_wait_end(&rig).code, 0);
    assert_true(rig_is_closed(idle, 10000));
    (void)close(idle);
    (void)rig_close(&rig).code;
}

/* Clients that leave while the core works: their tickets come back, nothing of theirs reaches others. */
static void test_clients_that_leave(void **state)
{
    (void)front_begin(state);
    rig.core = slow_core;
    rig.config.server.max_connections = 8;
    rig_open(&rig);
    char all[4096];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 8; i++) {
            int fd = rig_connect(rig.api_port);
            (void)snprintf(all, sizeof all,
                           "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n%s",
                           sign_target, strlen(body), body);
            rig_say(fd, all);
            (void)close(fd);
        }
    }
    rig_attestation(body, sizeof body, 9);
    struct reply r = rig_ask(rig.api_port, "POST", sign_target, "", body);
    assert_int_equal(r.status, 200);
    assert_int_equal(strncmp(r.body, "0x09", 4), 0);
    reply_release(&r);
    assert_int_equal(rig_close(&rig).code, 0);
}

/* --- batches ------------------------------------------------------------------------------------------------------ */

static const char batch_target[] = "/api/v1/eth2/sign";

/* `count` attestations of slots 0, 1, ...; freed by the caller. */
static char *batch_body(uint32_t count)
{
    const size_t room = 1400;
    char *text = malloc(count * room + 3);
    size_t len = 0;
    assert_non_null(text);
    text[len++] = '[';
    for (uint32_t i = 0; i < count; i++) {
        char one[1400];
        rig_attestation(one, sizeof one, i);
        int n = snprintf(text + len, room, "%s{\"identifier\":\"%s\",%s", i ? "," : "", rig_key,
                         one + 1);
        assert_true(n > 0 && (size_t)n < room);
        len += (size_t)n;
    }
    memcpy(text + len, "]", 2);
    return text;
}

/* How often `part` stands in `text`, in which the next one must follow. */
static uint32_t count_of(const char *text, const char *part)
{
    uint32_t n = 0;
    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part))
        n++;
    return n;
}

static void test_batches(void **state)
{
    (void)state;
    static const uint32_t counts[] = {1, 3, 100,
                                      2048}; /* the last ones by the thread for large bodies */
    expect("POST", batch_target, "", "[]", 200, "[]");
    expect("POST", batch_target, "", "[5,{}]", 200, "\"rule\":\"FIELD_TYPE\"");
    expect("POST", batch_target, "Accept: text/plain\r\n", "[]", 406, "NOT_ACCEPTABLE");
    expect("GET", batch_target, "", NULL, 405, "Allow: POST");
    expect("POST", batch_target, "", "", 400, "JSON_SYNTAX");
    expect("POST", batch_target, "", "{}", 400, "FIELD_TYPE");
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        char *text = batch_body(counts[i]);
        struct reply r = rig_ask(rig.api_port, "POST", batch_target, "", text);
        assert_int_equal(r.status, 200);
        assert_int_equal(count_of(r.body, "{\"status\":200,\"signature\":\"0x"), counts[i]);
        const char *at = r.body;
        for (uint32_t n = 0; n < counts[i]; n++) {
            char part[64];
            (void)snprintf(part, sizeof part, "\"signature\":\"0x%02x%02x", n & 0xff, n >> 8);
            assert_non_null(at = strstr(at, part));
        }
        reply_release(&r);
        free(text);
    }
}

static void test_P24_batches_are_bounded(void **state)
{
    (void)state;
    char *many = batch_body(2049);
    expect("POST", batch_target, "", many, 413, "BODY_TOO_LARGE");
    free(many);
    const size_t size = 4 << 20;
    char *large = malloc(size + 2);
    assert_non_null(large);
    memset(large, ' ', size + 1);
    large[size + 1] = '\0';
    large[0] = '[';
    large[size - 1] = ']';
    expect("POST", batch_target, "", large, 413, "BODY_TOO_LARGE"); /* announced */
    large[size] = '\0';
    expect("POST", batch_target, "", large, 200, "[]");
    free(large);
}

static void test_C07_batches_out_of_memory(void **state)
{
    (void)state;
    char *text = batch_body(300);
    for (uint64_t nth = 1; nth <= 24; nth++) {
        (void)alloc_fail_nth(nth);
        struct reply r = rig_ask(rig.api_port, "POST", batch_target, "", text);
        (void)alloc_fail_nth(0);
        assert_true(r.status == 200 || r.status == 500 || r.status == 0);
        reply_release(&r);
        r = rig_ask(rig.api_port, "POST", batch_target, "", text);
        assert_int_equal(r.status, 200);
        assert_int_equal(count_of(r.body, "\"status\":200"), 300);
        reply_release(&r);
    }
    free(text);
}

/* The body waits for the core's word, and its first byte needs memory that is not there. The core comes only then: whatever
 * else takes memory meanwhile would be the one that fails.
 */
static void test_C07_out_of_memory_is_the_one_who_asked(void **state)
{
    (void)front_begin(state);
    rig.core_comes_late = true;
    rig_open(&rig);
    char *text = batch_body(300);
    char head[256];
    int fd = rig_connect(rig.api_port);
    (void)snprintf(head, sizeof head,
                   "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n",
                   batch_target, strlen(text));
    rig_say(fd, head);
    struct pollfd question = {.fd = rig.door, .events = POLLIN};
    assert_int_equal(poll(&question, 1, 20000), 1);
    (void)alloc_fail_nth(1);
    rig_start_core(&rig);
    rig_send(fd, text, strlen(text));
    struct reply r = rig_read(fd, 20000);
    (void)alloc_fail_nth(0);
    assert_int_equal(r.status, 500);
    assert_non_null(strstr(r.body, "NO_MEMORY"));
    reply_release(&r);
    (void)close(fd);
    r = rig_ask(rig.api_port, "POST", batch_target, "", text);
    assert_int_equal(r.status, 200);
    assert_int_equal(count_of(r.body, "\"status\":200"), 300);
    reply_release(&r);
    free(text);
    assert_int_equal(rig_close(&rig).code, 0);
}

/* Answers every second item, then dies. */
static void dying_core(struct rig *r, const struct door_message *message)
{
    for (uint32_t i = 0; i < message->head.count; i += 2) {
        struct a_sign request;
        memcpy(&request, message->items + i * sizeof request, sizeof request);
        rig_answer_sign(r, &request);
    }
    (void)shutdown(r->door, SHUT_RDWR);
}

static void test_a_core_that_dies_leaves_the_answers_that_came(void **state)
{
    (void)front_begin(state);
    rig.core = dying_core;
    rig_open(&rig);
    char *text = batch_body(10);
    struct reply r = rig_ask(rig.api_port, "POST", batch_target, "", text);
    free(text);
    assert_int_equal(r.status, 200);
    assert_int_equal(count_of(r.body, "\"status\":200"), 5);
    assert_int_equal(count_of(r.body, "\"rule\":\"DOOR_CLOSED\""), 5);
    reply_release(&r);
    assert_true(error_is(rig_wait_end(&rig), ERROR_DOOR_CLOSED));
    (void)rig_close(&rig).code;
}

static void counting_core(struct rig *r, const struct door_message *message)
{
    if (message->head.type != A_SIGN) {
        rig_good_core(r, message);
        return;
    }
    (void)atomic_fetch_add((_Atomic uint32_t *)r->core_data, message->head.count);
}

/* Beyond what may wait a whole batch is refused, and told when to come again. */
static void test_batches_that_are_too_many_are_refused(void **state)
{
    (void)front_begin(state);
    _Atomic uint32_t seen = 0;
    rig.core = counting_core;
    rig.core_data = &seen;
    rig_open(&rig);
    char *text = batch_body(2048);
    char head[256];
    int fds[11]; /* as many as fit four fifths of what may wait, which is one client's share */
    (void)snprintf(head, sizeof head,
                   "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n",
                   batch_target, strlen(text));
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = rig_connect(rig.api_port);
        rig_say(fds[i], head);
        rig_send(fds[i], text, strlen(text));
    }
    while (atomic_load(&seen) < ARRAY_LEN(fds) * 2048)
        (void)rig_is_closed(fds[0], 1);
    for (int i = 0; i < 2; i++) {
        struct reply r = rig_ask(rig.api_port, "POST", batch_target, "", text);
        assert_int_equal(r.status, 503);
        assert_non_null(strstr(r.head, "Retry-After: 1"));
        assert_non_null(strstr(r.body, "\"rule\":\"BUSY\""));
        reply_release(&r);
    }
    free(text);
    rig_kill_core(&rig);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        struct reply r = rig_read(fds[i], 20000);
        assert_int_equal(r.status, 200);
        assert_int_equal(count_of(r.body, "\"rule\":\"DOOR_CLOSED\""), 2048);
        reply_release(&r);
        (void)close(fds[i]);
    }
    assert_true(error_is(rig_wait_end(&rig), ERROR_DOOR_CLOSED));
    (void)rig_close(&rig).code;
}

/* Answers shuffled, repeated and invented by the core reach the connection that asked, or nobody. */
static void shuffling_core(struct rig *r, const struct door_message *message)
{
    static struct a_sign earlier;
    for (uint32_t i = message->head.count; i-- > 0;) {
        struct a_sign request;
        memcpy(&request, message->items + i * sizeof request, sizeof request);
        struct a_sign invented = request;
        invented.id = ((uint64_t)rand() << 32) | (uint32_t)(request.id & 0xff);
        if (invented.id == request.id)
            invented.id ^= 1ull << 40;
        invented.request.claim.attestation.slot = 255;
        rig_answer_sign(r, &invented);
        rig_answer_sign(r, &earlier);
        rig_answer_sign(r, &request);
        earlier = request;
    }
}

/* What the core is told about who asks: the first bytes of the signature are the client's number. */
static void naming_core(struct rig *r, const struct door_message *message)
{
    for (uint32_t i = 0; i < message->head.count; i++) {
        struct a_sign request;
        memcpy(&request, message->items + i * sizeof request, sizeof request);
        assert_int_equal(request.reserved, 0);
        request.request.claim.attestation.slot = request.client;
        rig_answer_sign(r, &request);
    }
}

static void name_of(int fd, char name[static 20])
{
    char all[4096];
    (void)snprintf(all, sizeof all,
                   "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n%s",
                   sign_target, strlen(body), body);
    rig_say(fd, all);
    struct reply r = rig_read(fd, 20000);
    assert_int_equal(r.status, 200);
    memcpy(name, r.body, 19);
    name[19] = '\0';
    reply_release(&r);
    (void)close(fd);
}

static void test_connections_of_one_peer_are_one_client(void **state)
{
    (void)front_begin(state);
    rig.core = naming_core;
    rig_open(&rig);
    char tcp[2][20];
    char unix_name[2][20];
    for (int i = 0; i < 2; i++) {
        name_of(rig_connect(rig.api_port), tcp[i]);
        name_of(rig_connect_unix(rig.unix_path), unix_name[i]);
    }
    assert_string_equal(tcp[0], tcp[1]);
    assert_string_equal(unix_name[0], unix_name[1]);
    assert_string_not_equal(tcp[0], unix_name[0]);
    assert_int_equal(rig_close(&rig).code, 0);
}

struct client {
    int number;
    int wrong;
};

static void *run_client(void *arg)
{
    struct client *c = arg;
    char text[2048];
    char all[4096];
    char wanted[16];
    int fd = rig_connect(rig.api_port);
    rig_attestation(text, sizeof text, (uint64_t)c->number);
    (void)snprintf(wanted, sizeof wanted, "0x%02x", (unsigned)c->number);
    (void)snprintf(all, sizeof all,
                   "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n%s",
                   sign_target, strlen(text), text);
    for (int i = 0; i < 100; i++) {
        rig_say(fd, all);
        struct reply r = rig_read(fd, 20000);
        c->wrong += r.status != 200 || strncmp(r.body, wanted, strlen(wanted)) != 0;
        reply_release(&r);
    }
    (void)close(fd);
    return NULL;
}

static void test_C02_answers_reach_who_asked(void **state)
{
    (void)front_begin(state);
    rig.core = shuffling_core;
    rig_open(&rig);
    pthread_t threads[16];
    struct client clients[16];
    for (int i = 0; i < 16; i++) {
        clients[i] = (struct client){i + 1, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, run_client, &clients[i]), 0);
    }
    for (int i = 0; i < 16; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_int_equal(clients[i].wrong, 0);
    }
    assert_int_equal(rig_close(&rig).code, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, front_setup, front_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_probes),
        TEST(test_queries),
        TEST(test_T20_reload_needs_a_token_over_tcp),
        TEST(test_sign_in_both_forms),
        TEST(test_refusals_before_the_core),
        TEST(test_host_allow_list),
        TEST(test_heads_with_two_readings_close_the_connection),
        TEST(test_keep_alive_and_pipelining),
        TEST(test_chunked_bodies_and_trailers),
        TEST(test_P24_bodies_are_bounded),
        TEST(test_large_bodies_of_one_kind),
        TEST(test_large_bodies_are_few),
        TEST(test_bodies_have_one_budget),
        TEST(test_C07_out_of_memory),
        TEST(test_P24_depth_is_bounded),
        TEST(test_headers_are_bounded),
        TEST(test_metrics),
        TEST(test_batches),
        TEST(test_P24_batches_are_bounded),
        TEST(test_C07_batches_out_of_memory),
        cmocka_unit_test(test_C07_out_of_memory_is_the_one_who_asked),
        cmocka_unit_test(test_a_core_that_dies_leaves_the_answers_that_came),
        cmocka_unit_test(test_batches_that_are_too_many_are_refused),
        cmocka_unit_test(test_slow_requests_are_shut),
        cmocka_unit_test(test_connections_beyond_the_limit_wait),
        cmocka_unit_test(test_who_was_idle_longest_makes_room),
        cmocka_unit_test(test_killed_core),
        cmocka_unit_test(test_drain_finishes_what_it_began),
        cmocka_unit_test(test_clients_that_leave),
        cmocka_unit_test(test_C02_answers_reach_who_asked),
        cmocka_unit_test(test_connections_of_one_peer_are_one_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
