/* support/seal_kit.h - records of the sealed chamber for tests.
 *
 * WHAT      Whole records of each mode, with bytes that tell where they stand. No key opens them.
 * PROMISE   seal_current_encode() and seal_next_encode() take what is made here.
 * THREADS   Any: pure.   OWNERSHIP By value.   ERRORS Asserts.   SECRETS None.
 */
#ifndef SUPPORT_SEAL_KIT_H
#define SUPPORT_SEAL_KIT_H

#include "seal/record.h"

/* Of the mode, with as many KMS keys, break-glass shares and operators as the mode has and the kit has room for. */
struct seal_shape {
    uint32_t mode;
    uint32_t kms;
    uint32_t break_glass;
    uint32_t operators;
};

/* `operators` have registered, all of them. */
void seal_kit_set(const struct seal_shape *shape, uint32_t generation, struct seal_set *ret_set);
/* arn:aws:kms:eu-central-1:111122223333:key/..., one each, in three regions. */
void seal_kit_keys(uint32_t count, bool wrapped, struct seal_kms_key ret_keys[static SEAL_KMS_MAX]);
void seal_kit_current(const struct seal_shape *shape, struct seal_current *ret_record);
/* From generation 1 to 2. In STAGED none has registered, in REGISTERING the first, from READY on all. */
void seal_kit_next(const struct seal_shape *shape,
                   enum seal_kind kind,
                   enum seal_phase phase,
                   struct seal_next *ret_record);

#endif
