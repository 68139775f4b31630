/* core/enclave_root.h - chamber.key of an enclave, from KMS.
 *
 * WHAT      At init has the vault make it, its shares encrypted by the KMS keys of tee.root, and a record that this image vouches for. At each start
 *           takes that record, has KMS open the shares for this image, and gives them to the vault.
 * PROMISE   Documents name the vault's key: what KMS opens for this image, the vault alone can read. At init each key has opened what it has encrypted before anything is stored; the shares
 *           go to KMS in clear, over TLS, since Encrypt knows no recipient. A record is taken only if an image that may vouches for it
 *           (core/enclave_root_vouch.h); its word stands until this object ends.
 * THREADS   The control thread, before there are others.
 * OWNERSHIP enclave_root_free(); borrows configuration, door of documents and session until then.
 * ERRORS    ENCLAVE_ROOT, CHAMBER_MISSING (the state store is empty), ENCLAVE_ROOT_DENIED, ENCLAVE_ROOT_SHARES, AWS_UNREACHABLE (what is missing may still
 *           come); those of the vault, of seal/kms.h and of the state store.
 * SECRETS   The shares at init: from the vault to KMS, wiped.
 */
#ifndef CORE_ENCLAVE_ROOT_H
#define CORE_ENCLAVE_ROOT_H

#include "aws/session.h"
#include "config/config.h"
#include "core/documents.h"
#include "core/vault_call.h"
#include "state/store.h"

struct enclave_root;

/* Reads tee.root.certificate: before the sandbox's lock. */
CC_ERR enclave_root_new(const struct config *config,
                        struct documents *documents,
                        struct aws_session *aws,
                        struct enclave_root **ret_root);
void enclave_root_free(struct enclave_root *root); /* takes NULL */

/* In ROOM_MODE_INIT: makes the chamber too. */
CC_ERR enclave_root_create(struct enclave_root *root,
                           struct vault_call *vault,
                           struct b_chamber *ret_chamber);
/* What is stored of it: record ENCLAVE_ROOT_KIND, ENCLAVE_ROOT_NAME. */
CC_ERR enclave_root_bytes(const struct enclave_root *root, struct buf *out);

/* The record of a store that was not opened yet, and the pin that it gives. */
CC_ERR
enclave_root_find(struct enclave_root *root, struct state_store *state, struct state_pin *ret_pin);
/* Before B_OPEN: the store's record gives the vault its key, unless the vault has it. IDENTITY: it is of another chamber than this one. */
CC_ERR enclave_root_open(struct enclave_root *root,
                         const struct state_store *state,
                         const struct b_chamber *chamber,
                         struct vault_call *vault);
/* After B_OPEN: this image vouches too, from its first start on. */
CC_ERR enclave_root_settle(struct enclave_root *root,
                           struct state_store *state,
                           const struct state_signer *signer);

#endif
