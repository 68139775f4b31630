#include "front/budget.h"

static bool is_within(uint32_t used, uint32_t mine, bool has_block)
{
    if (has_block)
        return used <= BUDGET_TOTAL + BUDGET_BLOCKS;
    return used <= BUDGET_TOTAL && mine <= BUDGET_SHARE * (BUDGET_TOTAL - used);
}

bool budget_take(struct budget *budget, uint32_t client, uint32_t count, bool has_block)
{
    _Atomic uint32_t *by = &budget->used_by[client % BUDGET_CLIENTS];
    /* Two that ask at one time may both be refused where one would fit, but never both be admitted where one does. */
    uint32_t mine = atomic_fetch_add(by, count) + count;
    uint32_t used = atomic_fetch_add(&budget->used, count) + count;
    if (is_within(used, mine, has_block))
        return true;
    budget_give(budget, client, count);
    return false;
}

void budget_give(struct budget *budget, uint32_t client, uint32_t count)
{
    (void)atomic_fetch_sub(&budget->used_by[client % BUDGET_CLIENTS], count);
    (void)atomic_fetch_sub(&budget->used, count);
}
