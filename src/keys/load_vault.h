/* keys/load_vault.h - the loader's side of the key door.
 *
 * WHAT      Sends keys to the vault, bounded in number, and takes its results in any order.
 * PROMISE   At most `window` requests are without an answer. Waiting ends also when the core goes away. A result for
 *           what was not asked is PROTOCOL.
 * THREADS   One thread.   OWNERSHIP Borrows the load.
 * ERRORS    DOOR_CLOSED, PROTOCOL, IO, NO_MEMORY.
 * SECRETS   struct load_secrets: wiped after each send.
 */
#ifndef KEYS_LOAD_VAULT_H
#define KEYS_LOAD_VAULT_H

#include "keys/filesystem.h"
#include "keys/key_map.h"
#include "keys/load.h"
#include "keys/report.h"

enum item_state {
    ITEM_WAITS, /* to be sent in the second phase */
    ITEM_ASKED, /* K_HAVE is on its way */
    ITEM_SENT,  /* the key itself is on its way */
    ITEM_LOADED,
    ITEM_ENDED /* refused, or a duplicate */
};

/* One key. The number of an item is the id of its messages. */
struct load_item {
    char *path;          /* the file that describes it: named in reports */
    char *keystore_path; /* where that is another file */
    char *password_path; /* where a description names it */
    enum item_state state;
    bool has_pubkey;
    struct eth_pubkey pubkey;
};

struct load_secrets {
    struct k_keystore keystore;
    struct k_raw raw;
    struct password password;
};

struct load {
    const struct filesystem_config *config;
    struct load_doors doors;
    struct report report;
    struct load_item *items;
    size_t count;
    size_t capacity;
    struct key_map
        keys; /* public key to the item that brought it first; once one is loaded, to that one */
    struct key_map files; /* keystores that a description names */
    uint32_t window;
    uint32_t in_flight;
    struct door_message *message;
    struct load_secrets *secrets;
};

/* Waits until one more request may be sent without blocking on the vault. */
CC_ERR load_vault_room(struct load *load);
/* Waits for every answer. */
CC_ERR load_vault_drain(struct load *load);
/* Sends load->secrets->raw or ->keystore for item `index`, and wipes them. Call load_vault_room() before. */
CC_ERR load_vault_send_raw(struct load *load, size_t index);
CC_ERR load_vault_send_keystore(struct load *load, size_t index);
/* Asks for every item that waits and names its public key whether the vault holds it, and reports those it does. */
CC_ERR load_vault_ask_held(struct load *load);
/* True when another item has loaded the key of `item`: then it is reported as a duplicate, and ended. */
bool load_is_duplicate(struct load *load, struct load_item *item, const struct eth_pubkey *pubkey);

#endif
