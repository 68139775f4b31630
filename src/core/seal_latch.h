/* core/seal_latch.h - what an emergency seal leaves behind, so that no restart undoes it (T25).
 *
 * WHAT      Two latches: the file seal.latch in the data directory, and the record seal/latch in the state store, which every replica
 *           follows.
 * PROMISE   Either of them there: the chamber is sealed. A file that can't be looked at counts as there. Nothing but an explicit
 *           unseal takes them away, the record first: what is cut short leaves the chamber sealed. No image opens a chamber that was
 *           sealed, be the latch gone again: what was approved for it goes with the record's making.
 * THREADS   Any; the record's functions: who uses the state store.
 * OWNERSHIP Borrows.
 * ERRORS    IO, LIMIT; of the state store and of its signer.
 * SECRETS   None.
 */
#ifndef CORE_SEAL_LATCH_H
#define CORE_SEAL_LATCH_H

#include <stdbool.h>

#include "state/store.h"

enum {
    SEAL_BY_MAX = 56,          /* who sealed, with the terminator */
    SEAL_LATCH_IMAGES_MAX = 16 /* records of auto-unseal: twice as many as are made */
};

/* The removal of records of auto-unseal, with room for one more change. */
struct seal_latch_images {
    char names[SEAL_LATCH_IMAGES_MAX][STATE_NAME_SIZE];
    struct state_change changes[SEAL_LATCH_IMAGES_MAX + 1];
};

bool seal_latch_file(const char *data_dir);
bool seal_latch_record(const struct state_store *state);
/* Makes the file, durably; it may be there already. `wall_ms`: when. */
CC_ERR seal_latch_make_file(const char *data_dir, const char *by, uint64_t wall_ms);
CC_ERR seal_latch_remove_file(const char *data_dir);
/* How many there are. */
size_t seal_latch_find_images(const struct state_store *state,
                              struct seal_latch_images *ret_images);
/* Makes the record, or finds it there. In the same change every record of auto-unseal goes. */
CC_ERR seal_latch_make_record(struct state_store *state,
                              const struct state_signer *signer,
                              const char *by,
                              uint64_t wall_ms);
CC_ERR seal_latch_remove_record(struct state_store *state, const struct state_signer *signer);

#endif
