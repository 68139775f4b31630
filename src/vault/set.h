/* vault/set.h - a set as the vault reads and writes it: its shape, its MAC, and the layers around its secrets.
 *
 * WHAT      Pure functions on struct seal_set; which key opens what, and the text that binds each sealed secret to its place
 *           (docs/formats.md, "Sets").
 * PROMISE   A set that set_check() has passed is the chamber's own, with every count and length within its bounds; what lies beyond
 *           the counts is never read. Each blob opens for its chamber, generation, mode and operator alone.
 * THREADS   Any: pure.   OWNERSHIP Borrows.
 * ERRORS    TAMPERED, PROTOCOL (a shape that no set has), CRYPTO, SYSTEM.
 * SECRETS   Pass through; results are zeros on an error.
 */
#ifndef VAULT_SET_H
#define VAULT_SET_H

#include <stdbool.h>

#include "base/error.h"

#include "crypto/shamir.h"
#include "secret/wipe.h"
#include "wire/seal.h"

/* Whom a set belongs to, and the MAC key of it. */
struct set_owner {
    uint8_t chamber_id[32];
    struct secret32 mac_key;
};
void set_owner_wipep(struct set_owner *owner);

bool set_has_kms(uint32_t mode);
bool set_has_operators(uint32_t mode);

/* Counts, thresholds, lengths and names; not the MAC. */
CC_ERR set_check_shape(const struct seal_set *set);
/* Shape and MAC. */
CC_ERR set_check(const struct set_owner *owner, const struct seal_set *set);
/* Sets the MAC anew: of everything but the bridge, which has its own. */
void set_authenticate(const struct set_owner *owner, struct seal_set *set);

/* The keys around the master key: which are needed depends on the mode. */
struct set_layers {
    const uint8_t *local;  /* mode local: the key of the chamber's root */
    const uint8_t *kms;    /* the wrapping key */
    const uint8_t *unseal; /* the unseal key */
};

CC_ERR set_seal_master(struct seal_set *set,
                       const uint8_t chamber_id[static 32],
                       const struct set_layers *layers,
                       const uint8_t master_key[static 32]);
/* Whether it is the one of set.check is for the caller to see. */
CC_ERR set_open_master(const struct seal_set *set,
                       const uint8_t chamber_id[static 32],
                       const struct set_layers *layers,
                       uint8_t ret_master_key[static 32]);
/* Whether `kms` is the wrapping key of the set: of mode quorum, where it alone opens no master key. */
CC_ERR set_check_wrapping(const struct seal_set *set,
                          const uint8_t chamber_id[static 32],
                          const uint8_t kms[static 32]);

CC_ERR set_seal_tokens(struct seal_set *set,
                       const uint8_t chamber_id[static 32],
                       const uint8_t key[static 32],
                       const uint8_t token_key[static 32]);
CC_ERR set_open_tokens(const struct seal_set *set,
                       const uint8_t chamber_id[static 32],
                       const uint8_t key[static 32],
                       uint8_t ret_token_key[static 32]);
/* The staged set's master key under a key of the present one's. */
CC_ERR set_seal_bridge(struct seal_set *set,
                       const uint8_t chamber_id[static 32],
                       const uint8_t key[static 32],
                       const uint8_t master_key[static 32]);
CC_ERR set_open_bridge(const struct seal_set *set,
                       const uint8_t chamber_id[static 32],
                       const uint8_t key[static 32],
                       uint8_t ret_master_key[static 32]);

/* --- shares ----------------------------------------------------------------------------------------------------------- */

enum set_share_kind {
    SET_SHARE_KMS = 1,
    SET_SHARE_BREAK_GLASS = 2,
    SET_SHARE_OPERATOR = 3,
    SET_SHARE_AUTO = 4 /* of an auto-unseal blob's key */
};

/* `generation`: the one that what is shared was made in. */
void set_commit(const uint8_t chamber_id[static 32],
                enum set_share_kind kind,
                uint32_t generation,
                const struct shamir_share *share,
                uint8_t ret_commitment[static 32]);

/* Operator's share under a credential, or, before he has registered, under his registration token; in a set with a KMS layer under the
 * wrapping key as well.
 */
CC_ERR set_seal_share(const struct seal_set *set,
                      const uint8_t chamber_id[static 32],
                      const uint8_t *kms,
                      const uint8_t credential[static 32],
                      const struct shamir_share *share,
                      struct seal_operator *
                      operator);
/* Opens it, and compares it with its commitment. */
CC_ERR set_open_share(const struct seal_set *set,
                      const uint8_t chamber_id[static 32],
                      const uint8_t *kms,
                      const uint8_t credential[static 32],
                      const struct seal_operator *
                      operator,
                      struct shamir_share * ret_share);
/* Takes a share out of the outer layer of `from`, if it has one, and puts it into that of `to`, if it has one. */
CC_ERR set_move_share(const struct seal_set *from,
                      const uint8_t *from_kms,
                      const struct seal_set *to,
                      const uint8_t *to_kms,
                      const uint8_t chamber_id[static 32],
                      struct seal_operator *
                      operator);

#endif
