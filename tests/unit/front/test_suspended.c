/* Requests that wait for the core's word, with a core that the test plays by hand: the client leaves, the answer comes late or
 * never, the deadline passes, the room drains or ends, and another request follows on the same connection.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#include "front/http_inside.h"
#include "support/front_loops.h"
#include "support/test.h"

enum {
    WAIT_MS = 20000, /* for what must come */
    LARGE = 70000,   /* a body that nobody throws away */
    VERY_LARGE = 200000
};

#define SIGN_ROUTE "/api/v1/eth2/sign/"
#define KEYSTORES  "/eth/v1/keystores"

static struct front_loops loops;
static struct door_message *message;
static char body[VERY_LARGE + 1];

static int open_all(void **state)
{
    (void)state;
    message = calloc(1, sizeof *message);
    assert_non_null(message);
    front_loops_defaults(&loops);
    loops.config.server.max_connections = 16;
    loops.config.http.key_manager_api.enabled = true;
    loops.config.http.key_manager_api.max_concurrent_reads = 1;
    front_loops_open(&loops, 1, NULL);
    rig_attestation(body, sizeof body, 5);
    size_t n = strlen(body);
    memset(body + n, ' ', VERY_LARGE - n);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    front_loops_close(&loops);
    free(message);
    return 0;
}

/* --- the core ------------------------------------------------------------------------------------- */

static void receive(uint16_t type)
{
    struct pollfd waits = {.fd = loops.core.door, .events = POLLIN};
    assert_int_equal(poll(&waits, 1, WAIT_MS), 1);
    assert_int_equal(door_receive(loops.core.door, RIG_LIFE, door_a_to_core, message).code, 0);
    assert_int_equal(message->head.type, type);
    assert_int_equal(message->head.count, 1);
}

/* The question whether a body may come. */
static uint64_t receive_may(enum auth_scope scope)
{
    struct a_query query;
    receive(A_QUERY);
    memcpy(&query, message->items, sizeof query);
    assert_int_equal(query.question, ASK_ALLOWED);
    assert_int_equal(query.scope, scope);
    return query.id;
}

static void answer_may(uint64_t id, uint32_t error)
{
    const struct a_denied answer = {.id = id, .error = error};
    assert_int_equal(door_send(loops.core.door, RIG_LIFE, A_DENIED, &answer, sizeof answer, 1).code,
                     0);
}

static void answer_sign(void)
{
    struct a_sign request;
    receive(A_SIGN);
    memcpy(&request, message->items, sizeof request);
    const struct a_signed answer = {.id = request.id, .signature.bytes = {5}};
    assert_int_equal(door_send(loops.core.door, RIG_LIFE, A_SIGNED, &answer, sizeof answer, 1).code,
                     0);
}

static void answer_keys(uint32_t error)
{
    static struct a_keys_done done;
    struct a_keys_head ask;
    receive(A_KEYS);
    memcpy(&ask, message->items, sizeof ask);
    done.head = (struct a_keys_head){.id = ask.id, .verb = ask.verb, .error = error};
    assert_int_equal(door_send(loops.core.door, RIG_LIFE, A_KEYS_DONE, &done, sizeof done, 1).code,
                     0);
}

/* --- the client ----------------------------------------------------------------------------------- */

static void say_head(int fd, const char *method, const char *route, size_t length)
{
    char head[512];
    (void)snprintf(head, sizeof head,
                   "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n", method,
                   route, length);
    rig_say(fd, head);
}

static void say_sign(int fd, size_t length)
{
    char route[200];
    (void)snprintf(route, sizeof route, SIGN_ROUTE "%s", rig_key);
    say_head(fd, "POST", route, length);
}

static void expect_reply(int fd, int status, const char *part)
{
    struct reply r = rig_read(fd, WAIT_MS);
    if (r.status != status ||
        (part && !strstr(r.body ? r.body : "", part) && !strstr(r.head, part)))
        fail_msg("%d, wanted %d\n%s%s", r.status, status, r.head, r.body ? r.body : "");
    reply_release(&r);
}

static void expect_upcheck(int fd)
{
    rig_say(fd, "GET /upcheck HTTP/1.1\r\nHost: localhost\r\n\r\n");
    expect_reply(fd, 200, "OK");
}

/* Until no request is under way, its ticket released. */
static void wait_for_none(void)
{
    uint64_t until = clock_mono_ms() + WAIT_MS;
    while (http_active(loops.http) && clock_mono_ms() < until)
        (void)poll(NULL, 0, 1);
    assert_int_equal(http_active(loops.http), 0);
    assert_int_equal(exchange_waiting(&loops.exchange), 0);
}

/* --- tests ------------------------------------------------------------------------------------------ */

/* What is sent behind a request that waits is read when that one is answered, whichever way. */
static void test_C02_a_request_behind_one_that_waits(void **state)
{
    (void)state;
    int fd = rig_connect(loops.port);
    for (int round = 0; round < 3; round++) {
        say_sign(fd, LARGE);
        uint64_t id = receive_may(SCOPE_SIGN);
        rig_send(fd, body, LARGE);
        say_sign(fd, strlen("{}"));
        rig_say(fd, "{}GET /upcheck HTTP/1.1\r\nHost: localhost\r\n\r\n");
        answer_may(id, 0);
        answer_sign();
        expect_reply(fd, 200, "0x05");
        expect_reply(fd, 400, "FIELD_MISSING");
        expect_reply(fd, 200, "OK");
        /* Short enough to be thrown away: the connection stays. */
        say_head(fd, "DELETE", KEYSTORES, 2);
        id = receive_may(SCOPE_DELETE_KEYS);
        rig_say(fd, "{}GET /upcheck HTTP/1.1\r\nHost: localhost\r\n\r\n");
        answer_may(id, ERROR_UNAUTHENTICATED);
        expect_reply(fd, 401, NULL);
        expect_reply(fd, 200, "OK");
    }
    (void)close(fd);
    wait_for_none();
}

static void test_a_client_that_leaves_before_its_body_is_let_in(void **state)
{
    (void)state;
    for (int sent = 0; sent < LARGE; sent += LARGE / 2 - 1) {
        for (uint32_t error = 0; error <= ERROR_UNAUTHENTICATED; error += ERROR_UNAUTHENTICATED) {
            int fd = rig_connect(loops.port);
            say_sign(fd, LARGE);
            rig_send(fd, body, (size_t)sent);
            uint64_t id = receive_may(SCOPE_SIGN);
            const struct linger abort = {.l_onoff = 1}; /* a reset: nothing is left to be read */
            assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort, sizeof abort), 0);
            (void)close(fd);
            assert_int_equal(http_active(loops.http), 1);
            answer_may(id, error);
            wait_for_none();
            answer_may(id, 0); /* finds nobody */
        }
    }
    int fd = rig_connect(loops.port);
    expect_upcheck(fd);
    (void)close(fd);
}

/* The core's word comes after it was given up: it lets nobody in, least of all who has the ticket now. */
static void test_C02_T20_a_late_word_lets_nobody_in(void **state)
{
    (void)state;
    int fd = rig_connect(loops.port);
    say_head(fd, "DELETE", KEYSTORES, 2);
    rig_say(fd, "{}");
    uint64_t late = receive_may(SCOPE_DELETE_KEYS);
    exchange_expire(&loops.exchange, clock_mono_ms() + HTTP_CORE_LIMIT_MS + 1000,
                    HTTP_CORE_LIMIT_MS);
    expect_reply(fd, 503, "BUSY");
    say_head(fd, "DELETE", KEYSTORES, 2);
    rig_say(fd, "{}");
    uint64_t id = receive_may(SCOPE_DELETE_KEYS);
    assert_int_equal((uint32_t)id, (uint32_t)late); /* the same ticket */
    answer_may(late, 0);
    answer_may(id, ERROR_UNAUTHENTICATED);
    expect_reply(fd, 401, NULL);
    answer_may(id, 0);
    expect_upcheck(fd);
    (void)close(fd);
    wait_for_none();
}

/* While the core thinks, the client has done its part; when its body may come, it has the time of a request for it. */
static void test_the_deadline_rests_while_the_core_is_asked(void **state)
{
    (void)state;
    const uint64_t much_later = (uint64_t)1000 * 1000;
    int fd = rig_connect(loops.port);
    say_sign(fd, LARGE);
    uint64_t id = receive_may(SCOPE_SIGN);
    http_tick(loops.http, clock_mono_ms() + much_later);
    answer_may(id, 0);
    rig_send(fd, body, LARGE);
    answer_sign();
    expect_reply(fd, 200, "0x05");
    say_sign(fd, LARGE);
    answer_may(receive_may(SCOPE_SIGN), 0);
    rig_send(fd, body, 1);
    struct connection *c = NULL;
    for (uint32_t i = 0; i < loops.http->connection_slots; i++)
        c = loops.http->connections[i].open ? &loops.http->connections[i] : c;
    assert_non_null(c);
    while (atomic_load(&c->deadline_ms) == UINT64_MAX) /* until the word has arrived */
        (void)poll(NULL, 0, 1);
    http_tick(loops.http, clock_mono_ms() + much_later);
    assert_true(rig_is_closed(fd, WAIT_MS));
    (void)close(fd);
    wait_for_none();
}

static void test_draining_waits_for_who_was_asked_about(void **state)
{
    (void)state;
    int fd = rig_connect(loops.port);
    say_sign(fd, LARGE);
    uint64_t id = receive_may(SCOPE_SIGN);
    http_drain(loops.http);
    http_stop_accepting(loops.http);
    assert_int_equal(http_active(loops.http), 1);
    answer_may(id, 0);
    rig_send(fd, body, LARGE);
    answer_sign();
    expect_reply(fd, 200, "Connection: close");
    assert_true(rig_is_closed(fd, WAIT_MS));
    (void)close(fd);
    wait_for_none();
}

/* The end comes while requests wait for a word, for signatures, for work on keys and in the queue of large bodies. */
static void test_the_end_leaves_nobody_suspended(void **state)
{
    (void)state;
    int fds[4];
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        fds[i] = rig_connect(loops.port);
    say_sign(fds[0], LARGE);
    (void)receive_may(SCOPE_SIGN);
    say_sign(fds[1], 1000);
    rig_send(fds[1], body, 1000);
    receive(A_SIGN);
    rig_say(fds[2], "GET " KEYSTORES " HTTP/1.1\r\nHost: localhost\r\n\r\n");
    receive(A_KEYS);
    say_sign(fds[3], VERY_LARGE);
    answer_may(receive_may(SCOPE_SIGN), 0);
    rig_send(fds[3], body, VERY_LARGE);
    receive(A_SIGN);
    assert_int_equal(exchange_waiting(&loops.exchange), 4);
    /* As if the question had been between two threads when those that wait were told: none of them is. */
    atomic_store(&loops.exchange.open, false);
    http_close(loops.http);
    loops.http = NULL;
    assert_int_equal(exchange_waiting(&loops.exchange), 0);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        struct reply r = rig_read(fds[i], WAIT_MS);
        assert_true(r.status == 503 || r.status == 0);
        reply_release(&r);
        (void)close(fds[i]);
    }
}

/* The thread for large bodies has ended, a loop has not yet. */
static void test_a_large_body_that_comes_at_the_end_is_refused(void **state)
{
    (void)state;
    int fd = rig_connect(loops.port);
    say_sign(fd, VERY_LARGE);
    answer_may(receive_may(SCOPE_SIGN), 0);
    (void)pthread_mutex_lock(&loops.http->apart_lock);
    loops.http->apart_stop = true;
    (void)pthread_cond_signal(&loops.http->apart_filled);
    (void)pthread_mutex_unlock(&loops.http->apart_lock);
    rig_send(fd, body, VERY_LARGE);
    expect_reply(fd, 503, "DOOR_CLOSED");
    expect_upcheck(fd);
    (void)close(fd);
    wait_for_none();
}

/* Their place among the few that may be under way is free again, however they ended. */
static void test_work_on_keys_whose_client_leaves(void **state)
{
    (void)state;
    static const char list[] = "GET " KEYSTORES " HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (int round = 0; round < 3; round++) {
        int fd = rig_connect(loops.port);
        rig_say(fd, list);
        receive(A_KEYS);
        struct a_keys_head ask;
        memcpy(&ask, message->items, sizeof ask);
        int other = rig_connect(loops.port);
        rig_say(other, list);
        expect_reply(other, 503, "BUSY");
        (void)close(fd);
        answer_may(ask.id, round ? ERROR_DENIED : ERROR_UNAUTHENTICATED);
        while (atomic_load(&loops.http->keys_active[KEYS_GROUP_READS]))
            (void)poll(NULL, 0, 1);
        say_head(other, "DELETE", KEYSTORES, 2);
        rig_say(other, "{}");
        answer_may(receive_may(SCOPE_DELETE_KEYS), 0);
        expect_reply(other, 400, NULL); /* read by the thread for large bodies */
        rig_say(other, list);
        answer_keys(ERROR_STORE);
        expect_reply(other, 503, NULL);
        (void)close(other);
        wait_for_none();
    }
}

static void answer_part(uint32_t error, bool more)
{
    static struct a_slashing part;
    receive(A_SLASHING);
    memcpy(&part.head, message->items, sizeof part.head);
    part.head = (struct a_slashing_head){.id = part.head.id,
                                         .verb = part.head.verb,
                                         .error = error,
                                         .last = 1,
                                         .more = more,
                                         .has_key = more,
                                         .key.bytes = {1},
                                         .validators = more,
                                         .has_genesis = 1,
                                         .backend = "sqlite"};
    assert_int_equal(door_send(loops.core.door, RIG_LIFE, A_SLASHED, &part, sizeof part, 1).code,
                     0);
}

/* The client goes while the last part is asked for, which comes or doesn't. */
static void test_an_export_whose_client_leaves(void **state)
{
    (void)state;
    for (int round = 0; round < 4; round++) {
        struct pollfd waits = {.fd = loops.core.door, .events = POLLIN};
        int fd = rig_connect(loops.port);
        rig_say(fd, "GET /api/v1/chamber/slashing HTTP/1.1\r\nHost: localhost\r\n\r\n");
        answer_part(0, true);
        assert_int_equal(poll(&waits, 1, WAIT_MS), 1);
        (void)close(fd);
        if (round < 2)
            answer_part(round ? ERROR_STORE : 0, false);
        else if (round == 2)
            exchange_expire(&loops.exchange, clock_mono_ms() + HTTP_CORE_LIMIT_MS + 1000,
                            HTTP_CORE_LIMIT_MS);
        else
            exchange_stop(&loops.exchange);
        if (round == 2)
            receive(A_SLASHING); /* what was given up */
        wait_for_none();
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_all, close_all)
    const struct CMUnitTest tests[] = {
        TEST(test_C02_a_request_behind_one_that_waits),
        TEST(test_a_client_that_leaves_before_its_body_is_let_in),
        TEST(test_C02_T20_a_late_word_lets_nobody_in),
        TEST(test_the_deadline_rests_while_the_core_is_asked),
        TEST(test_draining_waits_for_who_was_asked_about),
        TEST(test_the_end_leaves_nobody_suspended),
        TEST(test_a_large_body_that_comes_at_the_end_is_refused),
        TEST(test_work_on_keys_whose_client_leaves),
        TEST(test_an_export_whose_client_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
