#include "keys/store.h"

#include <string.h>

#include "base/alloc.h"
#include "base/num.h"

#include "crypto/sha256.h"

static bool is_live(uint32_t status)
{
    return status == ROW_ACTIVE || status == ROW_INACTIVE;
}

CC_ERR key_store_copy(struct key_store *store, const struct key_change *changes, size_t n)
{
    cc_assert(n > 0 && n <= KEY_STORE_CHANGE_MAX);
    for (size_t i = 0; i < n; i++) {
        cc_assert(changes[i].next.version > changes[i].expected);
        if (changes[i].next.version > INT64_MAX)
            return CC_FAIL(LIMIT, "version of a row");
    }
    return store->ops->write(store, changes, n);
}

static cc_err
write_rows(struct key_store *store, const struct key_change *changes, size_t n, bool live)
{
    for (size_t i = 0; i < n; i++)
        cc_assert(is_live(changes[i].next.status) == live);
    return key_store_copy(store, changes, n);
}

CC_ERR key_store_scan(struct key_store *store, key_store_visit_fn *visit, void *context)
{
    return store->ops->scan(store, visit, context);
}

CC_ERR key_store_put(struct key_store *store, const struct key_change *changes, size_t n)
{
    return write_rows(store, changes, n, true);
}

CC_ERR key_store_set_status(struct key_store *store, const struct key_change *changes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        cc_assert(changes[i].expected > 0);
    return write_rows(store, changes, n, true);
}

CC_ERR key_store_delete(struct key_store *store, const struct key_change *changes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        cc_assert(changes[i].expected > 0);
    return write_rows(store, changes, n, false);
}

CC_ERR key_store_begin(struct key_store *store)
{
    return store->ops->begin ? store->ops->begin(store) : CC_OK;
}

CC_ERR key_store_fence(struct key_store *store)
{
    return store->ops->fence ? store->ops->fence(store) : CC_OK;
}

CC_ERR key_store_reach(struct key_store *store)
{
    return store->ops->reach ? store->ops->reach(store) : CC_OK;
}

void key_store_close(struct key_store *store)
{
    if (store)
        store->ops->close(store);
}

struct key_change key_store_tombstone(const struct sealed_row *row)
{
    return (struct key_change){
        .expected = row->version,
        .next = {.pubkey = row->pubkey,
                 .status = ROW_DELETED,
                 .generation = row->generation,
                 .version = row->version + 1},
    };
}

int key_store_order(const struct eth_pubkey *a, const struct eth_pubkey *b)
{
    for (size_t i = 0; i < sizeof a->bytes; i++)
        if (a->bytes[i] != b->bytes[i])
            return a->bytes[i] < b->bytes[i] ? -1 : 1;
    return 0;
}

CC_ERR key_store_digest(const struct sealed_row *rows,
                        size_t n,
                        uint8_t ret_digest[static KEY_STORE_DIGEST_SIZE])
{
    static const char title[] = "containment-chamber/key-store/v1"; /* with its zero */
    enum {
        ITEM = sizeof(struct eth_pubkey) + 1 + 4 + 8
    };
    cc_assert(n <= KEY_STORE_ROWS_MAX);
    CC_CLEANUP(cc_freep) uint8_t *message = cc_alloc(sizeof title + 8 + n * ITEM);
    if (!message)
        return CC_FAIL(NO_MEMORY, "digest of a key store");
    memcpy(message, title, sizeof title);
    u64_store_be(message + sizeof title, n);
    uint8_t *at = message + sizeof title + 8;
    for (size_t i = 0; i < n; i++, at += ITEM) {
        memcpy(at, rows[i].pubkey.bytes, sizeof rows[i].pubkey.bytes);
        at[sizeof rows[i].pubkey.bytes] = (uint8_t)rows[i].status;
        u32_store_be(at + sizeof rows[i].pubkey.bytes + 1, rows[i].generation);
        u64_store_be(at + sizeof rows[i].pubkey.bytes + 5, rows[i].version);
    }
    sha256(span_of(message, (size_t)(at - message)), ret_digest);
    return CC_OK;
}
