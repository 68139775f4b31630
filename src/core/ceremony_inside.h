/* core/ceremony_inside.h - what the files of the ceremony share: ceremony.c (its life, its thread, its jobs), ceremony_vault.c (questions to the
 * vault), ceremony_records.c (records, and their changes), ceremony_drive.c (what is done by itself), ceremony_image.c and
 * ceremony_image_records.c (auto-unseal), ceremony_stage.c (a set is made), ceremony_glass.c (what it gives people), ceremony_jobs.c and ceremony_wish.c (what people bring), ceremony_status.c (what is told).
 *
 * WHAT      The struct behind core/ceremony.h.
 * PROMISE   As there.
 * THREADS   What stands below the lock is guarded by it; the rest is the thread's own, and constant what the settings say.
 * OWNERSHIP struct ceremony owns all; texts and records are on the heap.
 * ERRORS    As there.
 * SECRETS   Break-glass files: encrypted to people.
 */
#ifndef CORE_CEREMONY_INSIDE_H
#define CORE_CEREMONY_INSIDE_H

#include <pthread.h>

#include "core/ceremony.h"
#include "wire/door_b.h"

enum {
    CEREMONY_REPLICAS_MAX = 32,
    CEREMONY_APPROVED_MAX = 8, /* as many as the vault counts at a time */
    CEREMONY_GLASS_MAX =
        2, /* of sets that were made here, stored or not: see core/ceremony_glass.c */
    CEREMONY_IMAGES_MAX = 8,    /* that may open the chamber by themselves */
    CEREMONY_TEXT_MAX = 1 << 17 /* of an answer */
};

/* Record `auto/<image>`. */
struct ceremony_image {
    uint64_t version;
    struct auto_record record;
};

/* The records as the state store has them. */
struct ceremony_records {
    uint64_t current_version; /* 0: there is none */
    uint64_t next_version;
    bool bad; /* one of them can't be read */
    struct seal_current current;
    struct seal_next next;
    uint32_t image_count;
    struct ceremony_image images[CEREMONY_IMAGES_MAX];
    uint64_t image_proposed_version; /* 0: there is none */
    struct auto_proposed image_proposed;
    uint32_t replica_count;
    struct seal_replica replicas[CEREMONY_REPLICAS_MAX];
};

/* A set, as one vault was given it. */
struct ceremony_given {
    bool there;
    uint64_t number;
    uint8_t fingerprint[32];
};

struct ceremony_job {
    cc_err (*run)(struct ceremony *ceremony, void *context);
    void *context;
    cc_err result;
    bool begun;
    bool ended;
    const char *detail; /* of an error: static, as all of them are */
    struct ceremony_job *next;
};

/* Of what is tried again. */
struct ceremony_retry {
    uint64_t at_ns; /* not before; 0: at once */
    uint32_t pause_ms;
};

struct ceremony_kms_state {
    bool asked;
    uint32_t error; /* 0: it has opened its share */
};

/* Break-glass files of one set. */
struct ceremony_glass {
    struct seal_shares shares; /* which set: its commitments; count 0: none */
    struct seal_recipient recipients[SEAL_BREAK_GLASS_MAX];
    struct buf texts[SEAL_BREAK_GLASS_MAX];
};

/* What is told: copied from the thread's own after each round. */
struct ceremony_shown {
    struct ceremony_records records;
    struct b_seal_state vault;
    struct ceremony_kms_state kms[SEAL_KMS_MAX];
    enum seal_state state;
    bool latched;
    bool fault;
};

/* Messages to and from the vault, too large for a stack. */
struct ceremony_messages {
    struct b_set set;
    struct b_set_make make;
    struct b_enveloped enveloped;
    struct b_envelope envelope;
    struct b_text text;
    struct b_auto_make image_make;
    struct b_auto image;
};

struct ceremony {
    struct ceremony_settings settings;
    pthread_t thread;
    bool runs;

    /* the thread's own */
    struct ceremony_records *records;
    struct ceremony_messages *messages;
    struct b_seal_state vault; /* as it said last */
    struct ceremony_given present;
    struct ceremony_given staged;
    uint32_t
        approved_count; /* digests that the quorum has approved, as the vault said when its last vote came */
    uint8_t approved[CEREMONY_APPROVED_MAX][32];
    bool init_awaited; /* the set that is staged is the first one: it begins closed */
    uint8_t init_fingerprint[32];
    bool was_open;
    uint32_t was_generation;
    struct ceremony_retry kms_retry, staged_kms_retry, make_retry, give_retry, rows_retry,
        latch_retry, image_retry, image_make_retry, shown_retry;
    struct ceremony_kms_state kms[SEAL_KMS_MAX];
    uint8_t kms_tried
        [32]; /* fingerprint of the set whose shares went to the KMS keys and back here, when it was made */
    const char *image_told; /* why no image has opened it; static */
    bool images_owed; /* the vault may hold an image's blob that was made, or still renew some */
    uint32_t images_lapsed; /* of this generation no more approvals are taken over; 0: of none */
    bool kms_wanted;        /* while latched: somebody unseals */
    bool kms_by_keys;  /* the KMS layer, where it is open: by KMS keys, as far as is known here */
    uint64_t shown_ms; /* wall; see ceremony_shown_now(); 0: the state store has it */
    uint64_t pending_until_ms;   /* monotonic; 0: nothing is pending */
    uint64_t ready_since_ms;     /* monotonic; of the set below */
    bool goes_on;                /* there is another batch of rows */
    uint64_t rewriting_since_ms; /* monotonic; 0: not yet */
    uint8_t ready_fingerprint[32];
    uint64_t lease_until_ms; /* wall; of our own record; 0: there is none */
    struct seal_replica lease;
    struct ceremony_glass glass[CEREMONY_GLASS_MAX]; /* the newest first */

    pthread_mutex_t lock; /* guards all below; a leaf, and not held over I/O */
    pthread_cond_t news;
    struct ceremony_records *incoming; /* NULL: nothing new */
    struct ceremony_shown *shown;
    struct ceremony_job *jobs;
    unsigned waiters;
    bool poked;
    bool stopping;
};

uint64_t ceremony_wall_ms(const struct ceremony *c);
bool ceremony_due(const struct ceremony_retry *retry);
void ceremony_put_off(struct ceremony_retry *retry);
/* Takes what the keeper has brought; true: something is new. */
bool ceremony_take_incoming(struct ceremony *c);
void ceremony_show(struct ceremony *c);
bool ceremony_latched(const struct ceremony *c);
/* Runs on the thread, and waits for the end; the error's detail comes back too. BUSY, DOOR_CLOSED. */
CC_ERR ceremony_run(struct ceremony *c, cc_err (*run)(struct ceremony *, void *), void *context);
/* The same with another patience. */
CC_ERR ceremony_run_within(struct ceremony *c,
                           uint32_t patience_ms,
                           cc_err (*run)(struct ceremony *, void *),
                           void *context);
/* Writes an event of a ceremony into the audit log; a result that can't be written down is AUDIT. */
cc_err ceremony_write_down(
    struct ceremony *c, const char *operation, const char *subject, const char *by, cc_err err);

/* --- core/ceremony_vault.c: each keeps what the vault says of its state ---------------------------------------------------- */

CC_ERR ceremony_give(struct ceremony *c, enum b_set_which which, const struct seal_set *set);
CC_ERR ceremony_drop(struct ceremony *c, enum b_drop what);
CC_ERR ceremony_unwrap_share(struct ceremony *c,
                             enum b_set_which which,
                             uint32_t index,
                             const struct seal_opened *opened);
/* The set is messages->set. */
CC_ERR ceremony_make_set(struct ceremony *c, const struct seal_proposal *proposal);
CC_ERR
ceremony_kms_share(struct ceremony *c, uint32_t index, uint8_t ret_share[static SEAL_SHARE_SIZE]);
/* The text is messages->text. */
CC_ERR ceremony_text(struct ceremony *c, enum b_set_part_kind kind, uint32_t index);
/* What it says, with a set where that has changed, is messages->enveloped. */
CC_ERR ceremony_send_envelope(struct ceremony *c,
                              const struct ceremony_envelope *envelope,
                              enum b_set_which which);

/* The blob is messages->image. */
CC_ERR ceremony_make_image(struct ceremony *c, const struct b_auto_make *make);
CC_ERR
ceremony_image_share(struct ceremony *c, uint32_t index, uint8_t ret_share[static SEAL_SHARE_SIZE]);
CC_ERR ceremony_give_image(struct ceremony *c, const struct seal_auto *blob);

bool ceremony_has_approved(const struct ceremony *c, const uint8_t digest[static 32]);
/* The vault takes it for no approval any more. */
void ceremony_unapprove(struct ceremony *c, const uint8_t digest[static 32]);

/* --- core/ceremony_records.c ------------------------------------------------------------------------------------------------ */

bool ceremony_has_current(const struct ceremony *c);
bool ceremony_has_next(const struct ceremony *c);
/* There is a staged set. */
bool ceremony_has_staged(const struct ceremony *c);
/* Of the replicas' records, those that have not expired by `now` (wall clock, ms). */
CC_ERR ceremony_read_records(const struct state_store *state,
                             uint64_t now,
                             struct ceremony_records *ret_records);
/* One compare-and-swap against the records as they are known; what the keeper brings is taken in before it returns. CONFLICT: another
 * was faster. NULL: that record stays; `drop_next`: it goes.
 */
CC_ERR ceremony_commit(struct ceremony *c,
                       const struct seal_current *current,
                       const struct seal_next *next,
                       bool drop_next);
/* The same, of the end of a ceremony. `seen`: the record of the key store whose rows were found to be of the new generation, which must
 * still be that one; NULL: none was looked at. SEAL_STATE: another key store has rows.
 */
CC_ERR ceremony_commit_end(struct ceremony *c,
                           const struct seal_current *current,
                           const struct key_seen *seen);
/* Reads them again from the state store, whatever is known of it. */
CC_ERR ceremony_look(struct ceremony *c);
CC_ERR ceremony_put_lease(struct ceremony *c, const struct seal_replica *lease);
CC_ERR ceremony_drop_lease(struct ceremony *c);

/* --- core/ceremony_drive.c ------------------------------------------------------------------------------------------------- */

/* Does what there is to do until nothing is left; returns when to look again (monotonic ns; 0: at the next news). */
uint64_t ceremony_drive(struct ceremony *c);
/* Stores what ceremony_shown_now() has noted, and may wait for the state store; returns when to look again, `at_ns` or earlier. */
uint64_t ceremony_note_shown(struct ceremony *c, uint64_t at_ns);
/* Makes the set of the proposal in the record, and stages it. */
CC_ERR ceremony_stage(struct ceremony *c);
/* The same of a proposal that is in no record yet. */
CC_ERR ceremony_stage_next(struct ceremony *c, struct seal_next *next);
/* DENIED: no operator decides, and this machine's configuration does not name the KMS keys. */
CC_ERR ceremony_check_arns(const struct ceremony *c, const struct seal_next *next);
/* The quorum has approved that what is proposed goes, and it is still there. */
bool ceremony_is_cancelled(const struct ceremony *c);
/* It goes; SEAL_STATE where it can't any more. `by`: for the log. */
CC_ERR ceremony_remove_next(struct ceremony *c, const char *by);
/* SEAL_STATE, with the state as its detail. */
cc_err ceremony_wrong_state(const struct ceremony *c);
/* Shares that were opened are forgotten, in a while. */
void ceremony_note_pending(struct ceremony *c);
/* The vault has this revision of the set. */
bool ceremony_is_given(const struct ceremony_given *given, const struct seal_set *set);
enum seal_state ceremony_state_now(const struct ceremony *c);
/* Asks the KMS keys that have not opened their shares yet. */
void ceremony_unwrap(struct ceremony *c);
/* Asks all of them whether they still would, and forgets what they open: the status has their answers. False: too few would. */
bool ceremony_rehearse_kms(struct ceremony *c);
bool ceremony_all_registered(const struct seal_set *set);
/* The operators have shown that they can unseal, or begin to be who can: core/rehearsal.h has it from the next round on. */
void ceremony_shown_now(struct ceremony *c);

/* --- core/ceremony_image.c -------------------------------------------------------------------------------------------------- */

/* The image's blob opens the master key, where there is one for this set. True: it has. */
bool ceremony_image_opens(struct ceremony *c);
/* What is approved is made; what is of the generation before is made anew; what nobody may use any more goes. True: something has changed. */
bool ceremony_image_advances(struct ceremony *c);
/* Of the image that is proposed. */
bool ceremony_is_image_digest(const struct ceremony *c, const uint8_t digest[static 32]);
/* The members of ChamberStatus.auto_unseal, in an object. */
CC_ERR ceremony_append_images(const struct ceremony *c,
                              const struct ceremony_shown *shown,
                              struct buf *out);
CC_ERR ceremony_append_image_proposal(const struct ceremony_shown *shown, struct buf *out);

/* --- core/ceremony_image_records.c ------------------------------------------------------------------------------------------ */

void ceremony_read_images(const struct state_store *state, struct ceremony_records *records);
/* One compare-and-swap against the records as they are known, while there is no latch; CONFLICT: another was faster. NULL: it stays. */
struct ceremony_image_change {
    const struct auto_record *record;     /* is written */
    const struct auto_proposed *proposed; /* the same */
    const struct seal_image *removed;     /* its record goes */
    bool drop_proposed;
};
CC_ERR ceremony_commit_image(struct ceremony *c, const struct ceremony_image_change *change);
/* All that there are, read or not. */
CC_ERR ceremony_drop_images(struct ceremony *c);

/* --- core/ceremony_glass.c -------------------------------------------------------------------------------------------------- */

void ceremony_glass_init(struct ceremony *c);
void ceremony_glass_release(struct ceremony *c);
/* Those of the set that the vault has just made. */
CC_ERR ceremony_glass_take(struct ceremony *c, const struct seal_next *next);
/* The set that was made last is not the one that is stored. */
void ceremony_glass_drop(struct ceremony *c, const struct seal_set *set);
/* NULL: they were not made here, or in another life of this room. */
const struct ceremony_glass *ceremony_glass_of(const struct ceremony *c,
                                               const struct seal_set *set);

/* --- core/ceremony_status.c -------------------------------------------------------------------------------------------------- */

CC_ERR ceremony_append_rotation(const struct ceremony_shown *shown, struct buf *out);
/* Of the staged set; where there is none, of the present one: that has break-glass files alone. */
CC_ERR ceremony_append_tokens(struct ceremony *c, struct buf *out);

#endif
