/* front/route.h - from a method and a raw request target to a row of route.def.
 *
 * WHAT      Splits the target, collapses empty segments, undoes harmless percent-encoding, finds the row.
 * PROMISE   Gates and limits are columns: a handler can't forget them. A target is matched segment by segment as it
 *           was sent; %XX is undone only where it stands for a letter, a digit or one of -._~ (RFC 3986 2.3), so no
 *           encoding can make a slash, a dot segment, a NUL or a control character. Nothing is cut: what does not fit
 *           is no route. The query is ignored.
 * THREADS   Any: pure.
 * OWNERSHIP The match's argument points into the match.
 * ERRORS    ROUTE_UNKNOWN; METHOD with ret_match->allow set; MALFORMED for a target that is not a path.
 * SECRETS   None.
 */
#ifndef FRONT_ROUTE_H
#define FRONT_ROUTE_H

#include <stdbool.h>

#include "base/error.h"
#include "base/span.h"

enum route_id {
#define R(id, method, path, listeners, gate, limit) ROUTE_##id,
#include "front/route.def"
#undef R
    ROUTE_NONE, /* for metrics: no route was found */
    ROUTE_END
};

enum route_listeners {
    ROUTE_ON_API = 1,
    ROUTE_ON_METRICS = 2
};
enum route_gate {
    GATE_PROBE,
    GATE_OPEN,
    GATE_TOKEN
};
enum route_method {
    ROUTE_GET = 1,
    ROUTE_POST = 2
};

enum {
    ROUTE_ARGUMENT_MAX = 255,
    BODY_IGNORED_MAX =
        1 << 20 /* of a request that has no use for its body, or whose refusal waits for its end */
};

struct route {
    const char *name; /* "SIGN", for metrics and logs */
    enum route_method method;
    const char *path;
    enum route_listeners listeners;
    enum route_gate gate;
    size_t body_limit;
};

struct route_match {
    enum route_id id;
    char allow[32]; /* for METHOD: "GET, HEAD, POST" */
    size_t argument_len;
    char argument[ROUTE_ARGUMENT_MAX + 1];
};

/* HEAD is GET: the server leaves the body out. `target` is the raw request target, percent-encoding untouched. */
CC_ERR route_find(const char *method,
                  const char *target,
                  enum route_listeners listener,
                  struct route_match *ret_match);
const struct route *route_info(enum route_id id);
/* Names for the metrics' ROUTE label, ROUTE_END of them. */
extern const char *const route_names[];

#endif
