/* core/order_progress.h - how far a core is with an order, for who waits for the answer.
 *
 * WHAT      Two numbers in the order's own file, behind all that an order or its answer can be (core/order.h).
 * PROMISE   What can't be told is not told: an order does not fail for it. The numbers are for eyes; who reads believes nothing of them.
 * THREADS   One on each side; a reader may meet a number of before and one of after.
 * OWNERSHIP Borrows.   ERRORS None.   SECRETS None.
 */
#ifndef CORE_ORDER_PROGRESS_H
#define CORE_ORDER_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct order_progress {
    int fd;
};

/* NULL: nobody is told. `done` is of `total`. */
void order_progress_tell(const struct order_progress *progress, uint64_t done, uint64_t total);
/* False while nothing was told, and once the answer is there. */
bool order_progress_read(int fd, uint64_t *ret_done, uint64_t *ret_total);

#endif
