#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#include "support/test.h"
#include "wire/control.h"
#include "wire/door.h"
#include "wire/door_a.h"
#include "wire/door_key.h"

struct item {
    uint64_t a;
    uint64_t b;
};

enum {
    TYPE = 9,
    LIFE = 3
};
static const struct door_type accepted[] = {{TYPE, sizeof(struct item), 4}, {0, 0, 0}};

static struct door_message *message;
static int fds[2];

static int open_door(void **state)
{
    (void)state;
    message = malloc(sizeof *message);
    return message && !door_pair(fds).code ? 0 : -1;
}

static int close_door(void **state)
{
    (void)state;
    free(message);
    for (int i = 0; i < 2; i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
    return 0;
}

static void test_items_arrive_as_sent(void **state)
{
    (void)state;
    const struct item items[2] = {{1, 2}, {3, UINT64_MAX}};
    assert_int_equal(door_send(fds[0], LIFE, TYPE, items, sizeof items[0], 2).code, 0);
    assert_int_equal(door_receive(fds[1], LIFE, accepted, message).code, 0);
    assert_int_equal(message->head.count, 2);
    assert_memory_equal(message->items, items, sizeof items);
}

/* Each field of the head, wrong by itself. */
static void test_C01_a_malformed_message_never_reaches_a_handler(void **state)
{
    (void)state;
    const struct {
        struct door_head head;
        size_t body;
    } bad[] = {
        {{0, TYPE, LIFE, 1, 16}, 16},
        {{0xCC02, TYPE, LIFE, 1, 16}, 16},
        {{DOOR_VERSION, TYPE + 1, LIFE, 1, 16}, 16},
        {{DOOR_VERSION, 0, LIFE, 1, 16}, 16},
        {{DOOR_VERSION, TYPE, LIFE + 1, 1, 16}, 16},
        {{DOOR_VERSION, TYPE, LIFE, 0, 16}, 0},
        {{DOOR_VERSION, TYPE, LIFE, 5, 16}, 80},
        {{DOOR_VERSION, TYPE, LIFE, 1, 15}, 15},
        {{DOOR_VERSION, TYPE, LIFE, 1, 17}, 17},
        {{DOOR_VERSION, TYPE, LIFE, 2, 16}, 16},
        {{DOOR_VERSION, TYPE, LIFE, 1, 16}, 32},
        {{DOOR_VERSION, TYPE, LIFE, UINT32_MAX, 16}, 16},
        {{DOOR_VERSION, TYPE, LIFE, 0x10000001, 16}, 16},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint8_t packet[256] = {0};
        memcpy(packet, &bad[i].head, sizeof bad[i].head);
        size_t len = sizeof bad[i].head + bad[i].body;
        assert_int_equal(write(fds[0], packet, len), len);
        assert_true(error_is(door_receive(fds[1], LIFE, accepted, message), ERROR_PROTOCOL));
    }
    assert_int_equal(write(fds[0], "short", 5), 5);
    assert_true(error_is(door_receive(fds[1], LIFE, accepted, message), ERROR_PROTOCOL));
}

static void test_a_closed_peer_is_an_error_on_both_sides(void **state)
{
    (void)state;
    const struct item item = {1, 2};
    (void)signal(SIGPIPE, SIG_IGN);
    (void)close(fds[0]);
    fds[0] = -1;
    assert_true(error_is(door_receive(fds[1], LIFE, accepted, message), ERROR_DOOR_CLOSED));
    assert_true(error_is(door_send(fds[1], LIFE, TYPE, &item, sizeof item, 1), ERROR_DOOR_CLOSED));
}

static void test_a_peer_that_does_not_read_is_given_up(void **state)
{
    (void)state;
    static uint8_t packet[64][1000];
    uint64_t start = clock_mono_ms();
    cc_err err = CC_OK;
    for (int i = 0; i < 100000 && !err.code; i++)
        err = door_send(fds[0], LIFE, TYPE, packet, sizeof packet[0], ARRAY_LEN(packet));
    assert_true(error_is(err, ERROR_DOOR_CLOSED));
    assert_true(clock_mono_ms() - start < 20 * DOOR_STALL_MS);
}

static void test_every_message_of_every_door_fits_a_packet(void **state)
{
    (void)state;
    const struct door_type *const tables[] = {
        door_a_to_core,    door_a_to_front,    door_b_to_vault,  door_b_to_core,
        door_key_to_vault, door_key_to_loader, door_load_to_core};
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        for (const struct door_type *t = tables[i]; t->type; t++) {
            assert_true(t->max_count >= 1);
            assert_true(t->max_count <= DOOR_FIT(t->item_size));
        }
    }
}

static void test_control_passes_one_descriptor_and_its_value(void **state)
{
    (void)state;
    int line[2];
    struct control got;
    int fd = -1;
    assert_int_equal(control_pair(line).code, 0);
    assert_int_equal(control_send(line[0], CONTROL_LISTENER, 5, LISTENER_UNIX, fds[0]).code, 0);
    assert_int_equal(control_receive(line[1], &got, &fd).code, 0);
    assert_int_equal(got.type, CONTROL_LISTENER);
    assert_int_equal(got.life, 5);
    assert_int_equal(got.value, LISTENER_UNIX);
    assert_true(fd >= 0 && fd != fds[0]);
    (void)close(fd);
    assert_int_equal(control_send(line[0], CONTROL_START, 5, 0, -1).code, 0);
    assert_int_equal(control_receive(line[1], &got, &fd).code, 0);
    assert_int_equal(fd, -1);
    assert_int_equal(write(line[0], "x", 1), 1);
    assert_true(error_is(control_receive(line[1], &got, &fd), ERROR_PROTOCOL));
    (void)close(line[0]);
    assert_true(error_is(control_receive(line[1], &got, &fd), ERROR_DOOR_CLOSED));
    (void)close(line[1]);
}

#define WITH_DOOR(test) cmocka_unit_test_setup_teardown(test, open_door, close_door)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DOOR(test_items_arrive_as_sent),
        WITH_DOOR(test_C01_a_malformed_message_never_reaches_a_handler),
        WITH_DOOR(test_a_closed_peer_is_an_error_on_both_sides),
        WITH_DOOR(test_a_peer_that_does_not_read_is_given_up),
        cmocka_unit_test(test_every_message_of_every_door_fits_a_packet),
        WITH_DOOR(test_control_passes_one_descriptor_and_its_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
