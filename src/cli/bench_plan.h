/* cli/bench_plan.h - which loads `bench` runs.
 *
 * WHAT      The options of the subcommand, and the rows that come of them: each load with each batch size, number of connections
 *           and kind of roots; without any of those options a plan that shows what an operator wants to know.
 * PROMISE   A row fits the keys: never more messages at once than there are keys.
 * THREADS   Main only.
 * OWNERSHIP Borrows argv.
 * ERRORS    EXIT_CODE_USAGE with a message.
 * SECRETS   None.
 */
#ifndef CLI_BENCH_PLAN_H
#define CLI_BENCH_PLAN_H

#include "cli/bench_load.h"
#include "cli/command.h"

enum {
    BENCH_LIST_MAX = 8,
    BENCH_ROWS_MAX = 64
};

struct bench_list {
    unsigned count;
    uint64_t items[BENCH_LIST_MAX];
};

struct bench_options {
    size_t keys;
    const char *directory;
    bool json;
    struct bench_list engines; /* indices of bench_engine_name(); none: the default alone */
    uint64_t warm_ns, run_ns, raw_ns, slot_ns;
    unsigned repeat;
    uint64_t rate; /* of open loads; 0: half of what the closed load before reached */
    struct bench_list modes, batches, connections, roots;
};

struct bench_shape {
    enum bench_mode mode;
    enum bench_roots roots;
    unsigned connections;
    unsigned batch;
};

int bench_options_take(struct arguments *arguments, struct bench_options *ret_options);
const char *bench_engine_name(uint64_t index);
/* The rows; returns how many. */
size_t bench_shapes(const struct bench_options *options,
                    struct bench_shape ret_shapes[static BENCH_ROWS_MAX]);

#endif
