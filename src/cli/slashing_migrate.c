#include "cli/slashing_migrate.h"

#include <stdio.h>

#include "app/supervisor.h"
#include "cli/json_object.h"
#include "cli/slashing_report.h"
#include "keys/store.h"
#include "slash/postgres.h"
#include "sql/postgres_url.h"
#include "state/postgres.h"

typedef cc_err migrate_fn(const char *url, const char *grant_to);

static int print_migrated(struct json_object *object, const char *grant_to)
{
    json_object_close(object, ']');
    json_object_text(object, "grant_to", grant_to);
    return json_object_print(object, "slashing", EXIT_CODE_DONE);
}

int slashing_migrate(const struct config *config,
                     const char *history,
                     const char *grant_to,
                     bool json)
{
    const struct {
        const char *name;
        const char *called;
        const char *url; /* NULL: none of PostgreSQL */
        migrate_fn *migrate;
    } stores[] = {
        {"history", history,
         config->anti_slashing.backend == HISTORY_POSTGRES ? config->anti_slashing.url : NULL,
         slash_postgres_migrate},
        {"state", "the state store's tables",
         config->signer_state.backend == STATE_POSTGRES ? config->signer_state.url : NULL,
         state_postgres_migrate},
        {"keys", "the key store's tables",
         config->key_sources.postgres.url[0] ? config->key_sources.postgres.url : NULL,
         key_store_postgres_migrate},
    };
    CC_CLEANUP(json_object_release) struct json_object object = json_object_begin();
    unsigned count = 0;
    json_object_open(&object, "migrated", '[');
    for (size_t i = 0; i < ARRAY_LEN(stores); i++) {
        if (!stores[i].url)
            continue;
        cc_err err = postgres_url_check(stores[i].url);
        if (!err.code)
            err = stores[i].migrate(stores[i].url, grant_to);
        if (err.code)
            return slashing_say_error(stores[i].called, err);
        json_object_text(&object, NULL, stores[i].name);
        count++;
    }
    if (count == 0) {
        (void)fprintf(
            stderr,
            "containment-chamber slashing: only a database is migrated, and this "
            "configuration names none: `containment-chamber init -c FILE` makes stores in files\n");
        return EXIT_CODE_REFUSED;
    }
    if (json)
        return print_migrated(&object, grant_to);
    (void)printf("the tables are there%s%s\n", grant_to ? ", for the role " : "",
                 grant_to ? grant_to : "");
    return EXIT_CODE_DONE;
}
