#include "seal/challenge.h"

#include "crypto/ed25519.h"
#include "seal/seal_bytes.h"

#define LABEL "containment-chamber/challenge/v1"

static bool is_purpose(uint32_t purpose)
{
    switch ((enum seal_purpose)purpose) {
    case SEAL_TO_REGISTER:
    case SEAL_TO_UNSEAL:
    case SEAL_TO_APPROVE:
    case SEAL_TO_REHEARSE:
    case SEAL_TO_BREAK_GLASS:
        return true;
    }
    return false;
}

static bool is_factor(uint32_t factor)
{
    switch ((enum seal_factor)factor) {
    case SEAL_FACTOR_NONE:
    case SEAL_FACTOR_PASSPHRASE:
    case SEAL_FACTOR_YUBIKEY:
    case SEAL_FACTOR_FIDO2:
        return true;
    }
    return false;
}

static bool is_mode(uint32_t mode)
{
    switch ((enum seal_mode)mode) {
    case SEAL_LOCAL:
    case SEAL_KMS:
    case SEAL_QUORUM:
    case SEAL_OPERATORS:
        return true;
    }
    return false;
}

CC_ERR challenge_check(const struct seal_challenge *challenge)
{
    const size_t len = strnlen(challenge->name, SEAL_NAME_SIZE);
    if (!is_purpose(challenge->purpose) || !is_factor(challenge->factor))
        return CC_FAIL(PROTOCOL, "purpose or factor of a challenge");
    if (!is_mode(challenge->mode))
        return CC_FAIL(PROTOCOL, "mode of a challenge");
    if (len == 0 || len == SEAL_NAME_SIZE || challenge->hint_len > SEAL_HINT_MAX)
        return CC_FAIL(PROTOCOL, "name or hint of a challenge");
    if (challenge->expires <= challenge->issued)
        return CC_FAIL(PROTOCOL, "times of a challenge");
    return CC_OK;
}

void challenge_encode(const struct seal_challenge *challenge, struct challenge_bytes *ret_bytes)
{
    const struct seal_challenge *c = challenge;
    struct seal_writer writer = {ret_bytes->bytes, sizeof ret_bytes->bytes};
    seal_put(&writer, LABEL, sizeof LABEL);
    seal_put_number(&writer, c->purpose, 4);
    seal_put_number(&writer, c->mode, 4);
    seal_put_number(&writer, c->factor, 4);
    seal_put_number(&writer, c->memory_kib, 4);
    seal_put_number(&writer, c->passes, 4);
    seal_put_number(&writer, c->generation, 4);
    seal_put_number(&writer, c->unseal_generation, 4);
    seal_put_number(&writer, c->number, 8);
    seal_put_number(&writer, c->issued, 8);
    seal_put_number(&writer, c->expires, 8);
    seal_put(&writer, c->fingerprint, sizeof c->fingerprint);
    seal_put(&writer, c->chamber_id, sizeof c->chamber_id);
    seal_put(&writer, c->box_key, sizeof c->box_key);
    seal_put(&writer, c->nonce, sizeof c->nonce);
    seal_put(&writer, c->salt, sizeof c->salt);
    seal_put(&writer, c->challenge, sizeof c->challenge);
    seal_put(&writer, c->next_salt, sizeof c->next_salt);
    seal_put(&writer, c->next_challenge, sizeof c->next_challenge);
    const size_t len = strnlen(c->name, SEAL_NAME_SIZE);
    seal_put_number(&writer, len, 1);
    seal_put(&writer, c->name, len);
    seal_put_number(&writer, c->hint_len, 1);
    seal_put(&writer, c->hint, c->hint_len);
    ret_bytes->len = sizeof ret_bytes->bytes - writer.room;
}

CC_ERR challenge_verify(const struct seal_challenge *challenge, const uint8_t identity[static 32])
{
    struct challenge_bytes bytes;
    CC_TRY(challenge_check(challenge));
    challenge_encode(challenge, &bytes);
    if (ed25519_verify(identity, span_of(bytes.bytes, bytes.len), challenge->signature).code)
        return CC_FAIL(CREDENTIAL, "the challenge is not this chamber's");
    return CC_OK;
}
