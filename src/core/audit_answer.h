/* core/audit_answer.h - decisions as entries of the audit log, and the log's place among the core's parts.
 *
 * WHAT      What a signing request and its answer look like in the log; opening the log of this data directory with keys of the
 *           vault, and keeping its anchor in the state store.
 * PROMISE   The key of a segment is asked for once, and a number that this vault has given away is passed over.
 * THREADS   audit_entry_of_answer: any. The rest: the control thread.
 * OWNERSHIP Borrows.
 * ERRORS    Those of core/audit.h, of the vault, and TAMPERED for an anchor that is none.
 * SECRETS   A segment's key, on the stack of one call, wiped.
 */
#ifndef CORE_AUDIT_ANSWER_H
#define CORE_AUDIT_ANSWER_H

#include "core/audit.h"
#include "core/keeper.h"
#include "core/stores.h"
#include "core/vault_client.h"

enum {
    AUDIT_DIRECTORY_MAX = CONFIG_PATH_MAX + 8,
    AUDIT_NAME_SIZE = 2 * AUDIT_REPLICA_SIZE + 1 /* of an anchor's record */
};

void audit_entry_of_answer(const struct sign_outcome *outcome,
                           const struct eth_pubkey *pubkey,
                           const struct a_signed *answer,
                           const uint8_t address[static 16],
                           struct audit_entry *ret_entry);

/* "<data_dir>/audit" */
void audit_directory(const struct config *config, char ret_path[static AUDIT_DIRECTORY_MAX]);
/* Which replica's log it is; and its anchor in the state store, zeros where there is none. */
void audit_replica(const struct config *config,
                   const struct stores *stores,
                   uint8_t ret_replica[static AUDIT_REPLICA_SIZE]);
CC_ERR audit_find_anchor(const struct state_store *state,
                         const uint8_t replica[static AUDIT_REPLICA_SIZE],
                         struct audit_position *ret_anchor);

/* Opens the log of a core that is about to serve, before there are threads. */
CC_ERR audit_begin(const struct config *config,
                   struct vault_call *vault,
                   const struct stores *stores,
                   struct audit **ret_audit);

/* Anchors what is durable of a log that has no threads, and ends it: an order's. */
void audit_end(struct audit *audit,
               const struct config *config,
               struct stores *stores,
               const struct state_signer *signer);

/* What its threads use; lives as long as they do. */
struct audit_link {
    struct keeper *keeper;
    struct vault_client *vault;
    uint8_t replica[AUDIT_REPLICA_SIZE];
};
CC_ERR audit_run(struct audit *audit, struct audit_link *link, uint64_t epoch_ms);

#endif
