/* cli/operator_proposal.h - what is proposed, in words, and its digest.
 *
 * WHAT      Reads the JSON of a rotation (`POST rotate/...`, or `rotation` of the status), prints it, computes what is approved.
 * PROMISE   The digest is computed here of what was printed here: a server that shows one thing and has another approved is refused, since its
 *           own digest differs (threat T1).
 * THREADS   Any.   OWNERSHIP operator_proposal_free() frees; it takes NULL.
 * ERRORS    MALFORMED, FIELD_MISSING, FIELD_TYPE, HEX_*, NUMBER_RANGE (the JSON), IDENTITY (its digest is not its own), NO_MEMORY.
 * SECRETS   None.
 */
#ifndef CLI_OPERATOR_PROPOSAL_H
#define CLI_OPERATOR_PROPOSAL_H

#include "codec/json.h"
#include "seal/record.h"
#include "wire/seal.h"

struct operator_proposal {
    struct seal_proposal proposal;
    struct seal_kms_key keys[SEAL_KMS_MAX]; /* ARNs alone */
    uint32_t kind;                          /* enum seal_kind */
    char proposer[SEAL_PROPOSER_SIZE];
    uint8_t digest[32];
    uint8_t cancel_digest[32];
};

CC_ERR operator_proposal_read(struct jval rotation, struct operator_proposal **ret_proposal);
void operator_proposal_free(struct operator_proposal *proposal);

/* Appends what it says, line by line. */
CC_ERR operator_proposal_describe(const struct operator_proposal *proposal, struct buf *out);

#endif
