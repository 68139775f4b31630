/* slash/rules.c, every branch, and against an independent model. The mutants of tests/torture/mutants.py must all
 * be killed by this program alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "slash/rules.h"
#include "support/test.h"

static const struct slash_watermark none;

static struct signing_root root(uint8_t n)
{
    struct signing_root r = {{0}};
    r.bytes[31] = n;
    return r;
}

static struct slash_block block(uint64_t slot, uint8_t n)
{
    return (struct slash_block){slot, true, root(n)};
}

static struct slash_attestation vote(uint64_t source, uint64_t target, uint8_t n)
{
    return (struct slash_attestation){source, target, true, root(n)};
}

static struct slash_watermark low_slot(uint64_t slot)
{
    return (struct slash_watermark){.has_slot = true, .slot = slot};
}

static struct slash_watermark low_epochs(uint64_t source, uint64_t target)
{
    return (struct slash_watermark){.has_epochs = true, .source = source, .target = target};
}

static void expect_block(struct slash_block b,
                         struct slash_watermark low,
                         const struct slash_block *records,
                         size_t n,
                         enum slash_rule rule,
                         uint64_t earlier)
{
    struct slash_verdict v = slash_judge_block(&b, &low, records, n);
    assert_string_equal(slash_rule_name(v.rule), slash_rule_name(rule));
    assert_int_equal(v.earlier_slot, earlier);
    assert_int_equal(v.earlier_source, 0);
    assert_int_equal(v.earlier_target, 0);
}

struct votes {
    size_t n;
    struct slash_attestation list[6];
};

static void expect_vote(struct slash_attestation a,
                        struct slash_watermark low,
                        struct votes records,
                        enum slash_rule rule,
                        uint64_t source,
                        uint64_t target)
{
    struct slash_verdict v = slash_judge_attestation(&a, &low, records.list, records.n);
    assert_string_equal(slash_rule_name(v.rule), slash_rule_name(rule));
    assert_int_equal(v.earlier_slot, 0);
    assert_int_equal(v.earlier_source, source);
    assert_int_equal(v.earlier_target, target);
}

#define VOTES(...)                                                                                 \
    ((struct votes){sizeof((struct slash_attestation[]){__VA_ARGS__}) /                            \
                        sizeof(struct slash_attestation),                                          \
                    {__VA_ARGS__}})

static void test_blocks(void **state)
{
    (void)state;
    const struct slash_block rootless = {.slot = 10};
    const struct slash_block records[] = {block(10, 1), block(20, 2), {.slot = 30}};
    expect_block(block(10, 1), none, NULL, 0, SLASH_SAFE, 0);
    expect_block(block(10, 1), none, records, 3, SLASH_REPEAT, 10);
    expect_block(block(10, 2), none, records, 3, SLASH_DOUBLE_BLOCK, 10);
    expect_block(block(20, 2), none, records, 3, SLASH_REPEAT, 20);
    expect_block(block(20, 1), none, records, 3, SLASH_DOUBLE_BLOCK, 20);
    expect_block(block(30, 0), none, records, 3, SLASH_DOUBLE_BLOCK, 30);
    expect_block(block(15, 1), none, records, 3, SLASH_SAFE, 0);
    expect_block(block(9, 1), none, records, 3, SLASH_SAFE, 0);
    expect_block(block(31, 1), none, records, 3, SLASH_SAFE, 0);
    expect_block(rootless, none, records, 3, SLASH_DOUBLE_BLOCK, 10);
    expect_block(rootless, none, &rootless, 1, SLASH_DOUBLE_BLOCK, 10);
    /* Two records of one slot: any that differs decides, in either order. */
    const struct slash_block twice[] = {block(5, 1), block(5, 2)};
    expect_block(block(5, 1), none, twice, 2, SLASH_DOUBLE_BLOCK, 5);
    expect_block(block(5, 2), none, twice, 2, SLASH_DOUBLE_BLOCK, 5);
    /* All 32 bytes of a root count. */
    for (size_t i = 0; i < 32; i++) {
        struct slash_block other = block(10, 1);
        other.root.bytes[i] ^= 0x80;
        expect_block(other, none, records, 1, SLASH_DOUBLE_BLOCK, 10);
    }
}

static void test_blocks_and_the_low_watermark(void **state)
{
    (void)state;
    const struct slash_block records[] = {block(10, 1), block(20, 2)};
    expect_block(block(9, 1), low_slot(10), NULL, 0, SLASH_BLOCK_BELOW, 10);
    expect_block(block(10, 1), low_slot(10), NULL, 0, SLASH_BLOCK_BELOW, 10);
    expect_block(block(11, 1), low_slot(10), NULL, 0, SLASH_SAFE, 0);
    expect_block(block(0, 1), low_slot(0), NULL, 0, SLASH_BLOCK_BELOW, 0);
    expect_block(block(0, 1), none, NULL, 0, SLASH_SAFE, 0);
    /* A kept record is repeated also at and below it, and its conflict stays one. */
    expect_block(block(10, 1), low_slot(10), records, 2, SLASH_REPEAT, 10);
    expect_block(block(10, 1), low_slot(15), records, 2, SLASH_REPEAT, 10);
    expect_block(block(10, 3), low_slot(15), records, 2, SLASH_DOUBLE_BLOCK, 10);
    /* The epochs' watermark has nothing to do with blocks. */
    expect_block(block(5, 1), low_epochs(50, 60), NULL, 0, SLASH_SAFE, 0);
}

static void test_double_votes(void **state)
{
    (void)state;
    const struct slash_attestation rootless = {.source = 1, .target = 5};
    expect_vote(vote(1, 5, 1), none, VOTES(vote(1, 5, 1)), SLASH_REPEAT, 1, 5);
    expect_vote(vote(1, 5, 2), none, VOTES(vote(1, 5, 1)), SLASH_DOUBLE_VOTE, 1, 5);
    expect_vote(vote(2, 5, 1), none, VOTES(vote(1, 5, 1)), SLASH_DOUBLE_VOTE, 1, 5);
    expect_vote(vote(2, 5, 2), none, VOTES(vote(1, 5, 1)), SLASH_DOUBLE_VOTE, 1, 5);
    expect_vote(vote(1, 5, 0), none, VOTES(rootless), SLASH_DOUBLE_VOTE, 1, 5);
    expect_vote(rootless, none, VOTES(vote(1, 5, 0)), SLASH_DOUBLE_VOTE, 1, 5);
    expect_vote(rootless, none, VOTES(rootless), SLASH_DOUBLE_VOTE, 1, 5);
    expect_vote(vote(1, 6, 1), none, VOTES(vote(1, 5, 1)), SLASH_SAFE, 0, 0);
    expect_vote(vote(1, 4, 1), none, VOTES(vote(1, 5, 1)), SLASH_SAFE, 0, 0);
    expect_vote(vote(1, 5, 1), none, VOTES(vote(1, 5, 1), vote(1, 5, 2)), SLASH_DOUBLE_VOTE, 1, 5);
    expect_vote(vote(1, 5, 2), none, VOTES(vote(1, 5, 1), vote(1, 5, 2)), SLASH_DOUBLE_VOTE, 1, 5);
    /* The same target decides before any surround. */
    expect_vote(vote(1, 5, 1), none, VOTES(vote(2, 4, 2), vote(1, 5, 1)), SLASH_REPEAT, 1, 5);
}

static void test_surrounding_votes(void **state)
{
    (void)state;
    expect_vote(vote(2, 7, 1), none, VOTES(vote(3, 6, 2)), SLASH_SURROUNDING, 3, 6);
    expect_vote(vote(3, 6, 1), none, VOTES(vote(2, 7, 2)), SLASH_SURROUNDED, 2, 7);
    /* One common end is no surround. */
    expect_vote(vote(2, 7, 1), none, VOTES(vote(2, 6, 2)), SLASH_SAFE, 0, 0);
    expect_vote(vote(2, 6, 1), none, VOTES(vote(2, 7, 2)), SLASH_SAFE, 0, 0);
    /* Side by side, or overlapping, isn't either. */
    expect_vote(vote(4, 8, 1), none, VOTES(vote(3, 6, 2)), SLASH_SAFE, 0, 0);
    expect_vote(vote(3, 6, 1), none, VOTES(vote(4, 8, 2)), SLASH_SAFE, 0, 0);
    expect_vote(vote(6, 7, 1), none, VOTES(vote(3, 6, 2)), SLASH_SAFE, 0, 0);
    /* The conflict with the latest target is reported, whatever the order and the direction. */
    expect_vote(vote(2, 9, 1), none, VOTES(vote(3, 6, 2), vote(4, 8, 2), vote(3, 7, 2)),
                SLASH_SURROUNDING, 4, 8);
    expect_vote(vote(5, 6, 1), none, VOTES(vote(1, 9, 2), vote(2, 7, 2)), SLASH_SURROUNDED, 1, 9);
    expect_vote(vote(5, 6, 1), none, VOTES(vote(2, 7, 2), vote(1, 9, 2)), SLASH_SURROUNDED, 1, 9);
    expect_vote(vote(3, 8, 1), none, VOTES(vote(4, 6, 2), vote(2, 9, 2)), SLASH_SURROUNDED, 2, 9);
    /* A surround is reported before the watermark. */
    expect_vote(vote(2, 9, 1), low_epochs(3, 4), VOTES(vote(3, 6, 2)), SLASH_SURROUNDING, 3, 6);
}

static void test_source_and_target(void **state)
{
    (void)state;
    expect_vote(vote(6, 5, 1), none, VOTES(vote(0, 0, 0)), SLASH_SOURCE_AFTER_TARGET, 0, 0);
    expect_vote(vote(5, 5, 1), none, VOTES(vote(0, 0, 0)), SLASH_SAFE, 0, 0);
    expect_vote(vote(0, 0, 1), none, VOTES(vote(9, 9, 9)), SLASH_SAFE, 0, 0);
    /* Not even as a repeat of such a record. */
    expect_vote(vote(6, 5, 1), none, VOTES(vote(6, 5, 1)), SLASH_SOURCE_AFTER_TARGET, 0, 0);
}

static void test_attestations_and_the_low_watermark(void **state)
{
    (void)state;
    struct slash_watermark low = low_epochs(10, 20);
    struct votes far = VOTES(vote(100, 101, 1));
    expect_vote(vote(9, 21, 1), low, far, SLASH_SOURCE_BELOW, 10, 20);
    expect_vote(vote(9, 20, 1), low, far, SLASH_SOURCE_BELOW, 10, 20);
    expect_vote(vote(10, 20, 1), low, far, SLASH_TARGET_BELOW, 10, 20);
    expect_vote(vote(10, 19, 1), low, far, SLASH_TARGET_BELOW, 10, 20);
    expect_vote(vote(11, 20, 1), low, far, SLASH_TARGET_BELOW, 10, 20);
    expect_vote(vote(10, 21, 1), low, far, SLASH_SAFE, 0, 0);
    expect_vote(vote(11, 21, 1), low, far, SLASH_SAFE, 0, 0);
    expect_vote(vote(0, 0, 1), low_epochs(0, 0), far, SLASH_TARGET_BELOW, 0, 0);
    expect_vote(vote(0, 1, 1), low_epochs(0, 0), far, SLASH_SAFE, 0, 0);
    /* Kept records are exempt. */
    expect_vote(vote(9, 20, 1), low, VOTES(vote(9, 20, 1)), SLASH_REPEAT, 9, 20);
    expect_vote(vote(9, 12, 1), low, VOTES(vote(9, 12, 1)), SLASH_REPEAT, 9, 12);
    expect_vote(vote(9, 12, 2), low, VOTES(vote(9, 12, 1)), SLASH_DOUBLE_VOTE, 9, 12);
    /* The slot's watermark has nothing to do with attestations. */
    expect_vote(vote(1, 2, 1), low_slot(50), far, SLASH_SAFE, 0, 0);
}

static void test_P14_edges(void **state)
{
    (void)state;
    const uint64_t half = 1ull << 63, top = UINT64_MAX;
    const struct slash_block last = block(top, 1);
    expect_block(block(top, 2), none, &last, 1, SLASH_DOUBLE_BLOCK, top);
    expect_block(block(top, 2), low_slot(top), NULL, 0, SLASH_BLOCK_BELOW, top);
    expect_block(block(top, 2), low_slot(top - 1), NULL, 0, SLASH_SAFE, 0);
    expect_block(block(half, 2), low_slot(half - 1), NULL, 0, SLASH_SAFE, 0);
    expect_block(block(half - 1, 2), low_slot(half), NULL, 0, SLASH_BLOCK_BELOW, half);
    expect_vote(vote(half - 1, top, 1), none, VOTES(vote(half, half + 1, 2)), SLASH_SURROUNDING,
                half, half + 1);
    expect_vote(vote(half, half + 1, 1), none, VOTES(vote(half - 1, top, 2)), SLASH_SURROUNDED,
                half - 1, top);
    expect_vote(vote(half - 1, half + 1, 1), low_epochs(half, half), VOTES(vote(top, top, 2)),
                SLASH_SOURCE_BELOW, half, half);
    expect_vote(vote(0, top, 1), none, VOTES(vote(1, top - 1, 2)), SLASH_SURROUNDING, 1, top - 1);
}

static void test_high_watermark(void **state)
{
    (void)state;
    const struct slash_high off = {.set = false, .slot = 1, .epoch = 1}, high = {true, 320, 10};
    assert_false(slash_high_forbids_block(&off, UINT64_MAX));
    assert_false(slash_high_forbids_attestation(&off, UINT64_MAX, UINT64_MAX));
    assert_false(slash_high_forbids_block(&high, 319));
    assert_true(slash_high_forbids_block(&high, 320));
    assert_true(slash_high_forbids_block(&high, 321));
    assert_false(slash_high_forbids_attestation(&high, 9, 9));
    assert_true(slash_high_forbids_attestation(&high, 9, 10));
    assert_true(slash_high_forbids_attestation(&high, 9, 11));
    assert_true(slash_high_forbids_attestation(&high, 10, 9));
    assert_true(slash_high_forbids_attestation(&high, 11, 9));
}

static void test_only_safe_and_repeat_may_sign(void **state)
{
    (void)state;
    for (int rule = 0; rule <= SLASH_RULE_END; rule++)
        assert_int_equal(slash_may_sign((enum slash_rule)rule),
                         rule == SLASH_SAFE || rule == SLASH_REPEAT);
    assert_string_equal(slash_rule_name(SLASH_DOUBLE_VOTE), "DOUBLE_VOTE");
    assert_string_equal(slash_rule_name(SLASH_RULE_END), "UNKNOWN");
    assert_string_equal(slash_rule_text(SLASH_RULE_END), "unknown rule");
    assert_non_null(strstr(slash_rule_text(SLASH_DOUBLE_BLOCK), "slot"));
}

/* --- P11: an independent model ------------------------------------------------------------------- */

/* The consensus specification's is_slashable_attestation_data, and EIP-3076's conditions word by word; written
 * to be compared with the text, not with rules.c.
 */
struct data {
    uint64_t source, target;
    int root; /* -1: unknown */
};

static bool is_slashable_attestation_data(struct data data_1, struct data data_2)
{
    bool equal = data_1.root >= 0 && data_1.root == data_2.root && data_1.source == data_2.source;
    bool double_vote = !equal && data_1.target == data_2.target;
    bool surround_vote = data_1.source < data_2.source && data_2.target < data_1.target;
    return double_vote || surround_vote;
}

static bool model_may_attest(struct data a,
                             const struct data *signed_before,
                             size_t n,
                             const struct slash_watermark *low)
{
    bool repeat = false;
    if (a.source > a.target)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (signed_before[i].target != a.target)
            continue;
        if (is_slashable_attestation_data(signed_before[i], a))
            return false;
        repeat = true;
    }
    if (repeat)
        return true; /* condition 6 */
    for (size_t i = 0; i < n; i++)
        if (is_slashable_attestation_data(signed_before[i], a) ||
            is_slashable_attestation_data(a, signed_before[i]))
            return false; /* condition 3 */
    return !low->has_epochs || (a.source >= low->source && a.target > low->target); /* 4, 5 */
}

static struct slash_attestation as_record(struct data d)
{
    struct slash_attestation a = {.source = d.source, .target = d.target, .has_root = d.root >= 0};
    if (a.has_root)
        a.root = root((uint8_t)d.root);
    return a;
}

static uint64_t random_state;

static uint64_t dice(uint64_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % n;
}

static void test_P11_attestations_agree_with_the_model(void **state)
{
    (void)state;
    const char *given = getenv("CC_SEED");
    random_state = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) | 1;
    print_message("CC_SEED=%llu\n", (unsigned long long)random_state);
    size_t allowed = 0, refused = 0;
    for (int round = 0; round < 200000; round++) {
        struct data before[6];
        struct slash_attestation records[6];
        size_t n = dice(7);
        for (size_t i = 0; i < n; i++) {
            before[i] = (struct data){dice(7), dice(8), (int)dice(3) - 1};
            records[i] = as_record(before[i]);
        }
        struct slash_watermark low = {.has_epochs = dice(2), .source = dice(4), .target = dice(5)};
        struct data claim = {dice(8), dice(8), (int)dice(2)};
        struct slash_attestation a = as_record(claim);
        bool wanted = model_may_attest(claim, before, n, &low);
        struct slash_verdict v = slash_judge_attestation(&a, &low, records, n);
        assert_int_equal(slash_may_sign(v.rule), wanted);
        *(wanted ? &allowed : &refused) += 1;
    }
    assert_true(allowed > 10000 && refused > 10000);
}

/* All histories of two records on a small line: nothing left to chance. */
static void test_P11_small_histories_exhaustively(void **state)
{
    (void)state;
    enum {
        N = 5,
        PAIRS = N * N
    };
    for (int p = 0; p < PAIRS * PAIRS; p++) {
        struct data before[] = {{(uint64_t)(p % N), (uint64_t)(p / N % N), 0},
                                {(uint64_t)(p / PAIRS % N), (uint64_t)(p / PAIRS / N), 1}};
        struct slash_attestation records[] = {as_record(before[0]), as_record(before[1])};
        for (int c = 0; c < PAIRS * 2; c++) {
            struct data claim = {(uint64_t)(c % N), (uint64_t)(c / N % N), c / PAIRS};
            struct slash_attestation a = as_record(claim);
            struct slash_verdict v = slash_judge_attestation(&a, &none, records, 2);
            assert_int_equal(slash_may_sign(v.rule), model_may_attest(claim, before, 2, &none));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_blocks_and_the_low_watermark),
        cmocka_unit_test(test_double_votes),
        cmocka_unit_test(test_surrounding_votes),
        cmocka_unit_test(test_source_and_target),
        cmocka_unit_test(test_attestations_and_the_low_watermark),
        cmocka_unit_test(test_P14_edges),
        cmocka_unit_test(test_high_watermark),
        cmocka_unit_test(test_only_safe_and_repeat_may_sign),
        cmocka_unit_test(test_P11_attestations_agree_with_the_model),
        cmocka_unit_test(test_P11_small_histories_exhaustively),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
