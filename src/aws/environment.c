#include "aws/environment.h"

struct span aws_environment_get(struct span text, const char *name)
{
    size_t len = strlen(name);
    while (text.len) {
        const uint8_t *end = memchr(text.data, 0, text.len);
        struct span part = span_of(text.data, end ? (size_t)(end - text.data) : text.len);
        if (part.len > len && part.data[len] == '=' && span_is(span_of(part.data, len), name))
            return span_of(part.data + len + 1, part.len - len - 1);
        size_t used = part.len + (end != NULL);
        text = span_of(text.data + used, text.len - used);
    }
    return span_of(NULL, 0);
}
