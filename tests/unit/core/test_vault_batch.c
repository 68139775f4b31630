/* Many questions to a vault that the test plays: out of order, too late, twice, never. */
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/vault_batch.h"
#include "support/test.h"

enum {
    LIFE = 3,
    ITEMS = 10
};

static struct vault_batch batch;
static int line[2];
static pthread_t asker;
static struct b_seal_row items[ITEMS];
static struct b_row answers[ITEMS];
static struct vault_questions questions;
static cc_err result;
static struct door_message message;

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(door_pair(line).code, 0);
    vault_batch_init(&batch, line[0], LIFE);
    memset(items, 0, sizeof items);
    memset(answers, 0, sizeof answers);
    questions = (struct vault_questions){.type = B_SEAL_ROW,
                                         .items = items,
                                         .size = sizeof *items,
                                         .count = ITEMS,
                                         .per_message = 2,
                                         .under_way = 4,
                                         .answer_type = B_ROW,
                                         .answers = answers,
                                         .answer_size = sizeof *answers,
                                         .patience_ms = 60000};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    vault_batch_release(&batch);
    (void)close(line[0]);
    (void)close(line[1]);
    return 0;
}

static void *ask(void *unused)
{
    (void)unused;
    result = vault_batch_ask(&batch, &questions);
    return NULL;
}

static void begin(void)
{
    assert_int_equal(pthread_create(&asker, NULL, ask, NULL), 0);
}

static cc_err end(void)
{
    assert_int_equal(pthread_join(asker, NULL), 0);
    return result;
}

/* The vault's side: what has come, as ids. */
static size_t receive(uint64_t *ret_ids)
{
    assert_int_equal(door_receive(line[1], LIFE, door_b_to_vault, &message).code, 0);
    const struct b_seal_row *asked = (const void *)message.items;
    for (size_t i = 0; i < message.head.count; i++)
        ret_ids[i] = asked[i].id;
    return message.head.count;
}

static void answer(uint64_t id, uint32_t error)
{
    static struct door_message from;
    const struct b_row row = {.id = id, .error = error};
    from.head = (struct door_head){.type = B_ROW, .count = 1, .item_size = sizeof row};
    memcpy(from.items, &row, sizeof row);
    vault_batch_answer(&batch, &from);
}

static bool nothing_waits(void)
{
    uint8_t byte;
    return recv(line[1], &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0;
}

static void test_answers_come_in_any_order_and_no_more_is_under_way_than_was_said(void **state)
{
    uint64_t ids[ITEMS];
    size_t n = 0;
    (void)state;
    begin();
    while (n < 4)
        n += receive(&ids[n]);
    assert_true(nothing_waits()); /* four are with the vault */
    answer(ids[3], ERROR_TAMPERED);
    answer(ids[3], 0); /* twice: the first one counts */
    answer(ids[0] + 500, 0);
    answer(0, 0);
    answer(ids[0], 0);
    n += receive(&ids[n]);
    assert_int_equal(n, 6);
    for (size_t answered = 1; answered < n; answered++) {
        if (answered != 3)
            answer(ids[answered], 0);
        while (n < ITEMS && n - answered < 3)
            n += receive(&ids[n]);
    }
    assert_int_equal(end().code, 0);
    for (size_t i = 0; i < ITEMS; i++) {
        assert_int_equal(answers[i].id, items[i].id);
        assert_int_equal(answers[i].error, i == 3 ? ERROR_TAMPERED : 0);
    }
}

static void test_a_vault_that_is_gone_ends_the_wait(void **state)
{
    uint64_t ids[ITEMS];
    (void)state;
    begin();
    (void)receive(ids);
    vault_batch_gone(&batch);
    assert_true(error_is(end(), ERROR_DOOR_CLOSED));
    assert_true(error_is(vault_batch_ask(&batch, &questions), ERROR_DOOR_CLOSED));
}

static void test_silence_is_an_error_and_a_late_answer_finds_nobody(void **state)
{
    uint64_t late[ITEMS], ids[ITEMS];
    (void)state;
    questions.patience_ms = 20;
    begin();
    (void)receive(late);
    assert_true(error_is(end(), ERROR_STORE));
    answer(late[0], 0);
    assert_int_equal(answers[0].id, 0);
    while (!nothing_waits())
        (void)receive(ids);
    questions.patience_ms = 60000;
    questions.count = 1;
    begin();
    (void)receive(ids);
    answer(late[0], ERROR_CRYPTO); /* of the batch before */
    answer(ids[0], 0);
    assert_int_equal(end().code, 0);
    assert_int_equal(answers[0].id, ids[0]);
    assert_int_equal(answers[0].error, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_answers_come_in_any_order_and_no_more_is_under_way_than_was_said),
        TEST(test_a_vault_that_is_gone_ends_the_wait),
        TEST(test_silence_is_an_error_and_a_late_answer_finds_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
