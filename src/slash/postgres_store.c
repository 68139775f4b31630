#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/num.h"

#include "slash/postgres_history.h"

static const struct slash_store_ops postgres_ops;

struct postgres_history *postgres_history_of(struct slash_store *store)
{
    cc_assert(store->ops == &postgres_ops);
    return (struct postgres_history *)store;
}

/* --- what a connection is connected to ------------------------------------------------------------------------------- */

struct fault {
    const char *name;
    const char *detail;
};

static const struct fault faults[] = {
    {"replica", "the database is a replica: it takes no writes"},
    {"disk", "the database runs with fsync or full_page_writes off: it would forget"},
    {"commit", "synchronous_commit is neither on nor remote_apply"},
};

static cc_err check_durable(const char *fault)
{
    for (size_t i = 0; i < ARRAY_LEN(faults); i++)
        if (strcmp(fault, faults[i].name) == 0)
            return error_make(ERROR_STORE, faults[i].detail, __FILE__, __LINE__);
    return CC_OK;
}

static cc_err fetch_state(struct postgres_history *h, PGresult **ret_state)
{
    CC_TRY(postgres_fetch(h, POSTGRES_STATE, NULL, ret_state));
    if (PQntuples(*ret_state) != 1)
        return CC_FAIL(HISTORY_MISSING, "the database has no history: no identity");
    int n = snprintf(h->state, sizeof h->state, "%s", PQgetvalue(*ret_state, 0, 0));
    if (n < 0 || n >= POSTGRES_STATE_MAX)
        return CC_FAIL(LIMIT, "synchronous_standby_names is too long");
    return check_durable(PQgetvalue(*ret_state, 0, 2));
}

static cc_err read_identity(const PGresult *row, struct slash_identity *ret)
{
    struct slash_identity found = {0};
    CC_TRY(postgres_column_hex(row, 0, 1, found.history_id, sizeof found.history_id));
    CC_TRY(postgres_column_hex(row, 0, 2, found.chamber_id, sizeof found.chamber_id));
    CC_TRY(postgres_column_hex(row, 0, 3, found.proof, sizeof found.proof));
    found.has_genesis_validators_root = !PQgetisnull(row, 0, 6);
    if (found.has_genesis_validators_root)
        CC_TRY(postgres_column_hex(row, 0, 6, found.genesis_validators_root.bytes, 32));
    *ret = found;
    return CC_OK;
}

static bool same_history(const struct slash_identity *a, const struct slash_identity *b)
{
    return memcmp(a->history_id, b->history_id, sizeof a->history_id) == 0 &&
           memcmp(a->chamber_id, b->chamber_id, sizeof a->chamber_id) == 0 &&
           memcmp(a->proof, b->proof, sizeof a->proof) == 0;
}

static cc_err check_history(struct postgres_history *h, const PGresult *state, const PGresult *row)
{
    uint64_t format, schema, locks;
    struct slash_identity found;
    if (PQntuples(row) != 1)
        return CC_FAIL(HISTORY_MISSING, "the database has no history: no identity");
    CC_TRY(postgres_column_u64(row, 0, 0, &format));
    if (format != POSTGRES_FORMAT)
        return CC_FAIL(IDENTITY,
                       "the history was made by another release: its format is unknown here");
    CC_TRY(postgres_column_u64(row, 0, 5, &schema));
    if (schema != POSTGRES_SCHEMA)
        return CC_FAIL(IDENTITY, "database_version is not 12");
    CC_TRY(read_identity(row, &found));
    if (h->opened && !same_history(&found, &h->base.identity))
        return CC_FAIL(IDENTITY, "the database's history was replaced");
    CC_TRY(postgres_column_u64(row, 0, 7, &locks));
    /* A claim takes one lock; an eighth of the table leaves room for others, and for this batch's tables. */
    h->claims_max = (size_t)u64_max(1, u64_min(SLASH_BATCH_MAX, locks / 8));
    h->base.identity = found;
    h->opened = true;
    const struct postgres_place at = {PQgetvalue(row, 0, 4), PQgetvalue(state, 0, 1)};
    return h->unsettled ? postgres_timeline_stays(h, &at) : postgres_timeline_check(h, &at);
}

static cc_err connect_history(struct postgres_history *h, uint32_t patience_ms)
{
    CC_CLEANUP(postgres_clearp) PGresult *state = NULL;
    CC_CLEANUP(postgres_clearp) PGresult *row = NULL;
    CC_TRY(postgres_db_connect(&h->db, h->url, POSTGRES_HOST_PATIENCE_MS));
    postgres_db_patience(&h->db, patience_ms);
    CC_TRY(postgres_db_prepare(&h->db));
    CC_TRY(fetch_state(h, &state));
    CC_TRY(postgres_fetch(h, POSTGRES_HISTORY, NULL, &row));
    return check_history(h, state, row);
}

CC_ERR postgres_history_ready(struct postgres_history *h, uint32_t patience_ms)
{
    if (!postgres_db_is_open(&h->db)) {
        postgres_history_give_up(h);
        cc_err err = connect_history(h, patience_ms);
        if (err.code) {
            postgres_history_give_up(h);
            return err;
        }
    }
    postgres_db_patience(&h->db, patience_ms);
    return CC_OK;
}

CC_ERR postgres_history_settled(struct postgres_history *h, uint32_t patience_ms)
{
    if (h->unsettled)
        return CC_FAIL(TIMELINE, "not all who wrote have compared their records with it yet");
    return postgres_history_ready(h, patience_ms);
}

/* A COMMIT that was sent, and whose answer nobody has read, may have been obeyed or not. */
void postgres_history_give_up(struct postgres_history *h)
{
    h->unsure += h->ending;
    h->ending = false;
    postgres_db_close(&h->db);
}

CC_ERR postgres_history_done(struct postgres_history *h, cc_err err)
{
    if (!err.code)
        return err;
    postgres_db_recover(&h->db);
    if (!postgres_db_is_open(&h->db))
        postgres_history_give_up(h);
    h->ending = false; /* what the server answered with an error it has rolled back */
    return err;
}

/* --- transactions ------------------------------------------------------------------------------------------------------ */

CC_ERR postgres_begin(struct postgres_history *h)
{
    h->db.warned = false;
    return postgres_db_send(&h->db, POSTGRES_BEGIN, NULL);
}

CC_ERR postgres_end_sent(struct postgres_history *h)
{
    struct postgres_params head = {0};
    postgres_put_bytes(&head, h->writer, sizeof h->writer);
    postgres_put_text(&head, h->is_replica ? "true" : "false");
    h->ending = true;
    CC_TRY(postgres_db_send(&h->db, POSTGRES_HEAD, &head));
    CC_TRY(postgres_db_send(&h->db, POSTGRES_COMMIT, NULL));
    return postgres_db_sync(&h->db);
}

CC_ERR postgres_begun(struct postgres_history *h)
{
    return postgres_db_pass(&h->db);
}

/* What it is now must be what it was: else this batch was judged or stored by something else. */
static cc_err check_state(const struct postgres_history *h, const PGresult *head)
{
    if (PQntuples(head) == 1 && strcmp(PQgetvalue(head, 0, 1), h->state) == 0)
        return CC_OK;
    return CC_FAIL(STORE, "the database changed under us: its timeline, identity or durability");
}

static cc_err end_answers(struct postgres_history *h)
{
    CC_CLEANUP(postgres_clearp) PGresult *head = NULL;
    CC_CLEANUP(postgres_clearp) PGresult *commit = NULL;
    uint64_t count = 0;
    cc_err counted = postgres_db_take(&h->db, &head);
    if (error_is(counted, ERROR_TAMPERED)) /* it is the only number that the statement makes */
        return postgres_head_is_full(h);
    CC_TRY(counted);
    CC_TRY(postgres_db_take(&h->db, &commit));
    CC_TRY(postgres_db_synced(&h->db));
    CC_TRY(check_state(h, head));
    /* The COMMIT of a transaction that failed is answered ROLLBACK, and is not an error. */
    if (strcmp(PQcmdStatus(commit), "COMMIT") != 0)
        return CC_FAIL(STORE, "the database rolled back");
    if (h->db.warned)
        return CC_FAIL(STORE, "the database committed with a warning: not known to be durable");
    CC_TRY(postgres_column_u64(head, 0, 0, &count));
    if (count <= h->head)
        return CC_FAIL(TIMELINE, "the database has forgotten what this signer committed");
    h->unsure++; /* this one, of which we know now */
    h->ending = false;
    return postgres_head_saw(h, count);
}

/* After anything odd the connection is given up: what comes next begins with nothing assumed. */
CC_ERR postgres_ended(struct postgres_history *h)
{
    cc_err err = end_answers(h);
    if (error_class(err) == CLASS_UNAVAILABLE || error_is(err, ERROR_IDENTITY))
        postgres_history_give_up(h);
    return err;
}

static cc_err run_parts(struct postgres_history *h,
                        enum postgres_statement which,
                        const struct postgres_params *params,
                        uint64_t *ret_rows)
{
    CC_CLEANUP(postgres_clearp) PGresult *result = NULL;
    CC_TRY(postgres_begin(h));
    CC_TRY(postgres_db_send(&h->db, which, params));
    CC_TRY(postgres_end_sent(h));
    CC_TRY(postgres_begun(h));
    CC_TRY(postgres_db_take(&h->db, &result));
    CC_TRY(postgres_ended(h));
    return u64_parse(span_str(PQcmdTuples(result)), ret_rows);
}

CC_ERR postgres_run(struct postgres_history *h,
                    enum postgres_statement which,
                    const struct postgres_params *params,
                    uint64_t *ret_rows)
{
    return postgres_history_done(h, run_parts(h, which, params, ret_rows));
}

/* --- the small operations ---------------------------------------------------------------------------------------------- */

static cc_err postgres_register_keys(struct slash_store *store,
                                     const struct eth_pubkey *keys,
                                     size_t n,
                                     const struct slash_watermark *floor)
{
    struct postgres_history *h = postgres_history_of(store);
    static const struct slash_watermark none = {0};
    struct postgres_params params = {0};
    struct postgres_low low;
    uint64_t rows = 0;
    CC_TRY(postgres_history_ready(h, POSTGRES_WORK_PATIENCE_MS));
    CC_TRY(postgres_bytes_begin(&h->arrays[0]));
    for (size_t i = 0; i < n; i++)
        CC_TRY(postgres_bytes_add(&h->arrays[0], keys[i].bytes, sizeof keys[i].bytes));
    CC_TRY(postgres_bytes_put(&h->arrays[0], &params));
    postgres_put_low(&params, floor ? floor : &none, &low);
    CC_TRY(postgres_run(h, POSTGRES_REGISTER, &params, &rows));
    store->rows_made = rows; /* those that were given a floor */
    return CC_OK;
}

static cc_err set_enabled(struct postgres_history *h, const struct eth_pubkey *key, bool enabled)
{
    CC_CLEANUP(postgres_clearp) PGresult *lock = NULL;
    struct postgres_params params = {0};
    postgres_put_bytes(&params, key->bytes, sizeof key->bytes);
    CC_TRY(postgres_begin(h));
    CC_TRY(postgres_db_send(&h->db, POSTGRES_LOCK_BOTH, &params));
    postgres_put_text(&params, enabled ? "true" : "false");
    CC_TRY(postgres_db_send(&h->db, POSTGRES_SET_ENABLED, &params));
    CC_TRY(postgres_end_sent(h));
    CC_TRY(postgres_begun(h));
    CC_TRY(postgres_db_take(&h->db, &lock));
    CC_TRY(postgres_db_pass(&h->db));
    CC_TRY(postgres_ended(h));
    return PQntuples(lock) ? CC_OK : CC_FAIL(KEY_UNKNOWN, "no protection row");
}

static cc_err
postgres_set_enabled(struct slash_store *store, const struct eth_pubkey *key, bool enabled)
{
    struct postgres_history *h = postgres_history_of(store);
    CC_TRY(postgres_history_settled(h, POSTGRES_WORK_PATIENCE_MS));
    return postgres_history_done(h, set_enabled(h, key, enabled));
}

/* The server does its own upkeep. */
static cc_err postgres_maintain(struct slash_store *store, bool *ret_more)
{
    (void)store;
    *ret_more = false;
    return CC_OK;
}

static cc_err read_high(const PGresult *row, int column, struct slash_high *ret_high)
{
    bool has_slot, has_epoch;
    struct slash_high high = {0};
    CC_TRY(postgres_column_maybe(row, 0, column, &has_slot, &high.slot));
    CC_TRY(postgres_column_maybe(row, 0, column + 1, &has_epoch, &high.epoch));
    high.set = has_slot || has_epoch;
    if (high.set && !has_slot)
        high.slot = UINT64_MAX;
    if (high.set && !has_epoch)
        high.epoch = UINT64_MAX;
    *ret_high = high;
    return CC_OK;
}

static cc_err postgres_probe(struct slash_store *store, struct slash_high *ret_high)
{
    struct postgres_history *h = postgres_history_of(store);
    CC_CLEANUP(postgres_clearp) PGresult *row = NULL;
    CC_TRY(postgres_history_settled(h, POSTGRES_SIGN_PATIENCE_MS));
    CC_TRY(postgres_history_done(h, postgres_fetch(h, POSTGRES_HIGH, NULL, &row)));
    return read_high(row, 0, ret_high);
}

static cc_err read_status(const PGresult *row, struct slash_status *ret_status)
{
    struct slash_status s = {0};
    CC_TRY(postgres_column_u64(row, 0, 0, &s.validators));
    CC_TRY(postgres_column_u64(row, 0, 1, &s.blocks));
    CC_TRY(postgres_column_u64(row, 0, 2, &s.attestations));
    CC_TRY(read_high(row, 3, &s.high));
    CC_TRY(postgres_column_maybe(row, 0, 5, &s.has_ceiling, &s.ceiling));
    *ret_status = s;
    return CC_OK;
}

static cc_err postgres_status(struct slash_store *store, struct slash_status *ret_status)
{
    struct postgres_history *h = postgres_history_of(store);
    CC_CLEANUP(postgres_clearp) PGresult *row = NULL;
    CC_TRY(postgres_history_ready(h, POSTGRES_WORK_PATIENCE_MS));
    CC_TRY(postgres_history_done(h, postgres_fetch(h, POSTGRES_COUNT, NULL, &row)));
    return read_status(row, ret_status);
}

static cc_err postgres_estimate(struct slash_store *store, struct slash_status *ret_status)
{
    struct postgres_history *h = postgres_history_of(store);
    CC_CLEANUP(postgres_clearp) PGresult *row = NULL;
    uint64_t about = 0;
    CC_TRY(postgres_history_settled(h, POSTGRES_SIGN_PATIENCE_MS));
    CC_TRY(postgres_history_done(h, postgres_fetch(h, POSTGRES_ESTIMATE, NULL, &row)));
    CC_TRY(read_status(row, ret_status));
    CC_TRY(postgres_column_u64(row, 0, 6, &about));
    ret_status->counted = about ? SLASH_COUNTED_ABOUT : SLASH_COUNTED_ALL;
    return CC_OK;
}

static cc_err postgres_fix_genesis(struct slash_store *store, const struct eth_root *root)
{
    struct postgres_history *h = postgres_history_of(store);
    CC_CLEANUP(postgres_clearp) PGresult *row = NULL;
    struct postgres_params params = {0};
    struct eth_root found;
    uint64_t rows = 0;
    CC_TRY(postgres_history_ready(h, POSTGRES_WORK_PATIENCE_MS));
    if (store->identity.has_genesis_validators_root)
        return slash_identity_fix_genesis(&store->identity, root);
    postgres_put_bytes(&params, root->bytes, sizeof root->bytes);
    CC_TRY(postgres_run(h, POSTGRES_FIX_GENESIS, &params, &rows));
    CC_TRY(postgres_history_done(h, postgres_fetch(h, POSTGRES_GENESIS, NULL, &row)));
    if (PQntuples(row) != 1)
        return CC_FAIL(STORE, "the metadata row is gone");
    CC_TRY(postgres_column_hex(row, 0, 0, found.bytes, sizeof found.bytes));
    CC_TRY(slash_identity_fix_genesis(&store->identity, &found));
    return slash_identity_fix_genesis(&store->identity, root);
}

static cc_err postgres_set_high(struct slash_store *store, const struct slash_high *high)
{
    struct postgres_history *h = postgres_history_of(store);
    struct postgres_params params = {0};
    char slot[24], epoch[24];
    uint64_t rows = 0;
    (void)snprintf(slot, sizeof slot, "%llu", (unsigned long long)high->slot);
    (void)snprintf(epoch, sizeof epoch, "%llu", (unsigned long long)high->epoch);
    postgres_put_text(&params, high->set ? slot : NULL);
    postgres_put_text(&params, high->set ? epoch : NULL);
    CC_TRY(postgres_history_ready(h, POSTGRES_WORK_PATIENCE_MS));
    CC_TRY(postgres_run(h, POSTGRES_SET_HIGH, &params, &rows));
    return rows || !high->set
               ? CC_OK
               : CC_FAIL(WATERMARK,
                         "the schema needs genesis_validators_root before a high watermark");
}

static cc_err postgres_set_ceiling(struct slash_store *store, uint64_t epoch)
{
    struct postgres_history *h = postgres_history_of(store);
    struct postgres_params params = {0};
    char text[24];
    uint64_t rows = 0;
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)epoch);
    postgres_put_text(&params, text);
    CC_TRY(postgres_history_ready(h, POSTGRES_SIGN_PATIENCE_MS)); /* claims wait behind it */
    return postgres_run(h, POSTGRES_SET_CEILING, &params, &rows);
}

static void postgres_close(struct slash_store *store)
{
    struct postgres_history *h = postgres_history_of(store);
    postgres_db_close(&h->db);
    for (size_t i = 0; i < ARRAY_LEN(h->arrays); i++)
        buf_release(&h->arrays[i]);
    if (h->url)
        explicit_bzero(h->url, strlen(h->url));
    cc_free(h->url);
    cc_free(h);
}

static const struct slash_store_ops postgres_ops = {
    .name = "postgres",
    .check_and_record = postgres_check_and_record,
    .register_keys = postgres_register_keys,
    .set_enabled = postgres_set_enabled,
    .merge = postgres_merge,
    .merge_many = postgres_merge_many,
    .visit = postgres_visit,
    .visit_after = postgres_visit_after,
    .prune = postgres_prune,
    .maintain = postgres_maintain,
    .status = postgres_status,
    .probe = postgres_probe,
    .estimate = postgres_estimate,
    .fix_genesis = postgres_fix_genesis,
    .set_high = postgres_set_high,
    .set_ceiling = postgres_set_ceiling,
    .raise_all = postgres_raise_all,
    .timeline_begin = postgres_timeline_begin,
    .timeline_confirm = postgres_timeline_confirm,
    .close = postgres_close,
};

/* A command's row is its own, and nobody else counts it up. */
static cc_err name_writer(struct postgres_history *h, const uint8_t *replica)
{
    h->is_replica = replica;
    h->unsure = POSTGRES_UNDER_WAY_MAX;
    if (replica)
        memcpy(h->writer, replica, sizeof h->writer);
    else if (getrandom(h->writer, sizeof h->writer, 0) != sizeof h->writer)
        return CC_FAIL(SYSTEM, "getrandom");
    return CC_OK;
}

static cc_err make_history(const char *url, const uint8_t *replica, struct postgres_history **ret)
{
    struct postgres_history *h = cc_alloc(sizeof *h);
    if (!h)
        return CC_FAIL(NO_MEMORY, "PostgreSQL history");
    h->base.ops = &postgres_ops;
    h->db.schema = &postgres_history_schema;
    for (size_t i = 0; i < ARRAY_LEN(h->arrays); i++)
        h->arrays[i] = buf_init(POSTGRES_ARRAY_MAX);
    h->url = cc_strdup(url);
    cc_err err = h->url ? name_writer(h, replica) : CC_FAIL(NO_MEMORY, "PostgreSQL history");
    if (err.code)
        postgres_close(&h->base);
    else
        *ret = h;
    return err;
}

CC_ERR slash_postgres_new(const char *url, const uint8_t *replica, struct slash_store **ret_store)
{
    struct postgres_history *h = NULL;
    CC_TRY(make_history(url, replica, &h));
    *ret_store = &h->base;
    return CC_OK;
}

CC_ERR slash_postgres_connect(struct slash_store *store)
{
    cc_err err = postgres_history_ready(postgres_history_of(store), POSTGRES_WORK_PATIENCE_MS);
    return error_is(err, ERROR_TIMELINE) ? CC_OK : err;
}

CC_ERR slash_postgres_open(const char *url, const uint8_t *replica, struct slash_store **ret_store)
{
    struct slash_store *store = NULL;
    CC_TRY(slash_postgres_new(url, replica, &store));
    cc_err err = slash_postgres_connect(store);
    if (err.code)
        postgres_close(store);
    else
        *ret_store = store;
    return err;
}

CC_ERR slash_postgres_open_for_repair(const char *url, struct slash_store **ret_store)
{
    struct postgres_history *h = NULL;
    struct slash_timeline ignored;
    CC_TRY(make_history(url, NULL, &h));
    cc_err err = postgres_timeline_begin(&h->base, &ignored);
    if (err.code)
        postgres_close(&h->base);
    else
        *ret_store = &h->base;
    return err;
}

CC_ERR slash_postgres_confirm_timeline(struct slash_store *store)
{
    uint64_t waiting = 0, rows = 0;
    CC_TRY(postgres_run(postgres_history_of(store), POSTGRES_CONFIRM_ROWS, NULL, &rows));
    return postgres_timeline_confirm(store, true, &waiting);
}
