#include "base/metric.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/num.h"

typedef _Atomic uint64_t cell;

/* Upper bounds; the last bucket, without a bound, follows. */
static const uint64_t duration_bounds[] = {250000,    500000,     1000000,    2500000,   5000000,
                                           10000000,  25000000,   50000000,   100000000, 250000000,
                                           500000000, 1000000000, 2500000000, 5000000000};
static const char *const duration_texts[] = {"0.00025", "0.0005", "0.001", "0.0025", "0.005",
                                             "0.01",    "0.025",  "0.05",  "0.1",    "0.25",
                                             "0.5",     "1",      "2.5",   "5",      "+Inf"};
static const uint64_t size_bounds[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};
static const char *const size_texts[] = {"1",  "2",   "4",   "8",   "16",   "32",
                                         "64", "128", "256", "512", "1024", "+Inf"};

/* A histogram is its buckets, then the sum. */
enum {
    CELLS_COUNTER = 1,
    CELLS_GAUGE = 1,
    CELLS_GAUGE_NS = 1,
    CELLS_DURATION = ARRAY_LEN(duration_texts) + 1,
    CELLS_SIZE = ARRAY_LEN(size_texts) + 1
};

enum {
#define L(id, label, values, names) VALUES_##id = (values),
#include "base/metric.def"
#undef L
};

struct metric_cells {
#define M(id, type, owner, a, b, name, help) cell id[VALUES_##a * VALUES_##b * CELLS_##type];
#include "base/metric.def"
#undef M
};

struct row {
    struct metric_info info;
    uint32_t offset; /* in cells */
    uint32_t width;  /* cells of one series */
};

enum {
    OWNER_CORE,
    OWNER_FRONT
};

static const struct row rows[METRIC_END] = {
#define M(id, type, owner, a, b, name, help)                                                       \
    {{name, help, METRIC_##type, METRIC_SET_##a, METRIC_SET_##b, OWNER_##owner == OWNER_FRONT},    \
     offsetof(struct metric_cells, id) / sizeof(cell),                                             \
     CELLS_##type},
#include "base/metric.def"
#undef M
};

enum alias_type {
    ALIAS_COPY,
    ALIAS_SUM,
    ALIAS_SUMMARY,
    ALIAS_SLASHABLE
};

static const struct alias {
    enum alias_type type;
    enum metric of;
    const char *name;
    const char *help;
} aliases[] = {
#define W(type, of, name, help) {ALIAS_##type, METRIC_##of, name, help},
#include "base/metric.def"
#undef W
};

static const char *const status_names[] = {"200", "201", "202", "400", "401", "403",  "404",
                                           "405", "406", "408", "409", "412", "413",  "415",
                                           "431", "500", "501", "503", "505", "other"};
static const char *const state_names[] = {
    "not_configured", "uninitialized", "awaiting_registration", "sealed",
    "kms_unsealed",   "unsealed",      "awaiting_rotation"};
static const char *const source_names[] = {"filesystem", "sqlite", "postgres", "dynamodb",
                                           "memory"};
static const char *const engine_names[] = {"blst", "fixed_base", "ifma"};
static const char *const reason_names[] = {"no_token",        "bad_header",     "unknown_token",
                                           "expired",         "elsewhere",      "other_certificate",
                                           "policy_rule",     "policy_default", "policy_missing",
                                           "open_operations", "wrong_network"};
static const char *const result_names[] = {"exported", "dropped", "failed"};
static const char *const room_names[] = {"front", "core", "vault", "loader", "forwarder"};

static const char *const rotation_names[] = {"kms", "quorum", "mode", "master"};
static const char *const service_names[] = {"dynamodb", "kms", "other"};
static const char *const outcome_names[] = {"ok",     "refused", "throttled",   "unreachable",
                                            "denied", "clock",   "credentials", "other"};
static const char *const fault_names[] = {"away", "conflict", "refused"};
static const char *const version_names[] = {CC_VERSION};

static const char *const no_names[] = {""};

/* The metric cells and the names of label values are globals (docs/architecture.md lists them): written once, before
 * there are threads.
 */
static struct set {
    const char *label;
    uint32_t values;
    uint32_t named;
    const char *const *names;
    uint8_t canonical[64]; /* values that have the same name are one series: that of the first */
} sets[METRIC_SET_END] = {
#define L(id, label, values, names)                                                                \
    {label, values, ARRAY_LEN(names), names, {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,               \
                                              10, 11, 12, 13, 14, 15, 16, 17, 18, 19}},
#include "base/metric.def"
#undef L
};

static struct metric_cells private_cells;
static struct metric_cells *attached = &private_cells;

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "cells are shared between processes");

CC_ERR metric_create(int *ret_write, int *ret_read)
{
    CC_CLEANUP(fd_closep) int fd = memfd_create("metrics", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, sizeof(struct metric_cells)) != 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return CC_FAIL(SYSTEM, "metrics memory");
    char path[40];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int read_only = open(path, O_RDONLY | O_CLOEXEC);
    if (read_only < 0)
        return CC_FAIL(SYSTEM, "metrics memory, read-only");
    *ret_write = fd;
    *ret_read = read_only;
    fd = -1;
    return CC_OK;
}

CC_ERR metric_open(int fd, bool writable, struct metric_cells **ret_cells)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || st.st_size != (off_t)sizeof(struct metric_cells))
        return CC_FAIL(PROTOCOL, "not the metrics memory of this version");
    void *p = mmap(NULL, sizeof(struct metric_cells), writable ? PROT_READ | PROT_WRITE : PROT_READ,
                   MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return CC_FAIL(SYSTEM, "mmap of the metrics memory");
    *ret_cells = p;
    return CC_OK;
}

void metric_attach(struct metric_cells *cells)
{
    attached = cells;
}

void metric_label_names(enum metric_set set, const char *const *names, size_t count)
{
    struct set *s = &sets[set];
    cc_assert(count >= 1 && count <= s->values && count <= ARRAY_LEN(s->canonical));
    s->names = names;
    s->named = (uint32_t)count;
    for (uint8_t i = 0; i < count; i++) {
        uint8_t first = 0;
        while (strcmp(names[first], names[i]) != 0)
            first++;
        s->canonical[i] = first;
    }
}

uint32_t metric_status(int http_status)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%d", http_status);
    for (uint32_t i = 0; i + 1 < ARRAY_LEN(status_names); i++)
        if (strcmp(status_names[i], text) == 0)
            return i;
    return ARRAY_LEN(status_names) - 1;
}

static uint32_t canonical(enum metric_set set, uint32_t value)
{
    const struct set *s = &sets[set];
    return s->canonical[value < s->named ? value : s->named - 1];
}

static size_t series_at(const struct row *r, uint32_t a, uint32_t b)
{
    return r->offset + ((size_t)a * sets[r->info.b].values + b) * r->width;
}

static cell *cells_of(enum metric id, uint32_t a, uint32_t b)
{
    cc_assert(id < METRIC_END);
    const struct row *r = &rows[id];
    return (cell *)attached + series_at(r, canonical(r->info.a, a), canonical(r->info.b, b));
}

static void cell_add(cell *c, uint64_t n)
{
    (void)atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}

static uint64_t cell_load(const cell *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

static bool is_histogram(enum metric_type type)
{
    return type == METRIC_DURATION || type == METRIC_SIZE;
}

void metric_add(enum metric id, uint32_t a, uint32_t b, uint64_t n)
{
    cc_assert(!is_histogram(rows[id].info.type));
    cell_add(cells_of(id, a, b), n);
}

void metric_sub(enum metric id, uint64_t n)
{
    cc_assert(rows[id].info.type == METRIC_GAUGE);
    (void)atomic_fetch_sub_explicit(cells_of(id, 0, 0), n, memory_order_relaxed);
}

void metric_set(enum metric id, uint32_t a, uint64_t value)
{
    cc_assert(rows[id].info.type == METRIC_GAUGE || rows[id].info.type == METRIC_GAUGE_NS);
    atomic_store_explicit(cells_of(id, a, 0), value, memory_order_relaxed);
}

void metric_choose(enum metric id, uint32_t a)
{
    const struct set *s = &sets[rows[id].info.a];
    for (uint32_t i = 0; i < s->named; i++)
        metric_set(id, i, i == a);
}

void metric_observe(enum metric id, uint32_t a, uint64_t value)
{
    const struct row *r = &rows[id];
    cc_assert(is_histogram(r->info.type));
    const uint64_t *bounds = r->info.type == METRIC_DURATION ? duration_bounds : size_bounds;
    uint32_t buckets = r->width - 1;
    cell *c = cells_of(id, a, 0);
    uint32_t i = 0;
    while (i + 1 < buckets && value > bounds[i])
        i++;
    cell_add(&c[i], 1);
    cell_add(&c[buckets], value);
}

/* Cells of one series: a plain value, or the count of a histogram. */
static uint64_t series_count(const struct row *r, const cell *c)
{
    if (!is_histogram(r->info.type))
        return cell_load(c);
    uint64_t count = 0;
    for (uint32_t i = 0; i + 1 < r->width; i++)
        count += cell_load(&c[i]);
    return count;
}

uint64_t metric_get(enum metric id, uint32_t a, uint32_t b)
{
    return series_count(&rows[id], cells_of(id, a, b));
}

void metric_histogram(enum metric id, struct metric_histogram *ret_histogram)
{
    const struct row *r = &rows[id];
    const uint32_t series = sets[r->info.a].values * sets[r->info.b].values;
    cc_assert(is_histogram(r->info.type));
    _Static_assert(ARRAY_LEN(duration_texts) <= METRIC_BUCKETS_MAX &&
                       ARRAY_LEN(size_texts) <= METRIC_BUCKETS_MAX,
                   "a histogram fits");
    *ret_histogram = (struct metric_histogram){
        .count = r->width - 1,
        .bounds = r->info.type == METRIC_DURATION ? duration_bounds : size_bounds};
    for (uint32_t i = 0; i < series; i++) {
        const cell *c = (const cell *)attached + r->offset + (size_t)i * r->width;
        for (uint32_t b = 0; b + 1 < r->width; b++)
            ret_histogram->buckets[b] += cell_load(&c[b]);
        ret_histogram->sum += cell_load(&c[r->width - 1]);
    }
}

/* --- text -------------------------------------------------------------------------------------------------------- */

const struct metric_info *metric_info(enum metric id)
{
    cc_assert(id < METRIC_END);
    return &rows[id].info;
}

const char *metric_set_label(enum metric_set set)
{
    return sets[set].label;
}

static uint32_t values_of(enum metric_set set)
{
    return sets[set].named;
}

static const char *value_name(enum metric_set set, uint32_t value)
{
    return value < sets[set].named ? sets[set].names[value] : "";
}

static const char *type_name(enum metric_type type)
{
    static const char *const names[] = {"counter", "gauge", "gauge", "histogram", "histogram"};
    return names[type];
}

static bool in_seconds(enum metric_type type)
{
    return type == METRIC_GAUGE_NS || type == METRIC_DURATION;
}

/* Without floating point: the text is exact and the same on every machine. */
static cc_err put_number(struct buf *out, uint64_t value, bool ns)
{
    if (!ns)
        return buf_printf(out, " %" PRIu64 "\n", value);
    return buf_printf(out, " %" PRIu64 ".%09" PRIu64 "\n", value / 1000000000, value % 1000000000);
}

struct series {
    const char *name;
    const struct row *row;
    const cell *cells;
    char labels[128]; /* `operation="BLOCK",status="200"` */
};

static void put_label(struct series *s, enum metric_set set, uint32_t value)
{
    if (set == METRIC_SET_NONE)
        return;
    size_t n = strlen(s->labels);
    (void)snprintf(s->labels + n, sizeof s->labels - n, "%s%s=\"%s\"", n ? "," : "",
                   sets[set].label, value_name(set, value));
}

static cc_err put_labels(struct buf *out, const struct series *s)
{
    return s->labels[0] ? buf_printf(out, "{%s}", s->labels) : CC_OK;
}

static cc_err put_histogram(struct buf *out, const struct series *s)
{
    const struct metric_info *info = &s->row->info;
    const char *const *texts = info->type == METRIC_DURATION ? duration_texts : size_texts;
    uint32_t buckets = s->row->width - 1;
    uint64_t count = 0;
    for (uint32_t i = 0; i < buckets; i++) {
        count += cell_load(&s->cells[i]);
        CC_TRY(buf_printf(out, "%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", s->name, s->labels,
                          s->labels[0] ? "," : "", texts[i], count));
    }
    CC_TRY(buf_printf(out, "%s_sum", s->name));
    CC_TRY(put_labels(out, s));
    CC_TRY(put_number(out, cell_load(&s->cells[buckets]), in_seconds(info->type)));
    CC_TRY(buf_printf(out, "%s_count", s->name));
    CC_TRY(put_labels(out, s));
    return put_number(out, count, false);
}

static cc_err put_series(struct buf *out, const struct series *s)
{
    const struct metric_info *info = &s->row->info;
    bool quiet = is_histogram(info->type) || info->b != METRIC_SET_NONE;
    if (quiet && (info->a != METRIC_SET_NONE) && series_count(s->row, s->cells) == 0)
        return CC_OK;
    if (is_histogram(info->type))
        return put_histogram(out, s);
    CC_TRY(buf_append_str(out, s->name));
    CC_TRY(put_labels(out, s));
    return put_number(out, cell_load(s->cells), in_seconds(info->type));
}

static cc_err put_head(struct buf *out, const char *name, const char *help, const char *type)
{
    return buf_printf(out, "# HELP %s %s.\n# TYPE %s %s\n", name, help, name, type);
}

static cc_err
put_all_series(struct buf *out, const char *name, const struct row *r, const cell *block)
{
    const struct metric_info *info = &r->info;
    for (uint32_t a = 0; a < values_of(info->a); a++) {
        for (uint32_t b = 0; b < values_of(info->b); b++) {
            if (canonical(info->a, a) != a || canonical(info->b, b) != b)
                continue;
            struct series s = {name, r, block + series_at(r, a, b), ""};
            put_label(&s, info->a, a);
            put_label(&s, info->b, b);
            CC_TRY(put_series(out, &s));
        }
    }
    return CC_OK;
}

static cc_err put_metric(struct buf *out, const struct row *r, const cell *block)
{
    CC_TRY(put_head(out, r->info.name, r->info.help, type_name(r->info.type)));
    return put_all_series(out, r->info.name, r, block);
}

/* Adds up all series: *ret_sum is 0 for what is no histogram. */
static void total(const struct row *r, const cell *block, uint64_t *ret_count, uint64_t *ret_sum)
{
    *ret_count = 0;
    *ret_sum = 0;
    uint32_t count = sets[r->info.a].values * sets[r->info.b].values;
    for (uint32_t i = 0; i < count; i++) {
        const cell *c = block + r->offset + (size_t)i * r->width;
        *ret_count += series_count(r, c);
        if (is_histogram(r->info.type))
            *ret_sum += cell_load(&c[r->width - 1]);
    }
}

static cc_err
put_summary(struct buf *out, const char *name, const char *labels, uint64_t sum, uint64_t count)
{
    CC_TRY(buf_printf(out, "%s_sum%s", name, labels));
    CC_TRY(put_number(out, sum, true));
    return buf_printf(out, "%s_count%s %" PRIu64 "\n", name, labels, count);
}

static cc_err put_slashable(struct buf *out, const struct alias *w, const cell *block)
{
    static const char *const operations[][2] = {
        {"BLOCK", "{signingOperation=\"block\"}"},
        {"ATTESTATION", "{signingOperation=\"attestation\"}"}};
    const struct row *r = &rows[w->of];
    for (size_t i = 0; i < ARRAY_LEN(operations); i++) {
        for (uint32_t a = 0; a < values_of(r->info.a); a++) {
            if (canonical(r->info.a, a) != a ||
                strcmp(value_name(r->info.a, a), operations[i][0]) != 0)
                continue;
            const cell *c = block + series_at(r, a, 0);
            CC_TRY(put_summary(out, w->name, operations[i][1], cell_load(&c[r->width - 1]),
                               series_count(r, c)));
        }
    }
    return CC_OK;
}

static const char *alias_type_name(const struct alias *w)
{
    return w->type == ALIAS_SUM || w->type == ALIAS_COPY ? type_name(rows[w->of].info.type)
                                                         : "summary";
}

static cc_err put_alias(struct buf *out, const struct alias *w, const cell *block)
{
    const struct row *r = &rows[w->of];
    uint64_t count;
    uint64_t sum;
    total(r, block, &count, &sum);
    CC_TRY(put_head(out, w->name, w->help, alias_type_name(w)));
    switch (w->type) {
    case ALIAS_COPY:
        return put_all_series(out, w->name, r, block);
    case ALIAS_SUM:
        return buf_printf(out, "%s %" PRIu64 "\n", w->name, count);
    case ALIAS_SUMMARY:
        return put_summary(out, w->name, "", sum, count);
    case ALIAS_SLASHABLE:
        return put_slashable(out, w, block);
    }
    return CC_OK;
}

CC_ERR metric_expose(const struct metric_cells *shared, struct buf *out)
{
    const cell *own = (const cell *)attached;
    const cell *core = shared ? (const cell *)shared : own;
    for (size_t i = 0; i < METRIC_END; i++)
        CC_TRY(put_metric(out, &rows[i], rows[i].info.in_front ? own : core));
    for (size_t i = 0; i < ARRAY_LEN(aliases); i++)
        CC_TRY(put_alias(out, &aliases[i], rows[aliases[i].of].info.in_front ? own : core));
    return CC_OK;
}

static const char document_head[] =
    "# Metrics\n\n<!-- Made from src/base/metric.def: change it there; tests/unit/base/test_metric.c compares. -->\n\n"
    "`GET /metrics` on `metrics.listen_address`:`metrics.listen_port` (127.0.0.1:3000), Prometheus text format, always plain\n"
    "HTTP. Labels come from closed sets: none names a key, a client or a path. Series with two labels, and histograms with a\n"
    "label, appear with their first event; all others are there from the start. Counters of the front begin at 0 when the\n"
    "front is started again, those of core and supervisor when the program is. `containment_chamber_unseal_total` counts no\n"
    "opening in mode `local`. `containment_chamber_unseal_shares_total` does not say whose shares: a label would be an operator's name,\n"
    "on a port that asks nobody who they are; the [audit log](audit.md) has it.\n\n"
    "What is worth an alert, as tested rules for Prometheus, and a dashboard: [alerts.md](alerts.md). No rule has\n"
    "`increase(containment_slashing_rejections_total[5m]) > 0`: look at it where one validator client alone uses the keys.\n\n";

static const char *owner_name(const struct metric_info *info)
{
    return info->in_front ? "front" : "core";
}

CC_ERR metric_document(struct buf *out)
{
    CC_TRY(buf_append_str(out, document_head));
    CC_TRY(buf_append_str(
        out, "| name | type | labels | counted by | meaning |\n| --- | --- | --- | --- | --- |\n"));
    for (size_t i = 0; i < METRIC_END; i++) {
        const struct metric_info *info = &rows[i].info;
        CC_TRY(buf_printf(out, "| `%s` | %s | %s%s%s | %s | %s |\n", info->name,
                          type_name(info->type), sets[info->a].label,
                          info->b == METRIC_SET_NONE ? "" : ", ", sets[info->b].label,
                          owner_name(info), info->help));
    }
    CC_TRY(buf_append_str(out, "\n## Names that dashboards for Web3Signer use\n\n"
                               "| name | type | from |\n| --- | --- | --- |\n"));
    for (size_t i = 0; i < ARRAY_LEN(aliases); i++)
        CC_TRY(buf_printf(out, "| `%s` | %s | `%s` |\n", aliases[i].name,
                          alias_type_name(&aliases[i]), rows[aliases[i].of].info.name));
    return buf_append_str(
        out,
        "\nWeb3Signer's `signing_private_key_retrieval_time`, `jvm_*`, its other `process_*` and `http_vertx_*` have no counterpart.\n");
}
