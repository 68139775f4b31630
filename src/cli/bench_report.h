/* cli/bench_report.h - what `bench` prints.
 *
 * WHAT      A table that grows row by row, or one JSON object on standard output.
 * PROMISE   Numbers are printed as measured; of several runs of a row the one with the median ratio is shown, and JSON has the
 *           ratios of all.
 * THREADS   Main only.
 * OWNERSHIP Borrows.
 * ERRORS    None: a closed standard output shows in the exit code of who prints.
 * SECRETS   None.
 */
#ifndef CLI_BENCH_REPORT_H
#define CLI_BENCH_REPORT_H

#include "cli/bench_load.h"
#include "cli/bench_process.h"
#include "cli/bench_raw.h"

enum {
    BENCH_REPEAT_MAX = 9
};

/* One run of a row. */
struct bench_run {
    struct bench_result result;
    struct bench_raw raw_before, raw_after;
    double cpu_us[BENCH_PROCESS_END]; /* a signature */
};

struct bench_row {
    enum bench_mode mode;
    enum bench_roots roots;
    unsigned connections;
    unsigned batch;
    double per_second; /* open: wanted */
    struct bench_run runs[BENCH_REPEAT_MAX];
    unsigned run_count;
};

/* One signer from start to end. */
struct bench_signer_report {
    const char *engine;
    double ready_seconds;
    struct bench_usage usage; /* after the last load */
    uint64_t signatures;
    uint64_t refused;
    uint64_t records;
};

struct bench_report {
    bool json;
    unsigned signers, rows; /* printed so far; rows of the signer */
};

const char *bench_mode_name(enum bench_mode mode);
double bench_run_rate(const struct bench_run *run);
double bench_run_ratio(const struct bench_run *run);
/* The run with the median ratio. */
const struct bench_run *bench_row_median(const struct bench_row *row);

void bench_report_begin(struct bench_report *report, size_t keys, uint64_t flush_ns);
void bench_report_signer(struct bench_report *report, const struct bench_signer_report *signer);
void bench_report_row(struct bench_report *report, const struct bench_row *row);
void bench_report_signer_end(struct bench_report *report, const struct bench_signer_report *signer);
void bench_report_end(struct bench_report *report);

#endif
