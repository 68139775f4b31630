/* seal/enclave_root_record.h - what the state store keeps of an enclave's root.
 *
 * WHAT      Record `enclave/root`: which chamber it is, the shares of its key as KMS has encrypted them, and documents of the images that vouch for
 *           all that. It is read before the store's head can be verified, since it says whose head that is.
 * PROMISE   What is read is whole, and the one text that stands for it: written again it has the same bytes. That an image vouches for it is
 *           not said here (core/enclave_root_vouch.h).
 * THREADS   Any: pure.
 * OWNERSHIP By value; bytes are appended to the caller's buf. The struct is large: keep it on the heap.
 * ERRORS    TAMPERED for any other bytes, with a detail; LIMIT, NO_MEMORY, CRYPTO.
 * SECRETS   None in clear: shares are KMS's ciphertexts.
 *
 * Format: docs/formats.md, "Record `enclave/root`".
 */
#ifndef SEAL_ENCLAVE_ROOT_RECORD_H
#define SEAL_ENCLAVE_ROOT_RECORD_H

#include "attest/binding.h"
#include "seal/record.h"
#include "state/head.h"

#define ENCLAVE_ROOT_KIND "enclave"
#define ENCLAVE_ROOT_NAME "root"

enum {
    ENCLAVE_ROOT_DOCUMENTS_MAX = 6 /* the newest images that have vouched */
};

struct enclave_root_document {
    uint32_t len;
    uint8_t bytes[ATTEST_DOCUMENT_MAX];
};

struct enclave_root_record {
    uint8_t chamber_id[32];
    uint8_t identity_public[ED25519_PUBLIC_SIZE];
    uint8_t commitment[32]; /* of the secret */
    uint32_t threshold;
    uint32_t count;
    uint8_t commitments[SEAL_KMS_MAX][32]; /* of the shares */
    struct seal_kms_key keys[SEAL_KMS_MAX];
    uint32_t document_count;
    struct enclave_root_document documents[ENCLAVE_ROOT_DOCUMENTS_MAX]; /* the oldest first */
};

CC_ERR enclave_root_encode(const struct enclave_root_record *record, struct buf *out);
CC_ERR enclave_root_decode(struct span bytes, struct enclave_root_record *ret_record);
/* What a document vouches for: SHA-384 over the record without its documents. */
CC_ERR enclave_root_digest(const struct enclave_root_record *record,
                           uint8_t ret_digest[static ATTEST_RECORD_DIGEST_SIZE]);
/* Puts it behind the others; the oldest goes where there is no room. LIMIT: there never is. */
CC_ERR enclave_root_add(struct enclave_root_record *record, struct span document);

#endif
