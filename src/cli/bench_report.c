#include "cli/bench_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"

static const char *const mode_names[] = {
    [BENCH_CLOSED] = "closed", [BENCH_OPEN] = "open", [BENCH_SLOT] = "slot"};
static const char *const roots_names[] = {
    [BENCH_ROOTS_SHARED] = "shared", [BENCH_ROOTS_DISTINCT] = "distinct"};
static const struct {
    const char *name;
    double share;
} percentiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};

const char *bench_mode_name(enum bench_mode mode)
{
    return mode_names[mode];
}

double bench_run_rate(const struct bench_run *run)
{
    const struct bench_result *r = &run->result;
    return r->counted_ns ? r->counted * 1e9 / (double)r->counted_ns : 0;
}

/* Machines change their pace: the yardstick is taken right before and right after. */
static double raw_rate(const struct bench_run *run)
{
    return (run->raw_before.per_second + run->raw_after.per_second) / 2;
}

/* The worse one. */
static double raw_share(const struct bench_run *run)
{
    return run->raw_before.share < run->raw_after.share ? run->raw_before.share
                                                        : run->raw_after.share;
}

double bench_run_ratio(const struct bench_run *run)
{
    double raw = raw_rate(run);
    return raw > 0 ? bench_run_rate(run) / raw : 0;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

const struct bench_run *bench_row_median(const struct bench_row *row)
{
    double ratios[BENCH_REPEAT_MAX];
    cc_assert(row->run_count > 0 && row->run_count <= BENCH_REPEAT_MAX);
    for (unsigned i = 0; i < row->run_count; i++)
        ratios[i] = bench_run_ratio(&row->runs[i]);
    qsort(ratios, row->run_count, sizeof ratios[0], by_value);
    double median = ratios[row->run_count / 2];
    for (unsigned i = 0; i < row->run_count; i++)
        if (bench_run_ratio(&row->runs[i]) >= median && bench_run_ratio(&row->runs[i]) <= median)
            return &row->runs[i];
    return &row->runs[0];
}

static double client_us(const struct bench_run *run)
{
    const struct bench_result *r = &run->result;
    return r->signatures ? (double)r->client_cpu_ns / 1e3 / (double)r->signatures : 0;
}

/* --- the machine ------------------------------------------------------------------------------------- */

struct machine {
    char cpu[128];
    bool ifma;
    long processors;
};

static void read_machine(struct machine *ret_machine)
{
    static const char label[] = "model name";
    *ret_machine = (struct machine){.cpu = "unknown", .processors = sysconf(_SC_NPROCESSORS_ONLN)};
    CC_CLEANUP(buf_release) struct buf text = buf_init(1 << 22);
    if (file_read("/proc/cpuinfo", &text).code || buf_append(&text, "", 1).code)
        return;
    const char *all = (const char *)text.data, *at = strstr(all, label);
    ret_machine->ifma = strstr(all, " avx512ifma") != NULL;
    if (!at)
        return;
    at += strcspn(at, ":\n");
    at += strspn(at, ": \t");
    size_t len = strcspn(at, "\n\"\\");
    (void)snprintf(ret_machine->cpu, sizeof ret_machine->cpu, "%.*s", (int)len, at);
}

/* --- JSON -------------------------------------------------------------------------------------------- */

static double us(uint64_t ns)
{
    return (double)ns / 1e3;
}

static void print_json_latency(const struct bench_histogram *latency)
{
    double mean = latency->total ? us(latency->sum_ns) / (double)latency->total : 0;
    (void)printf("\"latency_us\": {\"mean\": %.1f", mean);
    for (size_t i = 0; i < ARRAY_LEN(percentiles); i++)
        (void)printf(", \"%s\": %.1f", percentiles[i].name,
                     us(bench_histogram_at(latency, percentiles[i].share)));
    (void)printf(", \"max\": %.1f}, \"histogram_us\": [", us(latency->max_ns));
    const char *comma = "";
    for (size_t i = 0; i < BENCH_HISTOGRAM_BUCKETS; i++) {
        if (latency->count[i] == 0)
            continue;
        (void)printf("%s[%.1f, %" PRIu64 "]", comma, us(bench_histogram_upper_ns(i)),
                     latency->count[i]);
        comma = ", ";
    }
    (void)printf("]");
}

static void print_json_cpu(const struct bench_run *run)
{
    (void)printf("\"cpu_us\": {");
    for (int i = 0; i < BENCH_PROCESS_END; i++)
        (void)printf("\"%s\": %.2f, ", bench_process_name((enum bench_process)i), run->cpu_us[i]);
    (void)printf("\"client\": %.2f}", client_us(run));
}

static void print_json_slots(const struct bench_result *result)
{
    (void)printf("\"slot_ms\": [");
    for (size_t i = 0; i < result->slots; i++)
        (void)printf("%s%.2f", i ? ", " : "", us(result->slot_ns[i]) / 1e3);
    (void)printf("]");
}

static void print_json_row(const struct bench_row *row)
{
    const struct bench_run *run = bench_row_median(row);
    const struct bench_result *r = &run->result;
    (void)printf("   {\"load\": \"%s\", \"connections\": %u, \"batch\": %u, \"roots\": \"%s\", "
                 "\"wanted_per_second\": %.1f, \"per_second\": %.1f, \"raw_per_second\": %.1f, "
                 "\"raw_share\": %.3f, \"ratio\": %.3f, \"ratios\": [",
                 mode_names[row->mode], row->connections, row->batch, roots_names[row->roots],
                 row->per_second, bench_run_rate(run), raw_rate(run), raw_share(run),
                 bench_run_ratio(run));
    for (unsigned i = 0; i < row->run_count; i++)
        (void)printf("%s%.3f", i ? ", " : "", bench_run_ratio(&row->runs[i]));
    (void)printf("],\n    \"counted\": %.1f, \"seconds\": %.3f, \"refused\": %" PRIu64
                 ", \"failures\": %" PRIu64 ", ",
                 r->counted, (double)r->counted_ns / 1e9, r->refused, r->failures);
    print_json_cpu(run);
    (void)printf(",\n    ");
    if (row->mode == BENCH_SLOT) {
        print_json_slots(r);
        (void)printf(",\n    ");
    }
    print_json_latency(&r->latency);
    (void)printf("}");
}

/* --- text -------------------------------------------------------------------------------------------- */

static void print_table_head(void)
{
    (void)printf("\n%-6s %5s %5s %-8s %9s %9s %6s %8s %8s %8s  %s\n", "load", "conns", "batch",
                 "roots", "sign/s", "raw/s", "ratio", "p50 ms", "p99 ms", "p99.9 ms",
                 "CPU us/signature: front core vault bench");
}

static void print_table_row(const struct bench_row *row)
{
    const struct bench_run *run = bench_row_median(row);
    const struct bench_histogram *latency = &run->result.latency;
    (void)printf("%-6s %5u %5u %-8s %9.0f %9.0f %6.2f %8.2f %8.2f %8.2f  %.1f %.1f %.1f %.1f",
                 mode_names[row->mode], row->connections, row->batch, roots_names[row->roots],
                 bench_run_rate(run), raw_rate(run), bench_run_ratio(run),
                 us(bench_histogram_at(latency, 0.5)) / 1e3,
                 us(bench_histogram_at(latency, 0.99)) / 1e3,
                 us(bench_histogram_at(latency, 0.999)) / 1e3, run->cpu_us[BENCH_FRONT],
                 run->cpu_us[BENCH_CORE], run->cpu_us[BENCH_VAULT], client_us(run));
    if (raw_share(run) < 0.9)
        (void)printf("  DISTURBED: the yardstick had %.0f %% of the processors",
                     raw_share(run) * 100);
    if (run->result.refused)
        (void)printf("  refused %" PRIu64, run->result.refused);
    uint64_t longest = 0;
    for (size_t i = 0; i < run->result.slots; i++)
        longest = run->result.slot_ns[i] > longest ? run->result.slot_ns[i] : longest;
    if (run->result.slots)
        (void)printf("  a slot's last answer within %.1f ms", us(longest) / 1e3);
    (void)printf("\n");
    (void)fflush(stdout);
}

/* --- both ---------------------------------------------------------------------------------------------- */

void bench_report_begin(struct bench_report *report, size_t keys, uint64_t flush_ns)
{
    struct machine machine;
    read_machine(&machine);
    if (report->json)
        (void)printf("{\"version\": \"%s\", \"cpu\": \"%s\", \"ifma\": %s, \"processors\": %ld, "
                     "\"keys\": %zu, \"flush_us\": %.1f,\n \"signers\": [",
                     CC_VERSION, machine.cpu, machine.ifma ? "true" : "false", machine.processors,
                     keys, us(flush_ns));
    else
        (void)printf("%s, %ld processors%s; fdatasync takes %.0f us here; %zu keys.\n"
                     "Every signature is a new durable record. raw/s: blst hash + sign on all "
                     "processors, before and after each row.\n",
                     machine.cpu, machine.processors, machine.ifma ? ", AVX-512 IFMA" : "",
                     us(flush_ns), keys);
}

void bench_report_signer(struct bench_report *report, const struct bench_signer_report *signer)
{
    report->rows = 0;
    if (report->json) {
        (void)printf("%s\n  {\"engine\": \"%s\", \"ready_seconds\": %.3f, \"rows\": [\n",
                     report->signers ? "," : "", signer->engine, signer->ready_seconds);
    } else {
        (void)printf("\nsigning.engine %s; all keys ready %.2f s after exec\n", signer->engine,
                     signer->ready_seconds);
        print_table_head();
    }
    report->signers++;
}

void bench_report_row(struct bench_report *report, const struct bench_row *row)
{
    if (!report->json) {
        print_table_row(row);
        return;
    }
    (void)printf("%s", report->rows++ ? ",\n" : "");
    print_json_row(row);
}

void bench_report_signer_end(struct bench_report *report, const struct bench_signer_report *signer)
{
    double mb = (double)signer->usage.memory_kb / 1024;
    const char *kind = signer->usage.is_pss ? "pss" : "rss";
    if (report->json)
        (void)printf("\n  ], \"memory_mb\": %.1f, \"memory_is\": \"%s\", \"signatures\": %" PRIu64
                     ", \"records\": %" PRIu64 "}",
                     mb, kind, signer->signatures, signer->records);
    else
        (void)printf("\nmemory of all processes: %.1f MB (%s); %" PRIu64 " signatures received, "
                     "%" PRIu64 " records in the history read again\n",
                     mb, kind, signer->signatures, signer->records);
}

void bench_report_end(struct bench_report *report)
{
    if (report->json)
        (void)printf("\n ]}\n");
}
