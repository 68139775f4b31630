/* core/vault_call.h - door B while the core starts: one question, one answer.
 *
 * WHAT      The chamber's verbs and those of the first set, before there are threads.
 * PROMISE   An answer is taken only when it is the one to the question that was just asked.
 * THREADS   The control thread, before vault_client_start().
 * OWNERSHIP Borrows the descriptor; vault_call_held() gives a list that the caller frees with cc_free().
 * ERRORS    DOOR_CLOSED, PROTOCOL, NO_MEMORY, and what the vault says.
 * SECRETS   Sealed blobs; and the MAC keys of mirror and audit log, and the shares of an enclave's root at init, wiped from the message as soon as it is copied.
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
/* *ret_memory: what its secrets lie in. */
CC_ERR vault_call_open(struct vault_call *call,
                       const struct b_chamber *chamber,
                       enum b_memory *ret_memory);
/* A first set, and the set that is stored (wire/seal.h). */
CC_ERR vault_call_make_set(struct vault_call *call,
                           const struct seal_proposal *proposal,
                           struct seal_set *ret_set);
CC_ERR vault_call_open_set(struct vault_call *call,
                           const struct seal_set *set,
                           struct b_seal_state *ret_state);
/* What the vault has open; shares that it collects are forgotten. */
CC_ERR vault_call_seal_state(struct vault_call *call, struct b_seal_state *ret_state);
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
/* The key of the MACs in the history's mirror; only after vault_call_hello(). The caller wipes it. */
CC_ERR vault_call_history_key(struct vault_call *call, uint8_t ret_key[static 32]);
/* The key of the MACs of tokens, likewise. */
CC_ERR vault_call_token_key(struct vault_call *call, uint8_t ret_key[static 32]);
/* The key of a segment of a replica's audit log; the same. */
CC_ERR vault_call_audit_key(struct vault_call *call,
                            const uint8_t replica[static B_CONTEXT_SIZE],
                            uint64_t segment,
                            uint8_t ret_key[static 32]);
/* Signs the digest of a hand-over's token, in the same shape; only after vault_call_hello(). */
cc_err vault_call_sign_hand_over(void *context,
                                 const uint8_t digest[static SHA256_SIZE],
                                 uint8_t ret_signature[static ED25519_SIGNATURE_SIZE]);
/* chamber.key of an enclave (vault/root.h). The caller wipes the shares. */
CC_ERR vault_call_root_make(struct vault_call *call,
                            uint32_t threshold,
                            uint32_t count,
                            struct b_root_made *ret_made);
CC_ERR vault_call_root_open(struct vault_call *call,
                            const struct b_root_open *root,
                            struct b_root_state *ret_state);
CC_ERR vault_call_root_share(struct vault_call *call,
                             uint32_t index,
                             const struct seal_sealed_share *sealed,
                             struct b_root_state *ret_state);
/* The keys that the vault holds. */
CC_ERR vault_call_held(struct vault_call *call, struct registry_key **ret_keys, size_t *ret_count);

#endif
