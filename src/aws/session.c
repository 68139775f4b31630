#include "aws/session.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"

#include "aws/chain.h"
#include "aws/environment.h"
#include "aws/resolve.h"
#include "aws/sts.h"
#include "crypto/random.h"
#include "secret/arena.h"

enum {
    RENEW_BEFORE_MAX_S = 900, /* fifteen minutes, as the AWS CLI; less for a short life */
    RENEW_AGAIN_MS = 30000,   /* after a renewal that failed, while the old ones are good */
    FETCH_AGAIN_MS = 1000,    /* the same, when there are none */
    ENDED_BEFORE_S = 10       /* a request must arrive before they end */
};

/* In locked memory. */
struct held {
    struct aws_credentials now;
    struct aws_credentials fetched;
    struct aws_credentials work;
};

struct aws_session {
    const struct aws_config *config; /* borrowed */
    struct aws_inputs inputs;
    struct aws_pool *pool; /* of the one thread that fetches */
    char region[AWS_REGION_MAX];
    char account[AWS_ACCOUNT_SIZE]; /* "": any */
    struct aws_source source;       /* none: the chain */
    struct buf ca_bundle;
    char urls[4][AWS_ENDPOINT_MAX]; /* of `services`; the last: all others, or "" */
    bool fips;
    bool dual_stack;

    pthread_mutex_t lock; /* guards what follows; never held while credentials are fetched */
    pthread_cond_t fetched;
    struct held *held;
    bool fetching;
    int64_t renew_at; /* seconds since 1970 */
    uint64_t not_before_ms;
    cc_err failure; /* of the last fetch */
    bool told;      /* that it was of another account */
};

static const char *const services[] = {"dynamodb", "kms", "sts"};

/* --- what does not change ------------------------------------------------------------------------------------------------ */

static struct span first_of(struct span a, struct span b)
{
    return a.len ? a : b;
}

static cc_err set(char *to, size_t size, struct span value)
{
    if (value.len >= size)
        return CC_FAIL(CONFIG, "an AWS setting is too long");
    if (value.len)
        memcpy(to, value.data, value.len);
    to[value.len] = 0;
    return CC_OK;
}

static bool is_true(struct span value)
{
    return span_is_nocase(value, "true");
}

static cc_err choose_region(struct aws_session *session, const struct aws_files *files)
{
    struct span region = span_str(session->config->region);
    region = first_of(region, aws_environment_get(files->environment, "AWS_REGION"));
    region = first_of(region, aws_environment_get(files->environment, "AWS_DEFAULT_REGION"));
    region = first_of(region, aws_profile_get(files, files->profile, "region"));
    CC_TRY(aws_region_check(region));
    return set(session->region, sizeof session->region, region);
}

static void choose_variants(struct aws_session *session, const struct aws_files *files)
{
    struct span environment = files->environment;
    struct span profile = files->profile;
    session->fips = is_true(first_of(aws_environment_get(environment, "AWS_USE_FIPS_ENDPOINT"),
                                     aws_profile_get(files, profile, "use_fips_endpoint")));
    session->dual_stack =
        is_true(first_of(aws_environment_get(environment, "AWS_USE_DUALSTACK_ENDPOINT"),
                         aws_profile_get(files, profile, "use_dualstack_endpoint")));
}

/* The configuration's, then AWS_ENDPOINT_URL_<SERVICE>, AWS_ENDPOINT_URL, the profile's: the rules of AWS's own programs, with
 * ours before them.
 */
static struct span choose_url(const struct aws_files *files,
                              const char *configured,
                              const char *all,
                              const char *service)
{
    char variable[48];
    struct span url = first_of(span_str(configured), span_str(all));
    if (url.len ||
        is_true(aws_environment_get(files->environment, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")))
        return url;
    (void)snprintf(variable, sizeof variable, "AWS_ENDPOINT_URL_%s", service);
    for (char *at = variable; *at; at++)
        *at = *at >= 'a' && *at <= 'z' ? (char)(*at - 'a' + 'A') : *at;
    if (service[0])
        url = aws_environment_get(files->environment, variable);
    url = first_of(url, aws_environment_get(files->environment, "AWS_ENDPOINT_URL"));
    return first_of(url, aws_profile_endpoint(files, service));
}

static cc_err choose_urls(struct aws_session *session, const struct aws_files *files)
{
    const struct aws_config *config = session->config;
    const char *const configured[] = {config->dynamodb_endpoint_url, config->kms_endpoint_url,
                                      config->sts_endpoint_url, ""};
    for (size_t i = 0; i < ARRAY_LEN(configured); i++) {
        struct aws_url parsed;
        const char *service = i < ARRAY_LEN(services) ? services[i] : "";
        struct span url = choose_url(files, configured[i], config->endpoint_url, service);
        CC_TRY(set(session->urls[i], AWS_ENDPOINT_MAX, url));
        if (url.len && aws_url_parse(session->urls[i], &parsed).code)
            return CC_FAIL(
                CONFIG,
                "an AWS endpoint is no URL of the form http://host:port or https://host:port");
    }
    return CC_OK;
}

static cc_err choose(struct aws_session *session)
{
    struct aws_texts texts;
    struct aws_files files;
    cc_err err = aws_texts_read(&session->inputs, session->config->profile, &texts, &files);
    if (!err.code)
        err = choose_region(session, &files);
    if (!err.code)
        choose_variants(session, &files);
    if (!err.code)
        err = choose_urls(session, &files);
    aws_texts_release(&texts);
    return err;
}

static cc_err open_parts(struct aws_session *session)
{
    void *locked = NULL;
    CC_TRY(choose(session));
    session->ca_bundle = buf_init(AWS_INPUT_MAX);
    CC_TRY(session->inputs.read(session->inputs.context, AWS_INPUT_CA_BUNDLE, &session->ca_bundle));
    CC_TRY(secret_map(sizeof *session->held, &locked));
    session->held = locked;
    const struct aws_pool_options pool = {buf_span(&session->ca_bundle), 2};
    return aws_pool_open(&pool, &session->pool);
}

CC_ERR aws_session_open(const struct aws_config *config,
                        const struct aws_inputs *inputs,
                        struct aws_session **ret_session)
{
    struct aws_session *session = cc_alloc(sizeof *session);
    if (!session)
        return CC_FAIL(NO_MEMORY, NULL);
    *session = (struct aws_session){.config = config, .inputs = *inputs};
    (void)pthread_mutex_init(&session->lock, NULL);
    (void)pthread_cond_init(&session->fetched, NULL);
    cc_err err = open_parts(session);
    if (err.code) {
        aws_session_close(session);
        return err;
    }
    *ret_session = session;
    return CC_OK;
}

void aws_session_close(struct aws_session *session)
{
    if (!session)
        return;
    aws_pool_close(session->pool);
    if (session->held)
        secret_unmap(session->held, sizeof *session->held);
    buf_release(&session->ca_bundle);
    (void)pthread_cond_destroy(&session->fetched);
    (void)pthread_mutex_destroy(&session->lock);
    cc_free(session);
}

void aws_session_source(struct aws_session *session, const struct aws_source *source)
{
    session->source = *source;
}

void aws_session_pin(struct aws_session *session, const char *account)
{
    (void)snprintf(session->account, sizeof session->account, "%s", account);
}

const char *aws_session_account(const struct aws_session *session)
{
    return session->account;
}

const char *aws_session_region(const struct aws_session *session)
{
    return session->region;
}

struct span aws_session_ca_bundle(const struct aws_session *session)
{
    return buf_span(&session->ca_bundle);
}

CC_ERR aws_session_endpoint(const struct aws_session *session,
                            const char *service,
                            char ret_url[static AWS_ENDPOINT_MAX])
{
    return aws_session_endpoint_in(session, service, "", ret_url);
}

CC_ERR aws_session_endpoint_in(const struct aws_session *session,
                               const char *service,
                               const char *region,
                               char ret_url[static AWS_ENDPOINT_MAX])
{
    size_t i = 0;
    while (i < ARRAY_LEN(services) && strcmp(services[i], service) != 0)
        i++;
    if (session->urls[i][0]) {
        memcpy(ret_url, session->urls[i], AWS_ENDPOINT_MAX);
        return CC_OK;
    }
    const struct aws_endpoint endpoint = {service, region[0] ? region : session->region,
                                          session->fips, session->dual_stack};
    return aws_endpoint_make(&endpoint, ret_url);
}

/* --- credentials ----------------------------------------------------------------------------------------------------------- */

/* Well before the end, and not for all programs of a fleet at once. */
static int64_t renewal_time(int64_t now, int64_t expires)
{
    uint32_t chance = 0;
    if (!expires)
        return INT64_MAX;
    int64_t before = (expires - now) / 4;
    before = before < RENEW_BEFORE_MAX_S ? before : RENEW_BEFORE_MAX_S;
    if (before <= 0 || random_bytes(&chance, sizeof chance).code)
        return expires - before;
    return expires - before + (int64_t)(chance % (uint64_t)(before / 2 + 1));
}

static bool are_good(const struct aws_credentials *credentials, int64_t now)
{
    return credentials->key_id[0] &&
           (!credentials->expires || credentials->expires - ENDED_BEFORE_S > now);
}

/* T11. The alarm comes once, since there is another try each second. */
static void say_account(struct aws_session *session, const char *account, bool is_ours)
{
    metric_set(METRIC_AWS_ACCOUNT_WRONG, 0, !is_ours);
    if (!is_ours && !session->told)
        log_error("the AWS credentials are of ANOTHER ACCOUNT: they are not used",
                  KV_STR("account", account), KV_STR("wanted", session->account),
                  KV_STR("hint", "tee.aws_account, and who gives this machine its role"));
    if (is_ours && session->told)
        log_notice("the AWS credentials are of the right account again");
    session->told = !is_ours;
}

static cc_err check_account(struct aws_session *session, const char *sts_url)
{
    char account[AWS_ACCOUNT_SIZE];
    const struct aws_sts sts = {session->pool, sts_url, session->region};
    if (!session->account[0])
        return CC_OK;
    CC_TRY(aws_sts_account(&sts, &session->held->fetched, account));
    const bool is_ours = strcmp(account, session->account) == 0;
    say_account(session, account, is_ours);
    return is_ours ? CC_OK : CC_FAIL(AWS_ACCOUNT, NULL);
}

static cc_err fetch(struct aws_session *session)
{
    char sts_url[AWS_ENDPOINT_MAX];
    CC_TRY(aws_session_endpoint(session, "sts", sts_url));
    const struct aws_chain chain = {&session->inputs, session->pool, session->config->profile,
                                    session->region,  sts_url,       &session->held->work};
    if (session->source.fetch)
        CC_TRY(session->source.fetch(session->source.context, &session->held->fetched));
    else
        CC_TRY(aws_chain_fetch(&chain, &session->held->fetched));
    return check_account(session, sts_url);
}

/* With the lock held, which is let go while credentials are fetched: `fetching` keeps others out. */
static void renew(struct aws_session *session)
{
    bool had = are_good(&session->held->now, time(NULL));
    session->fetching = true;
    (void)pthread_mutex_unlock(&session->lock);
    cc_err err = fetch(session);
    (void)pthread_mutex_lock(&session->lock);
    session->fetching = false;
    session->failure = err;
    session->not_before_ms = clock_mono_ms() + (had ? RENEW_AGAIN_MS : FETCH_AGAIN_MS);
    if (!err.code) {
        session->held->now = session->held->fetched;
        session->renew_at = renewal_time(time(NULL), session->held->now.expires);
    }
    aws_credentials_wipe(&session->held->fetched);
    (void)pthread_cond_broadcast(&session->fetched);
}

static bool wants_renewal(const struct aws_session *session, const char *stale)
{
    const struct aws_credentials *now = &session->held->now;
    bool good = are_good(now, time(NULL));
    bool refused = stale[0] && strcmp(stale, now->key_id) == 0;
    if (good && !refused && time(NULL) < session->renew_at)
        return false;
    /* Credentials that were short-lived from the start have ended at their time: that is no failure to wait for. */
    return clock_mono_ms() >= session->not_before_ms || (!good && !session->failure.code);
}

/* The failed fetch that a caller is refused for may be another thread's: the reason is made anew, on this one. */
static cc_err refusal(const struct aws_session *session)
{
    if (session->failure.code && !error_is(session->failure, ERROR_AWS_CREDENTIALS))
        return session->failure;
    return CC_FAIL(AWS_CREDENTIALS, NULL);
}

CC_ERR aws_session_credentials(struct aws_session *session,
                               const char *stale,
                               struct aws_credentials *ret_credentials)
{
    cc_err err = CC_OK;
    (void)pthread_mutex_lock(&session->lock);
    while (session->fetching && !are_good(&session->held->now, time(NULL)))
        (void)pthread_cond_wait(&session->fetched, &session->lock);
    bool tried = !session->fetching && wants_renewal(session, stale);
    if (tried)
        renew(session);
    if (are_good(&session->held->now, time(NULL)))
        *ret_credentials = session->held->now;
    else
        err = tried ? session->failure : refusal(session);
    (void)pthread_mutex_unlock(&session->lock);
    return err;
}
