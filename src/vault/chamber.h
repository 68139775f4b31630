/* vault/chamber.h - the chamber's own secrets.
 *
 * WHAT      A chamber is a random id, a master key and an Ed25519 identity. Here it is made or opened with chamber.key,
 *           signs the head of the state store, and proves which history belongs to it. docs/formats.md has the labels.
 * PROMISE   One chamber and one history per life: another one is IDENTITY, whoever asks. What proves a history is
 *           only made in ROOM_MODE_INIT, so that a captured core can't bring an empty history of its own.
 *           The master key is wiped as soon as its subkeys are derived.
 * THREADS   Any; chamber.lock is a leaf but for arena.lock.
 * OWNERSHIP chamber_free() wipes. The arena is borrowed.
 * ERRORS    SEALED (not open, or sealed), IDENTITY, TAMPERED, EXISTS, DENIED (not in this mode), CRYPTO, LIMIT.
 * SECRETS   chamber.key until it is open; identity seed and history key until the end; all in the arena.
 */
#ifndef VAULT_CHAMBER_H
#define VAULT_CHAMBER_H

#include "crypto/ed25519.h"
#include "crypto/mac.h"
#include "secret/arena.h"
#include "wire/control.h"
#include "wire/door_b.h"

struct chamber;

CC_ERR chamber_new(struct arena *arena, struct chamber **ret_chamber);
void chamber_free(struct chamber *chamber);
void chamber_set_mode(struct chamber *chamber, enum room_mode mode);
/* Takes chamber.key from `fd` and closes it. */
CC_ERR chamber_take_key(struct chamber *chamber, int fd);

/* Makes a new chamber; the result is what the core stores. */
CC_ERR chamber_create(struct chamber *chamber, struct b_chamber *ret_stored);
/* Opens the stored chamber; the same one again is fine. */
CC_ERR chamber_open(struct chamber *chamber, const struct b_chamber *stored);
CC_ERR chamber_sign_head(struct chamber *chamber,
                         const uint8_t digest[static 32],
                         uint8_t ret_signature[static ED25519_SIGNATURE_SIZE]);
/* Makes the proof that a history is this chamber's, at init. */
CC_ERR chamber_prove_history(struct chamber *chamber,
                             const uint8_t digest[static 32],
                             uint8_t ret_proof[static MAC_SIZE]);
/* Checks it, and binds this life to the first history that passes. */
CC_ERR chamber_check_history(struct chamber *chamber, const struct b_hello *hello);
/* Wipes everything; latched. */
void chamber_seal(struct chamber *chamber);

#endif
