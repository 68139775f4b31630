#include "config/egress.h"

#include <arpa/inet.h>
#include <stdio.h>

enum {
    LOOPBACK_NET = 127
};

/* The nth address after the first. All of 127.0.0.0/8 is this machine's, without any setting up. */
static cc_err address_of(const char *first, uint32_t index, char ret[static EGRESS_ADDRESS_SIZE])
{
    struct in_addr four;
    if (inet_pton(AF_INET, first, &four) != 1)
        return CC_FAIL(MALFORMED, "egress.listen_address is an IPv4 address");
    uint32_t number = ntohl(four.s_addr);
    uint32_t nth = number + index;
    if (number >> 24 != LOOPBACK_NET || nth >> 24 != LOOPBACK_NET || nth == 0x7fffffff)
        return CC_FAIL(MALFORMED, "egress.listen_address is a loopback address, 127.x.x.x, with "
                                  "room for all rows after it");
    four.s_addr = htonl(nth);
    return inet_ntop(AF_INET, &four, ret, EGRESS_ADDRESS_SIZE) ? CC_OK
                                                               : CC_FAIL(MALFORMED, "address");
}

/* HOST:PORT, as in tcp:HOST:PORT. */
static cc_err parse_host(struct span text, struct egress_route *route)
{
    char named[ENDPOINT_TEXT_SIZE];
    struct endpoint host;
    if (text.len + sizeof "tcp:" > sizeof named)
        return CC_FAIL(MALFORMED, "the host is too long");
    (void)snprintf(named, sizeof named, "tcp:%.*s", (int)text.len, (const char *)text.data);
    CC_TRY(endpoint_parse(span_str(named), &host));
    if (host.port == 0 || strchr(host.host, ':'))
        return CC_FAIL(MALFORMED, "a row begins with NAME:PORT or IPV4:PORT");
    memcpy(route->host, host.host, sizeof route->host);
    route->port = (uint16_t)host.port;
    return CC_OK;
}

/* TCP would be another network, which the forwarder has none of. */
static cc_err parse_to(struct span text, struct endpoint *ret_to)
{
    CC_TRY(endpoint_parse(text, ret_to));
    if (ret_to->kind == ENDPOINT_TCP)
        return CC_FAIL(MALFORMED, "a row leads to vsock:CID:PORT or unix:PATH");
    if (ret_to->kind == ENDPOINT_VSOCK && ret_to->cid == ENDPOINT_ANY_CID)
        return CC_FAIL(MALFORMED, "a row leads to one CID");
    return CC_OK;
}

CC_ERR
egress_route(const struct egress_config *config, uint32_t index, struct egress_route *ret_route)
{
    struct egress_route route = {0};
    struct span row = span_str(config->routes.items[index]);
    const uint8_t *equals = row.len ? memchr(row.data, '=', row.len) : NULL;
    if (!equals)
        return CC_FAIL(MALFORMED, "a row is HOST:PORT=ENDPOINT");
    size_t len = (size_t)(equals - row.data);
    CC_TRY(parse_host(span_of(row.data, len), &route));
    CC_TRY(parse_to(span_of(equals + 1, row.len - len - 1), &route.to));
    CC_TRY(address_of(config->listen_address, index, route.address));
    *ret_route = route;
    return CC_OK;
}

static bool is_for(const struct egress_route *route, const char *host, uint16_t port)
{
    return route->port == port && span_is_nocase(span_str(host), route->host);
}

CC_ERR egress_check(const struct egress_config *config, uint32_t *ret_wrong_row)
{
    for (uint32_t i = 0; i < config->routes.count; i++) {
        struct egress_route route, other;
        *ret_wrong_row = i;
        CC_TRY(egress_route(config, i, &route));
        for (uint32_t j = 0; j < i; j++) {
            CC_TRY(egress_route(config, j, &other));
            if (is_for(&other, route.host, route.port))
                return CC_FAIL(MALFORMED, "an earlier row has the same host and port");
        }
    }
    return CC_OK;
}

static struct {
    uint32_t count;
    struct egress_route routes[CONFIG_LIST_MAX];
} installed;

CC_ERR egress_install(const struct egress_config *config)
{
    installed.count = 0;
    for (uint32_t i = 0; i < config->routes.count && i < CONFIG_LIST_MAX; i++)
        CC_TRY(egress_route(config, i, &installed.routes[i]));
    installed.count = config->routes.count;
    return CC_OK;
}

bool egress_is_on(void)
{
    return installed.count > 0;
}

const char *egress_find(const char *host, uint16_t port)
{
    for (uint32_t i = 0; i < installed.count; i++)
        if (is_for(&installed.routes[i], host, port))
            return installed.routes[i].address;
    return NULL;
}
