#include "slash/repair.h"

#include "base/alloc.h"

struct keys {
    struct eth_pubkey *items;
    size_t count;
    size_t room;
};

static void keys_release(struct keys *keys)
{
    cc_free(keys->items);
}

/* A store can't be changed while it is walked. */
static cc_err collect(void *context, const struct slash_validator *validator)
{
    struct keys *keys = context;
    struct eth_pubkey *items = cc_grow_array(keys->items, keys->count, &keys->room, sizeof *items);
    if (!items)
        return CC_FAIL(NO_MEMORY, "keys");
    keys->items = items;
    items[keys->count++] = validator->pubkey;
    return CC_OK;
}

CC_ERR
slash_raise_all(struct slash_store *store, const struct slash_watermark *low, uint64_t *ret_count)
{
    CC_CLEANUP(keys_release) struct keys keys = {0};
    struct slash_import_report ignored = {0};
    cc_assert(low->has_slot && low->has_epochs);
    CC_TRY(slash_visit(store, NULL, collect, &keys));
    for (size_t i = 0; i < keys.count; i++) {
        const struct slash_validator raised = {
            .pubkey = keys.items[i], .enabled = true, .low = *low};
        CC_TRY(slash_merge(store, &raised, &ignored));
    }
    *ret_count = keys.count;
    return CC_OK;
}
