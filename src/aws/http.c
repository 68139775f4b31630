#include "aws/http.h"

#include <stdio.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/clock.h"

#include "aws/resolve.h"
#include "net/curl.h"
#include "secret/wipe.h"

enum {
    RESPONSE_HEADERS_MAX = 65536,
    HEADER_MAX = AWS_TOKEN_MAX + 64
};

struct aws_pool {
    CURLM *multi;
    CURL **idle; /* handles of finished exchanges, for the next ones */
    uint32_t idle_count;
    uint32_t idle_room;
    struct aws_addresses addresses;
    struct curl_blob ca_bundle;
    /* Of one request's header, which curl copies. */
    char header[HEADER_MAX];
};

/* --- the pool ---------------------------------------------------------------------------------------------------------- */

CC_ERR aws_pool_open(const struct aws_pool_options *options, struct aws_pool **ret_pool)
{
    CC_TRY(net_curl_begin());
    struct aws_pool *pool = cc_alloc(sizeof *pool);
    CURL **idle = cc_alloc_array(options->connections_max, sizeof *idle);
    CURLM *multi = curl_multi_init();
    if (!pool || !idle || !multi) {
        (void)curl_multi_cleanup(multi);
        cc_free(idle);
        cc_free(pool);
        return CC_FAIL(NO_MEMORY, NULL);
    }
    *pool = (struct aws_pool){.multi = multi, .idle = idle, .idle_room = options->connections_max};
    pool->ca_bundle = (struct curl_blob){(void *)(uintptr_t)options->ca_bundle.data,
                                         options->ca_bundle.len, CURL_BLOB_NOCOPY};
    (void)curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)options->connections_max);
    (void)curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)options->connections_max);
    (void)curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    *ret_pool = pool;
    return CC_OK;
}

void aws_pool_close(struct aws_pool *pool)
{
    if (!pool)
        return;
    for (uint32_t i = 0; i < pool->idle_count; i++)
        curl_easy_cleanup(pool->idle[i]);
    (void)curl_multi_cleanup(pool->multi);
    wipe(pool->header, sizeof pool->header);
    cc_free(pool->idle);
    cc_free(pool);
}

/* --- one exchange ------------------------------------------------------------------------------------------------------ */

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
    struct aws_http *http = context;
    http->error = buf_append(&http->answer, data, size * count);
    return http->error.code ? 0 : size * count;
}

static struct span header_value(struct span line, const char *name)
{
    size_t len = strlen(name);
    if (line.len <= len || line.data[len] != ':' ||
        strncasecmp((const char *)line.data, name, len) != 0)
        return (struct span){0};
    struct span value = span_of(line.data + len + 1, line.len - len - 1);
    while (value.len && value.data[0] == ' ')
        value = span_of(value.data + 1, value.len - 1);
    while (value.len && value.data[value.len - 1] <= ' ')
        value.len--;
    return value;
}

static void take_date(struct aws_http *http, struct span value)
{
    char text[64];
    if (value.len == 0 || value.len >= sizeof text)
        return;
    memcpy(text, value.data, value.len);
    text[value.len] = 0;
    http->server_time = curl_getdate(text, NULL);
}

static size_t take_header(char *data, size_t size, size_t count, void *context)
{
    struct aws_http *http = context;
    struct span line = span_of(data, size * count);
    struct span type = header_value(line, "x-amzn-errortype");
    if (type.len && type.len < sizeof http->error_type) {
        memcpy(http->error_type, type.data, type.len);
        http->error_type[type.len] = 0;
    }
    take_date(http, header_value(line, "date"));
    return size * count;
}

/* curl sends a request again by itself when a kept connection turns out to be dead. Whether the first one was carried out
 * is then unknown, and only the caller knows what that means: so the second one is not sent.
 */
static int before_request(void *context, char *remote, char *local, int remote_port, int local_port)
{
    struct aws_http *http = context;
    (void)remote, (void)local, (void)remote_port, (void)local_port;
    if (http->sent)
        return CURL_PREREQFUNC_ABORT;
    http->sent = true;
    return CURL_PREREQFUNC_OK;
}

static cc_err add_line(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (!longer)
        return CC_FAIL(NO_MEMORY, NULL);
    *list = longer;
    return CC_OK;
}

static cc_err add_headers(struct aws_pool *pool, struct aws_http *http, struct curl_slist **list)
{
    for (size_t i = 0; i < AWS_HTTP_HEADERS_MAX && http->headers[i]; i++)
        CC_TRY(add_line(list, http->headers[i]));
    if (!http->credentials || !http->credentials->session_token[0])
        return CC_OK;
    (void)snprintf(pool->header, sizeof pool->header, "X-Amz-Security-Token: %s",
                   http->credentials->session_token);
    cc_err err = add_line(list, pool->header);
    wipe(pool->header, sizeof pool->header);
    return err;
}

static CURLcode set_method(CURL *curl, const struct aws_http *http)
{
    if (strcmp(http->method, "GET") == 0)
        return curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    CURLcode code = curl_easy_setopt(curl, CURLOPT_POST, 1L);
    if (!code)
        code = curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)http->body.len);
    if (!code)
        code = curl_easy_setopt(curl, CURLOPT_POSTFIELDS,
                                http->body.len ? (const char *)http->body.data : "");
    if (!code && strcmp(http->method, "POST") != 0)
        code = curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, http->method);
    return code;
}

/* Always with region and service: what curl guesses from the host's name is wrong for an endpoint of one's own. */
static CURLcode set_signature(CURL *curl, const struct aws_http *http)
{
    char provider[160];
    if (!http->credentials)
        return CURLE_OK;
    (void)snprintf(provider, sizeof provider, "aws:amz:%s:%s", http->region, http->service);
    CURLcode code = curl_easy_setopt(curl, CURLOPT_AWS_SIGV4, provider);
    if (!code)
        code = curl_easy_setopt(curl, CURLOPT_USERNAME, http->credentials->key_id);
    if (!code)
        code = curl_easy_setopt(curl, CURLOPT_PASSWORD, http->credentials->secret_key);
    return code;
}

#define SET(option, value) NET_CURL_SET(curl, option, value)

static CURLcode set_safety(CURL *curl, const struct aws_pool *pool, bool tls)
{
    if (pool->ca_bundle.len)
        SET(CURLOPT_CAINFO_BLOB, (struct curl_blob *)(uintptr_t)&pool->ca_bundle);
    return net_curl_set_safety(curl, tls);
}

static CURLcode set_callbacks(CURL *curl, struct aws_http *http)
{
    SET(CURLOPT_PRIVATE, http);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, http);
    SET(CURLOPT_HEADERFUNCTION, take_header);
    SET(CURLOPT_HEADERDATA, http);
    SET(CURLOPT_PREREQFUNCTION, before_request);
    SET(CURLOPT_PREREQDATA, http);
    return CURLE_OK;
}

static CURLcode set_exchange(CURL *curl, struct aws_pool *pool, struct aws_http *http, bool tls)
{
    SET(CURLOPT_URL, http->url);
    SET(CURLOPT_HTTPHEADER, (struct curl_slist *)http->list);
    SET(CURLOPT_RESOLVE, (struct curl_slist *)http->addresses);
    SET(CURLOPT_TIMEOUT_MS, (long)http->timeout_ms);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)http->connect_timeout_ms);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_TCP_NODELAY, 1L);
    SET(CURLOPT_EXPECT_100_TIMEOUT_MS, 1L);
    CURLcode code = set_safety(curl, pool, tls);
    if (!code)
        code = set_callbacks(curl, http);
    if (!code)
        code = set_method(curl, http);
    return code ? code : set_signature(curl, http);
}

static CURL *take_handle(struct aws_pool *pool)
{
    return pool->idle_count ? pool->idle[--pool->idle_count] : curl_easy_init();
}

static void give_handle(struct aws_pool *pool, struct aws_http *http)
{
    curl_easy_reset(http->handle); /* forgets the credentials too */
    if (pool->idle_count < pool->idle_room)
        pool->idle[pool->idle_count++] = http->handle;
    else
        curl_easy_cleanup(http->handle);
    curl_slist_free_all(http->list);
    curl_slist_free_all(http->addresses);
    http->handle = http->list = http->addresses = NULL;
}

static cc_err prepare(struct aws_pool *pool, struct aws_http *http)
{
    struct aws_url url;
    struct curl_slist *list = NULL;
    CC_TRY(aws_url_parse(http->url, &url));
    CC_TRY(aws_addresses_refresh(&pool->addresses, &url));
    if (pool->addresses.text[0])
        CC_TRY(add_line(&list, pool->addresses.text));
    http->addresses = list;
    list = NULL;
    cc_err err = add_headers(pool, http, &list);
    http->list = list;
    CC_TRY(err);
    CURLcode code = set_exchange(http->handle, pool, http, url.tls);
    if (code != CURLE_OK)
        return code == CURLE_OUT_OF_MEMORY ? CC_FAIL(NO_MEMORY, NULL)
                                           : CC_FAIL(SYSTEM, "libcurl: option");
    return curl_multi_add_handle(pool->multi, http->handle) == CURLM_OK
               ? CC_OK
               : CC_FAIL(SYSTEM, "libcurl");
}

CC_ERR aws_pool_start(struct aws_pool *pool, struct aws_http *http)
{
    aws_http_release(http);
    http->done = http->sent = false;
    http->error = CC_OK;
    http->detail = "";
    http->status = 0;
    http->error_type[0] = 0;
    http->server_time = -1;
    http->answer = buf_init(http->body_max);
    http->pool = pool;
    http->handle = take_handle(pool);
    if (!http->handle)
        return CC_FAIL(NO_MEMORY, NULL);
    cc_err err = prepare(pool, http);
    if (err.code)
        give_handle(pool, http);
    return err;
}

static cc_err error_of(const struct aws_http *http, CURLcode code)
{
    switch ((int)code) {
    case CURLE_OK:
        return CC_OK;
    case CURLE_WRITE_ERROR:
        return http->error.code ? http->error
                                : CC_FAIL(AWS_UNREACHABLE, "the answer was cut short");
    case CURLE_OUT_OF_MEMORY:
        return CC_FAIL(NO_MEMORY, NULL);
    case CURLE_OPERATION_TIMEDOUT:
        return CC_FAIL(AWS_UNREACHABLE, http->sent ? "no answer in time" : "no connection in time");
    case CURLE_PEER_FAILED_VERIFICATION:
        return CC_FAIL(AWS_UNREACHABLE,
                       "the server's certificate is not trusted, or is another name's");
    case CURLE_SSL_CACERT_BADFILE:
        return CC_FAIL(AWS_UNREACHABLE, "the bundle of trusted certificates can't be read");
    case CURLE_SSL_CONNECT_ERROR:
        return CC_FAIL(AWS_UNREACHABLE, "the TLS handshake failed");
    case CURLE_COULDNT_CONNECT:
        return CC_FAIL(AWS_UNREACHABLE, "no connection");
    default:
        return CC_FAIL(AWS_UNREACHABLE, "the connection broke");
    }
}

static void finish(struct aws_pool *pool, CURL *curl, CURLcode code)
{
    struct aws_http *http = NULL;
    long status = 0;
    (void)curl_easy_getinfo(curl, CURLINFO_PRIVATE, &http);
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    cc_assert(http && http->handle == curl);
    http->status = (int)status;
    http->error = error_of(http, code);
    http->detail = http->error.code ? error_detail() : "";
    if (http->error.code && !http->sent)
        aws_addresses_doubt(&pool->addresses);
    (void)curl_multi_remove_handle(pool->multi, curl);
    give_handle(pool, http);
    http->done = true;
}

static bool collect(struct aws_pool *pool)
{
    int left = 0;
    bool any = false;
    for (CURLMsg *message = curl_multi_info_read(pool->multi, &left); message;
         message = curl_multi_info_read(pool->multi, &left)) {
        if (message->msg != CURLMSG_DONE)
            continue;
        finish(pool, message->easy_handle, message->data.result);
        any = true;
    }
    return any;
}

CC_ERR aws_pool_wait(struct aws_pool *pool, uint32_t wait_ms)
{
    uint64_t end = clock_mono_ms() + wait_ms;
    for (;;) {
        int running = 0;
        if (curl_multi_perform(pool->multi, &running) != CURLM_OK)
            return CC_FAIL(SYSTEM, "libcurl: perform");
        uint64_t now = clock_mono_ms();
        if (collect(pool) || now >= end)
            return CC_OK;
        if (curl_multi_poll(pool->multi, NULL, 0, (int)(end - now), NULL) != CURLM_OK)
            return CC_FAIL(SYSTEM, "libcurl: poll");
    }
}

void aws_pool_cancel(struct aws_pool *pool, struct aws_http *http)
{
    if (http->done || !http->handle)
        return;
    (void)curl_multi_remove_handle(pool->multi, http->handle);
    give_handle(pool, http);
    http->done = true;
    http->error = CC_FAIL(AWS_UNREACHABLE, "given up");
    http->detail = error_detail();
}

CC_ERR aws_pool_run(struct aws_pool *pool, struct aws_http *http)
{
    CC_TRY(aws_pool_start(pool, http));
    while (!http->done) {
        cc_err err = aws_pool_wait(pool, http->timeout_ms);
        if (err.code) {
            aws_pool_cancel(pool, http);
            return err;
        }
    }
    return http->error;
}

void aws_http_release(struct aws_http *http)
{
    buf_release(&http->answer);
}
