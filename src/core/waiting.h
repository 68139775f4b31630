/* core/waiting.h - door A while a store that the core needs is away at its start, or the chamber is sealed.
 *
 * WHAT      Answers the front for a core that can't serve yet: every request with one error, every question with what
 *           is known, health with "not ready".
 * PROMISE   Nothing is recorded, nothing is signed, and what a request says is not even looked at.
 * THREADS   The control thread, before there are others.
 * OWNERSHIP cc_free().
 * ERRORS    DOOR_CLOSED, PROTOCOL, IO: close the door.
 * SECRETS   None.
 */
#ifndef CORE_WAITING_H
#define CORE_WAITING_H

#include "config/config.h"
#include "wire/door_a.h"

enum {
    WAITING_ITEMS_MAX = DOOR_FIT(sizeof(struct a_sign))
};

struct waiting {
    const struct config *config;
    enum error_code error; /* what is said: STORE, SEALED */
    struct door_message message;
    union {
        struct a_slashing slashed;
        struct a_managed managed;
    } step;
    struct a_signed refused[WAITING_ITEMS_MAX];
};

/* Takes one message from the front's door and answers it. */
CC_ERR waiting_answer(struct waiting *waiting, int fd, uint32_t life);

#endif
