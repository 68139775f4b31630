#include "config/databases.h"

size_t config_databases(const struct config *config,
                        struct config_database ret_databases[static CONFIG_DATABASES])
{
    const struct anti_slashing_config *history = &config->anti_slashing;
    const struct signer_state_config *state = &config->signer_state;
    const struct postgres_keys_config *keys = &config->key_sources.postgres;
    const struct {
        bool used;
        struct config_database database;
    } rows[CONFIG_DATABASES] = {
        {history->backend == HISTORY_POSTGRES,
         {"anti_slashing.url", history->url, "anti_slashing.url_password_kms",
          history->url_password_kms}},
        {state->backend == STATE_POSTGRES,
         {"signer_state.url", state->url, "signer_state.url_password_kms",
          state->url_password_kms}},
        {keys->url[0] != 0,
         {"key_sources.postgres.url", keys->url, "key_sources.postgres.url_password_kms",
          keys->url_password_kms}},
    };
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].used)
            ret_databases[count++] = rows[i].database;
    return count;
}
