/* The records of auto-unseal as they come from the state store: refused, or the one text of bytes that stands for what was read. */
#include <stdlib.h>

#include "base/alloc.h"

#include "seal/auto_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_record(struct span bytes)
{
    struct auto_record *record = malloc(sizeof *record);
    struct buf again = buf_init(SEAL_RECORD_MAX);
    char name[AUTO_NAME_SIZE] = "000000000000000000000000000000000000000000000000";
    struct seal_image image = {{0}, {0}};
    cc_assert(record);
    if (bytes.len >= 40 + SEAL_PCR_SIZE)
        memcpy(image.pcr0, bytes.data + 40, SEAL_PCR_SIZE);
    auto_record_name(&image, name);
    cc_err err = auto_record_decode(name, bytes, record);
    cc_assert(!err.code || error_is(err, ERROR_TAMPERED));
    if (!err.code) {
        cc_assert(record->blob.shares.count <= SEAL_KMS_MAX);
        cc_assert(!auto_record_encode(record, &again).code);
        cc_assert(span_equal(bytes, buf_span(&again)));
    }
    buf_release(&again);
    free(record);
}

static void try_proposed(struct span bytes)
{
    struct auto_proposed *record = malloc(sizeof *record);
    struct buf again = buf_init(SEAL_RECORD_MAX);
    cc_assert(record);
    cc_err err = auto_proposed_decode(bytes, record);
    cc_assert(!err.code || error_is(err, ERROR_TAMPERED));
    if (!err.code) {
        cc_assert(!auto_proposed_encode(record, &again).code);
        cc_assert(span_equal(bytes, buf_span(&again)));
    }
    buf_release(&again);
    free(record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_record(span_of(data, size));
    try_proposed(span_of(data, size));
    return 0;
}
