#include "cli/bench_process.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/num.h"

enum {
    FILE_MAX = 1 << 14,
    STAT_PARENT = 2, /* fields after the command's name, from 1 */
    STAT_USER = 12,
    STAT_SYSTEM = 13
};

static const char *const names[BENCH_PROCESS_END] = {"supervisor", "front", "core", "vault"};

const char *bench_process_name(enum bench_process process)
{
    return names[process];
}

static cc_err read_proc(uint64_t pid, const char *name, struct buf *ret_text)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%llu/%s", (unsigned long long)pid, name);
    *ret_text = buf_init(FILE_MAX);
    CC_TRY(file_read(path, ret_text));
    return buf_append(ret_text, "", 1);
}

/* Field `wanted` of /proc/PID/stat behind the name in brackets, which may hold anything; 0 when there is none. */
static uint64_t stat_field(const struct buf *stat, unsigned wanted)
{
    const char *at = strrchr((const char *)stat->data, ')');
    uint64_t value = 0;
    if (!at)
        return 0;
    at += 2;
    for (unsigned field = 1; field < wanted && *at; field++)
        at += strcspn(at, " ") + 1;
    return u64_parse(span_of(at, strcspn(at, " \n")), &value).code ? 0 : value;
}

/* Kilobytes behind `label` in a file of lines as "Pss:   12 kB"; false when there is none. */
static bool kilobytes(const struct buf *text, const char *label, uint64_t *sum)
{
    const char *at = strstr((const char *)text->data, label);
    uint64_t value;
    if (!at)
        return false;
    at += strlen(label);
    at += strspn(at, " \t");
    if (u64_parse(span_of(at, strcspn(at, " ")), &value).code)
        return false;
    *sum += value;
    return true;
}

static void add_memory(uint64_t pid, struct bench_usage *usage)
{
    struct buf text;
    cc_err err = read_proc(pid, "smaps_rollup", &text);
    bool found = !err.code && kilobytes(&text, "\nPss:", &usage->memory_kb);
    buf_release(&text);
    if (found)
        return;
    usage->is_pss = false;
    err = read_proc(pid, "status", &text);
    if (!err.code)
        (void)kilobytes(&text, "\nVmRSS:", &usage->memory_kb);
    buf_release(&text);
}

/* Which one it is, by its second argument ("room NAME"). */
static enum bench_process process_of(uint64_t pid, pid_t server)
{
    struct buf line;
    enum bench_process found = pid == (uint64_t)server ? BENCH_SUPERVISOR : BENCH_PROCESS_END;
    cc_err err = read_proc(pid, "cmdline", &line);
    const char *room = err.code ? NULL : memmem(line.data, line.len, "\0room\0", 6);
    for (int i = BENCH_FRONT; room && i < BENCH_PROCESS_END; i++)
        if (strcmp(room + 6, names[i]) == 0)
            found = (enum bench_process)i;
    buf_release(&line);
    return found;
}

static void add_process(uint64_t pid, pid_t server, struct bench_usage *usage)
{
    const uint64_t tick_ns = 1000000000 / (uint64_t)sysconf(_SC_CLK_TCK);
    struct buf stat;
    cc_err err = read_proc(pid, "stat", &stat);
    bool ours = !err.code &&
                (pid == (uint64_t)server || stat_field(&stat, STAT_PARENT) == (uint64_t)server);
    if (ours) {
        enum bench_process process = process_of(pid, server);
        if (process != BENCH_PROCESS_END)
            usage->cpu_ns[process] +=
                (stat_field(&stat, STAT_USER) + stat_field(&stat, STAT_SYSTEM)) * tick_ns;
        add_memory(pid, usage);
    }
    buf_release(&stat);
}

CC_ERR bench_usage_read(pid_t server, struct bench_usage *ret_usage)
{
    *ret_usage = (struct bench_usage){.is_pss = true};
    DIR *proc = opendir("/proc");
    if (!proc)
        return CC_FAIL(IO, "/proc");
    for (struct dirent *entry = readdir(proc); entry; entry = readdir(proc)) {
        uint64_t pid;
        if (!u64_parse(span_str(entry->d_name), &pid).code)
            add_process(pid, server, ret_usage);
    }
    (void)closedir(proc);
    return CC_OK;
}
