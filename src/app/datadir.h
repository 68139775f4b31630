/* app/datadir.h - the directory that holds the chamber.
 *
 * WHAT      chamber.key, and who may read what: made once by `init`, checked at every start.
 * PROMISE   `server` never makes a history: without what `init` made it refuses and names the command (properties P3).
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
/* Makes the directory, or takes one that is empty, and makes chamber.key. EXISTS otherwise, with nothing changed. */
CC_ERR datadir_make(const struct config *config);
/* Removes what `init` made after datadir_make(); the directory stays. */
void datadir_unmake(const struct config *config);
/* Checks owner and modes, gives the stores to the core's uid where rooms have one, opens chamber.key. */
CC_ERR datadir_open(const struct config *config, int *ret_key_fd);

#endif
