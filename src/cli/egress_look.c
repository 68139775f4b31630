#include "cli/egress_look.h"

#include <stdio.h>

#include "aws/endpoint.h"
#include "aws/resolve.h"
#include "config/databases.h"
#include "config/egress.h"
#include "config/kms_secret.h"
#include "sql/postgres_dial.h"

struct look {
    const struct config *config;
    struct config_faults *faults;
};

/* Each host of the list: the first one that is away must not be the only one with a row. */
static void look_at_database(const struct look *look, const char *option, const char *url)
{
    unsigned hosts = 0;
    if (!url[0] || postgres_url_hosts(url, &hosts).code)
        return;
    for (unsigned i = 0; i < hosts; i++) {
        struct postgres_dial plan;
        cc_err err = postgres_url_dial(url, i, &plan);
        if (err.code)
            config_faults_add(look->faults, option, "host %u: %s", i + 1, error_detail());
        else
            postgres_dial_release(&plan);
    }
}

static void look_at_url(const struct look *look, const char *option, const char *text)
{
    struct aws_url url;
    if (aws_url_parse(text, &url).code)
        return; /* said elsewhere */
    if (!url.literal && !egress_find(url.host, url.port))
        config_faults_add(look->faults, option, "egress.routes has no row for %s:%u", url.host,
                          url.port);
}

/* `own` is the service's own endpoint, where one is set. */
static void look_at_service(const struct look *look,
                            const char *option,
                            const char *service,
                            const char *region,
                            const char *own)
{
    const char *general = look->config->aws.endpoint_url;
    const struct aws_endpoint endpoint = {.service = service, .region = region};
    char url[AWS_ENDPOINT_MAX];
    if (own[0] || general[0])
        look_at_url(look, option, own[0] ? own : general);
    else if (region[0] && !aws_endpoint_make(&endpoint, url).code)
        look_at_url(look, option, url);
}

static void look_at_key(const struct look *look, const char *option, struct span arn)
{
    char region[KMS_REGION_SIZE];
    if (!kms_arn_check(arn))
        return; /* said elsewhere */
    struct span of = kms_arn_region(arn);
    (void)snprintf(region, sizeof region, "%.*s", (int)of.len, (const char *)of.data);
    look_at_service(look, option, "kms", region, look->config->aws.kms_endpoint_url);
}

static void look_at_kms(const struct look *look)
{
    const struct signer_state_config *state = &look->config->signer_state;
    const char *own = look->config->aws.kms_endpoint_url;
    for (uint32_t i = 0; state->kms && i < state->allowed_kms_key_arns.count; i++)
        look_at_key(look, "signer_state.allowed_kms_key_arns",
                    span_str(state->allowed_kms_key_arns.items[i]));
    if (state->kms && state->allowed_kms_key_arns.count == 0)
        look_at_service(look, "signer_state.kms", "kms", look->config->aws.region, own);
}

/* Whose the credentials are is asked there. */
static void look_at_sts(const struct look *look)
{
    const struct config *c = look->config;
    if (c->tee.aws_account[0] && config_uses_aws(c))
        look_at_service(look, "tee.aws_account", "sts", c->aws.region, c->aws.sts_endpoint_url);
}

static void look_at_dynamodb(const struct look *look)
{
    const struct config *c = look->config;
    const struct {
        bool used;
        const char *option;
    } users[] = {{c->anti_slashing.backend == HISTORY_DYNAMODB, "anti_slashing.backend"},
                 {c->signer_state.backend == STATE_DYNAMODB, "signer_state.backend"},
                 {c->key_sources.dynamodb.table[0] != 0, "key_sources.dynamodb.table"}};
    for (size_t i = 0; i < ARRAY_LEN(users); i++)
        if (users[i].used)
            look_at_service(look, users[i].option, "dynamodb", c->aws.region,
                            c->aws.dynamodb_endpoint_url);
}

void egress_look(const struct config *config, struct config_faults *faults)
{
    const struct look look = {config, faults};
    struct config_database databases[CONFIG_DATABASES];
    struct config_kms_secret secrets[CONFIG_KMS_SECRETS];
    if (config->egress.routes.count == 0 || egress_install(&config->egress).code)
        return;
    look_at_kms(&look);
    look_at_dynamodb(&look);
    look_at_sts(&look);
    for (size_t i = config_databases(config, databases); i-- > 0;)
        look_at_database(&look, databases[i].option, databases[i].url);
    for (size_t i = config_kms_secrets(config, secrets); i-- > 0;) {
        struct kms_secret secret;
        if (!kms_secret_parse(span_str(secrets[i].text), &secret).code)
            look_at_key(&look, secrets[i].option, span_str(secret.arn));
    }
}
