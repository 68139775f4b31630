/* core/vault_call.h - door B while the core starts: one question, one answer.
 *
 * WHAT      The chamber verbs, before there are threads.
 * PROMISE   An answer is taken only when it is the one to the question that was just asked.
 * THREADS   The control thread, before vault_client_start().
 * OWNERSHIP Borrows the descriptor; vault_call_held() gives a list that the caller frees with cc_free().
 * ERRORS    DOOR_CLOSED, PROTOCOL, NO_MEMORY, and what the vault says.
 * SECRETS   None: sealed blobs.
 */
#ifndef CORE_VAULT_CALL_H
#define CORE_VAULT_CALL_H

#include "core/registry.h"
#include "state/store.h"
#include "wire/door_b.h"

struct vault_call {
    int fd;
    uint32_t life;
    uint64_t last_id;
    struct door_message message;
};

CC_ERR vault_call_create(struct vault_call *call, struct b_chamber *ret_chamber);
CC_ERR vault_call_open(struct vault_call *call, const struct b_chamber *chamber);
/* Signs a state head: the shape of struct state_signer, `context` being the struct vault_call. */
cc_err vault_call_sign_head(void *context,
                            const uint8_t digest[static SHA256_SIZE],
                            uint8_t ret_signature[static ED25519_SIGNATURE_SIZE]);
CC_ERR vault_call_prove_history(struct vault_call *call,
                                const uint8_t digest[static 32],
                                uint8_t ret_proof[static 32]);
CC_ERR vault_call_hello(struct vault_call *call,
                        const uint8_t digest[static 32],
                        const uint8_t proof[static 32]);
/* The keys that the vault holds. */
CC_ERR vault_call_held(struct vault_call *call, struct registry_key **ret_keys, size_t *ret_count);

#endif
