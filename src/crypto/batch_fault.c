#include "crypto/batch_fault.h"

#ifdef CC_TESTING

static _Thread_local enum batch_fault_stage armed;
static _Thread_local batch_fault_fn *armed_damage;

void batch_fault_arm(enum batch_fault_stage stage, batch_fault_fn *damage)
{
    armed = stage;
    armed_damage = damage;
}

void batch_fault(enum batch_fault_stage stage, void *data, size_t n)
{
    if (stage == armed && armed_damage)
        armed_damage(data, n);
}

#endif
