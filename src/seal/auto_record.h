/* seal/auto_record.h - what the state store keeps of auto-unseal.
 *
 * WHAT      Records of kind `auto`: one for each image that the operators have approved, named by the first 48 digits of its PCR0, with the
 *           vault's blob and what the KMS keys made of its shares; and `proposed`, what they are asked to approve.
 * PROMISE   What is read is whole and consistent in itself (counts, thresholds, ARNs without repetition, an image), has the name of its image,
 *           and is the one text of bytes that stands for it. That a blob is the chamber's own is the vault's to say.
 * THREADS   Any: pure.
 * OWNERSHIP By value; bytes are appended to the caller's buf. The structs are large: keep them on the heap.
 * ERRORS    TAMPERED for any other bytes, with a detail, and when a record is written that reading would refuse; LIMIT, NO_MEMORY.
 * SECRETS   None in clear.
 *
 * Format: docs/formats.md, "Records of auto-unseal".
 */
#ifndef SEAL_AUTO_RECORD_H
#define SEAL_AUTO_RECORD_H

#include "seal/record.h"

#define AUTO_RECORD_KIND     "auto"
#define AUTO_RECORD_PROPOSED "proposed"

enum {
    AUTO_NAME_SIZE = 49 /* with the terminator */
};

/* keys[i] is the KMS key of share i (x = i + 1): as many as blob.shares.count, the rest zeros. */
struct auto_record {
    uint8_t chamber_id[32];
    struct seal_auto blob; /* kms_keys is that of the ARNs */
    struct seal_kms_key keys[SEAL_KMS_MAX];
};

/* Keys have ARNs alone. */
struct auto_proposed {
    struct seal_auto_proposal proposal;
    struct seal_kms_key keys[SEAL_KMS_MAX];
    char proposer[SEAL_PROPOSER_SIZE]; /* a principal */
    uint64_t proposed;                 /* ms since 1970 */
};

/* Of the image's record. */
void auto_record_name(const struct seal_image *image, char ret_name[static AUTO_NAME_SIZE]);

/* `name`: the one that it was found under. */
CC_ERR auto_record_decode(const char *name, struct span bytes, struct auto_record *ret_record);
CC_ERR auto_record_encode(const struct auto_record *record, struct buf *out);
CC_ERR auto_proposed_decode(struct span bytes, struct auto_proposed *ret_record);
CC_ERR auto_proposed_encode(const struct auto_proposed *record, struct buf *out);

#endif
