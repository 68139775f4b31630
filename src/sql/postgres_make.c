#include "sql/postgres_make.h"

enum {
    HOST_PATIENCE_MS = 1000,
    PATIENCE_MS = 20000
};

/* One maker of tables at a time; the number is ours alone. */
static const char alone[] = "SELECT pg_advisory_xact_lock(4850214471)";

CC_ERR
postgres_has_table(struct postgres_db *db, const struct postgres_table *table, bool *ret_is_there)
{
    const char *const params[] = {table->name, NULL};
    char found[8];
    CC_TRY(postgres_db_ask(db, "SELECT to_regclass($1::text) IS NOT NULL", params, found,
                           sizeof found));
    *ret_is_there = found[0] == 't';
    return CC_OK;
}

CC_ERR postgres_make_begin(struct postgres_db *db, const struct postgres_making *making)
{
    CC_TRY(postgres_db_script(db, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"));
    CC_TRY(postgres_db_script(db, alone));
    for (size_t i = 0; i < making->count; i++) {
        bool is_there = false;
        CC_TRY(postgres_has_table(db, &making->tables[i], &is_there));
        if (!is_there)
            CC_TRY(postgres_db_script(db, making->tables[i].sql));
    }
    return making->check ? making->check(db) : CC_OK;
}

CC_ERR postgres_make_commit(struct postgres_db *db)
{
    db->warned = false;
    CC_TRY(postgres_db_script(db, "COMMIT"));
    return db->warned ? CC_FAIL(STORE, "the database committed with a warning: look, and repeat")
                      : CC_OK;
}

/* The name goes in as an identifier that the server itself has quoted. */
static cc_err grant(struct postgres_db *db, const char *text, const char *role)
{
    const char *const params[] = {text, role, NULL};
    char sql[2048];
    CC_TRY(postgres_db_ask(db, "SELECT format($1::text, $2::text, current_schema())", params, sql,
                           sizeof sql));
    return postgres_db_script(db, sql);
}

CC_ERR
postgres_make(struct postgres_db *db, const struct postgres_making *making, const char *grant_to)
{
    CC_TRY(postgres_make_begin(db, making));
    if (grant_to)
        CC_TRY(grant(db, making->grant, grant_to));
    return postgres_make_commit(db);
}

CC_ERR postgres_make_at(const char *url,
                        const struct postgres_schema *schema,
                        const struct postgres_making *making,
                        const char *grant_to)
{
    struct postgres_db db = {.schema = schema};
    cc_err err = postgres_db_connect(&db, url, HOST_PATIENCE_MS);
    postgres_db_patience(&db, PATIENCE_MS);
    if (!err.code)
        err = postgres_make(&db, making, grant_to);
    postgres_db_close(&db);
    return err;
}
