#include "seal/factor.h"

#include "crypto/argon2.h"
#include "crypto/sha512.h"

#define LABEL_CHALLENGE "containment-chamber/operator-challenge/v1"
#define LABEL_SALT      "containment-chamber/operator-salt/v1"

CC_ERR factor_check_cost(uint32_t memory_kib, uint32_t passes)
{
    if (memory_kib < FACTOR_MEMORY_MIN_KIB || passes < FACTOR_PASSES_MIN)
        return CC_FAIL(
            NUMBER_RANGE,
            "Argon2id with less than 256 MiB or 3 passes: the signer is not to be trusted");
    if (memory_kib > FACTOR_MEMORY_MAX_KIB || passes > FACTOR_PASSES_MAX)
        return CC_FAIL(NUMBER_RANGE, "Argon2id with more than 2 GiB or 16 passes");
    return CC_OK;
}

void factor_challenge(const struct factor_question *question,
                      uint8_t ret_challenge[static FACTOR_CHALLENGE_SIZE])
{
    uint8_t digest[SHA512_SIZE];
    const uint32_t generation = question->generation;
    const uint8_t number[4] = {(uint8_t)(generation >> 24), (uint8_t)(generation >> 16),
                               (uint8_t)(generation >> 8), (uint8_t)generation};
    const struct span parts[] = {span_of(LABEL_CHALLENGE, sizeof LABEL_CHALLENGE),
                                 span_of(question->chamber_id, 32),
                                 span_of(question->name, strlen(question->name) + 1),
                                 span_of(number, sizeof number), span_of(question->random, 32)};
    sha512(parts, ARRAY_LEN(parts), digest);
    memcpy(ret_challenge, digest, FACTOR_CHALLENGE_SIZE);
}

/* Argon2id as libsodium has it takes 16 bytes. */
static void short_salt(const struct factor_question *question,
                       uint8_t ret_salt[static ARGON2_SALT_SIZE])
{
    uint8_t digest[SHA512_SIZE];
    const struct span parts[] = {span_of(LABEL_SALT, sizeof LABEL_SALT),
                                 span_of(question->chamber_id, 32), span_of(question->salt, 32)};
    sha512(parts, ARRAY_LEN(parts), digest);
    memcpy(ret_salt, digest, ARGON2_SALT_SIZE);
}

CC_SENSITIVE CC_ERR factor_derive(const struct factor *factor,
                                  const struct factor_question *question,
                                  struct secret32 *ret_credential)
{
    CC_CLEANUP(factor_answer_wipep) struct factor_answer answer = {.len = 0};
    uint8_t challenge[FACTOR_CHALLENGE_SIZE], salt[ARGON2_SALT_SIZE];
    CC_TRY(factor_check_cost(question->memory_kib, question->passes));
    factor_challenge(question, challenge);
    CC_TRY(factor->answer(factor->context, challenge, &answer));
    if (answer.len == 0 || answer.len > sizeof answer.bytes)
        return CC_FAIL(FACTOR, "an empty answer");
    short_salt(question, salt);
    cc_err err = argon2id(span_of(answer.bytes, answer.len), salt, question->memory_kib,
                          question->passes, ret_credential->bytes);
    wipe_stack();
    return err;
}
