#include "core/manage_delay.h"

#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "base/span.h"

static bool fits(const struct manage_delay_row *row, const struct caller *caller, const char *name)
{
    return row->last_ms && strncmp(row->name, name, sizeof row->name) == 0 &&
           span_equal(span_of(row->address, 16), span_of(caller->address, 16));
}

/* The row of this pair, or the one that was quiet longest. */
static struct manage_delay_row *
row_of(struct manage_delay *delay, const struct caller *caller, const char *name)
{
    struct manage_delay_row *oldest = &delay->rows[0];
    for (size_t i = 0; i < MANAGE_DELAY_ROWS; i++) {
        if (fits(&delay->rows[i], caller, name))
            return &delay->rows[i];
        if (delay->rows[i].last_ms < oldest->last_ms)
            oldest = &delay->rows[i];
    }
    *oldest = (struct manage_delay_row){.last_ms = 0};
    memcpy(oldest->address, caller->address, sizeof oldest->address);
    (void)snprintf(oldest->name, sizeof oldest->name, "%s", name);
    return oldest;
}

uint32_t manage_delay_note(struct manage_delay *delay,
                           const struct caller *caller,
                           const char *name,
                           uint64_t now_ms)
{
    struct manage_delay_row *row = row_of(delay, caller, name);
    if (row->last_ms && now_ms - row->last_ms > MANAGE_DELAY_QUIET_MS)
        row->count = 0;
    row->last_ms = now_ms;
    const uint32_t doublings = row->count < 16 ? row->count++ : 16;
    return (uint32_t)u64_min((uint64_t)MANAGE_DELAY_FIRST_MS << doublings, MANAGE_DELAY_MAX_MS);
}
