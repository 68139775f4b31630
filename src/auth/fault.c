#include "auth/fault.h"

#include <stdarg.h>
#include <stdio.h>

CC_ERR fault_at(struct auth_fault *fault, const char *what, const char *fmt, ...)
{
    va_list arguments;
    va_start(arguments, fmt);
    (void)vsnprintf(fault->place, sizeof fault->place, fmt, arguments);
    va_end(arguments);
    fault->what = what;
    return CC_FAIL(MALFORMED, what);
}

CC_ERR fault_from(struct auth_fault *fault, cc_err err, const char *place)
{
    const char *detail = error_detail();
    (void)snprintf(fault->place, sizeof fault->place, "%s", place);
    fault->what = detail[0] ? detail : error_text(err);
    return err;
}

CC_ERR fault_check_list(struct auth_fault *fault, struct jval list, uint32_t max, const char *place)
{
    if (jval_type(list) != JVAL_ARRAY)
        return fault_at(fault, "not a list", "%s", place);
    uint32_t count = jval_count(list);
    if (count == 0)
        return fault_at(fault, "an empty list", "%s", place);
    return count <= max ? CC_OK : fault_at(fault, "too many elements", "%s", place);
}

CC_ERR fault_text(struct auth_fault *fault,
                  struct jval value,
                  const char *place,
                  uint32_t i,
                  struct span *ret_text)
{
    return jval_text(value, ret_text).code ? fault_at(fault, "not a string", "%s[%u]", place, i)
                                           : CC_OK;
}
