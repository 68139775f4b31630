#include "cli/foreign_text.h"

#include <stdbool.h>

/* U+0080 to U+009F: terminals take them for what ESC and a letter say. */
static bool is_control_pair(const uint8_t *at, size_t left)
{
    return left > 1 && at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0;
}

void foreign_text_print(FILE *stream, struct span text)
{
    const size_t end = text.len < FOREIGN_TEXT_MAX ? text.len : FOREIGN_TEXT_MAX;
    for (size_t i = 0; i < end; i++) {
        const uint8_t c = text.data[i];
        const bool pair = is_control_pair(text.data + i, text.len - i);
        (void)fputc(pair || c < 0x20 || c == 0x7f ? '?' : c, stream);
        i += pair;
    }
    if (end < text.len)
        (void)fputs("...", stream);
}
