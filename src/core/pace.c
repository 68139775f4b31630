#include "core/pace.h"

#include "base/num.h"

static const uint64_t second_ns = 1000000000;
/* Of a sample that has enough rows, and of any: a stage that stands still is seen to. */
static const uint64_t sample_ns = 100000000;
static const uint64_t sample_most_ns = 500000000;

enum {
    SAMPLE_ROWS = 32
};

void pace_set_waiting(struct pace *pace, bool waiting, uint64_t now_ns)
{
    if (waiting == (pace->since_ns != 0))
        return;
    *pace = (struct pace){.since_ns = waiting ? now_ns : 0};
}

void pace_count(struct pace *pace, size_t rows, uint64_t now_ns)
{
    if (!pace->since_ns || now_ns < pace->since_ns)
        return;
    uint64_t took_ns = now_ns - pace->since_ns;
    pace->rows += rows;
    if (took_ns < sample_most_ns && (took_ns < sample_ns || pace->rows < SAMPLE_ROWS))
        return;
    uint64_t sample = u64_max(1, pace->rows * second_ns / took_ns);
    pace->per_second = pace->per_second ? (pace->per_second + sample + 1) / 2 : sample;
    pace->since_ns = now_ns;
    pace->rows = 0;
}

uint64_t pace_wait_ns(const struct pace *pace, size_t rows)
{
    return pace->per_second ? rows * second_ns / pace->per_second : 0;
}
