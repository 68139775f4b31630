/* vault/keystore.h - opening an EIP-2335 keystore.
 *
 * WHAT      From the parsed crypto section and the password to the secret key; a budget for the memory of many.
 * PROMISE   Never more scrypt memory in use than the budget: who finds it used up waits. One keystore that alone needs
 *           more is opened while no other is. Parameters are checked before anything is derived.
 * THREADS   Any; keystore_decrypt() runs for up to seconds.
 * OWNERSHIP Borrows.
 * ERRORS    KEYSTORE (parameters that are refused), KEYSTORE_PASSWORD, KEYSTORE_PUBKEY, KEY_INVALID, NO_MEMORY, CRYPTO.
 * SECRETS   Password, derived key, secret key; see docs/secrets.md for scrypt's memory.
 */
#ifndef VAULT_KEYSTORE_H
#define VAULT_KEYSTORE_H

#include <pthread.h>

#include "crypto/bls.h"
#include "wire/door_key.h"

struct keystore_gate {
    pthread_mutex_t lock; /* guards used; a leaf */
    pthread_cond_t freed;
    size_t budget;
    size_t used;
};

void keystore_gate_init(struct keystore_gate *gate, size_t budget);
void keystore_gate_destroy(struct keystore_gate *gate);

/* *ret_secret is zero on an error. */
CC_ERR keystore_decrypt(struct keystore_gate *gate,
                        const struct k_keystore *keystore,
                        struct bls_secret *ret_secret);

#endif
