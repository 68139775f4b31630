#include "seal/factor_fido2.h"

#include <fido.h>

#include "crypto/random.h"
#include "crypto/sha256.h"

#define RELYING_PARTY "containment-chamber"

enum {
    FOUND_MAX = 16,
    SALT_SIZE = 32,
    HASH_SIZE = 32,
    WITH_PIN = 1
};

static cc_err failed(int code)
{
    switch (code) {
    case FIDO_ERR_PIN_REQUIRED:
        return CC_FAIL(FACTOR, "the security key wants its PIN");
    case FIDO_ERR_PIN_INVALID:
        return CC_FAIL(FACTOR, "that is not the security key's PIN");
    case FIDO_ERR_PIN_BLOCKED:
    case FIDO_ERR_PIN_AUTH_BLOCKED:
        return CC_FAIL(
            FACTOR,
            "the security key's PIN is blocked: take it out, or reset it and lose what is in it");
    case FIDO_ERR_NO_CREDENTIALS:
        return CC_FAIL(FACTOR, "this is not the security key that the operator registered with");
    case FIDO_ERR_ACTION_TIMEOUT:
    case FIDO_ERR_USER_ACTION_TIMEOUT:
    case FIDO_ERR_KEEPALIVE_CANCEL:
        return CC_FAIL(FACTOR, "the security key was not touched");
    case FIDO_ERR_UNSUPPORTED_EXTENSION:
    case FIDO_ERR_UNSUPPORTED_OPTION:
        return CC_FAIL(FACTOR, "the security key has no hmac-secret");
    default:
        return CC_FAIL(FACTOR, "the security key does not answer as one should");
    }
}

static cc_err only_path(fido_dev_info_t *found, char *ret_path, size_t size)
{
    size_t count = 0;
    if (fido_dev_info_manifest(found, FOUND_MAX, &count) != FIDO_OK || count == 0)
        return CC_FAIL(FACTOR,
                       "no security key is plugged in, or its device is closed to this user");
    if (count > 1)
        return CC_FAIL(FACTOR, "several security keys are plugged in: name one with --device");
    const char *path = fido_dev_info_path(fido_dev_info_ptr(found, 0));
    if (!path || strlen(path) >= size)
        return CC_FAIL(FACTOR, "the security key has no path");
    memcpy(ret_path, path, strlen(path) + 1);
    return CC_OK;
}

static cc_err find(char *ret_path, size_t size)
{
    fido_dev_info_t *found = fido_dev_info_new(FOUND_MAX);
    if (!found)
        return CC_FAIL(NO_MEMORY, NULL);
    cc_err err = only_path(found, ret_path, size);
    fido_dev_info_free(&found, FOUND_MAX);
    return err;
}

CC_ERR fido2_open(const char *path, struct fido2 *ret_key)
{
    char only[256];
    *ret_key = (struct fido2){0};
    fido_init(FIDO_DISABLE_U2F_FALLBACK);
    if (!path)
        CC_TRY(find(only, sizeof only));
    ret_key->device = fido_dev_new();
    if (!ret_key->device)
        return CC_FAIL(NO_MEMORY, NULL);
    if (fido_dev_open(ret_key->device, path ? path : only) == FIDO_OK &&
        fido_dev_is_fido2(ret_key->device))
        return CC_OK;
    fido2_close(ret_key);
    return CC_FAIL(FACTOR, "the device can't be opened, or is no FIDO2 security key");
}

void fido2_close(struct fido2 *key)
{
    if (key->device) {
        (void)fido_dev_close(key->device);
        fido_dev_free(&key->device);
    }
    key->device = NULL;
}

bool fido2_wants_pin(const struct fido2 *key)
{
    return fido_dev_has_pin(key->device);
}

static void cred_freep(fido_cred_t **cred)
{
    fido_cred_free(cred);
}

static void assert_freep(fido_assert_t **assertion)
{
    fido_assert_free(assertion);
}

static void ask_for_touch(const struct fido2 *key)
{
    if (key->touch)
        key->touch(key->touch_context);
    (void)fido_dev_set_timeout(key->device, FIDO2_PATIENCE_MS);
}

static void info_freep(fido_cbor_info_t **info)
{
    fido_cbor_info_free(info);
}

/* libfido2 takes a credential without it for one with it. */
static bool has_hmac_secret(const struct fido2 *key)
{
    CC_CLEANUP(info_freep) fido_cbor_info_t *info = fido_cbor_info_new();
    if (!info || fido_dev_get_cbor_info(key->device, info) != FIDO_OK)
        return false;
    char **names = fido_cbor_info_extensions_ptr(info);
    for (size_t i = 0; i < fido_cbor_info_extensions_len(info); i++)
        if (strcmp(names[i], "hmac-secret") == 0)
            return true;
    return false;
}

/* The user's id is the same each time for a chamber and a name; it says neither. */
static void user_id(const struct factor_question *question, uint8_t ret_id[static HASH_SIZE])
{
    uint8_t text[32 + SEAL_NAME_SIZE] = {0};
    memcpy(text, question->chamber_id, 32);
    memcpy(text + 32, question->name, strnlen(question->name, SEAL_NAME_SIZE));
    sha256(span_of(text, sizeof text), ret_id);
}

static int describe(fido_cred_t *cred, const struct factor_question *question, const uint8_t *hash)
{
    uint8_t user[HASH_SIZE];
    user_id(question, user);
    int code = fido_cred_set_type(cred, COSE_ES256);
    if (code == FIDO_OK)
        code = fido_cred_set_clientdata_hash(cred, hash, HASH_SIZE);
    if (code == FIDO_OK)
        code = fido_cred_set_rp(cred, RELYING_PARTY, RELYING_PARTY);
    if (code == FIDO_OK)
        code = fido_cred_set_user(cred, user, sizeof user, question->name, NULL, NULL);
    if (code == FIDO_OK)
        code = fido_cred_set_extensions(cred, FIDO_EXT_HMAC_SECRET);
    return code;
}

CC_ERR fido2_enroll(struct fido2 *key, const struct factor_question *question)
{
    CC_CLEANUP(cred_freep) fido_cred_t *cred = fido_cred_new();
    uint8_t hash[HASH_SIZE];
    CC_TRY(random_bytes(hash, sizeof hash));
    if (!cred)
        return CC_FAIL(NO_MEMORY, NULL);
    if (!has_hmac_secret(key))
        return failed(FIDO_ERR_UNSUPPORTED_EXTENSION);
    int code = describe(cred, question, hash);
    if (code == FIDO_OK) {
        ask_for_touch(key);
        code = fido_dev_make_cred(key->device, cred, key->pin);
    }
    if (code != FIDO_OK)
        return failed(code);
    const size_t len = fido_cred_id_len(cred);
    if (len == 0 || len >= sizeof key->hint.bytes)
        return CC_FAIL(FACTOR, "the security key names its credentials by more than 191 bytes");
    key->hint.bytes[0] = key->pin ? WITH_PIN : 0;
    memcpy(key->hint.bytes + 1, fido_cred_id_ptr(cred), len);
    key->hint.len = (uint32_t)len + 1;
    return CC_OK;
}

static int
prepare(fido_assert_t *assertion, const struct fido2_hint *hint, const uint8_t *challenge)
{
    uint8_t hash[HASH_SIZE];
    if (random_bytes(hash, sizeof hash).code)
        return FIDO_ERR_INTERNAL;
    int code = fido_assert_set_clientdata_hash(assertion, hash, sizeof hash);
    if (code == FIDO_OK)
        code = fido_assert_set_rp(assertion, RELYING_PARTY);
    if (code == FIDO_OK)
        code = fido_assert_allow_cred(assertion, hint->bytes + 1, hint->len - 1);
    if (code == FIDO_OK)
        code = fido_assert_set_extensions(assertion, FIDO_EXT_HMAC_SECRET);
    if (code == FIDO_OK)
        code = fido_assert_set_hmac_salt(assertion, challenge, SALT_SIZE);
    if (code == FIDO_OK)
        code = fido_assert_set_up(assertion, FIDO_OPT_TRUE);
    return code;
}

static CC_SENSITIVE cc_err answer(void *context,
                                  const uint8_t challenge[static FACTOR_CHALLENGE_SIZE],
                                  struct factor_answer *ret_answer)
{
    struct fido2 *key = context;
    const struct fido2_hint *hint = &key->hint;
    CC_CLEANUP(assert_freep) fido_assert_t *assertion = fido_assert_new();
    if (!assertion)
        return CC_FAIL(NO_MEMORY, NULL);
    if (hint->len < 2 || hint->len > sizeof hint->bytes || hint->bytes[0] > WITH_PIN)
        return CC_FAIL(FACTOR, "the set does not say which credential of the security key it is");
    const bool with_pin = hint->bytes[0] == WITH_PIN;
    if (with_pin && !key->pin)
        return CC_FAIL(FACTOR, "the security key wants its PIN");
    int code = prepare(assertion, hint, challenge);
    if (code == FIDO_OK) {
        ask_for_touch(key);
        code = fido_dev_get_assert(key->device, assertion, with_pin ? key->pin : NULL);
    }
    if (code != FIDO_OK)
        return failed(code);
    if (fido_assert_count(assertion) != 1 ||
        fido_assert_hmac_secret_len(assertion, 0) != FIDO2_ANSWER_SIZE)
        return CC_FAIL(FACTOR, "the security key gives no hmac-secret");
    memcpy(ret_answer->bytes, fido_assert_hmac_secret_ptr(assertion, 0), FIDO2_ANSWER_SIZE);
    ret_answer->len = FIDO2_ANSWER_SIZE;
    return CC_OK;
}

void factor_fido2(struct factor *ret_factor, struct fido2 *key)
{
    *ret_factor = (struct factor){key, answer};
}
