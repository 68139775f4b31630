#include "base/machine.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "base/io.h"
#include "base/num.h"

/* A line of /proc/self/cgroup is NUMBER:CONTROLLERS:PATH (man 7 cgroups). */
static const struct {
    const char *line; /* how the line of interest goes on after its number */
    const char *folder;
    const char *file;
} hierarchies[] = {
    {"::", "", "memory.max"},
    {":memory:", "/memory", "memory.limit_in_bytes"},
};

enum {
    GROUPS_MAX = 65536,
    NUMBER_MAX = 64
};

uint64_t machine_processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return (uint64_t)CPU_COUNT(&set);
    long n = sysconf(_SC_NPROCESSORS_ONLN); /* more processors than a cpu_set_t names */
    return n > 0 ? (uint64_t)n : 1;
}

static uint64_t number_in(const char *path)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(NUMBER_MAX);
    uint64_t number = 0;
    if (file_read(path, &text).code)
        return UINT64_MAX;
    struct span digits = buf_span(&text);
    while (digits.len && digits.data[digits.len - 1] == '\n')
        digits.len--;
    return u64_parse(digits, &number).code ? UINT64_MAX : number; /* "max" */
}

/* A group is bound by those above it as well. */
static uint64_t limit_of(struct span group, const char *mount, const char *folder, const char *file)
{
    uint64_t limit = UINT64_MAX;
    char path[PATH_MAX];
    for (size_t len = group.len;; len--) {
        bool ends_a_name = len == group.len || group.data[len] == '/';
        if (ends_a_name && snprintf(path, sizeof path, "%s%s%.*s/%s", mount, folder, (int)len,
                                    (const char *)group.data, file) < (int)sizeof path)
            limit = u64_min(limit, number_in(path));
        if (len == 0)
            return limit;
    }
}

static uint64_t limit_by_line(struct span line, const char *mount)
{
    while (line.len && line.data[0] >= '0' && line.data[0] <= '9')
        line = span_of(line.data + 1, line.len - 1);
    for (size_t i = 0; i < ARRAY_LEN(hierarchies); i++) {
        size_t len = strlen(hierarchies[i].line);
        if (line.len >= len && span_is(span_of(line.data, len), hierarchies[i].line))
            return limit_of(span_of(line.data + len, line.len - len), mount, hierarchies[i].folder,
                            hierarchies[i].file);
    }
    return UINT64_MAX;
}

uint64_t machine_group_memory(struct span groups, const char *mount)
{
    uint64_t limit = UINT64_MAX;
    while (groups.len) {
        const uint8_t *end = memchr(groups.data, '\n', groups.len);
        size_t len = end ? (size_t)(end - groups.data) : groups.len;
        limit = u64_min(limit, limit_by_line(span_of(groups.data, len), mount));
        len += end != NULL;
        groups = span_of(groups.data + len, groups.len - len);
    }
    return limit;
}

uint64_t machine_memory(void)
{
    CC_CLEANUP(buf_release) struct buf groups = buf_init(GROUPS_MAX);
    long pages = sysconf(_SC_PHYS_PAGES);
    long page = sysconf(_SC_PAGESIZE);
    uint64_t memory = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : UINT64_MAX;
    if (!file_read("/proc/self/cgroup", &groups).code)
        memory = u64_min(memory, machine_group_memory(buf_span(&groups), "/sys/fs/cgroup"));
    return memory ? memory : 1;
}
