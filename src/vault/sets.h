/* vault/sets.h - the sets that open the master key, and what the vault has of them.
 *
 * WHAT      The present set and one that is staged to take its place: opened, made, dropped. A set is opened by the chamber's root
 *           (local), by shares of its wrapping key that KMS keys have opened, by what operators bring (vault/ceremony.h), or, a
 *           staged one, by a bridge from the present master key.
 * PROMISE   Only sets with the chamber's own MAC; in one life none that is older than one that was given (T2, T12), and no second one
 *           of a generation before the first is dropped. From a set with operators another is made only when their quorum has approved
 *           the digest of exactly that proposal, which is computed here (T1). A staged set that follows another is opened over the bridge
 *           from it alone, so no set that was made from nothing is open beside one that was not. A share that does not fit its commitment is
 *           refused (T18). What is collected or made is wiped when it is used, dropped, or sealed.
 * THREADS   Any; sets.lock goes before chamber.lock and master.lock.
 * OWNERSHIP Borrows chamber and master.
 * ERRORS    SEALED, TAMPERED, PROTOCOL, SEAL_STATE, NOT_APPROVED, EXISTS, CRYPTO, SYSTEM.
 * SECRETS   Wrapping keys, the unseal key between approval and use, shares, registration tokens: in a locked region of their own. The
 *           master key passes through, on the stack.
 */
#ifndef VAULT_SETS_H
#define VAULT_SETS_H

#include "base/span.h"

#include "vault/chamber.h"
#include "vault/master.h"

struct sets;

CC_ERR sets_new(struct chamber *chamber, struct master *master, struct sets **ret_sets);
void sets_free(struct sets *sets); /* takes NULL */
size_t sets_locked_memory(void);

/* The vault's own configuration says so: a chamber may get its first set, or the one after a set of mode local, while it serves. */
void sets_allow_ceremony(struct sets *sets);

CC_ERR sets_open(struct sets *sets, enum b_set_which which, const struct seal_set *set);
/* In ROOM_MODE_INIT the first set, which is the present one at once; else one that is staged. */
CC_ERR sets_make(struct sets *sets,
                 const struct seal_proposal *proposal,
                 enum b_set_which *ret_which,
                 struct seal_set *ret_set);
/* What the set that was just made gives to others, until it comes back by sets_open(): KMS key `index`'s share; ... */
CC_ERR sets_part(struct sets *sets, uint32_t index, uint8_t ret_share[static SEAL_SHARE_SIZE]);
/* ... and what goes to a person, encrypted to the recipient that the proposal names. Appends to `out`. */
CC_ERR sets_text(struct sets *sets, enum b_set_part_kind kind, uint32_t index, struct buf *out);
/* A share that KMS key `index` has opened. */
CC_ERR sets_unwrap(struct sets *sets,
                   enum b_set_which which,
                   uint32_t index,
                   const uint8_t share[static SEAL_SHARE_SIZE]);
CC_ERR sets_drop(struct sets *sets, enum b_drop what);
/* What has been kept too long is wiped; `now_ms` is monotonic. Called often. */
void sets_tick(struct sets *sets, uint64_t now_ms);
/* Fills all but id and error. */
void sets_state(struct sets *sets, struct b_seal_state *ret_state);
/* Wipes everything. */
void sets_seal(struct sets *sets);

#endif
