/* core/key_work.h - what is done with keys by command: the steps of core/key_jobs.h, each its own function.
 *
 * WHAT      Listing, importing, generating, deleting, and changing of keys, over registry, vault, history, key store and policy.
 * PROMISE   Import: opened by the vault (new keys: made by it), protection row, key store, vault's table, registry; in this order, so
 *           that no crash leaves a key that can sign without its row (P15). Slashing-protection data that comes along is merged between
 *           the first two, of keys that opened alone (P13). Delete: stopped in the registry, disabled in the history, erased from the
 *           key store, out of the vault; only then `deleted` (P5). What fails in between is an error, and the key stays listed.
 *           A key that policy refuses is untouched.
 * THREADS   The thread of core/key_jobs.h.
 * OWNERSHIP Borrows.
 * ERRORS    Per key, in its item.
 * SECRETS   Passwords of keystores pass through on the heap; wiped.
 */
#ifndef CORE_KEY_WORK_H
#define CORE_KEY_WORK_H

#include "core/audit.h"
#include "core/authority.h"
#include "core/canary.h"
#include "core/import_hold.h"
#include "core/key_book.h"
#include "core/pause.h"
#include "core/registry_keys.h"
#include "core/vault_client.h"
#include "core/writer.h"

enum {
    KEY_WORK_PATIENCE_MS = 10000, /* for the turn of a job with keeper or writer */
    KEY_WORK_OPEN_MS = 120000,    /* for the vault to open a keystore, when many are before it */
    KEY_WORK_HISTORY_KEYS = 8     /* in one turn of the writer: signing goes on in between */
};

struct key_work {
    struct registry *registry;
    struct vault_client *vault;
    struct writer *writer;
    struct keeper *keeper;
    struct key_book *book; /* NULL: there is no key store */
    struct authority *authority;
    struct pause *pause;
    struct audit *audit; /* NULL: nothing is written down */
    const struct canary *canary;
    struct import_hold *hold;
    bool memory;         /* imports are kept in the vault's memory alone */
    uint32_t generation; /* of the master key that rows are sealed under; 0: the present one */
    const struct eth_network *network;
};

/* May the caller of `ask` do that with this key? DENIED or UNAUTHENTICATED. */
CC_ERR key_work_allow(const struct key_work *work,
                      const struct a_keys *ask,
                      const struct eth_pubkey *pubkey);
/* From here on `item` says what went wrong. */
void key_work_fail(struct a_key_item *item, cc_err err);
/* Fills source, status and flags. */
void key_work_show(const struct key_work *work,
                   const struct registry_view *view,
                   struct a_key_item *ret_item);

/* Loads what the key store has and the vault has not; how many rows could not be. */
uint64_t key_work_load(const struct key_work *work);
/* What other replicas have changed in a shared key store: new keys are loaded, those that are gone or inactive sign no more. `again`: some
 * could not be loaded before; with other rows, sealed anew for one, they may be. False when there was nothing to do; else *ret_failed as of
 * key_work_load().
 */
bool key_work_follow(const struct key_work *work, bool fresh, bool again, uint64_t *ret_failed);

/* A look at keys whose history says that they were deleted: the delete came no further. They are held back, and listed as such. */
struct buried_walk {
    bool over; /* each key was looked at */
    bool has_after;
    struct eth_pubkey after;
};
/* The next few keys; what the history said, where it said nothing: then it is to be asked again. */
CC_ERR key_work_find_buried(const struct key_work *work, struct buried_walk *walk);
/* Of the next few keys that are held back like that: those whose history was enabled again since (`slashing enable`, here or at another
 * replica) are what their rows say, and sign. True: there was one; *ret_failed as of key_work_load().
 */
bool key_work_take_back(const struct key_work *work,
                        struct buried_walk *walk,
                        uint64_t *ret_failed);
/* Seals some rows anew, under the master key of generation `to`; *ret_done: there were none left, while the state record of the key
 * store was *ret_seen (zeros: there is no key store).
 */
CC_ERR key_work_rewrite(const struct key_work *work,
                        uint32_t to,
                        bool *ret_done,
                        struct key_seen *ret_seen);

/* Each fills the items, and of the head what the verb says. */
void key_work_list(const struct key_work *work, const struct a_keys *ask, struct a_keys_done *done);
/* `epoch`: of the front's door. With KEYS_HOLD it ends at the opened keystores; key_work_take() goes on from there. */
void key_work_import(const struct key_work *work,
                     uint32_t epoch,
                     struct a_keys *ask,
                     struct a_keys_done *done);
void key_work_take(const struct key_work *work,
                   uint32_t epoch,
                   const struct a_keys *ask,
                   struct a_keys_done *done);
void key_work_generate(const struct key_work *work,
                       const struct a_keys *ask,
                       struct a_keys_done *done);
void key_work_delete(const struct key_work *work,
                     const struct a_keys *ask,
                     struct a_keys_done *done);
void key_work_set(const struct key_work *work, const struct a_keys *ask, struct a_keys_done *done);
void key_work_pause(const struct key_work *work,
                    const struct a_keys *ask,
                    struct a_keys_done *done);

#endif
