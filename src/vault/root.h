/* vault/root.h - chamber.key in an enclave: a secret that no file holds.
 *
 * WHAT      Makes it and shares it out between KMS keys; and at a start puts it together again, from shares that KMS has encrypted to
 *           this vault. From then on it is where chamber.key would be (vault/chamber.h).
 * PROMISE   It is made in ROOM_MODE_INIT alone, and never leaves the vault whole. A share that was not committed to is refused, and
 *           `threshold` shares that give another secret than the one committed to give none. Once the chamber has its key from here, shares are
 *           still compared, and change nothing; another root is refused, so which one it was stays known (vault/document_door.h vouches for it).
 * THREADS   Any; its lock comes before chamber.lock and arena.lock.
 * OWNERSHIP root_free() wipes. Borrows arena, chamber and recipient.
 * ERRORS    DENIED (not in this mode), EXISTS (this life has its key, or another root), SEALED, SEAL_STATE (no root was begun, or of other numbers than there can be), TAMPERED (a share
 *           or a secret that is none of these), LIMIT, SYSTEM.
 * SECRETS   The secret and all of its shares, on the stack of one call at init, and in the answer that takes the shares to the core; at a start the
 *           shares that were given, in the arena, until there are enough.
 */
#ifndef VAULT_ROOT_H
#define VAULT_ROOT_H

#include "crypto/recipient.h"
#include "vault/chamber.h"

struct root;

CC_ERR root_new(struct arena *arena, struct chamber *chamber, struct root **ret_root);
void root_free(struct root *root); /* takes NULL */
/* Wipes what was collected. */
void root_seal(struct root *root);

CC_ERR
root_make(struct root *root, const struct b_root_make *request, struct b_root_made *ret_made);
/* Which secret is to be put together; shares of one before it are forgotten. */
CC_ERR root_begin(struct root *root, const struct b_root_open *request);
CC_ERR
root_take_share(struct root *root, struct recipient *recipient, const struct b_root_share *request);
void root_state(struct root *root, struct b_root_state *ret_state);
/* The root whose secret this vault has made or put together. SEAL_STATE: there is none. */
CC_ERR root_known(struct root *root, struct b_root_open *ret_facts);

#endif
