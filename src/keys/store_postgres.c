/* A key store in a PostgreSQL database, which replicas share. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

#include "crypto/random.h"
#include "keys/store.h"
#include "sql/postgres_link.h"
#include "sql/postgres_make.h"

enum {
    PAGE = 4096, /* rows of one PAGE */
    NUMBERS_MAX = KEY_STORE_CHANGE_MAX * 24,
    BYTES_MAX = KEY_STORE_CHANGE_MAX * (SEALED_KEY_SIZE + 8) + 64
};

enum key_query {
#define Q(name, sql) KEYS_##name,
#include "keys/postgres_statement.def"
#undef Q
    KEYS_QUERY_END
};

static const struct postgres_query queries[] = {
#define Q(name, sql) {#name, sql},
#include "keys/postgres_statement.def"
#undef Q
};
_Static_assert(ARRAY_LEN(queries) == KEYS_QUERY_END, "one table");

static const struct postgres_schema schema = {
    .queries = queries, .count = ARRAY_LEN(queries), .missing = ERROR_TAMPERED};

struct postgres_keys {
    struct key_store base;
    uint8_t chamber[KEY_STORE_CHAMBER_SIZE];
    struct postgres_link link;
};

static const struct key_store_ops postgres_ops;

static struct postgres_keys *of(struct key_store *store)
{
    cc_assert(store->ops == &postgres_ops);
    return (struct postgres_keys *)store;
}

/* --- reading --------------------------------------------------------------------------------------------------------- */

static cc_err read_head(struct postgres_keys *s, const PGresult *rows)
{
    uint8_t chamber[KEY_STORE_CHAMBER_SIZE];
    s->base.has_id = PQntuples(rows) == 1;
    s->base.mark = 0;
    if (!s->base.has_id)
        return CC_OK;
    CC_TRY(postgres_column_hex(rows, 0, 0, s->base.id, sizeof s->base.id));
    CC_TRY(postgres_column_hex(rows, 0, 1, chamber, sizeof chamber));
    CC_TRY(postgres_column_u64(rows, 0, 2, &s->base.mark));
    return span_equal(span_of(chamber, sizeof chamber), span_of(s->chamber, sizeof chamber))
               ? CC_OK
               : CC_FAIL(IDENTITY, "the key store is another chamber's");
}

static cc_err odd(void)
{
    return CC_FAIL(TAMPERED, "a row of the key store");
}

static cc_err read_row(const PGresult *rows, int n, struct sealed_row *ret_row)
{
    uint64_t status = 0;
    uint64_t generation = 0;
    *ret_row = (struct sealed_row){0};
    CC_TRY(postgres_column_hex(rows, n, 0, ret_row->pubkey.bytes, sizeof ret_row->pubkey.bytes));
    CC_TRY(postgres_column_u64(rows, n, 1, &status));
    CC_TRY(postgres_column_u64(rows, n, 2, &ret_row->version));
    CC_TRY(postgres_column_u64(rows, n, 3, &generation));
    if (status < ROW_ACTIVE || status > ROW_DELETED || ret_row->version < 1 ||
        ret_row->version > INT64_MAX || generation < 1 || generation > UINT32_MAX)
        return odd();
    ret_row->status = (uint32_t)status;
    ret_row->generation = (uint32_t)generation;
    if (status == ROW_DELETED)
        return PQgetisnull(rows, n, 4) ? CC_OK : odd();
    return postgres_column_hex(rows, n, 4, ret_row->sealed, sizeof ret_row->sealed);
}

struct walk {
    key_store_visit_fn *visit;
    void *context;
    struct eth_pubkey last;
    size_t count;
};

/* An index that was tampered with may give rows twice, or in another order. */
static cc_err take_page(const PGresult *rows, struct walk *walk)
{
    struct sealed_row row;
    for (int i = 0; i < PQntuples(rows); i++) {
        CC_TRY(read_row(rows, i, &row));
        if (walk->count && key_store_order(&walk->last, &row.pubkey) >= 0)
            return CC_FAIL(TAMPERED, "order of the key store");
        if (++walk->count > KEY_STORE_ROWS_MAX)
            return CC_FAIL(LIMIT, "more rows than a key store may have");
        walk->last = row.pubkey;
        CC_TRY(walk->visit(walk->context, &row));
    }
    return CC_OK;
}

static cc_err fetch_page(struct postgres_keys *s, const struct walk *walk, PGresult **ret_rows)
{
    struct postgres_params params = {0};
    postgres_put_bytes(&params, walk->last.bytes, walk->count ? sizeof walk->last.bytes : 0);
    postgres_db_patience(&s->link.db, POSTGRES_LINK_MS);
    CC_TRY(postgres_db_send(&s->link.db, KEYS_PAGE, &params));
    CC_TRY(postgres_db_sync(&s->link.db));
    CC_TRY(postgres_db_take(&s->link.db, ret_rows));
    return postgres_db_synced(&s->link.db);
}

/* All pages and the mark are of one snapshot. */
static cc_err scan(struct postgres_keys *s, struct walk *walk)
{
    CC_CLEANUP(postgres_clearp) PGresult *head = NULL;
    CC_TRY(postgres_link_ready(&s->link));
    CC_TRY(postgres_db_send(&s->link.db, KEYS_BEGIN_READ, NULL));
    CC_TRY(postgres_db_send(&s->link.db, KEYS_HEAD, NULL));
    CC_TRY(postgres_db_sync(&s->link.db));
    CC_TRY(postgres_db_pass(&s->link.db));
    CC_TRY(postgres_db_take(&s->link.db, &head));
    CC_TRY(postgres_db_synced(&s->link.db));
    CC_TRY(read_head(s, head));
    for (int read = PAGE; read == PAGE;) {
        CC_CLEANUP(postgres_clearp) PGresult *rows = NULL;
        CC_TRY(fetch_page(s, walk, &rows));
        CC_TRY(take_page(rows, walk));
        read = PQntuples(rows);
    }
    CC_CLEANUP(postgres_clearp) PGresult *end = NULL;
    return postgres_link_fetch(&s->link, KEYS_COMMIT, &end);
}

static cc_err postgres_scan(struct key_store *store, key_store_visit_fn *visit, void *context)
{
    struct postgres_keys *s = of(store);
    struct walk walk = {.visit = visit, .context = context};
    return postgres_link_done(&s->link, scan(s, &walk));
}

/* --- writing ---------------------------------------------------------------------------------------------------------- */

/* One change: the texts and arrays that its parameters point to. */
struct change {
    struct buf pubkeys, expected, statuses, versions, generations, sealed;
    struct postgres_params params;
};

static void change_release(struct change *c)
{
    struct buf *const all[] = {&c->pubkeys,  &c->expected,    &c->statuses,
                               &c->versions, &c->generations, &c->sealed};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        buf_release(all[i]);
}

static cc_err add(struct change *c, const struct key_change *change)
{
    const struct sealed_row *next = &change->next;
    const bool live = next->status != ROW_DELETED;
    CC_TRY(postgres_bytes_add(&c->pubkeys, next->pubkey.bytes, sizeof next->pubkey.bytes));
    CC_TRY(postgres_numbers_add(&c->expected, change->expected));
    CC_TRY(postgres_numbers_add(&c->statuses, next->status));
    CC_TRY(postgres_numbers_add(&c->versions, next->version));
    CC_TRY(postgres_numbers_add(&c->generations, next->generation));
    return postgres_bytes_add(&c->sealed, live ? next->sealed : NULL, sizeof next->sealed);
}

static cc_err fill(struct change *c, const struct key_change *changes, size_t n)
{
    CC_TRY(postgres_bytes_begin(&c->pubkeys));
    CC_TRY(postgres_bytes_begin(&c->sealed));
    for (size_t i = 0; i < n; i++)
        CC_TRY(add(c, &changes[i]));
    CC_TRY(postgres_bytes_put(&c->pubkeys, &c->params));
    CC_TRY(postgres_numbers_put(&c->expected, &c->params));
    CC_TRY(postgres_numbers_put(&c->statuses, &c->params));
    CC_TRY(postgres_numbers_put(&c->versions, &c->params));
    CC_TRY(postgres_numbers_put(&c->generations, &c->params));
    return postgres_bytes_put(&c->sealed, &c->params);
}

/* The transaction's first half: the mark moves, or another has moved it. */
static cc_err move_mark(struct postgres_keys *s)
{
    CC_CLEANUP(postgres_clearp) PGresult *moved = NULL;
    struct postgres_params params = {0};
    char mark[24];
    (void)snprintf(mark, sizeof mark, "%llu", (unsigned long long)s->base.mark);
    postgres_put_bytes(&params, s->base.id, sizeof s->base.id);
    postgres_put_text(&params, mark);
    CC_TRY(postgres_db_send(&s->link.db, KEYS_BEGIN, NULL));
    CC_TRY(postgres_db_send(&s->link.db, KEYS_MARK, &params));
    CC_TRY(postgres_db_sync(&s->link.db));
    CC_TRY(postgres_db_pass(&s->link.db));
    CC_TRY(postgres_db_take(&s->link.db, &moved));
    CC_TRY(postgres_db_synced(&s->link.db));
    return PQntuples(moved) == 1 ? CC_OK : CC_FAIL(CONFLICT, "the key store has changed meanwhile");
}

static cc_err change_rows(struct postgres_keys *s, const struct change *c, size_t n)
{
    CC_CLEANUP(postgres_clearp) PGresult *result = NULL;
    uint64_t written = 0;
    CC_TRY(postgres_db_send(&s->link.db, KEYS_CHANGE, &c->params));
    CC_TRY(postgres_db_sync(&s->link.db));
    CC_TRY(postgres_db_take(&s->link.db, &result));
    CC_TRY(postgres_db_synced(&s->link.db));
    CC_TRY(postgres_column_u64(result, 0, 0, &written));
    return written == n ? CC_OK : CC_FAIL(CONFLICT, "a key's row has another version");
}

static cc_err write_all(struct postgres_keys *s, const struct change *c, size_t n)
{
    CC_TRY(postgres_link_ready(&s->link));
    s->link.db.warned = false;
    CC_TRY(move_mark(s));
    if (n)
        CC_TRY(change_rows(s, c, n));
    CC_TRY(postgres_link_commit(&s->link, KEYS_COMMIT));
    s->base.mark++;
    return CC_OK;
}

static cc_err postgres_write(struct key_store *store, const struct key_change *changes, size_t n)
{
    struct postgres_keys *s = of(store);
    CC_CLEANUP(change_release)
    struct change c = {.pubkeys = buf_init(BYTES_MAX),
                       .expected = buf_init(NUMBERS_MAX),
                       .statuses = buf_init(NUMBERS_MAX),
                       .versions = buf_init(NUMBERS_MAX),
                       .generations = buf_init(NUMBERS_MAX),
                       .sealed = buf_init(BYTES_MAX)};
    if (!store->has_id)
        return CC_FAIL(CONFLICT, "the key store is not begun");
    CC_TRY(fill(&c, changes, n));
    return postgres_link_done(&s->link, write_all(s, &c, n));
}

static cc_err postgres_fence(struct key_store *store)
{
    struct postgres_keys *s = of(store);
    return store->has_id ? postgres_link_done(&s->link, write_all(s, NULL, 0))
                         : CC_FAIL(CONFLICT, "the key store is not begun");
}

static cc_err reach(struct postgres_keys *s)
{
    CC_CLEANUP(postgres_clearp) PGresult *head = NULL;
    CC_TRY(postgres_link_ready(&s->link));
    return postgres_link_fetch(&s->link, KEYS_HEAD, &head);
}

/* A connection that died unseen is made again, once. */
static cc_err postgres_reach(struct key_store *store)
{
    struct postgres_keys *s = of(store);
    const bool was_open = postgres_db_is_open(&s->link.db);
    cc_err err = postgres_link_done(&s->link, reach(s));
    return was_open && error_is(err, ERROR_STORE) ? postgres_link_done(&s->link, reach(s)) : err;
}

static cc_err begin(struct postgres_keys *s)
{
    CC_CLEANUP(postgres_clearp) PGresult *head = NULL;
    struct postgres_params params = {0};
    uint8_t id[KEY_STORE_ID_SIZE];
    CC_TRY(random_bytes(id, sizeof id));
    postgres_put_bytes(&params, id, sizeof id);
    postgres_put_bytes(&params, s->chamber, sizeof s->chamber);
    CC_TRY(postgres_link_ready(&s->link));
    s->link.db.warned = false;
    CC_TRY(postgres_db_send(&s->link.db, KEYS_BEGIN, NULL));
    CC_TRY(postgres_db_send(&s->link.db, KEYS_MAKE_HEAD, &params));
    CC_TRY(postgres_db_sync(&s->link.db));
    CC_TRY(postgres_db_pass(&s->link.db));
    CC_TRY(postgres_db_pass(&s->link.db));
    CC_TRY(postgres_db_synced(&s->link.db));
    CC_TRY(postgres_link_commit(&s->link, KEYS_COMMIT));
    CC_TRY(postgres_link_fetch(&s->link, KEYS_HEAD, &head));
    CC_TRY(read_head(s, head));
    return s->base.has_id ? CC_OK : CC_FAIL(TAMPERED, "a key store with rows and without its id");
}

static cc_err postgres_begin(struct key_store *store)
{
    struct postgres_keys *s = of(store);
    return store->has_id ? CC_OK : postgres_link_done(&s->link, begin(s));
}

/* --- opening ---------------------------------------------------------------------------------------------------------- */

static void postgres_close(struct key_store *store)
{
    struct postgres_keys *s = of(store);
    postgres_link_release(&s->link);
    cc_free(s);
}

static const struct key_store_ops postgres_ops = {
    .name = "postgres",
    .shared = true,
    .scan = postgres_scan,
    .write = postgres_write,
    .begin = postgres_begin,
    .fence = postgres_fence,
    .reach = postgres_reach,
    .close = postgres_close,
};

CC_ERR key_store_postgres_open(const char *url,
                               const uint8_t chamber[static KEY_STORE_CHAMBER_SIZE],
                               struct key_store **ret_store)
{
    struct postgres_keys *s = cc_alloc(sizeof *s);
    if (!s)
        return CC_FAIL(NO_MEMORY, NULL);
    s->base.ops = &postgres_ops;
    memcpy(s->chamber, chamber, sizeof s->chamber);
    cc_err err = postgres_link_init(&s->link, &schema, KEYS_SERVER, url);
    if (err.code)
        postgres_close(&s->base);
    else
        *ret_store = &s->base;
    return err;
}

/* --- making ------------------------------------------------------------------------------------------------------------- */

static const struct postgres_table tables[] = {
    {"containment_key_store",
     "CREATE TABLE containment_key_store (id integer PRIMARY KEY CHECK (id = 1),"
     " store_id bytea NOT NULL CHECK (octet_length(store_id) = 16),"
     " chamber_id bytea NOT NULL CHECK (octet_length(chamber_id) = 32), mark bigint NOT NULL CHECK (mark > 0))"},
    {"containment_keys",
     "CREATE TABLE containment_keys (pubkey bytea PRIMARY KEY CHECK (octet_length(pubkey) = 48),"
     " status integer NOT NULL CHECK (status IN (1, 2, 3)), version bigint NOT NULL CHECK (version > 0),"
     " generation bigint NOT NULL CHECK (generation > 0), sealed bytea CHECK (octet_length(sealed) = 60),"
     " CHECK ((sealed IS NULL) = (status = 3)))"},
};

/* No right to delete: a deleted key is a row too. */
static const struct postgres_making making = {
    .tables = tables,
    .count = ARRAY_LEN(tables),
    .grant = "GRANT SELECT, INSERT, UPDATE ON containment_key_store, containment_keys TO %1$I;"
             " GRANT USAGE ON SCHEMA %2$I TO %1$I",
};

CC_ERR key_store_postgres_migrate(const char *url, const char *grant_to)
{
    return postgres_make_at(url, &schema, &making, grant_to);
}
