/* core/seal_link.h - what connects a ceremony with the rest of a serving core.
 *
 * WHAT      What core/ceremony asks of others: the vault, KMS, rows of the key store, whether a latch is in force; and what follows when the
 *           master key has been opened: the key of the tokens' MACs is fetched, and rows are loaded.
 * PROMISE   No stored token is good while the master key is closed (T3). A latch goes only after the quorum has opened the master key, as
 *           core/seal.h takes it away (T25).
 * THREADS   seal_link_start(): the control thread. What the ceremony calls: its own thread.
 * OWNERSHIP Borrows all parts until the ceremony is stopped.
 * ERRORS    Those of the parts.
 * SECRETS   The key of the tokens' MACs passes through; wiped.
 */
#ifndef CORE_SEAL_LINK_H
#define CORE_SEAL_LINK_H

#include "core/authority.h"
#include "core/ceremony.h"
#include "core/key_jobs.h"
#include "core/seal.h"
#include "core/setup_token.h"
#include "core/vault_client.h"
#include "seal/kms.h"

struct seal_link {
    const struct config *config;
    struct vault_client *vault;
    struct registry *registry;
    struct authority *authority;
    struct keeper *keeper;
    struct key_jobs *key_jobs;
    const struct key_book *book; /* NULL: there is no key store */
    struct seal_kms *kms;        /* NULL: this signer may not call KMS */
    struct seal *seal;
    struct ceremony *ceremony;
    struct setup_token setup_token;
};

/* Who the chamber is, and this replica of it. */
struct seal_link_ids {
    uint8_t chamber_id[32];
    uint8_t identity[32];
    uint8_t replica[SEAL_REPLICA_SIZE];
    bool by_image; /* the configuration allows auto-unseal, and this is which image: */
    struct seal_image image;
};

/* Makes the ceremony; before the keeper starts. config, vault, authority, book and seal are set. */
CC_ERR
seal_link_make(struct seal_link *link, const struct seal_link_ids *ids, struct audit *audit);
/* Starts it; keeper and key_jobs are set. While the chamber is uninitialized it has a setup token from here on. */
CC_ERR seal_link_start(struct seal_link *link);
/* Ends its thread; before the keeper's and that of the key jobs. */
void seal_link_stop(struct seal_link *link);
void seal_link_free(struct seal_link *link);

#endif
