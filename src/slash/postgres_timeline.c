#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/num.h"

#include "codec/hex.h"
#include "slash/postgres_history.h"

/* Every transaction counts up a row of its replica. Whoever holds a count holds all that was committed before it, since a
 * database that took over, or was restored, has a beginning of the log and nothing else. So a replica compares its own count,
 * and after a change of the timeline each says in its row that it has. Until all have that wrote shortly before the change, the
 * history is used by none: what another one has lost only that one knows.
 */

/* What the database has of this replica. */
struct own_row {
    uint64_t batches;  /* 0: no row */
    bool is_confirmed; /* for the timeline that the database is on; or there is no row */
};

static cc_err fetch_own_row(struct postgres_history *h, struct own_row *ret_row)
{
    CC_CLEANUP(postgres_clearp) PGresult *row = NULL;
    struct postgres_params params = {0};
    *ret_row = (struct own_row){.is_confirmed = true};
    postgres_put_bytes(&params, h->writer, sizeof h->writer);
    CC_TRY(postgres_fetch(h, POSTGRES_OWN_HEAD, &params, &row));
    if (PQntuples(row) == 0)
        return CC_OK;
    ret_row->is_confirmed = PQgetvalue(row, 0, 1)[0] == 't';
    CC_TRY(postgres_column_u64(row, 0, 0, &ret_row->batches));
    return ret_row->batches < INT64_MAX ? CC_OK : postgres_head_is_full(h);
}

/* Once, until it is settled: every operation ends here meanwhile. */
static cc_err
refuse(struct postgres_history *h, const struct postgres_place *at, const char *detail)
{
    if (!h->said_timeline)
        log_error("the database was failed over or restored: its newest records may be lost",
                  KV_STR("history_is_of", at->wanted), KV_STR("database_is", at->found),
                  KV_STR("why", detail));
    h->said_timeline = true;
    return error_make(ERROR_TIMELINE, detail, __FILE__, __LINE__);
}

CC_ERR postgres_head_is_full(struct postgres_history *h)
{
    char writer[2 * sizeof h->writer + 1] = "";
    hex_encode(h->writer, sizeof h->writer, writer);
    if (!h->said_head)
        log_error(
            "the row of this replica can't be counted up any more: somebody has written into it",
            KV_STR("table", "containment_heads"), KV_STR("writer", writer),
            KV_STR("hint", "delete that row: the count begins anew, and a start compares the "
                           "history with the mirror"));
    h->said_head = true;
    return CC_FAIL(IDENTITY, "the row of this replica can't be counted up any more");
}

CC_ERR postgres_head_saw(struct postgres_history *h, uint64_t count)
{
    if (count > h->head + h->unsure) {
        log_error(
            "another process counts up the row of this replica: a copy of its data directory is in use",
            KV_NUM("expected", h->head + h->unsure), KV_NUM("found", count));
        return CC_FAIL(IDENTITY, "a copy of this data directory is in use on the same database");
    }
    h->unsure -= count - h->head;
    h->head = h->base.position = count;
    return CC_OK;
}

CC_ERR postgres_timeline_stays(struct postgres_history *h, const struct postgres_place *at)
{
    struct own_row own;
    if (!h->compared[0]) {
        (void)snprintf(h->compared, sizeof h->compared, "%s", at->found);
        return CC_OK;
    }
    CC_TRY(fetch_own_row(h, &own));
    if (strcmp(h->compared, at->found) == 0 && own.batches >= h->head)
        return postgres_head_saw(h, own.batches);
    h->unsettled = false;
    return refuse(h, at, "the database changed while it was compared");
}

/* --- begin and confirm --------------------------------------------------------------------------------------------------- */

static cc_err look(struct postgres_history *h, struct slash_timeline *ret)
{
    CC_CLEANUP(postgres_clearp) PGresult *seen = NULL;
    CC_CLEANUP(postgres_clearp) PGresult *waiting = NULL;
    struct postgres_params self = {0};
    struct own_row own;
    postgres_put_bytes(&self, h->writer, sizeof h->writer);
    CC_TRY(fetch_own_row(h, &own));
    CC_TRY(postgres_fetch(h, POSTGRES_TIMELINE_SEEN, NULL, &seen));
    CC_TRY(postgres_fetch(h, POSTGRES_TIMELINE_WAITING, &self, &waiting));
    if (PQntuples(waiting) != 1)
        return CC_FAIL(HISTORY_MISSING, "the database has no history: no identity");
    struct slash_timeline timeline = {
        .position = own.batches,
        .same_cluster = PQgetvalue(waiting, 0, 1)[0] == 't',
        .new_timeline = PQgetvalue(waiting, 0, 2)[0] == 't' || !own.is_confirmed,
        .confirmed = PQgetvalue(waiting, 0, 2)[0] != 't',
    };
    CC_TRY(postgres_column_u64(waiting, 0, 0, &timeline.waiting));
    /* From here on the database's count is the truth. */
    h->head = h->base.position = own.batches;
    h->unsure = POSTGRES_UNDER_WAY_MAX;
    h->counted = true;
    *ret = timeline;
    return CC_OK;
}

cc_err postgres_timeline_begin(struct slash_store *store, struct slash_timeline *ret_timeline)
{
    struct postgres_history *h = postgres_history_of(store);
    postgres_history_give_up(h);
    h->unsettled = true;
    h->compared[0] = 0;
    CC_TRY(postgres_history_ready(h, POSTGRES_WORK_PATIENCE_MS));
    return postgres_history_done(h, look(h, ret_timeline));
}

static cc_err confirm(struct postgres_history *h, bool for_all, uint64_t *ret_waiting)
{
    CC_CLEANUP(postgres_clearp) PGresult *waiting = NULL;
    struct postgres_params row = {0}, whether = {0}, self = {0};
    postgres_put_bytes(&self, h->writer, sizeof h->writer);
    row = self;
    postgres_put_text(&row, h->is_replica ? "true" : "false");
    whether = self;
    postgres_put_text(&whether, for_all ? "true" : "false");
    CC_TRY(postgres_begin(h));
    CC_TRY(postgres_db_send(&h->db, POSTGRES_CONFIRM_OWN, &row));
    CC_TRY(postgres_db_send(&h->db, POSTGRES_CONFIRM, &whether));
    CC_TRY(postgres_db_send(&h->db, POSTGRES_TIMELINE_WAITING, &self));
    CC_TRY(postgres_end_sent(h));
    CC_TRY(postgres_begun(h));
    CC_TRY(postgres_db_pass(&h->db));
    CC_TRY(postgres_db_pass(&h->db));
    CC_TRY(postgres_db_take(&h->db, &waiting));
    CC_TRY(postgres_ended(h));
    return PQntuples(waiting) == 1
               ? postgres_column_u64(waiting, 0, 0, ret_waiting)
               : CC_FAIL(HISTORY_MISSING, "the database has no history: no identity");
}

cc_err postgres_timeline_confirm(struct slash_store *store, bool for_all, uint64_t *ret_waiting)
{
    struct postgres_history *h = postgres_history_of(store);
    uint64_t waiting = 0;
    cc_assert(h->unsettled);
    CC_TRY(postgres_history_ready(h, POSTGRES_WORK_PATIENCE_MS));
    CC_TRY(postgres_history_done(h, confirm(h, for_all, &waiting)));
    h->unsettled = waiting > 0;
    h->said_timeline &= h->unsettled;
    *ret_waiting = waiting;
    return CC_OK;
}

/* Cluster and timeline must be those that the history is confirmed for, by this replica too (P20, T6). */
CC_ERR postgres_timeline_check(struct postgres_history *h, const struct postgres_place *at)
{
    struct own_row own;
    CC_TRY(fetch_own_row(h, &own));
    if (own.batches < h->head)
        return refuse(h, at, "what this signer has committed is not there");
    if (strcmp(at->found, at->wanted) != 0 || !own.is_confirmed)
        return refuse(h, at, "another timeline, or another cluster");
    h->said_timeline = false;
    if (h->counted)
        return postgres_head_saw(h, own.batches);
    h->head = h->base.position = own.batches;
    h->counted = true;
    return CC_OK;
}
