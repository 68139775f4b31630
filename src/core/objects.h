/* core/objects.h - the thread that passes on what needs no record.
 *
 * WHAT      Takes objects from the backlog and gives them to the vault client. A history that fails or is slow does not keep
 *           them waiting.
 * PROMISE   As core/backlog.h.
 * THREADS   Own thread.
 * OWNERSHIP Borrows all it is given but the rows, which it owns until they are passed on.
 * ERRORS    NO_MEMORY, SYSTEM at start.
 * SECRETS   None.
 */
#ifndef CORE_OBJECTS_H
#define CORE_OBJECTS_H

#include "core/backlog.h"
#include "core/vault_client.h"

struct objects;

CC_ERR objects_start(struct backlog *backlog,
                     struct vault_client *vault,
                     struct front_link *link,
                     struct objects **ret_objects);
/* Stops the backlog, passes on what waits there, joins; takes NULL. */
void objects_stop(struct objects *objects);

#endif
