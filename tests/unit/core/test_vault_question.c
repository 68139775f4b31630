/* Questions with one answer to the vault of a core that serves: of any type, one at a time, never waited for without end. */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "core/vault_question.h"
#include "support/test.h"

enum {
    LIFE = 3
};

static struct vault_question question;
static int ends[2]; /* core, vault */

static int up(void **state)
{
    (void)state;
    assert_int_equal(door_pair(ends).code, 0);
    vault_question_init(&question, ends[0], LIFE);
    return 0;
}

static int down(void **state)
{
    (void)state;
    vault_question_release(&question);
    (void)close(ends[0]);
    (void)close(ends[1]);
    return 0;
}

struct asker {
    pthread_t thread;
    uint8_t first; /* of the digest, or the subkey's purpose */
    bool wants_subkey;
    struct b_proof proof;
    struct b_subkey_is subkey;
    cc_err result;
};

static void *ask(void *argument)
{
    struct asker *asker = argument;
    struct b_digest digest = {.purpose = B_PURPOSE_STATE_HEAD, .digest = {asker->first}};
    struct b_subkey subkey = {.purpose = asker->first};
    const struct vault_asking asks_proof = {B_DIGEST, &digest,       sizeof digest,
                                            B_PROOF,  &asker->proof, sizeof asker->proof};
    const struct vault_asking asks_subkey = {B_SUBKEY,    &subkey,        sizeof subkey,
                                             B_SUBKEY_IS, &asker->subkey, sizeof asker->subkey};
    asker->result = vault_question_ask(&question, asker->wants_subkey ? &asks_subkey : &asks_proof);
    return NULL;
}

static void begin(struct asker *asker)
{
    assert_int_equal(pthread_create(&asker->thread, NULL, ask, asker), 0);
}

static enum error_code end(struct asker *asker)
{
    assert_int_equal(pthread_join(asker->thread, NULL), 0);
    return (enum error_code)asker->result.code;
}

/* What the vault is asked; the id of it. */
static uint64_t asked(uint16_t type, uint8_t first)
{
    static struct door_message message;
    struct b_digest digest;
    struct b_subkey subkey;
    assert_int_equal(door_receive(ends[1], LIFE, door_b_to_vault, &message).code, 0);
    assert_int_equal(message.head.type, type);
    if (type == B_DIGEST) {
        memcpy(&digest, message.items, sizeof digest);
        assert_int_equal(digest.digest[0], first);
        return digest.id;
    }
    memcpy(&subkey, message.items, sizeof subkey);
    assert_int_equal(subkey.purpose, first);
    return subkey.id;
}

static bool bring(uint16_t type, const void *item, size_t size)
{
    bool taken = false;
    assert_int_equal(vault_question_answer(&question, type, item, size, &taken).code, 0);
    return taken;
}

static void test_each_answer_finds_its_question(void **state)
{
    (void)state;
    struct asker proof = {.first = 7};
    struct asker subkey = {.first = B_SUBKEY_MIRROR, .wants_subkey = true};
    begin(&proof);
    const struct b_proof answer = {.id = asked(B_DIGEST, 7), .len = 64, .bytes = {1, 2, 3}};
    assert_true(bring(B_PROOF, &answer, sizeof answer));
    assert_int_equal(end(&proof), 0);
    assert_memory_equal(&proof.proof, &answer, sizeof answer);
    begin(&subkey);
    const struct b_subkey_is key = {.id = asked(B_SUBKEY, B_SUBKEY_MIRROR), .key = {4, 5, 6}};
    assert_false(bring(B_PROOF, &answer, sizeof answer)); /* once more: nobody asked that */
    assert_true(bring(B_SUBKEY_IS, &key, sizeof key));
    assert_int_equal(end(&subkey), 0);
    assert_memory_equal(&subkey.subkey, &key, sizeof key);
}

static void test_one_question_at_a_time(void **state)
{
    (void)state;
    struct asker askers[2] = {{.first = 1}, {.first = 1}};
    begin(&askers[0]);
    begin(&askers[1]);
    uint64_t last = 0;
    for (int i = 0; i < 2; i++) {
        const struct b_proof answer = {.id = asked(B_DIGEST, 1), .len = 64};
        assert_true(answer.id > last);
        last = answer.id;
        assert_true(bring(B_PROOF, &answer, sizeof answer));
    }
    assert_int_equal(end(&askers[0]), 0);
    assert_int_equal(end(&askers[1]), 0);
}

static void test_what_the_vault_refuses(void **state)
{
    (void)state;
    struct asker asker = {.first = 2, .wants_subkey = true};
    begin(&asker);
    const struct b_subkey_is answer = {.id = asked(B_SUBKEY, 2), .error = ERROR_SEALED};
    assert_true(bring(B_SUBKEY_IS, &answer, sizeof answer));
    assert_int_equal(end(&asker), ERROR_SEALED);
}

static void test_an_answer_of_another_kind_is_none(void **state)
{
    (void)state;
    bool taken = false;
    struct asker asker = {.first = 2};
    begin(&asker);
    const struct b_subkey_is answer = {.id = asked(B_DIGEST, 2)};
    assert_int_equal(
        vault_question_answer(&question, B_SUBKEY_IS, &answer, sizeof answer, &taken).code,
        ERROR_PROTOCOL);
    vault_question_gone(&question); /* what the receiver does then */
    assert_int_equal(end(&asker), ERROR_DOOR_CLOSED);
}

static void test_a_vault_that_is_gone(void **state)
{
    (void)state;
    struct asker asker = {.first = 3};
    begin(&asker);
    (void)asked(B_DIGEST, 3);
    vault_question_gone(&question);
    assert_int_equal(end(&asker), ERROR_DOOR_CLOSED);
    begin(&asker);
    assert_int_equal(end(&asker), ERROR_DOOR_CLOSED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_answer_finds_its_question), TEST(test_one_question_at_a_time),
        TEST(test_what_the_vault_refuses),         TEST(test_an_answer_of_another_kind_is_none),
        TEST(test_a_vault_that_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
