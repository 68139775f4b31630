/* wire/caller.h - who asks, as the front saw it.
 *
 * WHAT      What a request brought to say who its caller is: where it came in, from which address, with which token and which
 *           certificate. It travels with every question over door A; the core alone judges it (core/authority.h).
 * PROMISE   A token is never here in clear: only its SHA-256, which opens nothing at the API.
 * THREADS   Any.   OWNERSHIP By value.   ERRORS None.
 * SECRETS   The digest of a token: not a secret to guess from (256 random bits), yet kept out of logs.
 */
#ifndef WIRE_CALLER_H
#define WIRE_CALLER_H

#include <stdint.h>

#include "wire/control.h"

enum caller_token {
    CALLER_NO_TOKEN,
    CALLER_BEARER,
    CALLER_BASIC, /* the password is the token */
    CALLER_BAD /* an Authorization header that can't be read: no token, and counted as a failure */
};

enum caller_flags {
    CALLER_OWNER = 1 << 0, /* a Unix connection of root, or of who the signer runs as */
    CALLER_TLS = 1 << 1,
    CALLER_PROXIED = 1 << 2, /* the address is what a trusted proxy said */
    CALLER_FLAGS = 7
};

struct caller {
    uint8_t token_kind; /* enum caller_token */
    uint8_t listener;   /* enum listener */
    uint16_t flags;     /* enum caller_flags */
    uint16_t
        certificate; /* 1 + the row of auth.certificates that its client certificate fits; 0: none */
    uint16_t reserved;
    uint8_t address[16];     /* IPv6, IPv4 mapped into it; zeros for a Unix connection */
    uint8_t token[32];       /* SHA-256 of the token's text */
    uint8_t fingerprint[32]; /* SHA-256 of the client certificate (DER); zeros: none */
};

#endif
