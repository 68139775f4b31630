/* core/pause.h - keys that are told to sign nothing for a while.
 *
 * WHAT      What the state records `pause/all` and `pause/keys` say, for the path of each signing request; and how they change.
 * PROMISE   A pause holds for every source of keys, on every replica that sees the state store, and after every restart, until it is
 *           taken back. A record that can't be read pauses everything.
 * THREADS   covers, all: any. follow: the keeper's thread. The jobs: by keeper_run().
 * OWNERSHIP pause_free().
 * ERRORS    NO_MEMORY, LIMIT (more keys than PAUSE_KEYS_MAX), those of state_commit().
 * SECRETS   None.
 *
 * Formats: docs/formats.md, "Records pause/all, pause/keys".
 */
#ifndef CORE_PAUSE_H
#define CORE_PAUSE_H

#include <stdbool.h>

#include "state/store.h"
#include "wire/door_a.h"

struct pause;

CC_ERR pause_new(struct pause **ret_pause);
void pause_free(struct pause *pause); /* takes NULL */

/* Takes over what the state store says now. */
void pause_follow(struct pause *pause, const struct state_store *state);
bool pause_covers(struct pause *pause, const struct eth_pubkey *pubkey);
/* This key is paused by its name. */
bool pause_names(struct pause *pause, const struct eth_pubkey *pubkey);
bool pause_all(struct pause *pause);

/* A change of the records, for keeper_run(): keys, or with `count` 0 all. */
struct pause_change {
    bool pause; /* else resume */
    const struct eth_pubkey *keys;
    size_t count;
    bool changed[A_KEYS_MAX]; /* written: which of them were not so before; the first one for all */
};
cc_err pause_job(void *context, struct state_store *state, const struct state_signer *signer);

/* --- the record of keys as bytes (exported for tests and fuzzers) ------------------------------------------ */

struct pause_keys {
    uint32_t count;
    struct eth_pubkey keys[A_KEYS_PAUSED_MAX]; /* in order, each once */
};

enum {
    PAUSE_ALL_SIZE = 4,
    PAUSE_KEYS_HEAD = 8,
    PAUSE_KEYS_MAX = PAUSE_KEYS_HEAD + A_KEYS_PAUSED_MAX * 48 /* bytes */
};

/* Writes at most PAUSE_KEYS_MAX bytes; returns how many. */
size_t pause_keys_encode(const struct pause_keys *keys, uint8_t *ret_bytes);
CC_ERR pause_keys_decode(struct span bytes, struct pause_keys *ret_keys);

#endif
