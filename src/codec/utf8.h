/* codec/utf8.h - passwords as EIP-2335 wants them, and what UTF-8 is.
 *
 * WHAT      Says whether bytes are UTF-8. Turns the text of a password into the bytes that the key derivation takes: NFKD, then without C0, C1 and
 *           Delete control codes, then UTF-8 (EIP-2335, "Password requirements").
 * PROMISE   Output is bounded by the caller's buffer; nothing is cut short: what does not fit is refused.
 * THREADS   Any: pure.
 * OWNERSHIP Borrows the text, writes to the caller's bytes.
 * ERRORS    PASSWORD_TEXT (not UTF-8, or too long).
 * SECRETS   The password. All temporaries are on the stack and wiped; utf8proc gets no heap for it.
 */
#ifndef CODEC_UTF8_H
#define CODEC_UTF8_H

#include "base/error.h"
#include "base/span.h"

/* Code points of the decomposed password, control codes included. */
enum {
    UTF8_PASSWORD_MAX = 2048
};

CC_ERR
utf8_password(struct span text, uint8_t *ret_bytes, size_t size, size_t *ret_len);

/* True when all of it is UTF-8 (RFC 3629: shortest forms, no surrogates). Not for secrets. */
bool utf8_is(struct span text);

#endif
