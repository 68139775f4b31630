#include "cli/signer_client.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cidr.h"
#include "base/io.h"
#include "base/num.h"

#include "cli/signed_headers.h"
#include "cli/signer_attested.h"
#include "codec/hex.h"
#include "net/tls_line.h"
#include "secret/wipe.h"

enum {
    HEAD_MAX = 4096
};

_Static_assert(SIGNER_PATH_MAX == sizeof(((struct sockaddr_un *)0)->sun_path), "a socket's path");

static cc_err percent_decode(const char *text, char ret_path[static SIGNER_PATH_MAX])
{
    size_t n = 0;
    for (const char *p = text; *p; p++) {
        uint8_t byte = (uint8_t)*p;
        if (*p == '%') {
            if (hex_decode(span_of(p + 1, strnlen(p + 1, 2)), &byte, 1).code || byte == 0)
                return CC_FAIL(MALFORMED, "percent-encoding");
            p += 2;
        }
        if (n + 1 >= SIGNER_PATH_MAX)
            return CC_FAIL(MALFORMED, "the path is too long for a socket");
        ret_path[n++] = (char)byte;
    }
    ret_path[n] = 0;
    return CC_OK;
}

static bool skip(const char **text, const char *prefix)
{
    size_t len = strlen(prefix);
    if (strncmp(*text, prefix, len) != 0)
        return false;
    *text += len;
    return true;
}

/* --- where ---------------------------------------------------------------------------------------- */

static bool is_host_text(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!alnum && c != '.' && c != '-' && c != '_' && c != ':')
            return false;
    }
    return text.len > 0;
}

static cc_err take_port(struct span text, struct signer *signer)
{
    uint64_t port = signer->tls ? 443 : 80;
    if (text.len &&
        (text.data[0] != ':' || text.len > sizeof signer->port ||
         u64_parse(span_of(text.data + 1, text.len - 1), &port).code || port == 0 || port > 65535))
        return CC_FAIL(MALFORMED, "the URL's port");
    (void)snprintf(signer->port, sizeof signer->port, "%u", (unsigned)port);
    return CC_OK;
}

/* host[:port][/] */
static cc_err take_authority(const char *text, struct signer *signer)
{
    size_t len = strcspn(text, "/");
    if (strchr(text, '@'))
        return CC_FAIL(MALFORMED,
                       "a URL is seen in the process list: give the token with --auth-token");
    if (text[len] && text[len + 1])
        return CC_FAIL(MALFORMED, "the URL of a signer has no path");
    const char *bracket = text[0] == '[' ? memchr(text, ']', len) : NULL;
    const char *colon =
        memchr(bracket ? bracket : text, ':', len - (size_t)((bracket ? bracket : text) - text));
    size_t end = colon ? (size_t)(colon - text) : len;
    struct span host =
        bracket ? span_of(text + 1, (size_t)(bracket - text) - 1) : span_of(text, end);
    if (!is_host_text(host) || len >= sizeof signer->authority ||
        (bracket && bracket + 1 != text + end))
        return CC_FAIL(MALFORMED, "the URL's host");
    memcpy(signer->authority, text, len);
    memcpy(signer->host, host.data, host.len);
    return take_port(span_of(text + end, len - end), signer);
}

CC_ERR signer_of_url(const char *url, struct signer *ret_signer)
{
    *ret_signer = (struct signer){.url = url};
    const char *rest = url;
    ret_signer->tls = skip(&rest, "https://");
    if (ret_signer->tls || skip(&rest, "http://"))
        return take_authority(rest, ret_signer);
    if (skip(&rest, "http+unix://") || skip(&rest, "unix://") || skip(&rest, "unix:") ||
        rest[0] == '/')
        CC_TRY(percent_decode(rest, ret_signer->path));
    else
        return CC_FAIL(MALFORMED, "give unix:/PATH, https://HOST:PORT or http://HOST:PORT");
    return ret_signer->path[0] == '/' ? CC_OK
                                      : CC_FAIL(MALFORMED, "the socket's path is not absolute");
}

void signer_release(struct signer *signer)
{
    wipe(signer->token, sizeof signer->token);
}

void signer_hint(const struct signer *signer, int status)
{
    if (signer->path[0] && !signer->token[0] && (status == 401 || status == 403))
        (void)fputs(
            "Without a token run this as the user that the signer runs as: runuser -u USER -- containment-chamber ...;\n"
            "root counts as the owner only where the signer was started as root.\n",
            stderr);
    else if (status == 401)
        (void)fputs(
            "--auth-token env:NAME, file:PATH or fd:N takes a token, which `containment-chamber auth token "
            "create NAME --policy NAME` makes.\n",
            stderr);
}

/* --- the connection -------------------------------------------------------------------------------- */

static cc_err open_socket(int family, int *ret_fd)
{
    const struct timeval patience = {.tv_sec = SIGNER_PATIENCE_S};
    CC_CLEANUP(fd_closep) int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) != 0)
        return CC_FAIL(SYSTEM, "socket");
    *ret_fd = fd;
    fd = -1;
    return CC_OK;
}

static cc_err connect_unix(const char *path, int *ret_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    CC_TRY(open_socket(AF_UNIX, ret_fd));
    memcpy(address.sun_path, path, strlen(path));
    if (connect(*ret_fd, (const struct sockaddr *)&address, sizeof address) != 0)
        return CC_FAIL(IO, "no signer listens there, or this user may not connect: "
                           "`containment-chamber server -c FILE` starts one");
    return CC_OK;
}

static bool is_loopback(const struct addrinfo *info)
{
    uint8_t address[CIDR_ADDRESS_SIZE] = {0};
    if (info->ai_family == AF_INET) {
        const struct sockaddr_in *four = (const void *)info->ai_addr;
        cidr_map_v4((const void *)&four->sin_addr, address);
    } else {
        const struct sockaddr_in6 *six = (const void *)info->ai_addr;
        memcpy(address, &six->sin6_addr, sizeof address);
    }
    return cidr_is_loopback(address);
}

/* One after the other. */
static cc_err connect_one_of(const struct signer *signer, const struct addrinfo *found, int *ret_fd)
{
    for (; found; found = found->ai_next) {
        if (!signer->attested && !signer->allow_plaintext && !is_loopback(found))
            return CC_FAIL(MALFORMED,
                           "over plain HTTP elsewhere than to loopback only with "
                           "--allow-plaintext-signer: others on the way would have the token");
        CC_TRY(open_socket(found->ai_family, ret_fd));
        if (connect(*ret_fd, found->ai_addr, found->ai_addrlen) == 0)
            return CC_OK;
        fd_closep(ret_fd);
    }
    return CC_FAIL(IO, "no signer listens there");
}

static cc_err connect_tcp(const struct signer *signer, int *ret_fd)
{
    const struct addrinfo wanted = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (getaddrinfo(signer->host, signer->port, &wanted, &found) != 0)
        return CC_FAIL(IO, "the signer's host is not known");
    cc_err err = connect_one_of(signer, found, ret_fd);
    freeaddrinfo(found);
    return err;
}

static cc_err connect_tls(const struct signer *signer, struct tls_line **ret_line)
{
    char url[SIGNER_HOST_MAX + 16];
    (void)snprintf(url, sizeof url, "https://%s/", signer->authority);
    const struct tls_line_options options = {url, signer->ca, signer->certificate, signer->key,
                                             SIGNER_PATIENCE_S * 1000};
    return tls_line_open(&options, ret_line);
}

static cc_err connect_attested(const struct signer *signer, struct atls_line **ret_line)
{
    int fd = -1;
    CC_TRY(connect_tcp(signer, &fd));
    return signer_attested_open(signer, fd, ret_line);
}

struct line {
    int fd;                     /* -1: it is TLS */
    struct tls_line *tls;       /* NULL: it is not */
    struct atls_line *attested; /* the same */
};

static void line_close(struct line *line)
{
    fd_closep(&line->fd);
    tls_line_close(line->tls);
    atls_line_close(line->attested);
}

static cc_err line_open(const struct signer *signer, struct line *line)
{
    if (signer->path[0])
        return connect_unix(signer->path, &line->fd);
    if (signer->attested)
        return connect_attested(signer, &line->attested);
    return signer->tls ? connect_tls(signer, &line->tls) : connect_tcp(signer, &line->fd);
}

static cc_err receive(void *context, void *into, size_t room, size_t *ret_len)
{
    const struct line *line = context;
    ssize_t n;
    if (line->attested)
        return atls_line_receive(line->attested, into, room, ret_len);
    if (line->tls)
        return tls_line_receive(line->tls, into, room, ret_len);
    do
        n = recv(line->fd, into, room, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return CC_FAIL(IO, "the signer does not answer");
    *ret_len = (size_t)n;
    return CC_OK;
}

/* A signer that refuses early closes while the body is still on its way: then its answer is what counts. */
static void send_all(const struct line *line, struct span data)
{
    if (line->attested) {
        (void)atls_line_send(line->attested, data.data, data.len).code;
        return;
    }
    if (line->tls) {
        (void)tls_line_send(line->tls, data.data, data.len).code;
        return;
    }
    while (data.len) {
        ssize_t n = send(line->fd, data.data, data.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        data = span_of(data.data + n, data.len - (size_t)n);
    }
}

/* The head has room at once: what grew would leave copies of the token. */
static cc_err
write_head(const struct signer *signer, const struct signed_request *request, struct buf *head)
{
    static const char management[] = "cc_management_";
    uint8_t *room;
    if (strncmp(signer->token, management, strlen(management)) == 0)
        return CC_FAIL(MALFORMED, "a management key signs requests of `auth`, and is sent nowhere");
    CC_TRY(buf_grow(head, HEAD_MAX, &room));
    head->len = 0;
    CC_TRY(
        buf_printf(head,
                   "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nAccept: application/json\r\n"
                   "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                   request->method, request->path,
                   signer->path[0] ? "localhost" : signer->authority, request->body.len));
    if (signer->signs_with)
        CC_TRY(signed_headers_append(signer->signs_with, request, head));
    if (signer->headers)
        CC_TRY(buf_append_str(head, signer->headers));
    if (signer->token[0]) {
        CC_TRY(buf_append_str(head, "Authorization: Bearer "));
        CC_TRY(buf_append_str(head, signer->token));
        CC_TRY(buf_append_str(head, "\r\n"));
    }
    return buf_append_str(head, "\r\n");
}

CC_ERR signer_ask(const struct signer *signer,
                  const char *method,
                  const char *target,
                  struct span body,
                  struct http_answer *answer)
{
    CC_CLEANUP(line_close) struct line line = {.fd = -1};
    CC_CLEANUP(buf_release) struct buf head = buf_init(HEAD_MAX);
    const struct signed_request request = {method, target, body};
    CC_TRY(line_open(signer, &line));
    CC_TRY(write_head(signer, &request, &head));
    send_all(&line, buf_span(&head));
    send_all(&line, body);
    answer->read = receive;
    answer->read_context = &line;
    return http_answer_read(answer);
}
