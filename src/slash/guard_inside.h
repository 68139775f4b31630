/* slash/guard_inside.h - the inside of the guard, shared by its files.
 *
 * WHAT      The open guard; comparing keys with the history (guard_compare.c), time lines (guard_timeline.c).
 * PROMISE   As slash/guard.h.
 * THREADS   One thread.   OWNERSHIP slash_store_close().   ERRORS As guard.h.   SECRETS The key of the mirror's MACs.
 */
#ifndef SLASH_GUARD_INSIDE_H
#define SLASH_GUARD_INSIDE_H

#include "slash/guard.h"
#include "slash/mirror.h"

/* Keys in the order of their bytes, or of coming. */
struct guard_keys {
    struct eth_pubkey *items;
    size_t count, room;
};

/* A walk over all keys, of mirror and history, in order of public key. */
struct guard_pass {
    struct guard_keys keys; /* the mirror's, sorted, as they were when the pass began */
    size_t at;
    struct eth_pubkey after; /* of the history: the last one that was seen */
    bool began;              /* `after` says something */
    bool over;
    uint64_t kept;       /* records that a mirror needs */
    struct mirror *next; /* a shorter mirror that is made on the way; NULL: none */
    uint64_t from;       /* what `next` has yet to take over */
    uint64_t synced;     /* bytes of `next` that are on the disk */
    struct slash_verify_report report;
};

struct guard {
    struct slash_store base;
    struct slash_store *inner;
    struct mirror_settings settings;
    struct slash_identity
        identity; /* that `settings` point to: the store's own may learn a genesis root */
    char *path;
    uint8_t key[MIRROR_KEY_SIZE];
    uint8_t replica[SLASH_REPLICA_SIZE];
    bool automatic;
    bool mirror_lost; /* there was none, though there should have been */
    enum slash_guard_timeline on_new_timeline;
    bool has_ceiling;
    uint64_t ceiling;
    uint64_t slots_per_epoch;
    struct mirror *mirror;
    struct mirror_records records; /* reused by every reader */
    bool trusted;                  /* this process has read the mirror a moment ago */
    struct guard_keys refused;     /* until they are repaired */
    uint64_t repair_epoch;         /* what repair-watermark must be given for them at least */
    struct guard_pass verify;      /* asked for by slash_verify() */
    struct guard_pass compact;     /* of a mirror that grew too long */
    uint64_t compact_above;        /* bytes of the mirror at which the next one begins */
    uint64_t synced_ms;
    bool settling; /* a time line is compared, and others are waited for */
    uint64_t settling_since_ms;
};

struct guard *guard_of(struct slash_store *store);
/* A mirror that can be read and written; opened again when it was stale. */
CC_ERR guard_ready(struct guard *g);

CC_ERR guard_keys_add(struct guard_keys *keys, const struct eth_pubkey *pubkey);
bool guard_keys_have(const struct guard_keys *keys, const struct eth_pubkey *pubkey);
void guard_keys_remove(struct guard_keys *keys, const struct eth_pubkey *pubkey);
void guard_keys_release(struct guard_keys *keys);

/* --- comparing (guard_compare.c) ------------------------------------------------------------------------------------ */

/* What one key lacks. */
struct guard_difference {
    struct eth_pubkey pubkey;
    uint64_t records; /* that were compared */
    uint64_t kept;    /* those that a mirror needs */
    uint64_t missing, changed;
    bool lowered;                 /* its low watermark went down */
    struct slash_watermark floor; /* beyond everything that either of them holds */
};
static inline bool guard_differs(const struct guard_difference *d)
{
    return d->missing || d->changed || d->lowered;
}

/* Begins. With a `next` that is then set, the records that a mirror needs are copied there. */
CC_ERR guard_pass_begin(struct guard *g, struct guard_pass *pass);
/* The next keys, `max` of the history's at most. What differs is named in the log and dealt with: floors rise where
 * `automatic`, else the key is refused from now on. */
CC_ERR guard_pass_step(struct guard *g, struct guard_pass *pass, size_t max, bool automatic);
void guard_pass_end(struct guard_pass *pass);
/* One key alone; *ret_differs tells that it did. */
CC_ERR guard_compare_key(struct guard *g,
                         const struct eth_pubkey *pubkey,
                         bool automatic,
                         bool *ret_differs);

/* Names a key that the history has let pass what it should not; refuses it unless it may go on. */
CC_ERR guard_alarm(struct guard *g, const struct eth_pubkey *pubkey, bool goes_on);

/* --- time lines (guard_timeline.c) ---------------------------------------------------------------------------------- */

/* After `err`: true when it was TIMELINE, and is settled now: do it again. Else *ret_err is what to answer. */
bool guard_settled(struct guard *g, cc_err err, cc_err *ret_err);
/* Raises every floor to the ceiling; TIMELINE where none is known. */
CC_ERR guard_raise_to_ceiling(struct guard *g);

#endif
