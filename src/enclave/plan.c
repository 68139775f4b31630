#include "enclave/plan.h"

#include <stdint.h>

#include "base/num.h"

enum {
    CID_FIRST = 2 /* 0 is the hypervisor, 1 the machine itself */
};

static const uint32_t number_max = UINT32_MAX - 1; /* that one means any */

static cc_err take_number(struct span value, uint32_t low, uint32_t *number)
{
    uint64_t parsed;
    if (*number)
        return CC_FAIL(MALFORMED, "a number twice");
    CC_TRY(u64_parse(value, &parsed));
    if (parsed < low || parsed > number_max)
        return CC_FAIL(NUMBER_RANGE, "a vsock address or port");
    *number = (uint32_t)parsed;
    return CC_OK;
}

static cc_err take_text(struct span value, char *out, size_t size)
{
    if (value.len == 0 || value.len >= size)
        return CC_FAIL(LIMIT, "a text that is empty or too long");
    for (size_t i = 0; i < value.len; i++)
        if (value.data[i] < 0x20 || value.data[i] == 0x7f)
            return CC_FAIL(MALFORMED, "a control character");
    memcpy(out, value.data, value.len);
    out[value.len] = 0;
    return CC_OK;
}

static cc_err take(struct enclave_plan *plan, struct span key, struct span value)
{
    if (span_is(key, "parent-cid"))
        return take_number(value, CID_FIRST, &plan->parent_cid);
    if (span_is(key, "heartbeat-port"))
        return take_number(value, 1, &plan->heartbeat_port);
    if (span_is(key, "log-port"))
        return take_number(value, 1, &plan->log_port);
    if (span_is(key, "run")) {
        if (plan->program[0])
            return CC_FAIL(MALFORMED, "two programs");
        CC_TRY(take_text(value, plan->program, sizeof plan->program));
        return plan->program[0] == '/' ? CC_OK : CC_FAIL(MALFORMED, "a program has a whole path");
    }
    if (!span_is(key, "argument"))
        return CC_FAIL(MALFORMED, "an unknown key");
    if (plan->argument_count == ENCLAVE_ARGUMENTS_MAX)
        return CC_FAIL(LIMIT, "too many arguments");
    return take_text(value, plan->arguments[plan->argument_count++], ENCLAVE_ARGUMENT_SIZE);
}

static cc_err take_line(struct enclave_plan *plan, struct span line)
{
    const uint8_t *space = line.len ? memchr(line.data, ' ', line.len) : NULL;
    if (!space)
        return CC_FAIL(MALFORMED, "a line without a value");
    size_t key = (size_t)(space - line.data);
    return take(plan, span_of(line.data, key), span_of(space + 1, line.len - key - 1));
}

CC_ERR enclave_plan_parse(struct span text, struct enclave_plan *ret_plan)
{
    *ret_plan = (struct enclave_plan){0};
    if (text.len > ENCLAVE_PLAN_MAX)
        return CC_FAIL(LIMIT, "the plan is too long");
    while (text.len) {
        const uint8_t *end = memchr(text.data, '\n', text.len);
        if (!end)
            return CC_FAIL(MALFORMED, "the last line has no end");
        size_t len = (size_t)(end - text.data);
        CC_TRY(take_line(ret_plan, span_of(text.data, len)));
        text = span_of(end + 1, text.len - len - 1);
    }
    if (!ret_plan->parent_cid || !ret_plan->heartbeat_port || !ret_plan->program[0])
        return CC_FAIL(FIELD_MISSING, "parent-cid, heartbeat-port and run");
    return CC_OK;
}
