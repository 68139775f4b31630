/* vault/auto_unseal.h - blobs by which one image of an enclave opens the chamber without its operators.
 *
 * WHAT      A blob is what is left of the master key (vault/master.h), sealed under a random key that is shared out between KMS keys. Those
 *           open a share for an attested image alone. Made while the master key is open, opened at a later start.
 * PROMISE   Only where the vault's own configuration allows it, and the present set has operators. A blob is made when their quorum has
 *           approved the digest of exactly that image and those KMS keys, which is computed here (T1): an approval is good for one blob,
 *           and until B_DROP_AUTO the same question has that one for its answer. Or when the vault is shown a blob of its own of the set
 *           before, while an approval goes over to the set that this very life has made and put in its place: until B_DROP_AUTO, and 25
 *           hours at most. So who has the core later, with whatever old blobs and records, has no key of a blob made.
 *           A blob that is not this chamber's own, of another generation or set, or changed in any byte opens nothing (T25).
 * THREADS   Any; under sets.lock.
 * OWNERSHIP Of the sets: vault/sets_inside.h.
 * ERRORS    SEALED, NOT_ENABLED, SEAL_STATE, NOT_APPROVED, TAMPERED, PROTOCOL, CRYPTO, SYSTEM.
 * SECRETS   The key of a blob, on the stack; its shares, in the sets' locked region until they have gone to KMS or have opened the blob.
 *           docs/secrets.md.
 */
#ifndef VAULT_AUTO_UNSEAL_H
#define VAULT_AUTO_UNSEAL_H

#include "vault/sets.h"

/* The vault's own configuration says so. */
void auto_unseal_allow(struct sets *sets);
CC_ERR
auto_unseal_make(struct sets *sets, const struct b_auto_make *request, struct seal_auto *ret_blob);
/* KMS key `index`'s share of the blob that was just made, until B_DROP_AUTO, or until another one is. */
CC_ERR
auto_unseal_part(struct sets *sets, uint32_t index, uint8_t ret_share[static SEAL_SHARE_SIZE]);
/* A blob as it is stored: its shares are awaited. */
CC_ERR auto_unseal_open(struct sets *sets, const struct seal_auto *blob);
/* A share that KMS key `index` has opened; with enough of them the master key is open. */
CC_ERR
auto_unseal_unwrap(struct sets *sets, uint32_t index, const uint8_t share[static SEAL_SHARE_SIZE]);

#endif
