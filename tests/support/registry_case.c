#include "support/registry_case.h"

#include <string.h>

struct registry *registry;

int registry_setup(void **state)
{
    (void)state;
    return registry_new(&registry).code;
}

int registry_teardown(void **state)
{
    (void)state;
    registry_free(registry);
    registry = NULL;
    return 0;
}

struct eth_pubkey numbered_pubkey(unsigned n)
{
    struct eth_pubkey key = {{0}};
    key.bytes[0] = (uint8_t)(n * 101);
    memcpy(key.bytes + 20, &n, sizeof n);
    return key;
}

struct key_lookup numbered_lookup(unsigned n)
{
    const struct eth_pubkey key = numbered_pubkey(n);
    struct key_lookup lookup;
    registry_find(registry, &key, &lookup);
    return lookup;
}

struct registry_counts counts(void)
{
    struct registry_counts c;
    registry_count(registry, &c);
    return c;
}

void register_all(void)
{
    struct eth_pubkey keys[REGISTRY_TAKE_MAX];
    size_t n;
    while ((n = registry_take_unregistered(registry, keys, REGISTRY_TAKE_MAX)))
        registry_registered(registry, keys, n);
}
