/* front/tls_clients.h - which client certificates are known, and to which row of auth.certificates one belongs.
 *
 * WHAT      Reads a known-clients file as Web3Signer has it: `CommonName SHA256-fingerprint` on each line, '#' begins a comment;
 *           the fingerprint is 64 hex digits, with colons between bytes or without. Compares what a certificate says with it, and
 *           with rows `sha256:HEX=policies`, `cn:NAME=policies`, `san:NAME=policies`.
 * PROMISE   A file is taken whole or refused with the line. A name alone never fits: who calls says whether the certificate was
 *           vouched for, by an authority or by the file, and only then cn: and san: rows count.
 * THREADS   Any: pure.   OWNERSHIP tls_known_release().   ERRORS CONFIG, NO_MEMORY.
 * SECRETS   None.
 */
#ifndef FRONT_TLS_CLIENTS_H
#define FRONT_TLS_CLIENTS_H

#include "base/error.h"
#include "base/span.h"

#include "config/config.h"

enum {
    TLS_FINGERPRINT_SIZE = 32,
    TLS_NAME_MAX = 256, /* of a common or an alternative name, with its zero */
    TLS_ALTERNATIVES_MAX = 32,
    TLS_KNOWN_MAX = 4096
};

struct tls_known_client {
    char name[TLS_NAME_MAX];
    uint8_t fingerprint[TLS_FINGERPRINT_SIZE];
};

struct tls_known {
    struct tls_known_client *clients;
    uint32_t count;
};

/* What counts of a certificate. */
struct tls_certificate {
    uint8_t fingerprint[TLS_FINGERPRINT_SIZE]; /* SHA-256 of all of it */
    char name[TLS_NAME_MAX];                   /* "" : it has no common name, or several */
    uint32_t alternative_count;
    char alternatives[TLS_ALTERNATIVES_MAX][TLS_NAME_MAX]; /* DNS, e-mail, URI, IP */
};

/* *ret_line is the faulty one's number, from 1. */
CC_ERR tls_known_parse(struct span text, struct tls_known *ret_known, uint32_t *ret_line);
void tls_known_release(struct tls_known *known);
bool tls_known_has(const struct tls_known *known, const struct tls_certificate *certificate);

/* 64 hex digits, with or without colons between bytes. */
CC_ERR tls_fingerprint_parse(struct span text,
                             uint8_t ret_fingerprint[static TLS_FINGERPRINT_SIZE]);

/* 1 + the first row that fits, 0 for none. */
uint16_t tls_row_of(const struct config_text_list *rows,
                    const struct tls_certificate *certificate,
                    bool vouched);
/* True when some row names a certificate by its fingerprint: such a one is accepted without an authority. */
bool tls_rows_pin(const struct config_text_list *rows);

#endif
