/* net/tls_line.h - a TLS connection as a client.
 *
 * WHAT      Connects to https://HOST[:PORT], checks the server's certificate and name, and then carries bytes both ways.
 * PROMISE   There is no way to switch the check off: a certificate of an authority of one's own is trusted by naming its file.
 * THREADS   One for each line.
 * OWNERSHIP tls_line_close(); options are borrowed while it opens.
 * ERRORS    IO, whose detail says what failed; SYSTEM, NO_MEMORY.
 * SECRETS   A client's private key is read by libcurl from its file, and stays in OpenSSL's memory until the line is closed.
 */
#ifndef NET_TLS_LINE_H
#define NET_TLS_LINE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct tls_line_options {
    const char *url;
    const char *ca_path;          /* PEM; NULL: the system's authorities */
    const char *certificate_path; /* PEM, with key_path; NULL: none is shown */
    const char *key_path;
    uint32_t patience_ms; /* for the connection, and for each send and receive */
};

struct tls_line;

CC_ERR tls_line_open(const struct tls_line_options *options, struct tls_line **ret_line);
void tls_line_close(struct tls_line *line); /* takes NULL */
CC_ERR tls_line_send(struct tls_line *line, const void *data, size_t len);
/* Waits for some bytes; *ret_len 0: the other side has ended. */
CC_ERR tls_line_receive(struct tls_line *line, void *into, size_t room, size_t *ret_len);

#endif
