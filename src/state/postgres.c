#include "state/postgres.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"

#include "codec/hex.h"
#include "sql/postgres_link.h"
#include "sql/postgres_make.h"
#include "state/lock.h"

enum {
    NAMES_MAX = STATE_RECORDS_MAX * (STATE_KIND_SIZE + STATE_NAME_SIZE),
    BYTES_MAX = STATE_RECORDS_MAX * (STATE_RECORD_MAX + 4) + 64
};

enum state_query {
#define Q(name, sql) STATE_##name,
#include "state/postgres_statement.def"
#undef Q
    STATE_QUERY_END
};

static const struct postgres_query queries[] = {
#define Q(name, sql) {#name, sql},
#include "state/postgres_statement.def"
#undef Q
};
_Static_assert(ARRAY_LEN(queries) == STATE_QUERY_END, "one table");

static const struct postgres_schema schema = {
    .queries = queries, .count = ARRAY_LEN(queries), .missing = ERROR_TAMPERED};

struct postgres_store {
    struct state_store base;
    struct postgres_link link;
    int lock_fd;
};

static const struct state_store_ops postgres_ops;

static struct postgres_store *of(struct state_store *store)
{
    cc_assert(store->ops == &postgres_ops);
    return (struct postgres_store *)store;
}

/* --- the connection ------------------------------------------------------------------------------------------------ */

/* The database is the state's here: STORE is the history's error. */
static cc_err told(cc_err err)
{
    return error_is(err, ERROR_STORE) ? error_make(ERROR_STATE, error_detail(), __FILE__, __LINE__)
                                      : err;
}

static cc_err done(struct postgres_store *s, cc_err err)
{
    return told(postgres_link_done(&s->link, err));
}

/* --- reading --------------------------------------------------------------------------------------------------------- */

static cc_err column_text(const PGresult *rows, int row, int column, char *ret_text, size_t size)
{
    int len = PQgetlength(rows, row, column);
    if (len <= 0 || (size_t)len >= size)
        return CC_FAIL(TAMPERED, "name of a state record");
    memcpy(ret_text, PQgetvalue(rows, row, column), (size_t)len + 1);
    return CC_OK;
}

static cc_err column_count(const PGresult *rows, int row, int column, uint64_t *ret_value)
{
    CC_TRY(postgres_column_u64(rows, row, column, ret_value));
    return *ret_value ? CC_OK : CC_FAIL(TAMPERED, "version of a state record");
}

/* *ret_len bytes in memory of their own. */
static cc_err column_bytes(
    const PGresult *rows, int row, int column, size_t max, uint8_t **ret_bytes, size_t *ret_len)
{
    size_t len = (size_t)PQgetlength(rows, row, column) / 2;
    if (len > max)
        return CC_FAIL(TAMPERED, "a state record is too large");
    *ret_bytes = cc_alloc(len ? len : 1);
    if (!*ret_bytes)
        return CC_FAIL(NO_MEMORY, NULL);
    *ret_len = len;
    return postgres_column_hex(rows, row, column, *ret_bytes, len);
}

static cc_err read_mark(const PGresult *rows, struct state_mark *ret_mark)
{
    *ret_mark = (struct state_mark){0};
    if (PQntuples(rows) == 0)
        return CC_OK;
    CC_TRY(column_count(rows, 0, 0, &ret_mark->generation));
    return postgres_column_hex(rows, 0, 1, ret_mark->signature, sizeof ret_mark->signature);
}

static cc_err read_head(const PGresult *rows, struct state_image *image)
{
    CC_CLEANUP(cc_freep) uint8_t *bytes = NULL;
    struct state_mark mark;
    size_t len = 0;
    CC_TRY(read_mark(rows, &mark));
    image->head = buf_init(STATE_HEAD_MAX);
    image->generation = mark.generation;
    memcpy(image->signature, mark.signature, sizeof image->signature);
    if (mark.generation == 0)
        return CC_OK;
    CC_TRY(column_bytes(rows, 0, 2, STATE_HEAD_MAX, &bytes, &len));
    return buf_append(&image->head, bytes, len);
}

static cc_err read_record(const PGresult *rows, int row, struct state_record *record)
{
    CC_TRY(column_text(rows, row, 0, record->kind, sizeof record->kind));
    CC_TRY(column_text(rows, row, 1, record->name, sizeof record->name));
    CC_TRY(column_count(rows, row, 2, &record->version));
    CC_TRY(column_count(rows, row, 3, &record->generation));
    return column_bytes(rows, row, 4, STATE_RECORD_MAX, &record->bytes, &record->len);
}

static cc_err read_records(const PGresult *rows, struct state_image *image)
{
    int n = PQntuples(rows);
    if (n > STATE_RECORDS_MAX)
        return CC_FAIL(TAMPERED, "too many state records");
    image->records = cc_alloc_array(STATE_RECORDS_MAX, sizeof *image->records);
    if (!image->records)
        return CC_FAIL(NO_MEMORY, NULL);
    for (int i = 0; i < n; i++) {
        image->count++;
        CC_TRY(read_record(rows, i, &image->records[i]));
    }
    return CC_OK;
}

static cc_err load(struct postgres_store *s, struct state_image *image)
{
    CC_CLEANUP(postgres_clearp) PGresult *head = NULL;
    CC_CLEANUP(postgres_clearp) PGresult *records = NULL;
    static const enum state_query in_order[] = {STATE_BEGIN_READ, STATE_HEAD, STATE_RECORDS,
                                                STATE_COMMIT};
    CC_TRY(postgres_link_ready(&s->link));
    for (size_t i = 0; i < ARRAY_LEN(in_order); i++)
        CC_TRY(postgres_db_send(&s->link.db, in_order[i], NULL));
    CC_TRY(postgres_db_sync(&s->link.db));
    CC_TRY(postgres_db_pass(&s->link.db));
    CC_TRY(postgres_db_take(&s->link.db, &head));
    CC_TRY(postgres_db_take(&s->link.db, &records));
    CC_TRY(postgres_db_pass(&s->link.db));
    CC_TRY(postgres_db_synced(&s->link.db));
    CC_TRY(read_head(head, image));
    return read_records(records, image);
}

static cc_err postgres_load(struct state_store *store, struct state_image *ret_image)
{
    struct postgres_store *s = of(store);
    cc_err err = done(s, load(s, ret_image));
    if (err.code)
        state_image_release(ret_image);
    return err;
}

static cc_err peek(struct postgres_store *s, struct state_mark *ret_mark)
{
    CC_CLEANUP(postgres_clearp) PGresult *rows = NULL;
    CC_TRY(postgres_link_ready(&s->link));
    CC_TRY(postgres_link_fetch(&s->link, STATE_PEEK, &rows));
    return read_mark(rows, ret_mark);
}

static cc_err postgres_peek(struct state_store *store, struct state_mark *ret_mark)
{
    struct postgres_store *s = of(store);
    return done(s, peek(s, ret_mark));
}

/* --- writing ---------------------------------------------------------------------------------------------------------- */

/* One change: the texts and arrays that its parameters point to. */
struct swap {
    char expected[24], generation[24];
    struct buf names, versions, bytes, gone; /* gone: empty when nothing goes */
    struct postgres_params params;
    struct postgres_params removal;
};

static void swap_release(struct swap *swap)
{
    buf_release(&swap->names);
    buf_release(&swap->versions);
    buf_release(&swap->bytes);
    buf_release(&swap->gone);
}

/* Kinds and names are words, so an array of them needs no quotes. */
static cc_err add_name(struct buf *names, const struct state_record *record)
{
    return buf_printf(names, "%c%s/%s", names->len ? ',' : '{', record->kind, record->name);
}

static cc_err end_names(struct buf *names)
{
    return names->len ? buf_append(names, "}", 2) : buf_append(names, "{}", 3); /* with its zero */
}

static cc_err fill_removal(struct swap *swap, const struct state_delta *delta)
{
    for (size_t i = 0; i < delta->removed_count; i++)
        CC_TRY(add_name(&swap->gone, delta->removed[i]));
    if (delta->removed_count == 0)
        return CC_OK;
    CC_TRY(end_names(&swap->gone));
    postgres_put_text(&swap->removal, (const char *)swap->gone.data);
    return CC_OK;
}

static cc_err add_record(struct swap *swap, const struct state_record *record)
{
    CC_TRY(add_name(&swap->names, record));
    CC_TRY(postgres_numbers_add(&swap->versions, record->version));
    return postgres_bytes_add(&swap->bytes, record->bytes, record->len);
}

static cc_err fill(struct swap *swap,
                   const struct state_mark *expected,
                   const struct state_image *next,
                   const struct state_delta *delta)
{
    (void)snprintf(swap->expected, sizeof swap->expected, "%llu",
                   (unsigned long long)expected->generation);
    (void)snprintf(swap->generation, sizeof swap->generation, "%llu",
                   (unsigned long long)next->generation);
    postgres_put_text(&swap->params, swap->expected);
    postgres_put_bytes(&swap->params, expected->signature, sizeof expected->signature);
    postgres_put_text(&swap->params, swap->generation);
    postgres_put_bytes(&swap->params, next->head.data, next->head.len);
    postgres_put_bytes(&swap->params, next->signature, sizeof next->signature);
    postgres_numbers_begin(&swap->versions);
    CC_TRY(postgres_bytes_begin(&swap->bytes));
    for (size_t i = 0; i < delta->written_count; i++)
        CC_TRY(add_record(swap, &next->records[delta->written[i]]));
    CC_TRY(end_names(&swap->names));
    postgres_put_text(&swap->params, (const char *)swap->names.data);
    CC_TRY(postgres_numbers_put(&swap->versions, &swap->params));
    CC_TRY(postgres_bytes_put(&swap->bytes, &swap->params));
    return fill_removal(swap, delta);
}

/* The transaction's first half: *ret_ours is false when the head is another. */
static cc_err write_all(struct postgres_store *s, const struct swap *swap, bool *ret_ours)
{
    CC_CLEANUP(postgres_clearp) PGresult *written = NULL;
    CC_TRY(postgres_db_send(&s->link.db, STATE_BEGIN, NULL));
    CC_TRY(postgres_db_send(&s->link.db, STATE_SWAP, &swap->params));
    CC_TRY(postgres_db_sync(&s->link.db));
    CC_TRY(postgres_db_pass(&s->link.db));
    CC_TRY(postgres_db_take(&s->link.db, &written));
    CC_TRY(postgres_db_synced(&s->link.db));
    *ret_ours = PQntuples(written) == 1;
    return CC_OK;
}

static cc_err remove_records(struct postgres_store *s, const struct swap *swap)
{
    if (!swap->gone.len)
        return CC_OK;
    CC_TRY(postgres_db_send(&s->link.db, STATE_REMOVE, &swap->removal));
    CC_TRY(postgres_db_sync(&s->link.db));
    CC_TRY(postgres_db_pass(&s->link.db));
    return postgres_db_synced(&s->link.db);
}

static cc_err run_swap(struct postgres_store *s, const struct swap *swap)
{
    bool ours = false;
    CC_TRY(postgres_link_ready(&s->link));
    s->link.db.warned = false;
    CC_TRY(write_all(s, swap, &ours));
    if (!ours)
        return CC_FAIL(CONFLICT, "the state store has changed meanwhile");
    CC_TRY(remove_records(s, swap));
    return postgres_link_commit(&s->link, STATE_COMMIT);
}

static cc_err postgres_swap(struct state_store *store,
                            const struct state_mark *expected,
                            const struct state_image *next,
                            const struct state_delta *delta)
{
    struct postgres_store *s = of(store);
    CC_CLEANUP(swap_release)
    struct swap swap = {.names = buf_init(NAMES_MAX),
                        .versions = buf_init(NAMES_MAX),
                        .bytes = buf_init(BYTES_MAX),
                        .gone = buf_init(NAMES_MAX)};
    if (next->generation > INT64_MAX)
        return CC_FAIL(LIMIT, "generation");
    CC_TRY(fill(&swap, expected, next, delta));
    return done(s, run_swap(s, &swap));
}

/* --- opening ---------------------------------------------------------------------------------------------------------- */

static void postgres_close(struct state_store *store)
{
    struct postgres_store *s = of(store);
    postgres_link_release(&s->link);
    fd_closep(&s->lock_fd);
    cc_free(s);
}

static const struct state_store_ops postgres_ops = {
    .name = "postgres",
    .shared = true,
    .load = postgres_load,
    .peek = postgres_peek,
    .swap = postgres_swap,
    .close = postgres_close,
};

static cc_err open_store(struct postgres_store *s, const char *url, const char *lock_path)
{
    CC_TRY(postgres_link_init(&s->link, &schema, STATE_SERVER, url));
    CC_TRY(state_lock(lock_path, &s->lock_fd));
    return done(s, postgres_link_ready(&s->link));
}

CC_ERR
state_postgres_open(const char *url, const char *lock_path, struct state_store **ret_store)
{
    struct postgres_store *s = cc_alloc(sizeof *s);
    if (!s)
        return CC_FAIL(NO_MEMORY, NULL);
    s->base.ops = &postgres_ops;
    s->lock_fd = -1;
    cc_err err = open_store(s, url, lock_path);
    if (err.code)
        postgres_close(&s->base);
    else
        *ret_store = &s->base;
    return err;
}

/* --- making ------------------------------------------------------------------------------------------------------------- */

static const struct postgres_table tables[] = {
    {"containment_state_head",
     "CREATE TABLE containment_state_head (id integer PRIMARY KEY CHECK (id = 1), generation bigint NOT NULL,"
     " bytes bytea NOT NULL, signature bytea NOT NULL CHECK (octet_length(signature) = 64))"},
    {"containment_state_records",
     "CREATE TABLE containment_state_records (kind text COLLATE \"C\" NOT NULL, name text COLLATE \"C\" NOT NULL,"
     " version bigint NOT NULL, generation bigint NOT NULL, bytes bytea NOT NULL, PRIMARY KEY (kind, name))"},
};

/* The right to remove records, not the head. */
static const struct postgres_making making = {
    .tables = tables,
    .count = ARRAY_LEN(tables),
    .grant =
        "GRANT SELECT, INSERT, UPDATE ON containment_state_head, containment_state_records TO %1$I;"
        " GRANT DELETE ON containment_state_records TO %1$I;"
        " GRANT USAGE ON SCHEMA %2$I TO %1$I",
};

CC_ERR state_postgres_migrate(const char *url, const char *grant_to)
{
    return told(postgres_make_at(url, &schema, &making, grant_to));
}
