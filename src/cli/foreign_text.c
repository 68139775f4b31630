#include "cli/foreign_text.h"

/* Terminals take U+0080 to U+009F for what ESC and a letter say. */
size_t foreign_text_control(const uint8_t *at, size_t left)
{
    if (left > 1 && at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0)
        return 2;
    return at[0] < 0x20 || at[0] == 0x7f;
}

void foreign_text_print(FILE *stream, struct span text)
{
    const size_t end = text.len < FOREIGN_TEXT_MAX ? text.len : FOREIGN_TEXT_MAX;
    for (size_t i = 0; i < end; i++) {
        const size_t control = foreign_text_control(text.data + i, text.len - i);
        (void)fputc(control ? '?' : text.data[i], stream);
        i += control == 2;
    }
    if (end < text.len)
        (void)fputs("...", stream);
}
