/* core/state_backend.h - which state store the configuration names.
 *
 * WHAT      Makes and opens it: a file in the data directory, or a database that replicas share.
 * PROMISE   Opening makes nothing; a data directory serves one process at a time, wherever its state is.
 * THREADS   One.
 * OWNERSHIP state_store_close().
 * ERRORS    EXISTS, LOCKED, TAMPERED (missing, or another format), STATE, CONFIG, IO, NO_MEMORY.
 * SECRETS   The URL may hold a password: it goes to the backend and nowhere else.
 */
#ifndef CORE_STATE_BACKEND_H
#define CORE_STATE_BACKEND_H

#include "aws/session.h"
#include "config/config.h"
#include "state/store.h"

/* The file's path, or the database for people, without a password. */
CC_ERR state_backend_describe(const struct config *config, char *ret_text, size_t room);
/* True when other replicas may use it too. */
bool state_backend_is_shared(const struct config *config);
/* An empty store, where there is none; only `init` calls it. */
CC_ERR state_backend_make(const struct config *config, struct aws_session *aws);
CC_ERR state_backend_open(const struct config *config,
                          struct aws_session *aws,
                          struct state_store **ret_store);

#endif
