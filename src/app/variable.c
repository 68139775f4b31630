#include "app/variable.h"

#include <string.h>

#include "base/num.h"
#include "base/span.h"

const char *variable_of(char *const *environment, const char *name)
{
    size_t len = strlen(name);
    for (; environment && *environment; environment++)
        if (strncmp(*environment, name, len) == 0 && (*environment)[len] == '=')
            return *environment + len + 1;
    return NULL;
}

uint64_t variable_number(char *const *environment, const char *name)
{
    const char *text = variable_of(environment, name);
    uint64_t value = 0;
    if (!text || u64_parse(span_str(text), &value).code)
        return 0;
    return value;
}
