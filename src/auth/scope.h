/* auth/scope.h - the names of what a caller may be allowed to do.
 *
 * WHAT      scope.def as an enum, and its names.
 * PROMISE   A number or a name that has no row is no scope.
 * THREADS   Any: the table is constant.   OWNERSHIP Static text.   ERRORS None.   SECRETS None.
 */
#ifndef AUTH_SCOPE_H
#define AUTH_SCOPE_H

#include <stdbool.h>

#include "base/span.h"

enum auth_scope {
#define S(name, text, about_keys) SCOPE_##name,
#include "auth/scope.def"
#undef S
    SCOPE_END
};

_Static_assert(SCOPE_END <= 32, "a set of scopes is one uint32_t");

/* "slashing_export"; "" for a number that is no scope. */
const char *scope_name(enum auth_scope scope);
/* SCOPE_END when there is none of that name. */
enum auth_scope scope_find(struct span name);
/* A rule's `keys` applies to it. */
bool scope_is_about_keys(enum auth_scope scope);

#endif
