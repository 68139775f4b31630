#include "core/order_progress.h"

#include <unistd.h>

#include "core/order.h"

struct told {
    uint64_t done, total;
};

void order_progress_tell(const struct order_progress *progress, uint64_t done, uint64_t total)
{
    const struct told told = {done, total};
    ssize_t written = 0;
    if (progress)
        written = pwrite(progress->fd, &told, sizeof told, ORDER_TEXT_MAX);
    (void)written;
}

bool order_progress_read(int fd, uint64_t *ret_done, uint64_t *ret_total)
{
    struct told told;
    if (pread(fd, &told, sizeof told, ORDER_TEXT_MAX) != (ssize_t)sizeof told)
        return false;
    *ret_done = told.done;
    *ret_total = told.total;
    return true;
}
