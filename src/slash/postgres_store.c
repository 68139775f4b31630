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

/* The row that each of our transactions counts up. Whoever holds its last count holds all that was committed before, since a
 * database that took over, or was restored, has a beginning of the log and nothing else.
 */
struct own_head {
    uint64_t batches; /* 0: no row */
    bool
        others; /* have written since our first transaction: what they committed last is not known here */
};

static cc_err fetch_own_head(struct postgres_history *h, struct own_head *ret_head)
{
    CC_CLEANUP(postgres_clearp) PGresult *row = NULL;
    struct postgres_params params = {0};
    *ret_head = (struct own_head){0};
    postgres_put_text(&params, h->writer);
    CC_TRY(postgres_fetch(h, POSTGRES_OWN_HEAD, &params, &row));
    if (PQntuples(row) == 0)
        return CC_OK;
    ret_head->others = PQgetvalue(row, 0, 1)[0] == 't';
    return postgres_column_u64(row, 0, 0, &ret_head->batches);
}

static cc_err refuse_timeline(const char *wanted, const char *found, const char *detail)
{
    log_error(
        "the database was failed over or restored: its newest records may be lost",
        KV_STR("history_is_of", wanted), KV_STR("database_is", found), KV_STR("why", detail),
        KV_STR(
            "hint",
            "stop the signer and run `containment-chamber slashing repair-watermark --epoch N`, with N later than any epoch that may have been signed"));
    return error_make(ERROR_TIMELINE, detail, __FILE__, __LINE__);
}

static bool same_cluster(const char *a, const char *b)
{
    size_t len = strcspn(a, " ");
    return strcspn(b, " ") == len && memcmp(a, b, len) == 0;
}

/* Cluster and timeline must be those that the history was made on or confirmed for (P20, T6). The same cluster on another
 * timeline is a replica that took over, or a backup: right only where this process knows its own last commit to be there, and
 * nobody else's could be missing.
 */
static cc_err check_timeline(struct postgres_history *h, const char *wanted, const char *found)
{
    struct own_head own;
    uint64_t rows = 0;
    CC_TRY(fetch_own_head(h, &own));
    if (own.batches < h->head)
        return refuse_timeline(wanted, found, "what this signer has committed is not there");
    if (strcmp(found, wanted) == 0)
        return CC_OK;
    if (!same_cluster(found, wanted))
        return refuse_timeline(wanted, found, "the database is another cluster");
    if (h->head == 0)
        return refuse_timeline(wanted, found, "another timeline, and nothing to compare it with");
    if (own.others)
        return refuse_timeline(wanted, found, "another timeline, and others wrote before it began");
    CC_TRY(postgres_run(h, POSTGRES_CONFIRM, NULL, &rows));
    log_warn(
        "the database was failed over, and nothing of what this signer committed is lost: going on",
        KV_STR("was", wanted), KV_STR("is", found));
    return CC_OK;
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
    if (!h->for_repair)
        CC_TRY(check_timeline(h, PQgetvalue(row, 0, 4), PQgetvalue(state, 0, 1)));
    CC_TRY(postgres_column_u64(row, 0, 7, &locks));
    /* A claim takes one lock; an eighth of the table leaves room for others, and for this batch's tables. */
    h->claims_max = (size_t)u64_max(1, u64_min(SLASH_BATCH_MAX, locks / 8));
    h->base.identity = found;
    h->opened = true;
    return CC_OK;
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
        postgres_db_close(&h->db);
        cc_err err = connect_history(h, patience_ms);
        if (err.code) {
            postgres_db_close(&h->db);
            return err;
        }
    }
    postgres_db_patience(&h->db, patience_ms);
    return CC_OK;
}

CC_ERR postgres_history_done(struct postgres_history *h, cc_err err)
{
    if (err.code)
        postgres_db_recover(&h->db);
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
    postgres_put_text(&head, h->writer);
    CC_TRY(postgres_db_send(&h->db, POSTGRES_HEAD, &head));
    CC_TRY(postgres_db_send(&h->db, POSTGRES_STATE, NULL));
    CC_TRY(postgres_db_send(&h->db, POSTGRES_COMMIT, NULL));
    return postgres_db_sync(&h->db);
}

CC_ERR postgres_begun(struct postgres_history *h)
{
    return postgres_db_pass(&h->db);
}

/* What it is now must be what it was: else this batch was judged or stored by something else. */
static cc_err check_state(const struct postgres_history *h, const PGresult *result)
{
    if (PQntuples(result) == 1 && strcmp(PQgetvalue(result, 0, 0), h->state) == 0)
        return CC_OK;
    return CC_FAIL(STORE, "the database changed under us: its timeline, identity or durability");
}

static cc_err end_answers(struct postgres_history *h)
{
    CC_CLEANUP(postgres_clearp) PGresult *head = NULL;
    CC_CLEANUP(postgres_clearp) PGresult *state = NULL;
    CC_CLEANUP(postgres_clearp) PGresult *commit = NULL;
    uint64_t count = 0;
    CC_TRY(postgres_db_take(&h->db, &head));
    CC_TRY(postgres_db_take(&h->db, &state));
    CC_TRY(postgres_db_take(&h->db, &commit));
    CC_TRY(postgres_db_synced(&h->db));
    CC_TRY(check_state(h, state));
    /* The COMMIT of a transaction that failed is answered ROLLBACK, and is not an error. */
    if (strcmp(PQcmdStatus(commit), "COMMIT") != 0)
        return CC_FAIL(STORE, "the database rolled back");
    if (h->db.warned)
        return CC_FAIL(STORE, "the database committed with a warning: not known to be durable");
    CC_TRY(postgres_column_u64(head, 0, 0, &count));
    if (count <= h->head)
        return CC_FAIL(TIMELINE, "the database has forgotten what this signer committed");
    h->head = count;
    return CC_OK;
}

/* After anything odd the connection is given up: what comes next begins with nothing assumed. */
CC_ERR postgres_ended(struct postgres_history *h)
{
    cc_err err = end_answers(h);
    if (error_class(err) == CLASS_UNAVAILABLE)
        postgres_db_close(&h->db);
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

static cc_err
postgres_register_keys(struct slash_store *store, const struct eth_pubkey *keys, size_t n)
{
    struct postgres_history *h = postgres_history_of(store);
    struct postgres_params params = {0};
    uint64_t rows = 0;
    CC_TRY(postgres_history_ready(h, POSTGRES_WORK_PATIENCE_MS));
    CC_TRY(postgres_bytes_begin(&h->arrays[0]));
    for (size_t i = 0; i < n; i++)
        CC_TRY(postgres_bytes_add(&h->arrays[0], keys[i].bytes, sizeof keys[i].bytes));
    CC_TRY(postgres_bytes_put(&h->arrays[0], &params));
    return postgres_run(h, POSTGRES_REGISTER, &params, &rows);
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
    CC_TRY(postgres_history_ready(h, POSTGRES_WORK_PATIENCE_MS));
    return postgres_history_done(h, set_enabled(h, key, enabled));
}

/* The server does its own upkeep. */
static cc_err postgres_maintain(struct slash_store *store, bool *ret_more)
{
    (void)store;
    *ret_more = false;
    return CC_OK;
}

static cc_err read_status(const PGresult *row, struct slash_status *ret_status)
{
    bool has_slot, has_epoch;
    struct slash_status s = {0};
    CC_TRY(postgres_column_u64(row, 0, 0, &s.validators));
    CC_TRY(postgres_column_u64(row, 0, 1, &s.blocks));
    CC_TRY(postgres_column_u64(row, 0, 2, &s.attestations));
    CC_TRY(postgres_column_maybe(row, 0, 3, &has_slot, &s.high.slot));
    CC_TRY(postgres_column_maybe(row, 0, 4, &has_epoch, &s.high.epoch));
    s.high.set = has_slot || has_epoch;
    if (s.high.set && !has_slot)
        s.high.slot = UINT64_MAX;
    if (s.high.set && !has_epoch)
        s.high.epoch = UINT64_MAX;
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
    .visit = postgres_visit,
    .prune = postgres_prune,
    .maintain = postgres_maintain,
    .status = postgres_status,
    .fix_genesis = postgres_fix_genesis,
    .set_high = postgres_set_high,
    .close = postgres_close,
};

/* A row that nobody else counts up. */
static cc_err pick_writer(char ret_writer[static 16])
{
    uint32_t chance = 0;
    if (getrandom(&chance, sizeof chance, 0) != sizeof chance)
        return CC_FAIL(SYSTEM, "getrandom");
    (void)snprintf(ret_writer, 16, "%u", chance & INT32_MAX);
    return CC_OK;
}

static cc_err open_history(const char *url, bool for_repair, struct slash_store **ret_store)
{
    struct postgres_history *h = cc_alloc(sizeof *h);
    if (!h)
        return CC_FAIL(NO_MEMORY, "PostgreSQL history");
    h->base.ops = &postgres_ops;
    h->for_repair = for_repair;
    for (size_t i = 0; i < ARRAY_LEN(h->arrays); i++)
        h->arrays[i] = buf_init(POSTGRES_ARRAY_MAX);
    h->url = cc_strdup(url);
    cc_err err = h->url ? pick_writer(h->writer) : CC_FAIL(NO_MEMORY, "PostgreSQL history");
    if (!err.code)
        err = postgres_history_ready(h, POSTGRES_WORK_PATIENCE_MS);
    if (err.code)
        postgres_close(&h->base);
    else
        *ret_store = &h->base;
    return err;
}

CC_ERR slash_postgres_open(const char *url, struct slash_store **ret_store)
{
    return open_history(url, false, ret_store);
}

CC_ERR slash_postgres_open_for_repair(const char *url, struct slash_store **ret_store)
{
    return open_history(url, true, ret_store);
}

CC_ERR slash_postgres_confirm_timeline(struct slash_store *store)
{
    struct postgres_history *h = postgres_history_of(store);
    uint64_t rows = 0;
    CC_TRY(postgres_history_ready(h, POSTGRES_WORK_PATIENCE_MS));
    CC_TRY(postgres_run(h, POSTGRES_CONFIRM, NULL, &rows));
    return rows == 1 ? CC_OK : CC_FAIL(HISTORY_MISSING, "the database has no history: no identity");
}
