/* vault/document_door.h - attestation documents for the core: the door of wire/door_documents.h, as the vault answers it.
 *
 * WHAT      One message in, one message out. The vault has the security module, and writes all that a document says of its own.
 * PROMISE   User data are composed here: the purpose that was asked for, the chamber that this life has opened, the digest of the configuration that the
 *           supervisor has given. A public key stands in documents for KMS alone, and is the vault's: what KMS opens for this image comes to
 *           the vault, whoever asks (T4). The image vouches for a record of the root that this vault has made or opened itself, under the
 *           KMS keys of its own configuration, and for no other (T11).
 *           Limit: for TLS the core names the key, and documents say which image was started, not that its core is still what it was.
 * THREADS   One: it waits for the module.
 * OWNERSHIP Borrows.
 * ERRORS    In the answers: those of attest/nsm.h and vault/release.h; SEALED (no chamber was opened), SEAL_STATE (no enclave, or no root),
 *           DENIED (a purpose that is not asked for so), ENCLAVE_ROOT (other numbers than the configuration's), PROTOCOL, LIMIT.
 * SECRETS   Of D_TEXT: vault/release.h.
 */
#ifndef VAULT_DOCUMENT_DOOR_H
#define VAULT_DOCUMENT_DOOR_H

#include "vault/inside.h"
#include "wire/door_documents.h"

/* `message` has passed door_check() with door_documents_to_vault; the answer's head lacks version and life, which door_send() adds. */
void document_door_answer(struct vault *vault,
                          const struct door_message *message,
                          struct door_message *ret_answer);
/* What is wrong with the module is found at the start, and told in the log; that the enclave runs in debug mode, too. */
CC_ERR document_door_look(struct vault *vault);

#endif
