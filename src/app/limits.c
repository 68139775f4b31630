#include "app/limits.h"

#include <sys/resource.h>

enum {
    FD_RESERVE = 64
};

static rlim_t raise_limit(__rlimit_resource_t resource)
{
    struct rlimit limit;
    if (getrlimit(resource, &limit) != 0)
        return 0;
    struct rlimit higher = {RLIM_INFINITY, RLIM_INFINITY};
    if (resource == RLIMIT_MEMLOCK && setrlimit(resource, &higher) == 0)
        return RLIM_INFINITY;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(resource, &limit);
    return limit.rlim_cur;
}

bool limits_raise_files(const struct config *config, uint64_t *ret_limit, uint64_t *ret_needed)
{
    *ret_limit = raise_limit(RLIMIT_NOFILE);
    *ret_needed = (uint64_t)config->server.max_connections + FD_RESERVE;
    return *ret_limit >= *ret_needed;
}

/* The rooms inherit the limits; the vault says itself when it cannot lock what it needs. */
void limits_raise(const struct config *config)
{
    uint64_t limit = 0, needed = 0;
    if (!limits_raise_files(config, &limit, &needed))
        log_warn("fewer files may be open than server.max_connections needs, going on",
                 KV_NUM("limit", limit), KV_NUM("max_connections", config->server.max_connections));
    (void)raise_limit(RLIMIT_MEMLOCK);
}
