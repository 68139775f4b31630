/* The room's entry: what it takes from the control line before it is locked, and what it refuses. */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/span.h"

#include "keys/loader.h"
#include "support/test.h"
#include "wire/door_key.h"

static struct config config;
static int control[2];
static int key_door[2];
static int load_door[2];
static int locked;
static cc_err lock_result;

static cc_err lock(enum room room)
{
    assert_int_equal(room, ROOM_LOADER);
    locked++;
    return lock_result;
}

static int setup(void **state)
{
    (void)state;
    locked = 0;
    lock_result = CC_OK;
    assert_int_equal(control_pair(control).code, 0);
    assert_int_equal(door_pair(key_door).code, 0);
    assert_int_equal(door_pair(load_door).code, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        (void)close(control[i]);
        (void)close(key_door[i]);
        (void)close(load_door[i]);
    }
    return 0;
}

static void send_control(uint32_t type, uint64_t value, int fd)
{
    assert_int_equal(control_send(control[0], type, 5, value, fd).code, 0);
}

static cc_err run(void)
{
    const struct room_context room = {.config = &config, .control_fd = control[1], .lock = lock};
    return loader_main(&room);
}

static void test_a_load_of_nothing(void **state)
{
    (void)state;
    struct control message;
    struct door_message answer;
    int fd;
    send_control(CONTROL_LOG_LEVEL, LOG_LEVEL_ERROR, -1);
    send_control(CONTROL_LOG_LEVEL, 1000, -1);
    send_control(CONTROL_DOOR_KEY, 0, key_door[0]);
    send_control(CONTROL_DOOR_LOAD, 0, load_door[0]);
    send_control(CONTROL_LISTENER, 0, load_door[0]); /* not for this room: closed */
    send_control(CONTROL_START, ROOM_MODE_SERVE, -1);
    const struct l_begin begin = {.history_id = {1}};
    assert_int_equal(door_send(load_door[1], 5, L_BEGIN, &begin, sizeof begin, 1).code, 0);
    assert_int_equal(run().code, 0);
    assert_int_equal(locked, 1);
    assert_int_equal(control_receive(control[0], &message, &fd).code, 0);
    assert_int_equal(message.type, CONTROL_READY);
    for (unsigned i = 0; i < 2; i++) {
        struct l_done done;
        assert_int_equal(door_receive(load_door[1], 5, door_load_to_core, &answer).code, 0);
        assert_int_equal(answer.head.type, L_DONE);
        memcpy(&done, answer.items, sizeof done);
        assert_int_equal(done.scanned, i == 0);
        assert_int_equal(done.complete, 1);
    }
}

static void test_it_does_not_start_without_its_doors(void **state)
{
    (void)state;
    send_control(CONTROL_DOOR_KEY, 0, key_door[0]);
    send_control(CONTROL_START, ROOM_MODE_SERVE, -1);
    assert_int_equal(run().code, ERROR_PROTOCOL);
    assert_int_equal(locked, 0);
}

static void test_a_door_comes_once_and_with_a_descriptor(void **state)
{
    (void)state;
    send_control(CONTROL_DOOR_KEY, 0, key_door[0]);
    send_control(CONTROL_DOOR_KEY, 0, key_door[0]);
    assert_int_equal(run().code, ERROR_PROTOCOL);
    send_control(CONTROL_DOOR_LOAD, 0, -1);
    assert_int_equal(run().code, ERROR_PROTOCOL);
    assert_int_equal(locked, 0);
}

static void test_it_reads_nothing_unless_it_is_locked_in(void **state)
{
    (void)state;
    struct door_message answer;
    config.key_sources.filesystem.path_count = 1;
    (void)snprintf(config.key_sources.filesystem.paths[0], CONFIG_PATH_MAX, "/nowhere");
    lock_result = CC_FAIL(SYSTEM, "test");
    send_control(CONTROL_DOOR_KEY, 0, key_door[0]);
    send_control(CONTROL_DOOR_LOAD, 0, load_door[0]);
    send_control(CONTROL_START, ROOM_MODE_SERVE, -1);
    assert_int_equal(run().code, ERROR_SYSTEM);
    (void)shutdown(load_door[0], SHUT_WR);
    assert_int_equal(door_receive(load_door[1], 5, door_load_to_core, &answer).code,
                     ERROR_DOOR_CLOSED);
    config.key_sources.filesystem.path_count = 0;
}

static void test_the_supervisor_goes_away(void **state)
{
    (void)state;
    (void)shutdown(control[0], SHUT_WR);
    assert_int_equal(run().code, ERROR_DOOR_CLOSED);
    assert_int_equal(locked, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_load_of_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_it_does_not_start_without_its_doors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_door_comes_once_and_with_a_descriptor, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_it_reads_nothing_unless_it_is_locked_in, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_the_supervisor_goes_away, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
