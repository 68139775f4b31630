#include "config/otlp_url.h"

#include <stdio.h>

#include "base/cidr.h"
#include "base/num.h"

static const char traces_path[] = "/v1/traces";

/* The characters that a host, a port and a path of ours have: all others are a user, a query, or an escape. */
static bool is_plain(const char *rest)
{
    return rest[strspn(rest, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                             "-._~/:[]")] == 0;
}

/* The host of HOST[:PORT], without brackets; empty where there is none, or the port is no port. */
static struct span host_of(struct span authority)
{
    const struct span none = {0};
    const bool bracket = authority.len && authority.data[0] == '[';
    const uint8_t *end = NULL;
    if (authority.len)
        end = memchr(authority.data, bracket ? ']' : ':', authority.len);
    if (bracket && !end)
        return none;
    const size_t len = end ? (size_t)(end - authority.data) : authority.len;
    const size_t after = len + (bracket ? 1 : 0);
    const struct span port = span_of(authority.data + after, authority.len - after);
    uint64_t number = 0;
    if (port.len &&
        (port.data[0] != ':' || u64_parse(span_of(port.data + 1, port.len - 1), &number).code ||
         number == 0 || number > UINT16_MAX))
        return none;
    return bracket ? span_of(authority.data + 1, len - 1) : span_of(authority.data, len);
}

static bool is_loopback(struct span host)
{
    struct cidr range;
    return span_is(host, "localhost") ||
           (!cidr_parse(host, &range).code && cidr_is_loopback(range.address));
}

CC_ERR otlp_url(const char *endpoint, bool allow_plaintext, char ret_url[static OTLP_URL_SIZE])
{
    const bool tls = strncmp(endpoint, "https://", 8) == 0;
    if (!tls && strncmp(endpoint, "http://", 7) != 0)
        return CC_FAIL(CONFIG, "begins with neither https:// nor http://");
    const char *rest = endpoint + (tls ? 8 : 7);
    const struct span host = host_of(span_of(rest, strcspn(rest, "/")));
    size_t len = strlen(endpoint);
    if (!is_plain(rest) || host.len == 0)
        return CC_FAIL(CONFIG, "is not a URL of host, port and path");
    if (!tls && !allow_plaintext && !is_loopback(host))
        return CC_FAIL(CONFIG, "is in the clear: https:// elsewhere than on loopback, or "
                               "tracing.allow_plaintext");
    while (len && endpoint[len - 1] == '/')
        len--;
    const size_t suffix = sizeof traces_path - 1;
    if (len >= suffix && strncmp(endpoint + len - suffix, traces_path, suffix) == 0)
        return CC_FAIL(CONFIG, "is the collector's base URL: /v1/traces is appended to it");
    if (len + sizeof traces_path > OTLP_URL_SIZE)
        return CC_FAIL(CONFIG, "is too long");
    (void)snprintf(ret_url, OTLP_URL_SIZE, "%.*s%s", (int)len, endpoint, traces_path);
    return CC_OK;
}
