/* slash/merge.h - imported history added to a validator's own, as a pure function.
 *
 * WHAT      What every backend's merge() does with one validator's records: which are added, which lose their
 *           root, where the low watermarks go.
 * PROMISE   Merging never loosens: a message that would have been refused before is refused afterwards, and the
 *           message of every imported record without a kept root is refused afterwards. Kept records never
 *           contradict one another: where the union is slashable in itself, the imported records and the
 *           records they collide with are folded into the watermarks ("minified") and the result says so.
 * THREADS   Any: pure.
 * OWNERSHIP The result owns its arrays; slash_merged_release().
 * ERRORS    NO_MEMORY.
 * SECRETS   None.
 *
 * Watermarks: without one, it becomes the minimum of the records (EIP-3076, "complete" strategy); it only
 * moves up otherwise: to the one given with the import, or to the maximum of all records when minified.
 * A root is kept where signing its message would have been allowed: above the old watermark, in a union
 * without contradiction, where no rootless record stands in its place.
 */
#ifndef SLASH_MERGE_H
#define SLASH_MERGE_H

#include "slash/store.h"

struct slash_merged {
    struct slash_block *blocks; /* sorted by slot, one each */
    size_t block_count;
    struct slash_attestation *attestations; /* sorted by target, one each */
    size_t attestation_count;
    struct slash_watermark low;
    bool contradictory;
    uint64_t blocks_added;
    uint64_t attestations_added;
    uint64_t known;
};

/* `have` is what the store holds: sorted, one record for each slot and target. `add` may come in any order and
 * contradict anything.
 */
CC_ERR slash_merge_records(const struct slash_validator *have,
                           const struct slash_validator *add,
                           struct slash_merged *ret_merged);
void slash_merged_release(struct slash_merged *merged);

int slash_block_order(const void *a, const void *b); /* for qsort(): by slot, known roots first */
int slash_attestation_order(const void *a,
                            const void *b); /* by target, source, known roots first */

#endif
