/* cli/operator_image.h - an image that is to open the chamber without operators: in words, and its digest.
 *
 * WHAT      Reads the JSON of such a proposal (`POST auto-unseal`, or `auto_unseal.proposed` of the status), prints it, computes what is approved.
 * PROMISE   As cli/operator_proposal.h: the digest is of what was printed here, and a server that shows another image is refused (T1).
 * THREADS   Any.   OWNERSHIP operator_image_free() frees; it takes NULL.
 * ERRORS    MALFORMED, FIELD_MISSING, FIELD_TYPE, HEX_*, NUMBER_RANGE (the JSON), IDENTITY (its digest is not its own), NO_MEMORY.
 * SECRETS   None.
 */
#ifndef CLI_OPERATOR_IMAGE_H
#define CLI_OPERATOR_IMAGE_H

#include "codec/json.h"
#include "seal/auto_record.h"

/* It is one, and no rotation. */
bool operator_image_is(struct jval object);
CC_ERR operator_image_read(struct jval object, struct auto_proposed **ret_proposal);
void operator_image_free(struct auto_proposed *proposal);

/* Appends what it says, line by line. */
CC_ERR operator_image_describe(const struct auto_proposed *proposal, struct buf *out);

#endif
