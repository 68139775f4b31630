#include "cli/proxy_plan.h"

#include <stdio.h>

#include "base/num.h"

#include "codec/yaml.h"

enum {
    DRAIN_SECONDS = 25,
    SECONDS_MAX = 86400
};

void proxy_plan_init(struct proxy_plan *ret_plan)
{
    *ret_plan = (struct proxy_plan){.drain_seconds = DRAIN_SECONDS, .places = FORWARD_PLACES};
}

/* --- routes ------------------------------------------------------------------------------------------------------------------ */

static cc_err parse_ends(struct span text, struct forward_route *route)
{
    const uint8_t *equals = text.len ? memchr(text.data, '=', text.len) : NULL;
    if (!equals)
        return CC_FAIL(CONFIG, "a route is FROM=TO");
    size_t len = (size_t)(equals - text.data);
    if (endpoint_parse(span_of(text.data, len), &route->from).code ||
        endpoint_parse(span_of(equals + 1, text.len - len - 1), &route->to).code)
        return CC_FAIL(CONFIG, error_detail());
    if (route->from.kind == ENDPOINT_TCP && (!route->from.literal || route->from.port == 0))
        return CC_FAIL(CONFIG, "what is listened on is an address with a port, not a name");
    if (route->to.kind == ENDPOINT_TCP && route->to.port == 0)
        return CC_FAIL(CONFIG, "a target has a port");
    if (route->to.kind == ENDPOINT_VSOCK && route->to.cid == ENDPOINT_ANY_CID)
        return CC_FAIL(CONFIG, "a target is one enclave: vsock:CID:PORT");
    return CC_OK;
}

static cc_err add_route(struct proxy_plan *plan, const struct forward_route *route)
{
    if (plan->count == FORWARD_ROUTES_MAX)
        return CC_FAIL(CONFIG, "there are at most 32 routes");
    for (size_t i = 0; i < plan->count; i++)
        if (endpoint_equal(&plan->routes[i].from, &route->from))
            return CC_FAIL(CONFIG, "two routes begin at the same endpoint");
    plan->routes[plan->count++] = *route;
    return CC_OK;
}

static cc_err set_ingress(struct proxy_plan *plan, struct span value)
{
    struct forward_route route = {.listener = -1, .way = "ingress"};
    CC_TRY(parse_ends(value, &route));
    if (route.from.kind == ENDPOINT_VSOCK || route.to.kind == ENDPOINT_TCP)
        return CC_FAIL(CONFIG, "ingress goes from tcp: or unix: to vsock: or unix:");
    return add_route(plan, &route);
}

static cc_err set_egress(struct proxy_plan *plan, struct span value)
{
    struct forward_route route = {.listener = -1, .way = "egress"};
    CC_TRY(parse_ends(value, &route));
    if (route.from.kind == ENDPOINT_TCP || route.to.kind == ENDPOINT_VSOCK)
        return CC_FAIL(CONFIG, "egress goes from vsock: or unix: to tcp: or unix:");
    return add_route(plan, &route);
}

/* --- single values ------------------------------------------------------------------------------------------------------------ */

static cc_err take_number(struct span value, uint64_t min, uint64_t max, uint32_t *ret_number)
{
    uint64_t number = 0;
    if (u64_parse(value, &number).code || number < min || number > max)
        return CC_FAIL(CONFIG, "not a number, or out of range");
    *ret_number = (uint32_t)number;
    return CC_OK;
}

static cc_err set_cid(struct proxy_plan *plan, struct span value)
{
    plan->has_cid = true;
    plan->enclave_cid = ENDPOINT_ANY_CID;
    if (span_is(value, "any"))
        return CC_OK;
    return take_number(value, 3, ENDPOINT_ANY_CID - 1, &plan->enclave_cid); /* 1, 2: this machine */
}

static cc_err set_metrics(struct proxy_plan *plan, struct span value)
{
    if (endpoint_parse(value, &plan->metrics).code)
        return CC_FAIL(CONFIG, error_detail());
    if (plan->metrics.kind == ENDPOINT_VSOCK ||
        (plan->metrics.kind == ENDPOINT_TCP && !plan->metrics.literal))
        return CC_FAIL(CONFIG, "metrics are served at tcp:ADDRESS:PORT or unix:PATH");
    plan->has_metrics = true;
    return CC_OK;
}

static cc_err set_drain(struct proxy_plan *plan, struct span value)
{
    return take_number(value, 0, SECONDS_MAX, &plan->drain_seconds);
}

static cc_err set_idle(struct proxy_plan *plan, struct span value)
{
    return take_number(value, 0, SECONDS_MAX, &plan->idle_seconds);
}

static cc_err set_places(struct proxy_plan *plan, struct span value)
{
    return take_number(value, 1, 65536, &plan->places);
}

static cc_err set_proxy_protocol(struct proxy_plan *plan, struct span value)
{
    plan->proxy_protocol = span_is(value, "true");
    return plan->proxy_protocol || span_is(value, "false") ? CC_OK
                                                           : CC_FAIL(CONFIG, "true or false");
}

static const struct setting {
    const char *name;
    cc_err (*set)(struct proxy_plan *plan, struct span value);
    bool is_list;
} settings[] = {
    {"ingress", set_ingress, true},      {"egress", set_egress, true},
    {"enclave_cid", set_cid, false},     {"metrics", set_metrics, false},
    {"drain_seconds", set_drain, false}, {"idle_seconds", set_idle, false},
    {"places", set_places, false},       {"proxy_protocol", set_proxy_protocol, false},
};

static const struct setting *find(struct span name)
{
    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        if (span_is(name, settings[i].name))
            return &settings[i];
    return NULL;
}

CC_ERR proxy_plan_set(struct proxy_plan *plan, struct span name, struct span value)
{
    const struct setting *setting = find(name);
    return setting ? setting->set(plan, value) : CC_FAIL(CONFIG, "there is no such setting");
}

/* --- a file ------------------------------------------------------------------------------------------------------------------- */

static cc_err
take_entry(struct proxy_plan *plan, const struct yml_node *node, struct proxy_plan_fault *fault)
{
    const struct setting *setting = find(node->key->text);
    fault->line = node->key->line;
    if (!setting)
        return CC_FAIL(CONFIG, "there is no such setting");
    (void)snprintf(fault->name, sizeof fault->name, "%s", setting->name);
    if (!setting->is_list && node->kind == YML_SCALAR)
        return setting->set(plan, node->text);
    if (!setting->is_list || node->kind != YML_SEQUENCE)
        return CC_FAIL(CONFIG, setting->is_list ? "is a list of FROM=TO" : "is one value");
    for (const struct yml_node *item = node->first; item; item = item->next) {
        fault->line = item->line;
        if (item->kind != YML_SCALAR)
            return CC_FAIL(CONFIG, "is a list of FROM=TO");
        CC_TRY(setting->set(plan, item->text));
    }
    return CC_OK;
}

static cc_err
take_all(struct proxy_plan *plan, const struct yml *yml, struct proxy_plan_fault *fault)
{
    if (!yml->first || yml->first->kind != YML_MAPPING)
        return CC_FAIL(CONFIG, "is not a mapping of settings");
    for (const struct yml_node *node = yml->first->first; node; node = node->next) {
        fault->name[0] = 0;
        CC_TRY(take_entry(plan, node, fault));
    }
    return CC_OK;
}

CC_ERR
proxy_plan_read(struct proxy_plan *plan, struct span yaml, struct proxy_plan_fault *ret_fault)
{
    struct yml yml = {0};
    struct yml_fault fault = {0};
    *ret_fault = (struct proxy_plan_fault){0};
    cc_err err = yml_load(yaml, &yml_limits_default, &yml, &fault);
    if (err.code)
        ret_fault->line = fault.line;
    else
        err = take_all(plan, &yml, ret_fault);
    yml_release(&yml);
    return err;
}

CC_ERR proxy_plan_finish(struct proxy_plan *plan)
{
    if (plan->count == 0)
        return CC_FAIL(CONFIG, "nothing is to be carried: give ingress or egress");
    for (size_t i = 0; i < plan->count; i++) {
        struct forward_route *route = &plan->routes[i];
        bool ingress = strcmp(route->way, "ingress") == 0;
        if (route->from.kind == ENDPOINT_VSOCK && !plan->has_cid)
            return CC_FAIL(CONFIG, "egress from vsock needs enclave_cid: every enclave of this "
                                   "machine could use it otherwise");
        route->peer_cid = plan->has_cid ? plan->enclave_cid : ENDPOINT_ANY_CID;
        route->places = plan->places;
        route->says_client = ingress && plan->proxy_protocol;
    }
    return CC_OK;
}
