/* core/registry_inside.h - what the registry's two files share: the loader's side (registry.c) and that of single keys
 * (registry_keys.c).
 *
 * WHAT      The table, and how an entry is counted.
 * PROMISE   Between registry_uncount() and registry_recount() an entry may change; the counts always fit the entries.
 * THREADS   Under registry.lock.   OWNERSHIP As core/registry.h.   ERRORS As core/registry.h.   SECRETS None.
 */
#ifndef CORE_REGISTRY_INSIDE_H
#define CORE_REGISTRY_INSIDE_H

#include <pthread.h>

#include "core/registry_keys.h"

struct entry {
    struct eth_pubkey pubkey;
    struct key_handle handle;
    uint64_t path_hash; /* of the file that last named it; 0: none */
    uint32_t scan;      /* the last scan that saw it */
    bool has_handle;
    bool registered;
    bool failed;
    uint8_t sources; /* enum b_key_source */
    uint8_t hold;    /* enum registry_hold */
};

struct registry {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t all_registered;
    struct entry *entries;
    size_t count;
    size_t capacity;
    uint32_t *index; /* entry number + 1 by hash; twice the capacity, a power of two */
    uint32_t
        *sorted; /* numbers of the first sorted_count entries, in the order of their public keys */
    size_t sorted_count;
    uint64_t seed;
    size_t unregistered; /* entries that wait for their protection row */
    size_t waits_from;   /* no entry before this one does */
    uint64_t active;
    uint64_t active_from[REGISTRY_SOURCES];
    uint64_t failed;
    uint64_t held_back;
    uint64_t load_errors;
    uint64_t *named; /* hashes of the files that this scan could name only by their path */
    size_t named_count;
    size_t named_room;
    uint32_t scan;
    bool unnamed; /* this scan found a file whose public key is known only after decryption */
    bool set_known;
    enum error_code lacks; /* why keys of a source are not in it; 0: none lack */
    bool load_ended;
    bool rows_closed; /* the master key is */
    bool latched;     /* nothing is loaded until an emergency seal is lifted */
};

void registry_lock(struct registry *registry);
void registry_unlock(struct registry *registry);
struct entry *registry_entry(struct registry *registry, const struct eth_pubkey *pubkey);
CC_ERR registry_entry_or_new(struct registry *registry,
                             const struct eth_pubkey *pubkey,
                             struct entry **ret_entry);
/* After entries have moved. */
void registry_rebuild(struct registry *registry);
enum key_state registry_state(const struct entry *entry);
/* The same, and SEALED of a row's key while the master key is closed. */
enum key_state registry_state_now(const struct registry *registry, const struct entry *entry);
/* Takes an entry out of the counts, and back in. */
void registry_uncount(struct registry *registry, const struct entry *entry);
void registry_recount(struct registry *registry, const struct entry *entry);

#endif
