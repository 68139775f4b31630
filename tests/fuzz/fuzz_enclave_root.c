/* The record of an enclave's root as it comes from the state store, before anybody has vouched for it: refused, or the one text that stands
 * for what was read.
 */
#include <stdlib.h>

#include "seal/enclave_root_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t digest[ATTEST_RECORD_DIGEST_SIZE];
    struct enclave_root_record *record = malloc(sizeof *record);
    struct buf again = buf_init(STATE_RECORD_MAX);
    cc_assert(record);
    if (size > STATE_RECORD_MAX)
        size = STATE_RECORD_MAX;
    cc_err err = enclave_root_decode(span_of(data, size), record);
    cc_assert(!err.code || error_is(err, ERROR_TAMPERED));
    if (!err.code) {
        cc_assert(!enclave_root_encode(record, &again).code);
        cc_assert(span_equal(span_of(data, size), buf_span(&again)));
        cc_assert(!enclave_root_digest(record, digest).code);
        cc_assert(record->threshold > 0 && record->threshold <= record->count);
        cc_assert(record->count <= SEAL_KMS_MAX);
        cc_assert(!enclave_root_add(record, span_of("document", 8)).code);
        again.len = 0;
        cc_assert(!enclave_root_encode(record, &again).code);
    }
    buf_release(&again);
    free(record);
    return 0;
}
