/* core/auth_latch.h - what has been closed once stays closed (T20).
 *
 * WHAT      The latch of auth.mode enforce: the state record `auth/latch` and the file auth.enforced in the data directory, both made
 *           by the first start in that mode.
 * PROMISE   Either of them there: the mode is enforce, whatever the configuration says. A file that can't be looked at counts as
 *           there. Nothing here takes the latch away but auth_latch_remove().
 * THREADS   settle: the control thread, before there are others. The rest: any.
 * OWNERSHIP Borrows.
 * ERRORS    IO, LIMIT; of the state store and of its signer.
 * SECRETS   None.
 */
#ifndef CORE_AUTH_LATCH_H
#define CORE_AUTH_LATCH_H

#include "config/config.h"
#include "state/store.h"

#define AUTH_LATCH_KIND "auth"
#define AUTH_LATCH_NAME "latch"

/* What the configuration asks for: auth_policies closed the API in the releases that had them. */
enum auth_mode auth_mode_asked(const struct auth_config *auth);
/* The file is there, or nobody can say that it isn't. */
bool auth_latch_file(const char *data_dir);
bool auth_latch_record(const struct state_store *state);
/* Where the mode is enforce, by configuration or by a latch, makes both latches. */
CC_ERR auth_latch_settle(const struct config *config,
                         struct state_store *state,
                         const struct state_signer *signer);
/* Takes the file away; the record is whose who commits to the state store. */
CC_ERR auth_latch_remove(const char *data_dir);

#endif
