/* front/budget.h - how many signing requests may wait for the core, and who may have how many of them.
 *
 * WHAT      Counts requests from their admission to their answer. Whether a request can be answered in time is the core's
 *           to judge; this bounds memory, here and there.
 * PROMISE   Never more than BUDGET_TOTAL are admitted, and BUDGET_BLOCKS more for blocks. One client gets at most
 *           BUDGET_SHARE times what is left for the others: alone four fifths of all, of two each four ninths, and so
 *           on; so nobody is refused because somebody else asks for everything. Beyond that a client gets up to
 *           BUDGET_BLOCKS_OF_ONE for what holds a block, within the totals: a batch is not let in without end for the one
 *           block that it holds.
 * THREADS   Any.   OWNERSHIP By value.   ERRORS None.   SECRETS None.
 */
#ifndef FRONT_BUDGET_H
#define FRONT_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    BUDGET_TOTAL = 28672, /* with the next one what the core's table holds (core/pending.h) */
    BUDGET_BLOCKS = 4096,
    BUDGET_BLOCKS_OF_ONE = 2048, /* a whole batch */
    BUDGET_SHARE = 4,
    BUDGET_CLIENTS = 1024 /* two clients whose numbers end alike are taken for one */
};

struct budget {
    /* private */
    _Atomic uint32_t used;
    _Atomic uint32_t used_by[BUDGET_CLIENTS];
    _Atomic uint32_t blocks_by[BUDGET_CLIENTS]; /* of these, what was asked for with a block */
};

/* Admits all `count` or none. */
bool budget_take(struct budget *budget, uint32_t client, uint32_t count, bool has_block);
/* As it was taken. */
void budget_give(struct budget *budget, uint32_t client, uint32_t count, bool has_block);

#endif
