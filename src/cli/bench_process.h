/* cli/bench_process.h - what the kernel says of a signer's processes.
 *
 * WHAT      CPU time and memory of a server and its rooms, from /proc.
 * PROMISE   Reads only.
 * THREADS   Any.
 * OWNERSHIP None.
 * ERRORS    IO (/proc can't be read).
 * SECRETS   None.
 */
#ifndef CLI_BENCH_PROCESS_H
#define CLI_BENCH_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

enum bench_process {
    BENCH_SUPERVISOR,
    BENCH_FRONT,
    BENCH_CORE,
    BENCH_VAULT,
    BENCH_PROCESS_END
};

struct bench_usage {
    uint64_t cpu_ns[BENCH_PROCESS_END]; /* user and system, so far */
    uint64_t memory_kb;                 /* of all together */
    /* False: the sum of RSS, which is more; rooms are not dumpable, so that only root may read PSS. */
    bool is_pss;
};

const char *bench_process_name(enum bench_process process);
CC_ERR bench_usage_read(pid_t server, struct bench_usage *ret_usage);

#endif
