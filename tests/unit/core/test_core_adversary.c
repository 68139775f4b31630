/* A captured front: everything that it can send, and what it gets for it (C1). */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"

#include "crypto/bls.h"
#include "support/core_room.h"
#include "support/test.h"

enum {
    KEYS = 2
};

static struct core_room room;
static struct door_message message;
static uint64_t random_state = 0x5eedULL; /* printed; a fixed sequence */

static int up(void **state)
{
    (void)state;
    core_room_up(&room, KEYS);
    return 0;
}

static int down(void **state)
{
    (void)state;
    core_room_remove(&room);
    return 0;
}

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* --- what may stand in an answer ------------------------------------------------------------------------------ */

static bool is_zero(const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    uint8_t any = 0;
    for (size_t i = 0; i < len; i++)
        any |= at[i];
    return any == 0;
}

/* No key, in either byte order, anywhere in the message. */
static void assert_no_key_bytes(const struct door_message *from)
{
    size_t len = from->head.count * (size_t)from->head.item_size;
    for (unsigned n = 1; n <= KEYS; n++) {
        uint8_t secret[32];
        uint8_t reversed[32];
        test_secret(n, secret);
        for (size_t i = 0; i < sizeof secret; i++)
            reversed[i] = secret[sizeof secret - 1 - i];
        assert_null(memmem(from->items, len, secret, sizeof secret));
        assert_null(memmem(from->items, len, reversed, sizeof reversed));
    }
}

/* A signature and its root, or an error and, where slashing protection or the root speaks, what ran into what. */
static void assert_plain_answer(const struct a_signed *answer, const struct a_sign *request)
{
    cc_err err = error_from_number(answer->error);
    assert_int_equal(answer->id, request->id);
    assert_true(answer->error < ERROR_CODE_END);
    if (!err.code) {
        assert_int_equal(answer->rule, 0);
        assert_int_equal(
            bls_verify(request->request.pubkey.bytes, answer->root.bytes, answer->signature.bytes)
                .code,
            0);
        return;
    }
    assert_true(is_zero(&answer->signature, sizeof answer->signature));
    if (!error_is(err, ERROR_SLASHABLE)) {
        assert_int_equal(answer->earlier_slot, 0);
        assert_int_equal(answer->earlier_source, 0);
        assert_int_equal(answer->earlier_target, 0);
    }
    if (!error_is(err, ERROR_SLASHABLE) && !error_is(err, ERROR_DENIED))
        assert_int_equal(answer->rule, 0);
    enum error_class class = error_class(err);
    assert_true(class == CLASS_INPUT || class == CLASS_AUTH || class == CLASS_REFUSED ||
                class == CLASS_NOT_FOUND);
}

static struct a_signed ask(const struct a_sign *request)
{
    struct a_signed answer;
    assert_int_equal(
        door_send(room.front, room.front_life, A_SIGN, request, sizeof *request, 1).code, 0);
    assert_int_equal(door_receive(room.front, room.front_life, door_a_to_front, &message).code, 0);
    assert_int_equal(message.head.type, A_SIGNED);
    assert_int_equal(message.head.count, 1);
    assert_no_key_bytes(&message);
    memcpy(&answer, message.items, sizeof answer);
    assert_plain_answer(&answer, request);
    return answer;
}

static void assert_still_serves(uint64_t target)
{
    const struct a_sign request = test_attestation(2, target - 1, target, 1);
    assert_int_equal(ask(&request).error, 0);
}

/* --- requests that are well framed ------------------------------------------------------------------------------- */

static void test_C01_every_kind_with_every_flag(void **state)
{
    (void)state;
    for (uint32_t kind = 0; kind < KIND_END + 4; kind++)
        for (uint32_t flags = 0; flags < 16; flags++) {
            struct a_sign request = test_object(1, KIND_RANDAO_REVEAL, (uint8_t)flags);
            request.request.kind = kind;
            request.request.flags = flags;
            const struct a_signed answer = ask(&request);
            if (kind >= KIND_END)
                assert_int_equal(answer.error, ERROR_KIND_UNKNOWN);
            else if (flags > 3)
                assert_int_equal(answer.error, ERROR_MALFORMED);
            else if (kind_info((enum eth_kind)kind)->class != KIND_CLASS_ROUTINE)
                assert_int_not_equal(answer.error, 0);
        }
    assert_still_serves(50);
}

static void test_C01_T20_kinds_outside_the_routine_class_are_denied(void **state)
{
    (void)state;
    for (int kind = 0; kind < KIND_END; kind++) {
        if (kind_info((enum eth_kind)kind)->class == KIND_CLASS_ROUTINE)
            continue;
        struct a_sign request = test_object(1, (enum eth_kind)kind, 1);
        assert_int_equal(ask(&request).error, ERROR_DENIED);
    }
}

/* The object root of a slashable message under a harmless kind gives another domain, so another root: what is signed
 * is never the slashable message.
 */
static void test_C01_a_vote_in_disguise_is_not_the_vote(void **state)
{
    const struct a_sign vote = test_attestation(1, 10, 11, 1);
    const struct signing_root root = ask(&vote).root;
    (void)state;
    for (int kind = 0; kind < KIND_END; kind++) {
        if (kind_info((enum eth_kind)kind)->slashable != SLASHABLE_NOTHING)
            continue;
        struct a_sign request = vote;
        request.request.kind = (uint32_t)kind;
        memset(&request.request.claim, 0, sizeof request.request.claim);
        for (unsigned filler = 0; filler < 2; filler++) {
            memset(&request.request.object_root, filler ? 0xff : 0, sizeof(struct eth_root));
            const struct a_signed answer = ask(&request);
            if (answer.error == 0)
                assert_memory_not_equal(&answer.root, &root, sizeof root);
        }
    }
}

/* The same vote for two fork versions would be two signatures of one vote; its epoch and history allow only one root. */
static void test_C01_the_same_vote_under_two_forks_is_one_vote(void **state)
{
    struct a_sign vote = test_attestation(1, 10, 11, 1);
    (void)state;
    assert_int_equal(ask(&vote).error, 0);
    vote.request.fork_info.fork.previous_version.bytes[0] ^= 1;
    vote.request.fork_info.fork.current_version.bytes[0] ^= 1;
    assert_int_equal(ask(&vote).error, ERROR_SLASHABLE);
    vote.request.fork_info.fork.epoch = 0;
    assert_int_equal(ask(&vote).error, ERROR_SLASHABLE);
    vote.request.epoch = 12; /* a lie about the epoch */
    assert_int_equal(ask(&vote).error, ERROR_MALFORMED);
}

static void flip_random_bits(struct a_sign *request)
{
    uint8_t *bytes = (uint8_t *)&request->request;
    unsigned flips = 1 + (unsigned)(next_random() % 8);
    for (unsigned i = 0; i < flips; i++)
        bytes[next_random() % sizeof request->request] ^= (uint8_t)(1U << next_random() % 8);
}

static void test_C01_flipped_requests_get_plain_answers(void **state)
{
    unsigned signatures = 0;
    (void)state;
    print_message("seed %llx\n", (unsigned long long)random_state);
    for (unsigned i = 0; i < 3000; i++) {
        struct a_sign request = i % 3 == 0   ? test_attestation(1, 100 + i, 101 + i, 1)
                                : i % 3 == 1 ? test_block(1, 10000 + i, 1)
                                             : test_object(1, KIND_AGGREGATION_SLOT, 1);
        flip_random_bits(&request);
        signatures += ask(&request).error == 0;
    }
    assert_true(signatures > 0); /* many flips hit what is free to choose */
    assert_still_serves(100000);
}

static void test_C01_random_requests_get_plain_answers(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        struct a_sign request;
        uint8_t *bytes = (uint8_t *)&request;
        for (size_t at = 0; at < sizeof request; at++)
            bytes[at] = (uint8_t)next_random();
        assert_int_not_equal(ask(&request).error, 0);
    }
    assert_still_serves(50);
}

/* --- messages that are not -------------------------------------------------------------------------------------------- */

/* The core hangs up, tells the supervisor, and serves the next front. */
static void assert_shut_out(const void *packet, size_t len)
{
    assert_int_equal(write(room.front, packet, len), len);
    assert_true(error_is(door_receive(room.front, room.front_life, door_a_to_front, &message),
                         ERROR_DOOR_CLOSED));
    const struct control report = core_room_expect(&room, CONTROL_PEER_STALLED);
    assert_int_equal(report.value, ROOM_FRONT);
    core_room_next_front(&room);
}

static struct door_message packet;

static size_t good_packet(void)
{
    const struct a_sign item = test_attestation(1, 10, 11, 1);
    packet.head = (struct door_head){DOOR_VERSION, A_SIGN, room.front_life, 1, sizeof item};
    memcpy(packet.items, &item, sizeof item);
    return sizeof packet.head + sizeof item;
}

static void test_C01_malformed_messages_are_shut_out(void **state)
{
    size_t len = 0;
    (void)state;
    len = good_packet();
    packet.head.version++;
    assert_shut_out(&packet, len);
    len = good_packet();
    packet.head.life++; /* of another life */
    assert_shut_out(&packet, len);
    len = good_packet();
    packet.head.life--;
    assert_shut_out(&packet, len);
    len = good_packet();
    packet.head.type = A_SIGNED; /* an answer to the core */
    assert_shut_out(&packet, len);
    len = good_packet();
    packet.head.type = 0x35; /* B_SIGN: of another door */
    assert_shut_out(&packet, len);
    len = good_packet();
    packet.head.count = 2;
    assert_shut_out(&packet, len);
    len = good_packet();
    packet.head.count = UINT32_MAX;
    assert_shut_out(&packet, len);
    len = good_packet();
    packet.head.count = 0;
    assert_shut_out(&packet, sizeof packet.head);
    len = good_packet();
    packet.head.item_size--;
    assert_shut_out(&packet, len - 1);
    len = good_packet();
    assert_shut_out(&packet, len - 1);
    len = good_packet();
    assert_shut_out(&packet, len + 1);
    assert_shut_out(&packet, 3);
    assert_still_serves(50);
}

static void test_C01_questions_out_of_the_table_are_shut_out(void **state)
{
    static const uint32_t questions[] = {0, ASK_ALLOWED + 1, UINT32_MAX};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(questions); i++) {
        const struct a_query query = {.id = 1, .question = questions[i]};
        packet.head = (struct door_head){DOOR_VERSION, A_QUERY, room.front_life, 1, sizeof query};
        memcpy(packet.items, &query, sizeof query);
        assert_shut_out(&packet, sizeof packet.head + sizeof query);
    }
    assert_still_serves(50);
}

static void test_C01_random_packets_never_stop_the_core(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 60; i++) {
        size_t len = 1 + next_random() % 2048;
        uint8_t *bytes = (uint8_t *)&packet;
        for (size_t at = 0; at < len; at++)
            bytes[at] = (uint8_t)next_random();
        assert_shut_out(&packet, len);
    }
    assert_still_serves(50);
}

/* Every question there is, and nothing in the answers but what is asked for. */
static void test_C01_questions_give_no_secret(void **state)
{
    (void)state;
    for (unsigned question = ASK_PUBLIC_KEYS; question <= ASK_HIGH_WATERMARK; question++) {
        core_room_ask(&room, (enum a_question)question, &message);
        assert_no_key_bytes(&message);
        if (question == ASK_PUBLIC_KEYS) {
            struct a_public_keys chunk;
            memcpy(&chunk, message.items, sizeof chunk);
            assert_int_equal(chunk.count, KEYS);
            assert_true(is_zero(&chunk.keys[KEYS], sizeof chunk.keys - KEYS * sizeof *chunk.keys));
        }
    }
}

/* The search finds what it looks for: a message with a key in it. */
static void test_C01_positive_control(void **state)
{
    uint8_t secret[32];
    (void)state;
    test_secret(1, secret);
    memset(packet.items, 0, 1000);
    memcpy(packet.items + 777, secret, sizeof secret);
    assert_non_null(memmem(packet.items, 1000, secret, sizeof secret));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_C01_every_kind_with_every_flag),
        TEST(test_C01_T20_kinds_outside_the_routine_class_are_denied),
        TEST(test_C01_a_vote_in_disguise_is_not_the_vote),
        TEST(test_C01_the_same_vote_under_two_forks_is_one_vote),
        TEST(test_C01_flipped_requests_get_plain_answers),
        TEST(test_C01_random_requests_get_plain_answers),
        TEST(test_C01_malformed_messages_are_shut_out),
        TEST(test_C01_questions_out_of_the_table_are_shut_out),
        TEST(test_C01_random_packets_never_stop_the_core),
        TEST(test_C01_questions_give_no_secret),
        cmocka_unit_test(test_C01_positive_control),
    };
    core_room_reserve_metrics();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
