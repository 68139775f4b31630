/* vault/release.h - what KMS has encrypted to the vault and is for the core: passwords and credentials of the configuration.
 *
 * WHAT      Opens an envelope and gives what is in it, if it is a text.
 * PROMISE   The core chooses what KMS opens, and KMS can't tell what it is for; so what it is says itself. A text is 1 to 255 bytes from ' ' to '~'.
 *           All that the vault has KMS keep are shares (crypto/shamir.h), which end with a byte of 1 to 16: no share is a text, and no text
 *           is taken for a share, whose last byte is its number. An envelope has no MAC, so a core could change one, and hope for a text that tells a block of a
 *           share: one try in some millions at best. After RELEASE_REFUSALS_MAX that were no text nothing is opened in this life.
 * THREADS   Any.   OWNERSHIP Borrows.
 * ERRORS    KMS_ANSWER (whatever is wrong with an envelope), LIMIT, SEALED, SEAL_STATE (not in an enclave), CRYPTO.
 * SECRETS   The text, on the stack of one call and in the caller's answer.
 */
#ifndef VAULT_RELEASE_H
#define VAULT_RELEASE_H

#include "vault/inside.h"
#include "wire/door_documents.h"

enum {
    RELEASE_REFUSALS_MAX = 8
};

CC_ERR release_open(struct vault *vault, const struct d_open *request, struct d_text *ret_text);

#endif
