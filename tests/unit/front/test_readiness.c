/* Connections that wait in a socket which somebody else keeps open: taken once a signature would succeed, or at the limit. */
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#include "front/readiness.h"
#include "support/front_rig.h"
#include "support/test.h"

enum {
    QUESTIONS_UNREADY = 3,
    WAIT_MS = 10000
};

static struct rig rig;
static _Atomic int unready; /* so many of the next questions are answered with "not yet" */
static _Atomic bool silent;

static void slow_core(struct rig *r, const struct door_message *message)
{
    const struct a_query *query = (const void *)message->items;
    const bool asks = message->head.type == A_QUERY && query->question == ASK_HEALTH;
    if (asks && atomic_load(&silent))
        return;
    if (asks && atomic_load(&unready) > 0) {
        const struct a_health health = {.id = query->id, .keys_complete = 1, .store_up = 1};
        atomic_fetch_sub(&unready, 1);
        (void)door_send(r->door, RIG_LIFE, A_HEALTH, &health, sizeof health, 1).code;
        return;
    }
    rig_good_core(r, message);
}

static void open_rig(int questions)
{
    atomic_store(&unready, questions);
    rig_defaults(&rig);
    rig.core = slow_core;
    rig.held = true;
    rig.core_comes_late = true;
    rig_open(&rig);
}

static bool answers(int fd)
{
    static const char request[] =
        "GET /upcheck HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    char answer[1024] = "";
    struct pollfd waits = {.fd = fd, .events = POLLIN};
    rig_send(fd, request, sizeof request - 1);
    return poll(&waits, 1, WAIT_MS) == 1 && recv(fd, answer, sizeof answer - 1, 0) > 0 &&
           strncmp(answer, "HTTP/1.1 200", 12) == 0;
}

static void test_who_connects_waits_until_a_signature_would_succeed(void **state)
{
    (void)state;
    open_rig(QUESTIONS_UNREADY);
    int waiting = rig_connect(rig.api_port);
    int beside = rig_connect(rig.metrics_port);
    int owner = rig_connect_unix(rig.admin_path);
    assert_true(answers(owner)); /* the operator's, and who reads metrics: at once */
    (void)close(owner);
    rig_send(beside, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 34);
    struct pollfd waits = {.fd = beside, .events = POLLIN};
    assert_int_equal(poll(&waits, 1, WAIT_MS), 1);
    (void)close(beside);
    waits = (struct pollfd){.fd = waiting, .events = POLLIN};
    rig_send(waiting, "GET /upcheck HTTP/1.1\r\nHost: localhost\r\n\r\n", 43);
    assert_int_equal(poll(&waits, 1, 300), 0); /* the core has not said a word yet */
    rig_start_core(&rig);
    assert_int_equal(poll(&waits, 1, WAIT_MS), 1);
    assert_int_equal(atomic_load(&unready), 0);
    (void)close(waiting);
    int next = rig_connect(rig.api_port);
    assert_true(answers(next));
    (void)close(next);
    (void)close(rig.kept_fd);
    assert_int_equal(rig_close(&rig).code, 0);
}

/* The front ends while it waits: nobody is cut, who waits stays in the socket for the next one. */
static void test_an_end_while_they_wait_takes_nobody(void **state)
{
    (void)state;
    atomic_store(&silent, true);
    open_rig(0);
    rig_start_core(&rig);
    int waiting = rig_connect(rig.api_port);
    struct pollfd waits = {.fd = waiting, .events = POLLIN};
    assert_int_equal(control_send(rig.control, CONTROL_DRAIN, RIG_LIFE, 1, -1).code, 0);
    (void)rig_expect(&rig, CONTROL_DRAINED);
    assert_int_equal(poll(&waits, 1, 0), 0);
    int taken = accept(rig.kept_fd, NULL, NULL);
    assert_true(taken >= 0);
    (void)close(taken);
    (void)close(waiting);
    (void)close(rig.kept_fd);
    atomic_store(&silent, false);
    assert_int_equal(rig_close(&rig).code, 0);
}

/* A core that says nothing, and one that can't be asked: the limit ends the wait. */
static void test_the_limit_ends_it(void **state)
{
    (void)state;
    struct exchange exchange;
    struct readiness readiness;
    assert_int_equal(exchange_init(&exchange, 1, NULL).code, 0);
    uint64_t now = clock_mono_ms();
    readiness_init(&exchange, now, &readiness);
    assert_false(readiness_tick(&readiness,
                                now)); /* there is no door: it is answered at once, with an error */
    assert_false(readiness_tick(&readiness, now + READINESS_LIMIT_MS - 1));
    assert_true(readiness_tick(&readiness, now + READINESS_LIMIT_MS) ||
                readiness_tick(&readiness, now + READINESS_LIMIT_MS));
    exchange_stop(&exchange);
    readiness_release(&readiness);
    exchange_release(&exchange);
}

/* A question that is still on its way doesn't hold them up longer. */
static void test_the_limit_ends_it_while_the_core_says_nothing(void **state)
{
    (void)state;
    struct ticket on_its_way = {0};
    struct readiness readiness;
    readiness_init(NULL, 1000, &readiness);
    readiness.ticket = &on_its_way;
    assert_false(readiness_tick(&readiness, 1000 + READINESS_LIMIT_MS - 1));
    assert_true(readiness_tick(&readiness, 1000 + READINESS_LIMIT_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_connects_waits_until_a_signature_would_succeed),
        cmocka_unit_test(test_an_end_while_they_wait_takes_nobody),
        cmocka_unit_test(test_the_limit_ends_it),
        cmocka_unit_test(test_the_limit_ends_it_while_the_core_says_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
