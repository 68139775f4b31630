#include "sql/postgres_fit.h"

#include <string.h>

#include "base/macros.h"

struct fault {
    const char *name;
    const char *detail;
};

static const struct fault faults[] = {
    {"replica", "the database is a replica: it takes no writes"},
    {"disk", "the database runs with fsync or full_page_writes off: it would forget"},
    {"commit", "synchronous_commit is neither on nor remote_apply"},
};

const char *postgres_fit_fault(const char *column)
{
    for (size_t i = 0; i < ARRAY_LEN(faults); i++)
        if (strcmp(column, faults[i].name) == 0)
            return faults[i].detail;
    return NULL;
}
