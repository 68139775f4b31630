#include "cli/operator_challenge.h"

#include "base/io.h"

#include "codec/hex.h"
#include "seal/challenge.h"
#include "seal/factor.h"
#include "seal/record.h"
#include "state/pin.h"

enum {
    IDENTITY_FILE_MAX = 4096
};

static const char *const purposes[] = {
    [SEAL_TO_REGISTER] = "register",       [SEAL_TO_UNSEAL] = "unseal",
    [SEAL_TO_APPROVE] = "approve",         [SEAL_TO_REHEARSE] = "rehearse",
    [SEAL_TO_BREAK_GLASS] = "break_glass",
};

const char *purpose_name(uint32_t purpose)
{
    cc_assert(purpose > 0 && purpose < ARRAY_LEN(purposes));
    return purposes[purpose];
}

static bool purpose_of(struct span name, uint32_t *ret_purpose)
{
    for (uint32_t i = 1; i < ARRAY_LEN(purposes); i++)
        if (span_is(name, purposes[i])) {
            *ret_purpose = i;
            return true;
        }
    return false;
}

static bool is_key(struct span text)
{
    uint8_t key[32];
    return !hex_decode(text, key, sizeof key).code;
}

CC_ERR pinned_read(const char *text, struct pinned *ret_pinned)
{
    CC_CLEANUP(buf_release) struct buf content = buf_init(IDENTITY_FILE_MAX);
    struct state_pin pin;
    *ret_pinned = (struct pinned){.names_chamber = false};
    if (is_key(span_str(text)))
        return hex_decode(span_str(text), ret_pinned->identity, sizeof ret_pinned->identity);
    CC_TRY(file_read(text, &content));
    CC_TRY(pin_parse(buf_span(&content), &pin));
    ret_pinned->names_chamber = true;
    memcpy(ret_pinned->identity, pin.identity_public, sizeof ret_pinned->identity);
    memcpy(ret_pinned->chamber_id, pin.chamber_id, sizeof ret_pinned->chamber_id);
    return CC_OK;
}

/* --- the JSON ---------------------------------------------------------------------------------------------------------------- */

#define AT(field) offsetof(struct seal_challenge, field), sizeof((struct seal_challenge *)0)->field

static const struct field {
    const char *name;
    size_t offset;
    size_t size;
} numbers[] =
    {
        {"memory_kib", AT(memory_kib)}, {"passes", AT(passes)},
        {"generation", AT(generation)}, {"unseal_generation", AT(unseal_generation)},
        {"number", AT(number)},         {"issued", AT(issued)},
        {"expires", AT(expires)},
},
  bytes[] = {
      {"fingerprint", AT(fingerprint)},
      {"chamber_id", AT(chamber_id)},
      {"box_key", AT(box_key)},
      {"nonce", AT(nonce)},
      {"salt", AT(salt)},
      {"challenge", AT(challenge)},
      {"next_salt", AT(next_salt)},
      {"next_challenge", AT(next_challenge)},
      {"signature", AT(signature)},
};

static cc_err text_of(struct jval object, const char *name, struct span *ret_text)
{
    struct jval value;
    if (!jval_member(object, name, &value))
        return CC_FAIL(FIELD_MISSING, "of a challenge");
    return jval_text(value, ret_text);
}

static cc_err read_number(struct jval object, const struct field *field, void *challenge)
{
    struct jval value;
    uint64_t number = 0;
    uint8_t *at = (uint8_t *)challenge + field->offset;
    if (!jval_member(object, field->name, &value))
        return CC_FAIL(FIELD_MISSING, "of a challenge");
    CC_TRY(jval_u64(value, &number));
    if (field->size == sizeof number) {
        memcpy(at, &number, sizeof number);
        return CC_OK;
    }
    if (number > UINT32_MAX)
        return CC_FAIL(NUMBER_RANGE, "of a challenge");
    const uint32_t narrow = (uint32_t)number;
    memcpy(at, &narrow, sizeof narrow);
    return CC_OK;
}

static cc_err read_words(struct jval object, struct seal_challenge *challenge)
{
    struct span text;
    size_t hint = 0;
    CC_TRY(text_of(object, "purpose", &text));
    if (!purpose_of(text, &challenge->purpose))
        return CC_FAIL(MALFORMED, "purpose of a challenge");
    CC_TRY(text_of(object, "mode", &text));
    if (!seal_mode_of(text, &challenge->mode))
        return CC_FAIL(MALFORMED, "mode of a challenge");
    CC_TRY(text_of(object, "factor", &text));
    if (!seal_factor_of(text, &challenge->factor))
        return CC_FAIL(MALFORMED, "factor of a challenge");
    CC_TRY(text_of(object, "name", &text));
    if (!seal_is_operator_name(text))
        return CC_FAIL(MALFORMED, "name of a challenge");
    memcpy(challenge->name, text.data, text.len);
    CC_TRY(text_of(object, "hint", &text));
    CC_TRY(hex_decode_some(text, challenge->hint, sizeof challenge->hint, &hint));
    challenge->hint_len = (uint32_t)hint;
    return CC_OK;
}

CC_ERR challenge_parse(struct jval object, struct seal_challenge *ret_challenge)
{
    *ret_challenge = (struct seal_challenge){0};
    if (jval_type(object) != JVAL_OBJECT)
        return CC_FAIL(FIELD_TYPE, "a challenge is an object");
    CC_TRY(read_words(object, ret_challenge));
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        CC_TRY(read_number(object, &numbers[i], ret_challenge));
    for (size_t i = 0; i < ARRAY_LEN(bytes); i++) {
        struct span text;
        CC_TRY(text_of(object, bytes[i].name, &text));
        CC_TRY(hex_decode(text, (uint8_t *)ret_challenge + bytes[i].offset, bytes[i].size));
    }
    return CC_OK;
}

/* --- whether to answer it ---------------------------------------------------------------------------------------------------- */

static cc_err check_times(const struct seal_challenge *challenge, uint64_t now)
{
    if (challenge->issued > now && challenge->issued - now > CHALLENGE_LEEWAY_MS)
        return CC_FAIL(CREDENTIAL, "the challenge is of a time to come: compare the clocks");
    if (challenge->expires <= now)
        return CC_FAIL(CREDENTIAL, "the challenge is over: an old one, or the clocks differ");
    if (challenge->expires - challenge->issued > CHALLENGE_LIFE_MAX_MS)
        return CC_FAIL(CREDENTIAL, "the challenge would be good for too long");
    return CC_OK;
}

CC_ERR challenge_accept(const struct seal_challenge *challenge,
                        const struct challenge_wanted *wanted)
{
    const struct pinned *pinned = wanted->pinned;
    CC_TRY(challenge_verify(challenge, pinned->identity));
    if (pinned->names_chamber &&
        !span_equal(span_of(challenge->chamber_id, 32),
                    span_of(pinned->chamber_id, sizeof pinned->chamber_id)))
        return CC_FAIL(CREDENTIAL, "the challenge is another chamber's");
    if (challenge->purpose != wanted->purpose)
        return CC_FAIL(CREDENTIAL, "the challenge is for another purpose");
    if (strcmp(challenge->name, wanted->name) != 0)
        return CC_FAIL(CREDENTIAL, "the challenge is another operator's");
    CC_TRY(check_times(challenge, wanted->now));
    /* A new credential's cost is the operator's to choose; a break-glass share has none. */
    if (wanted->purpose == SEAL_TO_REGISTER || wanted->purpose == SEAL_TO_BREAK_GLASS)
        return CC_OK;
    return factor_check_cost(challenge->memory_kib, challenge->passes);
}
