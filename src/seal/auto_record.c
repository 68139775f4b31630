#include "seal/auto_record.h"

#include "base/alloc.h"
#include "base/num.h"

#include "codec/hex.h"
#include "seal/proposal.h"

#define BAD(what) CC_FAIL(TAMPERED, "a record of auto-unseal: " what)

enum {
    FORMAT = 1,
    NAME_BYTES = (AUTO_NAME_SIZE - 1) / 2
};

void auto_record_name(const struct seal_image *image, char ret_name[static AUTO_NAME_SIZE])
{
    hex_encode(image->pcr0, NAME_BYTES, ret_name);
    ret_name[AUTO_NAME_SIZE - 1] = '\0';
}

/* --- what both have --------------------------------------------------------------------------------------------------- */

static cc_err check_keys(const struct seal_kms_key *keys, uint32_t count, bool wrapped)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!memchr(keys[i].arn, 0, SEAL_ARN_SIZE) || !kms_arn_check(span_str(keys[i].arn)))
            return BAD("not the ARN of a KMS key");
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(keys[k].arn, keys[i].arn) == 0)
                return BAD("one KMS key twice");
        if (keys[i].len > SEAL_KMS_CIPHERTEXT_MAX || (keys[i].len > 0) != wrapped)
            return BAD("the length of a KMS key's ciphertext");
    }
    return CC_OK;
}

static bool
is_of_keys(const uint8_t kms_keys[static 32], const struct seal_kms_key *keys, uint32_t n)
{
    uint8_t digest[32];
    seal_kms_keys_digest(keys, n, digest);
    return span_equal(span_of(digest, sizeof digest), span_of(kms_keys, 32));
}

static cc_err check_record(const struct auto_record *record)
{
    const struct seal_auto *blob = &record->blob;
    const struct seal_auto_proposal as_proposed = {
        .image = blob->image, .threshold = blob->shares.threshold, .count = blob->shares.count};
    if (!blob->generation || proposal_auto_check(&as_proposed).code)
        return BAD("generation, image, or a threshold");
    CC_TRY(check_keys(record->keys, blob->shares.count, true));
    return is_of_keys(blob->kms_keys, record->keys, blob->shares.count) ? CC_OK
                                                                        : BAD("of other KMS keys");
}

static bool is_principal(const char *text)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/-";
    return memchr(text, 0, SEAL_PROPOSER_SIZE) && text[0] && strspn(text, letters) == strlen(text);
}

static cc_err check_proposed(const struct auto_proposed *record)
{
    const struct seal_auto_proposal *p = &record->proposal;
    if (proposal_auto_check(p).code || !is_principal(record->proposer))
        return BAD("image, a threshold, or the proposer");
    CC_TRY(check_keys(record->keys, p->count, false));
    return is_of_keys(p->kms_keys, record->keys, p->count) ? CC_OK : BAD("of other KMS keys");
}

/* --- writing ---------------------------------------------------------------------------------------------------------- */

static cc_err put_u16(struct buf *out, uint32_t number)
{
    const uint8_t bytes[2] = {(uint8_t)(number >> 8), (uint8_t)number};
    return buf_append(out, bytes, sizeof bytes);
}

static cc_err put_u32(struct buf *out, uint32_t number)
{
    uint8_t bytes[4];
    u32_store_be(bytes, number);
    return buf_append(out, bytes, sizeof bytes);
}

static cc_err put_image(struct buf *out, const struct seal_image *image)
{
    CC_TRY(buf_append(out, image->pcr0, SEAL_PCR_SIZE));
    return buf_append(out, image->pcr8, SEAL_PCR_SIZE);
}

static cc_err put_text(struct buf *out, const char *text)
{
    CC_TRY(put_u16(out, (uint32_t)strlen(text)));
    return buf_append_str(out, text);
}

static cc_err put_key(struct buf *out, const struct seal_kms_key *key)
{
    CC_TRY(put_text(out, key->arn));
    CC_TRY(put_u16(out, key->len));
    return buf_append(out, key->ciphertext, key->len);
}

CC_ERR auto_record_encode(const struct auto_record *record, struct buf *out)
{
    const struct seal_auto *blob = &record->blob;
    CC_TRY(check_record(record));
    CC_TRY(put_u32(out, FORMAT));
    CC_TRY(buf_append(out, record->chamber_id, sizeof record->chamber_id));
    CC_TRY(put_u32(out, blob->generation));
    CC_TRY(put_image(out, &blob->image));
    CC_TRY(buf_append(out, blob->fingerprint, sizeof blob->fingerprint));
    CC_TRY(put_u32(out, blob->shares.threshold));
    CC_TRY(put_u32(out, blob->shares.count));
    for (uint32_t i = 0; i < blob->shares.count; i++) {
        CC_TRY(buf_append(out, blob->shares.commitments[i], 32));
        CC_TRY(put_key(out, &record->keys[i]));
    }
    CC_TRY(buf_append(out, blob->keys, sizeof blob->keys));
    return buf_append(out, blob->mac, sizeof blob->mac);
}

CC_ERR auto_proposed_encode(const struct auto_proposed *record, struct buf *out)
{
    const struct seal_auto_proposal *p = &record->proposal;
    uint8_t proposed[8];
    CC_TRY(check_proposed(record));
    u64_store_be(proposed, record->proposed);
    CC_TRY(put_u32(out, FORMAT));
    CC_TRY(buf_append(out, p->chamber_id, sizeof p->chamber_id));
    CC_TRY(buf_append(out, p->from, sizeof p->from));
    CC_TRY(buf_append(out, p->id, sizeof p->id));
    CC_TRY(put_image(out, &p->image));
    CC_TRY(put_u32(out, p->threshold));
    CC_TRY(put_u32(out, p->count));
    for (uint32_t i = 0; i < p->count; i++)
        CC_TRY(put_text(out, record->keys[i].arn));
    CC_TRY(put_text(out, record->proposer));
    return buf_append(out, proposed, sizeof proposed);
}

/* --- reading ---------------------------------------------------------------------------------------------------------- */

static cc_err take(struct span *rest, void *to, size_t len)
{
    if (rest->len < len)
        return BAD("it ends too early");
    if (len)
        memcpy(to, rest->data, len);
    *rest = span_of(rest->data + len, rest->len - len);
    return CC_OK;
}

static cc_err take_u16(struct span *rest, uint32_t max, uint32_t *ret_number)
{
    uint8_t bytes[2];
    CC_TRY(take(rest, bytes, sizeof bytes));
    *ret_number = (uint32_t)bytes[0] << 8 | bytes[1];
    return *ret_number <= max ? CC_OK : BAD("a length");
}

static cc_err take_u32(struct span *rest, uint32_t *ret_number)
{
    uint8_t bytes[4];
    CC_TRY(take(rest, bytes, sizeof bytes));
    *ret_number =
        (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
    return CC_OK;
}

static cc_err take_format(struct span *rest)
{
    uint32_t format = 0;
    CC_TRY(take_u32(rest, &format));
    return format == FORMAT ? CC_OK : BAD("of another format");
}

static cc_err take_image(struct span *rest, struct seal_image *ret_image)
{
    CC_TRY(take(rest, ret_image->pcr0, SEAL_PCR_SIZE));
    return take(rest, ret_image->pcr8, SEAL_PCR_SIZE);
}

/* Of at most `size` - 1 bytes; `to` is zeros. */
static cc_err take_text(struct span *rest, char *to, size_t size)
{
    uint32_t len = 0;
    CC_TRY(take_u16(rest, (uint32_t)size - 1, &len));
    CC_TRY(take(rest, to, len));
    return memchr(to, 0, size) == to + len ? CC_OK : BAD("a text with a zero in it");
}

static cc_err take_key(struct span *rest, struct seal_kms_key *ret_key)
{
    CC_TRY(take_text(rest, ret_key->arn, sizeof ret_key->arn));
    CC_TRY(take_u16(rest, SEAL_KMS_CIPHERTEXT_MAX, &ret_key->len));
    return take(rest, ret_key->ciphertext, ret_key->len);
}

static cc_err take_count(struct span *rest, uint32_t *ret_count)
{
    CC_TRY(take_u32(rest, ret_count));
    return *ret_count <= SEAL_KMS_MAX ? CC_OK : BAD("too many KMS keys");
}

static cc_err read_record(struct span rest, struct auto_record *record)
{
    struct seal_auto *blob = &record->blob;
    CC_TRY(take_format(&rest));
    CC_TRY(take(&rest, record->chamber_id, sizeof record->chamber_id));
    CC_TRY(take_u32(&rest, &blob->generation));
    CC_TRY(take_image(&rest, &blob->image));
    CC_TRY(take(&rest, blob->fingerprint, sizeof blob->fingerprint));
    CC_TRY(take_u32(&rest, &blob->shares.threshold));
    CC_TRY(take_count(&rest, &blob->shares.count));
    for (uint32_t i = 0; i < blob->shares.count; i++) {
        CC_TRY(take(&rest, blob->shares.commitments[i], 32));
        CC_TRY(take_key(&rest, &record->keys[i]));
    }
    CC_TRY(take(&rest, blob->keys, sizeof blob->keys));
    CC_TRY(take(&rest, blob->mac, sizeof blob->mac));
    if (rest.len)
        return BAD("it goes on behind its end");
    seal_kms_keys_digest(record->keys, blob->shares.count, blob->kms_keys);
    return check_record(record);
}

CC_ERR auto_record_decode(const char *name, struct span bytes, struct auto_record *ret_record)
{
    CC_CLEANUP(cc_freep) struct auto_record *record = cc_alloc(sizeof *record);
    char own[AUTO_NAME_SIZE];
    if (!record)
        return CC_FAIL(NO_MEMORY, NULL);
    CC_TRY(read_record(bytes, record));
    auto_record_name(&record->blob.image, own);
    if (strcmp(own, name) != 0)
        return BAD("under another image's name");
    *ret_record = *record;
    return CC_OK;
}

static cc_err read_proposed(struct span rest, struct auto_proposed *record)
{
    struct seal_auto_proposal *p = &record->proposal;
    uint8_t proposed[8];
    CC_TRY(take_format(&rest));
    CC_TRY(take(&rest, p->chamber_id, sizeof p->chamber_id));
    CC_TRY(take(&rest, p->from, sizeof p->from));
    CC_TRY(take(&rest, p->id, sizeof p->id));
    CC_TRY(take_image(&rest, &p->image));
    CC_TRY(take_u32(&rest, &p->threshold));
    CC_TRY(take_count(&rest, &p->count));
    for (uint32_t i = 0; i < p->count; i++)
        CC_TRY(take_text(&rest, record->keys[i].arn, sizeof record->keys[i].arn));
    CC_TRY(take_text(&rest, record->proposer, sizeof record->proposer));
    CC_TRY(take(&rest, proposed, sizeof proposed));
    if (rest.len)
        return BAD("it goes on behind its end");
    record->proposed = u64_load_be(proposed);
    seal_kms_keys_digest(record->keys, p->count, p->kms_keys);
    return check_proposed(record);
}

CC_ERR auto_proposed_decode(struct span bytes, struct auto_proposed *ret_record)
{
    CC_CLEANUP(cc_freep) struct auto_proposed *record = cc_alloc(sizeof *record);
    if (!record)
        return CC_FAIL(NO_MEMORY, NULL);
    CC_TRY(read_proposed(bytes, record));
    *ret_record = *record;
    return CC_OK;
}
