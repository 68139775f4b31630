#include "aws/resolve.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/num.h"
#include "base/span.h"

#include "config/egress.h"

static bool is_address(const char *host)
{
    struct in6_addr address;
    return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

/* Letters, digits, and what names and addresses have between them. */
static bool is_host(struct span host)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:";
    for (size_t i = 0; i < host.len; i++)
        if (host.data[i] == 0 || !strchr(allowed, host.data[i]))
            return false;
    return host.len > 0 && host.len < AWS_HOST_MAX;
}

static bool is_path(const char *path)
{
    if (path[0] != 0 && path[0] != '/' && path[0] != '?')
        return false;
    for (; *path; path++)
        if (*path <= ' ' || *path > '~' || *path == '#')
            return false;
    return true;
}

static cc_err parse_port(struct span text, struct aws_url *url)
{
    uint64_t port = 0;
    if (u64_parse(text, &port).code || port == 0 || port > UINT16_MAX)
        return CC_FAIL(MALFORMED, "a URL's port");
    url->port = (uint16_t)port;
    return CC_OK;
}

/* HOST, HOST:PORT, [ADDRESS], [ADDRESS]:PORT */
static cc_err parse_authority(struct span text, struct aws_url *url)
{
    bool bracket = text.len && text.data[0] == '[';
    const uint8_t *end = text.len ? memchr(text.data, bracket ? ']' : ':', text.len) : NULL;
    if (bracket && !end)
        return CC_FAIL(MALFORMED, "a URL's address in brackets");
    size_t host_end = end ? (size_t)(end - text.data) : text.len;
    struct span host = span_of(text.data + bracket, host_end - bracket);
    struct span port = span_of(text.data + host_end + bracket, text.len - host_end - bracket);
    if (!is_host(host))
        return CC_FAIL(MALFORMED, "a URL's host");
    memcpy(url->host, host.data, host.len);
    url->literal = is_address(url->host);
    if (bracket != (strchr(url->host, ':') != NULL) || (bracket && !url->literal))
        return CC_FAIL(MALFORMED, "a URL's address in brackets");
    url->port = url->tls ? 443 : 80;
    if (port.len == 0)
        return CC_OK;
    if (port.data[0] != ':')
        return CC_FAIL(MALFORMED, "a URL's port");
    return parse_port(span_of(port.data + 1, port.len - 1), url);
}

CC_ERR aws_url_parse(const char *text, struct aws_url *ret_url)
{
    struct aws_url url = {.tls = strncmp(text, "https://", 8) == 0};
    if (!url.tls && strncmp(text, "http://", 7) != 0)
        return CC_FAIL(MALFORMED, "a URL begins with http:// or https://");
    text += url.tls ? 8 : 7;
    size_t len = strcspn(text, "/?#");
    url.path = text + len;
    if (!is_path(url.path))
        return CC_FAIL(MALFORMED, "a URL's path");
    CC_TRY(parse_authority(span_of(text, len), &url));
    *ret_url = url;
    return CC_OK;
}

/* curl wants IPv6 in brackets here. An address that no longer fits is left out. */
static void add_address(char *text, size_t room, const struct addrinfo *info)
{
    char address[INET6_ADDRSTRLEN + 2];
    bool six = info->ai_family == AF_INET6;
    const void *from =
        six ? (const void *)&((const struct sockaddr_in6 *)(const void *)info->ai_addr)->sin6_addr
            : (const void *)&((const struct sockaddr_in *)(const void *)info->ai_addr)->sin_addr;
    if (!inet_ntop(info->ai_family, from, address, sizeof address))
        return;
    size_t len = strlen(text);
    bool first = len == 0 || text[len - 1] == ':';
    if (len + strlen(address) + 4 < room)
        (void)snprintf(text + len, room - len, "%s%s%s%s", first ? "" : ",", six ? "[" : "",
                       address, six ? "]" : "");
}

static cc_err look_up(struct aws_addresses *addresses, const struct aws_url *url)
{
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *found = NULL;
    if (getaddrinfo(url->host, NULL, &hints, &found) != 0)
        return CC_FAIL(AWS_UNREACHABLE, "the service's name has no address");
    (void)snprintf(addresses->text, sizeof addresses->text, "%s:%u:", url->host, url->port);
    size_t empty = strlen(addresses->text);
    for (const struct addrinfo *at = found; at; at = at->ai_next)
        if (at->ai_family == AF_INET || at->ai_family == AF_INET6)
            add_address(addresses->text, sizeof addresses->text, at);
    freeaddrinfo(found);
    return addresses->text[empty] ? CC_OK
                                  : CC_FAIL(AWS_UNREACHABLE, "the service's name has no address");
}

/* Where the way out is laid down: the forwarder's address, in the place of whatever the host's own may be. */
static cc_err take_egress(struct aws_addresses *addresses, const struct aws_url *url)
{
    const char *address = egress_find(url->host, url->port);
    *addresses = (struct aws_addresses){.port = url->port};
    if (!address && !url->literal)
        return CC_FAIL(AWS_UNREACHABLE, "egress.routes has no row for the service's host and port");
    if (address)
        (void)snprintf(addresses->text, sizeof addresses->text, "%s:%u:%s", url->host, url->port,
                       address);
    return CC_OK;
}

CC_ERR aws_addresses_refresh(struct aws_addresses *addresses, const struct aws_url *url)
{
    if (egress_is_on())
        return take_egress(addresses, url);
    bool same = addresses->port == url->port && strcmp(addresses->host, url->host) == 0;
    uint64_t now = clock_mono_ms();
    if (url->literal) {
        *addresses = (struct aws_addresses){.port = url->port};
        return CC_OK;
    }
    if (same && addresses->resolved_ms && now - addresses->resolved_ms < AWS_RESOLVE_AGE_MS)
        return CC_OK;
    struct aws_addresses fresh = {.port = url->port, .resolved_ms = now};
    (void)snprintf(fresh.host, sizeof fresh.host, "%s", url->host);
    cc_err err = look_up(&fresh, url);
    if (!err.code) {
        *addresses = fresh;
        return CC_OK;
    }
    if (!same)
        return err;
    addresses->resolved_ms = now; /* not again for every request */
    return CC_OK;
}
