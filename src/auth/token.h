/* auth/token.h - tokens: what a client shows, and what the signer keeps of it.
 *
 * WHAT      A token is `cc_token_` and 256 random bits, shown once. Kept is HMAC-SHA256 of its SHA-256 under a key that the
 *           vault derives (B_SUBKEY_TOKENS), with what it may be used for: a record of kind `token`.
 * PROMISE   Neither a record nor the digest that crosses door A opens anything at the API. A record is read strictly. A token
 *           that has expired, comes from elsewhere than its cidrs, or without its certificate, is none.
 * THREADS   Any: pure.
 * OWNERSHIP By value.
 * ERRORS    What codec/json.h says; MALFORMED with a fault; LIMIT.
 * SECRETS   The text while it is made: the caller wipes it. The HMAC key: borrowed.
 *
 * Format: docs/formats.md, "Access control".
 */
#ifndef AUTH_TOKEN_H
#define AUTH_TOKEN_H

#include "base/cidr.h"

#include "auth/policy.h"
#include "crypto/mac.h"
#include "crypto/sha256.h"
#include "wire/caller.h"

enum {
    TOKENS_MAX = 512,
    TOKEN_POLICIES_MAX = POLICIES_MAX,
    TOKEN_CIDRS_MAX = 16,
    TOKEN_RANDOM_SIZE = 32,
    TOKEN_TEXT_SIZE = 9 + 43 + 1, /* "cc_token_", base64url, terminator */
    TOKEN_STORED_MAX = 8192       /* bytes of a record */
};

struct token {
    char name[POLICY_NAME_SIZE];
    uint8_t mac[MAC_SIZE];
    uint32_t policy_count; /* 1 or more */
    char policies[TOKEN_POLICIES_MAX][POLICY_NAME_SIZE];
    uint64_t created;    /* seconds since 1970 */
    uint64_t expires;    /* 0: never */
    uint64_t last_used;  /* 0: never, or not known yet */
    uint32_t cidr_count; /* 0: from anywhere */
    struct cidr cidrs[TOKEN_CIDRS_MAX];
    bool has_certificate; /* only over TLS with this one */
    uint8_t certificate[SHA256_SIZE];
};

/* The text of a new token. */
void token_text(const uint8_t random[static TOKEN_RANDOM_SIZE],
                char ret_text[static TOKEN_TEXT_SIZE]);
/* What the front makes of a text that a client has sent. */
void token_digest(struct span text, uint8_t ret_digest[static SHA256_SIZE]);
/* What is kept. */
void token_mac(const uint8_t key[static MAC_SIZE],
               const uint8_t digest[static SHA256_SIZE],
               uint8_t ret_mac[static MAC_SIZE]);

/* Reads a record's bytes, which may change; `name` is the record's own. */
CC_ERR token_parse(uint8_t *text,
                   size_t len,
                   const char *name,
                   struct token *ret_token,
                   struct auth_fault *ret_fault);
/* Appends the record's bytes: the one text that stands for it. */
CC_ERR token_write(const struct token *token, struct buf *out);

enum token_state {
    TOKEN_GOOD,
    TOKEN_EXPIRED,
    TOKEN_ELSEWHERE,
    TOKEN_OTHER_CERTIFICATE
};
/* May `caller`, who has shown this token, use it at `now` (seconds since 1970)? */
enum token_state token_check(const struct token *token, const struct caller *caller, uint64_t now);

#endif
