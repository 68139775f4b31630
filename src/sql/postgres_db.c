#include "sql/postgres_db.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/num.h"

#include "codec/hex.h"
#include "sql/postgres_dial.h"
#include "sql/postgres_password.h"

/* Each connection has them, whatever the role's and the server's defaults are. The planner is kept from reading whole
 * tables, which would look right while they are small and be kept when they are not.
 */
static const char session[] =
    "SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit')"
    " WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false);"
    "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off;"
    "SET enable_mergejoin = off; SET enable_memoize = off; SET jit = off;"
    "SET plan_cache_mode = force_generic_plan; SET client_min_messages = warning;"
    "SET lock_timeout = '1500ms'; SET statement_timeout = '120s';"
    "SET idle_in_transaction_session_timeout = '30s'";

/* --- errors ---------------------------------------------------------------------------------------------------------- */

struct complaint {
    const char *state;    /* the beginning of an SQLSTATE */
    enum error_code code; /* ERROR_NONE: the schema's own */
    const char *detail;
};

/* The first that fits. */
static const struct complaint complaints[] = {
    {"P0001", ERROR_WATERMARK, "the database's triggers refuse it"},
    {"40", ERROR_CONFLICT, "the database has chosen another client's transaction"},
    {"55P03", ERROR_CONFLICT, "another client of the database holds a lock"},
    {"23", ERROR_CONFLICT, "another client of the database has written the same row"},
    {"42P01", ERROR_NONE, "a table is missing in the database"},
    {"42703", ERROR_NONE, "a column is missing in the database"},
    {"42501", ERROR_STORE, "the database's role lacks a privilege"},
    {"22", ERROR_TAMPERED, "a value in the database is out of its domain"},
    {"53200", ERROR_STORE, "the database is out of memory or locks"},
    {"53100", ERROR_STORE, "the database's disk is full"},
    {"25006", ERROR_STORE, "the database takes no writes"},
    {"57014", ERROR_STORE, "the database gave up: time is up"},
    {"", ERROR_STORE, "the database refuses"},
};

/* The server's own words, once for a row of the same complaint. They name tables and settings, never parameters. */
static void log_complaint(struct postgres_db *db, const char *state, const char *words)
{
    if (strncmp(db->said, state, sizeof db->said) == 0)
        return;
    memcpy(db->said, state, sizeof db->said);
    log_warn("the database complains", KV_STR("sqlstate", state), KV_STR("words", words));
}

/* Counts what ended without an answer, where it is found out. */
static cc_err away(const char *detail)
{
    metric_add(METRIC_POSTGRES_ERRORS, METRIC_FAULT_AWAY, 0, 1);
    return error_make(ERROR_STORE, detail, __FILE__, __LINE__);
}

static cc_err lost(void)
{
    return away("the connection to the database is lost");
}

static cc_err error_of(struct postgres_db *db, const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *words = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (!state || strlen(state) != sizeof db->said)
        return lost();
    log_complaint(db, state, words ? words : "");
    const struct complaint *c = complaints;
    while (strncmp(state, c->state, strlen(c->state)) != 0)
        c++;
    metric_add(METRIC_POSTGRES_ERRORS,
               c->code == ERROR_CONFLICT ? METRIC_FAULT_CONFLICT : METRIC_FAULT_REFUSED, 0, 1);
    return error_make(c->code == ERROR_NONE ? db->schema->missing : c->code, c->detail, __FILE__,
                      __LINE__);
}

/* --- waiting --------------------------------------------------------------------------------------------------------- */

void postgres_db_patience(struct postgres_db *db, uint32_t ms)
{
    db->deadline_ns = clock_mono_ns() + ms * UINT64_C(1000000);
}

static cc_err wait_for(const struct postgres_db *db, short events, short *ret_events)
{
    for (;;) {
        uint64_t now = clock_mono_ns();
        if (now >= db->deadline_ns)
            return away("the database does not answer in time");
        struct pollfd p = {.fd = PQsocket(db->conn), .events = events};
        uint64_t ms = (db->deadline_ns - now) / 1000000 + 1;
        int n = poll(&p, 1, ms > 60000 ? 60000 : (int)ms);
        if (n > 0) {
            *ret_events = p.revents;
            return CC_OK;
        }
    }
}

/* Sends what libpq holds back; reads meanwhile, since a server that can't get rid of its answers takes no more. */
static cc_err flush(struct postgres_db *db)
{
    for (;;) {
        int left = PQflush(db->conn);
        if (left == 0)
            return CC_OK;
        short events = 0;
        if (left < 0)
            return lost();
        CC_TRY(wait_for(db, POLLIN | POLLOUT, &events));
        if ((events & POLLIN) && !PQconsumeInput(db->conn))
            return lost();
    }
}

/* NULL is the end of one statement's answers. */
static cc_err next_result(struct postgres_db *db, PGresult **ret_result)
{
    while (PQisBusy(db->conn)) {
        short events = 0;
        CC_TRY(wait_for(db, POLLIN, &events));
        if (!PQconsumeInput(db->conn))
            return lost();
    }
    *ret_result = PQgetResult(db->conn);
    return CC_OK;
}

/* --- connecting ------------------------------------------------------------------------------------------------------ */

static void on_notice(void *context, const PGresult *notice)
{
    struct postgres_db *db = context;
    const char *state = PQresultErrorField(notice, PG_DIAG_SQLSTATE);
    const char *words = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
    db->warned = true;
    if (state && strlen(state) == sizeof db->said)
        log_complaint(db, state, words ? words : "");
}

static cc_err dial(struct postgres_db *db)
{
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    while (status != PGRES_POLLING_OK) {
        short events = 0;
        if (status == PGRES_POLLING_FAILED || PQstatus(db->conn) == CONNECTION_BAD)
            return away("no connection to the database");
        CC_TRY(wait_for(db, status == PGRES_POLLING_READING ? POLLIN : POLLOUT, &events));
        status = PQconnectPoll(db->conn);
    }
    return PQsetnonblocking(db->conn, 1) == 0 ? CC_OK : CC_FAIL(STORE, "libpq");
}

/* What libpq or the server says of a configuration that no waiting makes right. libpq gives a failed connection no SQLSTATE
 * of its own, but writes the server's into its verbose words.
 */
#define WRONG_PASSWORD "28P01"
static const char *const wrong[] = {WRONG_PASSWORD, "28000", "3D000", "certificate",
                                    "does not support SSL"};

static cc_err say_why(struct postgres_db *db, cc_err err)
{
    char words[256];
    (void)snprintf(words, sizeof words, "%s", PQerrorMessage(db->conn));
    words[strcspn(words, "\n")] = 0;
    if (strncmp(db->said, "08001", sizeof db->said) != 0) {
        memcpy(db->said, "08001", sizeof db->said);
        log_warn("no connection to the database", KV_STR("words", words));
    }
    for (size_t i = 0; i < ARRAY_LEN(wrong) && !db->was_open; i++)
        if (strstr(words, wrong[i]))
            return CC_FAIL(CONFIG, "the database refuses this role, password, name or certificate");
    return err;
}

static void ask_anew(const struct postgres_db *db, const char *url)
{
    if (strstr(PQerrorMessage(db->conn), WRONG_PASSWORD))
        postgres_password_refused(url);
}

static cc_err
connect_host(struct postgres_db *db, const char *url, unsigned host, const char *password)
{
    struct postgres_dial plan;
    CC_TRY(postgres_url_dial(url, host, &plan));
    if (password)
        postgres_dial_add(&plan, "password", password);
    db->conn = PQconnectStartParams(plan.keys, plan.values, 0);
    postgres_dial_release(&plan);
    if (!db->conn)
        return CC_FAIL(NO_MEMORY, "libpq");
    (void)PQsetNoticeReceiver(db->conn, on_notice, db);
    (void)PQsetErrorVerbosity(db->conn, PQERRORS_VERBOSE);
    cc_err err = dial(db);
    if (err.code && password)
        ask_anew(db, url);
    if (err.code)
        err = say_why(db, err);
    if (!err.code)
        err = postgres_db_script(db, session);
    if (!err.code) {
        memset(db->said, 0, sizeof db->said);
        db->was_open = db->counted = true;
        metric_add(METRIC_POSTGRES_CONNECTIONS, 0, 0, 1);
    } else {
        postgres_db_close(db);
    }
    return err;
}

CC_ERR postgres_db_connect(struct postgres_db *db, const char *url, uint32_t patience_ms)
{
    unsigned hosts = 0;
    CC_CLEANUP(buf_release) struct buf password = buf_init(POSTGRES_PASSWORD_MAX);
    CC_TRY(postgres_url_hosts(url, &hosts));
    if (postgres_password_exists(url))
        CC_TRY(postgres_password_get(url, &password));
    cc_err err = CC_OK;
    for (unsigned i = 0; i < hosts; i++) {
        unsigned host = (db->host + i) % hosts;
        postgres_db_patience(db, patience_ms);
        cc_err tried =
            connect_host(db, url, host, password.len ? (const char *)password.data : NULL);
        if (tried.code) { /* one that is away may be the right one */
            err = error_is(err, ERROR_STORE) ? err : tried;
            continue;
        }
        db->host = host;
        return CC_OK;
    }
    return err;
}

void postgres_db_close(struct postgres_db *db)
{
    PQfinish(db->conn);
    db->conn = NULL;
    db->unsynced = false;
    db->asked_ns = 0;
    if (db->counted)
        metric_sub(METRIC_POSTGRES_CONNECTIONS, 1);
    db->counted = false;
}

bool postgres_db_is_open(const struct postgres_db *db)
{
    return db->conn && PQstatus(db->conn) == CONNECTION_OK;
}

/* --- before the pipeline --------------------------------------------------------------------------------------------- */

/* Keeps the first row's first value; all results are read, the first error counts. */
static cc_err read_all(struct postgres_db *db, char *ret_value, size_t room)
{
    cc_err err = CC_OK;
    CC_TRY(flush(db));
    for (;;) {
        CC_CLEANUP(postgres_clearp) PGresult *result = NULL;
        CC_TRY(next_result(db, &result));
        if (!result)
            return err;
        ExecStatusType status = PQresultStatus(result);
        if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && !err.code)
            err = error_of(db, result);
        if (ret_value && status == PGRES_TUPLES_OK && PQntuples(result) > 0)
            (void)snprintf(ret_value, room, "%s", PQgetvalue(result, 0, 0));
    }
}

CC_ERR postgres_db_script(struct postgres_db *db, const char *sql)
{
    if (!PQsendQuery(db->conn, sql))
        return lost();
    return read_all(db, NULL, 0);
}

CC_ERR postgres_db_ask(struct postgres_db *db,
                       const char *sql,
                       const char *const *params,
                       char *ret_value,
                       size_t room)
{
    int count = 0;
    while (params && params[count])
        count++;
    if (room)
        ret_value[0] = 0;
    if (!PQsendQueryParams(db->conn, sql, count, NULL, params, NULL, NULL, 0))
        return lost();
    return read_all(db, room ? ret_value : NULL, room);
}

CC_ERR postgres_db_prepare(struct postgres_db *db)
{
    if (!PQenterPipelineMode(db->conn))
        return CC_FAIL(STORE, "libpq: no pipeline");
    const struct postgres_schema *s = db->schema;
    for (size_t i = 0; i < s->count; i++)
        if (!PQsendPrepare(db->conn, s->queries[i].name, s->queries[i].sql, 0, NULL))
            return lost();
    CC_TRY(postgres_db_sync(db));
    for (size_t i = 0; i < s->count; i++)
        CC_TRY(postgres_db_pass(db));
    return postgres_db_synced(db);
}

/* --- the pipeline ---------------------------------------------------------------------------------------------------- */

void postgres_put_text(struct postgres_params *params, const char *text)
{
    cc_assert(params->count < POSTGRES_PARAMS_MAX);
    params->values[params->count] = text;
    params->lengths[params->count] = 0;
    params->formats[params->count++] = 0;
}

void postgres_put_bytes(struct postgres_params *params, const void *bytes, size_t len)
{
    cc_assert(params->count < POSTGRES_PARAMS_MAX);
    params->values[params->count] = bytes;
    params->lengths[params->count] = (int)len;
    params->formats[params->count++] = 1;
}

CC_ERR
postgres_db_send(struct postgres_db *db, unsigned which, const struct postgres_params *params)
{
    static const struct postgres_params none;
    const struct postgres_params *p = params ? params : &none;
    cc_assert(which < db->schema->count);
    if (!PQsendQueryPrepared(db->conn, db->schema->queries[which].name, p->count, p->values,
                             p->lengths, p->formats, 0))
        return lost();
    db->unsynced = true;
    return CC_OK;
}

CC_ERR postgres_db_sync(struct postgres_db *db)
{
    if (!PQpipelineSync(db->conn))
        return lost();
    db->unsynced = false;
    db->asked_ns = clock_mono_ns();
    return flush(db);
}

CC_ERR postgres_db_take(struct postgres_db *db, PGresult **ret_result)
{
    CC_CLEANUP(postgres_clearp) PGresult *result = NULL;
    CC_CLEANUP(postgres_clearp) PGresult *end = NULL;
    CC_TRY(next_result(db, &result));
    if (!result)
        return lost();
    CC_TRY(next_result(db, &end));
    ExecStatusType status = PQresultStatus(result);
    if (end || (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK))
        return error_of(db, result);
    *ret_result = result;
    result = NULL;
    return CC_OK;
}

CC_ERR postgres_db_pass(struct postgres_db *db)
{
    CC_CLEANUP(postgres_clearp) PGresult *result = NULL;
    return postgres_db_take(db, &result);
}

CC_ERR postgres_db_synced(struct postgres_db *db)
{
    CC_CLEANUP(postgres_clearp) PGresult *result = NULL;
    CC_TRY(next_result(db, &result));
    if (PQresultStatus(result) != PGRES_PIPELINE_SYNC)
        return lost();
    if (db->asked_ns)
        metric_observe(METRIC_POSTGRES_ROUND_TRIP, 0, clock_mono_ns() - db->asked_ns);
    db->asked_ns = 0;
    return CC_OK;
}

/* All answers up to the end mark, whatever they are. */
static cc_err read_to_mark(struct postgres_db *db)
{
    if (db->unsynced)
        CC_TRY(postgres_db_sync(db));
    for (bool ended = false;;) {
        CC_CLEANUP(postgres_clearp) PGresult *result = NULL;
        if (PQstatus(db->conn) != CONNECTION_OK)
            return lost();
        CC_TRY(next_result(db, &result));
        if (PQresultStatus(result) == PGRES_PIPELINE_SYNC)
            break;
        if (!result && ended) /* two ends in a row: nothing is under way */
            break;
        ended = !result;
    }
    return CC_OK;
}

static cc_err roll_back(struct postgres_db *db)
{
    CC_TRY(read_to_mark(db));
    if (PQtransactionStatus(db->conn) == PQTRANS_IDLE)
        return CC_OK;
    if (!PQsendQueryParams(db->conn, "ROLLBACK", 0, NULL, NULL, NULL, NULL, 0))
        return lost();
    CC_TRY(postgres_db_sync(db));
    CC_TRY(postgres_db_pass(db));
    return postgres_db_synced(db);
}

void postgres_db_recover(struct postgres_db *db)
{
    if (!postgres_db_is_open(db) || roll_back(db).code)
        postgres_db_close(db);
}

/* --- arrays ---------------------------------------------------------------------------------------------------------- */

void postgres_numbers_begin(struct buf *b)
{
    b->len = 0;
}

CC_ERR postgres_numbers_add(struct buf *b, uint64_t number)
{
    return buf_printf(b, "%c%llu", b->len ? ',' : '{', (unsigned long long)number);
}

CC_ERR postgres_numbers_put(struct buf *b, struct postgres_params *params)
{
    CC_TRY(buf_append(b, b->len ? "}" : "{}", b->len ? 2 : 3)); /* with its zero */
    postgres_put_text(params, (const char *)b->data);
    return CC_OK;
}

/* PostgreSQL's binary form (array_recv): dimensions, flags, element type, then of the one dimension its length and lower
 * bound; each element with its length before it.
 */
enum {
    ARRAY_HEAD = 20,
    ARRAY_FLAGS_AT = 4,
    ARRAY_COUNT_AT = 12,
    OID_BYTEA = 17
};

CC_ERR postgres_bytes_begin(struct buf *b)
{
    uint8_t *head;
    b->len = 0;
    CC_TRY(buf_grow(b, ARRAY_HEAD, &head));
    u32_store_be(head, 1);
    u32_store_be(head + 4, 0);
    u32_store_be(head + 8, OID_BYTEA);
    u32_store_be(head + 12, 0);
    u32_store_be(head + 16, 1);
    return CC_OK;
}

static uint32_t load_u32(const uint8_t *in)
{
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

CC_ERR postgres_bytes_add(struct buf *b, const void *bytes, size_t len)
{
    uint8_t *at;
    CC_TRY(buf_grow(b, 4 + (bytes ? len : 0), &at));
    u32_store_be(at, bytes ? (uint32_t)len : UINT32_MAX);
    if (bytes)
        memcpy(at + 4, bytes, len);
    else
        u32_store_be(b->data + ARRAY_FLAGS_AT, 1); /* there are NULLs */
    u32_store_be(b->data + ARRAY_COUNT_AT, load_u32(b->data + ARRAY_COUNT_AT) + 1);
    return CC_OK;
}

CC_ERR postgres_bytes_put(struct buf *b, struct postgres_params *params)
{
    if (load_u32(b->data + ARRAY_COUNT_AT) == 0) { /* an empty array has no dimension */
        u32_store_be(b->data, 0);
        b->len = ARRAY_COUNT_AT;
    }
    postgres_put_bytes(params, b->data, b->len);
    return CC_OK;
}

/* --- columns --------------------------------------------------------------------------------------------------------- */

CC_ERR postgres_column_u64(const PGresult *result, int row, int column, uint64_t *ret_value)
{
    if (PQgetisnull(result, row, column) ||
        u64_parse(span_str(PQgetvalue(result, row, column)), ret_value).code)
        return CC_FAIL(TAMPERED, "a number in the database is out of range");
    return CC_OK;
}

CC_ERR
postgres_column_hex(const PGresult *result, int row, int column, void *ret_bytes, size_t len)
{
    if (PQgetisnull(result, row, column) ||
        hex_decode(span_str(PQgetvalue(result, row, column)), ret_bytes, len).code)
        return CC_FAIL(TAMPERED, "a value in the database has the wrong size");
    return CC_OK;
}

CC_ERR postgres_column_root(
    const PGresult *result, int row, int column, bool *ret_has_root, struct signing_root *ret_root)
{
    *ret_has_root = !PQgetisnull(result, row, column);
    *ret_root = (struct signing_root){{0}};
    return *ret_has_root
               ? postgres_column_hex(result, row, column, ret_root->bytes, sizeof ret_root->bytes)
               : CC_OK;
}

CC_ERR
postgres_column_maybe(const PGresult *result, int row, int column, bool *ret_has, uint64_t *ret)
{
    *ret_has = !PQgetisnull(result, row, column);
    *ret = 0;
    return *ret_has ? postgres_column_u64(result, row, column, ret) : CC_OK;
}
