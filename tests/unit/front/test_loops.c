/* The HTTP server with more loops than this machine's front would have: connections are spread, one loop reads the door, and
 * each answer finds the loop of who asked.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"

#include "front/http.h"
#include "support/front_rig.h"
#include "support/test.h"

enum {
    LOOPS = 3,
    CLIENTS = 12,
    ROUNDS = 60
};

static struct config config;
static struct eth_network network;
static struct exchange exchange;
static struct http *http;
static struct rig core; /* its end of the door, and what answers there */
static pthread_t core_thread;
static int port;

static void *core_main(void *unused)
{
    (void)unused;
    struct door_message *message = cc_alloc(sizeof *message);
    while (!door_receive(core.door, RIG_LIFE, door_a_to_core, message).code)
        rig_good_core(&core, message);
    cc_free(message);
    return NULL;
}

static int listen_tcp(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&addr, len) == 0 && listen(fd, 64) == 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    port = ntohs(addr.sin_port);
    return fd;
}

static int open_all(void **state)
{
    (void)state;
    int pair[2];
    config_defaults(&config);
    config.server.max_connections = 64;
    assert_int_equal(network_load("minimal", &network).code, 0);
    assert_int_equal(door_pair(pair).code, 0);
    core.door = pair[0];
    assert_int_equal(exchange_init(&exchange, http_tickets(&config.server), http_done).code, 0);
    const struct http_options options = {&config.server, &network, &exchange, NULL, LOOPS};
    assert_int_equal(http_open(&options, &http).code, 0);
    assert_int_equal(http_listen(http, LISTENER_API, listen_tcp()).code, 0);
    exchange_start(&exchange, pair[1], RIG_LIFE);
    assert_int_equal(pthread_create(&core_thread, NULL, core_main, NULL), 0);
    assert_int_equal(http_serve(http).code, 0);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    int fd = exchange.fd;
    http_stop_accepting(http);
    exchange_stop(&exchange);
    http_close(http);
    exchange_release(&exchange);
    (void)close(fd);
    (void)pthread_join(core_thread, NULL);
    (void)close(core.door);
    return 0;
}

struct client {
    int number;
    int wrong;
};

static char *request_of(int number)
{
    char body[2048];
    char *text = malloc(4096);
    assert_non_null(text);
    rig_attestation(body, sizeof body, (uint64_t)number);
    (void)snprintf(text, 4096,
                   "POST /api/v1/eth2/sign/%s HTTP/1.1\r\nHost: localhost\r\n"
                   "Content-Length: %zu\r\n\r\n%s",
                   rig_key, strlen(body), body);
    return text;
}

/* Several connections in turn, so that each client meets several loops. */
static void *run_client(void *arg)
{
    struct client *c = arg;
    char *text = request_of(c->number);
    char wanted[16];
    (void)snprintf(wanted, sizeof wanted, "0x%02x", (unsigned)c->number);
    for (int i = 0; i < 4; i++) {
        int fd = rig_connect(port);
        for (int round = 0; round < ROUNDS; round++) {
            rig_say(fd, text);
            struct reply r = rig_read(fd, 20000);
            c->wrong += r.status != 200 || strncmp(r.body, wanted, strlen(wanted)) != 0;
            reply_release(&r);
        }
        (void)close(fd);
    }
    free(text);
    return NULL;
}

static void test_C02_answers_find_the_loop_of_who_asked(void **state)
{
    (void)state;
    pthread_t threads[CLIENTS];
    struct client clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){i + 1, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, run_client, &clients[i]), 0);
    }
    for (int i = 0; i < CLIENTS; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_int_equal(clients[i].wrong, 0);
    }
}

/* What waits when the core goes is answered on all loops. */
static void test_a_core_that_goes_is_noticed_by_all_loops(void **state)
{
    (void)state;
    int fds[8];
    char *text = request_of(1);
    (void)shutdown(core.door, SHUT_RDWR);
    for (int i = 0; i < 8; i++) {
        fds[i] = rig_connect(port);
        rig_say(fds[i], text);
    }
    for (int i = 0; i < 8; i++) {
        struct pollfd waits = {.fd = fds[i], .events = POLLIN};
        while (poll(&waits, 1, 10) == 0) /* the room's tick */
            exchange_expire(&exchange, clock_mono_ms(), 60000);
        struct reply r = rig_read(fds[i], 20000);
        assert_int_equal(r.status, 503);
        reply_release(&r);
        (void)close(fds[i]);
    }
    free(text);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_all, close_all)
    const struct CMUnitTest tests[] = {
        TEST(test_C02_answers_find_the_loop_of_who_asked),
        TEST(test_a_core_that_goes_is_noticed_by_all_loops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
