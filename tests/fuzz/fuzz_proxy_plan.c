/* Plans of `enclave proxy`. One that is taken has routes that go the way they say, and no target that stands for any. */
#include <string.h>

#include "cli/proxy_plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct proxy_plan plan;
    struct proxy_plan_fault fault;
    proxy_plan_init(&plan);
    if (proxy_plan_read(&plan, span_of(data, size), &fault).code || proxy_plan_finish(&plan).code)
        return 0;
    cc_assert(plan.count > 0 && plan.count <= FORWARD_ROUTES_MAX && plan.places > 0);
    for (size_t i = 0; i < plan.count; i++) {
        const struct forward_route *r = &plan.routes[i];
        bool ingress = strcmp(r->way, "ingress") == 0;
        cc_assert(r->from.kind != (ingress ? ENDPOINT_VSOCK : ENDPOINT_TCP));
        cc_assert(r->to.kind != (ingress ? ENDPOINT_TCP : ENDPOINT_VSOCK));
        cc_assert(r->to.kind != ENDPOINT_VSOCK || r->to.cid != ENDPOINT_ANY_CID);
        cc_assert(r->from.kind != ENDPOINT_VSOCK || plan.has_cid);
    }
    return 0;
}
