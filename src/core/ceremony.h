/* core/ceremony.h - how the master key is made, opened and changed: the core's part.
 *
 * WHAT      The thread that follows the records of kind `seal` (seal/record.h) and the vault: gives the vault the sets that are stored, asks the
 *           KMS keys, forgets what has expired, and carries a new set from its proposal to the end. What people bring (init, envelopes,
 *           proposals) runs on the same thread as jobs, one after the other.
 * PROMISE   Every change of the records is one compare-and-swap; what a crash leaves is where the next start, or another replica, goes on. Of
 *           two that do the same one is answered CONFLICT or SEAL_STATE. A new set is made only when the vault says that the quorum has
 *           approved it, or, where there are no operators, when the owner was shown at the admin socket (T1). Shares and approvals are
 *           forgotten after signer_state.unseal_timeout_minutes. A set that has no operators is never made for keys of KMS that
 *           signer_state.allowed_kms_key_arns does not name, but at init outside of an enclave. An image opens the chamber without operators
 *           only where they have approved it, while there is no latch, and by the KMS keys of tee.root alone (T25). A new master key is neither proposed nor put in force while there is
 *           a key store whose rows this replica could not seal anew.
 * THREADS   Own thread. changed: the keeper's. The jobs: any but the keeper's and this one; each waits for its end.
 * OWNERSHIP Borrows what its settings name until ceremony_stop() returns.
 * ERRORS    SEAL_STATE (with the state in the detail), CREDENTIAL, NOT_APPROVED, CONFLICT, BUSY, and those of keeper, vault and KMS.
 * SECRETS   Shares of the KMS layer pass through; wiped as soon as they are used (docs/secrets.md).
 */
#ifndef CORE_CEREMONY_H
#define CORE_CEREMONY_H

#include "config/config.h"
#include "core/audit.h"
#include "core/keeper.h"
#include "core/key_record.h"
#include "core/vault_question.h"
#include "seal/auto_record.h"
#include "seal/kms.h"
#include "seal/machine.h"

enum {
    CEREMONY_PATIENCE_MS = 8000, /* for a job's turn: the front gives up after 10 s */
    CEREMONY_KEEPER_MS = 5000,
    CEREMONY_CHALLENGE_MS =
        1000, /* the same for a challenge: anybody can ask for one, and others wait behind it */
    CEREMONY_RETRY_MS = 1000,      /* of what failed for no fault of a person; doubled each time */
    CEREMONY_RETRY_MAX_MS = 15000, /* no longer does a chamber wait for KMS that is back */
    CEREMONY_LEASE_MS = 60000,     /* a replica that is silent so long is waited for no more */
    CEREMONY_GRACE_MS =
        5000 /* that others have to find a set that is ready; three looks where those take longer */
};

/* What the ceremony asks of others, on its own thread; each may block. */
struct ceremony_vault {
    cc_err (*ask)(void *context, const struct vault_asking *asking);
    void *context;
};

/* KMS. Share i is that of keys[i]. */
struct ceremony_kms {
    /* Fills the ciphertexts of all keys, and says what they open to, or fails. */
    cc_err (*wrap)(void *context,
                   const struct seal_set *set,
                   struct seal_kms_key *keys,
                   const uint8_t (*shares)[SEAL_SHARE_SIZE],
                   struct seal_opened *ret_opened);
    /* Opens what it can; ret_errors[i] is an enum error_code, 0 where ret_opened[i] is filled. */
    void (*unwrap)(void *context,
                   const struct seal_set *set,
                   const struct seal_kms_key *keys,
                   uint32_t ret_errors[static SEAL_KMS_MAX],
                   struct seal_opened *ret_opened);
    /* The same of shares that are no set's; ret_opened NULL: only another image could open them. */
    cc_err (*wrap_for)(void *context,
                       const struct seal_kms_sharing *sharing,
                       struct seal_kms_key *keys,
                       const uint8_t (*shares)[SEAL_SHARE_SIZE],
                       struct seal_opened *ret_opened);
    void (*unwrap_for)(void *context,
                       const struct seal_kms_sharing *sharing,
                       const struct seal_kms_key *keys,
                       uint32_t ret_errors[static SEAL_KMS_MAX],
                       struct seal_opened *ret_opened);
    void *context;
};

/* Rows of key stores. */
struct ceremony_rows {
    /* There is one, of whatever status. NULL: there is no key store. */
    bool (*any)(void *context);
    /* Seals rows of one generation under another, a batch at a time; done: as of *ret_seen. NULL: there is no key store, so it is done. */
    cc_err (*rewrite)(void *context,
                      uint32_t from_generation,
                      uint32_t to_generation,
                      bool *ret_done,
                      struct key_seen *ret_seen);
    /* This is a record of it. NULL: there is no key store. */
    key_record_is_own *is_own;
    void *context;
};

struct ceremony_events {
    /* The master key is open, or another one is. */
    void (*opened)(void *context, uint32_t generation);
    void (*closed)(void *context);
    /* An emergency seal is in force; and the quorum has just taken it away. */
    bool (*latched)(void *context);
    cc_err (*unlatch)(void *context);
    void *context;
};

struct ceremony_settings {
    const struct config *config;
    struct keeper *keeper;
    struct ceremony_vault vault;
    struct ceremony_kms kms; /* wrap NULL: there is no KMS here */
    struct ceremony_rows rows;
    struct ceremony_events events;
    struct audit *audit; /* NULL: nothing is written down */
    uint8_t chamber_id[32];
    uint8_t identity[32];
    uint8_t replica[SEAL_REPLICA_SIZE];
    bool by_image; /* the configuration allows auto-unseal, and this is which image: */
    struct seal_image image;
    uint64_t (*wall_ms)(void); /* NULL: the clock */
};

struct ceremony;

/* Two steps, since the keeper calls ceremony_changed() before its own start returns. */
CC_ERR ceremony_new(const struct ceremony_settings *settings, struct ceremony **ret_ceremony);
CC_ERR ceremony_start(struct ceremony *ceremony, struct keeper *keeper);
/* Ends the thread after what is under way; jobs that wait end with DOOR_CLOSED. Takes NULL. */
void ceremony_stop(struct ceremony *ceremony);
void ceremony_free(struct ceremony *ceremony); /* takes NULL */
/* What the state store holds now. */
void ceremony_changed(struct ceremony *ceremony, const struct state_store *state);
/* Looks again at what it can do: a latch has gone, rows have come. */
void ceremony_poke(struct ceremony *ceremony);

/* --- states (docs/sealing.md) --------------------------------------------------------------------------------------- */

enum seal_state ceremony_state(struct ceremony *ceremony);
/* The status as members of a JSON object, with a comma before each but the first: "state", ... */
CC_ERR ceremony_status(struct ceremony *ceremony, struct buf *out);

/* --- what people bring ------------------------------------------------------------------------------------------------- */

/* What somebody wants the next set to be. */
struct ceremony_wish {
    uint32_t kind;      /* enum seal_kind */
    uint32_t mode;      /* enum seal_mode; KIND_INIT, KIND_MODE */
    bool has_kms;       /* keys and threshold were given */
    bool has_operators; /* the same */
    struct seal_proposal
        proposal; /* thresholds, counts, operators, break_glass; the rest is made here */
    struct seal_kms_key keys[SEAL_KMS_MAX];
    char by[SEAL_PROPOSER_SIZE]; /* a principal */
};

struct ceremony_step {
    enum seal_state state;
    uint32_t have;
    uint32_t needed;
    bool done; /* of a rehearsal */
    const char
        *approves; /* "proposal", "cancellation", "image" or "other"; NULL: it was no approval */
};

struct ceremony_envelope {
    uint32_t purpose; /* enum seal_purpose */
    char name[SEAL_NAME_SIZE];
    uint8_t digest[32];
    uint32_t len;
    uint8_t box[SEAL_ENVELOPE_MAX];
};

/* Makes the first set; appends what there is to give to people, as ceremony_tokens() does. */
CC_ERR
ceremony_init(struct ceremony *ceremony, const struct ceremony_wish *wish, struct buf *answer);
/* Stores a proposal; appends it (SealRotation of docs/openapi.yaml). */
CC_ERR
ceremony_propose(struct ceremony *ceremony, const struct ceremony_wish *wish, struct buf *answer);
/* Stores what the operators are asked to approve, in the place of what they were asked before: that this image opens the chamber without them.
 * Appends it (ImageProposal of docs/openapi.yaml).
 */
CC_ERR ceremony_propose_image(struct ceremony *ceremony,
                              const struct seal_image *image,
                              const char *by,
                              struct buf *answer);
/* From now on the image with this PCR0 opens nothing by itself, and is not proposed either. NAME_UNKNOWN: it does and is neither. */
CC_ERR ceremony_remove_image(struct ceremony *ceremony,
                             const uint8_t pcr0[static SEAL_PCR_SIZE],
                             const char *by);
/* Appends registration tokens that are not spent, and break-glass files that this process has made: of the set that is staged, or else of the
 * present one.
 */
CC_ERR ceremony_tokens(struct ceremony *ceremony, struct buf *answer);
/* The owner of the chamber approves a proposal, where there are no operators who could. */
CC_ERR ceremony_owner_approves(struct ceremony *ceremony,
                               const uint8_t digest[static 32],
                               struct ceremony_step *ret_step);
CC_ERR ceremony_give_challenge(struct ceremony *ceremony,
                               const char *name,
                               uint32_t purpose,
                               struct seal_challenge *ret_challenge);
CC_ERR ceremony_bring(struct ceremony *ceremony,
                      const struct ceremony_envelope *envelope,
                      struct ceremony_step *ret_step);
/* `by`: who asks; NULL: the owner. */
CC_ERR ceremony_cancel(struct ceremony *ceremony, const char *by, struct ceremony_step *ret_step);
/* CC_OK when the quorum has approved this digest. */
CC_ERR ceremony_is_approved(struct ceremony *ceremony, const uint8_t digest[static 32]);
/* The digest that is approved for a new management key. */
void ceremony_manager_digest(const struct ceremony *ceremony,
                             const uint8_t public_key[static 32],
                             uint8_t ret_digest[static 32]);
/* What was approved is done: it is good for nothing more. */
void ceremony_forget_approval(struct ceremony *ceremony);
/* CC_OK where `operator init` may be. */
CC_ERR ceremony_may_init(struct ceremony *ceremony);
/* CC_OK where no quorum would be asked: modes local and kms, or no set at all. */
CC_ERR ceremony_is_owners(struct ceremony *ceremony);

#endif
