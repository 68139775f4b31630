#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "slash/backend.h"
#include "slash/guard_inside.h"
#include "support/slash_kit.h"
#include "support/test.h"

/* The history inside is the oracle, which a test can make anew, with whatever it likes in it. */
static char directory[KIT_DIRECTORY_MAX], path[KIT_PATH_MAX];
static const struct slash_identity identity = {.history_id = {1}, .chamber_id = {2}};
static const uint8_t key[MIRROR_KEY_SIZE] = {5};

static int setup(void **state)
{
    (void)state;
    assert_true(kit_directory(directory));
    (void)snprintf(path, sizeof path, "%s/history.mirror", directory);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    slash_remove_directory(directory);
    return 0;
}

static struct slash_store *bare(void)
{
    struct slash_store *s = NULL;
    assert_int_equal(slash_memory_open(&identity, &s).code, 0);
    kit_register(s, 1, 4);
    return s;
}

static cc_err try_guard(struct slash_store *inner, bool automatic, struct slash_store **ret)
{
    return kit_guard(inner, path, automatic, ret);
}

static struct slash_store *guarded(struct slash_store *inner, bool automatic)
{
    struct slash_store *s = NULL;
    cc_err err = try_guard(inner, automatic, &s);
    if (err.code)
        fail_msg("%s (%s)", error_name(err), error_detail());
    return s;
}

/* What the signer did in its first life: votes (epoch-1, epoch) up to 9 of keys 1 to 3, blocks 10 to 12 of key 1. */
enum {
    LAST_EPOCH = 9
};

static struct slash_claim first_life(size_t i)
{
    if (i < 3)
        return kit_block(1, 10 + i, 100 + i);
    i -= 3;
    return kit_attestation(1 + i % 3, i / 3, i / 3 + 1, 200 + i);
}

enum {
    FIRST_LIFE = 3 + 3 * LAST_EPOCH
};

static void live(void)
{
    struct slash_store *s = guarded(bare(), false);
    for (size_t i = 0; i < FIRST_LIFE; i++)
        assert_int_equal(kit_sign(s, first_life(i)), SLASH_SAFE);
    slash_store_close(s);
}

/* The oldest record of each kind: it is at its key's low watermark, where nothing is signed any more whatever stands there. */
static bool is_at_the_watermark(size_t i)
{
    return i == 0 || (i >= 3 && i < 6);
}

/* A history with all of the first life but claim `without`, and `instead` (or NULL) in its place. */
static struct slash_store *edited(size_t without, const struct slash_claim *instead)
{
    struct slash_store *s = bare();
    for (size_t i = 0; i < FIRST_LIFE; i++) {
        if (i != without)
            assert_int_equal(kit_sign(s, first_life(i)), SLASH_SAFE);
        else if (instead)
            assert_int_equal(kit_sign(s, *instead), SLASH_SAFE);
    }
    return s;
}

static void expect_refused(struct slash_store *inner)
{
    struct slash_store *s = NULL;
    assert_int_equal(try_guard(inner, false, &s).code, ERROR_TAMPERED);
    assert_null(s);
}

static void test_the_same_history_is_let_in(void **state)
{
    (void)state;
    live();
    struct slash_store *s = guarded(edited(SIZE_MAX, NULL), false);
    assert_int_equal(kit_sign(s, first_life(5)), SLASH_REPEAT);
    assert_int_equal(kit_sign(s, kit_attestation(1, 9, 10, 1)), SLASH_SAFE);
    assert_int_equal(kit_sign(s, kit_block(1, 13, 1)), SLASH_SAFE);
    slash_store_close(s);
}

static void test_C08_each_record_that_is_gone_is_noticed(void **state)
{
    (void)state;
    live();
    for (size_t i = 0; i < FIRST_LIFE; i++)
        if (!is_at_the_watermark(i))
            expect_refused(edited(i, NULL));
}

static void test_C08_each_root_that_was_changed_is_noticed(void **state)
{
    (void)state;
    live();
    for (size_t i = 0; i < FIRST_LIFE; i++) {
        struct slash_claim other = first_life(i);
        other.root = kit_root(999);
        if (!is_at_the_watermark(i))
            expect_refused(edited(i, &other));
    }
}

static void test_C08_a_source_that_was_changed_is_noticed(void **state)
{
    (void)state;
    live();
    struct slash_claim other = first_life(FIRST_LIFE - 1); /* of key 3, the newest */
    other.source--;
    expect_refused(edited(FIRST_LIFE - 1, &other));
}

static void test_C08_records_of_another_validator_are_noticed(void **state)
{
    (void)state;
    live();
    /* Keys 1 and 2 have changed places. */
    struct slash_store *s = bare();
    for (size_t i = 0; i < FIRST_LIFE; i++) {
        struct slash_claim claim = first_life(i);
        const struct eth_pubkey one = kit_key(1), two = kit_key(2);
        if (memcmp(claim.pubkey.bytes, one.bytes, sizeof one.bytes) == 0)
            claim.pubkey = two;
        else if (memcmp(claim.pubkey.bytes, two.bytes, sizeof two.bytes) == 0)
            claim.pubkey = one;
        assert_int_equal(kit_sign(s, claim), SLASH_SAFE);
    }
    expect_refused(s);
}

static void test_C08_a_row_that_is_gone_is_noticed(void **state)
{
    (void)state;
    live();
    struct slash_store *s = NULL;
    assert_int_equal(slash_memory_open(&identity, &s).code, 0);
    kit_register(s, 2, 3);
    for (size_t i = 0; i < FIRST_LIFE; i++)
        (void)kit_sign(s, first_life(i));
    expect_refused(s);
    assert_int_equal(slash_memory_open(&identity, &s).code, 0);
    expect_refused(s); /* all rows */
}

static void test_C08_a_watermark_that_went_down_is_noticed(void **state)
{
    (void)state;
    const struct slash_watermark low = {true, true, 500, 50, 60};
    uint64_t count = 0;
    live();
    struct slash_store *s = edited(SIZE_MAX, NULL);
    assert_int_equal(slash_raise_all(s, &low, &count).code, 0);
    slash_store_close(guarded(s, false)); /* it is seen, and remembered */
    expect_refused(edited(SIZE_MAX, NULL));
}

/* An older copy, put back while the signer was stopped: refused, and repaired by a watermark that covers the mirror. */
static void test_P21_T08_an_older_copy_is_refused_until_it_is_repaired(void **state)
{
    (void)state;
    struct slash_store *s = NULL;
    live();
    for (int attempt = 0; attempt < 3; attempt++) {
        const uint64_t epoch = attempt == 1 ? LAST_EPOCH - 1 : LAST_EPOCH;
        const struct slash_watermark low = {true, true, epoch * 32 + 31, epoch, epoch};
        uint64_t count = 0;
        struct slash_store *older = bare();
        for (size_t i = 0; i < FIRST_LIFE - 3; i++)
            assert_int_equal(kit_sign(older, first_life(i)), SLASH_SAFE);
        if (attempt)
            assert_int_equal(slash_raise_all(older, &low, &count).code, 0);
        if (attempt < 2)
            expect_refused(older);
        else
            s = guarded(older, false);
    }
    assert_int_equal(kit_sign(s, kit_attestation(2, 9, 9, 1)), SLASH_TARGET_BELOW);
    assert_int_equal(kit_sign(s, kit_attestation(2, 8, 10, 1)), SLASH_SOURCE_BELOW);
    assert_int_equal(kit_sign(s, kit_attestation(2, 9, 10, 1)), SLASH_SAFE);
    slash_store_close(s);
}

static void test_rows_that_only_the_mirror_knows_come_back_with_a_floor(void **state)
{
    (void)state;
    const struct slash_watermark low = {true, true, LAST_EPOCH * 32, LAST_EPOCH, LAST_EPOCH};
    uint64_t count = 0;
    struct slash_store *s = NULL;
    live();
    assert_int_equal(slash_memory_open(&identity, &s).code, 0);
    assert_int_equal(slash_guard_restore_rows(s, path, &low).code, 0);
    assert_int_equal(slash_raise_all(s, &low, &count).code, 0);
    assert_int_equal(count, 3);
    slash_store_close(guarded(s, false));
}

/* --- beside a Web3Signer --------------------------------------------------------------------------------------------- */

static void test_T19_an_edit_raises_the_floors_of_its_key_alone(void **state)
{
    (void)state;
    live();
    /* Key 2's newest vote is gone, key 1's newest block is another. */
    struct slash_claim other = first_life(2);
    other.root = kit_root(999);
    struct slash_store *inner = bare();
    for (size_t i = 0; i < FIRST_LIFE; i++)
        if (i != FIRST_LIFE - 2)
            assert_int_equal(kit_sign(inner, i == 2 ? other : first_life(i)), SLASH_SAFE);
    struct slash_store *s = guarded(inner, true);
    assert_int_equal(kit_sign(s, first_life(FIRST_LIFE - 2)), SLASH_TARGET_BELOW);
    assert_int_equal(kit_sign(s, kit_attestation(2, 7, 10, 1)), SLASH_SOURCE_BELOW);
    assert_int_equal(kit_sign(s, kit_attestation(2, 8, 10, 1)), SLASH_SAFE);
    assert_int_not_equal(kit_sign(s, other), SLASH_REPEAT);
    assert_int_equal(kit_sign(s, kit_block(1, 13, 1)), SLASH_SAFE);
    assert_int_equal(kit_sign(s, kit_attestation(3, 0, 10, 1)), SLASH_SURROUNDING);
    assert_int_equal(kit_sign(s, kit_attestation(3, 8, 10, 1)), SLASH_SAFE);
    struct slash_verify_report report;
    bool more = true;
    while (more)
        assert_int_equal(slash_verify(s, &report, &more).code, 0);
    assert_int_equal(report.missing + report.changed, 0);
    assert_int_equal(report.keys, 3);
    slash_store_close(s);
}

static cc_err read_low(void *context, const struct slash_validator *v)
{
    *(struct slash_watermark *)context = v->low;
    return CC_OK;
}

static void expect_whole(struct slash_store *s)
{
    struct slash_verify_report report;
    bool more = true;
    while (more)
        assert_int_equal(slash_verify(s, &report, &more).code, 0);
    assert_int_equal(report.missing + report.changed, 0);
}

/* What was raised is whole again, for blocks, for votes, for a row that is gone; and nobody else was touched. */
static void test_T19_a_raised_floor_covers_what_is_gone(void **state)
{
    (void)state;
    for (uint64_t gone = 1; gone <= 3; gone++) {
        const struct eth_pubkey key_gone = kit_key(gone);
        struct slash_store *inner = NULL;
        live();
        assert_int_equal(slash_memory_open(&identity, &inner).code, 0);
        for (uint64_t who = 1; who <= 3; who++)
            if (who != gone)
                kit_register(inner, who, 1);
        for (size_t i = 0; i < FIRST_LIFE; i++) {
            const struct slash_claim claim = first_life(i);
            bool mine = memcmp(claim.pubkey.bytes, key_gone.bytes, sizeof key_gone.bytes) == 0;
            /* Of key 1, where its row is there, the newest block. */
            assert_int_equal(mine || i == 2 ? SLASH_SAFE : kit_sign(inner, claim), SLASH_SAFE);
        }
        struct slash_store *s = guarded(inner, true);
        expect_whole(s);
        for (uint64_t who = 1; who <= 3; who++) {
            const struct eth_pubkey pubkey = kit_key(who);
            struct slash_watermark low = {0};
            assert_int_equal(slash_visit(s, &pubkey, read_low, &low).code, 0);
            assert_int_equal(low.target, who == gone || who == 1 ? LAST_EPOCH : 1);
        }
        slash_store_close(s);
        slash_store_close(guarded(edited(SIZE_MAX, NULL), true));
        assert_int_equal(unlink(path), 0);
    }
}

/* T9: a floor without a source would let this one pass. */
static void test_T09_a_lost_vote_can_not_be_surrounded(void **state)
{
    (void)state;
    struct slash_store *s = guarded(bare(), true);
    assert_int_equal(kit_sign(s, kit_attestation(1, 40, 50, 1)), SLASH_SAFE);
    slash_store_close(s);
    s = guarded(bare(), true);
    assert_int_equal(kit_sign(s, kit_attestation(1, 39, 51, 1)), SLASH_SOURCE_BELOW);
    assert_int_equal(kit_sign(s, kit_attestation(1, 40, 51, 1)), SLASH_SAFE);
    slash_store_close(s);
}

static void test_T19_what_a_web3signer_adds_and_prunes_is_no_alarm(void **state)
{
    (void)state;
    live();
    struct slash_store *inner = edited(SIZE_MAX, NULL);
    struct slash_prune_step step = {.more = true};
    const struct slash_watermark low = {true, true, 11, 4, 5};
    uint64_t count = 0;
    /* Rows of its own, older and newer ones. */
    assert_int_equal(kit_sign(inner, kit_attestation(1, 9, 12, 5)), SLASH_SAFE);
    assert_int_equal(kit_sign(inner, kit_block(2, 40, 5)), SLASH_SAFE);
    kit_register(inner, 30, 2);
    assert_int_equal(kit_sign(inner, kit_attestation(30, 1, 2, 5)), SLASH_SAFE);
    while (step.more)
        assert_int_equal(slash_prune(inner, 4, 2, &step).code, 0);
    assert_true(step.removed > 0);
    assert_int_equal(slash_raise_all(inner, &low, &count).code, 0);
    struct slash_store *s = guarded(inner, false); /* which would refuse the least alarm */
    /* Its rows bind us: the same is repeated and becomes ours, another is refused. */
    assert_int_equal(kit_sign(s, kit_attestation(1, 9, 12, 6)), SLASH_DOUBLE_VOTE);
    assert_int_equal(kit_sign(s, kit_attestation(1, 9, 12, 5)), SLASH_REPEAT);
    assert_int_equal(kit_sign(s, kit_attestation(1, 10, 11, 6)), SLASH_SURROUNDED);
    assert_int_equal(kit_sign(s, kit_block(2, 40, 6)), SLASH_DOUBLE_BLOCK);
    slash_store_close(s);
}

/* --- while it runs ----------------------------------------------------------------------------------------------------- */

/* Somebody puts another history in the place of the one that is open. */
static void swap(struct slash_store *s, struct slash_store *other)
{
    struct guard *g = guard_of(s);
    slash_store_close(g->inner);
    g->inner = other;
}

static void test_C08_nothing_that_the_mirror_forbids_is_released(void **state)
{
    (void)state;
    live();
    const struct slash_claim claims[] = {
        kit_block(1, 12, 7),                  /* double, newest */
        kit_block(1, 10, 7),                  /* double, older */
        kit_attestation(1, 8, 9, 7),          /* double, newest */
        kit_attestation(1, 3, 4, 7),          /* double, older */
        kit_attestation(1, 7, 10, 7),         /* surrounds the newest: lower source */
        kit_attestation(1, 1, 4, 7),          /* double */
        kit_attestation(2, 0, UINT64_MAX, 7), /* surrounds nearly all */
    };
    for (size_t i = 0; i < ARRAY_LEN(claims); i++) {
        for (int automatic = 0; automatic < 2; automatic++) {
            struct slash_store *s = guarded(edited(SIZE_MAX, NULL), automatic);
            swap(s, bare());
            enum slash_rule rule = kit_sign(s, claims[i]);
            assert_false(slash_may_sign(rule));
            assert_int_equal(rule == SLASH_HISTORY_TAMPERED, !automatic);
            /* Again, and the key's other duties: refused, or beyond floors. */
            assert_false(slash_may_sign(kit_sign(s, claims[i])));
            rule = kit_sign(s, kit_attestation(3, 8, 10, 1));
            assert_int_equal(rule, SLASH_SAFE); /* who isn't asked for goes on */
            slash_store_close(s);
            assert_int_equal(unlink(path), 0);
            live();
        }
    }
}

/* Roots changed under a running signer: a "repeat" of what it never signed. */
static void test_C08_a_repeat_of_a_changed_root_is_not_released(void **state)
{
    (void)state;
    live();
    for (size_t i = 0; i < FIRST_LIFE; i++) {
        struct slash_claim other = first_life(i);
        other.root = kit_root(999);
        struct slash_store *s = guarded(edited(SIZE_MAX, NULL), true);
        swap(s, edited(i, &other));
        assert_false(slash_may_sign(kit_sign(s, other)));
        slash_store_close(s);
        assert_int_equal(unlink(path), 0);
        live();
    }
}

/* T19: below the floor that this replica knows, the history's SAFE is overruled. */
static void test_T19_the_floor_in_memory_overrules_the_history(void **state)
{
    (void)state;
    const struct slash_watermark low = {true, true, 100, 50, 60};
    uint64_t count = 0;
    for (int automatic = 0; automatic < 2; automatic++) {
        struct slash_store *s = guarded(bare(), automatic);
        assert_int_equal(kit_sign(s, kit_attestation(1, 1, 2, 1)), SLASH_SAFE);
        assert_int_equal(slash_raise_all(s, &low, &count).code, 0);
        swap(s, bare());
        assert_int_equal(kit_sign(s, kit_attestation(1, 50, 60, 1)),
                         automatic ? SLASH_TARGET_BELOW : SLASH_HISTORY_TAMPERED);
        assert_false(slash_may_sign(kit_sign(s, kit_block(1, 100, 1))));
        slash_store_close(s);
        assert_int_equal(unlink(path), 0);
    }
}

static void test_a_refused_key_is_let_in_again_when_it_is_repaired(void **state)
{
    (void)state;
    const struct slash_watermark too_low = {true, true, 13, 7, 8};
    const struct slash_watermark low = {true, true, 13, LAST_EPOCH, LAST_EPOCH};
    uint64_t count = 0;
    live();
    struct slash_store *s = guarded(edited(SIZE_MAX, NULL), false);
    swap(s, edited(FIRST_LIFE - 2, NULL)); /* without key 2's newest vote */
    assert_int_equal(kit_sign(s, kit_attestation(2, 8, 9, 7)), SLASH_HISTORY_TAMPERED);
    assert_int_equal(kit_sign(s, kit_attestation(2, 30, 31, 7)), SLASH_HISTORY_TAMPERED);
    assert_int_equal(slash_raise_all(s, &too_low, &count).code, 0);
    assert_int_equal(kit_sign(s, kit_attestation(2, 30, 32, 7)), SLASH_HISTORY_TAMPERED);
    assert_int_equal(slash_raise_all(s, &low, &count).code, 0);
    assert_int_equal(kit_sign(s, kit_attestation(2, 30, 33, 7)), SLASH_SAFE);
    /* What was refused then stands in the history, and is no news now: refused alone, not with its key. */
    assert_int_equal(kit_sign(s, kit_attestation(2, 8, 9, 7)), SLASH_DOUBLE_VOTE);
    assert_int_equal(kit_sign(s, kit_attestation(2, 33, 34, 7)), SLASH_SAFE);
    slash_store_close(s);
}

/* A history that lost all of a key takes its next record for the watermark of what is gone: nothing seems to be missing. */
static void test_C08_an_emptied_key_is_refused_though_nothing_seems_missing(void **state)
{
    (void)state;
    live();
    struct slash_store *s = guarded(edited(SIZE_MAX, NULL), false);
    swap(s, bare());
    assert_int_equal(kit_sign(s, kit_attestation(2, 8, 9, 7)), SLASH_HISTORY_TAMPERED);
    assert_int_equal(kit_sign(s, kit_attestation(2, 30, 31, 7)), SLASH_HISTORY_TAMPERED);
    slash_store_close(s);
}

static void test_verify_finds_what_no_claim_has_met(void **state)
{
    (void)state;
    struct slash_verify_report report;
    bool more = true;
    live();
    struct slash_store *s = guarded(edited(SIZE_MAX, NULL), false);
    while (more)
        assert_int_equal(slash_verify(s, &report, &more).code, 0);
    assert_int_equal(report.records, FIRST_LIFE);
    assert_int_equal(report.missing + report.changed, 0);
    swap(s, edited(7, NULL));
    do
        assert_int_equal(slash_verify(s, &report, &more).code, 0);
    while (more);
    assert_int_equal(report.missing, 1);
    struct slash_claim next = first_life(7);
    next.source = 20;
    next.target = 21;
    assert_int_equal(kit_sign(s, next), SLASH_HISTORY_TAMPERED);
    slash_store_close(s);
}

/* --- what is written ------------------------------------------------------------------------------------------------- */

/* A history that says SAFE to everything, and holds nothing. */
static cc_err yes(struct slash_store *s,
                  const struct slash_claim *claims,
                  size_t n,
                  struct slash_verdict *ret_verdicts)
{
    (void)s;
    (void)claims;
    memset(ret_verdicts, 0, n * sizeof *ret_verdicts);
    return CC_OK;
}

static cc_err yes_merge(struct slash_store *s,
                        const struct slash_validator *validator,
                        struct slash_import_report *report)
{
    (void)s;
    (void)validator;
    (void)report;
    return CC_OK;
}

static cc_err yes_visit(struct slash_store *s,
                        const struct eth_pubkey *only,
                        slash_visit_fn *visit,
                        void *context)
{
    (void)s;
    (void)only;
    (void)visit;
    (void)context;
    return CC_OK;
}

static cc_err yes_maintain(struct slash_store *s, bool *ret_more)
{
    (void)s;
    *ret_more = false;
    return CC_OK;
}

static cc_err yes_status(struct slash_store *s, struct slash_status *ret_status)
{
    (void)s;
    memset(ret_status, 0, sizeof *ret_status);
    return CC_OK;
}

static void yes_close(struct slash_store *s)
{
    free(s);
}

static struct slash_store *yes_man(void)
{
    static const struct slash_store_ops ops = {.name = "yes",
                                               .check_and_record = yes,
                                               .merge = yes_merge,
                                               .visit = yes_visit,
                                               .maintain = yes_maintain,
                                               .status = yes_status,
                                               .close = yes_close};
    struct slash_store *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->ops = &ops;
    s->identity = identity;
    return s;
}

/* What one claim of a batch adds, the next one of it meets. */
static void test_claims_of_one_batch_meet_each_other(void **state)
{
    (void)state;
    const struct slash_claim claims[] = {
        kit_attestation(1, 5, 9, 1),  kit_attestation(1, 5, 9, 2), kit_attestation(2, 4, 8, 1),
        kit_attestation(2, 3, 10, 1), kit_block(3, 5, 1),          kit_block(3, 5, 2),
    };
    struct slash_verdict v[ARRAY_LEN(claims)];
    struct slash_store *s = guarded(yes_man(), true);
    assert_int_equal(slash_check_and_record(s, claims, ARRAY_LEN(claims), v).code, 0);
    assert_int_equal(v[0].rule, SLASH_SAFE);
    assert_int_equal(v[1].rule, SLASH_DOUBLE_VOTE);
    assert_int_equal(v[1].earlier_target, 9);
    assert_int_equal(v[2].rule, SLASH_SAFE);
    assert_int_equal(v[3].rule, SLASH_SURROUNDING);
    assert_int_equal(v[4].rule, SLASH_SAFE);
    assert_int_equal(v[5].rule, SLASH_DOUBLE_BLOCK);
    slash_store_close(s);
}

enum {
    YES_KEYS = 3,
    YES_BATCHES = 1500
};

struct released {
    struct slash_block blocks[YES_BATCHES * 8];
    struct slash_attestation votes[YES_BATCHES * 8];
    size_t block_count, vote_count;
};

static void expect_unslashable(struct released *all, const struct slash_claim *claim)
{
    static const struct slash_watermark none;
    if (claim->kind == SLASH_CLAIM_BLOCK) {
        const struct slash_block b = slash_claim_block(claim);
        assert_true(
            slash_may_sign(slash_judge_block(&b, &none, all->blocks, all->block_count).rule));
        all->blocks[all->block_count++] = b;
        return;
    }
    const struct slash_attestation a = slash_claim_attestation(claim);
    assert_true(
        slash_may_sign(slash_judge_attestation(&a, &none, all->votes, all->vote_count).rule));
    all->votes[all->vote_count++] = a;
}

/* Whatever the history says, at whatever moment the signer is stopped or its mirror written anew: no slashable pair. */
static void test_C06_C08_over_a_history_that_says_safe_to_everything(void **state)
{
    (void)state;
    static struct released all[YES_KEYS];
    struct chance c = chance_new("yes");
    memset(all, 0, sizeof all);
    struct slash_store *s = guarded(yes_man(), true);
    size_t released = 0;
    for (uint64_t batch = 0; batch < YES_BATCHES; batch++) {
        struct slash_claim claims[8];
        struct slash_verdict v[8];
        uint64_t who[8];
        size_t n = 1 + chance_below(&c, 8);
        for (size_t i = 0; i < n; i++) {
            uint64_t target = batch / 3 + chance_below(&c, 20), root = chance_below(&c, 3);
            who[i] = chance_below(&c, YES_KEYS);
            claims[i] = chance_below(&c, 4)
                            ? kit_attestation(
                                  who[i], target - chance_below(&c, target < 9 ? target + 1 : 9),
                                  target, root)
                            : kit_block(who[i], target, root);
        }
        assert_int_equal(slash_check_and_record(s, claims, n, v).code, 0);
        for (size_t i = 0; i < n; i++)
            if (slash_may_sign(v[i].rule)) {
                expect_unslashable(&all[who[i]], &claims[i]);
                released++;
            }
        bool more = true;
        if (chance_below(&c, 50) == 0)
            guard_of(s)->compact_above = 0;
        if (chance_below(&c, 3) == 0)
            assert_int_equal(slash_maintain(s, &more).code, 0);
        if (chance_below(&c, 100) == 0) {
            slash_store_close(s);
            s = guarded(yes_man(), true);
        }
    }
    slash_store_close(s);
    assert_true(released > YES_BATCHES / 2);
}

static void test_without_a_mirror_that_can_be_written_nothing_is_released(void **state)
{
    (void)state;
    struct slash_store *s = guarded(bare(), false);
    assert_int_equal(kit_sign(s, kit_attestation(1, 1, 2, 1)), SLASH_SAFE);
    /* The mirror is opened again from what is on the disk, and that is a directory now. */
    struct slash_verdict verdict;
    const struct slash_claim claim = kit_attestation(1, 2, 3, 1);
    mirror_close(guard_of(s)->mirror);
    guard_of(s)->mirror = NULL;
    char moved[KIT_PATH_MAX + 8];
    (void)snprintf(moved, sizeof moved, "%s.moved", path);
    assert_int_equal(rename(path, moved), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_not_equal(slash_check_and_record(s, &claim, 1, &verdict).code, 0);
    assert_false(slash_may_sign(verdict.rule));
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(slash_check_and_record(s, &claim, 1, &verdict).code, ERROR_TAMPERED);
    assert_int_equal(rename(moved, path), 0);
    assert_int_equal(slash_check_and_record(s, &claim, 1, &verdict).code, 0);
    assert_int_equal(verdict.rule, SLASH_SAFE);
    slash_store_close(s);
}

static void test_what_is_repeated_for_another_becomes_ours(void **state)
{
    (void)state;
    struct slash_store *inner = bare();
    assert_int_equal(kit_sign(inner, kit_attestation(1, 5, 6, 1)), SLASH_SAFE);
    struct slash_store *s = guarded(inner, false);
    assert_int_equal(kit_sign(s, kit_attestation(1, 5, 6, 1)), SLASH_REPEAT);
    slash_store_close(s);
    expect_refused(bare());
}

/* Records that were pruned leave the mirror when it is written anew, and stay refused. */
static void test_P10_a_mirror_is_written_anew_without_what_was_pruned(void **state)
{
    (void)state;
    struct slash_store *s = guarded(bare(), false);
    struct slash_prune_step step = {.more = true};
    const struct slash_watermark low = {true, true, 0, 300, 300};
    bool more = true;
    for (uint64_t epoch = 1; epoch <= 300; epoch++)
        for (uint64_t who = 1; who <= 3; who++)
            assert_int_equal(kit_sign(s, kit_attestation(who, epoch - 1, epoch, epoch)),
                             SLASH_SAFE);
    uint64_t before = mirror_size(guard_of(s)->mirror);
    while (step.more)
        assert_int_equal(slash_prune(s, 20, 32, &step).code, 0);
    guard_of(s)->compact_above = 0;
    assert_int_equal(kit_sign(s, kit_attestation(1, 300, 301, 1)), SLASH_SAFE);
    for (int steps = 0; more; steps++) {
        assert_int_equal(slash_maintain(s, &more).code, 0);
        if (steps == 1) /* comes while it is written */
            assert_int_equal(kit_sign(s, kit_attestation(2, 300, 301, 1)), SLASH_SAFE);
    }
    assert_true(mirror_size(guard_of(s)->mirror) * 5 < before);
    assert_int_equal(guard_of(s)->refused.count, 0);
    assert_int_equal(kit_sign(s, kit_attestation(3, 99, 100, 100)), SLASH_SOURCE_BELOW);
    assert_int_equal(kit_sign(s, kit_attestation(2, 300, 301, 1)), SLASH_REPEAT);
    assert_int_equal(kit_sign(s, kit_attestation(2, 299, 300, 300)), SLASH_REPEAT);
    /* A row that somebody puts where the pruned one stood makes nothing signable. */
    struct slash_store *other = bare();
    assert_int_equal(kit_sign(other, kit_attestation(3, 99, 100, 7)), SLASH_SAFE);
    uint64_t count = 0;
    assert_int_equal(slash_raise_all(other, &low, &count).code, 0);
    swap(s, other);
    assert_int_equal(kit_sign(s, kit_attestation(3, 99, 100, 7)), SLASH_SOURCE_BELOW);
    slash_store_close(s);
}

/* --- what is in the file, and stays ------------------------------------------------------------------------------------ */

/* A signature may leave when the verdict does: by then the record is where a kill can't reach it. */
static void test_what_is_released_is_in_the_file(void **state)
{
    (void)state;
    const struct eth_pubkey one = kit_key(1);
    struct slash_store *s = guarded(bare(), false);
    struct mirror *m = NULL;
    assert_int_equal(kit_sign(s, kit_attestation(1, 1, 2, 1)), SLASH_SAFE);
    assert_int_equal(mirror_open(&guard_of(s)->settings, &m).code, 0);
    const struct slash_key *k = slash_index_find(mirror_index(m), &one);
    assert_true(k && k->has_attestation && k->attestation.target == 2);
    mirror_close(m);
    slash_store_close(s);
}

static void compact(struct slash_store *s)
{
    bool more = true;
    guard_of(s)->compact_above = 0;
    while (more)
        assert_int_equal(slash_maintain(s, &more).code, 0);
}

/* A raised floor makes no difference to what is kept: the same message is signed again. */
static void test_P18_a_repeat_below_a_raised_floor_outlives_a_new_mirror(void **state)
{
    (void)state;
    const struct slash_watermark low = {true, true, 500, 50, 60};
    uint64_t count = 0;
    live();
    struct slash_store *s = guarded(edited(SIZE_MAX, NULL), false);
    assert_int_equal(slash_raise_all(s, &low, &count).code, 0);
    compact(s);
    for (size_t i = 0; i < FIRST_LIFE; i++)
        assert_int_equal(kit_sign(s, first_life(i)), SLASH_REPEAT);
    slash_store_close(s);
}

static void test_C08_a_new_mirror_keeps_what_the_history_has_lost(void **state)
{
    (void)state;
    live();
    struct slash_store *s = guarded(edited(SIZE_MAX, NULL), false);
    swap(s, edited(7, NULL));
    compact(s);
    slash_store_close(s);
    expect_refused(edited(7, NULL));
}

/* A watermark whose source is too low leaves room for a surrounding vote: what lies there is missed all the same. */
static void test_T09_a_watermark_covers_a_vote_with_both_its_epochs(void **state)
{
    (void)state;
    const struct slash_watermark low = {true, true, 13, 7, 9};
    uint64_t count = 0;
    live();
    struct slash_store *inner = edited(FIRST_LIFE - 2, NULL);
    assert_int_equal(slash_raise_all(inner, &low, &count).code, 0);
    expect_refused(inner);
}

/* --- a database that fails over ---------------------------------------------------------------------------------------- */

/* The oracle as a database with time lines would be. */
struct line {
    struct slash_store base;
    struct slash_store *inner;
    bool pending;
    struct slash_timeline seen;
    unsigned begun;
    bool for_all;
};

static struct line *line_of(struct slash_store *s)
{
    return (struct line *)s;
}

static cc_err line_check(struct slash_store *s,
                         const struct slash_claim *claims,
                         size_t n,
                         struct slash_verdict *ret_verdicts)
{
    if (line_of(s)->pending)
        return CC_FAIL(TIMELINE, "test");
    CC_TRY(slash_check_and_record(line_of(s)->inner, claims, n, ret_verdicts));
    s->position++;
    return CC_OK;
}

static cc_err
line_merge(struct slash_store *s, const struct slash_validator *v, struct slash_import_report *r)
{
    return slash_merge(line_of(s)->inner, v, r);
}

static cc_err line_visit(struct slash_store *s,
                         const struct eth_pubkey *only,
                         slash_visit_fn *visit,
                         void *context)
{
    return slash_visit(line_of(s)->inner, only, visit, context);
}

static cc_err line_status(struct slash_store *s, struct slash_status *ret)
{
    return line_of(s)->pending ? CC_FAIL(TIMELINE, "test") : slash_status(line_of(s)->inner, ret);
}

static cc_err
line_raise(struct slash_store *s, const struct slash_watermark *floor, uint64_t *ret_count)
{
    return slash_raise_all(line_of(s)->inner, floor, ret_count);
}

static cc_err line_set_ceiling(struct slash_store *s, uint64_t epoch)
{
    return line_of(s)->pending ? CC_FAIL(TIMELINE, "test")
                               : slash_set_ceiling(line_of(s)->inner, epoch);
}

static cc_err line_begin(struct slash_store *s, struct slash_timeline *ret)
{
    line_of(s)->begun++;
    s->position = line_of(s)->seen.position;
    *ret = line_of(s)->seen;
    return CC_OK;
}

static cc_err line_confirm(struct slash_store *s, bool for_all, uint64_t *ret_waiting)
{
    *ret_waiting = line_of(s)->seen.waiting;
    line_of(s)->pending = *ret_waiting && !for_all;
    line_of(s)->for_all = for_all;
    return CC_OK;
}

static void line_close(struct slash_store *s)
{
    slash_store_close(line_of(s)->inner);
    free(s);
}

static struct slash_store *line(struct slash_store *inner)
{
    static const struct slash_store_ops ops = {.name = "line",
                                               .check_and_record = line_check,
                                               .merge = line_merge,
                                               .visit = line_visit,
                                               .status = line_status,
                                               .raise_all = line_raise,
                                               .set_ceiling = line_set_ceiling,
                                               .timeline_begin = line_begin,
                                               .timeline_confirm = line_confirm,
                                               .close = line_close};
    struct line *l = calloc(1, sizeof *l);
    assert_non_null(l);
    l->base.ops = &ops;
    l->base.identity = identity;
    l->inner = inner;
    return &l->base;
}

/* Three commits of ours, of keys 1 to 3; then the database is another one, of which `inner` is what it has. */
static struct slash_store *
failed_over(enum slash_guard_timeline policy, struct slash_timeline seen, size_t kept)
{
    struct slash_store *s = NULL, *inner = bare();
    struct slash_guard_options options = {.path = path,
                                          .key = key,
                                          .on_new_timeline = policy,
                                          .has_ceiling = true,
                                          .ceiling = 20,
                                          .fresh = true,
                                          .slots_per_epoch = 32};
    assert_int_equal(slash_guard_open(line(bare()), &options, &s).code, 0);
    for (uint64_t who = 1; who <= 3; who++) {
        assert_int_equal(kit_sign(s, kit_attestation(who, 4, 5, who)), SLASH_SAFE);
        if (who <= kept)
            assert_int_equal(kit_sign(inner, kit_attestation(who, 4, 5, who)), SLASH_SAFE);
    }
    swap(s, line(inner));
    line_of(guard_of(s)->inner)->pending = true;
    line_of(guard_of(s)->inner)->seen = seen;
    return s;
}

static cc_err sign_err(struct slash_store *s, struct slash_claim claim, enum slash_rule *ret_rule)
{
    struct slash_verdict v;
    cc_err err = slash_check_and_record(s, &claim, 1, &v);
    *ret_rule = v.rule;
    return err;
}

static void test_T06_a_fail_over_that_lost_nothing_is_followed(void **state)
{
    (void)state;
    const struct slash_timeline seen = {.position = 3, .same_cluster = true, .new_timeline = true};
    struct slash_store *s = failed_over(SLASH_TIMELINE_VERIFY, seen, 3);
    for (uint64_t who = 1; who <= 3; who++)
        assert_int_equal(kit_sign(s, kit_attestation(who, 4, 6, 1)), SLASH_SAFE);
    assert_int_equal(kit_sign(s, kit_attestation(4, 0, 1, 1)), SLASH_SAFE);
    assert_false(line_of(guard_of(s)->inner)->for_all);
    /* The rise of a ceiling may be among what was lost, and is no sign of an older copy afterwards. */
    struct slash_status status;
    assert_int_equal(slash_status(line_of(guard_of(s)->inner)->inner, &status).code, 0);
    assert_true(status.has_ceiling && status.ceiling == 20);
    slash_store_close(s);
}

static void test_T06_P20_the_floors_of_lost_records_rise_and_no_others(void **state)
{
    (void)state;
    const struct slash_timeline seen = {.position = 2, .same_cluster = true, .new_timeline = true};
    struct slash_store *s = failed_over(SLASH_TIMELINE_VERIFY, seen, 2);
    assert_int_equal(kit_sign(s, kit_attestation(3, 4, 5, 9)), SLASH_TARGET_BELOW);
    assert_int_equal(kit_sign(s, kit_attestation(3, 3, 6, 9)), SLASH_SOURCE_BELOW);
    assert_int_equal(kit_sign(s, kit_attestation(3, 4, 6, 9)), SLASH_SAFE);
    for (uint64_t who = 1; who <= 2; who++)
        assert_int_equal(kit_sign(s, kit_attestation(who, 4, 5, who)), SLASH_REPEAT);
    assert_int_equal(kit_sign(s, kit_attestation(4, 0, 1, 1)), SLASH_SAFE);
    slash_store_close(s);
}

static void test_P20_another_cluster_or_a_policy_of_refusing(void **state)
{
    (void)state;
    const struct slash_timeline other = {.position = 3, .new_timeline = true};
    struct slash_timeline good = {.position = 3, .same_cluster = true, .new_timeline = true};
    enum slash_rule rule;
    struct slash_store *s = failed_over(SLASH_TIMELINE_VERIFY, other, 3);
    assert_int_equal(sign_err(s, kit_attestation(1, 4, 6, 1), &rule).code, ERROR_TIMELINE);
    slash_store_close(s);
    assert_int_equal(unlink(path), 0);
    s = failed_over(SLASH_TIMELINE_REFUSE, good, 3);
    assert_int_equal(sign_err(s, kit_attestation(1, 4, 6, 1), &rule).code, ERROR_TIMELINE);
    assert_false(slash_may_sign(rule));
    slash_store_close(s);
    assert_int_equal(unlink(path), 0);
    /* Somebody has repaired it, and said so. */
    good.confirmed = true;
    s = failed_over(SLASH_TIMELINE_REFUSE, good, 3);
    assert_int_equal(kit_sign(s, kit_attestation(1, 4, 6, 1)), SLASH_SAFE);
    slash_store_close(s);
}

static void test_P21_an_older_copy_on_the_same_time_line(void **state)
{
    (void)state;
    const struct slash_timeline seen = {.position = 2, .same_cluster = true};
    const struct slash_watermark low = {true, true, 0, 5, 5};
    enum slash_rule rule;
    uint64_t count = 0;
    struct slash_store *s = failed_over(SLASH_TIMELINE_VERIFY, seen, 2);
    assert_int_equal(sign_err(s, kit_attestation(1, 4, 6, 1), &rule).code, ERROR_TIMELINE);
    assert_int_equal(slash_raise_all(line_of(guard_of(s)->inner)->inner, &low, &count).code, 0);
    slash_store_close(s);
    assert_int_equal(unlink(path), 0);
    /* Repaired: what is not there lies below. */
    s = failed_over(SLASH_TIMELINE_VERIFY, seen, 2);
    assert_int_equal(slash_raise_all(line_of(guard_of(s)->inner)->inner, &low, &count).code, 0);
    assert_int_equal(kit_sign(s, kit_attestation(1, 5, 6, 1)), SLASH_SAFE);
    slash_store_close(s);
}

static void test_P20_the_policy_of_raising_all(void **state)
{
    (void)state;
    const struct slash_timeline seen = {.position = 3, .same_cluster = true, .new_timeline = true};
    struct slash_store *s = failed_over(SLASH_TIMELINE_RAISE, seen, 3);
    assert_int_equal(kit_sign(s, kit_attestation(4, 19, 21, 9)), SLASH_SOURCE_BELOW);
    assert_int_equal(kit_sign(s, kit_attestation(4, 20, 20, 9)), SLASH_TARGET_BELOW);
    assert_int_equal(kit_sign(s, kit_attestation(4, 20, 21, 9)), SLASH_SAFE);
    slash_store_close(s);
}

static void test_T06_others_are_waited_for_and_then_all_floors_rise(void **state)
{
    (void)state;
    const struct slash_timeline seen = {
        .position = 3, .same_cluster = true, .new_timeline = true, .waiting = 1};
    enum slash_rule rule;
    struct slash_store *s = failed_over(SLASH_TIMELINE_VERIFY, seen, 3);
    struct line *l = line_of(guard_of(s)->inner);
    for (int i = 0; i < 3; i++)
        assert_int_equal(sign_err(s, kit_attestation(1, 4, 6, 1), &rule).code, ERROR_TIMELINE);
    assert_int_equal(l->begun, 1); /* compared once */
    guard_of(s)->settling_since_ms -= 5000;
    assert_int_equal(kit_sign(s, kit_attestation(4, 20, 20, 9)), SLASH_TARGET_BELOW);
    assert_true(l->for_all);
    assert_int_equal(kit_sign(s, kit_attestation(4, 20, 21, 9)), SLASH_SAFE);
    slash_store_close(s);
    assert_int_equal(unlink(path), 0);
    /* They come in time: nothing rises. */
    s = failed_over(SLASH_TIMELINE_VERIFY, seen, 3);
    assert_int_equal(sign_err(s, kit_attestation(1, 4, 6, 1), &rule).code, ERROR_TIMELINE);
    line_of(guard_of(s)->inner)->seen.waiting = 0;
    assert_int_equal(kit_sign(s, kit_attestation(4, 0, 1, 9)), SLASH_SAFE);
    slash_store_close(s);
}

/* --- a mirror that is gone ------------------------------------------------------------------------------------------- */

static cc_err
open_with(struct slash_store *inner, bool fresh, bool has_ceiling, struct slash_store **ret)
{
    const struct slash_guard_options options = {.path = path,
                                                .key = key,
                                                .fresh = fresh,
                                                .has_ceiling = has_ceiling,
                                                .ceiling = 20,
                                                .slots_per_epoch = 32};
    return slash_guard_open(inner, &options, ret);
}

static void test_T08_a_lost_mirror_raises_all_floors_to_the_ceiling(void **state)
{
    (void)state;
    struct slash_store *s = NULL;
    assert_int_equal(open_with(bare(), false, true, &s).code, 0);
    assert_int_equal(kit_sign(s, kit_block(1, 20 * 32 + 31, 1)), SLASH_BLOCK_BELOW);
    assert_int_equal(kit_sign(s, kit_block(1, 21 * 32, 1)), SLASH_SAFE);
    assert_int_equal(kit_sign(s, kit_attestation(1, 19, 21, 1)), SLASH_SOURCE_BELOW);
    assert_int_equal(kit_sign(s, kit_attestation(1, 20, 20, 1)), SLASH_TARGET_BELOW);
    assert_int_equal(kit_sign(s, kit_attestation(1, 20, 21, 1)), SLASH_SAFE);
    slash_store_close(s);
}

static void test_a_first_mirror_raises_nothing(void **state)
{
    (void)state;
    for (int fresh = 0; fresh < 2; fresh++) {
        struct slash_store *s = NULL;
        assert_int_equal(open_with(bare(), fresh, fresh, &s).code, 0);
        assert_int_equal(kit_sign(s, kit_attestation(1, 0, 1, 1)), SLASH_SAFE);
        slash_store_close(s);
        assert_int_equal(open_with(bare(), true, true, &s).code, ERROR_EXISTS);
        assert_int_equal(unlink(path), 0);
    }
}

static void test_T09_the_floor_of_a_ceiling(void **state)
{
    (void)state;
    struct slash_watermark w = slash_floor_of(0, 32);
    assert_true(w.has_slot && w.has_epochs && w.slot == 31 && w.source == 0 && w.target == 0);
    w = slash_floor_of(7, 32);
    assert_true(w.slot == 255 && w.source == 7 && w.target == 7);
    w = slash_floor_of(UINT64_MAX, 32);
    assert_true(w.slot == UINT64_MAX && w.source == UINT64_MAX && w.target == UINT64_MAX);
}

static void test_a_replica_keeps_its_name(void **state)
{
    (void)state;
    uint8_t a[SLASH_REPLICA_SIZE], b[SLASH_REPLICA_SIZE], c[SLASH_REPLICA_SIZE];
    assert_int_equal(slash_guard_replica(path, a).code, 0);
    assert_int_equal(slash_guard_replica(path, b).code, 0);
    assert_memory_not_equal(a, b, sizeof a);
    slash_store_close(guarded(bare(), false));
    assert_int_equal(slash_guard_replica(path, b).code, 0);
    slash_store_close(guarded(bare(), false));
    assert_int_equal(slash_guard_replica(path, c).code, 0);
    assert_memory_equal(b, c, sizeof b);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_the_same_history_is_let_in),
        CASE(test_C08_each_record_that_is_gone_is_noticed),
        CASE(test_C08_each_root_that_was_changed_is_noticed),
        CASE(test_C08_a_source_that_was_changed_is_noticed),
        CASE(test_C08_records_of_another_validator_are_noticed),
        CASE(test_C08_a_row_that_is_gone_is_noticed),
        CASE(test_C08_a_watermark_that_went_down_is_noticed),
        CASE(test_P21_T08_an_older_copy_is_refused_until_it_is_repaired),
        CASE(test_rows_that_only_the_mirror_knows_come_back_with_a_floor),
        CASE(test_T19_an_edit_raises_the_floors_of_its_key_alone),
        CASE(test_T19_a_raised_floor_covers_what_is_gone),
        CASE(test_T09_a_lost_vote_can_not_be_surrounded),
        CASE(test_T19_what_a_web3signer_adds_and_prunes_is_no_alarm),
        CASE(test_C08_nothing_that_the_mirror_forbids_is_released),
        CASE(test_C08_a_repeat_of_a_changed_root_is_not_released),
        CASE(test_T19_the_floor_in_memory_overrules_the_history),
        CASE(test_a_refused_key_is_let_in_again_when_it_is_repaired),
        CASE(test_C08_an_emptied_key_is_refused_though_nothing_seems_missing),
        CASE(test_verify_finds_what_no_claim_has_met),
        CASE(test_claims_of_one_batch_meet_each_other),
        CASE(test_C06_C08_over_a_history_that_says_safe_to_everything),
        CASE(test_without_a_mirror_that_can_be_written_nothing_is_released),
        CASE(test_what_is_repeated_for_another_becomes_ours),
        CASE(test_P10_a_mirror_is_written_anew_without_what_was_pruned),
        CASE(test_what_is_released_is_in_the_file),
        CASE(test_P18_a_repeat_below_a_raised_floor_outlives_a_new_mirror),
        CASE(test_C08_a_new_mirror_keeps_what_the_history_has_lost),
        CASE(test_T09_a_watermark_covers_a_vote_with_both_its_epochs),
        CASE(test_T06_a_fail_over_that_lost_nothing_is_followed),
        CASE(test_T06_P20_the_floors_of_lost_records_rise_and_no_others),
        CASE(test_P20_another_cluster_or_a_policy_of_refusing),
        CASE(test_P21_an_older_copy_on_the_same_time_line),
        CASE(test_P20_the_policy_of_raising_all),
        CASE(test_T06_others_are_waited_for_and_then_all_floors_rise),
        CASE(test_T08_a_lost_mirror_raises_all_floors_to_the_ceiling),
        CASE(test_a_first_mirror_raises_nothing),
        CASE(test_T09_the_floor_of_a_ceiling),
        CASE(test_a_replica_keeps_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
