/* config/kms_secret.h - a secret of the configuration that KMS has encrypted.
 *
 * WHAT      The ARN of the key, a space, the ciphertext in base64. Which options hold one.
 * PROMISE   What is read is a key by its id and a ciphertext that KMS would take. It can't be opened here.
 * THREADS   Any: pure.   OWNERSHIP By value; config_kms_secrets() borrows the configuration.   ERRORS CONFIG with a sentence for the user as error_detail().
 * SECRETS   None in clear.
 */
#ifndef CONFIG_KMS_SECRET_H
#define CONFIG_KMS_SECRET_H

#include "config/config.h"
#include "config/databases.h"
#include "config/kms_arn.h"

enum {
    KMS_SECRET_CIPHERTEXT_MAX = 384,
    CONFIG_KMS_SECRETS = CONFIG_DATABASES + 1
};

struct kms_secret {
    char arn[KMS_ARN_SIZE];
    uint8_t ciphertext[KMS_SECRET_CIPHERTEXT_MAX];
    size_t len;
};

CC_ERR kms_secret_parse(struct span text, struct kms_secret *ret_secret);

struct config_kms_secret {
    const char *option;
    const char *text;
    const char *url; /* of the database whose password it is; NULL: DynamoDB's credentials */
};

/* Those that are set, of what the configuration uses. How many. */
size_t config_kms_secrets(const struct config *config,
                          struct config_kms_secret ret_secrets[static CONFIG_KMS_SECRETS]);

#endif
