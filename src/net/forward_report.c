/* The counters of net/forward as text. */
#include "net/forward_inside.h"

static const struct counter {
    const char *name;
    const char *type;
    const char *help;
    size_t offset;
    bool narrow; /* a uint32_t */
} counters[] = {
    {"open", "gauge", "Connections that are carried now", offsetof(struct route, open), true},
    {"accepted_total", "counter", "Connections accepted", offsetof(struct route, accepted), false},
    {"refused_total", "counter", "Connections closed because they came from another enclave",
     offsetof(struct route, refused), false},
    {"failed_total", "counter", "Connections closed because the target could not be reached",
     offsetof(struct route, failed), false},
    {"broken_total", "counter", "Connections ended by an error, a time limit or the program's end",
     offsetof(struct route, broken), false},
    {"full_total", "counter", "Times that all places of the route were taken",
     offsetof(struct route, full), false},
    {"starved_total", "counter", "Times that there was no descriptor or memory for a connection",
     offsetof(struct route, starved), false},
};

/* As the text format wants a label's value. */
static cc_err quote(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            CC_TRY(buf_append(out, "\\", 1));
        CC_TRY(buf_append(out, text, 1));
    }
    return CC_OK;
}

static cc_err name_route(struct buf *out, const char *name, const struct route *route)
{
    char from[ENDPOINT_TEXT_SIZE], to[ENDPOINT_TEXT_SIZE];
    endpoint_text(&route->set.from, from);
    endpoint_text(&route->set.to, to);
    CC_TRY(buf_printf(out, "containment_forward_%s{way=\"%s\",from=\"", name, route->set.way));
    CC_TRY(quote(out, from));
    CC_TRY(buf_append_str(out, "\",to=\""));
    CC_TRY(quote(out, to));
    return buf_append_str(out, "\"");
}

static uint64_t value_of(const struct route *route, const struct counter *counter)
{
    const uint8_t *at = (const uint8_t *)route + counter->offset;
    uint64_t wide = 0;
    uint32_t narrow = 0;
    if (!counter->narrow) {
        memcpy(&wide, at, sizeof wide);
        return wide;
    }
    memcpy(&narrow, at, sizeof narrow);
    return narrow;
}

static cc_err begin(struct buf *out, const char *name, const char *type, const char *help)
{
    return buf_printf(out, "# HELP containment_forward_%s %s\n# TYPE containment_forward_%s %s\n",
                      name, help, name, type);
}

CC_ERR forward_report(const struct forward *f, struct buf *out)
{
    static const char *const directions[] = {"in", "out"};
    for (size_t c = 0; c < ARRAY_LEN(counters); c++) {
        const struct counter *counter = &counters[c];
        CC_TRY(begin(out, counter->name, counter->type, counter->help));
        for (size_t i = 0; i < f->route_count; i++) {
            CC_TRY(name_route(out, counter->name, &f->routes[i]));
            CC_TRY(
                buf_printf(out, "} %llu\n", (unsigned long long)value_of(&f->routes[i], counter)));
        }
    }
    CC_TRY(
        begin(out, "bytes_total", "counter", "Bytes carried, to the target (out) and back (in)"));
    for (size_t i = 0; i < f->route_count; i++)
        for (int side = 0; side < 2; side++) {
            CC_TRY(name_route(out, "bytes_total", &f->routes[i]));
            CC_TRY(buf_printf(out, ",direction=\"%s\"} %llu\n", directions[1 - side],
                              (unsigned long long)f->routes[i].bytes[side]));
        }
    return CC_OK;
}
