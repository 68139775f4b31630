#include "aws/form.h"

#include <ctype.h>

CC_ERR aws_form_add(struct buf *out, const char *name, struct span value)
{
    bool first = out->len == 0 || out->data[out->len - 1] == '?';
    if (value.len == 0)
        return CC_OK;
    CC_TRY(buf_printf(out, "%s%s=", first ? "" : "&", name));
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.data[i];
        if ((c < 128 && isalnum(c)) || c == '-' || c == '.' || c == '_' || c == '~')
            CC_TRY(buf_append(out, &c, 1));
        else
            CC_TRY(buf_printf(out, "%%%02X", c));
    }
    return CC_OK;
}
