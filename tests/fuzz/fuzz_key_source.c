/* The text of a secret: each key that is taken is a line of 64 hex digits of it, and there are at most 200. */
#include <string.h>

#include "cli/key_source.h"
#include "codec/hex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    struct span text;
    unsigned taken;
};

static cc_err take(void *context, const char *name, const uint8_t secret[static 32])
{
    struct seen *seen = context;
    uint8_t found[32];
    bool is_there = false;
    (void)name;
    for (size_t at = 0; at + 64 <= seen->text.len && !is_there; at++)
        is_there = !hex_decode(span_of(seen->text.data + at, 64), found, sizeof found).code &&
                   memcmp(found, secret, sizeof found) == 0;
    cc_assert(is_there);
    cc_assert(++seen->taken <= KEY_SOURCE_KEYS_MAX);
    return CC_OK;
}

static void fail(void *context, const char *name, cc_err err, const char *why)
{
    (void)context, (void)name, (void)why;
    cc_assert(err.code);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen seen = {.text = span_of(data, size)};
    const struct key_source_sink sink = {take, fail, &seen};
    cc_assert(!key_source_take_text(&sink, "name", seen.text).code);
    return 0;
}
