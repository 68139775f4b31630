/* wire/door_a.h - messages between front and core.
 *
 * WHAT      Sign requests and their answers, the few questions that the other routes ask, and the steps of work on the
 *           slashing-protection history, on policies and tokens, and on keys.
 * PROMISE   Everything that the front says is a claim: the core checks each field again.
 * THREADS   As wire/door.h.   OWNERSHIP By value.   ERRORS As wire/door.h.
 * SECRETS   The text of a new token (struct a_managed), passwords of keystores that are imported (struct a_keys):
 *           door_message_wipe() after use.
 */
#ifndef WIRE_DOOR_A_H
#define WIRE_DOOR_A_H

#include <inttypes.h>
#include <stdio.h>

#include "codec/traceparent.h"
#include "eth/sign_request.h"
#include "wire/caller.h"
#include "wire/door.h"
#include "wire/door_key.h"

enum door_a_type {
    /* front to core */
    A_SIGN = 0x11,     /* struct a_sign */
    A_QUERY = 0x12,    /* struct a_query */
    A_SLASHING = 0x13, /* struct a_slashing */
    A_MANAGE = 0x15,   /* struct a_manage */
    A_KEYS = 0x14,     /* struct a_keys */
    A_ATTEST = 0x16,   /* struct a_attest */
    /* core to front */
    A_SIGNED = 0x21,         /* struct a_signed */
    A_PUBLIC_KEYS = 0x22,    /* struct a_public_keys */
    A_HEALTH = 0x23,         /* struct a_health */
    A_RELOAD = 0x24,         /* struct a_reload */
    A_HIGH_WATERMARK = 0x25, /* struct a_high_watermark */
    A_SLASHED = 0x26,        /* struct a_slashing */
    A_DENIED = 0x27,         /* struct a_denied */
    A_MANAGED = 0x29,        /* struct a_managed */
    A_KEYS_DONE = 0x28,      /* struct a_keys_done */
    A_ATTESTED = 0x2a,       /* struct a_attested */
};

/* An id is the front's, echoed: of its 64 bits these two lots are the ticket's index and the item of a batch, the rest how often the
 * ticket was used. Without the item it names the request, in the front's answer (X-Request-Id) and in the core's log lines.
 */
enum {
    A_ID_INDEX_BITS = 20,
    A_ID_ITEM_BITS = 12,
    A_REQUEST_ID_SIZE = 17 /* hexadecimal digits, and the terminator */
};

static inline void a_request_id(uint64_t id, char ret_text[static A_REQUEST_ID_SIZE])
{
    const uint64_t item = ((UINT64_C(1) << A_ID_ITEM_BITS) - 1) << A_ID_INDEX_BITS;
    (void)snprintf(ret_text, A_REQUEST_ID_SIZE, "%016" PRIx64, id & ~item);
}

enum {
    A_NAME_MAX = 40 /* of a policy; with the terminator */
};

/* What a refusal rests on, where it is a policy's rule. */
struct a_reason {
    char policy[A_NAME_MAX];
    uint32_t number; /* of the rule in it, from 1; 0: none */
    uint32_t reserved;
};

/* What the front knows for core/tracing.h. Moments are of the monotonic clock, which all rooms share; 0: not known. */
struct a_trace {
    uint64_t began_ns;               /* the request's head had come */
    uint64_t asked_ns;               /* it was ready for this door */
    uint8_t trace_id[TRACE_ID_SIZE]; /* of its traceparent header; zeros: none that counts */
    uint8_t parent_id[SPAN_ID_SIZE];
    uint32_t sampled;
    uint32_t reserved;
};

struct a_sign {
    uint64_t id;     /* the front's, echoed */
    uint32_t client; /* who asks, for fairness: one number for each address or local user */
    uint32_t reserved;
    struct a_trace trace;
    struct caller caller;
    struct sign_request request;
};

struct a_signed {
    uint64_t id;
    uint32_t error; /* enum error_code; 0: signature is set */
    uint32_t rule;  /* SLASHABLE: enum slash_rule; DENIED: enum policy_rule (auth/policy.h) */
    uint64_t earlier_slot;
    uint64_t earlier_source;
    uint64_t earlier_target;
    struct signing_root root; /* computed here, for ROOT_MISMATCH messages */
    struct a_reason reason;   /* DENIED */
    struct eth_signature signature;
};

enum a_question {
    ASK_PUBLIC_KEYS = 1,
    ASK_HEALTH,
    ASK_RELOAD_START,
    ASK_RELOAD_STATUS,
    ASK_HIGH_WATERMARK,
    ASK_ALLOWED /* may this caller send a body for that scope? Answered by A_DENIED */
};

struct a_query {
    uint64_t id;
    uint32_t question; /* enum a_question */
    uint32_t scope;    /* ASK_ALLOWED: enum auth_scope */
    struct caller caller;
};

/* Instead of any other answer; and of ASK_ALLOWED, then `error` may be 0. */
struct a_denied {
    uint64_t id;
    uint32_t error;
    uint32_t rule; /* enum policy_rule (auth/policy.h) */
    struct a_reason reason;
};

enum {
    A_PUBLIC_KEYS_CHUNK = 256
};

/* A list as numbered chunks; `last` ends it; error is KEY_LOADING while the set is unknown, and what makes a key store refused where keys of it lack. */
struct a_public_keys {
    uint64_t id;
    uint32_t error;
    uint32_t chunk;
    uint32_t count;
    uint32_t last;
    struct eth_pubkey keys[A_PUBLIC_KEYS_CHUNK];
};

enum a_master {
    A_MASTER_UNKNOWN, /* the core has not opened its stores yet */
    A_MASTER_NONE,    /* none has been made, or not all of its operators have registered */
    A_MASTER_CLOSED,
    A_MASTER_OPEN
};

struct a_health {
    uint64_t id;
    uint64_t keys_loaded;
    uint64_t keys_known;    /* loaded or still decrypting */
    uint64_t keys_expected; /* 0: no expectation */
    uint64_t load_errors;
    uint8_t ready; /* a signature would succeed now */
    uint8_t store_up;
    uint8_t keys_complete; /* loading has ended and the expectation holds */
    uint8_t sealed;
    uint8_t history_noop;
    uint8_t auth_open;    /* anybody may have the operations of auth.open_operations signed */
    uint8_t auth_mode;    /* enum auth_mode (config/config.h): the one in force */
    uint8_t auth_held;    /* a latch holds it against the configuration */
    uint8_t audit_blocks; /* nothing is answered, since it can't be written down */
    uint8_t master;       /* enum a_master */
    uint8_t memory;       /* enum b_memory (wire/door_b.h) */
    uint8_t clock_unsure; /* in an enclave: its clock is not its security module's */
    uint8_t reserved[4];
};

enum reload_state {
    RELOAD_IDLE,
    RELOAD_ACTIVE,
    RELOAD_COMPLETED,
    RELOAD_COMPLETED_WITH_ERRORS,
    RELOAD_FAILED
};

struct a_reload {
    uint64_t id;
    uint32_t error;         /* RELOAD_RUNNING for a start that was refused */
    uint32_t state;         /* enum reload_state */
    uint64_t ended_wall_ms; /* 0: never */
    uint64_t load_errors;
};

struct a_high_watermark {
    uint64_t id;
    uint32_t error;
    uint32_t present;
    uint64_t slot;
    uint64_t epoch;
};

/* --- attestation of the front's TLS key ----------------------------------------------------------------------------------
 * The front names a key of its own and perhaps a client's nonce, nothing else: the core writes the user data, whose purpose
 * is TLS always, and never puts a public key in. So a captured front can't have a document made that KMS would answer.
 */
enum {
    A_SPKI_DIGEST_SIZE = 48, /* SHA-384 */
    A_ATTEST_NONCE_MAX = 32,
    A_DOCUMENT_MAX = 0x3000
};

struct a_attest {
    uint64_t id;
    uint32_t nonce_len; /* 0: none */
    uint32_t reserved;
    uint8_t spki_digest[A_SPKI_DIGEST_SIZE];
    uint8_t nonce[A_ATTEST_NONCE_MAX];
};

struct a_attested {
    uint64_t id;
    uint32_t error; /* NOT_ENABLED: tee.platform is none; NSM, NSM_REFUSED, BUSY */
    uint32_t len;
    uint8_t document[A_DOCUMENT_MAX];
};

/* --- the slashing-protection history: each message is one bounded step, complete in itself ------------------------------
 * The front drives: it asks for the next step when the last one is answered, and the core keeps nothing in between. So
 * nothing is left behind when either side, or the client, goes away.
 */
enum a_slashing_verb {
    SLASHING_STATUS = 1,
    SLASHING_EXPORT, /* the next validators after `key` */
    SLASHING_IMPORT, /* merges the validators of the records */
    SLASHING_VERIFY, /* looks at the next validators after `key` */
    SLASHING_PRUNE,  /* the next step of a pass */
    SLASHING_ENABLE, /* `key` */
    SLASHING_HAND_OVER,
    SLASHING_REPAIR,
    SLASHING_VERB_END
};

enum a_record_kind {
    RECORD_VALIDATOR = 1, /* begins a validator; the records that follow are its */
    RECORD_LOW,
    RECORD_BLOCK,
    RECORD_ATTESTATION,
    RECORD_FAULT /* verify: what is wrong with the validator */
};

enum {
    /* of a_record.flags */
    RECORD_HAS_ROOT = 1,
    RECORD_ENABLED = 2,
    RECORD_HAS_SLOT = 4,
    RECORD_HAS_EPOCHS = 8,
    RECORD_FLAGS = 15,

    A_RECORDS_MAX = 1024,      /* in one message */
    A_RECORDS_TOTAL = 1 << 20, /* in the messages of one request */
    A_RECORDS_STEP = 2048      /* a step of a walk visits no further validator beyond these */
};

struct a_record {
    uint8_t kind; /* enum a_record_kind */
    uint8_t flags;
    uint8_t fault; /* enum slash_fault */
    uint8_t reserved[5];
    union {
        struct eth_pubkey pubkey;
        struct {
            uint64_t source; /* attestations, low watermarks and faults */
            uint64_t target;
            union {
                struct signing_root root;
                uint64_t slot; /* low watermarks, faults */
            } more;
        } vote;
        struct {
            uint64_t slot;
            struct signing_root root;
        } block;
    } is;
};

/* From where to where the records of a history reach; zeros where there are none. */
struct a_extents {
    uint64_t has_slots;
    uint64_t oldest_slot;
    uint64_t newest_slot;
    uint64_t has_epochs;
    uint64_t oldest_target;
    uint64_t newest_target;
    uint64_t newest_source;
};

struct a_slashing_head {
    uint64_t id;
    uint32_t verb;    /* enum a_slashing_verb */
    uint32_t error;   /* of an answer */
    uint32_t chunk;   /* an answer's messages are numbered */
    uint32_t last;    /* and this is its last one */
    uint32_t count;   /* of records */
    uint32_t more;    /* answers: there is another step */
    uint32_t has_key; /* asks: the walk goes on after `key` */
    uint32_t has_genesis;
    uint32_t has_high;
    uint32_t has_ceiling;
    uint16_t cancel;     /* HAND_OVER */
    uint16_t force;      /* HAND_OVER: raise or cancel one that stands */
    uint32_t has_mirror; /* VERIFY's answers: there is one; asks: look at it, the walk is over */
    uint32_t scope;      /* asks: enum auth_scope, the one of the route; must fit the verb */
    uint32_t reserved;
    struct caller caller; /* of an ask */
    struct eth_pubkey key;
    struct eth_root genesis_validators_root;
    uint8_t history_id[32];
    uint8_t chamber_id[32];
    char backend[16];
    uint64_t keep_epochs; /* PRUNE */
    uint64_t slot;
    uint64_t epoch;
    uint64_t ceiling;
    uint64_t validators; /* asks of a walk: how many at most */
    uint64_t blocks;
    uint64_t attestations;
    uint64_t known;
    uint64_t contradictory;
    uint64_t removed;
    uint64_t faults;
    uint64_t mirror_keys; /* VERIFY, at the end of its look at the mirror */
    uint64_t mirror_records;
    uint64_t mirror_missing;
    uint64_t mirror_changed;
    struct a_extents extents; /* VERIFY: of what it has walked over */
};

struct a_slashing {
    struct a_slashing_head head;
    struct a_record records[A_RECORDS_MAX];
};

/* --- management: one question, whose answer the core writes --------------------------------------------------------------- */

enum a_manage_verb {
    MANAGE_POLICY_LIST = 1,
    MANAGE_POLICY_GET,
    MANAGE_POLICY_PUT,
    MANAGE_POLICY_DELETE,
    MANAGE_TOKEN_LIST,
    MANAGE_TOKEN_CREATE,
    MANAGE_TOKEN_REVOKE,
    MANAGE_BOOTSTRAP,
    MANAGE_UNLATCH,
    MANAGE_SEAL,
    MANAGE_CHAMBER_STATUS,
    /* the sealed chamber (docs/sealing.md) */
    MANAGE_SEAL_LIFT,
    MANAGE_SETUP_TOKEN,
    MANAGE_INIT,
    MANAGE_CHALLENGE, /* the body is the purpose's word */
    MANAGE_REGISTER,
    MANAGE_UNSEAL,
    MANAGE_BREAK_GLASS,
    MANAGE_REHEARSE,
    MANAGE_APPROVE,
    MANAGE_ROTATE_TOKENS,
    MANAGE_ROTATE_KMS,
    MANAGE_ROTATE_QUORUM,
    MANAGE_ROTATE_MODE,
    MANAGE_ROTATE_MASTER,
    MANAGE_ROTATE_CANCEL,
    MANAGE_ROOT_TOKEN,
    MANAGE_AUTO_UNSEAL, /* an image is proposed, or goes */
    MANAGE_STATUS_PAGE, /* answered in HTML */
    MANAGE_VERB_END
};

enum {
    A_MANAGE_BODY_MAX = 48 * 1024,
    A_MANAGE_AUTHORITY_MAX = 255,
    A_MANAGE_INPUT_MAX = 384, /* of the headers of a signed request: auth/manager.h */
    A_MANAGE_HEADER_MAX = 128,
    A_MANAGED_MAX = 16384,
    A_MANAGED_TOTAL = 1 << 20, /* of all parts of one answer */
    A_MANAGED_DETAIL_MAX = 160
};

/* Method and path are not in here: the core knows its verbs' own, and those must have been signed. */
struct a_manage {
    uint64_t id;
    uint32_t verb; /* enum a_manage_verb */
    uint32_t body_len;
    uint16_t authority_len; /* the Host header */
    uint16_t input_len;     /* all three 0: not signed */
    uint16_t signature_len;
    uint16_t digest_len;
    struct caller caller;
    char name[A_NAME_MAX]; /* of the policy or the token; "" for a verb without one */
    char authority[A_MANAGE_AUTHORITY_MAX];
    char input[A_MANAGE_INPUT_MAX];      /* Signature-Input */
    char signature[A_MANAGE_HEADER_MAX]; /* Signature */
    char digest[A_MANAGE_HEADER_MAX];    /* Content-Digest */
    uint8_t body[A_MANAGE_BODY_MAX];
};

/* The answer as numbered parts; `last` ends it. */
struct a_managed {
    uint64_t id;
    uint32_t error;
    uint32_t chunk;
    uint16_t status; /* of HTTP; counts where error is 0 */
    uint16_t last;
    uint32_t len;
    uint32_t rule;          /* DENIED: enum policy_rule */
    struct a_reason reason; /* the same */
    char detail
        [A_MANAGED_DETAIL_MAX]; /* with an error: where and what; nothing of the body's text */
    uint8_t body[A_MANAGED_MAX];
};

_Static_assert(sizeof(struct a_manage) <= DOOR_FIT(1), "a question is one message");
/* --- keys: each message is one bounded step, complete in itself; the front drives, as above ------------------------------
 * With one exception: an import that brings slashing-protection data takes three steps for some keystores. They are opened and
 * held (KEYS_HOLD), then the data of those that opened is merged (SLASHING_IMPORT; of others none is), then they are taken
 * (KEYS_TAKE). What is held is in the core's memory alone, sealed, and forgotten when the next ones are, or the front is another.
 */

enum a_keys_verb {
    KEYS_LIST = 1, /* the next keys after `after`, in the order of their bytes */
    KEYS_IMPORT,
    KEYS_DELETE,
    KEYS_SET,   /* active, or inactive */
    KEYS_PAUSE, /* on every replica, until KEYS_RESUME */
    KEYS_RESUME, /* takes back the pause of these keys, or (KEYS_ALL) the pause of all: each only its own kind */
    KEYS_TAKE,     /* imports keys that are held */
    KEYS_GENERATE, /* first, without items, a new mnemonic; then its keys, in any number of steps */
    KEYS_VERB_END
};

enum a_keys_flag {
    KEYS_HAS_AFTER = 1 << 0, /* LIST: `after` counts */
    KEYS_INACTIVE =
        1 << 1,          /* SET: to inactive; IMPORT, TAKE and GENERATE: they begin as inactive */
    KEYS_ALL = 1 << 2,   /* PAUSE, RESUME: whatever key; no items */
    KEYS_MORE = 1 << 3,  /* LIST's answers: there is another step */
    KEYS_HOLD = 1 << 4,  /* IMPORT: opens them and holds them for KEYS_TAKE; nothing else changes */
    KEYS_KNOWN = 1 << 5, /* with it: also those that are here already */
    KEYS_FLAGS = 63
};

enum {
    A_KEYS_MAX = 256,         /* keys of a step */
    A_KEYS_IMPORTS_MAX = 16,  /* keystores of a step */
    A_KEYS_GENERATE_MAX = 16, /* new keys of a step */
    A_KEYS_TOTAL_MAX = 10000, /* of one mnemonic */
    A_KEYS_BACKUP_MAX = 3072, /* an age file to sixteen recipients */
    A_KEYS_PAUSED_MAX = 1000  /* keys that are paused by name, over all */
};

enum a_key_source {
    A_KEY_FILESYSTEM = 1, /* read-only */
    A_KEY_SQLITE,
    A_KEY_POSTGRES,
    A_KEY_DYNAMODB,
    A_KEY_MEMORY /* lost with the vault */
};

enum a_key_status {
    A_KEY_LOADING = 1, /* known; not in the vault yet, or without its protection row */
    A_KEY_ACTIVE,
    A_KEY_INACTIVE,
    A_KEY_DELETING, /* a delete that failed half-way: it can't sign, and is to be deleted again */
    A_KEY_FAILED,   /* known, and can't be loaded */
    A_KEY_SEALED    /* of a row, and the master key is closed */
};

enum a_key_flag {
    A_KEY_READONLY = 1 << 0,
    A_KEY_PAUSED = 1 << 1 /* by name; that all are paused is in the head's `paused_all` */
};

/* What became of one key of a step. */
enum a_key_outcome {
    A_KEY_ERROR, /* `error` says why */
    A_KEY_IMPORTED,
    A_KEY_DUPLICATE,  /* there is one already, from `source`; that one is kept */
    A_KEY_DELETED,    /* for good, and its history has its tombstone */
    A_KEY_NOT_ACTIVE, /* not here, but the history knows it: its export is of use */
    A_KEY_NOT_FOUND,
    A_KEY_CHANGED,   /* SET, PAUSE, RESUME: it is as asked now */
    A_KEY_UNCHANGED, /* it was already */
    A_KEY_OPENED,    /* IMPORT with KEYS_HOLD: its data may be merged, and then it may be taken */
    A_KEY_GENERATED
};

struct a_keys_head {
    uint64_t id;
    uint32_t verb;       /* enum a_keys_verb */
    uint32_t scope;      /* asks: enum auth_scope, the one of the route; must fit the verb */
    uint32_t error;      /* answers: no item was touched; or AUDIT, and none is told of */
    uint32_t flags;      /* enum a_keys_flag */
    uint32_t count;      /* of items; LIST's asks: how many at most, 0 is A_KEYS_MAX */
    uint32_t paused_all; /* LIST's answers */
    struct eth_pubkey after;
    struct caller caller; /* of an ask */
};

struct a_key_import {
    struct k_keystore keystore; /* its id is ignored */
};

struct a_key_generate {
    uint64_t session; /* as the first step's answer has it; 0: that step, whose `count` is 0 */
    uint32_t first;   /* number of the step's first key */
    uint32_t total;   /* of the mnemonic */
    uint32_t has_deposit;
    uint32_t reserved;
    struct eth_root withdrawal_credentials;
    uint64_t amount; /* gwei */
};

struct a_keys {
    struct a_keys_head head;
    union {
        struct a_key_generate generate;
        struct eth_pubkey keys[A_KEYS_MAX];
        struct a_key_import imports[A_KEYS_IMPORTS_MAX];
    } is;
};

struct a_key_item {
    struct eth_pubkey
        pubkey; /* IMPORT: as derived from the secret; zeros where it could not be decrypted */
    uint32_t
        error; /* enum error_code, with A_KEY_ERROR; DENIED: by the policy's rule for this key */
    uint8_t outcome; /* enum a_key_outcome; LIST: 0 */
    uint8_t source;  /* enum a_key_source; 0: none */
    uint8_t status;  /* enum a_key_status; 0: none */
    uint8_t flags;   /* enum a_key_flag */
};

/* Items in the order of the ask. */
struct a_keys_generated {
    struct a_key_item items[A_KEYS_GENERATE_MAX];
    struct eth_signature deposits[A_KEYS_GENERATE_MAX]; /* zeros without one, or without the key */
    uint64_t session;                                   /* of the first step, and what follows */
    struct eth_version genesis_fork_version;
    char network[32];
    uint32_t backup_len;
    uint8_t backup[A_KEYS_BACKUP_MAX]; /* an age file: text */
};

struct a_keys_done {
    struct a_keys_head head; /* `caller` is zeros */
    union {
        struct a_key_item items[A_KEYS_MAX];
        struct a_keys_generated generated; /* GENERATE; begins with its items */
    };
};

_Static_assert(sizeof(struct a_keys) <= DOOR_FIT(1), "a step is one message");
_Static_assert(sizeof(struct a_keys_done) <= DOOR_FIT(1), "and so is its answer");

/* What each side accepts. */
extern const struct door_type door_a_to_core[];
extern const struct door_type door_a_to_front[];

#endif
