/* slash/backend.h - what all backends of the history share.
 *
 * WHAT      The small decisions that stand outside slash/rules.h and must be the same in every store.
 * PROMISE   slash_gate() answers SAFE only for a registered, enabled key below the high watermark.
 * THREADS   Any: pure.   OWNERSHIP Borrows.   ERRORS IDENTITY.   SECRETS None.
 */
#ifndef SLASH_BACKEND_H
#define SLASH_BACKEND_H

#include "slash/merge.h"
#include "slash/store.h"

/* What is asked before the rules: SAFE, DISABLED or HIGH_WATERMARK. */
enum slash_rule
slash_gate(bool enabled, const struct slash_high *high, const struct slash_claim *claim);

/* The claim as a record. */
struct slash_block slash_claim_block(const struct slash_claim *claim);
struct slash_attestation slash_claim_attestation(const struct slash_claim *claim);

/* keep_epochs in slots, 2^64-1 where that would wrap. */
uint64_t slash_keep_slots(uint64_t keep_epochs, uint64_t slots_per_epoch);
/* What an operator raises all low watermarks to who says that nothing up to `epoch` may be signed any more. */
struct slash_watermark slash_repair_watermark(uint64_t epoch, uint64_t slots_per_epoch);
/* The oldest slot or epoch that pruning keeps. */
uint64_t slash_prune_line(uint64_t newest, uint64_t keep);

/* Moves each watermark up to that of `floor`, and sets those that are missing; true when any moved. */
bool slash_watermark_raise(struct slash_watermark *low, const struct slash_watermark *floor);

/* Fixes the root where none is fixed; IDENTITY when another one is. */
CC_ERR slash_identity_fix_genesis(struct slash_identity *identity, const struct eth_root *root);

void slash_report_add(struct slash_import_report *report, const struct slash_merged *merged);

#endif
