/* core/registry_keys.h - the registry's side of single keys: those that come from a key store or an import, and those that are held
 * back.
 *
 * WHAT      Adds, loads, holds back and drops keys one by one, whatever the loader does beside it; shows them in order.
 * PROMISE   A key that is held back is not ACTIVE, from the moment on at which registry_hold() returns. A key stays known until its last
 *           source is dropped.
 * THREADS   Any.   OWNERSHIP As core/registry.h.
 * ERRORS    NO_MEMORY, LIMIT.
 * SECRETS   None.
 */
#ifndef CORE_REGISTRY_KEYS_H
#define CORE_REGISTRY_KEYS_H

#include "core/registry.h"

enum registry_hold {
    HOLD_NONE,
    HOLD_INACTIVE,
    HOLD_DELETING
};

struct registry_view {
    struct eth_pubkey pubkey;
    struct key_handle handle; /* with has_handle */
    bool has_handle;
    enum key_state state;
    uint32_t sources; /* enum b_key_source */
    enum registry_hold hold;
};

/* False: there is no such key. */
bool registry_look(struct registry *registry,
                   const struct eth_pubkey *pubkey,
                   struct registry_view *ret_view);
/* One more source of a key; one that was not known is LOADING, or held back at once. */
CC_ERR registry_add(struct registry *registry,
                    const struct eth_pubkey *pubkey,
                    enum b_key_source source,
                    enum registry_hold hold);
/* The vault has it. `registered`: so has the history, else it waits for its protection row. */
void registry_loaded(struct registry *registry,
                     const struct eth_pubkey *pubkey,
                     struct key_handle handle,
                     bool registered);
/* The vault has it no more. */
void registry_unloaded(struct registry *registry, const struct eth_pubkey *pubkey);
/* It can't be loaded, unless it is. */
void registry_failed(struct registry *registry, const struct eth_pubkey *pubkey);
/* The master key is closed: keys of rows alone are out of the vault, and SEALED until registry_open_rows(). */
void registry_close_rows(struct registry *registry);
void registry_open_rows(struct registry *registry);
bool registry_rows_are_closed(struct registry *registry);
void registry_hold(struct registry *registry,
                   const struct eth_pubkey *pubkey,
                   enum registry_hold hold);
/* Takes a source of these keys away. */
void registry_drop(struct registry *registry,
                   const struct eth_pubkey *keys,
                   size_t count,
                   enum b_key_source source);
/* The next `max` keys after `after` (NULL: the first ones) in the order of their bytes. */
size_t registry_after(struct registry *registry,
                      const struct eth_pubkey *after,
                      struct registry_view *ret_views,
                      size_t max,
                      bool *ret_more);
/* The same, of those alone that are about to be deleted. */
size_t registry_deleting(struct registry *registry,
                         const struct eth_pubkey *after,
                         struct registry_view *ret_views,
                         size_t max);

#endif
