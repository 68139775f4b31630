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

#include "auth/scope.h"

enum route_id {
#define R(id, method, path, listeners, gate, limit, work) ROUTE_##id,
#include "front/route.def"
#undef R
    ROUTE_NONE, /* for metrics: no route was found */
    ROUTE_END
};

enum route_listeners {
    ROUTE_ON_API = 1,
    ROUTE_ON_METRICS = 2
};
/* A scope's number, or one beyond them all. */
enum route_gate {
#define S(name, text, about_keys) GATE_##name = SCOPE_##name,
#include "auth/scope.def"
#undef S
    GATE_PROBE = SCOPE_END,
    GATE_OPEN
};
/* Who does what it is for. */
enum route_work {
    ROUTE_HERE,
    ROUTE_ASKS,
    ROUTE_SIGNS,
    ROUTE_SLASHING,
    ROUTE_MANAGES,
    ROUTE_KEYS,
    ROUTE_ATTESTS
};
enum route_method {
    ROUTE_GET,
    ROUTE_POST,
    ROUTE_PUT,
    ROUTE_PATCH,
    ROUTE_DELETE,
    ROUTE_NO_METHOD
};

enum {
    SLASHING_BODY_MAX = 64 << 20,
    SLASHING_ARGUMENTS_MAX = 4096,
    MANAGE_BODY_MAX = 48 << 10,
    SEAL_BODY_MAX = 32 << 10,
    ENVELOPE_TEXT_MAX = 2048,
    KEYSTORES_BODY_MAX = 64 << 20,
    KEYS_BODY_MAX = 2 << 20, /* 10,000 public keys */
    KEYS_GENERATE_BODY_MAX = 4096,
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
    enum route_work work;
};

struct route_match {
    enum route_id id;
    char allow[48]; /* for METHOD: "GET, HEAD, POST" */
    size_t argument_len;
    char argument[ROUTE_ARGUMENT_MAX + 1];
};

/* HEAD is GET: the server leaves the body out. `target` is the raw request target, percent-encoding untouched. */
CC_ERR route_find(const char *method,
                  const char *target,
                  enum route_listeners listener,
                  struct route_match *ret_match);
const struct route *route_info(enum route_id id);
/* "probe", "open", or the scope's name. */
const char *route_gate_name(enum route_gate gate);
/* "POST" */
const char *route_method_name(enum route_method method);
/* Names for the metrics' ROUTE label, ROUTE_END of them. */
extern const char *const route_names[];

#endif
