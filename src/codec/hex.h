/* codec/hex.h - bytes as hexadecimal text.
 *
 * WHAT      Strict reading of hex with or without 0x, in any case, and writing of lower-case hex.
 * PROMISE   Nothing but pairs of hex digits is accepted; a length that does not fit is refused, never cut.
 *           Not constant-time: nothing secret is read here (keystores and raw keys have their own reader).
 * THREADS   Any: pure.
 * OWNERSHIP Borrows the text, writes to the caller's bytes.
 * ERRORS    HEX_SYNTAX (odd digit count or a foreign character), HEX_LENGTH.
 * SECRETS   None.
 */
#ifndef CODEC_HEX_H
#define CODEC_HEX_H

#include "base/error.h"
#include "base/span.h"

/* `text` without its 0x or 0X, when it has one. */
struct span hex_digits(struct span text);

/* Decodes exactly `len` bytes. On an error `ret_bytes` may hold part of them. */
CC_ERR hex_decode(struct span text, uint8_t *ret_bytes, size_t len);

/* Decodes at most `len` bytes to the right end of `ret_bytes`, zeros before them: what Web3Signer does with a
 * Bytes32 that is too short ("0x" is the zero root).
 */
CC_ERR hex_decode_padded(struct span text, uint8_t *ret_bytes, size_t len);

/* Decodes up to `max` bytes and says how many there were. */
CC_ERR hex_decode_some(struct span text, uint8_t *ret_bytes, size_t max, size_t *ret_len);

/* Writes 2 * len lower-case digits, without 0x and without a terminator. */
void hex_encode(const void *data, size_t len, char *ret_digits);

/* Appends 0x and the digits to `out`. */
CC_ERR hex_append(struct buf *out, const void *data, size_t len);

#endif
