#include <stdlib.h>
#include <string.h>

#include "base/num.h"

#include "support/ledger.h"
#include "support/test.h"
#include "vault/floor.h"

static const struct floor_secret secret = {{7}};

static struct slash_attestation attestation(uint64_t source, uint64_t target, uint8_t root)
{
    struct slash_attestation a = {.source = source, .target = target, .has_root = true};
    memset(&a.root, root, sizeof a.root);
    return a;
}

static struct slash_block block(uint64_t slot, uint8_t root)
{
    struct slash_block b = {.slot = slot, .has_root = true};
    memset(&b.root, root, sizeof b.root);
    return b;
}

static enum slash_rule vote(struct floor *f, uint64_t source, uint64_t target, uint8_t root)
{
    const struct slash_attestation a = attestation(source, target, root);
    return floor_admit_attestation(f, &secret, &a).rule;
}

static enum slash_rule propose(struct floor *f, uint64_t slot, uint8_t root)
{
    const struct slash_block b = block(slot, root);
    return floor_admit_block(f, &secret, &b).rule;
}

static void test_C09_conflicts_are_refused(void **state)
{
    (void)state;
    struct floor f = {.block_count = 0};
    assert_int_equal(vote(&f, 10, 20, 1), SLASH_SAFE);
    assert_int_equal(vote(&f, 10, 20, 1), SLASH_REPEAT);
    assert_int_equal(vote(&f, 10, 20, 2), SLASH_DOUBLE_VOTE);
    assert_int_equal(vote(&f, 9, 21, 1), SLASH_SURROUNDING);
    assert_int_equal(vote(&f, 11, 19, 1), SLASH_SURROUNDED);
    assert_int_equal(vote(&f, 20, 19, 1), SLASH_SOURCE_AFTER_TARGET);
    assert_int_equal(vote(&f, 10, 21, 1), SLASH_SAFE);
    assert_int_equal(propose(&f, 5, 1), SLASH_SAFE);
    assert_int_equal(propose(&f, 5, 1), SLASH_REPEAT);
    assert_int_equal(propose(&f, 5, 2), SLASH_DOUBLE_BLOCK);
    assert_int_equal(propose(&f, 4, 2), SLASH_SAFE);
}

/* A refused claim leaves nothing behind. */
static void test_refusal_records_nothing(void **state)
{
    (void)state;
    struct floor f = {.block_count = 0};
    struct floor before;
    (void)vote(&f, 10, 20, 1);
    (void)propose(&f, 5, 1);
    before = f;
    (void)vote(&f, 10, 20, 2);
    (void)vote(&f, 1, 40, 2);
    (void)propose(&f, 5, 2);
    assert_memory_equal(&f, &before, sizeof f);
}

/* Every message has its own root; the second round changes each of them. */
static void test_P18_repeats_outlive_the_window_and_conflicts_do_not(void **state)
{
    (void)state;
    struct floor f = {.block_count = 0};
    for (uint64_t i = 0; i < FLOOR_REMEMBERED / 2; i++) {
        assert_int_equal(vote(&f, i, i + 1, (uint8_t)i), SLASH_SAFE);
        assert_int_equal(propose(&f, i, (uint8_t)(i + 128)), SLASH_SAFE);
    }
    for (uint64_t i = 0; i < FLOOR_REMEMBERED / 2; i++) {
        assert_int_equal(vote(&f, i, i + 1, (uint8_t)i), SLASH_REPEAT);
        assert_int_equal(propose(&f, i, (uint8_t)(i + 128)), SLASH_REPEAT);
        assert_false(slash_may_sign(vote(&f, i, i + 1, 255)));
        assert_false(slash_may_sign(propose(&f, i, 127)));
    }
}

static void test_C09_what_is_no_longer_remembered_is_refused(void **state)
{
    (void)state;
    struct floor f = {.block_count = 0};
    struct slash_attestation a = attestation(0, 0, 1);
    for (uint64_t i = 0; i < 2 * FLOOR_REMEMBERED; i++) {
        a.target = i;
        u64_store_le(a.root.bytes, i);
        assert_int_equal(floor_admit_attestation(&f, &secret, &a).rule, SLASH_SAFE);
    }
    for (uint64_t i = 0; i < 2 * FLOOR_REMEMBERED; i++) {
        a.target = i;
        u64_store_le(a.root.bytes, i);
        assert_int_equal(slash_may_sign(floor_admit_attestation(&f, &secret, &a).rule),
                         i >= FLOOR_REMEMBERED);
    }
}

/* Without the secret nobody can tell which roots share a fingerprint. */
static void test_C09_fingerprints_depend_on_the_secret(void **state)
{
    (void)state;
    const struct floor_secret other = {{8}};
    const struct slash_block b = block(5, 1);
    struct floor f = {.block_count = 0};
    struct floor g = {.block_count = 0};
    (void)floor_admit_block(&f, &secret, &b);
    (void)floor_admit_block(&g, &other, &b);
    assert_true(f.fingerprints[0] != 0 && g.fingerprints[0] != 0);
    assert_true(f.fingerprints[0] != g.fingerprints[0]);
}

/* A late message goes below a full window: the watermark rises to it, and it is not allowed twice with another root. */
static void test_C09_late_messages_below_a_full_window(void **state)
{
    (void)state;
    struct floor f = {.block_count = 0};
    for (uint64_t i = 0; i < FLOOR_ATTESTATIONS; i++)
        (void)vote(&f, 100, 200 + i, 1);
    assert_int_equal(vote(&f, 100, 150, 1), SLASH_SAFE);
    assert_int_equal(vote(&f, 100, 150, 2), SLASH_TARGET_BELOW);
    assert_int_equal(vote(&f, 100, 151, 2), SLASH_SAFE);
    for (uint64_t i = 0; i < FLOOR_BLOCKS; i++)
        (void)propose(&f, 200 + i, 1);
    assert_int_equal(propose(&f, 150, 1), SLASH_SAFE);
    assert_int_equal(propose(&f, 150, 2), SLASH_BLOCK_BELOW);
}

static void test_P14_integer_edges(void **state)
{
    (void)state;
    const uint64_t edges[] = {0,
                              1,
                              UINT64_C(1) << 31,
                              UINT64_C(1) << 53,
                              (UINT64_C(1) << 63) - 1,
                              UINT64_C(1) << 63,
                              UINT64_MAX};
    for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
        struct floor f = {.block_count = 0};
        assert_int_equal(vote(&f, edges[i], edges[i], 1), SLASH_SAFE);
        assert_int_equal(vote(&f, edges[i], edges[i], 2), SLASH_DOUBLE_VOTE);
        assert_int_equal(propose(&f, edges[i], 1), SLASH_SAFE);
        assert_int_equal(propose(&f, edges[i], 2), SLASH_DOUBLE_BLOCK);
        if (i) {
            assert_int_equal(vote(&f, edges[i - 1], edges[i], 1), SLASH_DOUBLE_VOTE);
            assert_true(propose(&f, edges[i - 1], 1) == SLASH_SAFE);
        }
    }
}

/* Random claims over a small range, so that every kind of conflict is met; everything allowed is compared with
 * everything that was allowed before.
 */
static void test_C09_random_claims_never_conflict(void **state)
{
    (void)state;
    const char *given = getenv("CC_SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : 20240229;
    size_t allowed = 0;
    print_message("CC_SEED=%u\n", seed);
    for (int round = 0; round < 300; round++) {
        struct floor f = {.block_count = 0};
        struct ledger ledger = {.entries = NULL};
        uint64_t span = 4 + (uint64_t)rand_r(&seed) % 40;
        for (int i = 0; i < 300; i++) {
            const uint64_t a = (uint64_t)rand_r(&seed) % span + (uint64_t)i / 8;
            const uint64_t b = (uint64_t)rand_r(&seed) % span + (uint64_t)i / 8;
            const uint8_t root = (uint8_t)(rand_r(&seed) % 3);
            struct b_sign request = {.claim =
                                         rand_r(&seed) % 4 ? B_CLAIM_ATTESTATION : B_CLAIM_BLOCK};
            struct b_signed answer = {.error = 0};
            memset(&answer.root, root, sizeof answer.root);
            enum slash_rule rule;
            if (request.claim == B_CLAIM_BLOCK) {
                request.body.block.slot = a;
                rule = propose(&f, a, root);
            } else {
                request.body.attestation.source.epoch = a;
                request.body.attestation.target.epoch = b;
                rule = vote(&f, a, b, root);
            }
            answer.error = slash_may_sign(rule) ? 0 : ERROR_SLASHABLE;
            allowed += answer.error == 0;
            assert_true(ledger_add(&ledger, &request, &answer));
        }
        ledger_release(&ledger);
    }
    assert_true(allowed > 3000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_C09_conflicts_are_refused),
        cmocka_unit_test(test_refusal_records_nothing),
        cmocka_unit_test(test_P18_repeats_outlive_the_window_and_conflicts_do_not),
        cmocka_unit_test(test_C09_what_is_no_longer_remembered_is_refused),
        cmocka_unit_test(test_C09_fingerprints_depend_on_the_secret),
        cmocka_unit_test(test_C09_late_messages_below_a_full_window),
        cmocka_unit_test(test_P14_integer_edges),
        cmocka_unit_test(test_C09_random_claims_never_conflict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
