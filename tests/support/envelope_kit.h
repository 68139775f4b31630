/* support/envelope_kit.h - what KMS answers to an attestation document, made as KMS makes it: with OpenSSL's RSA and AES, in BER by hand.
 *
 * WHAT      A recipient's public key and a plain text become a CMS envelope in either form.
 */
#ifndef SUPPORT_ENVELOPE_KIT_H
#define SUPPORT_ENVELOPE_KIT_H

#include "base/span.h"

enum envelope_form {
    ENVELOPE_PIECES, /* form A: the ciphertext in one or more octet strings */
    ENVELOPE_WHOLE   /* form B */
};

/* `public_der`: a SubjectPublicKeyInfo. `piece`: bytes of each octet string of form A. */
void envelope_make(struct span public_der,
                   struct span plain,
                   enum envelope_form form,
                   size_t piece,
                   struct buf *ret_envelope);

#endif
