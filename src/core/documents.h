/* core/documents.h - what a core in an enclave has its vault ask the security module.
 *
 * WHAT      The core's end of the door of documents (wire/door_documents.h): one question, one answer.
 * PROMISE   An answer is taken only when it is the one to the question that was just asked. What a document says is the vault's to write
 *           (vault/document_door.h): nothing here could be asked for that a captured core would not get either.
 * THREADS   Any: questions queue behind its lock, which is held while the vault and its module answer. Nothing that signs asks here.
 * OWNERSHIP documents_free() closes the descriptor.
 * ERRORS    DOOR_CLOSED, PROTOCOL, NO_MEMORY, and what the vault says.
 * SECRETS   What KMS gives to the core passes through, and is wiped from the message.
 */
#ifndef CORE_DOCUMENTS_H
#define CORE_DOCUMENTS_H

#include "attest/binding.h"
#include "seal/enclave_root_record.h"
#include "wire/door_documents.h"

struct documents;

/* Takes `fd` over. */
CC_ERR documents_new(int fd, uint32_t life, struct documents **ret_documents);
void documents_free(struct documents *documents); /* takes NULL */

/* `spki_digest`: ATTEST_FOR_TLS; else NULL. nonce.len 0: none. Appends the document. */
CC_ERR documents_ask(struct documents *documents,
                     enum attest_purpose purpose,
                     const uint8_t *spki_digest,
                     struct span nonce,
                     struct buf *ret_document);
/* This image vouches for the record; the vault sees to it that it is the one of its own root. */
CC_ERR documents_vouch(struct documents *documents,
                       const struct enclave_root_record *record,
                       struct buf *ret_document);
/* The text in what KMS has encrypted to the vault; the caller wipes it. */
CC_ERR documents_open(struct documents *documents,
                      const struct d_open *sealed,
                      char ret_text[static D_TEXT_MAX],
                      uint32_t *ret_len);

#endif
