/* The chamber as a whole: its state, and the emergency seal. */
#include <inttypes.h>

#include "base/alloc.h"

#include "core/ceremony.h"
#include "core/manage.h"
#include "core/seal.h"
#include "core/status_page.h"

enum {
    SEAL_WAIT_MS = SEAL_PATIENCE_MS + 4000 /* the answer says what could not be done until then */
};

/* The answer comes when the latches are durable and the vault is wiped. A seal that is there already is no error. */
cc_err manage_seal(struct manage_call *call)
{
    struct seal *seal = call->settings->seal;
    seal_ask(seal, call->verdict.principal);
    cc_err err = seal_wait(seal, SEAL_WAIT_MS);
    if (!err.code)
        return buf_append_str(&call->answer, "{\"state\":\"sealed\",\"complete\":true}");
    return buf_printf(&call->answer, "{\"state\":\"sealed\",\"complete\":false,\"error\":\"%s\"}",
                      error_name(err));
}

cc_err manage_chamber_status(struct manage_call *call)
{
    static const char *const modes[] = {
        [AUTH_OPEN] = "open", [AUTH_REPORT] = "report", [AUTH_ENFORCE] = "enforce"};
    bool held = false;
    const enum auth_mode mode = authority_mode(call->settings->authority, &held);
    struct audit *audit = call->settings->audit;
    CC_TRY(buf_append_str(&call->answer, "{"));
    if (call->settings->ceremony)
        CC_TRY(ceremony_status(call->settings->ceremony, &call->answer));
    else
        CC_TRY(buf_printf(&call->answer, "\"state\":\"%s\"",
                          seal_is(call->settings->seal) ? "sealed" : "unsealed"));
    CC_TRY(buf_printf(&call->answer, ",\"auth_mode\":\"%s\"", modes[mode]));
    if (audit) {
        const struct audit_position at = audit_durable(audit);
        CC_TRY(buf_printf(&call->answer,
                          ",\"audit\":{\"segment\":%" PRIu64 ",\"lines\":%" PRIu64
                          ",\"failing\":%s}",
                          at.segment, at.lines, audit_failing(audit) ? "true" : "false"));
    }
    return buf_append_str(&call->answer, "}");
}

cc_err manage_status_page(struct manage_call *call)
{
    CC_CLEANUP(cc_freep) struct status_view *view = cc_alloc(sizeof *view);
    if (!call->settings->look)
        return CC_FAIL(ROUTE_UNKNOWN, NULL);
    if (!view)
        return CC_FAIL(NO_MEMORY, NULL);
    call->settings->look(call->settings->look_context, view);
    view->now = call->now;
    return status_page_write(view, &call->answer);
}
