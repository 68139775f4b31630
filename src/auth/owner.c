#include "auth/owner.h"

#include <string.h>

#include "codec/base64.h"
#include "codec/hex.h"
#include "secret/wipe.h"

static const char text_prefix[] = "cc_owner_";

/* --- rows ----------------------------------------------------------------------------------------------------- */

CC_ERR owner_key_parse(struct span row, struct owner_key *ret_key)
{
    const uint8_t *equals = row.len ? memchr(row.data, '=', row.len) : NULL;
    const size_t name_len = equals ? (size_t)(equals - row.data) : 0;
    const size_t from = equals ? name_len + 1 : 0;
    const struct span digits = span_of(row.data + from, row.len - from);
    struct owner_key key = {.name = ""};
    if (equals && !policy_is_name(span_of(row.data, name_len)))
        return CC_FAIL(MALFORMED, "has no name before =: [a-z0-9][a-z0-9._-]*, shorter than 40");
    if (digits.len != 2 * sizeof key.public_key ||
        hex_decode(digits, key.public_key, sizeof key.public_key).code)
        return CC_FAIL(MALFORMED, "is not [NAME=] and the 64 hex digits of an Ed25519 public key");
    manager_keyid(key.public_key, key.keyid);
    if (equals)
        memcpy(key.name, row.data, name_len);
    else
        memcpy(key.name, key.keyid, sizeof key.keyid);
    *ret_key = key;
    return CC_OK;
}

bool owner_keys_find(const struct config_text_list *rows,
                     const char *keyid,
                     struct owner_key *ret_key)
{
    for (uint32_t i = 0; i < rows->count; i++)
        if (!owner_key_parse(span_str(rows->items[i]), ret_key).code &&
            strcmp(ret_key->keyid, keyid) == 0)
            return true;
    return false;
}

/* Two rows that are one key would be two names for who did something; two keys of one name, nobody's. */
static bool is_there_already(const struct config_text_list *rows, uint32_t i)
{
    struct owner_key key, other;
    if (owner_key_parse(span_str(rows->items[i]), &key).code)
        return false;
    for (uint32_t k = 0; k < i; k++)
        if (!owner_key_parse(span_str(rows->items[k]), &other).code &&
            (strcmp(other.keyid, key.keyid) == 0 || strcmp(other.name, key.name) == 0))
            return true;
    return false;
}

void owner_keys_check(const struct config_text_list *rows, struct config_faults *faults)
{
    static const char path[] = "auth.owner_keys";
    struct owner_key key;
    if (rows->count > OWNER_KEYS_MAX)
        config_faults_add(faults, path, "has more than %d rows", (int)OWNER_KEYS_MAX);
    for (uint32_t i = 0; i < rows->count; i++) {
        if (owner_key_parse(span_str(rows->items[i]), &key).code)
            config_faults_add(faults, path, "item %u %s", i + 1, error_detail());
        else if (is_there_already(rows, i))
            config_faults_add(faults, path, "item %u has a key or a name that stands before it",
                              i + 1);
    }
}

/* --- the text that its holder keeps ------------------------------------------------------------------------------ */

CC_SENSITIVE void owner_text(const uint8_t seed[static ED25519_SEED_SIZE],
                             char ret_text[static OWNER_TEXT_SIZE])
{
    struct buf text = {.data = (uint8_t *)ret_text, .cap = OWNER_TEXT_SIZE, .max = OWNER_TEXT_SIZE};
    cc_err err = buf_append_str(&text, text_prefix);
    if (!err.code)
        err = base64url_append(&text, seed, ED25519_SEED_SIZE);
    cc_assert(!err.code && text.len == OWNER_TEXT_SIZE - 1 && text.data == (uint8_t *)ret_text);
    ret_text[text.len] = 0;
}

CC_SENSITIVE CC_ERR owner_text_parse(struct span text, uint8_t ret_seed[static ED25519_SEED_SIZE])
{
    const size_t prefix = strlen(text_prefix);
    if (text.len != OWNER_TEXT_SIZE - 1 || !span_is(span_of(text.data, prefix), text_prefix))
        return CC_FAIL(MALFORMED, "not an owner's key: cc_owner_ and 43 characters");
    if (base64url_decode(span_of(text.data + prefix, text.len - prefix), ret_seed,
                         ED25519_SEED_SIZE)
            .code) {
        wipe(ret_seed, ED25519_SEED_SIZE);
        return CC_FAIL(MALFORMED, "not an owner's key: it is not base64url");
    }
    return CC_OK;
}
