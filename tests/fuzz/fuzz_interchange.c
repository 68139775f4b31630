/* EIP-3076 files from strangers: no crash, and what was taken in can be given out and taken in again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "slash/interchange.h"

struct text {
    const uint8_t *data;
    size_t len, at;
};

static cc_err read_text(void *context, void *into, size_t room, size_t *ret_len)
{
    struct text *t = context;
    size_t n = t->len - t->at;
    n = n > room ? room : n;
    if (n)
        memcpy(into, t->data + t->at, n);
    t->at += n;
    *ret_len = n;
    return CC_OK;
}

static cc_err rewind_text(void *context)
{
    struct text *t = context;
    t->at = 0;
    return CC_OK;
}

static cc_err append(void *context, const void *data, size_t len)
{
    return buf_append(context, data, len);
}

static cc_err
import(struct slash_store *store, const uint8_t *data, size_t len, uint64_t *ret_faults)
{
    struct text text = {data, len, 0};
    const struct interchange_source source = {read_text, rewind_text, &text};
    struct interchange_result result = {.messages = buf_init(INTERCHANGE_MESSAGES_MAX)};
    cc_err err = interchange_import(store, &source, NULL, &result);
    *ret_faults = result.faults;
    buf_release(&result.messages);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct slash_identity nobody;
    struct slash_store *store, *copy;
    uint64_t faults, count;
    if (slash_memory_open(&nobody, &store).code || slash_memory_open(&nobody, &copy).code)
        abort();
    cc_err err = import(store, data, size, &faults);
    if (err.code && faults == 0)
        abort(); /* every refusal says why */
    if (!err.code) {
        struct buf out = buf_init(1 << 26);
        if (interchange_export(store, append, &out, NULL, 0, &count).code ||
            import(copy, out.data, out.len, &faults).code)
            abort();
        buf_release(&out);
    }
    slash_store_close(store);
    slash_store_close(copy);
    return 0;
}
