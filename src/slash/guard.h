/* slash/guard.h - a history that can't silently be the wrong one.
 *
 * WHAT      A slash_store around another: compares it with this replica's mirror (slash/mirror.h), wholly when it is opened
 *           and whenever asked, and for each claim as far as that claim needs.
 * PROMISE   No verdict of this store that may sign contradicts a record that this replica has signed before, whatever was
 *           done to the store inside: rows removed or changed, tables swapped, an older copy put back, a database that
 *           failed over. What is found is named in the log; watermarks only rise.
 * THREADS   As slash/store.h.
 * OWNERSHIP slash_store_close() closes the store inside too. slash_guard_open() takes it over, also when it fails.
 * ERRORS    The store's own; TAMPERED (records are missing or changed, and only a person can say why; the mirror was
 *           changed), TIMELINE (a database that failed over and can't be followed, or not yet), IO (the mirror can't be
 *           written: nothing is signed).
 * SECRETS   A copy of the key of the mirror's MACs, wiped when it is closed (docs/secrets.md).
 *
 * Why a verdict that may sign can't contradict the mirror. After the store inside has committed a batch, each SAFE or REPEAT
 * in it is judged once more, by slash/rules.h against the records of the mirror, in the order of the claims; a claim is
 * released only where that says SAFE or REPEAT too. So it stands beside every record of the mirror without being slashable,
 * and the store inside need not be believed. It costs no reading for the usual claim, since one beyond the newest record
 * needs only that (slash_key_covers_...), which is in memory. What is released enters the mirror first: the frame is
 * written, though not synced, before the verdicts are handed out, and later claims of the same batch see it. Records leave
 * the mirror only when the history has pruned them and lie at or below the key's low watermark, which stays: a later claim
 * there is refused by it, and so is a REPEAT that only an inserted row could have caused. What the mirror can't know - what
 * other replicas and other programs signed - is the store's to keep.
 */
#ifndef SLASH_GUARD_H
#define SLASH_GUARD_H

#include "slash/store.h"

/* What is done about a database that failed over (behaviour 7, on_new_timeline). */
enum slash_guard_timeline {
    SLASH_TIMELINE_VERIFY, /* compare; raise the floors of what was lost */
    SLASH_TIMELINE_RAISE,  /* raise all floors to the ceiling */
    SLASH_TIMELINE_REFUSE
};

struct slash_guard_options {
    const char *path;                    /* of the mirror */
    const uint8_t *key;                  /* MIRROR_KEY_SIZE bytes */
    uint8_t replica[SLASH_REPLICA_SIZE]; /* for a mirror that is made: slash_guard_replica() */
    bool
        fresh; /* a data directory that joins others: no mirror may be there, and that none is means nothing */
    bool
        automatic; /* others write here too: what is missing or changed raises floors and alarms, and signing goes on */
    enum slash_guard_timeline on_new_timeline;
    bool has_ceiling; /* the history was used: a mirror that isn't there was lost */
    uint64_t ceiling;
    uint64_t slots_per_epoch;
};

/* The id of this data directory among those that share a history: the mirror's, or a new one where there is none. */
CC_ERR slash_guard_replica(const char *path, uint8_t ret_id[static SLASH_REPLICA_SIZE]);
CC_ERR slash_guard_open(struct slash_store *inner,
                        const struct slash_guard_options *options,
                        struct slash_store **ret_store);
/* For repairing a history that isn't guarded: makes rows, with `floor`, for keys that the mirror knows and the history has
 * lost. Reads the mirror without its key: a row more only refuses more.
 */
CC_ERR slash_guard_restore_rows(struct slash_store *store,
                                const char *path,
                                const struct slash_watermark *floor);
/* The floor for "everything up to epoch `ceiling` may have been signed": no vote that was lost has a later source, and one
 * may have its source at its target (T9).
 */
struct slash_watermark slash_floor_of(uint64_t ceiling, uint64_t slots_per_epoch);

#endif
