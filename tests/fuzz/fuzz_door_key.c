/* Any packets from a loader: each is refused or answered by one result per item, which holds no byte of what it was
 * given in secret; what is loaded is loaded under its own public key.
 *
 * Input: packets, each behind its length (2 bytes, little-endian). Costly key derivations are passed over.
 */
#include "base/log.h"

#include "crypto/kdf.h"
#include "vault/key_door.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    LIFE = 1,
    SLOTS = 64,
    SCRYPT_CHEAP = 1 << 20,
    PBKDF2_CHEAP = 1000
};

static struct door_message message;
static struct door_message answer;

static bool too_costly(void)
{
    const struct k_keystore *k = (const void *)message.items;
    size_t bytes = 0;
    if (message.head.type != K_KEYSTORE)
        return false;
    if (k->kdf == K_KDF_SCRYPT)
        return !kdf_scrypt_memory(k->n, k->r, k->p, &bytes).code && bytes * k->p > SCRYPT_CHEAP;
    return k->c > PBKDF2_CHEAP;
}

/* True for bytes that are neither regular nor elsewhere in the message: then they can't be in an answer by chance or
 * as an echo.
 */
static bool unmistakable(const uint8_t bytes[static 16])
{
    bool seen[256] = {false};
    unsigned distinct = 0;
    const uint8_t *first = memmem(&message, sizeof message, bytes, 16);
    const size_t rest = (size_t)((const uint8_t *)(&message + 1) - (first + 1));
    for (size_t i = 0; i < 16; i++) {
        distinct += !seen[bytes[i]];
        seen[bytes[i]] = true;
    }
    return distinct >= 8 && !memmem(first + 1, rest, bytes, 16);
}

static void check_answer(struct vault *vault)
{
    const struct k_raw *raw = (const void *)message.items;
    const struct k_result *results = (const void *)answer.items;
    const size_t len = (size_t)answer.head.count * answer.head.item_size;
    answer.head.version = DOOR_VERSION;
    answer.head.life = LIFE;
    cc_assert(!door_check(&answer, sizeof answer.head + len, LIFE, door_key_to_loader).code);
    cc_assert(answer.head.count == message.head.count);
    for (uint32_t i = 0; i < answer.head.count; i++) {
        struct key_handle handle;
        if (results[i].error)
            continue;
        cc_assert(!key_table_find(vault->keys, &results[i].pubkey, &handle).code);
        if (message.head.type == K_RAW && unmistakable(raw[i].secret + 16))
            cc_assert(!memmem(answer.items, len, raw[i].secret + 16, 16));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vault vault = {.arena = NULL};
    log_init(-1, false, LOG_LEVEL_ERROR);
    cc_assert(!arena_new(1, SLOTS, &vault.arena).code);
    cc_assert(!key_table_new(vault.arena, SLOTS, &vault.keys).code);
    keystore_gate_init(&vault.gate, 0);
    for (size_t at = 0; at + 2 <= size;) {
        size_t len = (size_t)data[at] | (size_t)data[at + 1] << 8;
        at += 2;
        len = len < size - at ? len : size - at;
        memset(&message, 0, sizeof message);
        memcpy(&message, data + at, len);
        at += len;
        if (door_check(&message, len, LIFE, door_key_to_vault).code || too_costly())
            continue;
        key_door_answer(&vault, &message, &answer);
        check_answer(&vault);
    }
    vault_close(&vault);
    return 0;
}
