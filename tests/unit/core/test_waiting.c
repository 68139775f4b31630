/* A core that waits for its database answers each kind of question at once, in its own words. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/scope.h"
#include "core/waiting.h"
#include "support/test.h"

enum {
    LIFE = 4
};

static int line[2];
static struct waiting *waiting;
static struct door_message *message;
static struct config *config;

static int set_up(void **state)
{
    (void)state;
    waiting = calloc(1, sizeof *waiting);
    message = calloc(1, sizeof *message);
    config = calloc(1, sizeof *config);
    assert_true(waiting && message && config);
    config_defaults(config);
    waiting->config = config;
    waiting->error = ERROR_STORE;
    return (int)door_pair(line).code;
}

static int tear_down(void **state)
{
    (void)state;
    (void)close(line[0]);
    (void)close(line[1]);
    free(waiting);
    free(message);
    free(config);
    return 0;
}

static void ask(uint16_t type, const void *item, size_t size, uint16_t answer_type)
{
    assert_int_equal(door_send(line[1], LIFE, type, item, size, 1).code, 0);
    assert_int_equal(waiting_answer(waiting, line[0], LIFE).code, 0);
    assert_int_equal(door_receive(line[1], LIFE, door_a_to_front, message).code, 0);
    assert_int_equal(message->head.type, answer_type);
}

static void test_work_on_keys_is_answered_and_its_passwords_are_wiped(void **state)
{
    static const uint8_t none[64];
    static struct a_keys keys = {
        .head = {.id = 77, .verb = KEYS_IMPORT, .scope = SCOPE_IMPORT_KEYSTORES, .count = 1}};
    struct a_keys_done done;
    (void)state;
    memset(keys.is.imports[0].keystore.password, 'x', 64);
    ask(A_KEYS, &keys, sizeof keys, A_KEYS_DONE);
    memcpy(&done, message->items, sizeof done);
    assert_int_equal(done.head.id, 77);
    assert_int_equal(done.head.verb, KEYS_IMPORT); /* or the front takes it for another's answer */
    assert_int_equal(done.head.scope, SCOPE_IMPORT_KEYSTORES);
    assert_int_equal(done.head.error, ERROR_STORE);
    assert_int_equal(done.head.count, 0);
    const size_t at = offsetof(struct a_keys, is.imports[0].keystore.password);
    assert_memory_equal(waiting->message.items + at, none, sizeof none);
}

static void test_T25_a_sealed_core_says_so_of_work_on_keys(void **state)
{
    static struct a_keys keys = {
        .head = {.id = 78, .verb = KEYS_LIST, .scope = SCOPE_CHAMBER_KEYS_LIST}};
    struct a_keys_done done;
    (void)state;
    waiting->error = ERROR_SEALED;
    ask(A_KEYS, &keys, sizeof keys, A_KEYS_DONE);
    memcpy(&done, message->items, sizeof done);
    assert_int_equal(done.head.id, 78);
    assert_int_equal(done.head.verb, KEYS_LIST);
    assert_int_equal(done.head.error, ERROR_SEALED);
}

static void test_questions_are_answered(void **state)
{
    const struct a_query query = {.id = 79, .question = ASK_HIGH_WATERMARK};
    struct a_high_watermark high;
    (void)state;
    ask(A_QUERY, &query, sizeof query, A_HIGH_WATERMARK);
    memcpy(&high, message->items, sizeof high);
    assert_int_equal(high.id, 79);
    assert_int_equal(high.error, ERROR_STORE);
}

static void test_attestations_are_refused(void **state)
{
    static const struct a_attest attest = {.id = 80};
    static struct a_attested attested;
    (void)state;
    ask(A_ATTEST, &attest, sizeof attest, A_ATTESTED);
    memcpy(&attested, message->items, sizeof attested);
    assert_int_equal(attested.id, 80);
    assert_int_equal(attested.error, ERROR_STORE);
    assert_int_equal(attested.len, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_work_on_keys_is_answered_and_its_passwords_are_wiped),
        TEST(test_T25_a_sealed_core_says_so_of_work_on_keys),
        TEST(test_questions_are_answered),
        TEST(test_attestations_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
