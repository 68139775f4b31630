/* state/pin.h - the two small files that hold a state store to its past.
 *
 * WHAT      identity.pub: chamber id and public identity, written once by `init`. state.seen: the highest head
 *           generation that this machine has accepted.
 * PROMISE   Both are replaced atomically and durably, mode 0600. A missing or malformed file is an error, never "new".
 * THREADS   Any, one writer.
 * OWNERSHIP By value.
 * ERRORS    TAMPERED (missing or malformed), EXISTS, IO.
 * SECRETS   None.
 */
#ifndef STATE_PIN_H
#define STATE_PIN_H

#include "state/store.h"

/* The files' content, for fuzzers too. */
CC_ERR pin_parse(struct span text, struct state_pin *ret_pin);
CC_ERR seen_parse(struct span text, uint64_t *ret_generation);

CC_ERR pin_write(const char *path, const struct state_pin *pin);
CC_ERR pin_read(const char *path, struct state_pin *ret_pin);
/* `first`: EXISTS if the file is there. */
CC_ERR seen_write(const char *path, uint64_t generation, bool first);
CC_ERR seen_read(const char *path, uint64_t *ret_generation);

#endif
