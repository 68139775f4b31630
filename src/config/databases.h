/* config/databases.h - which databases a configuration uses.
 *
 * WHAT      The options that name one, with their values: history, state store, key store.
 * PROMISE   One that the configuration doesn't use is not among them.
 * THREADS   Any: pure.   OWNERSHIP Borrows the configuration.   ERRORS None.
 * SECRETS   A URL may hold a password.
 */
#ifndef CONFIG_DATABASES_H
#define CONFIG_DATABASES_H

#include "config/config.h"

enum {
    CONFIG_DATABASES = 3
};

struct config_database {
    const char *option;
    const char *url;
    const char *password_option;
    const char *password; /* as config/kms_secret.h reads it; "": none */
};

/* How many. */
size_t config_databases(const struct config *config,
                        struct config_database ret_databases[static CONFIG_DATABASES]);

#endif
