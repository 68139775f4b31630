/* keys/load_vault.h - the loader's side of the key door.
 *
 * WHAT      Sends keys to the vault, bounded in number, and takes its results in any order.
 * PROMISE   At most `window` keystores are without an answer, or LOAD_RAW_WINDOW raw keys, which cost the vault
 *           microseconds and no memory; raw keys travel LOAD_RAW_BATCH to a message. Waiting ends also when the core
 *           goes away. A result for what was not asked is PROTOCOL.
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

enum {
    LOAD_RAW_BATCH = 32, /* some 2 ms of public-key derivation: enough for one turn of one thread */
    LOAD_RAW_WINDOW = 8192 /* batches for as many threads as the vault may have */
};

struct load_secrets {
    struct k_keystore keystore;
    struct k_raw raw[LOAD_RAW_BATCH];
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
    uint32_t raw_count; /* in secrets->raw, not sent yet */
    struct door_message *message;
    struct load_secrets *secrets;
};

/* Adds the raw key of item `index` to the batch, and sends the batch once it is full. */
CC_ERR load_vault_add_raw(struct load *load, size_t index, const uint8_t secret[static 32]);
/* Waits until one more keystore may be sent without blocking on the vault. */
CC_ERR load_vault_room(struct load *load);
/* Sends load->secrets->keystore for item `index`, and wipes it. Call load_vault_room() before. */
CC_ERR load_vault_send_keystore(struct load *load, size_t index);
/* Sends the raw keys that wait, and waits for every answer. */
CC_ERR load_vault_drain(struct load *load);
/* Asks for every item that waits and names its public key whether the vault holds it, and reports those it does. */
CC_ERR load_vault_ask_held(struct load *load);
/* True when another item has loaded the key of `item`: then it is reported as a duplicate, and ended. */
bool load_is_duplicate(struct load *load, struct load_item *item, const struct eth_pubkey *pubkey);

#endif
