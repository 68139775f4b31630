#include "cli/json_text.h"

CC_ERR json_put_text(struct buf *out, struct span text)
{
    CC_TRY(buf_append_str(out, "\""));
    size_t from = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        CC_TRY(buf_append(out, text.data + from, i - from));
        CC_TRY(c < 0x20 ? buf_printf(out, "\\u%04x", c) : buf_printf(out, "\\%c", c));
        from = i + 1;
    }
    if (text.len > from)
        CC_TRY(buf_append(out, text.data + from, text.len - from));
    return buf_append_str(out, "\"");
}
