#include "aws/client.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/metric.h"

#include "crypto/random.h"
#include "secret/arena.h"
#include "secret/wipe.h"

enum {
    TRY_TIMEOUT_MS = 3000,
    CONNECT_TIMEOUT_MS = 1500,
    TRIES_MAX = 10,
    TRY_MIN_MS = 100, /* with less left, a further try would only hide why the last one failed */
    PAUSE_FIRST_MS = 25,
    PAUSE_MAX_MS = 1000,
    IDLE_WAIT_MS = 1000
};

struct aws_client {
    struct aws_session *session; /* borrowed */
    const struct aws_service *service;
    struct aws_client_options options;
    struct aws_pool *pool;
    struct aws_credentials *credentials; /* a locked region: of the tries that begin now */
    char url[AWS_ENDPOINT_MAX];
    char content_type[64];
    uint32_t running;
};

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
    return value ? value : otherwise;
}

CC_ERR aws_client_open(struct aws_session *session,
                       const struct aws_service *service,
                       const struct aws_client_options *options,
                       struct aws_client **ret_client)
{
    static const struct aws_client_options defaults = {0};
    const struct aws_client_options *o = options ? options : &defaults;
    struct aws_client *client = cc_alloc(sizeof *client);
    if (!client)
        return CC_FAIL(NO_MEMORY, NULL);
    *client = (struct aws_client){.session = session,
                                  .service = service,
                                  .options = {or_default(o->connections, AWS_CALLS_IN_FLIGHT),
                                              or_default(o->try_timeout_ms, TRY_TIMEOUT_MS),
                                              or_default(o->connect_timeout_ms, CONNECT_TIMEOUT_MS),
                                              or_default(o->tries_max, TRIES_MAX)}};
    (void)snprintf(client->content_type, sizeof client->content_type, "Content-Type: %s",
                   service->content_type);
    const struct aws_pool_options pool = {aws_session_ca_bundle(session),
                                          client->options.connections};
    void *region = NULL;
    cc_err err = aws_session_endpoint(session, service->name, client->url);
    if (!err.code)
        err = aws_pool_open(&pool, &client->pool);
    if (!err.code)
        err = secret_map(sizeof *client->credentials, &region);
    client->credentials = region;
    if (err.code) {
        aws_client_close(client);
        return err;
    }
    *ret_client = client;
    return CC_OK;
}

void aws_client_close(struct aws_client *client)
{
    if (!client)
        return;
    if (client->credentials)
        secret_unmap(client->credentials, sizeof *client->credentials);
    aws_pool_close(client->pool);
    cc_free(client);
}

const struct aws_session *aws_client_session(const struct aws_client *client)
{
    return client->session;
}

/* --- one call ---------------------------------------------------------------------------------------------------------- */

static uint32_t outcome_of(cc_err err)
{
    static const struct {
        enum error_code code;
        enum metric_outcome outcome;
    } outcomes[] = {{ERROR_NONE, METRIC_OUTCOME_OK},
                    {ERROR_AWS_REFUSED, METRIC_OUTCOME_REFUSED},
                    {ERROR_AWS_THROTTLED, METRIC_OUTCOME_THROTTLED},
                    {ERROR_AWS_UNREACHABLE, METRIC_OUTCOME_UNREACHABLE},
                    {ERROR_AWS_DENIED, METRIC_OUTCOME_DENIED},
                    {ERROR_AWS_CLOCK, METRIC_OUTCOME_CLOCK},
                    {ERROR_AWS_CREDENTIALS, METRIC_OUTCOME_CREDENTIALS}};
    for (size_t i = 0; i < ARRAY_LEN(outcomes); i++)
        if (error_is(err, outcomes[i].code))
            return outcomes[i].outcome;
    return METRIC_OUTCOME_OTHER;
}

static uint32_t service_label(const char *name)
{
    static const char *const names[] = {
        [METRIC_SERVICE_DYNAMODB] = "dynamodb", [METRIC_SERVICE_KMS] = "kms"};
    uint32_t i = 0;
    while (i < ARRAY_LEN(names) && strcmp(names[i], name) != 0)
        i++;
    return i;
}

static void count(const struct aws_client *client, const struct aws_call *call)
{
    const uint32_t service = service_label(client->service->name);
    metric_add(METRIC_AWS_CALLS, service, outcome_of(call->error), 1);
    metric_observe(METRIC_AWS_DURATION, service, clock_mono_ns() - call->began_ns);
}

static void end(const struct aws_client *client, struct aws_call *call, cc_err err)
{
    call->error = err;
    if (!err.code)
        call->detail = "";
    call->ended = true;
    call->running = false;
    count(client, call);
}

static void begin(const struct aws_client *client, struct aws_call *call, uint64_t now)
{
    call->error = CC_FAIL(AWS_UNREACHABLE, "no time for a first try");
    call->detail = error_detail();
    call->unsure = call->running = call->ended = call->renewed = false;
    call->tries = 0;
    call->status = 0;
    call->fault = (struct aws_fault){.class = AWS_FAULT_NONE};
    call->answer = buf_init(AWS_ANSWER_MAX);
    call->clock_ahead_s = 0;
    call->http = (struct aws_http){0};
    call->began_ns = clock_mono_ns();
    call->end_ms = now + call->deadline_ms;
    call->next_ms = now;
    (void)snprintf(call->target, sizeof call->target, "X-Amz-Target: %s.%s",
                   client->service->target_prefix, call->operation);
    (void)snprintf(call->in_region, sizeof call->in_region, "%.*s", (int)call->region.len,
                   (const char *)call->region.data);
    memcpy(call->url, client->url, sizeof call->url);
    if (call->region.len == 0)
        return;
    cc_err err = call->region.len < sizeof call->in_region
                     ? aws_session_endpoint_in(client->session, client->service->name,
                                               call->in_region, call->url)
                     : CC_FAIL(CONFIG, "the name of an AWS region is too long");
    if (!err.code)
        return;
    call->detail = error_detail();
    end(client, call, err);
}

/* Half of a pause that doubles is certain, half is chance: so those who failed together don't come back together. */
static uint32_t pause_ms(uint32_t tries)
{
    uint32_t longest = PAUSE_FIRST_MS;
    uint16_t chance = 0;
    for (uint32_t i = 1; i < tries && longest < PAUSE_MAX_MS; i++)
        longest *= 2;
    longest = longest < PAUSE_MAX_MS ? longest : PAUSE_MAX_MS;
    if (random_bytes(&chance, sizeof chance).code)
        return longest;
    return longest / 2 + (uint32_t)(chance % (longest / 2 + 1));
}

static void
again_or_end(const struct aws_client *client, struct aws_call *call, cc_err err, bool passing)
{
    call->detail = error_detail();
    uint64_t now = clock_mono_ms();
    bool renew = call->fault.class == AWS_FAULT_EXPIRED && !call->renewed;
    uint32_t pause = renew ? 0 : pause_ms(call->tries);
    if ((!passing && !renew) || call->tries >= client->options.tries_max ||
        (call->once && call->unsure) || now + pause + TRY_MIN_MS >= call->end_ms) {
        end(client, call, err);
        return;
    }
    if (renew)
        call->renewed = true;
    else
        call->key_id[0] = 0;
    call->running = false;
    call->next_ms = now + pause;
}

static void settle(struct aws_client *client, struct aws_call *call)
{
    client->running--;
    call->status = call->http.status;
    if (call->http.error.code) {
        call->unsure |= call->http.sent;
        aws_http_release(&call->http);
        call->fault = (struct aws_fault){.class = AWS_FAULT_NONE};
        again_or_end(client, call, call->http.error,
                     error_is(call->http.error, ERROR_AWS_UNREACHABLE));
        call->detail = call->http.detail; /* others may have failed since */
        return;
    }
    aws_fault_read(call->status, call->http.error_type, buf_span(&call->http.answer), &call->fault);
    buf_release(&call->answer);
    call->answer = call->http.answer;
    call->http.answer = buf_init(0);
    /* A service that reports its own trouble may have done what was asked all the same. */
    call->unsure |= call->fault.class == AWS_FAULT_BROKEN;
    if (call->fault.class == AWS_FAULT_CLOCK && call->http.server_time > 0)
        call->clock_ahead_s = time(NULL) - call->http.server_time;
    if (call->fault.class == AWS_FAULT_NONE)
        end(client, call, CC_OK);
    else
        again_or_end(client, call, aws_fault_error(&call->fault),
                     aws_fault_is_passing(call->fault.class));
}

static void start(struct aws_client *client, struct aws_call *call, uint64_t now)
{
    uint64_t left = call->end_ms - now;
    uint32_t limit = client->options.try_timeout_ms;
    uint32_t timeout = left < limit ? (uint32_t)left : limit;
    uint32_t connect = client->options.connect_timeout_ms;
    call->tries++;
    /* A renewed try passes the refused key's id, so that the session doesn't give it again. */
    cc_err err = aws_session_credentials(client->session, call->renewed ? call->key_id : "",
                                         client->credentials);
    if (err.code) {
        again_or_end(client, call, err, error_is(err, ERROR_AWS_UNREACHABLE));
        return;
    }
    (void)snprintf(call->key_id, sizeof call->key_id, "%s", client->credentials->key_id);
    aws_http_release(&call->http);
    call->http = (struct aws_http){
        .method = "POST",
        .url = call->url,
        .headers = {client->content_type, call->target},
        .body = call->body,
        .credentials = client->credentials,
        .region = call->in_region[0] ? call->in_region : aws_session_region(client->session),
        .service = client->service->name,
        .timeout_ms = timeout,
        .connect_timeout_ms = connect < timeout ? connect : timeout,
        .body_max = AWS_ANSWER_MAX};
    err = aws_pool_start(client->pool, &call->http);
    wipe(client->credentials, sizeof *client->credentials);
    if (err.code) {
        call->fault = (struct aws_fault){.class = AWS_FAULT_NONE};
        again_or_end(client, call, err, error_is(err, ERROR_AWS_UNREACHABLE));
        return;
    }
    call->running = true;
    client->running++;
}

/* --- many calls -------------------------------------------------------------------------------------------------------- */

/* Starts what is due; says in how many milliseconds there is more to start, and how many calls have not ended. */
static size_t
start_due(struct aws_client *client, struct aws_call *calls, size_t count, uint32_t *ret_wait)
{
    size_t open = 0;
    *ret_wait = IDLE_WAIT_MS;
    for (size_t i = 0; i < count; i++) {
        struct aws_call *call = &calls[i];
        uint64_t now = clock_mono_ms();
        if (!call->ended && !call->running && now >= call->end_ms)
            end(client, call, call->error);
        if (!call->ended && !call->running && call->next_ms <= now &&
            client->running < client->options.connections)
            start(client, call, now);
        open += !call->ended;
        if (call->ended || call->running)
            continue;
        /* Waits for its time, or for the end of another. */
        uint64_t until = call->next_ms > now ? call->next_ms : call->end_ms;
        uint32_t wait = until > now ? (uint32_t)(until - now) : 0;
        *ret_wait = wait < *ret_wait ? wait : *ret_wait;
    }
    return open;
}

static void give_up(struct aws_client *client, struct aws_call *calls, size_t count, cc_err err)
{
    const char *detail = error_detail();
    for (size_t i = 0; i < count; i++) {
        struct aws_call *call = &calls[i];
        if (call->running) {
            aws_pool_cancel(client->pool, &call->http);
            call->unsure |= call->http.sent;
            aws_http_release(&call->http);
            client->running--;
        }
        if (call->ended)
            continue;
        call->detail = detail;
        end(client, call, err);
    }
}

static void settle_done(struct aws_client *client, struct aws_call *calls, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (calls[i].running && calls[i].http.done)
            settle(client, &calls[i]);
}

static bool are_enough(const struct aws_call *calls, size_t count, size_t enough)
{
    size_t succeeded = 0;
    for (size_t i = 0; i < count; i++)
        succeeded += calls[i].ended && !calls[i].error.code;
    return succeeded >= enough;
}

CC_ERR aws_call_until(struct aws_client *client,
                      struct aws_call *calls,
                      size_t count,
                      size_t enough,
                      uint32_t grace_ms)
{
    uint64_t end_ms = 0; /* 0: there are not enough */
    uint32_t wait = 0;
    for (size_t i = 0; i < count; i++)
        begin(client, &calls[i], clock_mono_ms());
    while (start_due(client, calls, count, &wait) > 0) {
        uint64_t now = clock_mono_ms();
        if (!end_ms && are_enough(calls, count, enough))
            end_ms = now + grace_ms;
        if (end_ms && now >= end_ms) {
            give_up(client, calls, count,
                    CC_FAIL(AWS_UNREACHABLE, "given up, since others have answered"));
            return CC_OK;
        }
        if (end_ms && end_ms - now < wait)
            wait = (uint32_t)(end_ms - now);
        cc_err err = aws_pool_wait(client->pool, wait);
        if (err.code) {
            give_up(client, calls, count, err);
            return err;
        }
        settle_done(client, calls, count);
    }
    return CC_OK;
}

CC_ERR aws_call_many(struct aws_client *client, struct aws_call *calls, size_t count)
{
    return aws_call_until(client, calls, count, SIZE_MAX, 0);
}

CC_ERR aws_call(struct aws_client *client, struct aws_call *call)
{
    CC_TRY(aws_call_many(client, call, 1));
    return call->error;
}

void aws_call_release(struct aws_call *call)
{
    buf_release(&call->answer);
}
