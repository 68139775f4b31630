#include "attest/document.h"

#include "codec/cbor.h"

enum {
    COSE_SIGN1 = 18, /* the tag that may stand before it */
    COSE_PARTS = 4
};

/* {1: -35}: the algorithm is ES384. There is no other protected header, and the one has one form. */
static const uint8_t es384_header[] = {0xa1, 0x01, 0x38, 0x22};

/* Every one of them is there, in any order: hardware and emulators differ in it. */
enum field {
    FIELD_MODULE_ID,
    FIELD_DIGEST,
    FIELD_TIMESTAMP,
    FIELD_PCRS,
    FIELD_CERTIFICATE,
    FIELD_BUNDLE,
    FIELD_PUBLIC_KEY,
    FIELD_USER_DATA,
    FIELD_NONCE,
    FIELD_COUNT
};
static const char *const field_names[FIELD_COUNT] = {
    "module_id", "digest",     "timestamp", "pcrs",  "certificate",
    "cabundle",  "public_key", "user_data", "nonce",
};

/* Strict CBOR that is not a document of this shape, or not strict: the reader's detail says which. */
static cc_err as_format(cc_err err)
{
    return error_is(err, ERROR_CBOR) ? CC_FAIL(ATTEST_FORMAT, error_detail()) : err;
}

static cc_err bytes_between(struct cbor_reader *r, size_t min, size_t max, struct span *ret_bytes)
{
    struct span bytes;
    CC_TRY(cbor_read_bytes(r, &bytes));
    if (bytes.len < min || bytes.len > max)
        return CC_FAIL(ATTEST_FORMAT, "a field is shorter or longer than it may be");
    *ret_bytes = bytes;
    return CC_OK;
}

/* AWS writes that no field may be null, and writes null for what nobody asked to put in. */
static cc_err
optional(struct cbor_reader *r, size_t min, size_t max, bool *ret_has, struct span *ret_bytes)
{
    *ret_has = !cbor_try_null(r);
    return *ret_has ? bytes_between(r, min, max, ret_bytes) : CC_OK;
}

static cc_err read_module_id(struct cbor_reader *r, struct attest_document *d)
{
    CC_TRY(cbor_read_text(r, &d->module_id));
    if (d->module_id.len == 0 || d->module_id.len > ATTEST_MODULE_ID_MAX)
        return CC_FAIL(ATTEST_FORMAT, "module_id is empty or too long");
    for (size_t i = 0; i < d->module_id.len; i++) {
        if (d->module_id.data[i] <= ' ' || d->module_id.data[i] > '~')
            return CC_FAIL(ATTEST_FORMAT, "module_id has a character that has no place there");
    }
    return CC_OK;
}

static cc_err read_digest(struct cbor_reader *r)
{
    struct span name;
    CC_TRY(cbor_read_text(r, &name));
    return span_is(name, "SHA384") ? CC_OK : CC_FAIL(ATTEST_FORMAT, "digest is not SHA384");
}

static cc_err read_timestamp(struct cbor_reader *r, struct attest_document *d)
{
    CC_TRY(cbor_read_uint(r, &d->timestamp_ms));
    return d->timestamp_ms > 0 ? CC_OK : CC_FAIL(ATTEST_FORMAT, "timestamp is zero");
}

static cc_err read_pcrs(struct cbor_reader *r, struct attest_document *d)
{
    uint32_t count;
    CC_TRY(cbor_read_map(r, ATTEST_PCR_COUNT, &count));
    if (count == 0)
        return CC_FAIL(ATTEST_FORMAT, "pcrs is empty");
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index;
        struct span value;
        CC_TRY(cbor_read_number(r, ATTEST_PCR_COUNT, &d->pcrs.present, &index));
        CC_TRY(bytes_between(r, ATTEST_PCR_SIZE, ATTEST_PCR_SIZE, &value));
        memcpy(d->pcrs.value[index], value.data, ATTEST_PCR_SIZE);
    }
    return CC_OK;
}

static cc_err read_bundle(struct cbor_reader *r, struct attest_document *d)
{
    CC_TRY(cbor_read_array(r, ATTEST_BUNDLE_MAX, &d->bundle_count));
    if (d->bundle_count == 0)
        return CC_FAIL(ATTEST_FORMAT, "cabundle is empty");
    for (uint32_t i = 0; i < d->bundle_count; i++)
        CC_TRY(bytes_between(r, 1, ATTEST_CERTIFICATE_MAX, &d->bundle[i]));
    return CC_OK;
}

static cc_err read_field(struct cbor_reader *r, enum field field, struct attest_document *d)
{
    switch (field) {
    case FIELD_MODULE_ID:
        return read_module_id(r, d);
    case FIELD_DIGEST:
        return read_digest(r);
    case FIELD_TIMESTAMP:
        return read_timestamp(r, d);
    case FIELD_PCRS:
        return read_pcrs(r, d);
    case FIELD_CERTIFICATE:
        return bytes_between(r, 1, ATTEST_CERTIFICATE_MAX, &d->certificate);
    case FIELD_BUNDLE:
        return read_bundle(r, d);
    case FIELD_PUBLIC_KEY:
        return optional(r, 1, ATTEST_PUBLIC_KEY_MAX, &d->has_public_key, &d->public_key);
    case FIELD_USER_DATA:
        return optional(r, 0, ATTEST_USER_DATA_MAX, &d->has_user_data, &d->user_data);
    case FIELD_NONCE:
        return optional(r, 0, ATTEST_NONCE_MAX, &d->has_nonce, &d->nonce);
    case FIELD_COUNT:
        break;
    }
    cc_assert_failed("a field out of the table", __FILE__, __LINE__);
}

static cc_err read_payload(struct attest_document *d)
{
    struct cbor_reader r = cbor_reader_init(d->payload);
    uint32_t count;
    uint32_t seen = 0;
    CC_TRY(cbor_read_map(&r, FIELD_COUNT, &count));
    if (count != FIELD_COUNT)
        return CC_FAIL(ATTEST_FORMAT, "a field is missing");
    for (uint32_t i = 0; i < FIELD_COUNT; i++) {
        uint32_t field;
        CC_TRY(cbor_read_name(&r, field_names, FIELD_COUNT, &seen, &field));
        CC_TRY(read_field(&r, (enum field)field, d));
    }
    return cbor_read_end(&r);
}

static cc_err read_envelope(struct span bytes, struct attest_document *d)
{
    struct cbor_reader r = cbor_reader_init(bytes);
    uint64_t tag = COSE_SIGN1;
    uint32_t count;
    if (cbor_peek(&r) == CBOR_TAG)
        CC_TRY(cbor_read_tag(&r, &tag));
    if (tag != COSE_SIGN1)
        return CC_FAIL(ATTEST_FORMAT, "a tag that is not COSE_Sign1's");
    CC_TRY(cbor_read_array(&r, COSE_PARTS, &count));
    if (count != COSE_PARTS)
        return CC_FAIL(ATTEST_FORMAT, "not a COSE_Sign1");
    CC_TRY(cbor_read_bytes(&r, &d->protected_header));
    if (!span_equal(d->protected_header, span_of(es384_header, sizeof es384_header)))
        return CC_FAIL(ATTEST_FORMAT, "the signature's algorithm is not ES384");
    CC_TRY(cbor_read_map(&r, 0, &count)); /* nothing unprotected */
    CC_TRY(cbor_read_bytes(&r, &d->payload));
    CC_TRY(bytes_between(&r, ATTEST_SIGNATURE_SIZE, ATTEST_SIGNATURE_SIZE, &d->signature));
    return cbor_read_end(&r);
}

CC_ERR attest_document_parse(struct span bytes, struct attest_document *ret_document)
{
    struct attest_document d = {.timestamp_ms = 0};
    if (bytes.len > ATTEST_DOCUMENT_MAX)
        return CC_FAIL(ATTEST_FORMAT, "longer than a document can be");
    CC_TRY(as_format(read_envelope(bytes, &d)));
    CC_TRY(as_format(read_payload(&d)));
    *ret_document = d;
    return CC_OK;
}

bool attest_pcr_set(const struct attest_pcrs *pcrs, uint32_t index)
{
    cc_assert(index < ATTEST_PCR_COUNT);
    uint8_t any = 0;
    for (size_t i = 0; i < ATTEST_PCR_SIZE; i++)
        any |= pcrs->value[index][i];
    return (pcrs->present >> index & 1) && any != 0;
}
