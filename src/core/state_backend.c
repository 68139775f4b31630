#include "core/state_backend.h"

#include <limits.h>
#include <stdio.h>

#include "base/log.h"

#include "sql/postgres_url.h"
#include "state/dynamodb.h"
#include "state/postgres.h"

static cc_err path_of(const struct config *config, const char *name, char ret_path[static PATH_MAX])
{
    int n = snprintf(ret_path, PATH_MAX, "%s/%s", config->data_dir, name);
    return n > 0 && n < PATH_MAX ? CC_OK : CC_FAIL(LIMIT, "path too long");
}

CC_ERR state_backend_describe(const struct config *config, char *ret_text, size_t room)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(PATH_MAX);
    if (config->signer_state.backend == STATE_POSTGRES)
        CC_TRY(postgres_url_describe(config->signer_state.url, &text));
    else if (config->signer_state.backend == STATE_DYNAMODB)
        CC_TRY(buf_printf(&text, "DynamoDB table %s", config->signer_state.table));
    else
        CC_TRY(buf_printf(&text, "%s/state.sqlite", config->data_dir));
    (void)snprintf(ret_text, room, "%.*s", (int)text.len, (const char *)text.data);
    return CC_OK;
}

bool state_backend_is_shared(const struct config *config)
{
    return config->signer_state.backend != STATE_SQLITE;
}

CC_ERR state_backend_make(const struct config *config, struct aws_session *aws)
{
    char path[PATH_MAX];
    CC_TRY(path_of(config, "state.sqlite", path));
    switch (config->signer_state.backend) {
    case STATE_SQLITE:
        return state_sqlite_create(path);
    case STATE_POSTGRES:
        return config->anti_slashing.auto_migrate
                   ? state_postgres_migrate(config->signer_state.url, NULL)
                   : CC_OK;
    case STATE_DYNAMODB:
        return state_dynamodb_make(aws, config->signer_state.table);
    }
    return CC_FAIL(CONFIG, "signer_state.backend");
}

CC_ERR state_backend_open(const struct config *config,
                          struct aws_session *aws,
                          struct state_store **ret_store)
{
    char path[PATH_MAX];
    switch (config->signer_state.backend) {
    case STATE_SQLITE:
        CC_TRY(path_of(config, "state.sqlite", path));
        return state_sqlite_open(path, ret_store);
    case STATE_POSTGRES:
        CC_TRY(path_of(config, "state", path)); /* its lock alone */
        return state_postgres_open(config->signer_state.url, path, ret_store);
    case STATE_DYNAMODB:
        CC_TRY(path_of(config, "state", path));
        return state_dynamodb_open(aws, config->signer_state.table, path, ret_store);
    }
    return CC_FAIL(CONFIG, "signer_state.backend");
}
