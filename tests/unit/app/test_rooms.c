#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"

#include "app/rooms.h"
#include "support/test.h"

/* This program is its own rooms: the supervisor's side executes it again as `room NAME`, and a fake room plays what the
 * configuration's `network` says.
 */

static struct config part;

static cc_err read_part(enum config_room room)
{
    CC_CLEANUP(buf_release) struct buf blob = buf_init(1 << 17);
    CC_TRY(fd_read_all(ROOM_FD_CONFIG, &blob));
    return config_decode(buf_span(&blob), room, &part);
}

static bool plays(const char *role)
{
    return strcmp(part.network.network, role) == 0;
}

static void tell(enum control_type type, uint64_t value)
{
    cc_err err = control_send(ROOM_FD_CONTROL, type, 0, value, -1);
    (void)err;
}

static void fake_started(enum room room)
{
    if (room == ROOM_CORE && plays("core fails")) {
        tell(CONTROL_FAILED, ERROR_TAMPERED);
        _exit(1);
    }
    if (room == ROOM_LOADER)
        _exit(0);
    tell(CONTROL_READY, 0);
    if (room == ROOM_FRONT && plays("front accuses core"))
        tell(CONTROL_PEER_STALLED, ROOM_CORE);
    if (room == ROOM_FRONT && plays("front wants a loader"))
        tell(CONTROL_WANT_LOADER, 0);
    if (room == ROOM_CORE && plays("core wants loaders"))
        for (int i = 0; i < 3; i++)
            tell(CONTROL_WANT_LOADER, 0);
}

/* Waits for an order. A front whose door is closed has a last word, and ends, unless it plays one that hangs. */
static void await(int door_of_front)
{
    struct pollfd fds[] = {{.fd = ROOM_FD_CONTROL, .events = POLLIN}, {.fd = door_of_front}};
    while (poll(fds, ARRAY_LEN(fds), -1) < 1)
        ;
    if (!fds[1].revents)
        return;
    (void)poll(NULL, 0, 20); /* its clients read slowly */
    log_info("says its last word");
    tell(CONTROL_FAILED, ERROR_DOOR_CLOSED);
    _exit(1);
}

/* Logs every door it gets with its life, and ends when its line is closed. */
static int fake_main(const char *name)
{
    int door_of_front = -1;
    enum room room = ROOM_FRONT;
    while (room < ROOM_END && strcmp(room_name(room), name) != 0)
        room++;
    log_init(ROOM_FD_LOG, false, LOG_LEVEL_DEBUG);
    if (read_part(room == ROOM_FRONT    ? CONFIG_FOR_FRONT
                  : room == ROOM_CORE   ? CONFIG_FOR_CORE
                  : room == ROOM_VAULT  ? CONFIG_FOR_VAULT
                  : room == ROOM_LOADER ? CONFIG_FOR_LOADER
                                        : CONFIG_FOR_FORWARDER)
            .code)
        return 1;
    for (;;) {
        struct control message;
        int fd = -1;
        await(door_of_front);
        if (control_receive(ROOM_FD_CONTROL, &message, &fd).code)
            return 0;
        if (room == ROOM_FRONT && message.type == CONTROL_DOOR_FRONT && !plays("front hangs"))
            door_of_front = fd;
        if (fd >= 0)
            log_info("got", KV_NUM("type", message.type), KV_NUM("life", message.life));
        if (message.type == CONTROL_START)
            fake_started(room);
        if (message.type == CONTROL_DRAIN && room == ROOM_CORE)
            tell(CONTROL_PEER_STALLED, ROOM_FRONT); /* a way for a test to have it said */
    }
}

/* --- the supervisor's side -------------------------------------------------------------------------------------- */

static struct config config;
static struct rooms rooms;
static struct listeners listeners;
static struct egress_listeners egress;
static int out[2];
static char written[1 << 16];

static bool with_egress;

static void start(const char *role)
{
    config_defaults(&config);
    if (with_egress) {
        config.egress.routes.count = 2;
        (void)snprintf(config.egress.routes.items[0], CONFIG_TEXT_MAX, "a.test:20111=unix:/a");
        (void)snprintf(config.egress.routes.items[1], CONFIG_TEXT_MAX, "b.test:20111=vsock:3:1");
        (void)snprintf(config.egress.listen_address, sizeof config.egress.listen_address,
                       "127.%d.%d.7", getpid() >> 8 & 0x7f, getpid() & 0xff);
        assert_int_equal(egress_open(&config.egress, &egress).code, 0);
    }
    (void)snprintf(config.network.network, sizeof config.network.network, "%s", role);
    assert_int_equal(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
    assert_true(fcntl(out[1], F_SETPIPE_SZ, 1 << 20) > 0);
    config.server.listen_port = config.metrics.listen_port = 0;
    strcpy(config.server.admin_socket, "-");
    assert_int_equal(listeners_open(&config, NULL, &listeners).code, 0);
    int key = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    const struct rooms_setup setup = {.config = &config,
                                      .listeners = &listeners,
                                      .egress = &egress,
                                      .chamber_key = key,
                                      .mode = ROOM_MODE_SERVE,
                                      .sink = {out[1], false}};
    assert_int_equal(rooms_init(&rooms, &setup).code, 0);
    written[0] = 0;
}

static void stop(void)
{
    rooms_release(&rooms);
    listeners_close(&listeners);
    egress_close(&egress);
    (void)close(rooms.setup.chamber_key);
    (void)close(out[0]);
    (void)close(out[1]);
}

/* One turn of what app/loop.c does by epoll. */
static void turn(void)
{
    (void)rooms_tick(&rooms);
    (void)poll(NULL, 0, 2);
    for (enum room room = ROOM_FRONT; room < ROOM_END; room++) {
        rooms_on_control(&rooms, room);
        rooms_on_log(&rooms, room);
    }
    rooms_on_child_end(&rooms);
    size_t len = strlen(written);
    ssize_t n = read(out[0], written + len, sizeof written - 1 - len);
    written[len + (n > 0 ? (size_t)n : 0)] = 0;
}

static bool is_serving(void)
{
    return rooms.state == ROOMS_SERVING;
}

static bool has_failed(void)
{
    return rooms.state == ROOMS_FAILED;
}

static void turn_until(bool (*condition)(void))
{
    uint64_t deadline = clock_mono_ms() + 20000;
    do {
        turn();
        assert_true(clock_mono_ms() < deadline);
    } while (!condition());
}

static char awaited[64];

static bool is_written(void)
{
    return strstr(written, awaited) != NULL;
}

/* Waits for a fake room's word that it got an order. */
static void await_order(const char *room, unsigned type, unsigned life)
{
    (void)snprintf(awaited, sizeof awaited, "[%s] got type=%u life=%u", room, type, life);
    turn_until(is_written);
}

static pid_t pid_of(enum room room)
{
    return rooms.children[room].pid;
}

static pid_t old[ROOM_END];

static void remember(void)
{
    for (int i = 0; i < ROOM_END; i++)
        old[i] = rooms.children[i].pid;
}

static bool is_replaced(enum room room)
{
    return pid_of(room) > 0 && pid_of(room) != old[room];
}

static bool front_is_new(void)
{
    return is_serving() && is_replaced(ROOM_FRONT);
}

static void kill_and_recover(enum room room)
{
    remember();
    (void)kill(pid_of(room), SIGKILL);
    turn_until(front_is_new);
}

static void test_C02_what_a_death_replaces(void **state)
{
    (void)state;
    start("mainnet");
    turn_until(is_serving);
    assert_int_equal(rooms.life, 1);

    kill_and_recover(ROOM_FRONT);
    assert_false(is_replaced(ROOM_CORE) || is_replaced(ROOM_VAULT));
    assert_int_equal(rooms.life, 1);

    kill_and_recover(ROOM_CORE);
    assert_true(is_replaced(ROOM_CORE));
    assert_false(is_replaced(ROOM_VAULT));
    assert_int_equal(rooms.life, 2);

    /* The second life of a core brought the old vault a new door, with its number. */
    await_order("vault", CONTROL_DOOR_VAULT, 2);

    kill_and_recover(ROOM_VAULT);
    assert_true(is_replaced(ROOM_CORE) && is_replaced(ROOM_VAULT));
    assert_int_equal(rooms.life, 3);
    stop();
}

static uint32_t count_written(const char *text)
{
    uint32_t count = 0;
    for (const char *at = strstr(written, text); at; at = strstr(at + 1, text))
        count++;
    return count;
}

static bool two_last_words(void)
{
    return count_written("[front] says its last word") == 2;
}

/* Clients that wait for what the core will not answer any more are told so, by the front that took their requests. */
static void test_C02_a_front_whose_core_is_gone_has_the_last_word(void **state)
{
    (void)state;
    start("mainnet");
    turn_until(is_serving);
    kill_and_recover(ROOM_CORE);
    kill_and_recover(ROOM_VAULT);
    turn_until(two_last_words);
    stop();
}

static void test_C02_a_front_that_does_not_end_is_ended(void **state)
{
    (void)state;
    start("front hangs");
    turn_until(is_serving);
    kill_and_recover(ROOM_CORE);
    assert_null(strstr(written, "says its last word"));
    stop();
}

static void test_a_front_ends_no_core_by_a_word_and_starts_no_loader(void **state)
{
    (void)state;
    static const char *const roles[] = {"front accuses core", "front wants a loader"};
    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        start(roles[i]);
        turn_until(is_serving);
        kill_and_recover(ROOM_FRONT); /* all that the old one said has been heard by then */
        assert_int_equal(pid_of(ROOM_CORE), old[ROOM_CORE]);
        assert_null(strstr(written, "[loader]"));
        stop();
    }
}

static void test_a_core_has_a_front_that_does_not_read_ended(void **state)
{
    (void)state;
    start("mainnet");
    turn_until(is_serving);
    remember();
    rooms_tell(&rooms, ROOM_CORE, CONTROL_DRAIN, 0);
    turn_until(front_is_new);
    assert_int_equal(pid_of(ROOM_CORE), old[ROOM_CORE]);
    stop();
}

static bool forwarder_is_new(void)
{
    return is_serving() && is_replaced(ROOM_FORWARDER) && rooms.children[ROOM_FORWARDER].ready;
}

static void test_the_forwarder_comes_and_goes_alone(void **state)
{
    (void)state;
    start("mainnet");
    turn_until(is_serving);
    assert_false(rooms_alive(&rooms, ROOM_FORWARDER)); /* nothing to carry */
    stop();
    with_egress = true;
    start("mainnet");
    turn_until(is_serving);
    (void)snprintf(awaited, sizeof awaited, "[forwarder] got type=%d", CONTROL_LISTENER);
    turn_until(is_written);
    remember();
    (void)kill(pid_of(ROOM_FORWARDER), SIGKILL);
    turn_until(forwarder_is_new);
    assert_false(is_replaced(ROOM_FRONT) || is_replaced(ROOM_CORE) || is_replaced(ROOM_VAULT));
    kill_and_recover(ROOM_VAULT);
    assert_int_equal(pid_of(ROOM_FORWARDER), old[ROOM_FORWARDER]);
    stop();
    with_egress = false;
}

static bool loaders_are_done(void)
{
    return is_serving() && strstr(written, "[loader]") && !rooms_alive(&rooms, ROOM_LOADER) &&
           !rooms.loader_wanted;
}

static void test_one_loader_at_a_time_has_doors_to_vault_and_core(void **state)
{
    (void)state;
    start("core wants loaders");
    turn_until(loaders_are_done);
    await_order("loader", CONTROL_DOOR_KEY, 1);
    await_order("loader", CONTROL_DOOR_LOAD, 1);
    await_order("vault", CONTROL_DOOR_KEY, 1);
    stop();
}

static void test_a_first_start_that_fails_is_the_end_and_says_why(void **state)
{
    (void)state;
    start("core fails");
    turn_until(has_failed);
    assert_int_equal(rooms.failure, ERROR_TAMPERED);
    stop();
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "room") == 0)
        return fake_main(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_C02_what_a_death_replaces),
        cmocka_unit_test(test_C02_a_front_whose_core_is_gone_has_the_last_word),
        cmocka_unit_test(test_C02_a_front_that_does_not_end_is_ended),
        cmocka_unit_test(test_a_front_ends_no_core_by_a_word_and_starts_no_loader),
        cmocka_unit_test(test_a_core_has_a_front_that_does_not_read_ended),
        cmocka_unit_test(test_the_forwarder_comes_and_goes_alone),
        cmocka_unit_test(test_one_loader_at_a_time_has_doors_to_vault_and_core),
        cmocka_unit_test(test_a_first_start_that_fails_is_the_end_and_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
