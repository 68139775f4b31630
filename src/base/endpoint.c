#include "base/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/io.h"
#include "base/num.h"

enum {
    BACKLOG = 1024,
    LABEL_MAX = 63,
    NAME_MAX_LEN = 253
};

/* --- names --------------------------------------------------------------------------------------------------------------- */

/* A number has one spelling. */
static cc_err parse_number(struct span text, uint64_t max, uint32_t *ret_number)
{
    uint64_t value = 0;
    if (u64_parse(text, &value).code || value > max || (text.len > 1 && text.data[0] == '0'))
        return CC_FAIL(MALFORMED, "an endpoint's number is out of range, or not a number");
    *ret_number = (uint32_t)value;
    return CC_OK;
}

static bool is_small_letter_or_digit(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Labels of small letters, digits, hyphens and underscores, the last one not all digits: that would be an address. */
static bool is_name(struct span name)
{
    size_t label = 0;
    bool digits = true;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        if (c == '.') {
            if (label == 0 || name.data[i - 1] == '-')
                return false;
            label = 0;
            digits = true;
            continue;
        }
        bool inside = c == '_' || (c == '-' && label > 0);
        if ((!is_small_letter_or_digit(c) && !inside) || ++label > LABEL_MAX)
            return false;
        digits = digits && c >= '0' && c <= '9';
    }
    return label > 0 && !digits && name.data[name.len - 1] != '-' && name.len <= NAME_MAX_LEN;
}

/* One spelling: as the C library writes it. */
static bool is_canonical(int family, const char *host)
{
    uint8_t bytes[sizeof(struct in6_addr)];
    char again[INET6_ADDRSTRLEN];
    return inet_pton(family, host, bytes) == 1 && inet_ntop(family, bytes, again, sizeof again) &&
           strcmp(again, host) == 0;
}

static cc_err parse_host(struct span host, bool bracketed, struct endpoint *endpoint)
{
    if (host.len == 0 || host.len >= sizeof endpoint->host || memchr(host.data, 0, host.len))
        return CC_FAIL(MALFORMED, "an endpoint's host");
    memcpy(endpoint->host, host.data, host.len);
    endpoint->literal = is_canonical(bracketed ? AF_INET6 : AF_INET, endpoint->host);
    if (!endpoint->literal && (bracketed || !is_name(host)))
        return CC_FAIL(MALFORMED,
                       "an endpoint's host is a name in small letters, an IPv4 address, or an IPv6 "
                       "address in brackets");
    return CC_OK;
}

/* HOST:PORT, [ADDRESS]:PORT */
static cc_err parse_tcp(struct span text, struct endpoint *endpoint)
{
    bool bracketed = text.len && text.data[0] == '[';
    const uint8_t *end = text.len ? memchr(text.data, bracketed ? ']' : ':', text.len) : NULL;
    size_t colon = end ? (size_t)(end - text.data) + bracketed : text.len;
    if (colon >= text.len || text.data[colon] != ':')
        return CC_FAIL(MALFORMED, "tcp:HOST:PORT");
    CC_TRY(parse_host(span_of(text.data + bracketed, colon - 2U * bracketed), bracketed, endpoint));
    return parse_number(span_of(text.data + colon + 1, text.len - colon - 1), UINT16_MAX,
                        &endpoint->port);
}

static cc_err parse_unix(struct span path, struct endpoint *endpoint)
{
    if (path.len < 2 || path.data[0] != '/' ||
        path.len >= sizeof((struct sockaddr_un *)0)->sun_path)
        return CC_FAIL(MALFORMED, "unix:/PATH, an absolute path of at most 107 bytes");
    for (size_t i = 0; i < path.len; i++)
        if (path.data[i] < ' ' || path.data[i] == 0x7f)
            return CC_FAIL(MALFORMED, "a control character in a path");
    memcpy(endpoint->host, path.data, path.len);
    return CC_OK;
}

/* CID 0 is the hypervisor's and reserved; the highest numbers mean `any`. */
static cc_err parse_vsock(struct span text, struct endpoint *endpoint)
{
    const uint8_t *colon = text.len ? memchr(text.data, ':', text.len) : NULL;
    if (!colon)
        return CC_FAIL(MALFORMED, "vsock:CID:PORT");
    struct span cid = span_of(text.data, (size_t)(colon - text.data));
    if (span_is(cid, "any"))
        endpoint->cid = ENDPOINT_ANY_CID;
    else
        CC_TRY(parse_number(cid, ENDPOINT_ANY_CID - 1, &endpoint->cid));
    CC_TRY(parse_number(span_of(colon + 1, text.len - cid.len - 1), VMADDR_PORT_ANY - 1,
                        &endpoint->port));
    if (endpoint->cid == 0 || endpoint->port == 0)
        return CC_FAIL(MALFORMED, "a vsock endpoint's numbers begin with 1");
    return CC_OK;
}

CC_ERR endpoint_cid(struct span text, uint32_t *ret_cid)
{
    static const char scheme[] = "vsock:";
    uint32_t cid = 0;
    if (text.len < sizeof scheme || !span_is(span_of(text.data, sizeof scheme - 1), scheme))
        return CC_FAIL(MALFORMED, "vsock:CID");
    CC_TRY(parse_number(span_of(text.data + sizeof scheme - 1, text.len - sizeof scheme + 1),
                        ENDPOINT_ANY_CID - 1, &cid));
    if (cid == 0)
        return CC_FAIL(MALFORMED, "a CID begins with 1");
    *ret_cid = cid;
    return CC_OK;
}

static const struct scheme {
    const char *name;
    enum endpoint_kind kind;
    cc_err (*parse)(struct span rest, struct endpoint *endpoint);
} schemes[] = {
    {"tcp:", ENDPOINT_TCP, parse_tcp},
    {"unix:", ENDPOINT_UNIX, parse_unix},
    {"vsock:", ENDPOINT_VSOCK, parse_vsock},
};

CC_ERR endpoint_parse(struct span text, struct endpoint *ret_endpoint)
{
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        const struct scheme *scheme = &schemes[i];
        size_t len = strlen(scheme->name);
        if (text.len < len || !span_is(span_of(text.data, len), scheme->name))
            continue;
        struct endpoint endpoint = {.kind = scheme->kind};
        CC_TRY(scheme->parse(span_of(text.data + len, text.len - len), &endpoint));
        *ret_endpoint = endpoint;
        return CC_OK;
    }
    return CC_FAIL(MALFORMED, "an endpoint begins with tcp:, unix: or vsock:");
}

void endpoint_text(const struct endpoint *endpoint, char ret_text[static ENDPOINT_TEXT_SIZE])
{
    bool six = endpoint->literal && strchr(endpoint->host, ':');
    switch (endpoint->kind) {
    case ENDPOINT_TCP:
        (void)snprintf(ret_text, ENDPOINT_TEXT_SIZE, "tcp:%s%s%s:%u", six ? "[" : "",
                       endpoint->host, six ? "]" : "", endpoint->port);
        return;
    case ENDPOINT_UNIX:
        (void)snprintf(ret_text, ENDPOINT_TEXT_SIZE, "unix:%s", endpoint->host);
        return;
    case ENDPOINT_VSOCK:
        if (endpoint->cid == ENDPOINT_ANY_CID)
            (void)snprintf(ret_text, ENDPOINT_TEXT_SIZE, "vsock:any:%u", endpoint->port);
        else
            (void)snprintf(ret_text, ENDPOINT_TEXT_SIZE, "vsock:%u:%u", endpoint->cid,
                           endpoint->port);
        return;
    }
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
    return a->kind == b->kind && a->cid == b->cid && a->port == b->port &&
           strcmp(a->host, b->host) == 0;
}

/* --- sockets ------------------------------------------------------------------------------------------------------------- */

static void put_tcp(const struct endpoint *endpoint, struct endpoint_address *address)
{
    struct sockaddr_in6 *six = (void *)&address->storage;
    struct sockaddr_in *four = (void *)&address->storage;
    if (inet_pton(AF_INET6, endpoint->host, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons((uint16_t)endpoint->port);
        address->len = sizeof *six;
        return;
    }
    four->sin_family = AF_INET;
    four->sin_port = htons((uint16_t)endpoint->port);
    (void)inet_pton(AF_INET, endpoint->host, &four->sin_addr);
    address->len = sizeof *four;
}

CC_ERR endpoint_address(const struct endpoint *endpoint, struct endpoint_address *ret_address)
{
    struct endpoint_address address = {0};
    struct sockaddr_un *local = (void *)&address.storage;
    struct sockaddr_vm *vm = (void *)&address.storage;
    switch (endpoint->kind) {
    case ENDPOINT_TCP:
        if (!endpoint->literal)
            return CC_FAIL(MALFORMED, "the endpoint's host is a name, not an address");
        put_tcp(endpoint, &address);
        break;
    case ENDPOINT_UNIX:
        if (strlen(endpoint->host) >= sizeof local->sun_path)
            return CC_FAIL(LIMIT, "path of the Unix socket");
        local->sun_family = AF_UNIX;
        memcpy(local->sun_path, endpoint->host, strlen(endpoint->host));
        address.len = sizeof *local;
        break;
    case ENDPOINT_VSOCK:
        vm->svm_family = AF_VSOCK;
        vm->svm_cid = endpoint->cid;
        vm->svm_port = endpoint->port;
        address.len = sizeof *vm;
        break;
    }
    *ret_address = address;
    return CC_OK;
}

/* A socket file of a process that has ended may be replaced; anything else may not. */
static cc_err clear_stale(const struct endpoint_address *address, const char *path)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return CC_OK;
    if (!S_ISSOCK(st.st_mode))
        return CC_FAIL(EXISTS, "the path of the Unix socket is taken by a file");
    CC_CLEANUP(fd_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return CC_FAIL(SYSTEM, "socket");
    if (connect(fd, (const struct sockaddr *)&address->storage, address->len) == 0 ||
        errno != ECONNREFUSED)
        return CC_FAIL(LOCKED, "the Unix socket is in use");
    return unlink(path) == 0 ? CC_OK : CC_FAIL(SYSTEM, "the old Unix socket stays");
}

static int open_socket(const struct endpoint_address *address)
{
    return socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* The file never has a wider mode, not even for a moment. */
static int bind_with_mode(int fd, const struct endpoint_address *address, mode_t mode)
{
    mode_t before = umask(0777 & ~mode);
    int bound = bind(fd, (const struct sockaddr *)&address->storage, address->len);
    int why = errno;
    (void)umask(before);
    errno = why;
    return bound;
}

CC_ERR endpoint_listen(const struct endpoint *endpoint, mode_t mode, int *ret_fd)
{
    struct endpoint_address address;
    CC_TRY(endpoint_address(endpoint, &address));
    if (endpoint->kind == ENDPOINT_UNIX)
        CC_TRY(clear_stale(&address, endpoint->host));
    CC_CLEANUP(fd_closep) int fd = open_socket(&address);
    int on = 1;
    if (fd < 0)
        return CC_FAIL(SYSTEM,
                       endpoint->kind == ENDPOINT_VSOCK ? "this machine has no vsock" : "socket");
    if (endpoint->kind == ENDPOINT_TCP &&
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
        return CC_FAIL(SYSTEM, "socket");
    if (bind_with_mode(fd, &address, mode) != 0)
        return CC_FAIL(SYSTEM, errno == EADDRINUSE ? "the port is in use" : "bind");
    if (listen(fd, BACKLOG) != 0)
        return CC_FAIL(SYSTEM, "listen");
    *ret_fd = fd;
    fd = -1;
    return CC_OK;
}

uint16_t endpoint_port_of(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        return 0;
    if (address.ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)(const void *)&address)->sin_port);
    if (address.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)(const void *)&address)->sin6_port);
    return 0;
}

CC_ERR endpoint_connect(const struct endpoint_address *address, int *ret_fd)
{
    CC_CLEANUP(fd_closep) int fd = open_socket(address);
    if (fd < 0)
        return errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM
                   ? CC_FAIL(BUSY, "no descriptor or memory for a socket")
                   : CC_FAIL(SYSTEM, "socket");
    /* A Unix socket whose queue is full says EAGAIN, and would never become writable. */
    if (connect(fd, (const struct sockaddr *)&address->storage, address->len) != 0 &&
        errno != EINPROGRESS)
        return errno == EAGAIN ? CC_FAIL(BUSY, "the listener's queue is full")
                               : CC_FAIL(IO, "no connection");
    *ret_fd = fd;
    fd = -1;
    return CC_OK;
}

CC_ERR endpoint_connected(int fd)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0)
        return CC_FAIL(IO, "no connection");
    return CC_OK;
}
