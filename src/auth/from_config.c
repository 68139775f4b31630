#include "auth/from_config.h"

#include "auth/owner.h"
#include "auth/principal.h"

static cc_err put_scopes(struct buf *out, const char *scopes)
{
    CC_TRY(buf_append_str(out, "\"scopes\":[\""));
    for (const char *c = scopes; *c; c++)
        CC_TRY(*c == ',' ? buf_append_str(out, "\",\"") : buf_append(out, c, 1));
    return buf_append_str(out, "\"]");
}

static cc_err put_all_scopes(struct buf *out)
{
    CC_TRY(buf_append_str(out, "\"scopes\":["));
    for (int scope = 0; scope < SCOPE_END; scope++)
        CC_TRY(buf_printf(out, "%s\"%s\"", scope ? "," : "", scope_name((enum auth_scope)scope)));
    return buf_append_str(out, "]");
}

/* The older form as a policy's JSON: its scopes, and of operations the routine class as everywhere. */
static cc_err own_text(const struct static_policy *from, struct buf *out)
{
    CC_TRY(buf_append_str(out, "{\"rules\":[{\"effect\":\"allow\","));
    CC_TRY(from->allowed_scopes[0] ? put_scopes(out, from->allowed_scopes) : put_all_scopes(out));
    if (from->denied_scopes[0]) {
        CC_TRY(buf_append_str(out, "},{\"effect\":\"deny\","));
        CC_TRY(put_scopes(out, from->denied_scopes));
    }
    return buf_append_str(out, "}]}");
}

CC_ERR policy_from_config(const struct static_policy *from,
                          struct policy **ret_policy,
                          struct auth_fault *ret_fault)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(POLICY_TEXT_MAX);
    CC_TRY(own_text(from, &text));
    return policy_parse(text.data, text.len, from->name, ret_policy, ret_fault);
}

typedef cc_err row_fn(struct span text, struct principal_row *ret_row);

static void check_rows(const struct config_text_list *list,
                       row_fn *parse,
                       const char *path,
                       struct config_faults *faults)
{
    struct principal_row row;
    for (uint32_t i = 0; i < list->count; i++)
        if (parse(span_str(list->items[i]), &row).code)
            config_faults_add(faults, path, "item %u %s", i + 1, error_detail());
}

void auth_check_config(const struct auth_config *auth, struct config_faults *faults)
{
    check_rows(&auth->certificates, principal_certificate_parse, "auth.certificates", faults);
    check_rows(&auth->listeners, principal_listener_parse, "auth.listeners", faults);
    owner_keys_check(&auth->owner_keys, faults);
    for (uint32_t i = 0; i < auth->policies.count; i++) {
        const struct static_policy *from = &auth->policies.items[i];
        struct policy *policy = NULL;
        struct auth_fault fault;
        if (policy_from_config(from, &policy, &fault).code)
            config_faults_add(faults, "auth_policies", "%s: %s: %s", from->name, fault.place,
                              fault.what);
        policy_free(policy);
    }
    if (auth->unauthenticated_policy[0] && !policy_is_name(span_str(auth->unauthenticated_policy)))
        config_faults_add(faults, "unauthenticated_policy", "is no name of a policy");
}
