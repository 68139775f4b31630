/* core/registry.h - which public keys there are, and which of them can sign.
 *
 * WHAT      Public key to vault handle and state, fed by the loader's messages, by what the vault still holds after
 *           a restart of the core, and by the key stores (core/registry_keys.h).
 * PROMISE   A key is ACTIVE only after the history has a protection row for it (P15): the loader's word makes it
 *           LOADING, registry_registered() makes it ACTIVE. A key whose file fails at a reload but is held stays. Only a
 *           scan that read every directory to its end removes what it did not see, and only what files alone had brought.
 * THREADS   Any; one lock inside, never held over I/O.
 * OWNERSHIP registry_free() frees. Lists are copies: the caller frees them.
 * ERRORS    NO_MEMORY, LIMIT (more than REGISTRY_MAX keys).
 * SECRETS   None: public keys and handles.
 */
#ifndef CORE_REGISTRY_H
#define CORE_REGISTRY_H

#include <stdbool.h>

#include "wire/door_key.h"

enum {
    REGISTRY_MAX =
        262144, /* far beyond the vault's table; bounds what a captured loader can fill */
    REGISTRY_TAKE_MAX = 1024, /* keys per registering transaction */
};

enum key_state {
    KEY_STATE_ABSENT,
    KEY_STATE_LOADING, /* the file or row is known; not in the vault yet, or not in the history yet */
    KEY_STATE_ACTIVE,
    KEY_STATE_FAILED, /* the file or row is known and can't be loaded */
    KEY_STATE_SEALED, /* the row is known, and the master key is closed */
    KEY_STATE_STOPPED /* held back: inactive, or about to be deleted */
};

enum {
    REGISTRY_SOURCES = 3 /* files, rows, memory: a key that has several counts for the first */
};

struct key_lookup {
    enum key_state state;
    bool set_known;           /* a first scan has ended: ABSENT means that there is no such key */
    struct key_handle handle; /* when ACTIVE */
};

struct registry_counts {
    uint64_t active;
    uint64_t active_from[REGISTRY_SOURCES];
    uint64_t known;       /* active or loading */
    uint64_t load_errors; /* of the last scan */
    bool set_known;
    bool load_ended; /* one load of all keys has come to its end */
};

struct registry_key {
    struct eth_pubkey pubkey;
    struct key_handle handle;
    uint32_t sources; /* enum b_key_source, of a key that the vault holds; 0: a file */
};

struct registry;

CC_ERR registry_new(struct registry **ret_registry);
void registry_free(struct registry *registry);

void registry_find(struct registry *registry,
                   const struct eth_pubkey *pubkey,
                   struct key_lookup *ret_lookup);
void registry_count(struct registry *registry, struct registry_counts *ret_counts);
/* An emergency seal is in force: which keys the files bring is not known until the first scan after it begins. */
void registry_latch(struct registry *registry);
/* A source whose keys nobody can name: from here on the set is not complete, for that reason. */
void registry_lack(struct registry *registry, enum error_code why);
/* Whether a key that is not here is nowhere: else KEY_LOADING, SEALED where it is latched, or what registry_lack() said. */
CC_ERR registry_is_complete(struct registry *registry);
/* Copies the public keys that are active or loading; the error of registry_is_complete(). *ret_keys: cc_free(). */
CC_ERR registry_list(struct registry *registry, struct eth_pubkey **ret_keys, size_t *ret_count);

/* --- the loader's messages, in this order ---------------------------------------------------------- */

void registry_scan_begin(struct registry *registry);
/* Takes one L_KEYS item. *ret_register: there is something for registry_take_unregistered(). */
CC_ERR registry_scan_key(struct registry *registry, const struct l_key *key, bool *ret_register);
/* The first L_DONE: every file was looked at. */
void registry_scan_listed(struct registry *registry, const struct l_done *done);
/* The last L_DONE. *ret_gone: keys that were removed, to be taken out of the vault; cc_free(). */
CC_ERR registry_scan_end(struct registry *registry,
                         const struct l_done *done,
                         struct registry_key **ret_gone,
                         size_t *ret_count);

/* A key that the vault holds already. */
CC_ERR registry_restore(struct registry *registry, const struct registry_key *key);

/* --- the history writer's side --------------------------------------------------------------------- */

/* Up to `max` keys that are in the vault and wait for their protection row. */
size_t
registry_take_unregistered(struct registry *registry, struct eth_pubkey *ret_keys, size_t max);
/* They have one now; keys that are gone meanwhile are passed over. */
void registry_registered(struct registry *registry, const struct eth_pubkey *keys, size_t count);
/* Waits until no key waits for its row; false when that took longer than `patience_ms`. */
bool registry_wait_registered(struct registry *registry, uint64_t patience_ms);

#endif
