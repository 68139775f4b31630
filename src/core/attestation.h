/* core/attestation.h - documents for the front's TLS keys.
 *
 * WHAT      A short queue of the front's questions, and the thread that passes them to the vault: it alone waits for the
 *           enclave's security module.
 * PROMISE   What a document is made for is said here, never by who asks: the purpose is TLS. The vault adds chamber and
 *           configuration, and no public key (vault/document_door.h). So a front that was captured can have keys of
 *           its own attested as the TLS keys of this chamber, which it serves anyway, and nothing else (T4). Each question is
 *           answered once, unless its front is gone; one that finds no room is BUSY.
 * THREADS   Own thread; put: the reader of door A. The lock is a leaf and not held over I/O.
 * OWNERSHIP Borrows door and link until attestation_stop() returns.
 * ERRORS    NO_MEMORY, SYSTEM at start; put: BUSY, PROTOCOL.
 * SECRETS   None.
 */
#ifndef CORE_ATTESTATION_H
#define CORE_ATTESTATION_H

#include "core/documents.h"
#include "core/front_link.h"
#include "wire/door_a.h"

enum {
    ATTESTATION_QUEUE_MAX = 16
};

struct attestation;

CC_ERR attestation_start(struct documents *documents,
                         struct front_link *link,
                         struct attestation **ret_attestation);
/* Ends after the document that is under way. Takes NULL. */
void attestation_stop(struct attestation *attestation);
CC_ERR attestation_put(struct attestation *attestation, uint32_t epoch, const struct a_attest *ask);

#endif
