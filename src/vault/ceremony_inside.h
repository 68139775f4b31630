/* vault/ceremony_inside.h - what asking and answering share.
 *
 * WHAT      Who is meant by a name, and which nonces are this vault's.
 * PROMISE   As vault/ceremony.h.
 * THREADS   Under sets.lock.   OWNERSHIP Borrows.   ERRORS As vault/ceremony.h.   SECRETS As vault/ceremony.h.
 */
#ifndef VAULT_CEREMONY_INSIDE_H
#define VAULT_CEREMONY_INSIDE_H

#include "vault/ceremony.h"
#include "vault/sets_inside.h"

#define CEREMONY_BREAK_GLASS "break-glass"

enum {
    NOBODY = SEAL_OPERATORS_MAX
};

/* Whom a name means: an operator of the set by his index, or nobody, with an entry that looks like another's. */
struct person {
    uint32_t index; /* NOBODY: no operator */
    struct seal_operator entry;
};

/* Purpose, set and name fit together. *ret_set: the one that is meant. */
CC_ERR ceremony_check(const struct sets *sets,
                      uint32_t purpose,
                      uint32_t which,
                      const char name[static SEAL_NAME_SIZE],
                      const struct seal_set **ret_set);
CC_ERR ceremony_find(struct sets *sets,
                     const struct seal_set *set,
                     uint32_t purpose,
                     const char name[static SEAL_NAME_SIZE],
                     struct person *ret_person);
/* The fields of a challenge that a nonce stands for. */
void ceremony_describe(const struct seal_set *set,
                       const struct person *person,
                       uint32_t purpose,
                       const uint8_t chamber_id[static 32],
                       struct seal_challenge *ret_challenge);
CC_ERR ceremony_make_nonce(struct sets *sets, uint64_t now_ms, struct seal_challenge *challenge);
/* CREDENTIAL: not this vault's, not for this challenge, too old, or used. On success the challenge has its next_ fields. */
CC_ERR ceremony_check_nonce(struct sets *sets,
                            uint64_t now_ms,
                            const uint8_t nonce[static SEAL_NONCE_SIZE],
                            struct seal_challenge *challenge);
/* BUSY: so many right ones were used of late that none more is remembered. */
CC_ERR
ceremony_use_nonce(struct sets *sets, uint64_t now_ms, const uint8_t nonce[static SEAL_NONCE_SIZE]);

#endif
