/* cli/bench_plan.h - which loads `bench` runs.
 *
 * WHAT      The options of the subcommand. A load is written LOAD[:CONNECTIONS[xBATCH]][@RATE][/distinct]:
 *             closed:64          64 connections, each with one request under way
 *             closed:4x256       4 connections, each with a batch of 256 messages under way
 *             open:64@3000       3,000 messages a second over 64 connections; without a rate half of what the closed load before
 *                                it reached
 *             slot:4x256         all keys at once, each --slot-seconds
 *             closed:64/distinct each message with a root of its own; else all keys of an epoch have one
 *           Without --load: a plan that shows what an operator wants to know.
 * PROMISE   A load fits the keys: never more messages at once than there are keys.
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
    BENCH_ENGINES_MAX = 4,
    BENCH_SHAPES_MAX = 32,
    BENCH_RATE_MAX = 10000000
};

struct bench_shape {
    enum bench_mode mode;
    enum bench_roots roots;
    unsigned connections;
    unsigned batch;      /* 0: single requests */
    uint64_t per_second; /* open; 0: half of the closed load before */
};

struct bench_options {
    size_t keys;
    const char *directory;
    const char *program; /* NULL: this one */
    bool auth;           /* the signer wants a token, and gets it */
    bool json;
    unsigned repeat;
    uint64_t warm_ns, run_ns, raw_ns, slot_ns;
    const char *engines[BENCH_ENGINES_MAX]; /* of signing.engine; none: the default alone */
    unsigned engine_count;
    struct bench_shape shapes[BENCH_SHAPES_MAX];
    unsigned shape_count;
};

int bench_options_take(struct arguments *arguments, struct bench_options *ret_options);

#endif
