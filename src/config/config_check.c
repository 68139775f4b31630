#include "base/cidr.h"
#include "base/endpoint.h"

#include "codec/hex.h"
#include "config/config_load.h"
#include "config/databases.h"
#include "config/egress.h"
#include "config/kms_arn.h"
#include "config/kms_secret.h"
#include "config/otlp_url.h"
#include "crypto/age.h"
#include "eth/kind.h"
#include "eth/network.h"

static struct config_place place_of(const struct config_loading *loading, const char *path)
{
    const struct config_row *row = config_row_find(path);
    cc_assert(row);
    return loading->faults->places[config_row_index(row)];
}

/* SQLite opens names like these in memory, or by rules of their own: durability would be gone by a file name
 * (properties P1).
 */
static bool is_file_path(const char *path)
{
    return path[0] != ':' && strncmp(path, "file:", 5) != 0;
}

static void check_paths(struct config_loading *loading)
{
    static const char *const rows[] = {"data_dir", "anti_slashing.path", "server.unix_socket",
                                       "server.admin_socket"};
    const struct config *config = loading->config;
    const char *const values[] = {config->data_dir, config->anti_slashing.path,
                                  config->server.unix_socket, config->server.admin_socket};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (!is_file_path(values[i]))
            config_fault(loading, place_of(loading, rows[i]), rows[i], "is not the path of a file");
}

/* Of the default path too: without that socket nobody could be the owner. */
static void check_admin_socket(struct config_loading *loading)
{
    const struct server_config *server = &loading->config->server;
    const char *path = server->admin_socket;
    if (!path[0] || strcmp(path, "-") == 0 || path[0] == '/' ||
        strlen(loading->config->data_dir) + 1 + strlen(path) < sizeof server->admin_socket)
        return;
    config_fault(loading, place_of(loading, "data_dir"), "data_dir",
                 "is too long for the admin socket in it (107 bytes): set server.admin_socket to a "
                 "shorter path, or to - for none");
}

static void check_history(struct config_loading *loading)
{
    const struct anti_slashing_config *history = &loading->config->anti_slashing;
    if (history->backend == HISTORY_NOOP && !history->i_accept_slashing_risk)
        config_fault(loading, place_of(loading, "anti_slashing.backend"), "anti_slashing.backend",
                     "noop keeps no history and lets validators be slashed; it needs "
                     "anti_slashing.i_accept_slashing_risk: true");
}

/* A database password in a URL that everybody can read in the process list would be none. */
static void check_not_by_flag(struct config_loading *loading,
                              const char *path,
                              const char *url,
                              const char *variable)
{
    struct config_place place = place_of(loading, path);
    if (url[0] && !config_is_reference(url) && place.origin.len > 1 &&
        span_equal(span_of(place.origin.data, 2), span_str("--")))
        config_fault(
            loading, place, path,
            "may hold a password, so it is not taken from a flag: use env:NAME, file:PATH, the configuration file or %s",
            variable);
}

static void check_database(struct config_loading *loading)
{
    const struct anti_slashing_config *history = &loading->config->anti_slashing;
    const struct signer_state_config *state = &loading->config->signer_state;
    if (history->backend == HISTORY_POSTGRES && !history->url[0])
        config_fault(loading, place_of(loading, "anti_slashing.backend"), "anti_slashing.backend",
                     "postgres needs anti_slashing.url");
    if (history->backend == HISTORY_DYNAMODB && !history->table[0])
        config_fault(loading, place_of(loading, "anti_slashing.backend"), "anti_slashing.backend",
                     "dynamodb needs anti_slashing.table");
    if (state->backend == STATE_DYNAMODB && !state->table[0])
        config_fault(loading, place_of(loading, "signer_state.backend"), "signer_state.backend",
                     "dynamodb needs signer_state.table");
    if (state->backend == STATE_POSTGRES && !state->url[0])
        config_fault(loading, place_of(loading, "signer_state.backend"), "signer_state.backend",
                     "postgres needs signer_state.url");
    check_not_by_flag(loading, "key_sources.postgres.url",
                      loading->config->key_sources.postgres.url,
                      "CONTAINMENT_KEY_SOURCES__POSTGRES__URL");
    check_not_by_flag(loading, "anti_slashing.url", history->url, "CONTAINMENT_ANTI_SLASHING__URL");
    check_not_by_flag(loading, "signer_state.url", state->url, "CONTAINMENT_SIGNER_STATE__URL");
}

/* What is imported has one place. */
static void check_key_stores(struct config_loading *loading)
{
    const struct key_sources_config *keys = &loading->config->key_sources;
    if (keys->postgres.url[0] && keys->dynamodb.table[0])
        config_fault(loading, place_of(loading, "key_sources.dynamodb.table"),
                     "key_sources.dynamodb.table",
                     "there is one key store: key_sources.postgres.url is set too");
}

static void check_operations(struct config_loading *loading)
{
    const struct config_text_list *list = &loading->config->auth.open_operations;
    for (uint32_t i = 0; i < list->count; i++) {
        enum eth_kind kind;
        struct span name = span_str(list->items[i]);
        if (span_is(name, "*") || span_is(name, "all") || !kind_parse(name, &kind).code)
            continue;
        config_fault(loading, place_of(loading, "auth.open_operations"), "auth.open_operations",
                     "item %u is not *, all, or the name of an operation", i + 1);
    }
}

/* What such a key asks for counts over TLS alone. */
static void check_owner_keys(struct config_loading *loading)
{
    const struct config *config = loading->config;
    if (config->auth.owner_keys.count && config->tls.mode == TLS_DISABLED)
        config_fault(loading, place_of(loading, "auth.owner_keys"), "auth.owner_keys",
                     "are of no use without TLS: set tls.mode");
}

static void check_proxies(struct config_loading *loading)
{
    const struct config_text_list *list = &loading->config->server.trusted_proxies;
    for (uint32_t i = 0; i < list->count; i++) {
        struct cidr cidr;
        uint32_t cid = 0;
        if (!endpoint_cid(span_str(list->items[i]), &cid).code)
            continue;
        if (cidr_parse(span_str(list->items[i]), &cidr).code)
            config_fault(loading, place_of(loading, "server.trusted_proxies"),
                         "server.trusted_proxies", "item %u: %s", i + 1, error_detail());
    }
}

/* What is listened on is an address, not a name. */
static void check_listen(struct config_loading *loading)
{
    const struct config *config = loading->config;
    const struct {
        const char *path;
        const char *value;
    } rows[] = {{"server.listen", config->server.listen},
                {"tls.listen", config->tls.listen},
                {"metrics.listen", config->metrics.listen}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct endpoint endpoint = {0};
        const char *value = rows[i].value;
        if (!value[0])
            continue;
        if (endpoint_parse(span_str(value), &endpoint).code)
            config_fault(loading, place_of(loading, rows[i].path), rows[i].path, "%s",
                         error_detail());
        else if (endpoint.kind == ENDPOINT_TCP && !endpoint.literal)
            config_fault(loading, place_of(loading, rows[i].path), rows[i].path,
                         "is an address, not a name");
        for (size_t j = 0; j < i; j++)
            if (strcmp(value, rows[j].value) == 0 &&
                !(endpoint.kind == ENDPOINT_TCP && endpoint.port == 0))
                config_fault(loading, place_of(loading, rows[i].path), rows[i].path, "is %s too",
                             rows[j].path);
    }
}

static void check_egress(struct config_loading *loading)
{
    uint32_t row = 0;
    if (egress_check(&loading->config->egress, &row).code)
        config_fault(loading, place_of(loading, "egress.routes"), "egress.routes", "item %u: %s",
                     row + 1, error_detail());
}

static void check_canaries(struct config_loading *loading)
{
    const struct config_text_list *list = &loading->config->canary.public_keys;
    uint8_t key[48];
    for (uint32_t i = 0; i < list->count; i++)
        if (hex_decode(span_str(list->items[i]), key, sizeof key).code)
            config_fault(loading, place_of(loading, "canary.public_keys"), "canary.public_keys",
                         "item %u is no public key of 48 bytes in hex", i + 1);
}

static void fault_of(struct config_loading *loading, const char *path, const char *what)
{
    config_fault(loading, place_of(loading, path), path, "%s", what);
}

/* Keys whose mnemonic nobody has could never be had back from it. */
static void check_generate(struct config_loading *loading)
{
    const struct chamber_keys_config *keys = &loading->config->chamber_keys;
    const struct config_text_list *list = &keys->generate_backup.recipients;
    const char *const path = "chamber.keys.generate.backup.recipients";
    struct age_recipient recipient;
    for (uint32_t i = 0; i < list->count; i++)
        if (age_recipient_parse(span_str(list->items[i]), &recipient).code)
            config_fault(loading, place_of(loading, path), path, "item %u: %s", i + 1,
                         error_detail());
    if (keys->generate_backup.enabled && list->count == 0)
        fault_of(loading, "chamber.keys.generate.backup.enabled",
                 "needs chamber.keys.generate.backup.recipients");
    if (keys->generate.enabled && !keys->generate_backup.enabled)
        fault_of(loading, "chamber.keys.generate.enabled",
                 "needs chamber.keys.generate.backup.enabled and its recipients: without them "
                 "nobody would have the mnemonic");
}

/* The password itself is never read here: app/tls_source.h. */
static void check_tls_files(struct config_loading *loading)
{
    const struct tls_config *tls = &loading->config->tls;
    bool pem = tls->cert_path[0] || tls->key_path[0];
    if (tls->password[0] && !config_is_reference(tls->password))
        fault_of(loading, "tls.file.password", "is not written here: use env:NAME or file:PATH");
    if (pem && tls->pkcs12_path[0])
        fault_of(loading, "tls.file.pkcs12_path", "takes the place of cert_path and key_path");
    if (pem && !(tls->cert_path[0] && tls->key_path[0]))
        fault_of(loading, tls->cert_path[0] ? "tls.file.cert_path" : "tls.file.key_path",
                 "cert_path and key_path go together");
    if (tls->mode == TLS_FILES && !pem && !tls->pkcs12_path[0])
        fault_of(loading, "tls.mode",
                 "file needs tls.file.cert_path and key_path, or tls.file.pkcs12_path");
}

static void check_tls(struct config_loading *loading)
{
    const struct config *config = loading->config;
    bool attested = config->tls.mode == TLS_ATTESTED;
    check_tls_files(loading);
    if (attested != (config->tee.platform == TEE_NITRO))
        fault_of(loading, "tls.mode", "atls and tee.platform: nitro need each other");
    if (attested && config->auth.certificates.count)
        fault_of(loading, "auth.certificates",
                 "no client is asked for a certificate with tls.mode: atls");
    if (config->tls.mode != TLS_DISABLED && config->tls.listen_port &&
        config->tls.listen_port == config->server.listen_port)
        fault_of(loading, "tls.listen_port", "is server.listen_port too, which serves probes");
}

static bool is_named_before(const struct config_text_list *list, uint32_t i)
{
    for (uint32_t k = 0; k < i; k++)
        if (strcmp(list->items[k], list->items[i]) == 0)
            return true;
    return false;
}

static void check_root_keys(struct config_loading *loading)
{
    const struct tee_root_config *root = &loading->config->tee.root;
    const struct config_text_list *arns = &root->kms_key_arns;
    for (uint32_t i = 0; i < arns->count; i++)
        if (!kms_arn_check(span_str(arns->items[i])) || is_named_before(arns, i))
            fault_of(loading, "tee.root.kms_key_arns", "ARNs of KMS keys, by their ids, each once");
    if (root->threshold > arns->count)
        fault_of(loading, "tee.root.threshold", "more than there are KMS keys");
    if (arns->count > 1 && root->threshold == 0)
        fault_of(loading, "tee.root.threshold", "must be given for more than one KMS key");
}

static bool is_image(struct span text)
{
    static const uint8_t zeros[48]; /* of an enclave in debug mode */
    uint8_t pcr0[sizeof zeros];
    return !hex_decode(text, pcr0, sizeof pcr0).code &&
           !span_equal(span_of(pcr0, sizeof pcr0), span_of(zeros, sizeof zeros));
}

static void check_root_images(struct config_loading *loading)
{
    const struct config_text_list *images = &loading->config->tee.root.images;
    for (uint32_t i = 0; i < images->count; i++)
        if (!is_image(span_str(images->items[i])) || is_named_before(images, i))
            fault_of(loading, "tee.root.images", "PCR0 of images, 96 hex digits, each once");
}

/* Of a network that isn't known, the worst is taken. */
bool config_is_about_money(const struct config *config)
{
    struct eth_network network;
    return network_load(config->network.network, &network).code || network.production;
}

static void check_kms_secrets(struct config_loading *loading)
{
    const struct config *config = loading->config;
    struct config_kms_secret secrets[CONFIG_KMS_SECRETS];
    const size_t count = config_kms_secrets(config, secrets);
    for (size_t i = 0; i < count; i++) {
        struct kms_secret secret;
        if (kms_secret_parse(span_str(secrets[i].text), &secret).code)
            fault_of(loading, secrets[i].option, error_detail());
        if (config->tee.platform != TEE_NITRO)
            fault_of(loading, secrets[i].option,
                     "is opened by the attestation of an enclave: it needs tee.platform: nitro");
    }
    if (config->aws.dynamodb_credentials_kms[0] && !config_uses_dynamodb(config))
        fault_of(loading, "aws.dynamodb_credentials_kms", "nothing is in DynamoDB");
}

/* T11. What goes to an http:// endpoint, an enclave's parent reads and writes. No address in there but by a way through the parent. */
static void check_clear_endpoints(struct config_loading *loading)
{
    const struct aws_config *aws = &loading->config->aws;
    const struct {
        const char *path;
        const char *value;
    } rows[] = {{"aws.endpoint_url", aws->endpoint_url},
                {"aws.kms_endpoint_url", aws->kms_endpoint_url},
                {"aws.dynamodb_endpoint_url", aws->dynamodb_endpoint_url},
                {"aws.sts_endpoint_url", aws->sts_endpoint_url},
                {"tracing.otlp_endpoint", loading->config->tracing.otlp_endpoint}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].value[0] && strncmp(rows[i].value, "https://", 8) != 0)
            fault_of(loading, rows[i].path,
                     "is not https://: an enclave's parent would read and write what goes there");
}

static void check_aws_account(struct config_loading *loading)
{
    const struct config *config = loading->config;
    const char *account = config->tee.aws_account;
    if (account[0] && (strspn(account, "0123456789") != AWS_ACCOUNT_DIGITS))
        fault_of(loading, "tee.aws_account", "is not the 12 digits of an AWS account");
    if (!account[0] && config->tee.platform == TEE_NITRO && config_uses_aws(config) &&
        config_is_about_money(config))
        fault_of(loading, "tee.aws_account",
                 "an enclave names the account of its tables and of its credentials: else whoever "
                 "starts it may bring his own");
}

/* P26. How far ahead an enclave has signed, the next one knows by this alone, whatever its image. */
static void check_enclave_future(struct config_loading *loading)
{
    const struct anti_slashing_config *history = &loading->config->anti_slashing;
    if (history->max_future_epochs > CONFIG_ENCLAVE_FUTURE_EPOCHS)
        fault_of(
            loading, "anti_slashing.max_future_epochs",
            "is 2 at most in an enclave: a later one takes for granted that no earlier one has "
            "signed further ahead");
    if (history->backend == HISTORY_NOOP)
        fault_of(loading, "anti_slashing.backend",
                 "noop has no rule of how far ahead it signs, and the enclave after this one could "
                 "not know");
}

/* An enclave's disk is memory: what has to outlive it, and to be no older after it, is outside. Test networks may lose it. */
static void check_enclave(struct config_loading *loading)
{
    static const char *const lost = "sqlite lies in the enclave's memory, and ends with it: use "
                                    "postgres or dynamodb";
    const struct config *config = loading->config;
    const struct signer_state_config *state = &config->signer_state;
    if (state->auto_unseal &&
        (config->tee.platform != TEE_NITRO || !config->tee.root.kms_key_arns.count))
        fault_of(loading, "signer_state.auto_unseal",
                 "is for an enclave, whose image names KMS keys in tee.root.kms_key_arns");
    if (config->tee.platform != TEE_NITRO)
        return;
    if (state->kms && state->allowed_kms_key_arns.count == 0)
        fault_of(loading, "signer_state.allowed_kms_key_arns",
                 "an enclave names its KMS keys: else whoever starts it may bring his own");
    if (!config_is_about_money(config))
        return;
    if (!config_has_root(config))
        fault_of(loading, "tee.root.kms_key_arns", "an enclave's chamber would end with it");
    if (config->tee.root.certificate[0])
        fault_of(loading, "tee.root.certificate",
                 "is for tests: whoever has that authority's key makes documents of any image");
    if (!config->auth.owner_keys.count)
        fault_of(loading, "auth.owner_keys",
                 "an enclave names a key of its owner: nobody is inside, and without one nobody "
                 "could begin anything");
    if (config->auth.mode != AUTH_ENFORCE)
        fault_of(loading, "auth.mode",
                 "is enforce in an enclave: else the parent, and whoever else reaches it, has "
                 "messages signed");
    check_clear_endpoints(loading);
    check_enclave_future(loading);
    if (state->backend == STATE_SQLITE)
        fault_of(loading, "signer_state.backend", lost);
    if (config->anti_slashing.backend == HISTORY_SQLITE)
        fault_of(loading, "anti_slashing.backend", lost);
}

static void check_tracing(struct config_loading *loading)
{
    const struct tracing_config *tracing = &loading->config->tracing;
    char url[OTLP_URL_SIZE];
    if (!config_traces(loading->config))
        return;
    if (otlp_url(tracing->otlp_endpoint, tracing->allow_plaintext, url).code)
        fault_of(loading, "tracing.otlp_endpoint", error_detail());
    if (tracing->ca_path[0] && strncmp(tracing->otlp_endpoint, "https://", 8) != 0)
        fault_of(loading, "tracing.ca_path", "is of no use without https://");
}

void config_check_rules(struct config_loading *loading)
{
    check_paths(loading);
    check_admin_socket(loading);
    check_history(loading);
    check_database(loading);
    check_key_stores(loading);
    check_operations(loading);
    check_owner_keys(loading);
    check_proxies(loading);
    check_listen(loading);
    check_egress(loading);
    check_canaries(loading);
    check_tls(loading);
    check_root_keys(loading);
    check_root_images(loading);
    check_kms_secrets(loading);
    check_aws_account(loading);
    check_enclave(loading);
    check_generate(loading);
    check_tracing(loading);
}
