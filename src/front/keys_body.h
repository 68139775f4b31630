/* front/keys_body.h - the bodies of the key routes: POST, PATCH and DELETE of the Key Manager API and of the chamber.
 *
 * WHAT      From JSON to the keystores (with their passwords) or the public keys that a request is about.
 * PROMISE   Memory is that of the items that the route allows, whatever the body's size; a body that has more is refused. What is
 *           wrong with one keystore, or with its password, is that item's answer and changes no other. What is wrong with the
 *           body refuses all of it. Order is kept.
 * THREADS   Any: pure.
 * OWNERSHIP keys_body_release() frees; it takes zeros. The body is changed, and is needed as long as `history`.
 * ERRORS    INPUT class for the body: JSON_*, FIELD_MISSING, FIELD_TYPE, BODY_TOO_LARGE (too many items), MALFORMED; NO_MEMORY.
 * SECRETS   Passwords: in the body, which is the caller's to wipe, and in the keystores, which keys_body_release() wipes.
 */
#ifndef FRONT_KEYS_BODY_H
#define FRONT_KEYS_BODY_H

#include <stdbool.h>

#include "base/error.h"
#include "base/span.h"

#include "wire/door_a.h"

/* A key of the request. */
struct keys_item {
    cc_err err; /* refused here: never asked */
    const char *static_detail;
    struct eth_pubkey pubkey; /* of a keystore: what it says; zeros where it doesn't */
    bool has_pubkey;
};

struct keys_body {
    size_t count;
    struct keys_item *items;
    struct k_keystore *keystores; /* an import's, one for each item */
    bool has_history;
    struct span history;            /* EIP-3076, in the body */
    bool inactive;                  /* an import that shall not sign yet; a change to inactive */
    bool all;                       /* whatever key */
    struct a_key_generate generate; /* new keys: what they are to be */
};

struct keys_body_rules {
    size_t max_items;
    bool is_ours; /* a route of the chamber: members that it does not have are refused */
};

/* {"keystores":[text],"passwords":[text],"slashing_protection":text}, and for the chamber "status":"active|inactive". */
CC_ERR keys_body_import(const struct keys_body_rules *rules,
                        uint8_t *body,
                        size_t len,
                        struct keys_body *ret_body);
/* {"pubkeys":[hex]}; of the chamber's PATCH (`verb` KEYS_SET) with "status", of pause and resume "all":true in its place. */
CC_ERR keys_body_list(const struct keys_body_rules *rules,
                      enum a_keys_verb verb,
                      uint8_t *body,
                      size_t len,
                      struct keys_body *ret_body);
/* {"count":number}, and where wanted "status", "withdrawal_address", "compounding", "amount_gwei": `count` items without a key. */
CC_ERR keys_body_generate(const struct keys_body_rules *rules,
                          uint8_t *body,
                          size_t len,
                          struct keys_body *ret_body);
void keys_body_release(struct keys_body *b);

#endif
