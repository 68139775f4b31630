/* Any bytes as the plan of an enclave's init: refused, or one whose texts end where they should. */
#include "enclave/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct enclave_plan plan;
    if (enclave_plan_parse(span_of(data, size), &plan).code)
        return 0;
    cc_assert(plan.parent_cid >= 2 && plan.heartbeat_port > 0);
    cc_assert(plan.program[0] == '/' &&
              strnlen(plan.program, sizeof plan.program) < sizeof plan.program);
    cc_assert(plan.argument_count <= ENCLAVE_ARGUMENTS_MAX);
    for (size_t i = 0; i < plan.argument_count; i++) {
        size_t len = strnlen(plan.arguments[i], ENCLAVE_ARGUMENT_SIZE);
        cc_assert(len > 0 && len < ENCLAVE_ARGUMENT_SIZE);
    }
    return 0;
}
