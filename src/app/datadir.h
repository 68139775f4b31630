/* app/datadir.h - the directory that holds the chamber.
 *
 * WHAT      chamber.key, and who may read what: made once by `init`, checked at every start.
 * PROMISE   `server` never makes a history: without what `init` made it refuses and names the command (properties P3).
 *           `init --join` takes copies of another replica's two files, never a whole directory.
 *           `init` refuses where anything of a chamber exists, and takes back only what it has made itself.
 * THREADS   One.
 * OWNERSHIP The caller closes the descriptor of the key.
 * ERRORS    CONFIG (a symbolic link in the way), NOT_INITIALIZED, EXISTS, PERMISSIONS, IO, SYSTEM, LIMIT.
 * SECRETS   chamber.key: made by vault/chamber_key.h, in this process only at `init`; else only its descriptor passes.
 */
#ifndef APP_DATADIR_H
#define APP_DATADIR_H

#include "config/config.h"

enum datadir_state {
    DATADIR_EMPTY,   /* nothing of a chamber */
    DATADIR_PARTIAL, /* some of it: init was cut short, or files were lost */
    DATADIR_MADE
};

CC_ERR datadir_state(const struct config *config, enum datadir_state *ret_state);
/* Makes the directory, or takes one that is empty, and makes chamber.key, but in an enclave whose root KMS keys hold. EXISTS otherwise, with nothing changed. */
CC_ERR datadir_make(const struct config *config);
/* Removes what `init` made after datadir_make(); the directory stays. */
void datadir_unmake(const struct config *config);

/* What `init --join` is given: paths, or NULL for a file that is in the data directory already. */
struct datadir_copies {
    const char *chamber_key;
    const char *identity;
};
/* Makes the directory, or takes one that holds nothing but those two files, and brings them there, 0600. EXISTS otherwise. */
CC_ERR datadir_join(const struct config *config, const struct datadir_copies *copies);
/* Removes what datadir_join() brought and what the core made after it. */
void datadir_unjoin(const struct config *config, const struct datadir_copies *copies);
/* For `restore`: makes the directory, or takes an empty one, brings a copy of chamber.key, and leaves a mark there that keeps a server
 * from starting until datadir_end_restore(). EXISTS where there is anything.
 */
CC_ERR datadir_begin_restore(const struct config *config, const char *chamber_key);
CC_ERR datadir_end_restore(const struct config *config);
/* Removes all that a restore brings and makes, and the mark last. */
void datadir_undo_restore(const struct config *config);
/* NOT_INITIALIZED where a restore was cut short. */
CC_ERR datadir_check_restored(const struct config *config);
/* What datadir_open() refuses; changes nothing. */
CC_ERR datadir_check(const struct config *config);
/* Checks owner and modes, gives the stores to the core's uid where rooms have one, opens chamber.key; *ret_key_fd is -1 in an
 * enclave whose root KMS keys hold.
 */
CC_ERR datadir_open(const struct config *config, int *ret_key_fd);
/* Makes the audit log's directory where there is none, for a core that comes later: its sandbox lets it make plain files only. */
CC_ERR datadir_keep_audit(const struct config *config);

#endif
