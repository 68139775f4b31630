/* core/handover.h - the token by which one cluster's duties go to another.
 *
 * WHAT      A short text, one file: which chamber and history signs nothing from an epoch on, and the newest slot, source and target
 *           that it has signed, under the signature of the chamber's identity. The cluster that takes over verifies it and raises
 *           every low watermark to it.
 * PROMISE   A token that handover_verify() accepts was signed by that chamber's vault, byte for byte. Its floor leaves out
 *           nothing that the old history has signed, or may still sign below the epoch: slot, source and target (T9).
 * THREADS   Any: pure, but for make, which uses the history.
 * OWNERSHIP Borrows.
 * ERRORS    MALFORMED (no token), TAMPERED (changed, or another chamber's), CONFLICT (no high watermark at the epoch), and
 *           those of history and vault.
 * SECRETS   None.
 *
 * Format: docs/formats.md, "Token of a hand-over".
 */
#ifndef CORE_HANDOVER_H
#define CORE_HANDOVER_H

#include "base/span.h"

#include "slash/store.h"
#include "state/store.h"

enum {
    HANDOVER_TEXT_MAX = 1024
};

struct handover {
    uint8_t chamber_id[32];
    uint8_t history_id[32];
    struct eth_root network; /* genesis_validators_root; zero where none is fixed */
    uint64_t epoch;          /* from here on the old cluster signs nothing */
    uint64_t slot;           /* newest of any key, low watermarks included */
    uint64_t source;
    uint64_t target;
    uint8_t signature[ED25519_SIGNATURE_SIZE];
};

/* The token of a history whose high watermark is set at `epoch` or below. `signer`: vault_call_sign_hand_over.
 */
CC_ERR handover_token_make(struct slash_store *history,
                           uint64_t epoch,
                           const struct state_signer *signer,
                           struct buf *ret_text);
CC_ERR handover_parse(struct span text, struct handover *ret_handover);
CC_ERR handover_verify(const struct handover *handover,
                       const uint8_t identity_public[static ED25519_PUBLIC_SIZE]);
/* Low watermarks of the cluster that takes over. */
struct slash_watermark handover_floor(const struct handover *handover, uint64_t slots_per_epoch);
/* Exported for tests and fuzzers. */
CC_ERR handover_encode(const struct handover *handover, struct buf *ret_text);
void handover_digest(const struct handover *handover, uint8_t ret_digest[static SHA256_SIZE]);

#endif
