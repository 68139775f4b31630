#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

#include "slash/dynamodb_history.h"

/* The claims of one key are a job, done one after the other; all jobs go on together, each with one call in each round. A call
 * that fails says nothing about what it did, so after it the job reads its head again, and the claim is judged anew: if the
 * write had succeeded, the record is there and the claim is a repeat of itself (P18). Time is what ends a job without an
 * answer: its claims are refused, its neighbours' are not.
 *
 * A repeat needs no write of its own: a strongly consistent read shows only what a majority of the table's copies has on its
 * disks, as an answered write does, so what is read is durable.
 */
enum phase {
    READ_HEAD,
    READ_RECORDS,
    SPILL, /* the head's records become items, so that it has room */
    WRITE,
    DONE
};

static const char *const operations[] = {
    [READ_HEAD] = "GetItem",
    [READ_RECORDS] = "Query",
    [SPILL] = "BatchWriteItem",
    [WRITE] = "PutItem",
};

struct job {
    enum phase phase;
    size_t claim; /* the one at hand */
    struct dynamodb_head head;
    struct dynamodb_head next; /* with the claim in it */
    struct dynamodb_range range;
    struct dynamodb_records records;
    struct buf body;
};

struct batch {
    struct dynamodb_history *h;
    const struct slash_claim *claims;
    struct slash_verdict *verdicts;
    bool *decided;
    size_t n;
    struct job *jobs;
    struct aws_call *calls;
    size_t *called; /* whose the calls are */
    size_t job_count;
    uint64_t until_ms;
    bool answered; /* some call of this batch was */
    cc_err failed; /* the last that was not */
};

static bool same_key(const struct slash_claim *a, const struct slash_claim *b)
{
    return memcmp(a->pubkey.bytes, b->pubkey.bytes, sizeof a->pubkey.bytes) == 0;
}

/* --- what is next ---------------------------------------------------------------------------------------------------------- */

/* The job's next claim that is not decided; DONE when there is none. */
static void advance(struct batch *b, struct job *job)
{
    for (size_t i = job->claim; i < b->n; i++) {
        if (b->decided[i] || !same_key(&b->claims[i], &b->claims[job->claim]))
            continue;
        job->claim = i;
        return;
    }
    job->phase = DONE;
}

static void decide(struct batch *b, struct job *job, struct slash_verdict verdict)
{
    b->verdicts[job->claim] = verdict;
    b->decided[job->claim] = true;
    advance(b, job);
}

static void decide_all(struct batch *b, struct job *job, enum slash_rule rule)
{
    while (job->phase != DONE)
        decide(b, job, (struct slash_verdict){.rule = rule});
}

static void begin_records(struct batch *b, struct job *job)
{
    const struct slash_claim *claim = &b->claims[job->claim];
    uint64_t first, last;
    dynamodb_judge_range(claim, &first, &last);
    dynamodb_range_of_kind(&claim->pubkey, claim->kind, first, last, &job->range);
    job->records.count = 0;
    job->phase = READ_RECORDS;
}

static void begin_write(struct batch *b, struct job *job)
{
    bool full = job->head.recent_count == DYNAMODB_RECENT_MAX;
    job->next = job->head;
    if (full)
        job->next.recent_count = 0;
    dynamodb_head_record(&job->next, &b->claims[job->claim]);
    job->phase = full ? SPILL : WRITE;
}

/* A verdict of which only SAFE needs a write to be true. */
static void settle(struct batch *b, struct job *job, struct slash_verdict verdict)
{
    if (verdict.rule == SLASH_SAFE)
        begin_write(b, job);
    else
        decide(b, job, verdict);
}

/* Goes on with the head that was just read or written, as far as that goes without a call. */
static void judge(struct batch *b, struct job *job)
{
    const struct dynamodb_head *head = &job->head;
    dynamodb_cache_put(&b->h->cache, head);
    if (head->high_version == 0) {
        decide_all(b, job, SLASH_UNREGISTERED);
        return;
    }
    if (head->merging) {
        b->h->has_marked = true;
        b->h->marked = head->pubkey;
        decide_all(b, job, SLASH_CONTENDED);
        return;
    }
    job->phase = READ_HEAD;
    while (job->phase == READ_HEAD) {
        struct slash_verdict verdict;
        if (dynamodb_judge_head(head, &b->claims[job->claim], &verdict))
            settle(b, job, verdict);
        else
            begin_records(b, job);
    }
}

/* Begins with the head as it was known last, where the claim is safe by that: then it is written, over this version or not at
 * all. Everything else is decided by what the table says now.
 */
static void guess(struct batch *b, struct job *job)
{
    const struct slash_claim *claim = &b->claims[job->claim];
    const struct dynamodb_head *head = dynamodb_cache_find(&b->h->cache, &claim->pubkey);
    struct slash_verdict verdict;
    /* A full head's records would be written as items, and may have been pruned by others meanwhile. */
    if (!head || head->merging || head->high_version == 0 ||
        head->recent_count == DYNAMODB_RECENT_MAX)
        return;
    if (!dynamodb_judge_head(head, claim, &verdict) || verdict.rule != SLASH_SAFE)
        return;
    job->head = *head;
    begin_write(b, job);
}

/* --- answers --------------------------------------------------------------------------------------------------------------- */

static cc_err take_head(struct batch *b, struct job *job, struct jval answer)
{
    bool found = false;
    CC_TRY(dynamodb_answer_head(answer, &b->claims[job->claim].pubkey, &found, &job->head));
    if (found)
        judge(b, job);
    else
        decide_all(b, job, SLASH_UNREGISTERED);
    return CC_OK;
}

static cc_err take_records(struct batch *b, struct job *job, struct jval answer)
{
    const struct slash_claim *claim = &b->claims[job->claim];
    struct slash_verdict verdict;
    CC_TRY(dynamodb_answer_records(answer, &claim->pubkey, &job->records));
    CC_TRY(dynamodb_answer_after(answer, job->range.after));
    if (job->range.after[0])
        return CC_OK;
    for (size_t i = 0; i < job->records.count; i++) {
        if (job->records.all[i].version > job->head.version) {
            job->phase = READ_HEAD;
            return CC_OK;
        }
    }
    CC_TRY(dynamodb_judge_records(&job->head, claim, &job->records, &verdict));
    settle(b, job, verdict);
    if (job->phase == READ_RECORDS)
        judge(b, job);
    return CC_OK;
}

static cc_err take(struct batch *b, struct job *job, struct aws_call *call)
{
    struct jval answer;
    CC_TRY(dynamodb_answer(&b->h->db, call, &answer));
    switch (job->phase) {
    case READ_HEAD:
        return take_head(b, job, answer);
    case READ_RECORDS:
        return take_records(b, job, answer);
    case SPILL:
        job->phase = dynamodb_answer_all_written(answer) ? WRITE : SPILL;
        return CC_OK;
    case WRITE:
        job->head = job->next;
        dynamodb_cache_put(&b->h->cache, &job->head);
        decide(b, job, (struct slash_verdict){.rule = SLASH_SAFE});
        if (job->phase != DONE)
            judge(b, job);
        return CC_OK;
    case DONE:
        break;
    }
    return CC_OK;
}

/* Another client was faster: the refusal brings its head along, from services that do. */
static cc_err take_refusal(struct batch *b, struct job *job, struct aws_call *call)
{
    struct jval answer;
    bool found = false;
    job->phase = READ_HEAD;
    if (dynamodb_answer(&b->h->db, call, &answer).code)
        return CC_OK;
    CC_TRY(dynamodb_answer_head(answer, &b->claims[job->claim].pubkey, &found, &job->head));
    if (found)
        judge(b, job);
    return CC_OK;
}

/* A call that may be answered when it is made again. */
static bool is_passing(const struct aws_call *call)
{
    enum dynamodb_reason reason =
        error_is(call->error, ERROR_AWS_REFUSED) ? dynamodb_reason(call) : DYNAMODB_NONE;
    return error_is(call->error, ERROR_AWS_THROTTLED) ||
           error_is(call->error, ERROR_AWS_UNREACHABLE) || reason == DYNAMODB_CONFLICT ||
           reason == DYNAMODB_THROTTLED;
}

static void give_up_on(struct batch *b, struct job *job, cc_err err)
{
    log_error("a claim can't be decided, refusing it and all of its key in this batch",
              KV_ERR(err));
    decide_all(b, job, SLASH_CONTENDED);
}

/* What is wrong with one key, its items or its calls, stops that key only. */
static void end_call(struct batch *b, struct job *job, struct aws_call *call)
{
    cc_err err = dynamodb_db_error(call);
    bool refused = error_is(err, ERROR_CONFLICT) && job->phase == WRITE;
    bool passing = is_passing(call);
    if (!err.code || refused || error_is(call->error, ERROR_AWS_THROTTLED))
        b->answered = true;
    if (!err.code)
        err = take(b, job, call);
    else if (refused)
        err = take_refusal(b, job, call);
    if (!err.code)
        return;
    b->failed = err;
    if (error_is(err, ERROR_HISTORY_MISSING))
        b->h->checked_ms = 0; /* whatever comes back under this name is looked at first */
    if (passing)
        job->phase = READ_HEAD;
    else
        give_up_on(b, job, err);
}

/* --- rounds ------------------------------------------------------------------------------------------------------------------ */

static cc_err write_body(const struct batch *b, struct job *job)
{
    const struct dynamodb_db *db = &b->h->db;
    const struct eth_pubkey *pubkey = &b->claims[job->claim].pubkey;
    switch (job->phase) {
    case READ_HEAD:
        return dynamodb_body_get_head(db, pubkey, &job->body);
    case READ_RECORDS:
        return dynamodb_body_query(db, &job->range, &job->body);
    case SPILL:
        return dynamodb_body_put_records(db, pubkey, job->head.recent, job->head.recent_count,
                                         &job->body);
    case WRITE:
        return dynamodb_body_put_head(db, &job->next, &job->body);
    case DONE:
        break;
    }
    return CC_OK;
}

static cc_err make_calls(struct batch *b, uint32_t deadline_ms, size_t *ret_count)
{
    size_t count = 0;
    for (size_t i = 0; i < b->job_count; i++) {
        struct job *job = &b->jobs[i];
        if (job->phase == DONE)
            continue;
        CC_TRY(write_body(b, job));
        b->calls[count] = (struct aws_call){.operation = operations[job->phase],
                                            .body = buf_span(&job->body),
                                            .deadline_ms = deadline_ms};
        b->called[count++] = i;
    }
    *ret_count = count;
    return CC_OK;
}

static cc_err run_round(struct batch *b, uint64_t now_ms, size_t *ret_count)
{
    uint64_t left = b->until_ms - now_ms;
    uint32_t deadline = left < DYNAMODB_SIGN_CALL_MS ? (uint32_t)left : DYNAMODB_SIGN_CALL_MS;
    CC_TRY(make_calls(b, deadline, ret_count));
    if (*ret_count == 0)
        return CC_OK;
    cc_err err = b->h->db.send(&b->h->db, b->calls, *ret_count);
    for (size_t i = 0; i < *ret_count; i++) {
        if (!err.code)
            end_call(b, &b->jobs[b->called[i]], &b->calls[i]);
        aws_call_release(&b->calls[i]);
    }
    return err;
}

static cc_err run(struct batch *b)
{
    size_t count = 1;
    for (uint64_t now = clock_mono_ms(); count && now < b->until_ms; now = clock_mono_ms())
        CC_TRY(run_round(b, now, &count));
    /* Not one answer: it is the store, not the claims. */
    if (b->job_count && !b->answered)
        return b->failed.code ? b->failed : CC_FAIL(STORE, "DynamoDB does not answer");
    for (size_t i = 0; i < b->job_count; i++)
        decide_all(b, &b->jobs[i], SLASH_CONTENDED);
    return CC_OK;
}

static void make_jobs(struct batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        unsigned shard;
        bool first = true;
        if (!dynamodb_shard(&b->claims[i].pubkey, &shard)) {
            b->decided[i] = true; /* no such key: as slash_check_and_record() has set it */
            continue;
        }
        for (size_t j = 0; j < i && first; j++)
            first = !same_key(&b->claims[i], &b->claims[j]);
        if (!first)
            continue;
        b->jobs[b->job_count] = (struct job){.claim = i, .body = buf_init(DYNAMODB_BODY_MAX)};
        guess(b, &b->jobs[b->job_count++]);
    }
}

static void batch_release(struct batch *b)
{
    for (size_t i = 0; i < b->job_count; i++) {
        dynamodb_records_release(&b->jobs[i].records);
        buf_release(&b->jobs[i].body);
    }
    cc_free(b->jobs);
    cc_free(b->calls);
    cc_free(b->called);
    cc_free(b->decided);
}

cc_err dynamodb_check_and_record(struct slash_store *store,
                                 const struct slash_claim *claims,
                                 size_t n,
                                 struct slash_verdict *ret_verdicts)
{
    CC_CLEANUP(batch_release)
    struct batch b = {
        .h = dynamodb_history_of(store), .claims = claims, .verdicts = ret_verdicts, .n = n};
    b.until_ms = clock_mono_ms() + DYNAMODB_SIGN_MS;
    CC_TRY(dynamodb_history_ready(b.h));
    b.jobs = cc_alloc_array(n, sizeof *b.jobs);
    b.calls = cc_alloc_array(n, sizeof *b.calls);
    b.called = cc_alloc_array(n, sizeof *b.called);
    b.decided = cc_alloc_array(n, sizeof *b.decided);
    if (!b.jobs || !b.calls || !b.called || !b.decided)
        return CC_FAIL(NO_MEMORY, "DynamoDB history");
    make_jobs(&b);
    return run(&b);
}
