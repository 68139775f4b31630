#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"

#include "cli/bench_plan.h"
#include "cli/bench_raw.h"
#include "cli/bench_report.h"
#include "cli/bench_signer.h"

/* Set by SIGINT and SIGTERM: the load ends, the server is stopped, the directory goes. */
static atomic_bool ending;

struct bench {
    struct bench_options options;
    struct bench_report report;
    struct bench_signer signer;
    const char *database; /* CONTAINMENT_ANTI_SLASHING__URL, as `server` takes it; NULL: SQLite */
    struct bench_row *row;
    uint64_t next_epoch;
    uint64_t signatures, refused, failures;
    struct bench_raw raw;     /* the last yardstick */
    double closed_per_second; /* the last closed load */
};

static void on_signal(int number)
{
    (void)number;
    atomic_store_explicit(&ending, true, memory_order_relaxed);
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGPIPE, &ignore, NULL);
}

static cc_err measure_raw(struct bench *bench)
{
    return bench_raw_rate((double)bench->options.raw_ns / 1e9, &bench->raw);
}

/* --- a row ----------------------------------------------------------------------------------------------- */

static struct bench_plan plan_of(const struct bench *bench)
{
    const struct bench_options *options = &bench->options;
    const struct bench_row *row = bench->row;
    bool slot = row->mode == BENCH_SLOT;
    return (struct bench_plan){
        .mode = row->mode,
        .port = bench->signer.own.port,
        .connections = row->connections,
        .batch = row->batch,
        .warm_ns = slot ? options->slot_ns : options->warm_ns,
        .run_ns = slot ? u64_max(options->run_ns, options->slot_ns) : options->run_ns,
        .per_second = row->per_second,
        .slot_ns = options->slot_ns,
        .ending = &ending,
    };
}

static cc_err run_once(struct bench *bench, struct bench_run *run)
{
    const struct bench_plan plan = plan_of(bench);
    struct bench_source source;
    struct bench_usage before, after;
    bench_source_init(&source, (const char(*)[BENCH_NAME_SIZE])bench->signer.names,
                      bench->signer.keys, bench->row->roots, bench->next_epoch);
    if (bench->options.auth)
        source.token_line = bench->signer.token_line;
    run->raw_before = bench->raw;
    CC_TRY(bench_usage_read(bench->signer.own.pid, &before));
    CC_TRY(bench_load_run(&plan, &source, &run->result));
    CC_TRY(bench_usage_read(bench->signer.own.pid, &after));
    CC_TRY(measure_raw(bench));
    run->raw_after = bench->raw;
    const struct bench_result *result = &run->result;
    for (int i = 0; i < BENCH_PROCESS_END && result->signatures; i++)
        run->cpu_us[i] =
            (double)(after.cpu_ns[i] - before.cpu_ns[i]) / 1e3 / (double)result->signatures;
    bench->next_epoch += result->messages / bench->signer.keys + 1;
    bench->signatures += result->signatures;
    bench->refused += result->refused;
    bench->failures += result->failures;
    if (result->failures)
        (void)fprintf(stderr, "containment-chamber bench: an answer without its signatures:\n%s\n",
                      result->failure);
    return CC_OK;
}

static cc_err run_row(struct bench *bench, const struct bench_shape *shape)
{
    struct bench_row *row = bench->row;
    cc_err err = CC_OK;
    *row = (struct bench_row){.mode = shape->mode,
                              .roots = shape->roots,
                              .connections = shape->connections,
                              .batch = shape->batch};
    if (row->mode == BENCH_OPEN) {
        double reached =
            bench->closed_per_second > 0 ? bench->closed_per_second : bench->raw.per_second;
        row->per_second = shape->per_second ? (double)shape->per_second : reached / 2;
    }
    while (row->run_count < bench->options.repeat && !err.code && !atomic_load(&ending))
        err = run_once(bench, &row->runs[row->run_count++]);
    if (!err.code && row->run_count > 0) {
        if (row->mode == BENCH_CLOSED)
            bench->closed_per_second = bench_run_rate(bench_row_median(row));
        bench_report_row(&bench->report, row);
    }
    if (err.code)
        (void)fprintf(stderr, "containment-chamber bench: in the load %s:%ux%u\n",
                      bench_mode_name(row->mode), row->connections, row->batch);
    for (unsigned i = 0; i < row->run_count; i++)
        bench_result_release(&row->runs[i].result);
    return err;
}

/* --- a signer ---------------------------------------------------------------------------------------------- */

static cc_err run_rows(struct bench *bench)
{
    CC_TRY(measure_raw(bench));
    for (unsigned i = 0; i < bench->options.shape_count && !atomic_load(&ending); i++)
        CC_TRY(run_row(bench, &bench->options.shapes[i]));
    return CC_OK;
}

/* A record without a signature is allowed where a request was refused after it had been recorded; the reverse never is. */
static cc_err check_records(const struct bench *bench, uint64_t records)
{
    if (records >= bench->signatures &&
        records <= bench->signatures + bench->refused + bench->failures)
        return CC_OK;
    (void)fprintf(stderr,
                  "containment-chamber bench: %llu signatures were received, but the history holds "
                  "%llu records\n",
                  (unsigned long long)bench->signatures, (unsigned long long)records);
    return CC_FAIL(STORE, "signatures and records differ");
}

static cc_err run_signer(struct bench *bench, const char *engine)
{
    struct bench_signer_report signer = {.engine = engine ? engine : "default"};
    bench->next_epoch = BENCH_FIRST_EPOCH;
    bench->signatures = bench->refused = 0;
    bench->closed_per_second = 0;
    CC_TRY(bench_signer_start(&bench->signer, engine));
    signer.ready_seconds = (double)bench->signer.own.ready_ns / 1e9;
    bench_report_signer(&bench->report, &signer);
    CC_TRY(run_rows(bench));
    CC_TRY(bench_usage_read(bench->signer.own.pid, &signer.usage));
    CC_TRY(bench_signer_stop(&bench->signer, &signer.records));
    signer.signatures = bench->signatures;
    bench_report_signer_end(&bench->report, &signer);
    return check_records(bench, signer.records);
}

static cc_err run_all(struct bench *bench)
{
    const struct bench_options *options = &bench->options;
    uint64_t flush_ns;
    CC_TRY(bench_signer_make(options->directory, options->keys, &bench->signer));
    bench->signer.database = bench->database;
    bench->signer.own.program = options->program;
    if (options->auth)
        CC_TRY(bench_signer_make_token(&bench->signer));
    CC_TRY(bench_raw_flush(bench->signer.own.directory, 200, &flush_ns));
    bench_report_begin(&bench->report, options->keys, flush_ns);
    if (options->engine_count == 0)
        CC_TRY(run_signer(bench, NULL));
    for (unsigned i = 0; i < options->engine_count && !atomic_load(&ending); i++)
        CC_TRY(run_signer(bench, options->engines[i]));
    bench_report_end(&bench->report);
    return CC_OK;
}

static int exit_code_of(const struct bench *bench, cc_err err)
{
    if (err.code)
        (void)fprintf(stderr, "containment-chamber bench: %s%s%s\n", error_text(err),
                      error_detail()[0] ? ": " : "", error_detail());
    bool written = fflush(stdout) == 0 && !ferror(stdout);
    return err.code || bench->failures || !written || atomic_load(&ending) ? EXIT_CODE_FAILED
                                                                           : EXIT_CODE_DONE;
}

static const char *find_database(char *const *environment)
{
    static const char name[] = "CONTAINMENT_ANTI_SLASHING__URL=";
    for (; environment && *environment; environment++)
        if (strncmp(*environment, name, sizeof name - 1) == 0)
            return *environment + sizeof name - 1;
    return NULL;
}

int command_bench(struct arguments *arguments)
{
    static struct bench bench;
    int code = bench_options_take(arguments, &bench.options);
    if (code != EXIT_CODE_DONE)
        return code;
    bench.report.json = bench.options.json;
    bench.database = find_database(arguments->environment);
    bench.row = cc_alloc(sizeof *bench.row);
    if (!bench.row)
        return EXIT_CODE_FAILED;
    catch_signals();
    code = exit_code_of(&bench, run_all(&bench));
    bench_signer_close(&bench.signer);
    cc_free(bench.row);
    return code;
}
