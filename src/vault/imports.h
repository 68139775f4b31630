/* vault/imports.h - keystores that came from the core and wait to be opened.
 *
 * WHAT      A short queue between the threads that serve door B, which must not be held up for a second by scrypt, and the threads
 *           that open keystores.
 * PROMISE   At most IMPORTS_MAX wait. A message in it lies in locked memory, and is wiped when it has been taken.
 * THREADS   put: those of door B. take: those that open. imports.lock is a leaf.
 * OWNERSHIP A door that is put is kept (port_keep()); who takes lets it go.
 * ERRORS    BUSY (full), MEMLOCK, NO_MEMORY.
 * SECRETS   Passwords of keystores.
 */
#ifndef VAULT_IMPORTS_H
#define VAULT_IMPORTS_H

#include "vault/port.h"
#include "wire/door_b.h"

enum {
    IMPORTS_MAX = 32 /* the core sends no more than 16 at a time */
};

struct imports;

CC_ERR imports_new(struct port *port, struct imports **ret_imports);
void imports_free(struct imports *imports); /* takes NULL; lets the doors go */
CC_ERR imports_put(struct imports *imports, struct port_door *door, const struct b_import *request);
/* Blocks; NULL once imports_close() was called. The caller wipes *ret_request and lets the door go. */
struct port_door *imports_take(struct imports *imports, struct b_import *ret_request);
void imports_close(struct imports *imports);
size_t imports_locked_memory(void);

#endif
