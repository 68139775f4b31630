#include "core/enclave_secrets.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"

#include "aws/kms.h"
#include "aws/kms_envelope.h"
#include "config/kms_secret.h"
#include "secret/arena.h"
#include "secret/wipe.h"
#include "sql/postgres_password.h"

_Static_assert((int)POSTGRES_PASSWORD_MAX == (int)D_TEXT_MAX, "a password fits");

enum {
    ASK_MS = 2000, /* of what a signer may wait for */
    BODY_MAX = KMS_BODY_MAX,
    TEXT_MAX = D_TEXT_MAX,
    HELD = CONFIG_KMS_SECRETS + 1 /* one more for who asks */
};

/* In locked memory. */
struct held {
    uint32_t len; /* 0: none */
    char text[TEXT_MAX];
};

struct one {
    struct enclave_secrets *all;
    const char *option;
    const char *purpose;
    struct kms_secret secret;
    struct held *held;
    uint32_t said; /* enum error_code that the log has: there may be a try each second */
};

struct enclave_secrets {
    struct documents *documents; /* borrowed */
    struct aws_client *client;

    pthread_mutex_t lock; /* guards what follows; never held while KMS is asked */
    pthread_cond_t asked;
    bool asking; /* whose the client is, too */
    size_t count;
    struct one items[CONFIG_KMS_SECRETS];
    struct one *credentials; /* of DynamoDB, among them; NULL: none */
    struct held *held;       /* HELD of them */
};

/* --- KMS ------------------------------------------------------------------------------------------------------------------ */

/* For the vault, whose key it is encrypted to. */
static cc_err seal_for_vault(const struct kms_envelope *envelope,
                             struct span ciphertext,
                             struct d_open *ret_sealed)
{
    if (ciphertext.len > sizeof ret_sealed->ciphertext)
        return CC_FAIL(KMS_ANSWER, "KMS: an envelope that is too long for such a secret");
    memcpy(ret_sealed->wrapped, envelope->wrapped.data, sizeof ret_sealed->wrapped);
    memcpy(ret_sealed->iv, envelope->iv.data, sizeof ret_sealed->iv);
    memcpy(ret_sealed->ciphertext, ciphertext.data, ciphertext.len);
    ret_sealed->len = (uint32_t)ciphertext.len;
    return CC_OK;
}

static cc_err
read_answer(const struct enclave_secrets *p, const struct one *one, struct buf *answer)
{
    uint8_t bytes[KMS_ENVELOPE_MAX];
    uint32_t len = 0;
    struct kms_envelope envelope;
    struct d_open sealed = {.id = 0};
    struct held *work = &p->held[CONFIG_KMS_SECRETS];
    CC_CLEANUP(buf_release) struct buf ciphertext = buf_init(sizeof bytes);
    CC_TRY(kms_decrypt_read_envelope(answer, one->secret.arn, bytes, sizeof bytes, &len));
    CC_TRY(kms_envelope_parse(span_of(bytes, len), &envelope, &ciphertext));
    CC_TRY(seal_for_vault(&envelope, buf_span(&ciphertext), &sealed));
    return documents_open(p->documents, &sealed, work->text, &work->len);
}

static cc_err make_body(const struct enclave_secrets *p, const struct one *one, struct buf *body)
{
    CC_CLEANUP(buf_release) struct buf document = buf_init(BODY_MAX / 2);
    const struct kms_pair context[] = {{"app", "containment-chamber"}, {"purpose", one->purpose}};
    struct kms_request request = {one->secret.arn, context, ARRAY_LEN(context), {0}};
    CC_TRY(documents_ask(p->documents, ATTEST_FOR_KMS, NULL, span_of(NULL, 0), &document));
    request.document = buf_span(&document);
    return kms_decrypt_body(&request, span_of(one->secret.ciphertext, one->secret.len), body);
}

static void say(struct one *one, const struct aws_call *call, cc_err err, const char *why)
{
    if (err.code && one->said != (uint32_t)err.code)
        log_warn("a KMS key does not give a secret of the configuration",
                 KV_STR("option", one->option), KV_STR("key", one->secret.arn),
                 KV_STR("fault", call->fault.type), KV_STR("why", why), KV_ERR(err));
    one->said = (uint32_t)err.code;
}

static cc_err ask_kms(const struct enclave_secrets *p, struct one *one)
{
    CC_CLEANUP(buf_release) struct buf body = buf_init(BODY_MAX);
    CC_TRY(make_body(p, one, &body));
    CC_CLEANUP(aws_call_release)
    struct aws_call call = {.operation = "Decrypt",
                            .body = buf_span(&body),
                            .region = kms_arn_region(span_str(one->secret.arn)),
                            .deadline_ms = ASK_MS};
    cc_err err = aws_call(p->client, &call);
    const char *why = aws_call_why(&call);
    if (!err.code) {
        err = read_answer(p, one, &call.answer);
        why = error_detail();
    }
    say(one, &call, err, why);
    return err.code ? error_make((enum error_code)err.code, why, __FILE__, __LINE__) : CC_OK;
}

/* --- who needs one -------------------------------------------------------------------------------------------------------- */

/* With the lock held, which is let go while KMS is asked. */
static cc_err ask(struct one *one)
{
    struct enclave_secrets *p = one->all;
    struct held *work = &p->held[CONFIG_KMS_SECRETS];
    p->asking = true;
    cc_assert(pthread_mutex_unlock(&p->lock) == 0);
    cc_err err = ask_kms(p, one);
    const char *why = error_detail();
    cc_assert(pthread_mutex_lock(&p->lock) == 0);
    p->asking = false;
    if (!err.code)
        *one->held = *work;
    wipe(work, sizeof *work);
    cc_assert(pthread_cond_broadcast(&p->asked) == 0);
    return err.code ? error_make((enum error_code)err.code, why, __FILE__, __LINE__) : CC_OK;
}

static cc_err get(void *of, struct buf *ret_text)
{
    struct one *one = of;
    struct enclave_secrets *p = one->all;
    cc_err err = CC_OK;
    cc_assert(pthread_mutex_lock(&p->lock) == 0);
    while (p->asking && !one->held->len)
        cc_assert(pthread_cond_wait(&p->asked, &p->lock) == 0);
    if (!one->held->len)
        err = ask(one);
    const char *why = error_detail();
    if (!err.code)
        err = buf_append(ret_text, one->held->text, one->held->len + 1);
    cc_assert(pthread_mutex_unlock(&p->lock) == 0);
    return err.code ? error_make((enum error_code)err.code, why, __FILE__, __LINE__) : CC_OK;
}

static void refuse(void *of)
{
    struct one *one = of;
    cc_assert(pthread_mutex_lock(&one->all->lock) == 0);
    wipe(one->held, sizeof *one->held);
    cc_assert(pthread_mutex_unlock(&one->all->lock) == 0);
}

/* "ACCESS_KEY_ID SECRET_ACCESS_KEY". */
static cc_err read_credentials(const struct buf *text, struct aws_credentials *ret_credentials)
{
    const size_t len = text->len - 1; /* of the text, without its terminator */
    const uint8_t *space = memchr(text->data, ' ', len);
    if (!space)
        return CC_FAIL(AWS_CREDENTIALS,
                       "KMS has not given an access key's id, a space, its secret");
    const size_t id_len = (size_t)(space - text->data);
    return aws_credentials_set(ret_credentials, span_of(text->data, id_len),
                               span_of(space + 1, len - id_len - 1), span_of(NULL, 0));
}

/* The session keeps them, and comes again when they are refused: then KMS is asked anew. */
static cc_err fetch_credentials(void *of, struct aws_credentials *ret_credentials)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(TEXT_MAX);
    cc_err err = get(of, &text);
    refuse(of);
    CC_TRY(err);
    return read_credentials(&text, ret_credentials);
}

CC_ERR enclave_secrets_aws_session(struct enclave_secrets *secrets,
                                   const struct config *config,
                                   const struct aws_inputs *inputs,
                                   struct aws_session **ret_session)
{
    *ret_session = NULL;
    if (!secrets || !secrets->credentials)
        return CC_OK;
    CC_TRY(aws_session_open(&config->aws, inputs, ret_session));
    aws_session_pin(*ret_session, config->tee.aws_account);
    aws_session_source(*ret_session, &(struct aws_source){fetch_credentials, secrets->credentials});
    return CC_OK;
}

/* --- opening -------------------------------------------------------------------------------------------------------------- */

static cc_err take_rows(const struct config *config, struct enclave_secrets *p)
{
    struct config_kms_secret rows[CONFIG_KMS_SECRETS];
    struct postgres_password sources[CONFIG_KMS_SECRETS];
    size_t databases = 0;
    p->count = config_kms_secrets(config, rows);
    for (size_t i = 0; i < p->count; i++) {
        struct one *one = &p->items[i];
        CC_TRY(kms_secret_parse(span_str(rows[i].text), &one->secret));
        one->all = p;
        one->option = rows[i].option;
        one->held = &p->held[i];
        one->purpose = rows[i].url ? "database-password" : "dynamodb-credentials";
        if (rows[i].url)
            sources[databases++] = (struct postgres_password){rows[i].url, get, refuse, one};
        else
            p->credentials = one;
    }
    postgres_passwords_install(sources, databases);
    return CC_OK;
}

static cc_err
open_parts(const struct config *config, struct aws_session *session, struct enclave_secrets *p)
{
    static const struct aws_client_options one_by_one = {.connections = 1};
    void *region = NULL;
    CC_TRY(secret_map(HELD * sizeof *p->held, &region));
    p->held = region;
    CC_TRY(aws_client_open(session, &kms_service, &one_by_one, &p->client));
    return take_rows(config, p);
}

CC_ERR enclave_secrets_open(const struct config *config,
                            struct aws_session *session,
                            struct documents *documents,
                            struct enclave_secrets **ret_secrets)
{
    struct config_kms_secret rows[CONFIG_KMS_SECRETS];
    *ret_secrets = NULL;
    if (config_kms_secrets(config, rows) == 0)
        return CC_OK;
    if (!documents || !session)
        return CC_FAIL(CONFIG, "a secret that KMS gives to an enclave, and there is none");
    struct enclave_secrets *p = cc_alloc(sizeof *p);
    if (!p)
        return CC_FAIL(NO_MEMORY, NULL);
    p->documents = documents;
    cc_assert(pthread_mutex_init(&p->lock, NULL) == 0);
    cc_assert(pthread_cond_init(&p->asked, NULL) == 0);
    cc_err err = open_parts(config, session, p);
    if (err.code)
        enclave_secrets_close(p);
    else
        *ret_secrets = p;
    return err;
}

void enclave_secrets_close(struct enclave_secrets *p)
{
    if (!p)
        return;
    postgres_passwords_install(NULL, 0);
    aws_client_close(p->client);
    if (p->held)
        secret_unmap(p->held, HELD * sizeof *p->held);
    (void)pthread_cond_destroy(&p->asked);
    (void)pthread_mutex_destroy(&p->lock);
    cc_free(p);
}
