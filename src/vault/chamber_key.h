/* vault/chamber_key.h - the file that opens the chamber in `local` mode.
 *
 * WHAT      Makes, opens and reads chamber.key (docs/formats.md): a line that names the format, a line of 64 hex digits.
 * PROMISE   The file is made new, 0600, durably, or not at all. One that others can read, or that is no regular file,
 *           is not opened.
 * THREADS   Any.
 * OWNERSHIP chamber_key_read() closes the descriptor; the slot stays the caller's.
 * ERRORS    EXISTS, IO, TAMPERED (not in the format), PERMISSIONS, SYSTEM.
 * SECRETS   The key: on the stack of `init` (and of `init --join`), then in the file, then in the vault's arena until the chamber is open.
 */
#ifndef VAULT_CHAMBER_KEY_H
#define VAULT_CHAMBER_KEY_H

#include "secret/arena.h"

CC_ERR chamber_key_create(const char *path);
/* Copies one as it is, to a new file; the one at `from` must be as closed as the copy will be. */
CC_ERR chamber_key_copy(const char *from, const char *to);
/* For the supervisor: checks the file and opens it, to be sent to the vault. */
CC_ERR chamber_key_open(const char *path, int *ret_fd);
CC_ERR chamber_key_read(int fd, struct secret *ret_key);

#endif
