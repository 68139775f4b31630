#include "seal/machine.h"

#include "wire/seal.h"

enum {
    MODE_ANY = -1,
    MODE_NO_SET = 0,
    MODE_LOCAL = SEAL_LOCAL,
    MODE_KMS = SEAL_KMS,
    MODE_QUORUM = SEAL_QUORUM,
    MODE_OPERATORS = SEAL_OPERATORS
};

static const struct {
    const char *name;
    bool signs;
} states[] = {
#define STATE(name, text, signs, what) {text, signs},
#include "seal/machine.def"
};

static const char *const phases[] = {
    NULL,
#define PHASE(name, text, what) text,
#include "seal/machine.def"
};

static const char *const events[] = {
#define EVENT(name, text, what) text,
#include "seal/machine.def"
};

static const struct {
    enum seal_state state;
    enum seal_event event;
    int mode;
    enum seal_state next;
    enum seal_need need;
} steps[] = {
#define T(state, event, mode, next, need)                                                          \
    {SEAL_STATE_##state, SEAL_EVENT_##event, MODE_##mode, SEAL_STATE_##next, SEAL_NEED_##need},
#include "seal/machine.def"
};

static const struct {
    enum seal_phase phase;
    enum seal_event event;
    enum seal_phase next;
    enum seal_need need;
} phase_steps[] = {
#define N(phase, event, next, need)                                                                \
    {SEAL_PHASE_##phase, SEAL_EVENT_##event, SEAL_PHASE_##next, SEAL_NEED_##need},
#include "seal/machine.def"
};

const char *seal_state_name(uint32_t state)
{
    return state < ARRAY_LEN(states) ? states[state].name : NULL;
}

const char *seal_event_name(uint32_t event)
{
    return event < ARRAY_LEN(events) ? events[event] : NULL;
}

const char *seal_phase_name(uint32_t phase)
{
    return phase < ARRAY_LEN(phases) ? phases[phase] : NULL;
}

bool seal_phase_of(struct span name, uint32_t *ret_phase)
{
    for (uint32_t i = 0; i < ARRAY_LEN(phases); i++) {
        if (!phases[i] || !span_is(name, phases[i]))
            continue;
        *ret_phase = i;
        return true;
    }
    return false;
}

bool seal_state_signs(enum seal_state state)
{
    cc_assert((unsigned)state < ARRAY_LEN(states));
    return states[state].signs;
}

bool seal_step(enum seal_state state,
               enum seal_event event,
               uint32_t mode,
               enum seal_state *ret_next,
               enum seal_need *ret_need)
{
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        if (steps[i].state != state || steps[i].event != event ||
            (steps[i].mode != MODE_ANY && steps[i].mode != (int)mode))
            continue;
        *ret_next = steps[i].next;
        *ret_need = steps[i].need;
        return true;
    }
    return false;
}

bool seal_phase_step(enum seal_phase phase,
                     enum seal_event event,
                     enum seal_phase *ret_next,
                     enum seal_need *ret_need)
{
    for (size_t i = 0; i < ARRAY_LEN(phase_steps); i++) {
        if (phase_steps[i].phase != phase || phase_steps[i].event != event)
            continue;
        *ret_next = phase_steps[i].next;
        *ret_need = phase_steps[i].need;
        return true;
    }
    return false;
}

enum seal_state seal_state_of(const struct seal_facts *facts)
{
    if (facts->latched)
        return SEAL_STATE_SEALED;
    if (!facts->mode) /* a first set that is only proposed is none yet */
        return facts->phase > SEAL_PHASE_PROPOSED ? SEAL_STATE_AWAITING_REGISTRATION
                                                  : SEAL_STATE_UNINITIALIZED;
    if (!facts->open)
        return facts->mode == SEAL_QUORUM && facts->kms_open ? SEAL_STATE_KMS_UNSEALED
                                                             : SEAL_STATE_SEALED;
    if (facts->phase != SEAL_PHASE_NONE)
        return SEAL_STATE_AWAITING_ROTATION;
    return facts->mode == SEAL_LOCAL ? SEAL_STATE_NOT_CONFIGURED : SEAL_STATE_UNSEALED;
}
