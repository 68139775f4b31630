/* auth/owner.h - the keys of a chamber's owner, where nobody can be at its sockets.
 *
 * WHAT      A row of auth.owner_keys, and the text that its holder keeps. A request is signed as a management key signs one (auth/manager.h).
 * PROMISE   A key and a name stand there once. Who has no row is not the owner.
 * THREADS   Any: pure.
 * OWNERSHIP By value.
 * ERRORS    MALFORMED, with what is wrong as the detail.
 * SECRETS   A seed where its text is made or read: the caller wipes both.
 *
 * Use: docs/access.md, "The owner elsewhere".
 */
#ifndef AUTH_OWNER_H
#define AUTH_OWNER_H

#include "auth/manager.h"
#include "auth/policy.h"
#include "config/config.h"

enum {
    OWNER_KEYS_MAX = MANAGERS_MAX, /* rows of auth.owner_keys */
    OWNER_TEXT_SIZE = 9 + 43 + 1,  /* "cc_owner_" + base64url, terminator */
    OWNER_NAME_SIZE = POLICY_NAME_SIZE
};

struct owner_key {
    char name[OWNER_NAME_SIZE]; /* the key's id, where the row has none */
    char keyid[MANAGER_KEYID_SIZE];
    uint8_t public_key[ED25519_PUBLIC_SIZE];
};

/* "NAME=64 hex digits", or the digits alone. */
CC_ERR owner_key_parse(struct span row, struct owner_key *ret_key);
/* False: no row has this key. */
bool owner_keys_find(const struct config_text_list *rows,
                     const char *keyid,
                     struct owner_key *ret_key);
/* Adds what is wrong with auth.owner_keys. */
void owner_keys_check(const struct config_text_list *rows, struct config_faults *faults);

/* The text that its holder keeps. */
void owner_text(const uint8_t seed[static ED25519_SEED_SIZE],
                char ret_text[static OWNER_TEXT_SIZE]);
CC_ERR owner_text_parse(struct span text, uint8_t ret_seed[static ED25519_SEED_SIZE]);

#endif
