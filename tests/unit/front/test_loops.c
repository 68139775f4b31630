/* The HTTP server with more loops than this machine's front would have: connections are spread, one loop reads the door, and
 * each answer finds the loop of who asked.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#include "support/front_loops.h"
#include "support/test.h"

enum {
    LOOPS = 3,
    CLIENTS = 12,
    ROUNDS = 60
};

static struct front_loops loops;

static int open_all(void **state)
{
    (void)state;
    front_loops_defaults(&loops);
    front_loops_open(&loops, LOOPS, NULL);
    front_loops_start_core(&loops);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    front_loops_close(&loops);
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
        int fd = rig_connect(loops.port);
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
    (void)shutdown(loops.core.door, SHUT_RDWR);
    for (int i = 0; i < 8; i++) {
        fds[i] = rig_connect(loops.port);
        rig_say(fds[i], text);
    }
    for (int i = 0; i < 8; i++) {
        struct pollfd waits = {.fd = fds[i], .events = POLLIN};
        while (poll(&waits, 1, 10) == 0) /* the room's tick */
            exchange_expire(&loops.exchange, clock_mono_ms(), 60000);
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
