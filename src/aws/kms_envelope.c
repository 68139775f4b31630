#include "aws/kms_envelope.h"

#include <string.h>

/* --- BER (X.690): what is constructed may be of definite or of indefinite length, what is primitive is of definite length -------------------- */

enum {
    TAG_INTEGER = 0x02,
    TAG_OCTETS = 0x04,
    TAG_OID = 0x06,
    TAG_SEQUENCE = 0x30,
    TAG_SET = 0x31,
    TAG_0 = 0x80, /* [0] IMPLICIT, primitive */
    TAG_0_CONSTRUCTED = 0xa0,
    INDEFINITE = 0x80
};

struct ber {
    const uint8_t *at;
    const uint8_t *end;
    bool indefinite; /* ends with two zero bytes, not at `end` */
};

static bool is_tag(const struct ber *ber, uint8_t tag)
{
    return ber->at < ber->end && *ber->at == tag;
}

/* Shortest form alone, up to 65,535. */
static bool read_length(struct ber *ber, size_t *ret_len)
{
    if (ber->at == ber->end)
        return false;
    const uint8_t first = *ber->at++;
    size_t len = first;
    if (first > 0x82)
        return false;
    if (first > 0x80) {
        const size_t count = first & 0x7f;
        if ((size_t)(ber->end - ber->at) < count)
            return false;
        len = 0;
        for (size_t i = 0; i < count; i++)
            len = len << 8 | *ber->at++;
        if (len < (count == 1 ? 0x80 : 0x100))
            return false;
    }
    *ret_len = len;
    return first != INDEFINITE && len <= (size_t)(ber->end - ber->at);
}

static bool enter(struct ber *outer, uint8_t tag, struct ber *ret_inner)
{
    size_t len = 0;
    if (!is_tag(outer, tag) || outer->end - outer->at < 2)
        return false;
    if (outer->at[1] == INDEFINITE) {
        *ret_inner = (struct ber){outer->at + 2, outer->end, true};
        return true;
    }
    outer->at++;
    if (!read_length(outer, &len))
        return false;
    *ret_inner = (struct ber){outer->at, outer->at + len, false};
    return true;
}

/* The inner one must have been read to its end; the outer one goes on behind it. */
static bool leave(struct ber *outer, const struct ber *inner)
{
    if (!inner->indefinite && inner->at != inner->end)
        return false;
    if (inner->indefinite && (inner->end - inner->at < 2 || inner->at[0] || inner->at[1]))
        return false;
    outer->at = inner->at + (inner->indefinite ? 2 : 0);
    return true;
}

static bool take(struct ber *ber, uint8_t tag, struct span *ret_content)
{
    size_t len = 0;
    if (!is_tag(ber, tag))
        return false;
    ber->at++;
    if (!read_length(ber, &len))
        return false;
    *ret_content = span_of(ber->at, len);
    ber->at += len;
    return true;
}

static bool take_bytes(struct ber *ber, uint8_t tag, const void *bytes, size_t len)
{
    struct span content;
    return take(ber, tag, &content) && span_equal(content, span_of(bytes, len));
}

static bool take_version_2(struct ber *ber)
{
    return take_bytes(ber, TAG_INTEGER, "\x02", 1);
}

/* --- CMS --------------------------------------------------------------------------------------------------------------------- */

static const uint8_t enveloped_data[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03};
static const uint8_t plain_data[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01};
static const uint8_t aes_256_cbc[] = {0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a};
/* rsaesOaep, hash SHA-256, mask generation function 1 with SHA-256 (RFC 8017, A.2.1): the content of its AlgorithmIdentifier. */
static const uint8_t oaep_sha256[] = {
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x07, 0x30, 0x2f, 0xa0, 0x0f,
    0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
    0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08,
    0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00};

/* The one recipient. What its identifier says isn't looked at: only one private key could open it. */
static bool read_recipient(struct ber *envelope, struct kms_envelope *ret_envelope)
{
    struct ber recipients;
    struct ber recipient;
    struct span id;
    return enter(envelope, TAG_SET, &recipients) && enter(&recipients, TAG_SEQUENCE, &recipient) &&
           take_version_2(&recipient) && take(&recipient, TAG_0, &id) &&
           take_bytes(&recipient, TAG_SEQUENCE, oaep_sha256, sizeof oaep_sha256) &&
           take(&recipient, TAG_OCTETS, &ret_envelope->wrapped) &&
           ret_envelope->wrapped.len == KMS_ENVELOPE_WRAPPED && leave(&recipients, &recipient) &&
           leave(envelope, &recipients);
}

static bool read_algorithm(struct ber *content, struct kms_envelope *ret_envelope)
{
    struct ber algorithm;
    return enter(content, TAG_SEQUENCE, &algorithm) &&
           take_bytes(&algorithm, TAG_OID, aes_256_cbc, sizeof aes_256_cbc) &&
           take(&algorithm, TAG_OCTETS, &ret_envelope->iv) &&
           ret_envelope->iv.len == KMS_ENVELOPE_IV && leave(content, &algorithm);
}

/* In one piece (form B), or in several (form A). */
static cc_err read_ciphertext(struct ber *content, struct buf *ciphertext, bool *ret_read)
{
    struct ber pieces;
    struct span piece;
    *ret_read = take(content, TAG_0, &piece);
    if (*ret_read)
        return buf_append(ciphertext, piece.data, piece.len);
    if (!enter(content, TAG_0_CONSTRUCTED, &pieces))
        return CC_OK;
    while (take(&pieces, TAG_OCTETS, &piece))
        CC_TRY(buf_append(ciphertext, piece.data, piece.len));
    *ret_read = leave(content, &pieces);
    return CC_OK;
}

static cc_err read_content(struct ber *envelope,
                           struct kms_envelope *ret_envelope,
                           struct buf *ciphertext,
                           bool *ret_read)
{
    struct ber content;
    *ret_read = enter(envelope, TAG_SEQUENCE, &content) &&
                take_bytes(&content, TAG_OID, plain_data, sizeof plain_data) &&
                read_algorithm(&content, ret_envelope);
    if (!*ret_read)
        return CC_OK;
    CC_TRY(read_ciphertext(&content, ciphertext, ret_read));
    *ret_read = *ret_read && leave(envelope, &content);
    return CC_OK;
}

static cc_err
read_all(struct ber *all, struct kms_envelope *ret_envelope, struct buf *ciphertext, bool *ret_read)
{
    struct ber info;
    struct ber tagged;
    struct ber envelope;
    *ret_read = enter(all, TAG_SEQUENCE, &info) &&
                take_bytes(&info, TAG_OID, enveloped_data, sizeof enveloped_data) &&
                enter(&info, TAG_0_CONSTRUCTED, &tagged) &&
                enter(&tagged, TAG_SEQUENCE, &envelope) && take_version_2(&envelope) &&
                read_recipient(&envelope, ret_envelope);
    if (!*ret_read)
        return CC_OK;
    CC_TRY(read_content(&envelope, ret_envelope, ciphertext, ret_read));
    *ret_read = *ret_read && leave(&tagged, &envelope) && leave(&info, &tagged) &&
                leave(all, &info) && all->at == all->end;
    return CC_OK;
}

CC_ERR
kms_envelope_parse(struct span bytes, struct kms_envelope *ret_envelope, struct buf *ciphertext)
{
    bool read = false;
    struct ber all = {bytes.data, bytes.data + bytes.len, false};
    const size_t before = ciphertext->len;
    if (bytes.len > KMS_ENVELOPE_MAX)
        return CC_FAIL(KMS_ANSWER, "KMS: an envelope is too long");
    CC_TRY(read_all(&all, ret_envelope, ciphertext, &read));
    const size_t len = ciphertext->len - before;
    if (!read || len == 0 || len % KMS_ENVELOPE_IV != 0)
        return CC_FAIL(KMS_ANSWER, "KMS: an envelope of another form");
    return CC_OK;
}
