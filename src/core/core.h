/* core/core.h - the room that decides.
 *
 * WHAT      Policy, network guard, history, state store, key registry, metrics. In ROOM_MODE_INIT it makes the
 *           chamber and the empty stores, and ends.
 * PROMISE   Record durable, then sign, then answer. Holds no validator key and no master key.
 * THREADS   room_main_fn.   OWNERSHIP As wire/room.h.   ERRORS As wire/room.h.   SECRETS None.
 */
#ifndef CORE_CORE_H
#define CORE_CORE_H

#include "wire/room.h"

CC_ERR core_main(const struct room_context *room);

#endif
