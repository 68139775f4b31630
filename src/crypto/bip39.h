/* crypto/bip39.h - 256 bits as 24 words, and words as a seed (BIP-39, English).
 *
 * WHAT      The sentence that people keep, and the 64 bytes that a tree of keys grows from.
 * PROMISE   Neither branch nor address depends on the entropy, but for the lengths of words.
 * THREADS   Any: pure; a seed takes about two milliseconds.   OWNERSHIP Borrows.   ERRORS CRYPTO, NUMBER_RANGE.
 * SECRETS   Entropy, words and seed. OpenSSL keeps the words' HMAC state on the heap for the call, and cleanses it.
 */
#ifndef CRYPTO_BIP39_H
#define CRYPTO_BIP39_H

#include "base/span.h"

enum {
    BIP39_ENTROPY_SIZE = 32,
    BIP39_WORDS = 24,
    BIP39_TEXT_MAX = BIP39_WORDS * 9, /* eight letters and a space or a line feed */
    BIP39_SEED_SIZE = 64
};

/* Writes the words with one space between; zeros behind them. */
void bip39_words(const uint8_t entropy[static BIP39_ENTROPY_SIZE],
                 char ret_text[static BIP39_TEXT_MAX],
                 size_t *ret_len);
/* PBKDF2-HMAC-SHA512 of the words as they are; `passphrase` is usually empty. */
CC_ERR
bip39_seed(struct span sentence, struct span passphrase, uint8_t ret_seed[static BIP39_SEED_SIZE]);

#endif
