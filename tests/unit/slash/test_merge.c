/* slash/merge.c: what an import may do to a history, and above all what it may not. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#include "slash/merge.h"
#include "support/slash_kit.h"
#include "support/test.h"

enum {
    LINE = 9, /* small numbers: everything can be tried */
    ROOTS = 3,
    RECORDS = 8
};

/* A validator with room for its records. */
struct kept {
    struct slash_validator v;
    struct slash_block blocks[4 * RECORDS];
    struct slash_attestation attestations[4 * RECORDS];
};

static void point(struct kept *k)
{
    k->v.blocks = k->blocks;
    k->v.attestations = k->attestations;
}

static bool may_propose(const struct slash_validator *v, uint64_t slot, uint64_t r)
{
    struct slash_block b = {slot, true, kit_root(r)};
    return slash_may_sign(slash_judge_block(&b, &v->low, v->blocks, v->block_count).rule);
}

static bool
may_attest(const struct slash_validator *v, uint64_t source, uint64_t target, uint64_t r)
{
    struct slash_attestation a = {source, target, true, kit_root(r)};
    return slash_may_sign(
        slash_judge_attestation(&a, &v->low, v->attestations, v->attestation_count).rule);
}

static void adopt(struct kept *k, struct slash_merged *m)
{
    assert_true(m->block_count <= ARRAY_LEN(k->blocks));
    assert_true(m->attestation_count <= ARRAY_LEN(k->attestations));
    memcpy(k->blocks, m->blocks, m->block_count * sizeof *m->blocks);
    memcpy(k->attestations, m->attestations, m->attestation_count * sizeof *m->attestations);
    k->v.block_count = m->block_count;
    k->v.attestation_count = m->attestation_count;
    k->v.low = m->low;
    point(k);
    slash_merged_release(m);
}

static struct slash_merged merge_into(struct kept *k, const struct kept *add)
{
    struct slash_merged m;
    assert_int_equal(slash_merge_records(&k->v, &add->v, &m).code, 0);
    struct slash_merged facts = m;
    adopt(k, &m);
    return facts;
}

/* --- by example ----------------------------------------------------------------------------------- */

#define BLOCK(slot_, root_)                                                                        \
    ((struct slash_block){slot_, (root_) != 0, (root_) ? kit_root(root_) : kit_root(0)})
#define VOTE(source_, target_, root_)                                                              \
    ((struct slash_attestation){source_, target_, (root_) != 0,                                    \
                                (root_) ? kit_root(root_) : kit_root(0)})

static struct kept with_block(struct slash_block b)
{
    struct kept k = {.v = {.enabled = true, .block_count = 1}};
    k.blocks[0] = b;
    return k;
}

static struct kept with_vote(struct slash_attestation a)
{
    struct kept k = {.v = {.enabled = true, .attestation_count = 1}};
    k.attestations[0] = a;
    return k;
}

static struct slash_merged add_block(struct kept *k, struct slash_block b)
{
    struct kept add = with_block(b);
    point(&add);
    return merge_into(k, &add);
}

static struct slash_merged add_vote(struct kept *k, struct slash_attestation a)
{
    struct kept add = with_vote(a);
    point(&add);
    return merge_into(k, &add);
}

static void test_the_first_import_sets_the_watermark_to_its_minimum(void **state)
{
    (void)state;
    struct kept k = {0}, add = {.v = {.block_count = 3, .attestation_count = 2}};
    point(&k);
    add.blocks[0] = BLOCK(7, 1);
    add.blocks[1] = BLOCK(5, 2);
    add.blocks[2] = BLOCK(6, 0);
    add.attestations[0] = VOTE(3, 4, 1);
    add.attestations[1] = VOTE(2, 3, 1);
    point(&add);
    struct slash_merged m = merge_into(&k, &add);
    assert_false(m.contradictory);
    assert_int_equal(m.blocks_added, 3);
    assert_int_equal(m.attestations_added, 2);
    assert_int_equal(m.known, 0);
    assert_true(k.v.low.has_slot && k.v.low.has_epochs);
    assert_int_equal(k.v.low.slot, 5);
    assert_int_equal(k.v.low.source, 2);
    assert_int_equal(k.v.low.target, 3);
    assert_int_equal(k.blocks[0].slot, 5);
    assert_true(may_propose(&k.v, 5, 2));  /* a repeat */
    assert_false(may_propose(&k.v, 6, 1)); /* its root isn't known */
    assert_true(may_attest(&k.v, 3, 4, 1));
    /* The same again changes nothing. */
    m = merge_into(&k, &add);
    assert_int_equal(m.blocks_added + m.attestations_added, 0);
    assert_int_equal(m.known, 5);
    assert_false(m.contradictory);
    assert_true(may_propose(&k.v, 5, 2));
    assert_int_equal(k.v.low.slot, 5);
}

static void test_a_later_import_leaves_the_watermark(void **state)
{
    (void)state;
    struct kept k = {0};
    point(&k);
    (void)add_block(&k, BLOCK(40, 1));
    (void)add_block(&k, BLOCK(50, 2));
    (void)add_vote(&k, VOTE(2, 30, 1));
    (void)add_vote(&k, VOTE(10, 50, 1));
    assert_int_equal(k.v.low.slot, 40);
    assert_int_equal(k.v.low.source, 2);
    assert_int_equal(k.v.low.target, 30);
    (void)add_block(&k, BLOCK(20, 3));
    (void)add_vote(&k, VOTE(1, 2, 3));
    assert_int_equal(k.v.low.slot, 40);
    assert_int_equal(k.v.low.source, 2);
    assert_int_equal(k.v.low.target, 30);
    assert_false(may_propose(&k.v, 20, 3)); /* below the watermark a root is not believed */
    assert_false(may_attest(&k.v, 1, 2, 3));
}

static void test_watermarks_given_with_an_import_only_raise(void **state)
{
    (void)state;
    struct kept k = {0}, marks = {.v = {.low = {true, true, 9, 4, 6}}};
    point(&k);
    point(&marks);
    (void)merge_into(&k, &marks);
    assert_int_equal(k.v.low.slot, 9);
    assert_int_equal(k.v.low.source, 4);
    assert_int_equal(k.v.low.target, 6);
    marks.v.low = (struct slash_watermark){true, true, 3, 5, 5};
    (void)merge_into(&k, &marks);
    assert_int_equal(k.v.low.slot, 9);
    assert_int_equal(k.v.low.source, 5);
    assert_int_equal(k.v.low.target, 6);
    /* Later records don't take the watermark with them. */
    (void)add_block(&k, BLOCK(20, 1));
    (void)add_vote(&k, VOTE(9, 10, 1));
    assert_int_equal(k.v.low.slot, 9);
    assert_int_equal(k.v.low.source, 5);
    assert_int_equal(k.v.low.target, 6);
}

static void test_P12_contradictions_are_minified(void **state)
{
    (void)state;
    struct kept k = {0};
    point(&k);
    (void)add_block(&k, BLOCK(5, 1));
    (void)add_block(&k, BLOCK(8, 2));
    assert_true(add_block(&k, BLOCK(5, 2)).contradictory);
    assert_int_equal(k.v.low.slot, 8);
    assert_false(may_propose(&k.v, 5, 1));
    assert_false(may_propose(&k.v, 5, 2));
    assert_true(may_propose(&k.v, 8, 2)); /* ours, and in nobody's way */
    assert_true(may_propose(&k.v, 9, 1));

    /* Of a file that contradicts itself no root is believed. */
    struct kept empty = {0}, bad = {.v = {.block_count = 3}};
    point(&empty);
    bad.blocks[0] = BLOCK(5, 1);
    bad.blocks[1] = BLOCK(9, 3);
    bad.blocks[2] = BLOCK(5, 2);
    point(&bad);
    assert_true(merge_into(&empty, &bad).contradictory);
    assert_int_equal(empty.v.low.slot, 9);
    assert_false(may_propose(&empty.v, 9, 3));
    assert_true(may_propose(&empty.v, 10, 3));

    static const struct slash_attestation first = {4, 6, true, {{0}}};
    static const struct {
        struct slash_attestation add;
        uint64_t source, target;
    } cases[] = {
        {{3, 7, true, {{1}}}, 4, 7}, /* surrounds */
        {{5, 5, true, {{1}}}, 5, 6}, /* is surrounded */
        {{4, 6, true, {{1}}}, 4, 6}, /* same target, other root */
        {{5, 6, true, {{0}}}, 5, 6}, /* same target, other source */
        {{8, 7, true, {{1}}}, 8, 7}, /* source after target */
        {{2, UINT64_MAX, false, {{0}}}, 4, UINT64_MAX},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct kept c = {0};
        point(&c);
        (void)add_vote(&c, first);
        struct slash_merged m = add_vote(&c, cases[i].add);
        assert_true(m.contradictory);
        assert_int_equal(m.attestations_added, 0);
        assert_int_equal(c.v.low.source, cases[i].source);
        assert_true(c.v.low.target == cases[i].target);
    }
}

static void test_an_unknown_root_is_no_contradiction(void **state)
{
    (void)state;
    struct kept k = {0};
    point(&k);
    (void)add_block(&k, BLOCK(5, 1));
    assert_false(add_block(&k, BLOCK(5, 0)).contradictory);
    assert_true(may_propose(&k.v, 5, 1));
    /* But what stands there without a root gets none from outside. */
    (void)add_block(&k, BLOCK(7, 0));
    assert_false(add_block(&k, BLOCK(7, 1)).contradictory);
    assert_false(may_propose(&k.v, 7, 1));
    (void)add_vote(&k, VOTE(2, 3, 0));
    assert_false(add_vote(&k, VOTE(2, 3, 1)).contradictory);
    assert_false(may_attest(&k.v, 2, 3, 1));
    /* Nor do two of one file believe one another. */
    struct kept both = {.v = {.block_count = 2, .attestation_count = 2}};
    both.blocks[0] = BLOCK(8, 1);
    both.blocks[1] = BLOCK(8, 0);
    both.attestations[0] = VOTE(3, 4, 1);
    both.attestations[1] = VOTE(3, 4, 0);
    point(&both);
    assert_false(merge_into(&k, &both).contradictory);
    assert_false(may_propose(&k.v, 8, 1));
    assert_false(may_attest(&k.v, 3, 4, 1));
}

/* --- by chance, over everything that can be signed ------------------------------------------------------- */

static void random_records(struct chance *c, struct kept *k)
{
    *k = (struct kept){.v = {.enabled = true}};
    k->v.block_count = chance_below(c, RECORDS);
    for (size_t i = 0; i < k->v.block_count; i++)
        k->blocks[i] = BLOCK(chance_below(c, LINE), chance_below(c, ROOTS + 1));
    k->v.attestation_count = chance_below(c, RECORDS);
    for (size_t i = 0; i < k->v.attestation_count; i++)
        k->attestations[i] =
            VOTE(chance_below(c, LINE), chance_below(c, LINE), chance_below(c, ROOTS + 1));
    if (chance_below(c, 2)) /* one that holds together: sources and targets in step */
        for (size_t i = 0; i < k->v.attestation_count; i++)
            k->attestations[i] = VOTE(i, i + 1, chance_below(c, ROOTS + 1));
    if (chance_below(c, 4) == 0)
        k->v.low =
            (struct slash_watermark){chance_below(c, 2), chance_below(c, 2), chance_below(c, LINE),
                                     chance_below(c, LINE), chance_below(c, LINE)};
    point(k);
}

/* A history as a store has it: some of it signed here. */
static void sign_some(struct chance *c, struct kept *k)
{
    for (int i = 0; i < 6; i++) {
        uint64_t slot = chance_below(c, LINE), source = chance_below(c, LINE);
        uint64_t target = chance_below(c, LINE), r = 1 + chance_below(c, ROOTS);
        struct slash_block b = BLOCK(slot, r);
        if (slash_judge_block(&b, &k->v.low, k->blocks, k->v.block_count).rule == SLASH_SAFE)
            (void)add_block(k, b);
        struct slash_attestation a = VOTE(source, target, r);
        struct slash_verdict v =
            slash_judge_attestation(&a, &k->v.low, k->attestations, k->v.attestation_count);
        if (v.rule == SLASH_SAFE)
            (void)add_vote(k, a);
    }
}

static void assert_never_looser(const struct slash_validator *before,
                                const struct slash_validator *after)
{
    for (uint64_t r = 1; r <= ROOTS + 1; r++) /* one root more than any record has */
        for (uint64_t x = 0; x <= LINE; x++) {
            assert_true(may_propose(before, x, r) || !may_propose(after, x, r));
            for (uint64_t y = 0; y <= LINE; y++)
                assert_true(may_attest(before, x, y, r) || !may_attest(after, x, y, r));
        }
}

/* What was imported was signed somewhere: its contradiction must be refused from now on. */
static void assert_protected(const struct slash_validator *imported,
                             const struct slash_validator *after)
{
    for (size_t i = 0; i < imported->block_count; i++)
        assert_false(may_propose(after, imported->blocks[i].slot, ROOTS + 1));
    for (size_t i = 0; i < imported->attestation_count; i++) {
        const struct slash_attestation *a = &imported->attestations[i];
        for (uint64_t s = 0; s <= LINE; s++)
            for (uint64_t t = 0; t <= LINE; t++) {
                bool conflict = t == a->target || (s < a->source && a->target < t) ||
                                (a->source < s && t < a->target);
                assert_false(conflict && may_attest(after, s, t, ROOTS + 1));
            }
    }
}

static void assert_consistent(const struct slash_validator *v)
{
    for (size_t i = 1; i < v->block_count; i++)
        assert_true(v->blocks[i - 1].slot < v->blocks[i].slot);
    for (size_t i = 0; i < v->attestation_count; i++)
        assert_true(v->attestations[i].source <= v->attestations[i].target);
    for (size_t i = 1; i < v->attestation_count; i++) {
        assert_true(v->attestations[i - 1].target < v->attestations[i].target);
        assert_true(v->attestations[i - 1].source <= v->attestations[i].source);
    }
}

static void assert_only_up(const struct slash_watermark *before,
                           const struct slash_watermark *after)
{
    if (before->has_slot)
        assert_true(after->has_slot && after->slot >= before->slot);
    if (before->has_epochs)
        assert_true(after->has_epochs && after->source >= before->source &&
                    after->target >= before->target);
}

static void shuffle(struct chance *c, struct kept *k)
{
    for (size_t i = k->v.block_count; i > 1; i--) {
        size_t j = chance_below(c, i);
        struct slash_block b = k->blocks[i - 1];
        k->blocks[i - 1] = k->blocks[j];
        k->blocks[j] = b;
    }
    for (size_t i = k->v.attestation_count; i > 1; i--) {
        size_t j = chance_below(c, i);
        struct slash_attestation a = k->attestations[i - 1];
        k->attestations[i - 1] = k->attestations[j];
        k->attestations[j] = a;
    }
}

static void assert_same(const struct slash_validator *a, const struct slash_validator *b)
{
    assert_memory_equal(&a->low, &b->low, sizeof a->low);
    assert_int_equal(a->block_count, b->block_count);
    for (size_t i = 0; i < a->block_count; i++) {
        assert_int_equal(a->blocks[i].slot, b->blocks[i].slot);
        assert_int_equal(a->blocks[i].has_root, b->blocks[i].has_root);
    }
    assert_int_equal(a->attestation_count, b->attestation_count);
    for (size_t i = 0; i < a->attestation_count; i++) {
        assert_int_equal(a->attestations[i].source, b->attestations[i].source);
        assert_int_equal(a->attestations[i].target, b->attestations[i].target);
        assert_int_equal(a->attestations[i].has_root, b->attestations[i].has_root);
    }
}

static void test_P12_merging_never_loosens(void **state)
{
    (void)state;
    struct chance c = chance_new("merging");
    const char *wanted = getenv("CC_ROUNDS");
    int rounds = wanted ? atoi(wanted) : 3000, contradictory = 0;
    for (int round = 0; round < rounds; round++) {
        struct kept k = {0}, before, other, add;
        point(&k);
        for (int step = 0; step < 3; step++) {
            sign_some(&c, &k);
            random_records(&c, &add);
            before = k;
            point(&before);
            other = k;
            point(&other);
            struct slash_merged m = merge_into(&k, &add);
            contradictory += m.contradictory;
            assert_never_looser(&before.v, &k.v);
            assert_protected(&add.v, &k.v);
            assert_protected(&before.v, &k.v);
            assert_consistent(&k.v);
            assert_only_up(&before.v.low, &k.v.low);
            assert_only_up(&add.v.low, &k.v.low);
            shuffle(&c, &add);
            (void)merge_into(&other, &add);
            assert_same(&k.v, &other.v);
        }
    }
    assert_true(contradictory > rounds / 6 && contradictory < 3 * rounds);
}

static void test_C07_out_of_memory(void **state)
{
    (void)state;
    struct kept k = {0}, add;
    struct chance c = {7};
    random_records(&c, &add);
    point(&k);
    struct slash_merged m;
    for (uint64_t nth = 1; nth < 100; nth++) {
        (void)alloc_fail_nth(nth);
        cc_err err = slash_merge_records(&k.v, &add.v, &m);
        (void)alloc_fail_nth(0);
        if (!err.code) {
            assert_true(nth > 3);
            slash_merged_release(&m);
            return;
        }
        assert_int_equal(err.code, ERROR_NO_MEMORY);
    }
    fail();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_import_sets_the_watermark_to_its_minimum),
        cmocka_unit_test(test_a_later_import_leaves_the_watermark),
        cmocka_unit_test(test_watermarks_given_with_an_import_only_raise),
        cmocka_unit_test(test_P12_contradictions_are_minified),
        cmocka_unit_test(test_an_unknown_root_is_no_contradiction),
        cmocka_unit_test(test_P12_merging_never_loosens),
        cmocka_unit_test(test_C07_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
