/* cli/proxy_plan.h - what `enclave proxy` carries where.
 *
 * WHAT      Settings by name, from a YAML file and from flags alike: `ingress` FROM=TO, `egress` FROM=TO, each as often as wanted;
 *           `enclave_cid`, `metrics`, `drain_seconds`, `idle_seconds`, `places`, `proxy_protocol`.
 * PROMISE   The plan is the allow-list: an enclave reaches the targets of the egress routes and nothing else, and only the one
 *           enclave whose number stands there, unless the plan says `any`.
 * THREADS   Any: pure.
 * OWNERSHIP By value.
 * ERRORS    CONFIG, with what is wrong as the detail; YAML_SYNTAX, NO_MEMORY.
 * SECRETS   None.
 */
#ifndef CLI_PROXY_PLAN_H
#define CLI_PROXY_PLAN_H

#include "net/forward.h"

struct proxy_plan {
    struct forward_route routes[FORWARD_ROUTES_MAX];
    size_t count;
    bool has_metrics;
    struct endpoint metrics;
    bool has_cid;
    uint32_t enclave_cid; /* ENDPOINT_ANY_CID: any */
    uint32_t drain_seconds;
    uint32_t idle_seconds; /* 0: never */
    uint32_t places;       /* of each route */
    bool proxy_protocol;   /* ingress begins with a header that names the client */
};

/* Where a file is wrong. */
struct proxy_plan_fault {
    uint32_t line;
    char name[32]; /* the setting; "": none */
};

void proxy_plan_init(struct proxy_plan *ret_plan);
CC_ERR proxy_plan_set(struct proxy_plan *plan, struct span name, struct span value);
CC_ERR
proxy_plan_read(struct proxy_plan *plan, struct span yaml, struct proxy_plan_fault *ret_fault);
/* What can only be told when all is set; then the routes are ready for forward_new(). */
CC_ERR proxy_plan_finish(struct proxy_plan *plan);

#endif
