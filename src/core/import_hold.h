/* core/import_hold.h - keystores of an import that are open, while their slashing-protection data is merged.
 *
 * WHAT      Up to A_KEYS_IMPORTS_MAX rows, as the vault sealed them, of one front; which of them had data merged.
 * PROMISE   P13: data that comes with an import reaches the history of those keys alone whose secret came along. One front's
 *           rows are no other's; those of an earlier step are forgotten. Nothing of it is on a disk: a death leaves nothing.
 * THREADS   Any.
 * OWNERSHIP By value.
 * ERRORS    None: what is not held is not found.
 * SECRETS   None: rows are sealed.
 */
#ifndef CORE_IMPORT_HOLD_H
#define CORE_IMPORT_HOLD_H

#include "keys/store.h"
#include "wire/door_a.h"

struct import_held {
    struct sealed_row row;
    bool in_vault; /* it was there already, from elsewhere */
    bool merged;   /* the history has what came along */
};

struct import_hold;

CC_ERR import_hold_new(struct import_hold **ret_hold);
void import_hold_free(struct import_hold *hold); /* takes NULL */

/* Forgets what there is; what is put from now on is of the front whose door has this epoch. */
void import_hold_begin(struct import_hold *hold, uint32_t epoch);
void import_hold_put(struct import_hold *hold, const struct import_held *held);
bool import_hold_has(struct import_hold *hold, uint32_t epoch, const struct eth_pubkey *pubkey);
/* The validators of these records were merged. */
void import_hold_merged(struct import_hold *hold,
                        uint32_t epoch,
                        const struct a_record *records,
                        size_t count);
/* Takes it out. */
bool import_hold_take(struct import_hold *hold,
                      uint32_t epoch,
                      const struct eth_pubkey *pubkey,
                      struct import_held *ret_held);

#endif
