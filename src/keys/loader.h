/* keys/loader.h - the short-lived room that reads key files.
 *
 * WHAT      Scans the configured directories, reads key files and passwords, hands them to the vault, tells the core
 *           what exists, and ends.
 * PROMISE   Talks to nobody but vault and core; writes nothing; one bad file does not stop the rest.
 * THREADS   room_main_fn.   OWNERSHIP As wire/room.h.   ERRORS As wire/room.h.
 * SECRETS   Passwords, and raw keys of file-raw, between the file and the key door; wiped, and gone with the process.
 */
#ifndef KEYS_LOADER_H
#define KEYS_LOADER_H

#include "wire/room.h"

CC_ERR loader_main(const struct room_context *room);

#endif
