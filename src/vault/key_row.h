/* vault/key_row.h - a key at rest: sealed for one place.
 *
 * WHAT      AES-256-GCM under HKDF(master key, "containment-chamber/key-row/v1") with a random nonce; the associated data are format, chamber,
 *           public key, status, version and generation of the row (docs/formats.md, "Key store").
 * PROMISE   A row opens only in the place that it was sealed for: not for another key, status, version or chamber (T3).
 * THREADS   Any.   OWNERSHIP Borrows.
 * ERRORS    TAMPERED (also another generation of the master key), SEALED, IDENTITY (no history was proved), CRYPTO.
 * SECRETS   The key of rows passes through, on the stack; wiped.
 */
#ifndef VAULT_KEY_ROW_H
#define VAULT_KEY_ROW_H

#include "vault/inside.h"

/* Seals `secret` for the place that `row` names: fills `sealed`. */
CC_ERR key_row_seal(const struct vault *vault,
                    const uint8_t secret[static SECRET_SIZE],
                    struct sealed_row *row);
/* Zeros on an error. */
CC_ERR key_row_open(const struct vault *vault,
                    const struct sealed_row *row,
                    uint8_t ret_secret[static SECRET_SIZE]);

#endif
