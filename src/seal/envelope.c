#include "seal/envelope.h"

#include "crypto/sealed_box.h"
#include "crypto/sha256.h"
#include "seal/seal_bytes.h"
#include "secret/ct.h"

#define LABEL "containment-chamber/envelope/v1"

enum {
    PLAIN_MAX = SEAL_ENVELOPE_MAX - SEALED_BOX_OVERHEAD,
    BOUND_MAX = 256
};

struct plain {
    size_t len;
    uint8_t bytes[PLAIN_MAX];
};

static void plain_wipep(struct plain *plain)
{
    wipe(plain, sizeof *plain);
}

static void bind(const struct seal_challenge *challenge,
                 const uint8_t digest[static 32],
                 uint8_t ret_binding[static 32])
{
    uint8_t bytes[BOUND_MAX];
    struct seal_writer writer = {bytes, sizeof bytes};
    const size_t len = strnlen(challenge->name, SEAL_NAME_SIZE - 1);
    seal_put(&writer, LABEL, sizeof LABEL);
    seal_put(&writer, challenge->chamber_id, 32);
    seal_put(&writer, challenge->fingerprint, 32);
    seal_put_number(&writer, challenge->generation, 4);
    seal_put_number(&writer, challenge->purpose, 4);
    seal_put_number(&writer, len, 1);
    seal_put(&writer, challenge->name, len);
    seal_put(&writer, challenge->nonce, SEAL_NONCE_SIZE);
    seal_put(&writer, digest, 32);
    sha256(span_of(bytes, sizeof bytes - writer.room), ret_binding);
}

static void encode(const struct seal_envelope *envelope, struct plain *ret_plain)
{
    struct seal_writer writer = {ret_plain->bytes, sizeof ret_plain->bytes};
    seal_put(&writer, envelope->nonce, sizeof envelope->nonce);
    seal_put(&writer, envelope->binding, sizeof envelope->binding);
    seal_put_number(&writer, envelope->credential_len, 1);
    seal_put(&writer, envelope->credential, envelope->credential_len);
    seal_put_number(&writer, envelope->next.factor, 1);
    if (envelope->next.factor != SEAL_FACTOR_NONE) {
        seal_put_number(&writer, envelope->next.memory_kib, 4);
        seal_put_number(&writer, envelope->next.passes, 4);
        seal_put(&writer, envelope->next.credential, ENVELOPE_CREDENTIAL_SIZE);
        seal_put_number(&writer, envelope->next.hint_len, 1);
        seal_put(&writer, envelope->next.hint, envelope->next.hint_len);
    }
    ret_plain->len = sizeof ret_plain->bytes - writer.room;
}

static void decode_next(struct seal_reader *reader, struct seal_envelope *envelope)
{
    envelope->next.memory_kib = (uint32_t)seal_take_number(reader, 4);
    envelope->next.passes = (uint32_t)seal_take_number(reader, 4);
    seal_take(reader, envelope->next.credential, ENVELOPE_CREDENTIAL_SIZE);
    envelope->next.hint_len = (uint32_t)seal_take_number(reader, 1);
    reader->short_of = reader->short_of || envelope->next.hint_len > SEAL_HINT_MAX;
    if (!reader->short_of)
        seal_take(reader, envelope->next.hint, envelope->next.hint_len);
}

static bool decode(const struct plain *plain, struct seal_envelope *envelope)
{
    struct seal_reader reader = {.left = span_of(plain->bytes, plain->len)};
    seal_take(&reader, envelope->nonce, sizeof envelope->nonce);
    seal_take(&reader, envelope->binding, sizeof envelope->binding);
    envelope->credential_len = (uint32_t)seal_take_number(&reader, 1);
    if (envelope->credential_len != ENVELOPE_CREDENTIAL_SIZE &&
        envelope->credential_len != SEAL_SHARE_SIZE)
        return false;
    seal_take(&reader, envelope->credential, envelope->credential_len);
    envelope->next.factor = (uint32_t)seal_take_number(&reader, 1);
    if (envelope->next.factor > SEAL_FACTOR_FIDO2)
        return false;
    if (envelope->next.factor != SEAL_FACTOR_NONE)
        decode_next(&reader, envelope);
    return !reader.short_of && reader.left.len == 0;
}

CC_SENSITIVE CC_ERR envelope_seal(struct seal_envelope *envelope,
                                  const struct seal_challenge *challenge,
                                  const uint8_t digest[static 32],
                                  struct seal_box *ret_box)
{
    CC_CLEANUP(plain_wipep) struct plain plain = {.len = 0};
    cc_assert(envelope->credential_len <= ENVELOPE_CREDENTIAL_MAX &&
              envelope->next.hint_len <= SEAL_HINT_MAX);
    memcpy(envelope->nonce, challenge->nonce, sizeof envelope->nonce);
    bind(challenge, digest, envelope->binding);
    encode(envelope, &plain);
    CC_TRY(sealed_box_seal(challenge->box_key, span_of(plain.bytes, plain.len), ret_box->bytes));
    ret_box->len = (uint32_t)(plain.len + SEALED_BOX_OVERHEAD);
    return CC_OK;
}

CC_SENSITIVE CC_ERR envelope_open(const uint8_t box_public[static 32],
                                  const uint8_t box_secret[static 32],
                                  struct span box,
                                  struct seal_envelope *ret_envelope)
{
    CC_CLEANUP(plain_wipep) struct plain plain = {.len = 0};
    *ret_envelope = (struct seal_envelope){0};
    if (box.len <= SEALED_BOX_OVERHEAD || box.len > SEAL_ENVELOPE_MAX)
        return CC_FAIL(CREDENTIAL, NULL);
    plain.len = box.len - SEALED_BOX_OVERHEAD;
    if (!sealed_box_open(box_public, box_secret, box, plain.bytes).code &&
        decode(&plain, ret_envelope))
        return CC_OK;
    envelope_wipep(ret_envelope);
    return CC_FAIL(CREDENTIAL, NULL);
}

CC_ERR envelope_check(const struct seal_envelope *envelope,
                      const struct seal_challenge *challenge,
                      const uint8_t digest[static 32])
{
    uint8_t expected[32];
    bind(challenge, digest, expected);
    const bool same_nonce = ct_equal(envelope->nonce, challenge->nonce, SEAL_NONCE_SIZE);
    const bool same_binding = ct_equal(envelope->binding, expected, sizeof expected);
    return same_nonce && same_binding ? CC_OK : CC_FAIL(CREDENTIAL, NULL);
}
