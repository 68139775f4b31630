#include "crypto/bip39.h"

#include <sodium.h>

#include "crypto/kdf.h"
#include "secret/ct.h"
#include "secret/wipe.h"

enum {
    LETTERS = 8,
    ROUNDS = 2048,
    PASSPHRASE_MAX = 256
};

/* Zeros behind the letters of a word. */
static const char words[2048][LETTERS + 1] = {
#define W(word) #word,
#include "crypto/bip39_words.def"
#undef W
};

/* The letters of the word of that number, without an address that depends on it. */
static uint64_t pick(uint32_t number)
{
    uint64_t picked = 0;
    for (uint32_t i = 0; i < 2048; i++) {
        uint64_t letters;
        memcpy(&letters, words[i], LETTERS);
        picked |= ct_mask_zero(i ^ number) & letters;
    }
    return picked;
}

/* Writes them and tells how many there are: that alone is not kept secret. The zeros behind them are written over, or stay. */
static size_t put(uint64_t letters, char ret_text[static LETTERS])
{
    uint64_t count = 0;
    memcpy(ret_text, &letters, LETTERS);
    for (size_t k = 0; k < LETTERS; k++)
        count += 1 & ~ct_mask_zero((uint8_t)ret_text[k]);
    CT_DECLASSIFY(&count, sizeof count);
    return (size_t)count;
}

static void hash_wipep(crypto_hash_sha256_state *state)
{
    wipe(state, sizeof *state);
}

CC_SENSITIVE void bip39_words(const uint8_t entropy[static BIP39_ENTROPY_SIZE],
                              char ret_text[static BIP39_TEXT_MAX],
                              size_t *ret_len)
{
    CC_CLEANUP(hash_wipep) crypto_hash_sha256_state state;
    WIPED64 struct secret64 bits; /* the entropy, and eight bits of its hash */
    WIPED32 struct secret32 digest;
    size_t len = 0;
    (void)crypto_hash_sha256_init(&state);
    (void)crypto_hash_sha256_update(&state, entropy, BIP39_ENTROPY_SIZE);
    (void)crypto_hash_sha256_final(&state, digest.bytes);
    memset(bits.bytes, 0, sizeof bits.bytes);
    memcpy(bits.bytes, entropy, BIP39_ENTROPY_SIZE);
    bits.bytes[BIP39_ENTROPY_SIZE] = digest.bytes[0];
    memset(ret_text, 0, BIP39_TEXT_MAX);
    for (size_t i = 0; i < BIP39_WORDS; i++) {
        const uint8_t *at = bits.bytes + i * 11 / 8;
        uint32_t three = (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
        if (i)
            ret_text[len++] = ' ';
        len += put(pick(three >> (13 - i * 11 % 8) & 2047), ret_text + len);
    }
    *ret_len = len;
}

CC_SENSITIVE CC_ERR bip39_seed(struct span sentence,
                               struct span passphrase,
                               uint8_t ret_seed[static BIP39_SEED_SIZE])
{
    uint8_t salt[8 + PASSPHRASE_MAX] = "mnemonic";
    if (passphrase.len > PASSPHRASE_MAX)
        return CC_FAIL(NUMBER_RANGE, "length of a passphrase");
    if (passphrase.len)
        memcpy(salt + 8, passphrase.data, passphrase.len);
    cc_err err = kdf_pbkdf2_sha512(sentence, span_of(salt, 8 + passphrase.len), ROUNDS, ret_seed,
                                   BIP39_SEED_SIZE);
    wipe(salt, sizeof salt);
    return err;
}
