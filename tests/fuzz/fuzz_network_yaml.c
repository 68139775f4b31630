/* Any text: refused, or a network that passes its own check. */
#include "eth/network.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct eth_network network;
    if (network_parse(span_of(data, size), &network).code)
        return 0;
    cc_assert(!network_check(&network).code);
    cc_assert(memchr(network.name, 0, sizeof(network.name)));
    for (uint64_t epoch = 0; epoch < 8; epoch++)
        cc_assert(network_fork_at(&network, epoch) < FORK_END);
    (void)network_epoch_of(&network, UINT64_MAX);
    return 0;
}
