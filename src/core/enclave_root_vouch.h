/* core/enclave_root_vouch.h - which image vouches for a root's record?
 *
 * WHAT      Looks through the documents of a record for one of an image that may: this enclave's own, or one of tee.root.images. Makes this image's.
 * PROMISE   A record for which no such image vouches, to its last byte, is refused; so is one whose KMS keys aren't those of the measured
 *           configuration. The document is the vault's, which vouches for what it has made or opened itself. Whoever can write to the tables can't have a chamber of his own taken. A document is judged at the time that it
 *           names: a record has no age. An image whose PCR0 is zeros (debug mode) vouches for nothing.
 * THREADS   Any: pure, but for the door of documents.
 * OWNERSHIP Borrows.
 * ERRORS    ENCLAVE_ROOT, and it is logged what is missing; enclave_root_vouch(): those of core/documents.h.
 * SECRETS   None.
 */
#ifndef CORE_ENCLAVE_ROOT_VOUCH_H
#define CORE_ENCLAVE_ROOT_VOUCH_H

#include "config/config.h"
#include "core/own_image.h"
#include "seal/enclave_root_record.h"

struct enclave_root_judge {
    const struct tee_root_config *config;
    struct span authority; /* DER; .len 0: AWS's root */
    struct own_image own;
};

/* *ret_own: this image is among those that vouch. */
CC_ERR enclave_root_check(const struct enclave_root_judge *judge,
                          const struct enclave_root_record *record,
                          bool *ret_own);
/* Adds this image's document. */
CC_ERR enclave_root_vouch(struct documents *documents, struct enclave_root_record *record);

#endif
