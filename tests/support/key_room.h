/* support/key_room.h - work on keys at door A of a core_room: the test plays the front that asks. */
#ifndef SUPPORT_KEY_ROOM_H
#define SUPPORT_KEY_ROOM_H

#include "support/core_room.h"

/* A keystore of key `n` (test_secret), with next to no cost; it names its public key, and test_pubkey(n) knows it. */
struct k_keystore test_keystore(unsigned n);

/* An ask with the owner as its caller and the key manager's scope. */
struct a_keys keys_ask(enum a_keys_verb verb);
/* An ask to import keys first..last. */
struct a_keys keys_import(unsigned first, unsigned last);
/* The first step of an import that brings slashing-protection data; `flags` beside KEYS_HOLD. */
struct a_keys keys_hold(unsigned first, unsigned last, uint32_t flags);
/* An ask about the public keys of first..last. */
struct a_keys keys_about(enum a_keys_verb verb, unsigned first, unsigned last);

/* Sends it, and receives what answers it: DOOR_CLOSED when the core is gone. A_DENIED fills only head.error. */
cc_err keys_try(struct core_room *room, const struct a_keys *ask, struct a_keys_done *ret_done);
struct a_keys_done keys_do(struct core_room *room, const struct a_keys *ask);
/* Does it and asserts the outcome of each item. */
void keys_expect(struct core_room *room, const struct a_keys *ask, enum a_key_outcome outcome);
/* Sends data of first..last: each has voted for `target`. How many validators were merged. */
uint64_t keys_merge(struct core_room *room, unsigned first, unsigned last, uint64_t target);
/* All three steps of an import with such data. */
void keys_import_with_data(struct core_room *room, unsigned first, unsigned last, uint64_t target);
/* The item of key `n` in a list of all, or one with source 0. */
struct a_key_item keys_listed(struct core_room *room, unsigned n);
/* Asks until the key is listed with that status. */
void keys_await(struct core_room *room, unsigned n, enum a_key_status status);

#endif
