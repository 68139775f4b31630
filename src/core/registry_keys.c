#include <stdlib.h>
#include <string.h>

#include "core/registry_inside.h"

static struct registry_view view_of(const struct registry *r, const struct entry *e)
{
    return (struct registry_view){
        .pubkey = e->pubkey,
        .handle = e->handle,
        .has_handle = e->has_handle,
        .state = registry_state_now(r, e),
        .sources = e->sources,
        .hold = (enum registry_hold)e->hold,
    };
}

bool registry_look(struct registry *registry,
                   const struct eth_pubkey *pubkey,
                   struct registry_view *ret_view)
{
    registry_lock(registry);
    const struct entry *e = registry_entry(registry, pubkey);
    if (e)
        *ret_view = view_of(registry, e);
    registry_unlock(registry);
    return e != NULL;
}

CC_ERR registry_add(struct registry *registry,
                    const struct eth_pubkey *pubkey,
                    enum b_key_source source,
                    enum registry_hold hold)
{
    struct entry *e = NULL;
    registry_lock(registry);
    cc_err err = registry_entry_or_new(registry, pubkey, &e);
    if (!err.code) {
        registry_uncount(registry, e);
        e->sources |= (uint8_t)source;
        if (hold)
            e->hold = (uint8_t)hold;
        registry_recount(registry, e);
    }
    registry_unlock(registry);
    return err;
}

void registry_loaded(struct registry *registry,
                     const struct eth_pubkey *pubkey,
                     struct key_handle handle,
                     bool registered)
{
    registry_lock(registry);
    struct entry *e = registry_entry(registry, pubkey);
    if (e) {
        registry_uncount(registry, e);
        e->has_handle = true;
        e->handle = handle;
        e->failed = false;
        e->registered |= registered;
        registry_recount(registry, e);
    }
    registry_unlock(registry);
}

void registry_unloaded(struct registry *registry, const struct eth_pubkey *pubkey)
{
    registry_lock(registry);
    struct entry *e = registry_entry(registry, pubkey);
    if (e) {
        registry_uncount(registry, e);
        e->has_handle = false;
        registry_recount(registry, e);
    }
    registry_unlock(registry);
}

void registry_failed(struct registry *registry, const struct eth_pubkey *pubkey)
{
    registry_lock(registry);
    struct entry *e = registry_entry(registry, pubkey);
    if (e && !e->has_handle) {
        registry_uncount(registry, e);
        e->failed = true;
        registry_recount(registry, e);
    }
    registry_unlock(registry);
}

void registry_close_rows(struct registry *registry)
{
    registry_lock(registry);
    registry->rows_closed = true;
    for (size_t i = 0; i < registry->count; i++) {
        struct entry *e = &registry->entries[i];
        if (!e->has_handle || e->sources != B_KEY_FROM_ROW)
            continue;
        registry_uncount(registry, e);
        e->has_handle = false;
        registry_recount(registry, e);
    }
    registry_unlock(registry);
}

void registry_open_rows(struct registry *registry)
{
    registry_lock(registry);
    registry->rows_closed = false;
    registry_unlock(registry);
}

bool registry_rows_are_closed(struct registry *registry)
{
    registry_lock(registry);
    const bool closed = registry->rows_closed;
    registry_unlock(registry);
    return closed;
}

void registry_hold(struct registry *registry,
                   const struct eth_pubkey *pubkey,
                   enum registry_hold hold)
{
    registry_lock(registry);
    struct entry *e = registry_entry(registry, pubkey);
    if (e) {
        registry_uncount(registry, e);
        e->hold = (uint8_t)hold;
        registry_recount(registry, e);
    }
    registry_unlock(registry);
}

/* Under the lock, in one walk for all: a table of 100,000 keys is not built anew for each. */
static void remove_sourceless(struct registry *r)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->count; i++) {
        if (r->entries[i].sources)
            r->entries[kept++] = r->entries[i];
        else
            registry_uncount(r, &r->entries[i]);
    }
    r->count = kept;
    r->waits_from = 0;
    if (r->capacity)
        registry_rebuild(r);
}

void registry_drop(struct registry *registry,
                   const struct eth_pubkey *keys,
                   size_t count,
                   enum b_key_source source)
{
    bool gone = false;
    registry_lock(registry);
    for (size_t i = 0; i < count; i++) {
        struct entry *e = registry_entry(registry, &keys[i]);
        if (!e)
            continue;
        registry_uncount(registry, e);
        e->sources &= (uint8_t)~source;
        if (e->sources)
            e->hold = HOLD_NONE;
        registry_recount(registry, e);
        gone |= !e->sources;
    }
    if (gone)
        remove_sourceless(registry);
    registry_unlock(registry);
}

/* --- in order --------------------------------------------------------------------------------------------------- */

enum {
    INSERTED_MAX =
        32 /* entries that are put in their places one by one; more are sorted with all others */
};

static int order(const struct eth_pubkey *a, const struct eth_pubkey *b)
{
    for (size_t i = 0; i < sizeof a->bytes; i++)
        if (a->bytes[i] != b->bytes[i])
            return a->bytes[i] < b->bytes[i] ? -1 : 1;
    return 0;
}

static int order_of(const void *a, const void *b, void *context)
{
    const uint32_t *x = a, *y = b;
    const struct registry *r = context;
    return order(&r->entries[*x].pubkey, &r->entries[*y].pubkey);
}

/* How many of the sorted ones come before this key, or are it. */
static size_t count_to(const struct registry *r, const struct eth_pubkey *pubkey)
{
    size_t from = 0, count = r->sorted_count;
    while (count) {
        const size_t half = count / 2;
        if (order(&r->entries[r->sorted[from + half]].pubkey, pubkey) <= 0) {
            from += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return from;
}

/* 100,000 keys are sorted once, in some 20 ms; a walk over them looks at each once, and what comes later finds its place. */
static void sort(struct registry *r)
{
    if (r->count - r->sorted_count > INSERTED_MAX) {
        for (size_t i = 0; i < r->count; i++)
            r->sorted[i] = (uint32_t)i;
        r->sorted_count = r->count;
        qsort_r(r->sorted, r->count, sizeof *r->sorted, order_of, r);
    }
    while (r->sorted_count < r->count) {
        const size_t at = count_to(r, &r->entries[r->sorted_count].pubkey);
        memmove(&r->sorted[at + 1], &r->sorted[at], (r->sorted_count - at) * sizeof *r->sorted);
        r->sorted[at] = (uint32_t)r->sorted_count++;
    }
}

size_t registry_after(struct registry *registry,
                      const struct eth_pubkey *after,
                      struct registry_view *ret_views,
                      size_t max,
                      bool *ret_more)
{
    size_t n = 0;
    registry_lock(registry);
    sort(registry);
    size_t at = after ? count_to(registry, after) : 0;
    for (; n < max && at < registry->count; at++)
        ret_views[n++] = view_of(registry, &registry->entries[registry->sorted[at]]);
    *ret_more = at < registry->count;
    registry_unlock(registry);
    return n;
}

size_t registry_deleting(struct registry *registry,
                         const struct eth_pubkey *after,
                         struct registry_view *ret_views,
                         size_t max)
{
    size_t n = 0;
    registry_lock(registry);
    if (registry->held_back) {
        sort(registry);
        for (size_t at = after ? count_to(registry, after) : 0; n < max && at < registry->count;
             at++) {
            const struct entry *e = &registry->entries[registry->sorted[at]];
            if (e->hold == HOLD_DELETING)
                ret_views[n++] = view_of(registry, e);
        }
    }
    registry_unlock(registry);
    return n;
}
