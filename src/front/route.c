#include "front/route.h"

#include <string.h>

#include "eth/request_json.h"

static const struct route routes[ROUTE_NONE] = {
#define R(id, method, path, listeners, gate, limit)                                                \
    {#id, ROUTE_##method, path, ROUTE_ON_##listeners, GATE_##gate, limit},
#include "front/route.def"
#undef R
};

const char *const route_names[ROUTE_END] = {
#define R(id, method, path, listeners, gate, limit) #id,
#include "front/route.def"
#undef R
    "NONE",
};

const struct route *route_info(enum route_id id)
{
    cc_assert(id < ROUTE_NONE);
    return &routes[id];
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool is_unreserved(int c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static bool is_end(char c)
{
    return c == '\0' || c == '?' || c == '#';
}

/* Takes one character off *path, percent-encoding undone; false for one that no route's segment has. */
static bool next_character(const char **path, char *ret_character)
{
    const char *p = *path;
    *ret_character = *p;
    *path = p + 1;
    if (*p != '%')
        return true;
    int high = hex_value(p[1]);
    int low = high >= 0 ? hex_value(p[2]) : -1;
    if (low < 0)
        return false;
    *path = p + 3;
    *ret_character = (char)(high * 16 + low);
    return is_unreserved(high * 16 + low);
}

/* Takes the next non-empty segment off *path into `out`, decoded; false when there is none. A segment that can't be
 * any route's comes out as "%".
 */
static bool next_segment(const char **path, char out[static ROUTE_ARGUMENT_MAX + 1])
{
    const char *p = *path;
    size_t n = 0;
    bool good = true;
    while (*p == '/')
        p++;
    if (is_end(*p))
        return false;
    while (*p != '/' && !is_end(*p)) {
        char c;
        good &= next_character(&p, &c) && n < ROUTE_ARGUMENT_MAX;
        if (good)
            out[n++] = c;
    }
    out[good ? n : 1] = '\0';
    if (!good)
        out[0] = '%';
    *path = p;
    return true;
}

static bool path_fits(const char *pattern, const char *path, struct route_match *match)
{
    char want[ROUTE_ARGUMENT_MAX + 1];
    char got[ROUTE_ARGUMENT_MAX + 1];
    for (;;) {
        bool more = next_segment(&pattern, want);
        if (next_segment(&path, got) != more)
            return false;
        if (!more)
            return true;
        if (strcmp(want, "{}") == 0) {
            match->argument_len = strlen(got);
            memcpy(match->argument, got, match->argument_len + 1);
        } else if (strcmp(want, got) != 0) {
            return false;
        }
    }
}

static void allow_add(struct route_match *match, const char *method)
{
    size_t n = strlen(match->allow);
    size_t len = strlen(method);
    if (n + len + 3 > sizeof match->allow)
        return;
    if (n) {
        memcpy(match->allow + n, ", ", 2);
        n += 2;
    }
    memcpy(match->allow + n, method, len + 1);
}

CC_ERR route_find(const char *method,
                  const char *target,
                  enum route_listeners listener,
                  struct route_match *ret_match)
{
    *ret_match = (struct route_match){.id = ROUTE_NONE};
    if (target[0] != '/')
        return CC_FAIL(MALFORMED, "the request target is not a path");
    bool get = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    enum route_method wanted = get ? ROUTE_GET : strcmp(method, "POST") == 0 ? ROUTE_POST : 0;
    bool known = false;
    for (enum route_id id = 0; id < ROUTE_NONE; id++) {
        const struct route *r = &routes[id];
        if (r->listeners != listener || !path_fits(r->path, target, ret_match))
            continue;
        if (r->method == wanted) {
            ret_match->id = id;
            return CC_OK;
        }
        known = true;
        allow_add(ret_match, r->method == ROUTE_GET ? "GET" : "POST");
        if (r->method == ROUTE_GET)
            allow_add(ret_match, "HEAD");
    }
    return known ? CC_FAIL(METHOD, NULL) : CC_FAIL(ROUTE_UNKNOWN, NULL);
}
