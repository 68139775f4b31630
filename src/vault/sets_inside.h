/* vault/sets_inside.h - what the files about sets share.
 *
 * WHAT      The sets that are held, and the secrets that go with each.
 * PROMISE   As vault/sets.h; functions here want the caller to hold sets.lock.
 * THREADS   Under sets.lock.
 * OWNERSHIP sets_new() maps the secrets' region, sets_free() wipes and unmaps it.
 * ERRORS    As vault/sets.h.
 * SECRETS   struct set_secrets.
 */
#ifndef VAULT_SETS_INSIDE_H
#define VAULT_SETS_INSIDE_H

#include <pthread.h>

#include "vault/set.h"
#include "vault/sets.h"

struct collected {
    uint32_t count;
    uint64_t began_ms;
    struct shamir_share shares[SHAMIR_SHARES_MAX];
};

/* Of one set, for as long as it is held. */
struct held_secrets {
    uint32_t has_kms; /* the wrapping key is at hand */
    struct secret32 kms;
    struct collected kms_shares;
    struct collected break_glass; /* of the wrapping key, too */
};

/* Between B_SET_MAKE and the B_SET_OPEN that says that it is stored. */
struct making {
    uint32_t kms_count;
    uint32_t break_glass_count;
    uint32_t token_count;
    struct shamir_share kms[SEAL_KMS_MAX];
    struct shamir_share break_glass[SEAL_BREAK_GLASS_MAX];
    struct secret32 tokens[SEAL_OPERATORS_MAX];
    struct seal_recipient operators[SEAL_OPERATORS_MAX];
    struct seal_recipient keepers[SEAL_BREAK_GLASS_MAX];
};

/* An auto-unseal blob and the shares of its key, between B_AUTO_MAKE and B_DROP_AUTO. */
struct image_making {
    uint32_t count; /* 0: there is none */
    uint64_t began_ms;
    uint8_t digest[32]; /* of the proposal that it was made for; zeros: it was renewed */
    struct seal_auto blob;
    struct shamir_share shares[SEAL_KMS_MAX];
};

enum {
    BALLOTS_MAX = 8
};

/* What a quorum is asked to approve. */
struct ballot {
    bool is;
    bool approved;
    bool used;     /* an auto-unseal blob was made of it: it is good for no other one */
    uint32_t have; /* operators who have */
    uint64_t began_ms;
    uint8_t digest[32];
    struct collected shares;
    struct secret32 unseal; /* once approved */
};

/* What operators have brought, towards the present set. */
struct pending {
    struct collected unseal;
    struct collected rehearsal;
    bool rehearsed;
    uint32_t latest; /* the ballot that was heard of last */
    struct ballot ballots[BALLOTS_MAX];
};

/* X25519, of this vault, for some time. */
struct box_key {
    bool is;
    uint64_t until_ms; /* of use, or of use as the one before */
    uint8_t public_key[32];
    struct secret32 secret_key;
};

struct set_secrets {
    struct held_secrets of[2]; /* by enum b_set_which */
    struct making making;
    struct pending pending;
    struct image_making by_image;
    struct collected image_shares; /* towards the key of image_blob */
    struct box_key box;            /* the one that challenges name now */
    struct box_key box_past;       /* and the one before, as long as its challenges count */
    bool has_nonce_key;
    struct secret32 nonce_key; /* whose MAC makes a nonce this vault's */
};

enum {
    CHALLENGE_LIFE_MS = 5 * 60 * 1000,
    BOX_LIFE_MS = 60 * 60 * 1000,
    /* The core drops what waits for a quorum after signer_state.unseal_timeout_minutes; this is for a core that does not. */
    PENDING_LIFE_MS = 25 * 60 * 60 * 1000,
    USED_MAX = 256
};

/* An operator's entry before the present one, for challenges that were given with it. */
struct past_entry {
    uint64_t until_ms; /* 0: there is none */
    struct seal_operator entry;
};

struct used_nonce {
    uint64_t until_ms;
    uint8_t nonce[SEAL_NONCE_SIZE];
};

struct held_set {
    bool is;
    bool made_here; /* by this life, for its quorum, and held since */
    struct seal_set set;
};

/* Auto-unseal blobs of the set before may be made anew for the present one, which this life has made in its place. */
struct renewals {
    bool are;
    uint64_t began_ms;
    uint8_t from[32]; /* the fingerprint of the set before */
};

struct sets {
    pthread_mutex_t lock; /* guards all below */
    struct chamber *chamber;
    struct master *master;
    bool sealed;
    bool
        by_ceremony; /* a chamber may get its first set, or one after that of mode local, while it serves */
    bool by_image; /* one that operators open may be opened by an image that they have approved */
    bool has_image_blob;
    struct seal_auto image_blob; /* whose shares are awaited */
    struct held_set held[2];     /* by enum b_set_which */
    struct renewals renewals;
    struct past_entry past[SEAL_OPERATORS_MAX];
    struct used_nonce used[USED_MAX];
    struct set_secrets *secrets;
};

static inline size_t set_index(enum b_set_which which)
{
    return which == B_SET_PRESENT ? 0 : 1;
}

void sets_lock(struct sets *sets);
void sets_unlock(struct sets *sets);
/* The ballot that has approved this digest; NULL: none has. */
const struct ballot *sets_approval(const struct sets *sets, const uint8_t digest[static 32]);
/* Its own layers may open its master key. A staged set that follows another is opened over the bridge alone: the bridge is what shows
 * that it was made from that one, and by whose will. */
bool sets_opens_itself(const struct sets *sets, enum b_set_which which);
void sets_drop_one(struct sets *sets, enum b_set_which which);
void sets_forget_making(struct sets *sets);
void sets_forget_pending(struct sets *sets);
/* An approval is used up: a blob of another key takes another one. */
void sets_use_approval(struct sets *sets, const uint8_t digest[static 32]);
/* The auto-unseal blob that was made, with its shares. */
void sets_forget_made_image(struct sets *sets);
/* Shares of an auto-unseal blob's key that KMS keys have opened, and which blob they were for. */
void sets_forget_given_image(struct sets *sets);
/* Both, the approval of what was made, and the right to renew. */
void sets_end_images(struct sets *sets);
/* Wipes keys and pending shares that have expired. */
void sets_expire(struct sets *sets, uint64_t now_ms);
/* Adds a share; one that is there already changes nothing. */
void sets_collect(struct collected *collected, const struct shamir_share *share, uint64_t now_ms);
/* `count` of them give the wrapping key: it is kept, and opens the master key in mode kms. */
CC_ERR sets_open_wrapping(struct sets *sets,
                          enum b_set_which which,
                          const uint8_t chamber_id[static 32],
                          struct collected *collected);
/* A staged set that takes the present one's KMS layer over has its wrapping key with it. */
void sets_share_wrapping(struct sets *sets, const uint8_t chamber_id[static 32]);
/* Fills all but id and error. */
void sets_tell(struct sets *sets, struct b_seal_state *ret_state);
/* The caller wipes *ret_owner, also after an error. */
CC_ERR sets_owner(struct sets *sets, struct set_owner *ret_owner);
/* Puts the master key of a held set in place: it must be the one that the set names. */
CC_ERR sets_put_master(struct sets *sets,
                       enum b_set_which which,
                       const uint8_t chamber_id[static 32],
                       const uint8_t master_key[static 32]);

#endif
