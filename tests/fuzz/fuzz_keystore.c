/* Any text as a keystore file: refused, or read into bounds that the vault can rely on. */
#include "base/alloc.h"
#include "base/span.h"

#include "crypto/kdf.h"
#include "keys/eip2335.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct k_keystore *k)
{
    size_t memory;
    cc_assert(k->salt_len >= 1 && k->salt_len <= K_SALT_MAX);
    cc_assert(k->id == 0 && k->password_len == 0 && k->has_pubkey <= 1);
    if (k->kdf == K_KDF_SCRYPT)
        cc_assert(!kdf_scrypt_memory(k->n, k->r, k->p, &memory).code && k->c == 0);
    else
        cc_assert(k->kdf == K_KDF_PBKDF2_SHA256 && k->c >= 1 && k->c <= KDF_PBKDF2_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct k_keystore keystore;
    uint8_t *text = cc_alloc(size);
    cc_assert(text);
    if (size)
        memcpy(text, data, size);
    if (!eip2335_parse(text, size, &keystore).code)
        check(&keystore);
    cc_free(text);
    return 0;
}
