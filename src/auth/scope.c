#include "auth/scope.h"

static const struct {
    const char *name;
    bool about_keys;
} scopes[SCOPE_END] = {
#define S(name, text, about_keys) {text, about_keys},
#include "auth/scope.def"
#undef S
};

const char *scope_name(enum auth_scope scope)
{
    return (unsigned)scope < SCOPE_END ? scopes[scope].name : "";
}

enum auth_scope scope_find(struct span name)
{
    int scope = 0;
    while (scope < SCOPE_END && !span_equal(name, span_str(scopes[scope].name)))
        scope++;
    return (enum auth_scope)scope;
}

bool scope_is_about_keys(enum auth_scope scope)
{
    return (unsigned)scope < SCOPE_END && scopes[scope].about_keys;
}
