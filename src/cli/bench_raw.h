/* cli/bench_raw.h - the yardsticks: what the machine can do without a signer.
 *
 * WHAT      blst's hash_to_g2 + sign of a new root each time, on all processors at once, as a signer without a batch does it;
 *           and the file system's fdatasync.
 * PROMISE   Nothing else runs meanwhile in this process.
 * THREADS   One caller; makes its own.
 * OWNERSHIP None.
 * ERRORS    SYSTEM, IO.
 * SECRETS   None: it signs with a published test key.
 */
#ifndef CLI_BENCH_RAW_H
#define CLI_BENCH_RAW_H

#include "base/error.h"

struct bench_raw {
    double per_second; /* hash + sign, all processors together */
    double share;      /* of the processors' time that it got; much below 1: something else runs */
};

CC_ERR bench_raw_rate(double seconds, struct bench_raw *ret_raw);
/* The median of `n` times: overwrite 4 KiB of a file in `directory`, fdatasync. */
CC_ERR bench_raw_flush(const char *directory, unsigned n, uint64_t *ret_ns);

#endif
