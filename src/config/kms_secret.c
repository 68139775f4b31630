#include "config/kms_secret.h"

#include <string.h>

#include "codec/base64.h"

CC_ERR kms_secret_parse(struct span text, struct kms_secret *ret_secret)
{
    const uint8_t *space = text.len ? memchr(text.data, ' ', text.len) : NULL;
    *ret_secret = (struct kms_secret){.len = 0};
    if (!space)
        return CC_FAIL(CONFIG, "is not the ARN of a KMS key, a space, and a ciphertext in base64");
    const struct span arn = span_of(text.data, (size_t)(space - text.data));
    const struct span coded = span_of(space + 1, text.len - arn.len - 1);
    if (!kms_arn_check(arn))
        return CC_FAIL(CONFIG, "does not begin with the ARN of a KMS key");
    if (base64_decode(coded, ret_secret->ciphertext, sizeof ret_secret->ciphertext,
                      &ret_secret->len)
            .code ||
        ret_secret->len == 0)
        return CC_FAIL(CONFIG,
                       "has no ciphertext in base64 behind the ARN, or a longer one than such a "
                       "secret has");
    memcpy(ret_secret->arn, arn.data, arn.len);
    ret_secret->arn[arn.len] = 0;
    return CC_OK;
}

size_t config_kms_secrets(const struct config *config,
                          struct config_kms_secret ret_secrets[static CONFIG_KMS_SECRETS])
{
    struct config_database databases[CONFIG_DATABASES];
    const size_t used = config_databases(config, databases);
    const char *credentials = config->aws.dynamodb_credentials_kms;
    size_t count = 0;
    for (size_t i = 0; i < used; i++) {
        const struct config_database *d = &databases[i];
        if (d->password[0])
            ret_secrets[count++] =
                (struct config_kms_secret){d->password_option, d->password, d->url};
    }
    if (credentials[0])
        ret_secrets[count++] =
            (struct config_kms_secret){"aws.dynamodb_credentials_kms", credentials, NULL};
    return count;
}
