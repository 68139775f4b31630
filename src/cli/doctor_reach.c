#include <stdio.h>
#include <unistd.h>

#include "base/endpoint.h"
#include "base/io.h"

#include "app/listeners.h"
#include "aws/client.h"
#include "aws/dynamodb_table.h"
#include "cli/doctor.h"
#include "config/databases.h"
#include "sql/postgres_db.h"
#include "sql/postgres_fit.h"

enum {
    DATABASE_MS = 3000 /* for each host */
};

void doctor_configuration(const struct doctor *doctor, struct doctor_finding *ret_finding)
{
    if (!doctor->config_is_valid)
        doctor_say_bad(ret_finding, "not valid; its faults are on standard error");
    else if (doctor->config_path)
        doctor_say(ret_finding, DOCTOR_OK, "%s is valid", doctor->config_path);
    else
        doctor_say(ret_finding, DOCTOR_OK, "no file is named: the defaults");
}

/* --- ports ----------------------------------------------------------------------------------------------------------- */

/* A signer of this data directory listens on its admin socket. */
static bool signer_runs(const struct config *config)
{
    struct endpoint endpoint = {.kind = ENDPOINT_UNIX};
    struct endpoint_address address;
    char path[LISTENERS_PATH_SIZE];
    CC_CLEANUP(fd_closep) int fd = -1;
    if (listeners_admin_path(config, path).code || !path[0])
        return false;
    (void)snprintf(endpoint.host, sizeof endpoint.host, "%s", path);
    return !endpoint_address(&endpoint, &address).code && !endpoint_connect(&address, &fd).code &&
           !endpoint_connected(fd).code;
}

void doctor_ports(const struct doctor *doctor, struct doctor_finding *ret_finding)
{
    if (signer_runs(doctor->config)) {
        doctor_say(ret_finding, DOCTOR_OK, "a signer runs with this data directory, and has them");
        return;
    }
    cc_err err = listeners_try(doctor->config);
    if (err.code)
        doctor_say_bad(ret_finding, "%s; the log line above names it", error_detail());
    else
        doctor_say(ret_finding, DOCTOR_OK, "free");
}

/* --- databases ------------------------------------------------------------------------------------------------------- */

static const struct postgres_schema no_statements = {.queries = NULL};

static cc_err ask_whether_fit(const char *url, char ret_fault[static POSTGRES_FIT_MAX])
{
    struct postgres_db db = {.schema = &no_statements};
    cc_err err = postgres_db_connect(&db, url, DATABASE_MS);
    if (!err.code) {
        postgres_db_patience(&db, DATABASE_MS);
        err = postgres_db_ask(&db, "SELECT f.fault FROM (" POSTGRES_FIT_SQL ") f(server, fault)",
                              NULL, ret_fault, POSTGRES_FIT_MAX);
    }
    postgres_db_close(&db);
    return err;
}

void doctor_databases(const struct doctor *doctor, struct doctor_finding *ret_finding)
{
    struct config_database databases[CONFIG_DATABASES];
    const size_t n = config_databases(doctor->config, databases);
    char column[POSTGRES_FIT_MAX];
    if (n == 0 || !doctor->connects) {
        doctor_say(ret_finding, DOCTOR_SKIP, n ? "not asked: --connect asks them" : "none is used");
        return;
    }
    for (size_t i = 0; i < n; i++) {
        cc_err err = ask_whether_fit(databases[i].url, column);
        const char *fault = err.code ? error_text(err) : postgres_fit_fault(column);
        if (!fault)
            continue;
        const char *detail = err.code ? error_detail() : "";
        doctor_say_bad(ret_finding, "%s: %s%s%s", databases[i].option, fault, detail[0] ? ": " : "",
                       detail);
        return;
    }
    doctor_say(ret_finding, DOCTOR_OK, "%zu answer, and wait for their disks", n);
}

/* --- tables ---------------------------------------------------------------------------------------------------------- */

struct named_table {
    const char *option;
    const char *name;
    bool used;
};

static cc_err
look_at_table(struct aws_session *session, const char *name, struct dynamodb_table *ret_table)
{
    struct aws_client *client = NULL;
    CC_TRY(aws_client_open(session, &dynamodb_service, NULL, &client));
    cc_err err = dynamodb_table_describe(client, name, ret_table);
    aws_client_close(client);
    return err;
}

static const char *fault_of_table(struct aws_session *session, const char *name)
{
    static struct dynamodb_table table;
    cc_err err = look_at_table(session, name, &table);
    if (err.code)
        return error_detail()[0] ? error_detail() : error_text(err);
    if (!table.exists)
        return "there is no such table";
    return table.ready ? table.unfit : "it is being made, or removed";
}

static void look_at_tables(const struct doctor *doctor,
                           const struct named_table *tables,
                           size_t n,
                           struct doctor_finding *ret_finding)
{
    static struct aws_inputs inputs;
    struct aws_session *session = NULL;
    inputs = aws_inputs_own(&doctor->config->aws);
    cc_err err = aws_session_open(&doctor->config->aws, &inputs, &session);
    if (err.code) {
        doctor_say_error(ret_finding, err);
        return;
    }
    aws_session_pin(session, doctor->config->tee.aws_account);
    doctor_say(ret_finding, DOCTOR_OK, "they can be reached, and are fit");
    for (size_t i = 0; i < n; i++) {
        const char *fault = tables[i].used ? fault_of_table(session, tables[i].name) : NULL;
        if (!fault)
            continue;
        doctor_say_bad(ret_finding, "%s (%s): %s", tables[i].option, tables[i].name, fault);
        break;
    }
    aws_session_close(session);
}

void doctor_tables(const struct doctor *doctor, struct doctor_finding *ret_finding)
{
    const struct config *c = doctor->config;
    const struct named_table tables[] = {
        {"anti_slashing.table", c->anti_slashing.table,
         c->anti_slashing.backend == HISTORY_DYNAMODB},
        {"signer_state.table", c->signer_state.table, c->signer_state.backend == STATE_DYNAMODB},
        {"key_sources.dynamodb.table", c->key_sources.dynamodb.table,
         c->key_sources.dynamodb.table[0] != 0}};
    bool used = false;
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        used = used || tables[i].used;
    if (!used || !doctor->connects)
        doctor_say(ret_finding, DOCTOR_SKIP,
                   used ? "not asked: --connect asks for them" : "none is used");
    else
        look_at_tables(doctor, tables, ARRAY_LEN(tables), ret_finding);
}
