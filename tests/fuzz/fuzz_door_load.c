/* The load door as a captured loader may use it: a sequence of packets into one registry, which stays sound. Input: a
 * list of packets, each a 16-bit length (big-endian) and that many bytes.
 */
#include <string.h>

#include "base/alloc.h"

#include "core/registry.h"
#include "wire/door_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    LIFE = 1
};

static void check(struct registry *registry)
{
    struct registry_counts counts;
    struct eth_pubkey *keys = NULL;
    size_t listed = 0;
    registry_count(registry, &counts);
    cc_assert(counts.active <= counts.known);
    cc_err err = registry_list(registry, &keys, &listed);
    cc_assert(counts.set_known ? !err.code && listed == counts.known
                               : error_is(err, ERROR_KEY_LOADING));
    cc_free(keys);
}

static void take_done(struct registry *registry, const struct door_message *message)
{
    struct l_done done;
    struct registry_key *gone = NULL;
    size_t count = 0;
    memcpy(&done, message->items, sizeof done);
    if (done.scanned) {
        registry_scan_listed(registry, &done);
        return;
    }
    cc_assert(!registry_scan_end(registry, &done, &gone, &count).code);
    cc_assert(done.complete || count == 0);
    cc_free(gone);
    registry_scan_begin(registry);
}

static void take_keys(struct registry *registry, const struct door_message *message)
{
    struct eth_pubkey keys[4];
    struct key_lookup lookup;
    struct l_key key;
    bool more = false;
    for (size_t i = 0; i < message->head.count; i++) {
        memcpy(&key, &message->items[i * sizeof key], sizeof key);
        if (registry_scan_key(registry, &key, &more).code || key.state != L_LOADED)
            continue;
        registry_find(registry, &key.pubkey, &lookup);
        cc_assert(lookup.state == KEY_STATE_ACTIVE || more);
        size_t n = registry_take_unregistered(registry, keys, ARRAY_LEN(keys));
        if (key.path[0] & 1)
            registry_registered(registry, keys, n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct door_message message;
    struct registry *registry = NULL;
    cc_assert(!registry_new(&registry).code);
    registry_scan_begin(registry);
    for (size_t at = 0; at + 2 <= size;) {
        size_t len = (size_t)data[at] << 8 | data[at + 1];
        at += 2;
        if (len > size - at)
            len = size - at;
        memcpy(&message, &data[at], len);
        at += len;
        if (door_check(&message, len, LIFE, door_load_to_core).code)
            continue;
        if (message.head.type == L_KEYS)
            take_keys(registry, &message);
        else
            take_done(registry, &message);
        check(registry);
    }
    registry_free(registry);
    return 0;
}
