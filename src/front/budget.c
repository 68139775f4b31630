#include "front/budget.h"

/* `blocks`: of `mine`, what came with a block, or 0. */
static bool is_within(uint32_t used, uint32_t mine, uint32_t blocks)
{
    if (used <= BUDGET_TOTAL && mine <= BUDGET_SHARE * (BUDGET_TOTAL - used))
        return true;
    return blocks && blocks <= BUDGET_BLOCKS_OF_ONE && used <= BUDGET_TOTAL + BUDGET_BLOCKS;
}

bool budget_take(struct budget *budget, uint32_t client, uint32_t count, bool has_block)
{
    const uint32_t at = client % BUDGET_CLIENTS;
    uint32_t blocks = 0;
    /* Two that ask at one time may both be refused where one would fit, but never both be admitted where one does. */
    if (has_block)
        blocks = atomic_fetch_add(&budget->blocks_by[at], count) + count;
    uint32_t mine = atomic_fetch_add(&budget->used_by[at], count) + count;
    uint32_t used = atomic_fetch_add(&budget->used, count) + count;
    if (is_within(used, mine, blocks))
        return true;
    budget_give(budget, client, count, has_block);
    return false;
}

void budget_give(struct budget *budget, uint32_t client, uint32_t count, bool has_block)
{
    const uint32_t at = client % BUDGET_CLIENTS;
    if (has_block)
        (void)atomic_fetch_sub(&budget->blocks_by[at], count);
    (void)atomic_fetch_sub(&budget->used_by[at], count);
    (void)atomic_fetch_sub(&budget->used, count);
}
