/* auth/manager.h - management keys, and the requests that they sign.
 *
 * WHAT      A management key is Ed25519; its seed stays with its holder, the signer keeps the public half (record `auth/managers`).
 *           A request is signed as RFC 9421 has it, over method, path (or target URI) and the digest of the body (RFC 9530).
 * PROMISE   One way to write each header: what is accepted has one reading, and the signature's base follows from it. Signed is
 *           what the signer does: method and path are its own words for the verb, the digest is that of the body
 *           that it parses. A request counts within MANAGER_WINDOW_S of the clock and only when it is newer than the last one of its key.
 * THREADS   Any: pure.
 * OWNERSHIP By value; spans point into the caller's texts.
 * ERRORS    MALFORMED (headers), UNAUTHENTICATED, REPLAYED; TAMPERED (a record of another format).
 * SECRETS   A seed where a text is read or a request is signed: the caller wipes it.
 *
 * Formats: docs/formats.md, "Access control"; use: docs/access.md, "Management".
 */
#ifndef AUTH_MANAGER_H
#define AUTH_MANAGER_H

#include <stdbool.h>

#include "base/span.h"

#include "crypto/ed25519.h"
#include "crypto/sha256.h"

enum {
    MANAGER_WINDOW_S = 60,
    MANAGERS_MAX = 8,
    MANAGER_KEYID_SIZE = 32 + 1,     /* hex of half a SHA-256, terminator */
    MANAGER_TEXT_SIZE = 14 + 43 + 1, /* "cc_management_" + base64url, terminator */
    MANAGER_INPUT_MAX = 384,         /* bytes of Signature-Input */
    MANAGER_HEADER_MAX = 128,        /* of Signature, of Content-Digest */
    MANAGER_NONCE_MAX = 64,
    MANAGERS_STORED_MAX = 4096,
};

/* --- the key ------------------------------------------------------------------------------------------------ */

/* The text that its holder keeps. */
void manager_text(const uint8_t seed[static ED25519_SEED_SIZE],
                  char ret_text[static MANAGER_TEXT_SIZE]);
CC_ERR manager_text_parse(struct span text, uint8_t ret_seed[static ED25519_SEED_SIZE]);
/* How requests name it. */
void manager_keyid(const uint8_t public_key[static ED25519_PUBLIC_SIZE],
                   char ret_keyid[static MANAGER_KEYID_SIZE]);

/* --- a signed request ------------------------------------------------------------------------------------------ */

/* The three headers, as they came; all empty: not signed. */
struct manager_headers {
    struct span input;     /* Signature-Input */
    struct span signature; /* Signature */
    struct span digest;    /* Content-Digest */
};

/* What they say. */
struct manager_signature {
    bool whole_uri; /* "@target-uri" is signed, not "@path" */
    uint64_t created;
    char keyid[MANAGER_KEYID_SIZE];
    struct span parameters; /* from "(" on: the last line of the base */
    struct span digest;
    uint8_t bytes[ED25519_SIGNATURE_SIZE];
};

/* What is signed. */
struct manager_request {
    const char *method;
    const char *path;
    const char *scheme;    /* with `authority`, for "@target-uri" */
    struct span authority; /* the Host header; empty: none */
    struct span body;
};

CC_ERR manager_signature_parse(const struct manager_headers *headers,
                               struct manager_signature *ret_signature);
/* Is it this key's, over that request? Says nothing about when. UNAUTHENTICATED, whatever is wrong. */
CC_ERR manager_verify(const struct manager_signature *signature,
                      const struct manager_request *request,
                      const uint8_t public_key[static ED25519_PUBLIC_SIZE]);

/* The holder's side: appends the values of the three headers. `nonce` is [A-Za-z0-9_-]. */
struct manager_signed {
    char input[MANAGER_INPUT_MAX];
    char signature[MANAGER_HEADER_MAX];
    char digest[MANAGER_HEADER_MAX];
};
CC_ERR manager_sign(const uint8_t seed[static ED25519_SEED_SIZE],
                    const struct manager_request *request,
                    uint64_t created,
                    const char *nonce,
                    struct manager_signed *ret_signed);

/* --- the record `auth/managers` ---------------------------------------------------------------------------------- */

struct manager {
    char keyid[MANAGER_KEYID_SIZE]; /* follows from the key */
    uint8_t public_key[ED25519_PUBLIC_SIZE];
    uint64_t added; /* seconds since 1970 */
    uint64_t last;  /* `created` of the newest change that was accepted; 0: none */
};

struct managers {
    uint32_t count;
    struct manager list[MANAGERS_MAX];
};

/* Reads the record, which it changes. */
CC_ERR managers_parse(uint8_t *text, size_t len, struct managers *ret_managers);
CC_ERR managers_write(const struct managers *managers, struct buf *out);
/* NULL: unknown. */
struct manager *managers_find(struct managers *managers, const char *keyid);
/* May a request that was `created` then come now, after the key's last one? */
CC_ERR manager_check_time(const struct manager *manager, uint64_t created, uint64_t now);

#endif
