/* The records of the sealed chamber as they come from the state store: refused, or the one text that stands for what was read. */
#include <stdlib.h>

#include "base/alloc.h"

#include "seal/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_current(struct span text)
{
    struct seal_current *record = malloc(sizeof *record);
    struct buf again = buf_init(SEAL_RECORD_MAX);
    cc_assert(record);
    cc_err err = seal_current_decode(text, record);
    cc_assert(!err.code || error_is(err, ERROR_TAMPERED));
    if (!err.code) {
        cc_assert(!seal_current_encode(record, &again).code);
        cc_assert(span_equal(text, buf_span(&again)));
        cc_assert(record->set.kms.count <= SEAL_KMS_MAX);
        cc_assert(record->set.operator_count <= SEAL_OPERATORS_MAX);
    }
    buf_release(&again);
    free(record);
}

static void try_next(struct span text)
{
    struct seal_next *record = malloc(sizeof *record);
    struct buf again = buf_init(SEAL_RECORD_MAX);
    cc_assert(record);
    cc_err err = seal_next_decode(text, record);
    cc_assert(!err.code || error_is(err, ERROR_TAMPERED));
    if (!err.code) {
        cc_assert(!seal_next_encode(record, &again).code);
        cc_assert(span_equal(text, buf_span(&again)));
        cc_assert(record->phase == SEAL_PHASE_PROPOSED ||
                  span_equal(span_of(record->set.fingerprint, 32), span_of(record->digest, 32)));
    }
    buf_release(&again);
    free(record);
}

static void try_replica(struct span text)
{
    struct seal_replica record;
    struct buf again = buf_init(SEAL_RECORD_MAX);
    cc_err err = seal_replica_decode(text, &record);
    cc_assert(!err.code || error_is(err, ERROR_TAMPERED));
    if (!err.code) {
        cc_assert(!seal_replica_encode(&record, &again).code);
        cc_assert(span_equal(text, buf_span(&again)));
    }
    buf_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct span text = span_of(data, size);
    try_current(text);
    try_next(text);
    try_replica(text);
    return 0;
}
