/* PROXY v2 headers. One that is taken is as long as it says, and whose own it is has no address. */
#include <string.h>

#include "front/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t none[CIDR_ADDRESS_SIZE];
    struct proxy_client client;
    size_t rest = 0;
    if (size >= PROXY_HEAD && !proxy_rest(data, &rest).code)
        cc_assert(rest <= PROXY_REST_MAX);
    if (proxy_read(span_of(data, size), &client).code)
        return 0;
    cc_assert(size == PROXY_HEAD + rest);
    cc_assert(!client.local || memcmp(client.address, none, sizeof none) == 0);
    return 0;
}
