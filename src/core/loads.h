/* core/loads.h - loads of keys: asking for a loader, hearing what it found, saying how it went.
 *
 * WHAT      One load at a time: the supervisor is asked for a loader, its load door is read to the end, the registry
 *           follows, keys that are gone leave the vault.
 * PROMISE   A load that does not come to its end removes nothing. Until the first one has ended a failed load is tried
 *           again by itself, with growing pauses. While the chamber is sealed there is none.
 * THREADS   Own thread; all functions from any other.
 * OWNERSHIP Borrows all it is given; owns the load door's descriptors.
 * ERRORS    RELOAD_RUNNING, SEALED.
 * SECRETS   None.
 */
#ifndef CORE_LOADS_H
#define CORE_LOADS_H

#include "core/seal.h"
#include "core/writer.h"

struct loads;

struct loads_settings {
    int control_fd;
    const uint8_t *history_id; /* 32 bytes: whose keys are loaded */
    struct registry *registry;
    struct vault_client *vault;
    struct writer *writer;
    const struct seal *seal; /* NULL: none */
};

CC_ERR loads_start(const struct loads_settings *settings, struct loads **ret_loads);
void loads_stop(struct loads *loads); /* takes NULL */

/* Asks for a loader. */
CC_ERR loads_begin(struct loads *loads);
/* The same; while a load runs, another one is begun after it: what asks may have changed files that it had passed. */
void loads_begin_again(struct loads *loads);
/* The load door has come. */
void loads_offer(struct loads *loads, int fd, uint32_t life);
/* How the last load went; not `id`. */
void loads_status(struct loads *loads, struct a_reload *ret_status);

#endif
