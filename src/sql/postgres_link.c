#include "sql/postgres_link.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

CC_ERR postgres_link_init(struct postgres_link *link,
                          const struct postgres_schema *schema,
                          unsigned server_query,
                          const char *url)
{
    *link = (struct postgres_link){.db = {.schema = schema}, .server_query = server_query};
    link->url = cc_strdup(url);
    return link->url ? CC_OK : CC_FAIL(NO_MEMORY, NULL);
}

void postgres_link_release(struct postgres_link *link)
{
    postgres_db_close(&link->db);
    if (link->url)
        explicit_bzero(link->url, strlen(link->url));
    cc_free(link->url);
    link->url = NULL;
}

CC_ERR postgres_link_fetch(struct postgres_link *link, unsigned which, PGresult **ret_rows)
{
    CC_TRY(postgres_db_send(&link->db, which, NULL));
    CC_TRY(postgres_db_sync(&link->db));
    CC_TRY(postgres_db_take(&link->db, ret_rows));
    return postgres_db_synced(&link->db);
}

static cc_err dial(struct postgres_link *link)
{
    CC_CLEANUP(postgres_clearp) PGresult *server = NULL;
    CC_TRY(postgres_db_connect(&link->db, link->url, POSTGRES_LINK_HOST_MS));
    postgres_db_patience(&link->db, POSTGRES_LINK_MS);
    CC_TRY(postgres_db_prepare(&link->db));
    CC_TRY(postgres_link_fetch(link, link->server_query, &server));
    if (PQntuples(server) != 1)
        return CC_FAIL(STORE, "the database does not say what it is");
    int n = snprintf(link->server, sizeof link->server, "%s", PQgetvalue(server, 0, 0));
    if (n < 0 || n >= POSTGRES_FIT_MAX)
        return CC_FAIL(LIMIT, "synchronous_standby_names is too long");
    const char *fault = postgres_fit_fault(PQgetvalue(server, 0, 1));
    return fault ? error_make(ERROR_STORE, fault, __FILE__, __LINE__) : CC_OK;
}

CC_ERR postgres_link_ready(struct postgres_link *link)
{
    if (!postgres_db_is_open(&link->db)) {
        postgres_db_close(&link->db);
        CC_TRY(dial(link));
    }
    postgres_db_patience(&link->db, POSTGRES_LINK_MS);
    return CC_OK;
}

CC_ERR postgres_link_commit(struct postgres_link *link, unsigned commit)
{
    CC_CLEANUP(postgres_clearp) PGresult *server = NULL;
    CC_CLEANUP(postgres_clearp) PGresult *end = NULL;
    CC_TRY(postgres_db_send(&link->db, link->server_query, NULL));
    CC_TRY(postgres_db_send(&link->db, commit, NULL));
    CC_TRY(postgres_db_sync(&link->db));
    CC_TRY(postgres_db_take(&link->db, &server));
    CC_TRY(postgres_db_take(&link->db, &end));
    CC_TRY(postgres_db_synced(&link->db));
    if (PQntuples(server) != 1 || strcmp(PQgetvalue(server, 0, 0), link->server) != 0)
        return CC_FAIL(STORE, "the database changed under us: its timeline or durability");
    if (strcmp(PQcmdStatus(end), "COMMIT") != 0)
        return CC_FAIL(STORE, "the database rolled back");
    if (link->db.warned)
        return CC_FAIL(STORE, "the database committed with a warning: not known to be durable");
    return CC_OK;
}

cc_err postgres_link_done(struct postgres_link *link, cc_err err)
{
    if (error_is(err, ERROR_STORE))
        postgres_db_close(&link->db);
    else if (err.code)
        postgres_db_recover(&link->db);
    return err;
}
