/* seal/machine.h - the states of the sealed chamber, and what leads from one to the next.
 *
 * WHAT      The table seal/machine.def as enums, names and look-ups; and which state a replica is in, from what records, latch and
 *           vault say.
 * PROMISE   A step that no row has is none. The state that facts give is the one to which the rows lead (tests/unit/seal/test_machine.c);
 *           what the rows together never allow is checked by spin (tests/spin).
 * THREADS   Any: pure.   OWNERSHIP By value.   ERRORS False.   SECRETS None.
 */
#ifndef SEAL_MACHINE_H
#define SEAL_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum seal_state {
#define STATE(name, text, signs, what) SEAL_STATE_##name,
#include "seal/machine.def"
    SEAL_STATE_END
};

enum seal_phase {
    SEAL_PHASE_NONE,
#define PHASE(name, text, what) SEAL_PHASE_##name,
#include "seal/machine.def"
    SEAL_PHASE_END
};

enum seal_event {
#define EVENT(name, text, what) SEAL_EVENT_##name,
#include "seal/machine.def"
    SEAL_EVENT_END
};

enum seal_need {
#define NEED(name, what) SEAL_NEED_##name,
#include "seal/machine.def"
    SEAL_NEED_END
};

/* "kms_unsealed"; NULL for another number. */
const char *seal_state_name(uint32_t state);
const char *seal_event_name(uint32_t event);
/* "rewriting"; NULL for NONE and another number. */
const char *seal_phase_name(uint32_t phase);
bool seal_phase_of(struct span name, uint32_t *ret_phase);

/* Do keys of sealed rows sign in it, while there is no latch? */
bool seal_state_signs(enum seal_state state);

/* A step of one replica whose present set has `mode` (enum seal_mode; 0: there is none). False: there is no such step. */
bool seal_step(enum seal_state state,
               enum seal_event event,
               uint32_t mode,
               enum seal_state *ret_next,
               enum seal_need *ret_need);
/* A step of the set that is to come. */
bool seal_phase_step(enum seal_phase phase,
                     enum seal_event event,
                     enum seal_phase *ret_next,
                     enum seal_need *ret_need);

struct seal_facts {
    uint32_t mode;         /* of the present set (enum seal_mode); 0: there is none */
    enum seal_phase phase; /* of the next one */
    bool latched;
    bool open;     /* the vault has the present set and its master key */
    bool kms_open; /* and the wrapping key */
};

enum seal_state seal_state_of(const struct seal_facts *facts);

#endif
