#include "seal/enclave_root_record.h"

#include <string.h>

#include "crypto/sha384.h"
#include "seal/seal_bytes.h"

static const char title[16] = "cc-enclave-root1"; /* without a terminator */

enum {
    KEY_MAX = 2 + SEAL_ARN_SIZE + 32 + 2 + SEAL_KMS_CIPHERTEXT_MAX,
    BODY_MAX = sizeof title + 32 + ED25519_PUBLIC_SIZE + 32 + 2 + SEAL_KMS_MAX * KEY_MAX,
};
_Static_assert(BODY_MAX + 1 + 2 + ATTEST_DOCUMENT_MAX <= STATE_RECORD_MAX, "one document fits");

static cc_err odd(const char *what)
{
    return CC_FAIL(TAMPERED, what);
}

/* --- writing --------------------------------------------------------------------------------------------- */

static void
put_key(struct seal_writer *w, const struct seal_kms_key *key, const uint8_t *commitment)
{
    const size_t len = strlen(key->arn);
    seal_put_number(w, len, 2);
    seal_put(w, key->arn, len);
    seal_put(w, commitment, 32);
    seal_put_number(w, key->len, 2);
    seal_put(w, key->ciphertext, key->len);
}

static size_t put_body(const struct enclave_root_record *record, uint8_t out[static BODY_MAX])
{
    struct seal_writer w = {out, BODY_MAX};
    seal_put(&w, title, sizeof title);
    seal_put(&w, record->chamber_id, sizeof record->chamber_id);
    seal_put(&w, record->identity_public, sizeof record->identity_public);
    seal_put(&w, record->commitment, sizeof record->commitment);
    seal_put_number(&w, record->threshold, 1);
    seal_put_number(&w, record->count, 1);
    for (uint32_t i = 0; i < record->count; i++)
        put_key(&w, &record->keys[i], record->commitments[i]);
    return BODY_MAX - w.room;
}

CC_ERR enclave_root_encode(const struct enclave_root_record *record, struct buf *out)
{
    uint8_t body[BODY_MAX];
    const size_t len = put_body(record, body);
    const uint8_t count = (uint8_t)record->document_count;
    CC_TRY(buf_append(out, body, len));
    CC_TRY(buf_append(out, &count, 1));
    for (uint32_t i = 0; i < record->document_count; i++) {
        const struct enclave_root_document *document = &record->documents[i];
        const uint8_t head[2] = {(uint8_t)(document->len >> 8), (uint8_t)document->len};
        CC_TRY(buf_append(out, head, sizeof head));
        CC_TRY(buf_append(out, document->bytes, document->len));
    }
    return CC_OK;
}

CC_ERR enclave_root_digest(const struct enclave_root_record *record,
                           uint8_t ret_digest[static ATTEST_RECORD_DIGEST_SIZE])
{
    uint8_t body[BODY_MAX];
    const struct span part = span_of(body, put_body(record, body));
    return sha384(&part, 1, ret_digest);
}

static size_t size_of(const struct enclave_root_record *record)
{
    uint8_t body[BODY_MAX];
    size_t size = put_body(record, body) + 1;
    for (uint32_t i = 0; i < record->document_count; i++)
        size += 2 + record->documents[i].len;
    return size;
}

static void drop_oldest(struct enclave_root_record *record)
{
    record->document_count--;
    memmove(&record->documents[0], &record->documents[1],
            record->document_count * sizeof record->documents[0]);
}

CC_ERR enclave_root_add(struct enclave_root_record *record, struct span document)
{
    if (document.len == 0 || document.len > ATTEST_DOCUMENT_MAX)
        return CC_FAIL(LIMIT, "length of a document");
    while (record->document_count > 0 && (record->document_count == ENCLAVE_ROOT_DOCUMENTS_MAX ||
                                          size_of(record) + 2 + document.len > STATE_RECORD_MAX))
        drop_oldest(record);
    struct enclave_root_document *last = &record->documents[record->document_count++];
    last->len = (uint32_t)document.len;
    memcpy(last->bytes, document.data, document.len);
    return CC_OK;
}

/* --- reading --------------------------------------------------------------------------------------------- */

static cc_err take_key(struct seal_reader *r, struct seal_kms_key *key, uint8_t *commitment)
{
    const uint64_t arn_len = seal_take_number(r, 2);
    if (arn_len >= SEAL_ARN_SIZE)
        return odd("the root's record: an ARN is too long");
    seal_take(r, key->arn, arn_len);
    seal_take(r, commitment, 32);
    key->len = (uint32_t)seal_take_number(r, 2);
    if (key->len == 0 || key->len > SEAL_KMS_CIPHERTEXT_MAX)
        return odd("the root's record: length of a ciphertext");
    seal_take(r, key->ciphertext, key->len);
    return kms_arn_check(span_of(key->arn, arn_len))
               ? CC_OK
               : odd("the root's record: not the ARN of a KMS key");
}

static cc_err take_body(struct seal_reader *r, struct enclave_root_record *record)
{
    char found[sizeof title];
    seal_take(r, found, sizeof found);
    if (!span_equal(span_of(found, sizeof found), span_of(title, sizeof title)))
        return odd("the root's record: another format");
    seal_take(r, record->chamber_id, sizeof record->chamber_id);
    seal_take(r, record->identity_public, sizeof record->identity_public);
    seal_take(r, record->commitment, sizeof record->commitment);
    record->threshold = (uint32_t)seal_take_number(r, 1);
    record->count = (uint32_t)seal_take_number(r, 1);
    if (record->threshold == 0 || record->threshold > record->count || record->count > SEAL_KMS_MAX)
        return odd("the root's record: numbers of its shares");
    for (uint32_t i = 0; i < record->count; i++)
        CC_TRY(take_key(r, &record->keys[i], record->commitments[i]));
    return CC_OK;
}

static cc_err take_documents(struct seal_reader *r, struct enclave_root_record *record)
{
    record->document_count = (uint32_t)seal_take_number(r, 1);
    if (record->document_count > ENCLAVE_ROOT_DOCUMENTS_MAX)
        return odd("the root's record: too many documents");
    for (uint32_t i = 0; i < record->document_count; i++) {
        struct enclave_root_document *document = &record->documents[i];
        document->len = (uint32_t)seal_take_number(r, 2);
        if (document->len == 0 || document->len > sizeof document->bytes)
            return odd("the root's record: length of a document");
        seal_take(r, document->bytes, document->len);
    }
    return CC_OK;
}

CC_ERR enclave_root_decode(struct span bytes, struct enclave_root_record *ret_record)
{
    struct seal_reader r = {.left = bytes};
    memset(ret_record, 0, sizeof *ret_record);
    CC_TRY(take_body(&r, ret_record));
    CC_TRY(take_documents(&r, ret_record));
    return !r.short_of && r.left.len == 0 ? CC_OK : odd("the root's record: its length");
}
