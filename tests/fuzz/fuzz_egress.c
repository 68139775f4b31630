/* Rows of egress.routes. One that is taken listens on loopback, is found by its host, and leads to no network. */
#include <stdio.h>
#include <string.h>

#include "config/egress.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct egress_config config;
    struct egress_route route;
    uint32_t wrong = 0;
    memset(&config, 0, sizeof config);
    (void)snprintf(config.listen_address, sizeof config.listen_address, "127.77.0.1");
    config.routes.count = 1;
    memcpy(config.routes.items[0], data, size < CONFIG_TEXT_MAX ? size : CONFIG_TEXT_MAX - 1);
    if (egress_check(&config, &wrong).code)
        return 0;
    cc_assert(!egress_route(&config, 0, &route).code && !egress_install(&config).code);
    const char *address = egress_find(route.host, route.port);
    cc_assert(address && strncmp(address, "127.", 4) == 0);
    cc_assert(route.to.kind != ENDPOINT_TCP && route.to.cid != ENDPOINT_ANY_CID);
    return 0;
}
