/* support/document_kit.h - a vault's part in documents, without threads and doors: the test is a core, captured or not, and KMS.
 *
 * Failed set-up steps fail the test.
 */
#ifndef SUPPORT_DOCUMENT_KIT_H
#define SUPPORT_DOCUMENT_KIT_H

#include "vault/document_door.h"
#include "vault/inside.h"

/* Chamber, root and recipient; `nsm` is borrowed, NULL: none. */
void document_vault_make(struct vault *vault,
                         enum room_mode mode,
                         const struct tee_root_config *config,
                         struct nsm *nsm);
void document_vault_end(struct vault *vault);

/* One message; the answer's item, until the next one. */
const void *document_ask(struct vault *vault, uint16_t type, const void *item, size_t size);
/* `plain` as KMS encrypts it to this vault, and a core takes it apart. */
struct d_open document_envelope(const struct vault *vault, struct span plain);

#endif
