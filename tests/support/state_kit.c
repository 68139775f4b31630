#include "support/state_kit.h"

#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"

#include "codec/base64.h"
#include "state/dynamodb.h"
#include "state/postgres.h"
#include "support/dynamodb_table.h"
#include "support/postgres_server.h"
#include "support/test.h"

const struct kit_backend *kit;
char kit_directory[64];
struct state_pin kit_pin;
uint8_t kit_seed[ED25519_SEED_SIZE];
unsigned kit_signings;

static cc_err sign(void *context, const uint8_t digest[static SHA256_SIZE], uint8_t *ret_signature)
{
    static const char domain[] = "containment-chamber/state-head/v1";
    uint8_t message[sizeof domain + SHA256_SIZE];
    (void)context;
    memcpy(message, domain, sizeof domain);
    memcpy(message + sizeof domain, digest, SHA256_SIZE);
    ed25519_sign(kit_seed, span_of(message, sizeof message), ret_signature);
    kit_signings++;
    return CC_OK;
}

const struct state_signer kit_signer = {sign, NULL};

const char *kit_path(const char *place, const char *suffix)
{
    static char paths[8][128];
    static unsigned next;
    char *path = paths[next++ % ARRAY_LEN(paths)];
    (void)snprintf(path, sizeof paths[0], "%s/%s%s", kit_directory, place, suffix);
    return path;
}

/* --- SQLite ------------------------------------------------------------------------------------------------------------ */

static void sqlite_make(void)
{
    assert_int_equal(state_sqlite_create(kit_path("state", ".sqlite")).code, 0);
}

static void sqlite_drop(void)
{
}

static cc_err sqlite_open_at(const char *place, struct state_store **ret_store)
{
    (void)place;
    return state_sqlite_open(kit_path("state", ".sqlite"), ret_store);
}

static sqlite3_stmt *prepare(sqlite3 **ret_db, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_open(kit_path("state", ".sqlite"), ret_db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(*ret_db, sql, -1, &statement, NULL), SQLITE_OK);
    return statement;
}

static void run(sqlite3 *db, sqlite3_stmt *statement)
{
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    assert_true(sqlite3_changes(db) > 0);
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void bind_bytes(sqlite3_stmt *statement, int at, const void *bytes, size_t len)
{
    assert_int_equal(sqlite3_bind_blob(statement, at, len ? bytes : "", (int)len, SQLITE_STATIC),
                     SQLITE_OK);
}

static void sqlite_put_record(const struct state_record *record)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *put = prepare(&db, "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?)");
    (void)sqlite3_bind_text(put, 1, record->kind, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(put, 2, record->name, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(put, 3, (sqlite3_int64)record->version);
    (void)sqlite3_bind_int64(put, 4, (sqlite3_int64)record->generation);
    bind_bytes(put, 5, record->bytes, record->len);
    run(db, put);
}

static void sqlite_delete_record(const char *kind, const char *name)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *gone = prepare(&db, "DELETE FROM records WHERE kind = ? AND name = ?");
    (void)sqlite3_bind_text(gone, 1, kind, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(gone, 2, name, -1, SQLITE_STATIC);
    run(db, gone);
}

static void sqlite_put_head(uint64_t generation, struct span bytes, struct span signature)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *put = prepare(&db, "INSERT OR REPLACE INTO head VALUES (1, ?, ?, ?)");
    (void)sqlite3_bind_int64(put, 1, (sqlite3_int64)generation);
    bind_bytes(put, 2, bytes.data, bytes.len);
    bind_bytes(put, 3, signature.data, signature.len);
    run(db, put);
}

static void sqlite_delete_head(void)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *gone = prepare(&db, "DELETE FROM head");
    run(db, gone);
}

/* --- PostgreSQL --------------------------------------------------------------------------------------------------------- */

static char postgres_url[512];

static void postgres_make(void)
{
    postgres_server_schema(postgres_url, sizeof postgres_url);
    assert_int_equal(state_postgres_migrate(postgres_url, NULL).code, 0);
}

static void postgres_drop(void)
{
    postgres_server_drop(postgres_url);
}

static cc_err postgres_open_at(const char *place, struct state_store **ret_store)
{
    return state_postgres_open(postgres_url, kit_path(place, ".state"), ret_store);
}

static void query(const char *sql, int n, const char *const *values, const int *lens)
{
    static const int binary[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    PGconn *conn = postgres_server_connect(postgres_url);
    PGresult *result = PQexecParams(conn, sql, n, NULL, values, lens, lens ? binary : NULL, 0);
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        fail_msg("%s", PQerrorMessage(conn));
    assert_string_not_equal(PQcmdTuples(result), "0");
    PQclear(result);
    PQfinish(conn);
}

static void postgres_put_record(const struct state_record *record)
{
    char sql[512];
    const char *const values[] = {record->kind, record->name,
                                  record->bytes ? (const char *)record->bytes : ""};
    const int lens[] = {(int)strlen(record->kind), (int)strlen(record->name), (int)record->len};
    (void)snprintf(
        sql, sizeof sql,
        "INSERT INTO containment_state_records VALUES ($1::text, $2::text, %llu, %llu, $3::bytea)"
        " ON CONFLICT (kind, name) DO UPDATE SET version = EXCLUDED.version,"
        " generation = EXCLUDED.generation, bytes = EXCLUDED.bytes",
        (unsigned long long)record->version, (unsigned long long)record->generation);
    query(sql, 3, values, lens);
}

static void postgres_delete_record(const char *kind, const char *name)
{
    const char *const values[] = {kind, name};
    query("DELETE FROM containment_state_records WHERE kind = $1 AND name = $2", 2, values, NULL);
}

static void postgres_put_head(uint64_t generation, struct span bytes, struct span signature)
{
    char sql[512];
    const char *const values[] = {(const char *)bytes.data, (const char *)signature.data};
    const int lens[] = {(int)bytes.len, (int)signature.len};
    (void)snprintf(sql, sizeof sql,
                   "INSERT INTO containment_state_head VALUES (1, %llu, $1::bytea, $2::bytea)"
                   " ON CONFLICT (id) DO UPDATE SET generation = EXCLUDED.generation,"
                   " bytes = EXCLUDED.bytes, signature = EXCLUDED.signature",
                   (unsigned long long)generation);
    query(sql, 2, values, lens);
}

static void postgres_delete_head(void)
{
    query("DELETE FROM containment_state_head", 0, NULL, NULL);
}

/* --- DynamoDB ----------------------------------------------------------------------------------------------------------- */

static char table[64];

static void dynamodb_make(void)
{
    dynamodb_table_name(table, sizeof table);
    assert_int_equal(state_dynamodb_make(dynamodb_table_session(), table).code, 0);
}

static void dynamodb_drop(void)
{
}

static cc_err dynamodb_open_at(const char *place, struct state_store **ret_store)
{
    return state_dynamodb_open(dynamodb_table_session(), table, kit_path(place, ".state"),
                               ret_store);
}

static void append_base64(struct buf *out, struct span bytes)
{
    assert_int_equal(base64_append(out, bytes.data, bytes.len).code, 0);
    assert_int_equal(buf_append(out, "", 1).code, 0);
}

static void dynamodb_put_record(const struct state_record *record)
{
    CC_CLEANUP(buf_release) struct buf bytes = buf_init(1 << 20);
    append_base64(&bytes, span_of(record->bytes, record->len));
    dynamodb_table_call(
        "PutItem",
        "{\"TableName\":\"%s\",\"Item\":{\"pk\":{\"S\":\"state\"},\"sk\":{\"S\":\"record/%s/%s\"},"
        "\"version\":{\"N\":\"%llu\"},\"generation\":{\"N\":\"%llu\"},\"bytes\":{\"B\":\"%s\"}}}",
        table, record->kind, record->name, (unsigned long long)record->version,
        (unsigned long long)record->generation, (const char *)bytes.data);
}

static void dynamodb_delete_record(const char *kind, const char *name)
{
    dynamodb_table_call(
        "DeleteItem",
        "{\"TableName\":\"%s\",\"Key\":{\"pk\":{\"S\":\"state\"},\"sk\":{\"S\":\"record/%s/%s\"}},"
        "\"ConditionExpression\":\"attribute_exists(pk)\"}",
        table, kind, name);
}

static void dynamodb_put_head(uint64_t generation, struct span bytes, struct span signature)
{
    CC_CLEANUP(buf_release) struct buf head = buf_init(1 << 20);
    CC_CLEANUP(buf_release) struct buf by = buf_init(1 << 20);
    append_base64(&head, bytes);
    append_base64(&by, signature);
    dynamodb_table_call(
        "PutItem",
        "{\"TableName\":\"%s\",\"Item\":{\"pk\":{\"S\":\"state\"},\"sk\":{\"S\":\"head\"},"
        "\"generation\":{\"N\":\"%llu\"},\"bytes\":{\"B\":\"%s\"},\"signature\":{\"B\":\"%s\"}}}",
        table, (unsigned long long)generation, (const char *)head.data, (const char *)by.data);
}

static void dynamodb_delete_head(void)
{
    dynamodb_table_call(
        "DeleteItem",
        "{\"TableName\":\"%s\",\"Key\":{\"pk\":{\"S\":\"state\"},\"sk\":{\"S\":\"head\"}}}", table);
}

const struct kit_backend state_backends[] = {
    {"sqlite", false, sqlite_make, sqlite_drop, sqlite_open_at, sqlite_put_record,
     sqlite_delete_record, sqlite_put_head, sqlite_delete_head},
    {"postgres", true, postgres_make, postgres_drop, postgres_open_at, postgres_put_record,
     postgres_delete_record, postgres_put_head, postgres_delete_head},
    {"dynamodb", true, dynamodb_make, dynamodb_drop, dynamodb_open_at, dynamodb_put_record,
     dynamodb_delete_record, dynamodb_put_head, dynamodb_delete_head},
};
const size_t state_backend_count = ARRAY_LEN(state_backends);

const struct kit_backend *state_backend_find(const char *name)
{
    size_t i = 0;
    while (strcmp(state_backends[i].name, name) != 0)
        assert_true(++i < state_backend_count);
    return &state_backends[i];
}

/* --- of any backend ------------------------------------------------------------------------------------------------------ */

int kit_new(void **state)
{
    (void)state;
    (void)snprintf(kit_directory, sizeof kit_directory, "/tmp/cc-test-state-XXXXXX");
    assert_non_null(mkdtemp(kit_directory));
    memset(kit_seed, 0, sizeof kit_seed);
    kit_seed[0] = 7;
    memset(kit_pin.chamber_id, 0x5c, sizeof kit_pin.chamber_id);
    ed25519_public(kit_seed, kit_pin.identity_public);
    kit_signings = 0;
    kit->make();
    return 0;
}

static int remove_entry(const char *name, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(name);
}

int kit_end(void **state)
{
    (void)state;
    kit->drop();
    return nftw(kit_directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static cc_err keep_or_close(cc_err err, struct state_store *store, struct state_store **ret_store)
{
    if (err.code)
        state_store_close(store);
    else
        *ret_store = store;
    return err;
}

cc_err kit_open(const char *place, struct state_store **ret_store, struct state_fault *ret_fault)
{
    struct state_store *store = NULL;
    *ret_fault = (struct state_fault){0};
    CC_TRY(kit->open(place, &store));
    return keep_or_close(state_open(store, &kit_pin, kit_path(place, ".seen"), ret_fault), store,
                         ret_store);
}

cc_err kit_open_new(const char *place, struct state_store **ret_store)
{
    struct state_store *store = NULL;
    CC_TRY(kit->open(place, &store));
    return keep_or_close(state_open_new(store, &kit_pin, kit_path(place, ".seen")), store,
                         ret_store);
}

cc_err kit_put(struct state_store *store,
               const char *kind,
               const char *name,
               uint64_t expected_version,
               const char *text)
{
    const struct state_change change = {
        .kind = kind, .name = name, .expected_version = expected_version, .bytes = span_str(text)};
    return state_commit(store, &change, 1, &kit_signer);
}

void kit_save(struct state_image *ret_image)
{
    struct state_store *store = NULL;
    *ret_image = (struct state_image){0};
    assert_int_equal(kit->open("saver", &store).code, 0);
    assert_int_equal(store->ops->load(store, ret_image).code, 0);
    state_store_close(store);
}

void kit_restore(const struct state_image *image)
{
    struct state_image now;
    kit_save(&now);
    for (size_t i = 0; i < now.count; i++)
        kit->delete_record(now.records[i].kind, now.records[i].name);
    state_image_release(&now);
    for (size_t i = 0; i < image->count; i++)
        kit->put_record(&image->records[i]);
    kit->put_head(image->generation, buf_span(&image->head),
                  span_of(image->signature, sizeof image->signature));
}
