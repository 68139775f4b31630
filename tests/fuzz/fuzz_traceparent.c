/* A traceparent header as any client may send it: refused, or ids that are not zeros, and for version 00 the very text that they
 * make.
 */
#include <stdio.h>
#include <string.h>

#include "codec/hex.h"
#include "codec/traceparent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct traceparent parent;
    char trace[2 * TRACE_ID_SIZE + 1] = "";
    char span[2 * SPAN_ID_SIZE + 1] = "";
    char text[TRACEPARENT_LEN + 1];
    if (traceparent_parse(span_of(data, size), &parent).code)
        return 0;
    cc_assert(!trace_id_is_none(parent.trace_id, TRACE_ID_SIZE));
    cc_assert(!trace_id_is_none(parent.parent_id, SPAN_ID_SIZE));
    hex_encode(parent.trace_id, TRACE_ID_SIZE, trace);
    hex_encode(parent.parent_id, SPAN_ID_SIZE, span);
    (void)snprintf(text, sizeof text, "00-%s-%s-", trace, span);
    cc_assert(size >= TRACEPARENT_LEN && memcmp(data, "ff", 2) != 0);
    cc_assert(memcmp(data + 2, text + 2, strlen(text) - 2) == 0);
    cc_assert(memcmp(data, "00", 2) != 0 || size == TRACEPARENT_LEN);
    cc_assert(parent.sampled == (strchr("13579bdf", data[TRACEPARENT_LEN - 1]) != NULL));
    return 0;
}
