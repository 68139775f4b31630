/* core/manage.h - administrative questions of the front, answered one after the other by a thread of their own.
 *
 * WHAT      A bounded queue of struct a_manage, a table of verbs, and the thread that works them off. What a verb does stands
 *           in a file of its own: core/manage_auth.c for policies, tokens and management keys.
 * PROMISE   Nothing is done before the table's `who` is satisfied, and that is decided here or, where a signature decides, in the same
 *           state commit as the change. What the front says of who is at a socket changes no access: a front that was captured can neither
 *           sign, nor write the file that shows an owner. Work never happens on the door's reader, and the reader never waits. Questions of the
 *           owner find a place in the queue however many others there are. Each question is answered once, unless its front is gone.
 * THREADS   Own thread; put: the reader of door A. manage.lock is a leaf and not held over I/O.
 * OWNERSHIP Borrows the parts of its settings until manage_stop() returns.
 * ERRORS    NO_MEMORY, SYSTEM at start; put: BUSY, PROTOCOL, NO_MEMORY.
 * SECRETS   The text of a new token, in an answer: wiped after it is sent (docs/secrets.md).
 */
#ifndef CORE_MANAGE_H
#define CORE_MANAGE_H

#include "config/config.h"
#include "core/audit.h"
#include "core/authority.h"
#include "core/front_link.h"
#include "core/keeper.h"

#define MANAGE_KEYS_KIND "auth" /* of the records of keys that sign requests */

struct seal;
struct manager;
struct managers;
struct manager_signature;
struct ceremony;
struct setup_token;
struct status_view;

enum {
    MANAGE_QUEUE_MAX = 32,
    MANAGE_QUEUE_OTHERS = 24, /* of anybody but the owner */
    MANAGE_QUEUE_SOURCE = 12, /* of those, from one address */
    MANAGE_PATIENCE_MS =
        2000, /* for the keeper: the front gives up after 10 s, and no change should come after that */
    MANAGE_LEARN_MS = 1000, /* from one look for a management key that is not known to the next */
    MANAGE_WAIT_MS = 4000,  /* in the queue */
    MANAGE_LATER_MAX = 64,  /* answers to wrong credentials that wait (T29) */
    MANAGE_USES_MAX = 64,   /* tokens whose last use is noted in one commit */
    MANAGE_USES_EVERY_S = 60,
    MANAGE_DETAIL_SIZE = A_MANAGED_DETAIL_MAX
};

struct manage_settings {
    struct front_link *link;
    struct keeper *keeper;
    struct authority *authority;
    const struct config *config;
    uint64_t (*wall_ms)(void); /* NULL: the clock */
    struct seal *seal;
    struct audit *audit;             /* NULL: nothing is written down */
    struct ceremony *ceremony;       /* NULL: this core has none, and its verbs are refused */
    struct setup_token *setup_token; /* the management thread's; with a ceremony */
    /* Fills in all of a view but `now`. NULL: this core has no status page. */
    void (*look)(void *context, struct status_view *ret_view);
    void *look_context;
};

struct manage;

CC_ERR manage_start(const struct manage_settings *settings, struct manage **ret_manage);
/* Ends after the question that is under way; those that wait are not answered. Takes NULL. */
void manage_stop(struct manage *manage);
/* Queues what the front of door `epoch` asks; copies it. PROTOCOL: malformed, the front is to be shut out. */
CC_ERR manage_put(struct manage *manage, uint32_t epoch, const struct a_manage *ask);

/* A verb with all that it has, within its bounds (exported for fuzzers). */
bool manage_is_well_formed(const struct a_manage *ask);

/* --- for the files with handlers ----------------------------------------------------------------------------------- */

enum manage_who {
    MANAGE_BY_ADMIN =
        1, /* the owner: at the admin socket, with what manage_owner_shows() wants, or by his key's signature */
    MANAGE_BY_KEY,       /* a management key's signature, newer than its last; nobody else */
    MANAGE_BY_READER,    /* a management key's signature, or who has the verb's scope */
    MANAGE_BY_SCOPE,     /* who has the verb's scope */
    MANAGE_BY_NEIGHBOUR, /* the same, or who comes to the metrics port from this machine */
    MANAGE_BY_CREDENTIAL /* whose body has what it takes: the handler looks, and says CREDENTIAL */
};

/* One question on its way. */
struct manage_call {
    const struct manage_settings *settings;
    const struct manage_verb *verb;
    const struct a_manage *ask;
    uint64_t now; /* seconds since 1970 */
    bool
        by_key; /* the caller is no one that may do this: a signature has to show it (manage_key_admit()) */
    bool by_owner; /* a key of auth.owner_keys has signed just this, now, and for the first time */
    struct auth_verdict verdict;
    struct managers *known; /* what manage_learn_keys() has found */
    /* the answer */
    int status;        /* 200 unless the handler says otherwise */
    struct buf answer; /* JSON */
    char detail[MANAGE_DETAIL_SIZE];
    char subject[A_NAME_MAX]; /* for the audit log, where the name is in the body; "": ask->name */
    bool delayed;             /* what was refused is answered later (core/manage_delay.h) */
};

typedef cc_err manage_handler(struct manage_call *call);

struct manage_verb {
    const char *name; /* "policy_put": log, audit */
    const char *method;
    const char *path; /* a name follows when `named` */
    bool named;
    bool has_body;
    enum manage_who who;
    enum auth_scope scope;
    manage_handler *handler;
};

/* NULL for a number that is no verb. */
const struct manage_verb *manage_verb_find(uint32_t verb);

/* "rules[2].keys: what is wrong" as the answer's detail. Nothing of the request's text may be in either. */
cc_err
manage_refuse(struct manage_call *call, enum error_code code, const char *place, const char *what);
/* keeper_run() with this module's patience. */
CC_ERR manage_run(struct manage_call *call, keeper_job *job, void *context);
bool manage_is_admin(const struct caller *caller);
/* By whichever of his ways: the socket is worth its file only. */
bool manage_is_owners(const struct manage_call *call);

/* --- core/manage_owner.c ------------------------------------------------------------------------------------------------ */

/* The owner of the data directory wants just this, now: `<data_dir>/auth.proof` is his, says `text`, and is not older than a
 * minute. So who can only speak to this room, as the front can, is not he. NOT_OWNER. CC_OK where his key has signed the request.
 */
CC_ERR manage_owner_shows(struct manage_call *call, const char *text);

/* --- core/manage_owner_key.c -------------------------------------------------------------------------------------------- */

/* Sets call->by_owner where the request came over TLS, and one of auth.owner_keys has signed it: method, path and body. What changes
 * something counts once, which is committed before this returns. CC_OK, and nothing set, for what is not the owner's, whatever the
 * reason; UNAUTHENTICATED, REPLAYED for what is his, and too old or not new.
 */
CC_ERR manage_admit_owner(struct manage_call *call);

/* --- core/manage_key.c: signatures ------------------------------------------------------------------------------------ */

CC_ERR manage_read_signature(const struct a_manage *ask, struct manager_signature *ret_signature);
/* Is it this key's, over this question? UNAUTHENTICATED. */
CC_ERR manage_verify(const struct manage_call *call,
                     const struct manager_signature *signature,
                     const uint8_t public_key[static 32]);
/* Of this minute, and newer than the key's last one. */
CC_ERR manage_check_time(struct manage_call *call, const struct manager *manager, uint64_t created);
/* In a keeper's job: a record of keys; none and version 0 where it is not there. TAMPERED. */
CC_ERR manage_read_keys(const struct state_store *state,
                        const char *name,
                        struct managers *ret_managers,
                        uint64_t *ret_version);

/* --- core/manage_key.c: in a keeper's job ----------------------------------------------------------------------------- */

/* Copies the management keys that there are; the record's errors. */
keeper_job manage_learn_keys;
/* By these: the question is signed by one of them; *ret_known: it names one. So what anybody can forge takes no turn of the keeper (T29). */
CC_ERR manage_peek_key(struct manage_call *call, bool *ret_known);
/* The question is signed by a management key, and of this minute. Called before any handler; reads need no more. */
keeper_job manage_check_key;
/* Commits `change` and, where a key asked for it, that this was its newest request: one change, or none. */
CC_ERR manage_commit(struct manage_call *call,
                     struct state_store *state,
                     const struct state_signer *signer,
                     const struct state_change *change);

manage_handler manage_policy_list, manage_policy_get, manage_policy_put, manage_policy_delete;
manage_handler manage_token_list, manage_token_create, manage_token_revoke;
manage_handler manage_bootstrap, manage_unlatch;
manage_handler manage_seal, manage_chamber_status, manage_status_page;
/* core/manage_seal.c, core/manage_rotate.c */
manage_handler manage_seal_lift, manage_setup_token, manage_init, manage_challenge;
manage_handler manage_register, manage_unseal, manage_break_glass, manage_rehearse, manage_approve;
manage_handler manage_rotate_tokens, manage_rotate_kms, manage_rotate_quorum, manage_rotate_mode;
manage_handler manage_rotate_master, manage_rotate_cancel, manage_root_token;
manage_handler manage_auto_unseal;
/* What `ceremony_...` has refused, with its own detail. */
cc_err manage_refuse_ceremony(struct manage_call *call, cc_err err);
/* {"state", "have", "needed"} */
struct ceremony_step;
CC_ERR manage_answer_step(struct manage_call *call, const struct ceremony_step *step);
/* CC_OK where this core has a ceremony. */
CC_ERR manage_has_ceremony(struct manage_call *call);
/* core/manage_key.c: puts this management key in the place of those that are there. 201, and {"keyid", "replaced"}. */
CC_ERR manage_put_key(struct manage_call *call, const uint8_t public_key[static 32]);

/* core/manage_token.c: commits when tokens were last used, if any was. What can't be committed is lost. */
void manage_note_uses(const struct manage_settings *settings);

#endif
