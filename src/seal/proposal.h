/* seal/proposal.h - what the digest of a proposal is made of.
 *
 * WHAT      A proposal for a new set, as one text of bytes; and the digests that a quorum approves: of a proposal, of its
 *           cancellation, of a new management key, of an image that is to open the chamber by itself.
 * PROMISE   Two proposals that differ in anything have different digests. The vault, the core and the command line compute the same.
 * THREADS   Any: pure.   OWNERSHIP Borrows.
 * ERRORS    PROTOCOL (counts, modes or names that no proposal has).
 * SECRETS   None.
 *
 * Format: docs/formats.md, "Digests that are approved".
 */
#ifndef SEAL_PROPOSAL_H
#define SEAL_PROPOSAL_H

#include "base/span.h"

#include "wire/seal.h"

/* Counts, thresholds, names (each once), recipients; what `keep` may go with. */
CC_ERR proposal_check(const struct seal_proposal *proposal);
/* Of a proposal that has passed. */
void proposal_digest(const struct seal_proposal *proposal, uint8_t ret_digest[static 32]);
/* Of the cancellation of the proposal with this digest. */
void proposal_cancel_digest(const uint8_t chamber_id[static 32],
                            const uint8_t digest[static 32],
                            uint8_t ret_digest[static 32]);
/* Of a management key that is to be let in. */
void proposal_manager_digest(const uint8_t chamber_id[static 32],
                             const uint8_t public_key[static 32],
                             uint8_t ret_digest[static 32]);

/* An image with a PCR0, and KMS keys of which as many as the threshold says can be asked. */
CC_ERR proposal_auto_check(const struct seal_auto_proposal *proposal);
void proposal_auto_digest(const struct seal_auto_proposal *proposal, uint8_t ret_digest[static 32]);

#endif
