/* PROXY protocol, version 2 (haproxy's proxy-protocol.txt, 2.2): for whom a connection is. */
#include <netinet/in.h>

#include "net/forward_inside.h"

enum {
    HEAD = 16,
    VERSION_LOCAL = 0x20, /* our own, or one that has no address */
    VERSION_PROXY = 0x21,
    TCP_OVER_IPV4 = 0x11,
    TCP_OVER_IPV6 = 0x21
};

static const uint8_t signature[12] = "\r\n\r\n\0\r\nQUIT\n";

static size_t put(uint8_t *at, const void *bytes, size_t len)
{
    memcpy(at, bytes, len);
    return len;
}

static size_t put_four(uint8_t *at, const struct sockaddr_in *from, const struct sockaddr_in *to)
{
    size_t n = put(at, &from->sin_addr, sizeof from->sin_addr);
    n += put(at + n, &to->sin_addr, sizeof to->sin_addr);
    n += put(at + n, &from->sin_port, sizeof from->sin_port);
    return n + put(at + n, &to->sin_port, sizeof to->sin_port);
}

static size_t put_six(uint8_t *at, const struct sockaddr_in6 *from, const struct sockaddr_in6 *to)
{
    size_t n = put(at, &from->sin6_addr, sizeof from->sin6_addr);
    n += put(at + n, &to->sin6_addr, sizeof to->sin6_addr);
    n += put(at + n, &from->sin6_port, sizeof from->sin6_port);
    return n + put(at + n, &to->sin6_port, sizeof to->sin6_port);
}

size_t client_header(int fd,
                     const struct endpoint_address *from,
                     uint8_t ret_header[static CLIENT_HEADER_MAX])
{
    struct sockaddr_storage to = {0};
    socklen_t len = sizeof to;
    bool known = getsockname(fd, (struct sockaddr *)&to, &len) == 0 &&
                 to.ss_family == from->storage.ss_family;
    size_t rest = 0;
    memset(ret_header, 0, CLIENT_HEADER_MAX);
    memcpy(ret_header, signature, sizeof signature);
    ret_header[12] = VERSION_LOCAL;
    if (known && to.ss_family == AF_INET)
        rest = put_four(ret_header + HEAD, (const void *)&from->storage, (const void *)&to);
    else if (known && to.ss_family == AF_INET6)
        rest = put_six(ret_header + HEAD, (const void *)&from->storage, (const void *)&to);
    if (rest) {
        ret_header[12] = VERSION_PROXY;
        ret_header[13] = to.ss_family == AF_INET ? TCP_OVER_IPV4 : TCP_OVER_IPV6;
    }
    ret_header[15] = (uint8_t)rest;
    return HEAD + rest;
}
