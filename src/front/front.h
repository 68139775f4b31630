/* front/front.h - the room that talks HTTP.
 *
 * WHAT      Parses strangers' bytes, translates requests into door A messages and answers into HTTP.
 * PROMISE   Holds no key, no database, no AWS; may be killed at any time.
 * THREADS   room_main_fn.   OWNERSHIP As wire/room.h.   ERRORS As wire/room.h.   SECRETS As front/http.h.
 */
#ifndef FRONT_FRONT_H
#define FRONT_FRONT_H

#include "wire/room.h"

CC_ERR front_main(const struct room_context *room);

#endif
