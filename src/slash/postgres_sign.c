#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

#include "slash/postgres_history.h"

/* A batch is one transaction and one round trip: locks are tried in a statement of their own, then claims are judged and
 * recorded by statements over arrays. A statement sees each key once; what comes again waits for the next, its "wave", which
 * sees what the one before has written: so claims of one key are folded in their order. Claims whose lock another client
 * holds go one key at a time into transactions that wait for it, and so does everything when the transaction of all fails:
 * one claim's trouble is not its neighbours'.
 */
enum {
    LOCK_PATIENCE_MS = 300, /* for one key that another client holds */
    STRAGGLERS_MS = 1000    /* for all of them together */
};

/* Not decided yet: it may not be signed. */
static const enum slash_rule undecided = SLASH_RULE_END;

struct batch {
    struct postgres_history *h;
    const struct slash_claim *claims;
    struct slash_verdict *verdicts;
    size_t from, to;                /* this transaction's part */
    size_t wave[SLASH_BATCH_MAX];   /* how many claims before have the same key and kind */
    bool chosen[SLASH_BATCH_MAX];   /* are in this transaction */
    size_t place[SLASH_BATCH_MAX];  /* of a chosen claim among them, from 1 */
    size_t at[SLASH_BATCH_MAX + 1]; /* which claim is at a place */
    size_t places, waves;
};

static bool same_lock(const struct slash_claim *a, const struct slash_claim *b)
{
    return a->kind == b->kind &&
           memcmp(a->pubkey.bytes, b->pubkey.bytes, sizeof a->pubkey.bytes) == 0;
}

static void choose(struct batch *b, const struct slash_claim *only)
{
    b->waves = b->places = 0;
    for (size_t i = b->from; i < b->to; i++) {
        b->chosen[i] =
            b->verdicts[i].rule == undecided && (!only || same_lock(only, &b->claims[i]));
        if (!b->chosen[i])
            continue;
        b->wave[i] = 0;
        b->place[i] = ++b->places;
        b->at[b->places] = i;
        for (size_t j = b->from; j < i; j++)
            b->wave[i] += b->chosen[j] && same_lock(&b->claims[j], &b->claims[i]);
        if (b->wave[i] + 1 > b->waves)
            b->waves = b->wave[i] + 1;
    }
}

/* --- what is sent ------------------------------------------------------------------------------------------------------ */

static cc_err send_try_locks(struct batch *b)
{
    struct buf *a = b->h->arrays;
    struct postgres_params params = {0};
    CC_TRY(postgres_bytes_begin(&a[0]));
    postgres_numbers_begin(&a[1]);
    for (size_t place = 1; place <= b->places; place++) {
        const struct slash_claim *claim = &b->claims[b->at[place]];
        CC_TRY(postgres_bytes_add(&a[0], claim->pubkey.bytes, sizeof claim->pubkey.bytes));
        CC_TRY(postgres_numbers_add(&a[1], claim->kind == SLASH_CLAIM_ATTESTATION));
    }
    CC_TRY(postgres_bytes_put(&a[0], &params));
    CC_TRY(postgres_numbers_put(&a[1], &params));
    return postgres_db_send(&b->h->db, POSTGRES_LOCK_TRY, &params);
}

static cc_err send_wait(struct batch *b, const struct slash_claim *claim)
{
    struct postgres_params briefly = {0};
    struct postgres_params lock = {0};
    char ms[16], places[16];
    (void)snprintf(ms, sizeof ms, "%d", LOCK_PATIENCE_MS);
    (void)snprintf(places, sizeof places, "%zu", b->places);
    postgres_put_text(&briefly, ms);
    postgres_put_bytes(&lock, claim->pubkey.bytes, sizeof claim->pubkey.bytes);
    postgres_put_text(&lock, claim->kind == SLASH_CLAIM_ATTESTATION ? "1" : "0");
    postgres_put_text(&lock, places);
    CC_TRY(postgres_db_send(&b->h->db, POSTGRES_WAIT_BRIEFLY, &briefly));
    return postgres_db_send(&b->h->db, POSTGRES_LOCK_WAIT, &lock);
}

static cc_err add_claim(struct buf *a, size_t place, const struct slash_claim *claim)
{
    bool block = claim->kind == SLASH_CLAIM_BLOCK;
    CC_TRY(postgres_numbers_add(&a[0], place));
    CC_TRY(postgres_numbers_add(&a[1], block ? claim->slot : claim->source));
    if (!block)
        CC_TRY(postgres_numbers_add(&a[2], claim->target));
    return postgres_bytes_add(&a[3], claim->root.bytes, sizeof claim->root.bytes);
}

/* One wave of one kind; *ret_sent false when there is none. */
static cc_err send_check(struct batch *b, size_t wave, enum slash_claim_kind kind, bool *ret_sent)
{
    struct buf *a = b->h->arrays;
    struct postgres_params params = {0};
    *ret_sent = false;
    for (size_t i = 0; i < 3; i++)
        postgres_numbers_begin(&a[i]);
    CC_TRY(postgres_bytes_begin(&a[3]));
    for (size_t i = b->from; i < b->to; i++) {
        if (!b->chosen[i] || b->wave[i] != wave || b->claims[i].kind != kind)
            continue;
        CC_TRY(add_claim(a, b->place[i], &b->claims[i]));
        *ret_sent = true;
    }
    if (!*ret_sent)
        return CC_OK;
    CC_TRY(postgres_numbers_put(&a[0], &params));
    CC_TRY(postgres_numbers_put(&a[1], &params));
    if (kind == SLASH_CLAIM_ATTESTATION)
        CC_TRY(postgres_numbers_put(&a[2], &params));
    CC_TRY(postgres_bytes_put(&a[3], &params));
    return postgres_db_send(
        &b->h->db, kind == SLASH_CLAIM_BLOCK ? POSTGRES_CHECK_BLOCKS : POSTGRES_CHECK_VOTES,
        &params);
}

static cc_err send_checks(struct batch *b, unsigned *ret_sent)
{
    bool sent = false;
    *ret_sent = 0;
    for (size_t wave = 0; wave < b->waves; wave++) {
        CC_TRY(send_check(b, wave, SLASH_CLAIM_BLOCK, &sent));
        *ret_sent += sent;
        CC_TRY(send_check(b, wave, SLASH_CLAIM_ATTESTATION, &sent));
        *ret_sent += sent;
    }
    return CC_OK;
}

/* --- what comes back --------------------------------------------------------------------------------------------------- */

static cc_err rule_of(const char *name, enum slash_rule *ret_rule)
{
    for (enum slash_rule rule = 0; rule < SLASH_RULE_END; rule++) {
        if (strcmp(name, slash_rule_name(rule)) != 0)
            continue;
        *ret_rule = rule;
        return CC_OK;
    }
    return CC_FAIL(STORE, "the database answers with an unknown rule");
}

static cc_err
read_verdict(struct batch *b, const PGresult *rows, int row, struct slash_verdict *into)
{
    struct slash_verdict verdict = {0};
    uint64_t place = 0;
    CC_TRY(postgres_column_u64(rows, row, 0, &place));
    if (place == 0 || place > b->places)
        return CC_FAIL(STORE, "the database answers what was not asked");
    size_t i = b->at[place];
    CC_TRY(rule_of(PQgetvalue(rows, row, 1), &verdict.rule));
    if (b->claims[i].kind == SLASH_CLAIM_BLOCK) {
        CC_TRY(postgres_column_u64(rows, row, 2, &verdict.earlier_slot));
    } else {
        CC_TRY(postgres_column_u64(rows, row, 2, &verdict.earlier_source));
        CC_TRY(postgres_column_u64(rows, row, 3, &verdict.earlier_target));
    }
    into[i] = verdict;
    return CC_OK;
}

static cc_err take_checks(struct batch *b, unsigned count, struct slash_verdict *into)
{
    for (unsigned i = 0; i < count; i++) {
        CC_CLEANUP(postgres_clearp) PGresult *rows = NULL;
        CC_TRY(postgres_db_take(&b->h->db, &rows));
        for (int row = 0; row < PQntuples(rows); row++)
            CC_TRY(read_verdict(b, rows, row, into));
    }
    return CC_OK;
}

/* One transaction over what is chosen; verdicts become known only when it is committed. */
static cc_err run_transaction(struct batch *b, const struct slash_claim *only)
{
    struct slash_verdict found[SLASH_BATCH_MAX];
    unsigned checks = 0;
    memcpy(found, b->verdicts, b->to * sizeof *found);
    CC_TRY(postgres_begin(b->h));
    if (only)
        CC_TRY(send_wait(b, only));
    else
        CC_TRY(send_try_locks(b));
    CC_TRY(send_checks(b, &checks));
    CC_TRY(postgres_end_sent(b->h));
    CC_TRY(postgres_begun(b->h));
    CC_TRY(postgres_db_pass(&b->h->db));
    if (only)
        CC_TRY(postgres_db_pass(&b->h->db));
    CC_TRY(take_checks(b, checks, found));
    CC_TRY(postgres_ended(b->h));
    memcpy(b->verdicts, found, b->to * sizeof *found);
    return CC_OK;
}

/* --- stragglers -------------------------------------------------------------------------------------------------------- */

static void give_up_on(struct batch *b, const struct slash_claim *lock)
{
    for (size_t i = b->from; i < b->to; i++)
        if (b->verdicts[i].rule == undecided && same_lock(lock, &b->claims[i]))
            b->verdicts[i] = (struct slash_verdict){.rule = SLASH_CONTENDED};
}

/* Trouble that may be one claim's alone. */
static bool is_of_claims(cc_err err)
{
    return error_is(err, ERROR_CONFLICT) || error_is(err, ERROR_WATERMARK) ||
           error_is(err, ERROR_TAMPERED);
}

static cc_err run_stragglers(struct batch *b)
{
    uint64_t until = clock_mono_ms() + STRAGGLERS_MS;
    for (size_t i = b->from; i < b->to; i++) {
        const struct slash_claim *lock = &b->claims[i];
        if (b->verdicts[i].rule != undecided)
            continue;
        choose(b, lock);
        cc_err err = clock_mono_ms() < until
                         ? run_transaction(b, lock)
                         : CC_FAIL(CONFLICT, "too many keys are locked by others");
        err = postgres_history_done(b->h, err);
        if (err.code && !is_of_claims(err))
            return err;
        if (err.code)
            log_warn("a claim could not be decided, refusing it", KV_ERR(err));
        give_up_on(b, lock); /* what is left undecided, even so */
    }
    return CC_OK;
}

static cc_err run_part(struct batch *b)
{
    choose(b, NULL);
    cc_err err = postgres_history_done(b->h, run_transaction(b, NULL));
    if (err.code && !is_of_claims(err))
        return err;
    return run_stragglers(b);
}

cc_err postgres_check_and_record(struct slash_store *store,
                                 const struct slash_claim *claims,
                                 size_t n,
                                 struct slash_verdict *ret_verdicts)
{
    struct postgres_history *h = postgres_history_of(store);
    struct batch b = {.h = h, .claims = claims, .verdicts = ret_verdicts};
    CC_TRY(postgres_history_settled(h, POSTGRES_SIGN_PATIENCE_MS));
    for (size_t i = 0; i < n; i++)
        ret_verdicts[i].rule = undecided;
    for (b.from = 0; b.from < n; b.from = b.to) {
        b.to = b.from + h->claims_max < n ? b.from + h->claims_max : n;
        CC_TRY(run_part(&b));
    }
    return CC_OK;
}
