#include "net/tls_line.h"

#include <poll.h>

#include "base/alloc.h"

#include "net/curl.h"

struct tls_line {
    CURL *curl;
    curl_socket_t socket;
    int patience_ms;
};

static CURLcode set_options(CURL *curl, const struct tls_line_options *options)
{
    NET_CURL_SET(curl, CURLOPT_URL, options->url);
    NET_CURL_SET(curl, CURLOPT_CONNECT_ONLY, 1L);
    NET_CURL_SET(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)options->patience_ms);
    NET_CURL_SET(curl, CURLOPT_TCP_NODELAY, 1L);
    if (options->ca_path) {
        NET_CURL_SET(curl, CURLOPT_CAINFO, options->ca_path);
        NET_CURL_SET(curl, CURLOPT_CAPATH, NULL);
    }
    if (options->certificate_path) {
        NET_CURL_SET(curl, CURLOPT_SSLCERT, options->certificate_path);
        NET_CURL_SET(curl, CURLOPT_SSLKEY, options->key_path);
    }
    return net_curl_set_safety(curl, true);
}

static cc_err error_of(CURLcode code)
{
    switch ((int)code) {
    case CURLE_OUT_OF_MEMORY:
        return CC_FAIL(NO_MEMORY, NULL);
    case CURLE_URL_MALFORMAT:
        return CC_FAIL(MALFORMED, "the URL");
    case CURLE_COULDNT_RESOLVE_HOST:
        return CC_FAIL(IO, "the signer's host is not known");
    case CURLE_COULDNT_CONNECT:
        return CC_FAIL(IO, "no signer listens there");
    case CURLE_OPERATION_TIMEDOUT:
        return CC_FAIL(IO, "no connection in time");
    case CURLE_PEER_FAILED_VERIFICATION:
        return CC_FAIL(
            IO,
            "the signer's certificate is not trusted, or is another name's: --ca names its authority");
    case CURLE_SSL_CACERT_BADFILE:
        return CC_FAIL(IO, "the file of authorities can't be read");
    case CURLE_SSL_CERTPROBLEM:
        return CC_FAIL(IO, "the client certificate or its key can't be read");
    case CURLE_SSL_CONNECT_ERROR:
        return CC_FAIL(IO, "the TLS handshake failed");
    default:
        return CC_FAIL(IO, "the connection broke");
    }
}

static cc_err connect_line(struct tls_line *line, const struct tls_line_options *options)
{
    line->curl = curl_easy_init();
    if (!line->curl)
        return CC_FAIL(NO_MEMORY, NULL);
    CURLcode code = set_options(line->curl, options);
    if (code == CURLE_OK)
        code = curl_easy_perform(line->curl);
    if (code == CURLE_OK)
        code = curl_easy_getinfo(line->curl, CURLINFO_ACTIVESOCKET, &line->socket);
    return code == CURLE_OK ? CC_OK : error_of(code);
}

CC_ERR tls_line_open(const struct tls_line_options *options, struct tls_line **ret_line)
{
    CC_TRY(net_curl_begin());
    struct tls_line *line = cc_alloc(sizeof *line);
    if (!line)
        return CC_FAIL(NO_MEMORY, NULL);
    *line = (struct tls_line){.socket = CURL_SOCKET_BAD, .patience_ms = (int)options->patience_ms};
    cc_err err = connect_line(line, options);
    if (err.code) {
        tls_line_close(line);
        return err;
    }
    *ret_line = line;
    return CC_OK;
}

void tls_line_close(struct tls_line *line)
{
    if (!line)
        return;
    curl_easy_cleanup(line->curl);
    cc_free(line);
}

static cc_err wait_for(const struct tls_line *line, short events)
{
    struct pollfd one = {.fd = line->socket, .events = events};
    return poll(&one, 1, line->patience_ms) == 1 ? CC_OK
                                                 : CC_FAIL(IO, "the signer does not answer");
}

CC_ERR tls_line_send(struct tls_line *line, const void *data, size_t len)
{
    const char *at = data;
    while (len) {
        size_t n = 0;
        CURLcode code = curl_easy_send(line->curl, at, len, &n);
        if (code == CURLE_AGAIN)
            CC_TRY(wait_for(line, POLLOUT));
        else if (code != CURLE_OK)
            return error_of(code);
        at += n;
        len -= n;
    }
    return CC_OK;
}

CC_ERR tls_line_receive(struct tls_line *line, void *into, size_t room, size_t *ret_len)
{
    for (;;) {
        CURLcode code = curl_easy_recv(line->curl, into, room, ret_len);
        if (code == CURLE_OK)
            return CC_OK;
        if (code != CURLE_AGAIN)
            return error_of(code);
        CC_TRY(wait_for(line, POLLIN));
    }
}
