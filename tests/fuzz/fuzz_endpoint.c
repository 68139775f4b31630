/* Names of endpoints. One that is taken is written as it was read. */
#include <string.h>

#include "base/endpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct endpoint endpoint;
    struct endpoint_address address;
    char text[ENDPOINT_TEXT_SIZE];
    if (endpoint_parse(span_of(data, size), &endpoint).code)
        return 0;
    endpoint_text(&endpoint, text);
    cc_assert(span_equal(span_of(data, size), span_str(text)));
    bool is_name = endpoint.kind == ENDPOINT_TCP && !endpoint.literal;
    cc_assert(is_name == (bool)endpoint_address(&endpoint, &address).code);
    return 0;
}
