#include "front/route.h"

#include <string.h>

#include "eth/request_json.h"

static const struct route routes[ROUTE_NONE] = {
#define R(id, method, path, listeners, gate, limit, work)                                          \
    {#id, ROUTE_##method, path, ROUTE_ON_##listeners, GATE_##gate, limit, ROUTE_##work},
#include "front/route.def"
#undef R
};

const char *const route_names[ROUTE_END] = {
#define R(id, method, path, listeners, gate, limit, work) #id,
#include "front/route.def"
#undef R
    "NONE",
};

const struct route *route_info(enum route_id id)
{
    cc_assert(id < ROUTE_NONE);
    return &routes[id];
}

static const char *const methods[ROUTE_NO_METHOD] = {"GET", "POST", "PUT", "PATCH", "DELETE"};

const char *route_method_name(enum route_method method)
{
    cc_assert(method < ROUTE_NO_METHOD);
    return methods[method];
}

const char *route_gate_name(enum route_gate gate)
{
    if (gate == GATE_PROBE)
        return "probe";
    return gate == GATE_OPEN ? "open" : scope_name((enum auth_scope)gate);
}

static enum route_method find_method(const char *name)
{
    int method = ROUTE_GET;
    if (strcmp(name, "HEAD") == 0)
        return ROUTE_GET;
    while (method < ROUTE_NO_METHOD && strcmp(name, methods[method]) != 0)
        method++;
    return (enum route_method)method;
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

/* The target in pieces, decoded: no route has as many as fit. */
enum {
    SEGMENTS_MAX = 6
};

struct segments {
    unsigned count;
    size_t len[SEGMENTS_MAX];
    char text[SEGMENTS_MAX][ROUTE_ARGUMENT_MAX + 1];
};

/* Decodes up to the next slash; one that can't be any route's comes out as "%". */
static const char *take_segment(const char *p, char out[static ROUTE_ARGUMENT_MAX + 1], size_t *len)
{
    size_t n = 0;
    bool good = true;
    while (*p != '/' && !is_end(*p)) {
        char c;
        good &= next_character(&p, &c) && n < ROUTE_ARGUMENT_MAX;
        if (good)
            out[n++] = c;
    }
    if (!good) {
        out[0] = '%';
        n = 1;
    }
    out[n] = '\0';
    *len = n;
    return p;
}

/* Empty segments are skipped; false for more of them than a route may have. */
static bool split(const char *target, struct segments *s)
{
    s->count = 0;
    for (const char *p = target; !is_end(*p);) {
        if (*p == '/') {
            p++;
            continue;
        }
        if (s->count == SEGMENTS_MAX)
            return false;
        p = take_segment(p, s->text[s->count], &s->len[s->count]);
        s->count++;
    }
    return true;
}

/* Returns the segment that stands for the argument, `count` when the pattern has none; -1 when it doesn't fit. */
static int path_fits(const char *pattern, const struct segments *s)
{
    int argument = (int)s->count;
    const char *p = pattern;
    for (unsigned i = 0; i < s->count; i++) {
        if (*p++ != '/')
            return -1;
        size_t len = strcspn(p, "/");
        if (len == 2 && p[0] == '{')
            argument = (int)i;
        else if (!span_equal(span_of(p, len), span_of(s->text[i], s->len[i])))
            return -1;
        p += len;
    }
    return *p ? -1 : argument;
}

static void take_argument(struct route_match *match, const struct segments *s, unsigned at)
{
    if (at >= s->count)
        return;
    match->argument_len = s->len[at];
    memcpy(match->argument, s->text[at], s->len[at] + 1);
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
    enum route_method wanted = find_method(method);
    bool known = false;
    struct segments segments;
    if (!split(target, &segments))
        return CC_FAIL(ROUTE_UNKNOWN, NULL);
    for (enum route_id id = 0; id < ROUTE_NONE; id++) {
        const struct route *r = &routes[id];
        int argument = r->listeners == listener ? path_fits(r->path, &segments) : -1;
        if (argument < 0)
            continue;
        if (r->method == wanted) {
            ret_match->id = id;
            take_argument(ret_match, &segments, (unsigned)argument);
            return CC_OK;
        }
        known = true;
        allow_add(ret_match, methods[r->method]);
        if (r->method == ROUTE_GET)
            allow_add(ret_match, "HEAD");
    }
    return known ? CC_FAIL(METHOD, NULL) : CC_FAIL(ROUTE_UNKNOWN, NULL);
}
