#include "vault/keystore.h"

#include "crypto/aead.h"
#include "crypto/kdf.h"
#include "crypto/sha256.h"
#include "secret/ct.h"
#include "secret/wipe.h"

void keystore_gate_init(struct keystore_gate *gate, size_t budget)
{
    gate->budget = budget;
    gate->used = 0;
    cc_assert(pthread_mutex_init(&gate->lock, NULL) == 0);
    cc_assert(pthread_cond_init(&gate->freed, NULL) == 0);
}

void keystore_gate_destroy(struct keystore_gate *gate)
{
    (void)pthread_cond_destroy(&gate->freed);
    (void)pthread_mutex_destroy(&gate->lock);
}

static void gate_enter(struct keystore_gate *gate, size_t bytes)
{
    cc_assert(pthread_mutex_lock(&gate->lock) == 0);
    while (gate->used && gate->used + bytes > gate->budget)
        cc_assert(pthread_cond_wait(&gate->freed, &gate->lock) == 0);
    gate->used += bytes;
    cc_assert(pthread_mutex_unlock(&gate->lock) == 0);
}

static void gate_leave(struct keystore_gate *gate, size_t bytes)
{
    cc_assert(pthread_mutex_lock(&gate->lock) == 0);
    gate->used -= bytes;
    cc_assert(pthread_cond_broadcast(&gate->freed) == 0);
    cc_assert(pthread_mutex_unlock(&gate->lock) == 0);
}

static cc_err
derive_scrypt(struct keystore_gate *gate, const struct k_keystore *k, struct secret32 *ret_key)
{
    const struct scrypt_cost cost = {k->n, k->r, k->p};
    size_t bytes = 0;
    if (kdf_scrypt_memory(cost.n, cost.r, cost.p, &bytes).code)
        return CC_FAIL(KEYSTORE, "scrypt parameters are out of range");
    gate_enter(gate, bytes);
    cc_err err = kdf_scrypt(span_of(k->password, k->password_len), span_of(k->salt, k->salt_len),
                            &cost, ret_key->bytes, sizeof ret_key->bytes);
    gate_leave(gate, bytes);
    return err;
}

static cc_err
derive(struct keystore_gate *gate, const struct k_keystore *k, struct secret32 *ret_key)
{
    if (k->salt_len > sizeof k->salt || k->password_len > sizeof k->password)
        return CC_FAIL(KEYSTORE, "a length is out of range");
    if (k->kdf == K_KDF_SCRYPT)
        return derive_scrypt(gate, k, ret_key);
    if (k->kdf != K_KDF_PBKDF2_SHA256)
        return CC_FAIL(KEYSTORE, "unknown key derivation");
    if (k->c == 0 || k->c > KDF_PBKDF2_MAX)
        return CC_FAIL(KEYSTORE, "the pbkdf2 count is out of range");
    return kdf_pbkdf2_sha256(span_of(k->password, k->password_len), span_of(k->salt, k->salt_len),
                             k->c, ret_key->bytes, sizeof ret_key->bytes);
}

/* EIP-2335, "Password verification": SHA-256(derived key[16:32] ++ ciphertext). */
static CC_SENSITIVE bool password_fits(const struct k_keystore *k, const struct secret32 *key)
{
    WIPED64 struct secret64 image;
    uint8_t digest[SHA256_SIZE];
    memcpy(image.bytes, key->bytes + 16, 16);
    memcpy(image.bytes + 16, k->ciphertext, sizeof k->ciphertext);
    sha256(span_of(image.bytes, 16 + sizeof k->ciphertext), digest);
    return ct_equal(digest, k->checksum, sizeof digest);
}

static bool pubkey_fits(const struct k_keystore *k, const struct bls_secret *secret)
{
    uint8_t derived[BLS_PUBLIC_SIZE];
    if (!k->has_pubkey)
        return true;
    bls_secret_public(secret, derived);
    return span_equal(span_of(derived, sizeof derived), span_of(&k->pubkey, sizeof k->pubkey));
}

CC_SENSITIVE CC_ERR keystore_decrypt(struct keystore_gate *gate,
                                     const struct k_keystore *keystore,
                                     struct bls_secret *ret_secret)
{
    WIPED32 struct secret32 key;
    WIPED32 struct secret32 plain;
    wipe(ret_secret, sizeof *ret_secret);
    CC_TRY(derive(gate, keystore, &key));
    if (!password_fits(keystore, &key))
        return CC_FAIL(KEYSTORE_PASSWORD, "the checksum does not fit");
    CC_TRY(aes128_ctr(key.bytes, keystore->iv,
                      span_of(keystore->ciphertext, sizeof keystore->ciphertext), plain.bytes));
    CC_TRY(bls_secret_parse(plain.bytes, ret_secret));
    if (!pubkey_fits(keystore, ret_secret)) {
        wipe(ret_secret, sizeof *ret_secret);
        return CC_FAIL(KEYSTORE_PUBKEY, "the public key is another one");
    }
    return CC_OK;
}
