/* core/own_image.h - which image this enclave runs.
 *
 * WHAT      Takes the registers 0 (the image) and 8 (the certificate that signed it) out of a document that the vault has made.
 * PROMISE   What is returned is the module's word, whatever a configuration says. An enclave in debug mode has a PCR0 of zeros, which
 *           is given as such: its caller refuses it, or is told by a test switch not to.
 * THREADS   Any.   OWNERSHIP By value; borrows the door.
 * ERRORS    Those of core/documents.h; ATTEST_FORMAT.
 * SECRETS   None: measurements are public.
 */
#ifndef CORE_OWN_IMAGE_H
#define CORE_OWN_IMAGE_H

#include "core/documents.h"

struct own_image {
    uint8_t pcr0[ATTEST_PCR_SIZE];
    uint8_t pcr8[ATTEST_PCR_SIZE]; /* zeros without has_pcr8 */
    bool has_pcr8;                 /* the image is signed */
};

CC_ERR own_image_read(struct documents *documents, struct own_image *ret_image);
/* False: PCR0 is zeros. */
bool own_image_is_measured(const struct own_image *image);

#endif
