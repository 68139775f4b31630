/* The records of the sealed chamber, read and changed. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/num.h"

#include "codec/hex.h"
#include "core/ceremony_inside.h"
#include "core/test_point.h"

bool ceremony_has_current(const struct ceremony *c)
{
    return c->records->current_version != 0;
}

bool ceremony_has_next(const struct ceremony *c)
{
    return c->records->next_version != 0;
}

bool ceremony_has_staged(const struct ceremony *c)
{
    return ceremony_has_next(c) && c->records->next.phase >= SEAL_PHASE_STAGED;
}

/* --- reading ---------------------------------------------------------------------------------------------------------------- */

static bool is_a_set(const char *name)
{
    return strcmp(name, SEAL_RECORD_CURRENT) == 0 || strcmp(name, SEAL_RECORD_NEXT) == 0;
}

/* What can't be read of another replica's own record makes nobody wait for it, and neither does one whose clock is far ahead: it would be waited
 * for when it has long gone. The latch is none of these records.
 */
static void
read_replicas(const struct state_store *state, uint64_t now, struct ceremony_records *records)
{
    const struct state_record *record = NULL;
    while ((record = state_next(state, SEAL_RECORD_KIND, record ? record->name : NULL)) != NULL) {
        if (is_a_set(record->name) || records->replica_count == CEREMONY_REPLICAS_MAX)
            continue;
        struct seal_replica *replica = &records->replicas[records->replica_count];
        if (!seal_replica_decode(span_of(record->bytes, record->len), replica).code &&
            replica->until >= now && replica->until - now <= 2 * CEREMONY_LEASE_MS)
            records->replica_count++; /* who has gone leaves room for those that live */
    }
}

CC_ERR ceremony_read_records(const struct state_store *state,
                             uint64_t now,
                             struct ceremony_records *ret_records)
{
    const struct state_record *current = state_find(state, SEAL_RECORD_KIND, SEAL_RECORD_CURRENT);
    const struct state_record *next = state_find(state, SEAL_RECORD_KIND, SEAL_RECORD_NEXT);
    cc_err err = CC_OK;
    *ret_records = (struct ceremony_records){.current_version = current ? current->version : 0,
                                             .next_version = next ? next->version : 0};
    if (current)
        err = seal_current_decode(span_of(current->bytes, current->len), &ret_records->current);
    if (!err.code && next)
        err = seal_next_decode(span_of(next->bytes, next->len), &ret_records->next);
    ret_records->bad = err.code != 0;
    read_replicas(state, now, ret_records);
    ceremony_read_images(state, ret_records);
    return err;
}

/* --- changing --------------------------------------------------------------------------------------------------------------- */

struct commit {
    uint64_t current_version;
    uint64_t next_version;
    struct buf current; /* empty: it stays */
    struct buf next;
    bool drop_next;
    const struct ceremony_rows *rows;   /* NULL: it does not matter whose rows there are */
    const struct key_seen *sealed_anew; /* the key store that was, as it was then; or NULL */
    bool lost;                          /* another was faster */
    char others[STATE_NAME_SIZE];       /* a key store of somebody else */
};

static bool is_own(void *context, const char *name)
{
    const struct commit *commit = context;
    if (commit->sealed_anew)
        return strcmp(name, commit->sealed_anew->name) == 0;
    return commit->rows->is_own && commit->rows->is_own(commit->rows->context, name);
}

/* A new master key leaves rows behind that this replica does not reach, or that have come since it looked. */
static bool is_free(const struct state_store *state, struct commit *commit)
{
    if (!commit->rows)
        return true;
    commit->lost = commit->sealed_anew && !key_record_is(state, commit->sealed_anew);
    return !commit->lost && !key_record_find_other(state, is_own, commit, commit->others);
}

static uint64_t version_of(const struct state_store *state, const char *name)
{
    const struct state_record *record = state_find(state, SEAL_RECORD_KIND, name);
    return record ? record->version : 0;
}

/* Built on records that are others now, it is not tried again: what it says would have to be said anew. */
static cc_err put(void *context, struct state_store *state, const struct state_signer *signer)
{
    struct commit *commit = context;
    struct state_change changes[2];
    size_t n = 0;
    commit->lost = version_of(state, SEAL_RECORD_CURRENT) != commit->current_version ||
                   version_of(state, SEAL_RECORD_NEXT) != commit->next_version;
    if (commit->lost || !is_free(state, commit))
        return CC_OK;
    if (commit->current.len)
        changes[n++] = (struct state_change){.kind = SEAL_RECORD_KIND,
                                             .name = SEAL_RECORD_CURRENT,
                                             .expected_version = commit->current_version,
                                             .bytes = buf_span(&commit->current)};
    if (commit->next.len || commit->drop_next)
        changes[n++] = (struct state_change){.kind = SEAL_RECORD_KIND,
                                             .name = SEAL_RECORD_NEXT,
                                             .expected_version = commit->next_version,
                                             .bytes = buf_span(&commit->next),
                                             .remove = commit->drop_next};
    test_point_pass(TEST_POINT_SEAL_COMMIT);
    cc_err err = state_commit(state, changes, n, signer);
    test_point_pass(TEST_POINT_SEAL_COMMITTED);
    return err;
}

static cc_err result_of(const struct commit *commit)
{
    if (commit->lost)
        return CC_FAIL(CONFLICT, "another change of the chamber was faster: look at its status");
    if (!commit->others[0])
        return CC_OK;
    log_error("no new master key: this replica can't seal the rows of another key store anew",
              KV_STR("record", commit->others));
    return CC_FAIL(SEAL_STATE, "a replica has a key store of its own: rotate with a shared one");
}

/* Before it begins, and where there is no way back. */
static bool asks_for_rows(const struct ceremony *c, const struct seal_next *next)
{
    return next && (!ceremony_has_next(c) || next->phase == SEAL_PHASE_REWRITING);
}

static cc_err commit_records(struct ceremony *c,
                             const struct seal_current *current,
                             const struct seal_next *next,
                             struct commit *commit)
{
    CC_CLEANUP(buf_release) struct buf current_text = buf_init(SEAL_RECORD_MAX);
    CC_CLEANUP(buf_release) struct buf next_text = buf_init(SEAL_RECORD_MAX);
    if (current)
        CC_TRY(seal_current_encode(current, &current_text));
    if (next)
        CC_TRY(seal_next_encode(next, &next_text));
    commit->current_version = c->records->current_version;
    commit->next_version = c->records->next_version;
    commit->current = current_text;
    commit->next = next_text;
    cc_err err = keeper_run(c->settings.keeper, put, commit, CEREMONY_KEEPER_MS);
    (void)ceremony_take_incoming(c);
    return err.code ? err : result_of(commit);
}

CC_ERR ceremony_commit(struct ceremony *c,
                       const struct seal_current *current,
                       const struct seal_next *next,
                       bool drop_next)
{
    struct commit commit = {.drop_next = drop_next,
                            .rows = asks_for_rows(c, next) ? &c->settings.rows : NULL};
    return commit_records(c, current, next, &commit);
}

CC_ERR ceremony_commit_end(struct ceremony *c,
                           const struct seal_current *current,
                           const struct key_seen *seen)
{
    struct commit commit = {.drop_next = true, .rows = &c->settings.rows, .sealed_anew = seen};
    return commit_records(c, current, NULL, &commit);
}

/* After a CONFLICT the keeper reads the state store again: so that is what comes first. */
static cc_err look(void *context, struct state_store *state, const struct state_signer *signer)
{
    bool *looked = context;
    (void)state;
    (void)signer;
    if (*looked)
        return CC_OK;
    *looked = true;
    return CC_FAIL(CONFLICT, "the state store is to be read again");
}

CC_ERR ceremony_look(struct ceremony *c)
{
    bool looked = false;
    cc_err err = keeper_run(c->settings.keeper, look, &looked, CEREMONY_KEEPER_MS);
    (void)ceremony_take_incoming(c);
    return err;
}

/* --- our own record ------------------------------------------------------------------------------------------------------------ */

struct lease {
    char name[2 * SEAL_REPLICA_SIZE + 1];
    struct buf text; /* empty: the record goes */
};

static cc_err put_lease(void *context, struct state_store *state, const struct state_signer *signer)
{
    struct lease *lease = context;
    const uint64_t version = version_of(state, lease->name);
    const struct state_change change = {.kind = SEAL_RECORD_KIND,
                                        .name = lease->name,
                                        .expected_version = version,
                                        .bytes = buf_span(&lease->text),
                                        .remove = lease->text.len == 0};
    return version || lease->text.len ? state_commit(state, &change, 1, signer) : CC_OK;
}

CC_ERR ceremony_put_lease(struct ceremony *c, const struct seal_replica *record)
{
    struct lease lease = {.text = buf_init(SEAL_RECORD_MAX)};
    hex_encode(c->settings.replica, SEAL_REPLICA_SIZE, lease.name);
    lease.name[2 * SEAL_REPLICA_SIZE] = '\0';
    cc_err err = record ? seal_replica_encode(record, &lease.text) : CC_OK;
    if (!err.code)
        err = keeper_run(c->settings.keeper, put_lease, &lease, CEREMONY_KEEPER_MS);
    buf_release(&lease.text);
    (void)ceremony_take_incoming(c);
    return err;
}

CC_ERR ceremony_drop_lease(struct ceremony *c)
{
    return ceremony_put_lease(c, NULL);
}
