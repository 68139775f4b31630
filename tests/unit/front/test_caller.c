/* Who asks, as the whole front tells it to a core played by the test: tokens, peers, proxies, and what is refused before. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cidr.h"
#include "base/clock.h"

#include "crypto/sha256.h"
#include "support/front_case.h"
#include "support/test.h"

#define BEARER  "Authorization: Bearer " RIG_TOKEN "\r\n"
#define HISTORY "/api/v1/chamber/slashing"
#define KEYS    "/api/v1/eth2/publicKeys"

/* One request on an open connection; the answer's status, its body in *ret_body (freed by the caller) where that is asked for. */
static int ask_on(int fd,
                  const char *method,
                  const char *target,
                  const char *headers,
                  const char *text,
                  char **ret_body)
{
    char head[2048];
    int n = snprintf(head, sizeof head,
                     "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n%s\r\n", method,
                     target, strlen(text), headers);
    assert_true(n > 0 && (size_t)n < sizeof head);
    rig_send(fd, head, (size_t)n);
    rig_say(fd, text);
    struct reply r = rig_read(fd, 20000);
    if (ret_body)
        *ret_body = strdup(r.body ? r.body : "");
    reply_release(&r);
    return r.status;
}

static void
expect(int status, const char *method, const char *target, const char *headers, const char *text)
{
    int fd = rig_connect(rig.api_port);
    int got = ask_on(fd, method, target, headers, text, NULL);
    if (got != status)
        fail_msg("%s %s %s: %d, wanted %d", method, target, headers, got, status);
    (void)close(fd);
}

static bool is_digest_of(const char *token)
{
    uint8_t digest[SHA256_SIZE];
    sha256(span_str(token), digest);
    return memcmp(digest, rig_last(&rig).token, sizeof digest) == 0;
}

/* --- tokens --------------------------------------------------------------------------------------- */

static void test_a_token_crosses_the_door_as_its_digest_alone(void **state)
{
    (void)state;
    static const uint8_t none[SHA256_SIZE];
    char text[CIDR_TEXT_SIZE];
    expect(200, "GET", KEYS, BEARER, "");
    assert_int_equal(rig_last(&rig).token_kind, CALLER_BEARER);
    assert_true(is_digest_of(RIG_TOKEN));
    assert_int_equal(rig_last(&rig).listener, LISTENER_API);
    assert_int_equal(rig_last(&rig).flags, 0);
    cidr_address_text(rig_last(&rig).address, text);
    assert_string_equal(text, "127.0.0.1");
    expect(200, "GET", KEYS, "Authorization: Basic dXNlcjpwQHNz\r\n", "");
    assert_int_equal(rig_last(&rig).token_kind, CALLER_BASIC);
    assert_true(is_digest_of("p@ss"));
    expect(200, "GET", KEYS, "Authorization: Basic dXNlcjo=\r\n", "");
    assert_int_equal(rig_last(&rig).token_kind, CALLER_BAD);
    assert_memory_equal(rig_last(&rig).token, none, sizeof none);
    expect(200, "GET", KEYS, "", "");
    assert_int_equal(rig_last(&rig).token_kind, CALLER_NO_TOKEN);
    assert_memory_equal(rig_last(&rig).token, none, sizeof none);
}

/* With every kind of question. */
static void test_who_asks_travels_with_each_question(void **state)
{
    (void)state;
    static const struct {
        const char *method, *target, *text;
        int status;
    } asks[] = {{"POST", sign_target, body, 200},
                {"GET", KEYS, "", 200},
                {"POST", "/reload", "", 202},
                {"GET", HISTORY "/status", "", 200},
                {"POST", HISTORY "/verify", "{}", 200}};
    for (size_t i = 0; i < ARRAY_LEN(asks); i++) {
        rig_forget_last(&rig);
        expect(asks[i].status, asks[i].method, asks[i].target, BEARER, asks[i].text);
        assert_true(rig_last(&rig).token_kind == CALLER_BEARER && is_digest_of(RIG_TOKEN));
    }
    char batch[2600];
    (void)snprintf(batch, sizeof batch, "[{\"identifier\":\"%s\",%s]", rig_key, body + 1);
    rig_forget_last(&rig);
    expect(200, "POST", "/api/v1/eth2/sign", BEARER, batch);
    assert_true(is_digest_of(RIG_TOKEN));
}

/* T20: over TCP by token alone, at the Unix sockets the owner too. */
static void test_T20_what_changes_the_signer_takes_a_token(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "Authorization: Bearer cc_token_x\r\n",
                                        "Authorization: Basic YTpi\r\n", "Authorization: Basic\r\n",
                                        "Authorization: Negotiate abc\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        expect(401, "POST", "/reload", wrong[i], "");
        expect(401, "GET", HISTORY, wrong[i], "");
        expect(401, "GET", HISTORY "/status", wrong[i], "");
        expect(401, "POST", HISTORY, wrong[i], "{}");
    }
    const char *const paths[] = {rig.unix_path, rig.admin_path};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        int fd = rig_connect_unix(paths[i]);
        assert_int_equal(ask_on(fd, "POST", "/reload", "", "", NULL), 202);
        assert_int_equal(rig_last(&rig).listener, i ? LISTENER_ADMIN : LISTENER_UNIX);
        assert_int_equal(rig_last(&rig).flags, CALLER_OWNER);
        assert_memory_equal(rig_last(&rig).address, (uint8_t[16]){0}, 16);
        assert_int_equal(ask_on(fd, "GET", HISTORY "/status", "", "", NULL), 200);
        (void)close(fd);
    }
}

/* As Teku's client does it: without, then with, on one connection. */
static void test_a_refusal_leaves_the_connection_usable(void **state)
{
    (void)state;
    char *refusals[3];
    atomic_store(&rig.closed, true);
    int fd = rig_connect(rig.api_port);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(ask_on(fd, "POST", sign_target, "", body, &refusals[0]), 401);
        assert_int_equal(ask_on(fd, "POST", sign_target, BEARER, body, NULL), 200);
        assert_int_equal(
            ask_on(fd, "POST", sign_target, "Authorization: Bearer x\r\n", body, &refusals[1]),
            401);
        assert_int_equal(
            ask_on(fd, "POST", sign_target, "Authorization: Basic x\r\n", body, &refusals[2]), 401);
        assert_int_equal(ask_on(fd, "GET", KEYS, "", "", NULL), 401);
        assert_int_equal(ask_on(fd, "GET", KEYS, BEARER, "", NULL), 200);
        assert_int_equal(ask_on(fd, "GET", "/upcheck", "", "", NULL), 200);
        assert_int_equal(ask_on(fd, "GET", "/healthcheck", "", "", NULL), 200);
        /* No token, a wrong one, one that can't be read: nobody learns which. */
        assert_string_equal(refusals[0], refusals[1]);
        assert_string_equal(refusals[0], refusals[2]);
        assert_non_null(strstr(refusals[0], "{\"code\":401,\"message\":\"Unauthorized\""));
        assert_non_null(strstr(refusals[0], "\"rule\":\"UNAUTHENTICATED\"}"));
        for (int i = 0; i < 3; i++)
            free(refusals[i]);
    }
    (void)close(fd);
}

static void expect_raw(const char *raw, size_t len, int status)
{
    int fd = rig_connect(rig.api_port);
    rig_send(fd, raw, len);
    struct reply r = rig_read(fd, 10000);
    if (r.status != status)
        fail_msg("%s: %d, wanted %d\n%s", raw, r.status, status, r.body ? r.body : "");
    assert_true(rig_is_closed(fd, 10000));
    reply_release(&r);
    (void)close(fd);
}

#define RAW(status, raw) expect_raw(raw, sizeof(raw) - 1, status)

static void test_heads_with_two_tokens_close_the_connection(void **state)
{
    (void)state;
    RAW(400, "GET /upcheck HTTP/1.1\r\nHost: a\r\n" BEARER BEARER "\r\n");
    RAW(400, "GET /upcheck HTTP/1.1\r\nHost: a\r\n" BEARER "authorization: Basic YTpi\r\n\r\n");
    RAW(400, "GET /upcheck HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer a\0b\r\n\r\n");
    RAW(400, "GET /upcheck HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer a\rb\r\n\r\n");
    RAW(400, "GET /upcheck HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer\r\n a\r\n\r\n");
    RAW(400, "GET /upcheck HTTP/1.1\r\nHost: a\r\nAuthorization : Bearer a\r\n\r\n");
    expect(403, "GET", KEYS, BEARER "Origin: http://evil\r\n", "");
    assert_int_equal(atomic_load(&rig.asked[ASK_PUBLIC_KEYS]), 0);
}

static void test_huge_tokens(void **state)
{
    (void)state;
    char headers[1500] = "Authorization: Bearer ";
    memset(headers + strlen(headers), 'a', 1000);
    strcat(headers, "\r\n");
    expect(200, "GET", KEYS, headers, "");
    assert_int_equal(rig_last(&rig).token_kind, CALLER_BAD);
    char *raw = calloc(1, 40000);
    assert_non_null(raw);
    (void)snprintf(raw, 40000, "GET %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ",
                   KEYS);
    size_t n = strlen(raw);
    memset(raw + n, 'a', 30000);
    strcpy(raw + n + 30000, "\r\n\r\n");
    expect_raw(raw, strlen(raw), 431);
    free(raw);
}

/* --- bodies --------------------------------------------------------------------------------------- */

static char *padded(const char *text, size_t len)
{
    char *all = malloc(len + 1);
    assert_non_null(all);
    memset(all, ' ', len);
    memcpy(all, text, strlen(text));
    all[len] = 0;
    return all;
}

static uint32_t asked_first(void)
{
    return atomic_load(&rig.asked[ASK_ALLOWED]);
}

static void test_T20_a_large_body_is_let_in_only_for_who_may_send_it(void **state)
{
    (void)state;
    atomic_store(&rig.closed, true);
    char *small = padded(body, 65536), *large = padded(body, 100000);
    int fd = rig_connect(rig.api_port);
    assert_int_equal(ask_on(fd, "POST", sign_target, BEARER, small, NULL), 200);
    assert_int_equal(asked_first(), 0);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(ask_on(fd, "POST", sign_target, BEARER, large, NULL), 200);
        assert_int_equal(ask_on(fd, "POST", sign_target, "", large, NULL), 401);
        assert_int_equal(ask_on(fd, "POST", HISTORY, "", large, NULL), 401);
        assert_int_equal(ask_on(fd, "POST", "/api/v1/eth2/sign", "", large, NULL), 401);
        assert_int_equal(asked_first(), 4 * (i + 1));
    }
    (void)close(fd);
    free(small);
    free(large);
    /* What is longer than anybody would throw away is not waited for. */
    RAW(401, "POST " HISTORY " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000000\r\n\r\n");
    RAW(401,
        "POST " HISTORY
        " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 70000\r\nExpect: 100-continue\r\n\r\n");
}

static void test_a_body_that_is_held_back_or_of_no_length(void **state)
{
    (void)state;
    char head[1024];
    char *large = padded(body, 100000);
    int fd = rig_connect(rig.api_port);
    (void)snprintf(
        head, sizeof head,
        "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\nExpect: 100-continue\r\n\r\n",
        sign_target);
    rig_say(fd, head);
    struct pollfd waits = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&waits, 1, 10000), 1); /* 100 Continue */
    rig_say(fd, large);
    struct reply r = rig_read(fd, 20000);
    assert_int_equal(r.status, 200);
    reply_release(&r);
    (void)snprintf(
        head, sizeof head,
        "POST %s HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n",
        sign_target, strlen(body));
    rig_say(fd, head);
    rig_say(fd, body);
    rig_say(fd, "\r\n0\r\n\r\n");
    r = rig_read(fd, 20000);
    assert_int_equal(r.status, 200);
    assert_int_equal(asked_first(), 2);
    reply_release(&r);
    (void)close(fd);
    free(large);
}

static void deaf_core(struct rig *r, const struct door_message *message)
{
    (void)message;
    (void)atomic_fetch_add((_Atomic int *)r->core_data, 1);
}

/* The body waits outside while the core is asked; the core dies. */
static void test_a_core_that_dies_before_it_lets_a_body_in(void **state)
{
    (void)front_begin(state);
    _Atomic int seen = 0;
    rig.core = deaf_core;
    rig.core_data = &seen;
    rig_open(&rig);
    int fd = rig_connect(rig.api_port);
    rig_say(fd, "POST " HISTORY " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 70000\r\n\r\n{");
    while (atomic_load(&seen) == 0)
        (void)rig_is_closed(fd, 1);
    char *rest = padded("", 69999);
    rig_kill_core(&rig);
    rig_say(fd, rest);
    free(rest);
    struct reply r = rig_read(fd, 10000);
    assert_int_equal(r.status, 503);
    reply_release(&r);
    (void)close(fd);
    assert_true(error_is(rig_wait_end(&rig), ERROR_DOOR_CLOSED));
    (void)rig_close(&rig).code;
}

/* --- proxies -------------------------------------------------------------------------------------- */

static void trust(const char *range)
{
    struct config_text_list *list = &rig.config.server.trusted_proxies;
    strcpy(list->items[list->count++], range);
}

/* A PROXY header for TCP over IPv4 from a.b.c.d. */
static void header_of(uint8_t out[static 28], uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
    static const uint8_t fixed[16] = {0x0d, 0x0a, 0x0d, 0x0a, 0,    0x0d, 0x0a, 0x51,
                                      0x55, 0x49, 0x54, 0x0a, 0x21, 0x11, 0,    12};
    const uint8_t rest[12] = {a, b, c, d, 10, 0, 0, 1, 0x30, 0x39, 0x23, 0x28};
    memcpy(out, fixed, sizeof fixed);
    memcpy(out + sizeof fixed, rest, sizeof rest);
}

static int connect_for(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
    uint8_t header[28];
    int fd = rig_connect(rig.api_port);
    header_of(header, a, b, c, d);
    rig_send(fd, header, sizeof header);
    return fd;
}

static void test_a_proxy_says_for_whom(void **state)
{
    (void)front_begin(state);
    char text[CIDR_TEXT_SIZE];
    trust("10.9.0.0/16");
    trust("127.0.0.0/8");
    rig_open(&rig);
    int fd = connect_for(192, 0, 2, 7);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ask_on(fd, "GET", KEYS, "", "", NULL), 200);
        cidr_address_text(rig_last(&rig).address, text);
        assert_string_equal(text, "192.0.2.7");
        assert_int_equal(rig_last(&rig).flags, CALLER_PROXIED);
        assert_int_equal(rig_last(&rig).listener, LISTENER_API);
    }
    (void)close(fd);
    /* For itself: then it is who it is. */
    static const uint8_t local[16] = {0x0d, 0x0a, 0x0d, 0x0a, 0,    0x0d, 0x0a,
                                      0x51, 0x55, 0x49, 0x54, 0x0a, 0x20};
    fd = rig_connect(rig.api_port);
    rig_send(fd, local, sizeof local);
    assert_int_equal(ask_on(fd, "GET", KEYS, "", "", NULL), 200);
    cidr_address_text(rig_last(&rig).address, text);
    assert_string_equal(text, "127.0.0.1");
    assert_int_equal(rig_last(&rig).flags, 0);
    (void)close(fd);
    /* Sockets in the file system and the metrics have no proxies before them. */
    fd = rig_connect_unix(rig.unix_path);
    assert_int_equal(ask_on(fd, "GET", KEYS, "", "", NULL), 200);
    (void)close(fd);
    fd = rig_connect(rig.metrics_port);
    assert_int_equal(ask_on(fd, "GET", "/metrics", "", "", NULL), 200);
    (void)close(fd);
    assert_int_equal(rig_close(&rig).code, 0);
}

/* In any pieces, and with the request right behind it. */
static void test_a_proxy_header_in_pieces(void **state)
{
    (void)front_begin(state);
    static const char request[] = "GET " KEYS " HTTP/1.1\r\nHost: localhost\r\n\r\n";
    uint8_t all[28 + sizeof request];
    trust("127.0.0.1");
    rig_open(&rig);
    header_of(all, 198, 51, 100, 3);
    memcpy(all + 28, request, sizeof request - 1);
    static const size_t cuts[] = {0, 1, 11, 12, 15, 16, 17, 27, 28, 29, 40};
    for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
        int fd = rig_connect(rig.api_port);
        rig_send(fd, all, cuts[i]);
        (void)rig_is_closed(fd, 5);
        rig_send(fd, all + cuts[i], 28 + sizeof request - 1 - cuts[i]);
        struct reply r = rig_read(fd, 10000);
        assert_int_equal(r.status, 200);
        reply_release(&r);
        (void)close(fd);
    }
    assert_int_equal(rig_close(&rig).code, 0);
}

static void refused_start(const void *bytes, size_t len)
{
    int fd = rig_connect(rig.api_port);
    rig_send(fd, bytes, len);
    assert_true(rig_is_closed(fd, 10000));
    (void)close(fd);
}

static void test_T29_a_proxy_that_says_nothing_or_nonsense_is_closed(void **state)
{
    (void)front_begin(state);
    static const char request[] = "GET /upcheck HTTP/1.1\r\nHost: localhost\r\n\r\n";
    static const char version_1[] = "PROXY TCP4 192.0.2.7 10.0.0.1 12345 9000\r\n";
    uint8_t header[28];
    trust("127.0.0.1");
    rig.config.server.request_deadline_seconds = 1;
    rig_open(&rig);
    refused_start(request, sizeof request - 1);
    refused_start(version_1, sizeof version_1 - 1);
    header_of(header, 1, 2, 3, 4);
    header[13] = 0x31; /* a Unix socket's */
    refused_start(header, sizeof header);
    header_of(header, 1, 2, 3, 4);
    header[14] = 0xff;
    refused_start(header, 16);
    uint64_t began = clock_mono_ms();
    header_of(header, 1, 2, 3, 4);
    refused_start(header, 27); /* never the last byte */
    refused_start(header, 0);
    assert_in_range(clock_mono_ms() - began, 1500, 9000);
    struct reply r = rig_ask(rig.metrics_port, "GET", "/metrics", "", NULL);
    assert_non_null(strstr(r.body, "\ncontainment_http_proxy_refused_total 6\n"));
    reply_release(&r);
    /* More of them than wait at a time, and one that says what it should. */
    int silent[300];
    for (size_t i = 0; i < ARRAY_LEN(silent); i++)
        silent[i] = rig_connect(rig.api_port);
    int fd = connect_for(192, 0, 2, 7);
    assert_int_equal(ask_on(fd, "GET", "/upcheck", "", "", NULL), 200);
    (void)close(fd);
    for (size_t i = 0; i < ARRAY_LEN(silent); i++)
        (void)close(silent[i]);
    assert_int_equal(rig_close(&rig).code, 0);
}

/* From elsewhere the same bytes are a broken request. */
static void test_T29_nobody_else_may_speak_for_others(void **state)
{
    (void)front_begin(state);
    uint8_t header[28];
    char text[CIDR_TEXT_SIZE];
    trust("10.0.0.0/8");
    rig_open(&rig);
    header_of(header, 10, 0, 0, 9);
    int fd = rig_connect(rig.api_port);
    rig_send(fd, header, sizeof header);
    rig_say(fd, "GET " KEYS " HTTP/1.1\r\nHost: localhost\r\n\r\n");
    struct reply r = rig_read(fd, 10000);
    assert_true(r.status == 400 || r.status == 0);
    reply_release(&r);
    (void)close(fd);
    assert_int_equal(atomic_load(&rig.asked[ASK_PUBLIC_KEYS]), 0);
    expect(200, "GET", KEYS, "X-Forwarded-For: 10.0.0.9\r\nForwarded: for=10.0.0.9\r\n", "");
    cidr_address_text(rig_last(&rig).address, text);
    assert_string_equal(text, "127.0.0.1");
    assert_int_equal(rig_close(&rig).code, 0);
}

/* T29: each client of a proxy is one by itself, and the same one each time. */
static void naming_core(struct rig *r, const struct door_message *message)
{
    struct a_sign request;
    assert_true(message->head.type == A_SIGN && message->head.count == 1);
    memcpy(&request, message->items, sizeof request);
    atomic_store((_Atomic uint32_t *)r->core_data, request.client);
    rig_answer_sign(r, &request);
}

static void test_T29_clients_of_a_proxy_are_told_apart(void **state)
{
    (void)front_begin(state);
    _Atomic uint32_t number = 0;
    uint32_t numbers[4];
    rig.core = naming_core;
    rig.core_data = &number;
    trust("127.0.0.1");
    rig_open(&rig);
    for (int i = 0; i < 4; i++) {
        int fd = connect_for(192, 0, 2, (uint8_t)(i / 2));
        assert_int_equal(ask_on(fd, "POST", sign_target, "", body, NULL), 200);
        numbers[i] = atomic_load(&number);
        (void)close(fd);
    }
    assert_int_equal(numbers[0], numbers[1]);
    assert_int_equal(numbers[2], numbers[3]);
    assert_int_not_equal(numbers[0], numbers[2]);
    assert_int_equal(rig_close(&rig).code, 0);
}

/* --- in the clear ----------------------------------------------------------------------------------- */

static void test_T21_a_token_that_others_could_read_is_refused(void **state)
{
    (void)front_begin(state);
    char *text = NULL;
    trust("127.0.0.1");
    rig_open(&rig);
    int fd = connect_for(192, 0, 2, 7);
    assert_int_equal(ask_on(fd, "GET", KEYS, BEARER, "", &text), 401);
    assert_non_null(strstr(text, "\"rule\":\"PLAINTEXT_TOKEN\""));
    assert_null(strstr(text, "cc_token"));
    free(text);
    assert_int_equal(ask_on(fd, "POST", sign_target, "Authorization: Basic YTpi\r\n", body, NULL),
                     401);
    assert_int_equal(ask_on(fd, "GET", "/healthcheck", "Authorization: what is it?\r\n", "", NULL),
                     401);
    assert_int_equal(atomic_load(&rig.asked[ASK_PUBLIC_KEYS]) + atomic_load(&rig.asked[ASK_HEALTH]),
                     0);
    assert_int_equal(ask_on(fd, "POST", sign_target, "", body, NULL), 200); /* open to all */
    /* And none is made whose first way is in the clear. */
    assert_int_equal(ask_on(fd, "POST", "/api/v1/chamber/auth/tokens", "", "{}", &text), 403);
    assert_non_null(strstr(text, "\"rule\":\"PLAINTEXT_ANSWER\""));
    free(text);
    (void)close(fd);
    fd = connect_for(127, 0, 0, 9); /* a client on this machine, by a proxy on this machine */
    assert_int_equal(ask_on(fd, "GET", KEYS, BEARER, "", NULL), 200);
    (void)close(fd);
    struct reply r = rig_ask(rig.metrics_port, "GET", "/metrics", "", NULL);
    assert_non_null(strstr(r.body, "\ncontainment_http_plaintext_tokens_total 3\n"));
    reply_release(&r);
    assert_int_equal(rig_close(&rig).code, 0);
}

static void test_a_token_in_the_clear_is_taken_where_that_is_wanted(void **state)
{
    (void)front_begin(state);
    trust("127.0.0.1");
    rig.config.auth.allow_plaintext = true;
    rig_open(&rig);
    int fd = connect_for(192, 0, 2, 7);
    assert_int_equal(ask_on(fd, "GET", KEYS, BEARER, "", NULL), 200);
    assert_true(is_digest_of(RIG_TOKEN));
    (void)close(fd);
    assert_int_equal(rig_close(&rig).code, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, front_setup, front_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_token_crosses_the_door_as_its_digest_alone),
        TEST(test_who_asks_travels_with_each_question),
        TEST(test_T20_what_changes_the_signer_takes_a_token),
        TEST(test_a_refusal_leaves_the_connection_usable),
        TEST(test_heads_with_two_tokens_close_the_connection),
        TEST(test_huge_tokens),
        TEST(test_T20_a_large_body_is_let_in_only_for_who_may_send_it),
        TEST(test_a_body_that_is_held_back_or_of_no_length),
        cmocka_unit_test(test_a_core_that_dies_before_it_lets_a_body_in),
        cmocka_unit_test(test_a_proxy_says_for_whom),
        cmocka_unit_test(test_a_proxy_header_in_pieces),
        cmocka_unit_test(test_T29_a_proxy_that_says_nothing_or_nonsense_is_closed),
        cmocka_unit_test(test_T29_nobody_else_may_speak_for_others),
        cmocka_unit_test(test_T29_clients_of_a_proxy_are_told_apart),
        cmocka_unit_test(test_T21_a_token_that_others_could_read_is_refused),
        cmocka_unit_test(test_a_token_in_the_clear_is_taken_where_that_is_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
