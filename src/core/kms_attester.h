/* core/kms_attester.h - the attestation documents that KMS is asked with.
 *
 * WHAT      A fresh document for each call to KMS: what seal/kms.h wants inside an enclave.
 * PROMISE   The documents are the vault's, and so is the public key in them: what KMS answers opens in the vault alone, whoever has the core.
 * THREADS   As core/documents.h.   OWNERSHIP Borrows.   ERRORS Those of core/documents.h.   SECRETS None.
 */
#ifndef CORE_KMS_ATTESTER_H
#define CORE_KMS_ATTESTER_H

#include "core/documents.h"
#include "seal/kms.h"

/* By value; borrows `documents`. */
struct seal_kms_attester kms_attester(struct documents *documents);

#endif
