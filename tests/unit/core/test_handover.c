/* T9: what passes from one cluster to another is signed, whole, and leaves nothing out: slot, source and target. */
#include <string.h>

#include "core/handover.h"
#include "core/order.h"
#include "slash/store.h"
#include "support/test.h"

static const uint8_t seed[32] = {7};
static const uint8_t other_seed[32] = {8};
static uint8_t identity[ED25519_PUBLIC_SIZE];
static uint8_t other[ED25519_PUBLIC_SIZE];

static cc_err sign(void *context,
                   const uint8_t digest[static SHA256_SIZE],
                   uint8_t ret_signature[static ED25519_SIGNATURE_SIZE])
{
    uint8_t message[sizeof "containment-chamber/hand-over/v1" + SHA256_SIZE] =
        "containment-chamber/hand-over/v1";
    memcpy(message + sizeof message - SHA256_SIZE, digest, SHA256_SIZE);
    ed25519_sign(context, span_of(message, sizeof message), ret_signature);
    return CC_OK;
}

static struct state_signer signer_of(const uint8_t *key)
{
    return (struct state_signer){sign, (void *)(uintptr_t)key};
}

static struct slash_store *open_history(void)
{
    struct slash_store *store = NULL;
    struct slash_identity id = {.has_genesis_validators_root = true};
    memset(id.history_id, 1, sizeof id.history_id);
    memset(id.chamber_id, 2, sizeof id.chamber_id);
    memset(id.genesis_validators_root.bytes, 3, sizeof id.genesis_validators_root);
    assert_int_equal(slash_memory_open(&id, &store).code, 0);
    ed25519_public(seed, identity);
    ed25519_public(other_seed, other);
    return store;
}

static void record(struct slash_store *store, uint8_t key, struct slash_claim claim)
{
    struct slash_verdict verdict;
    memset(claim.pubkey.bytes, key, sizeof claim.pubkey);
    assert_int_equal(slash_register_keys(store, &claim.pubkey, 1, NULL).code, 0);
    assert_int_equal(slash_check_and_record(store, &claim, 1, &verdict).code, 0);
    assert_int_equal(verdict.rule, SLASH_SAFE);
}

static void vote(struct slash_store *store, uint8_t key, uint64_t source, uint64_t target)
{
    record(
        store, key,
        (struct slash_claim){.kind = SLASH_CLAIM_ATTESTATION, .source = source, .target = target});
}

static void set_high(struct slash_store *store, uint64_t epoch)
{
    const struct slash_high high = {true, epoch * 32, epoch};
    assert_int_equal(slash_set_high(store, &high).code, 0);
}

static struct handover make(struct slash_store *store, uint64_t epoch, struct buf *text)
{
    struct handover handover;
    const struct state_signer signer = signer_of(seed);
    assert_int_equal(handover_token_make(store, epoch, &signer, text).code, 0);
    assert_int_equal(handover_parse(buf_span(text), &handover).code, 0);
    return handover;
}

static void test_T09_a_token_names_the_newest_slot_source_and_target(void **state)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(HANDOVER_TEXT_MAX);
    struct slash_store *store = open_history();
    (void)state;
    vote(store, 1, 9, 10);
    vote(store, 2, 3, 12); /* the highest target and the highest source are different keys' */
    record(store, 3, (struct slash_claim){.kind = SLASH_CLAIM_BLOCK, .slot = 333});
    set_high(store, 20);
    const struct handover handover = make(store, 20, &text);
    assert_int_equal(handover.epoch, 20);
    assert_int_equal(handover.slot, 333);
    assert_int_equal(handover.source, 9);
    assert_int_equal(handover.target, 12);
    assert_int_equal(handover.history_id[0], 1);
    assert_int_equal(handover.chamber_id[0], 2);
    assert_int_equal(handover.network.bytes[0], 3);
    assert_int_equal(handover_verify(&handover, identity).code, 0);
    slash_store_close(store);
}

/* What was raised by hand may have been signed elsewhere. */
static void test_T09_low_watermarks_count(void **state)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(HANDOVER_TEXT_MAX);
    struct slash_store *store = open_history();
    const struct slash_watermark low = {true, true, 640, 18, 19};
    uint64_t count = 0;
    (void)state;
    vote(store, 1, 9, 10);
    assert_int_equal(slash_raise_all(store, &low, &count).code, 0);
    set_high(store, 20);
    const struct handover handover = make(store, 20, &text);
    assert_int_equal(handover.slot, 640);
    assert_int_equal(handover.source, 18);
    assert_int_equal(handover.target, 19);
    slash_store_close(store);
}

static void test_a_history_that_signs_on_gives_no_token(void **state)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(HANDOVER_TEXT_MAX);
    struct slash_store *store = open_history();
    const struct state_signer signer = signer_of(seed);
    (void)state;
    assert_int_equal(handover_token_make(store, 20, &signer, &text).code, ERROR_CONFLICT);
    set_high(store, 21);
    assert_int_equal(handover_token_make(store, 20, &signer, &text).code, ERROR_CONFLICT);
    set_high(store, 19);
    assert_int_equal(handover_token_make(store, 20, &signer, &text).code, 0);
    slash_store_close(store);
}

/* Whoever took over may have begun at it: only lower is safe. */
static void test_P07_a_high_watermark_that_stands_is_only_lowered(void **state)
{
    static const struct {
        struct slash_high high;
        bool force, accepted;
    } steps[] = {
        {{.set = false}, false, true},   {{true, 640, 20}, false, true},
        {{true, 640, 20}, false, true},  {{.set = false}, false, false},
        {{true, 960, 30}, false, false}, {{true, 641, 20}, false, false},
        {{true, 640, 21}, false, false}, {{true, 320, 10}, false, true},
        {{true, 640, 20}, false, false}, {{true, 640, 20}, true, true},
        {{.set = false}, true, true},    {{true, 960, 30}, false, true},
    };
    struct slash_store *store = open_history();
    struct slash_high stands, before = {0}, now;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        cc_err err = slash_hand_over(store, &steps[i].high, steps[i].force, &stands);
        assert_int_equal(err.code, steps[i].accepted ? 0 : ERROR_HANDED_OVER);
        const struct slash_high *wanted = steps[i].accepted ? &steps[i].high : &before;
        assert_int_equal(slash_probe(store, &now).code, 0);
        assert_int_equal(now.set, wanted->set);
        assert_int_equal(stands.set, wanted->set);
        if (wanted->set) {
            assert_int_equal(now.epoch, wanted->epoch);
            assert_int_equal(now.slot, wanted->slot);
            assert_int_equal(stands.epoch, wanted->epoch);
        }
        before = *wanted;
    }
    slash_store_close(store);
}

static void test_T09_a_changed_or_foreign_token_is_refused(void **state)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(HANDOVER_TEXT_MAX);
    uint8_t bytes[HANDOVER_TEXT_MAX];
    struct slash_store *store = open_history();
    struct handover handover;
    (void)state;
    vote(store, 1, 9, 10);
    set_high(store, 20);
    handover = make(store, 20, &text);
    assert_int_equal(handover_verify(&handover, identity).code, 0);
    assert_int_equal(handover_verify(&handover, other).code, ERROR_TAMPERED);
    memcpy(bytes, text.data, text.len);
    for (size_t i = 0; i < text.len; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            bytes[i] ^= (uint8_t)(1U << bit);
            const bool parsed = !handover_parse(span_of(bytes, text.len), &handover).code;
            assert_true(!parsed || handover_verify(&handover, identity).code);
            bytes[i] ^= (uint8_t)(1U << bit);
        }
    for (size_t len = 0; len < text.len; len++)
        assert_int_equal(handover_parse(span_of(bytes, len), &handover).code, ERROR_MALFORMED);
    bytes[text.len] = '\n';
    assert_int_equal(handover_parse(span_of(bytes, text.len + 1), &handover).code, ERROR_MALFORMED);
    slash_store_close(store);
}

static void assert_floor(const struct handover *h, uint64_t slot, uint64_t source, uint64_t target)
{
    const struct slash_watermark floor = handover_floor(h, 32);
    assert_true(floor.has_slot && floor.has_epochs);
    assert_true(floor.slot == slot && floor.source == source && floor.target == target);
}

/* The old cluster signs on until the epoch, so its newest of today are not its newest. */
static void test_T09_a_floor_holds_what_may_still_be_signed(void **state)
{
    (void)state;
    assert_floor(&(struct handover){.epoch = 20, .slot = 100, .source = 2, .target = 3}, 639, 19,
                 19);
    assert_floor(&(struct handover){.epoch = 20, .slot = 700, .source = 21, .target = 22}, 700, 21,
                 22);
    assert_floor(&(struct handover){.epoch = 1}, 31, 0, 0);
    assert_floor(&(struct handover){.epoch = UINT64_MAX}, UINT64_MAX - 1, UINT64_MAX - 1,
                 UINT64_MAX - 1);
}

static cc_err parse_order(const char *text, struct order *ret_order)
{
    return order_parse(span_str(text), ret_order);
}

static void test_orders_about_key_stores(void **state)
{
    struct order order;
    (void)state;
    assert_int_equal(parse_order("key-stores", &order).code, 0);
    assert_int_equal(order.verb, ORDER_KEY_STORES);
    assert_int_equal(parse_order("forget-store sqlite-00ff", &order).code, 0);
    assert_int_equal(order.verb, ORDER_FORGET_STORE);
    assert_string_equal(order.name, "sqlite-00ff");
    assert_false(order.force);
    assert_int_equal(parse_order("forget-store --force sqlite-00ff", &order).code, 0);
    assert_string_equal(order.name, "sqlite-00ff");
    assert_true(order.force);
    assert_int_equal(parse_order("move-keys sqlite dynamodb", &order).code, 0);
    assert_int_equal(order.verb, ORDER_MOVE_KEYS);
    assert_int_equal(order.from, KEY_BOOK_SQLITE);
    assert_int_equal(order.to, KEY_BOOK_DYNAMODB);
    assert_int_equal(parse_order("move-keys --cancel postgres", &order).code, 0);
    assert_int_equal(order.verb, ORDER_MOVE_CANCEL);
    assert_int_equal(order.from, KEY_BOOK_POSTGRES);
    static const char *const faults[] = {
        "key-stores ",
        "forget-store",
        "forget-store ",
        "forget-store --force ",
        "forget-store --force --force a",
        "forget-store a/b",
        "forget-store A",
        "forget-store a\nb",
        "forget-store 0123456789012345678901234567890123456789012345678901234567890123",
        "move-keys",
        "move-keys sqlite",
        "move-keys sqlite ",
        "move-keys sqlite sqlite",
        "move-keys sqlite file",
        "move-keys sqlite postgres ",
        "move-keys --cancel",
        "move-keys --cancel ",
        "move-keys --cancel sqlite postgres"};
    for (size_t i = 0; i < ARRAY_LEN(faults); i++)
        assert_true(parse_order(faults[i], &order).code != 0);
    assert_true(order_parse(span_of("forget-store a\0b", 16), &order).code != 0);
}

static void test_orders(void **state)
{
    struct order order;
    (void)state;
    assert_int_equal(parse_order("restore 33", &order).code, 0);
    assert_int_equal(order.verb, ORDER_RESTORE);
    assert_int_equal(order.epoch, 33);
    assert_true(parse_order("restore ", &order).code != 0);
    assert_true(parse_order("restore -1", &order).code != 0);
    assert_true(parse_order("restore 33 ", &order).code != 0);
    assert_int_equal(parse_order("hand-over 20", &order).code, 0);
    assert_int_equal(order.verb, ORDER_HAND_OVER);
    assert_int_equal(order.epoch, 20);
    assert_false(order.force);
    assert_int_equal(parse_order("hand-over --force 21", &order).code, 0);
    assert_int_equal(order.epoch, 21);
    assert_true(order.force);
    assert_int_equal(
        parse_order(
            "take-over 0x0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20\nabc",
            &order)
            .code,
        0);
    assert_int_equal(order.verb, ORDER_TAKE_OVER);
    assert_int_equal(order.identity[31], 0x20);
    assert_true(span_is(order.token, "abc"));
    static const char *const faults[] = {
        "",
        "hand-over",
        "hand-over ",
        "hand-over 0",
        "hand-over 20x",
        "hand-over --force ",
        "hand-over --force --force 20",
        "hand-over 20 --force",
        "hand-over -1",
        "hand-over 18446744073709551616",
        "take-over ",
        "take-over 0x01\nabc",
        "init",
        "take-over 0x0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2g\nabc"};
    for (size_t i = 0; i < ARRAY_LEN(faults); i++)
        assert_true(parse_order(faults[i], &order).code != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_T09_a_token_names_the_newest_slot_source_and_target),
        cmocka_unit_test(test_T09_low_watermarks_count),
        cmocka_unit_test(test_P07_a_high_watermark_that_stands_is_only_lowered),
        cmocka_unit_test(test_a_history_that_signs_on_gives_no_token),
        cmocka_unit_test(test_T09_a_changed_or_foreign_token_is_refused),
        cmocka_unit_test(test_T09_a_floor_holds_what_may_still_be_signed),
        cmocka_unit_test(test_orders),
        cmocka_unit_test(test_orders_about_key_stores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
