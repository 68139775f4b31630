/* vault/chamber.h - the chamber's own secrets.
 *
 * WHAT      A chamber is a random id, a root secret and an Ed25519 identity. Here it is made or opened with chamber.key,
 *           signs the head of the state store, and proves which history belongs to it. docs/formats.md has the labels.
 *           Once it knows the history, it signs tokens of a hand-over, and lends the keys of the history's mirror and of the audit
 *           log's segments; within the vault, those that sets and ceremonies need (vault/sets.h).
 * PROMISE   One chamber and one history per life: another one is IDENTITY, whoever asks. What proves a history is
 *           only made in ROOM_MODE_INIT, so that a captured core can't bring an empty history of its own.
 *           The root secret is wiped as soon as its subkeys are derived. No segment's key is given twice in a life that serves,
 *           and none of a segment before it: who captures a core can't write the audit log's past anew (T30).
 * THREADS   Any; chamber.lock is a leaf but for arena.lock.
 * OWNERSHIP chamber_free() wipes. The arena is borrowed.
 * ERRORS    SEALED (not open, or sealed), IDENTITY, TAMPERED, EXISTS, DENIED (not in this mode), CRYPTO, LIMIT.
 * SECRETS   chamber.key until it is open; identity seed, history key, mirror key, audit key and the keys of enum chamber_key until the end;
 *           all in the arena.
 */
#ifndef VAULT_CHAMBER_H
#define VAULT_CHAMBER_H

#include "crypto/ed25519.h"
#include "crypto/mac.h"
#include "secret/arena.h"
#include "wire/control.h"
#include "wire/door_b.h"

struct chamber;

/* HKDF(root secret, label). */
enum chamber_key {
    CHAMBER_KEY_MASTER, /* wraps the master key in mode local */
    CHAMBER_KEY_SETS,   /* MACs of sets */
    CHAMBER_KEY_FAKES,  /* what is told of operators that don't exist */
    CHAMBER_KEYS
};

CC_ERR chamber_new(struct arena *arena, struct chamber **ret_chamber);
void chamber_free(struct chamber *chamber);
void chamber_set_mode(struct chamber *chamber, enum room_mode mode);
/* Takes chamber.key from `fd` and closes it. */
CC_ERR chamber_take_key(struct chamber *chamber, int fd);
/* The same where no file holds it (vault/root.h). EXISTS where it was given before. */
CC_ERR chamber_put_key(struct chamber *chamber, const uint8_t key[static SECRET_SIZE]);
/* It was given, or has opened the chamber. */
bool chamber_has_key(struct chamber *chamber);
/* SEALED after chamber_seal(). */
CC_ERR chamber_check_unsealed(struct chamber *chamber);

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
/* Signs a hand-over's token, for the history of this life. */
CC_ERR chamber_sign_hand_over(struct chamber *chamber,
                              const uint8_t digest[static 32],
                              uint8_t ret_signature[static ED25519_SIGNATURE_SIZE]);
/* The key of the MACs in the history's mirror: the chamber's, and the same in each life. */
CC_ERR chamber_mirror_key(struct chamber *chamber, uint8_t ret_key[static MAC_SIZE]);
/* Of the chamber that this life has made or opened, sealed since or not; false: there was none. */
bool chamber_name(struct chamber *chamber,
                  uint8_t ret_chamber_id[static 32],
                  uint8_t ret_identity_public[static ED25519_PUBLIC_SIZE]);
/* SEALED while it is not open. */
CC_ERR chamber_get_id(struct chamber *chamber, uint8_t ret_chamber_id[static 32]);
/* IDENTITY before a history was shown to be the chamber's. */
CC_ERR chamber_check_greeted(struct chamber *chamber);
/* For vault/sets.h and what stands on it; the caller wipes the key. */
CC_ERR chamber_lend_key(struct chamber *chamber,
                        enum chamber_key which,
                        uint8_t ret_key[static SECRET_SIZE],
                        uint8_t ret_chamber_id[static 32]);
CC_ERR chamber_sign_challenge(struct chamber *chamber, struct seal_challenge *challenge);
/* In ROOM_MODE_INIT. */
bool chamber_is_new(struct chamber *chamber);
/* The key of one segment of a replica's audit log. IDENTITY: another replica than the first that was asked for. EXISTS: not above the
 * last one of this life, but in ROOM_MODE_ORDER.
 */
CC_ERR chamber_audit_key(struct chamber *chamber,
                         uint64_t index,
                         const uint8_t context[static B_CONTEXT_SIZE],
                         uint8_t ret_key[static MAC_SIZE]);
/* Wipes everything; latched. */
void chamber_seal(struct chamber *chamber);

#endif
