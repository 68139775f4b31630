/* A claim against a head and the records that its range names, compared with slash/rules.h over all records of the key. */
#include <stdlib.h>

#include "base/num.h"

#include "slash/backend.h"
#include "slash/dynamodb_judge.h"
#include "support/slash_kit.h"
#include "support/test.h"

enum {
    ROUNDS = 300,
    CLAIMS = 60
};

/* All records of one key, and the head that has only the newest of them. */
struct key {
    struct dynamodb_head head;
    struct dynamodb_records older;
    struct slash_block blocks[CLAIMS];
    struct slash_attestation votes[CLAIMS];
    size_t block_count, vote_count;
};

static struct slash_claim random_claim(struct chance *c, uint64_t base, uint64_t time)
{
    uint64_t at = base + time - u64_min(time, chance_below(c, chance_below(c, 4) ? 4 : 20));
    uint64_t back = chance_below(c, 5);
    if (chance_below(c, 3) == 0)
        return kit_block(1, at, chance_below(c, 2));
    if (chance_below(c, 20) == 0)
        return kit_attestation(1, u64_add_sat(at, 1), at, 1);
    return kit_attestation(1, at > back ? at - back : 0, at, chance_below(c, 2));
}

static struct slash_verdict by_the_rules(const struct key *k, const struct slash_claim *claim)
{
    const struct slash_block block = slash_claim_block(claim);
    const struct slash_attestation vote = slash_claim_attestation(claim);
    return claim->kind == SLASH_CLAIM_BLOCK
               ? slash_judge_block(&block, &k->head.low, k->blocks, k->block_count)
               : slash_judge_attestation(&vote, &k->head.low, k->votes, k->vote_count);
}

static struct slash_verdict
by_the_head(const struct key *k, const struct slash_claim *claim, unsigned *read)
{
    CC_CLEANUP(dynamodb_records_release) struct dynamodb_records range = {0};
    struct slash_verdict verdict;
    uint64_t first, last;
    if (dynamodb_judge_head(&k->head, claim, &verdict))
        return verdict;
    (*read)++;
    dynamodb_judge_range(claim, &first, &last);
    for (size_t i = 0; i < k->older.count; i++) {
        const struct dynamodb_record *r = &k->older.all[i];
        if (r->kind == claim->kind && r->number >= first && r->number <= last)
            assert_int_equal(dynamodb_records_add(&range, r).code, 0);
    }
    assert_int_equal(dynamodb_judge_records(&k->head, claim, &range, &verdict).code, 0);
    return verdict;
}

static void record(struct key *k, const struct slash_claim *claim)
{
    uint64_t before = k->head.version;
    if (k->head.recent_count == DYNAMODB_RECENT_MAX) {
        for (size_t i = 0; i < DYNAMODB_RECENT_MAX; i++)
            assert_int_equal(dynamodb_records_add(&k->older, &k->head.recent[i]).code, 0);
        k->head.recent_count = 0;
    }
    dynamodb_head_record(&k->head, claim);
    assert_int_equal(k->head.version, before + 1);
    if (claim->kind == SLASH_CLAIM_BLOCK)
        k->blocks[k->block_count++] = slash_claim_block(claim);
    else
        k->votes[k->vote_count++] = slash_claim_attestation(claim);
}

static void test_P11_the_head_says_what_the_rules_say(void **state)
{
    (void)state;
    static const uint64_t bases[] = {0, 1000, (1ull << 63) - 20, UINT64_MAX - 200};
    struct chance c = chance_new("judge");
    unsigned read = 0, safe = 0;
    for (int round = 0; round < ROUNDS; round++) {
        static struct key k;
        uint64_t base = bases[chance_below(&c, ARRAY_LEN(bases))], time = 0;
        k = (struct key){
            .head = {.pubkey = kit_key(1), .version = 1, .enabled = true, .high_version = 1}};
        for (int i = 0; i < CLAIMS; i++, time += chance_below(&c, 3)) {
            const struct slash_claim claim = random_claim(&c, base, time);
            struct slash_verdict wanted = by_the_rules(&k, &claim),
                                 found = by_the_head(&k, &claim, &read);
            assert_string_equal(slash_rule_name(found.rule), slash_rule_name(wanted.rule));
            assert_true(found.earlier_slot == wanted.earlier_slot &&
                        found.earlier_source == wanted.earlier_source &&
                        found.earlier_target == wanted.earlier_target);
            if (wanted.rule == SLASH_SAFE)
                record(&k, &claim);
            safe += wanted.rule == SLASH_SAFE;
        }
        /* The first record sets a watermark, and no other moves it. */
        assert_true(!k.block_count || k.head.low.slot == k.blocks[0].slot);
        assert_true(!k.vote_count || (k.head.low.source == k.votes[0].source &&
                                      k.head.low.target == k.votes[0].target));
        assert_int_equal(k.head.blocks, k.block_count);
        assert_int_equal(k.head.attestations, k.vote_count);
        dynamodb_records_release(&k.older);
    }
    print_message("%u recorded, %u needed older records\n", safe, read);
    assert_true(read > ROUNDS && safe > ROUNDS);
}

static void test_the_gate_comes_first(void **state)
{
    (void)state;
    struct dynamodb_head head = {
        .pubkey = kit_key(1), .version = 1, .high_version = 1, .high = {true, 64, 10}};
    const struct slash_claim block = kit_block(1, 64, 1), vote = kit_attestation(1, 9, 10, 1);
    struct slash_verdict verdict;
    assert_true(dynamodb_judge_head(&head, &block, &verdict));
    assert_int_equal(verdict.rule, SLASH_DISABLED);
    head.enabled = true;
    assert_true(dynamodb_judge_head(&head, &block, &verdict));
    assert_int_equal(verdict.rule, SLASH_HIGH_WATERMARK);
    assert_true(dynamodb_judge_head(&head, &vote, &verdict));
    assert_int_equal(verdict.rule, SLASH_HIGH_WATERMARK);
    head.high.set = false;
    assert_true(dynamodb_judge_head(&head, &vote, &verdict));
    assert_int_equal(verdict.rule, SLASH_SAFE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_P11_the_head_says_what_the_rules_say),
        cmocka_unit_test(test_the_gate_comes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
