#include "cli/attest_proxy.h"
#include "cli/attest_verify.h"

int command_attest(struct arguments *arguments)
{
    static const struct {
        const char *name;
        int (*run)(struct arguments *arguments);
    } parts[] = {{"verify", command_attest_verify}, {"proxy", command_attest_proxy}};
    const char *name = arguments->count ? arguments->items[0] : "";
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (!span_is(span_str(name), parts[i].name))
            continue;
        arguments->items++;
        arguments->count--;
        return parts[i].run(arguments);
    }
    return command_usage(arguments, name[0] ? "not understood" : "verify or proxy?",
                         name[0] ? name : NULL);
}
