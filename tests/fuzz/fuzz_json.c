/* Any bytes: refused, or a document whose every value can be walked, and whose walk finds each token once. */
#include <stdlib.h>
#include <string.h>

#include "codec/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t walk(struct jval value, unsigned depth)
{
    struct jval_iter iter = jval_iterate(value);
    struct jval child;
    struct jval found;
    struct span text;
    uint64_t number;
    bool flag;
    uint32_t tokens = 1;
    cc_assert(depth <= JSON_DEPTH_MAX);
    (void)jval_text(value, &text).code;
    (void)jval_u64(value, &number).code;
    (void)jval_decimal(value, &text).code;
    (void)jval_bool(value, &flag).code;
    bool object = jval_type(value) == JVAL_OBJECT;
    while (object ? jval_next_member(&iter, &text, &child) : jval_next(&iter, &child)) {
        if (object && text.len < 64 && !memchr(text.data, 0, text.len)) {
            char key[65] = "";
            if (text.len)
                memcpy(key, text.data, text.len);
            cc_assert(jval_member(value, key, &found) && found.token == child.token);
        }
        tokens += walk(child, depth + 1) + object;
    }
    return tokens;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct jdoc doc = {.max = 1 << 16};
    uint8_t *text = malloc(size ? size : 1);
    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    if (!jdoc_parse(&doc, text, size).code)
        cc_assert(walk(jdoc_root(&doc), 1) == doc.count);
    jdoc_wipe(&doc);
    for (size_t i = 0; i < size; i++)
        cc_assert(text[i] == 0);
    free(text);
    return 0;
}
