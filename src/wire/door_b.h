/* wire/door_b.h - messages between core and vault.
 *
 * WHAT      Chamber verbs, key table verbs, and sign batches. There is no verb that returns a validator's key.
 * PROMISE   For slashable kinds the typed claim travels, and the vault computes the root itself; for the others
 *           an object root and a domain whose type the vault refuses when it is a slashable one.
 * THREADS   As wire/door.h.   OWNERSHIP By value.   ERRORS As wire/door.h.
 * SECRETS   Sealed blobs (AES-256-GCM under keys that never leave the vault), the MAC keys of B_SUBKEY_IS, the passwords of
 *           B_IMPORT, the shares of B_SHARE, B_SET_UNWRAP (wire/seal.h) and B_ROOT_MADE.
 */
#ifndef WIRE_DOOR_B_H
#define WIRE_DOOR_B_H

#include "eth/types.h"
#include "wire/door.h"
#include "wire/keystore.h"
#include "wire/seal.h"

enum door_b_type {
    /* core to vault, each answered by B_ANSWER unless said otherwise */
    B_CREATE = 0x31, /* struct b_create: once, at init; answered by B_CHAMBER */
    B_OPEN = 0x32,   /* struct b_chamber: the stored chamber; answered by B_CHAMBER */
    B_HELLO = 0x33, /* struct b_hello: proves the history's identity; before it nothing is signed */
    B_DIGEST =
        0x34, /* struct b_digest: signs a state head or MACs a history identity; answered by B_PROOF */
    B_SIGN = 0x35,   /* struct b_sign; answered by B_SIGNED */
    B_KEYS = 0x36,   /* struct b_keys: lists the table; answered by B_KEY_LIST */
    B_REMOVE = 0x37, /* struct b_key */
    B_SEAL = 0x38,   /* struct b_seal: wipes every key; latched for this life */
    B_COUNT = 0x39,  /* struct b_count: what the signer counted; answered by B_COUNTS */
    B_SUBKEY =
        0x3a, /* struct b_subkey: a key for MACs of the core's own files; answered by B_SUBKEY_IS */
    B_IMPORT =
        0x3b, /* struct b_import: answered by B_ROW, in any order, since several are opened at once */
    B_OPEN_ROW = 0x3c, /* struct b_open_row; answered by B_OPENED */
    B_SEAL_ROW = 0x3d, /* struct b_seal_row; answered by B_ROW */
    B_GENERATE =
        0x3e,        /* struct b_generate: a new mnemonic for some keys; answered by B_GENERATED */
    B_DERIVE = 0x3f, /* struct b_derive: one of its keys, as a row; answered by B_DERIVED */
    /* the master key (wire/seal.h); only after B_OPEN */
    B_SET_OPEN = 0x51, /* struct b_set: the set as stored; answered by B_SEAL_STATE */
    B_SET_MAKE = 0x52, /* struct b_set_make: stages a new set; answered by B_SET */
    B_SET_SHARE =
        0x53, /* struct b_set_part: a KMS key's share of the staged set; answered by B_SHARE */
    B_SET_TEXT =
        0x54, /* struct b_set_part: what goes to a person, as an age file; answered by B_TEXT */
    B_SET_UNWRAP =
        0x55, /* struct b_share: a share that a KMS key has opened; answered by B_SEAL_STATE */
    B_SET_DROP = 0x56,          /* struct b_set_drop; answered by B_SEAL_STATE */
    B_CHALLENGE = 0x57,         /* struct b_challenge; answered by B_CHALLENGED */
    B_ENVELOPE = 0x58,          /* struct b_envelope; answered by B_ENVELOPED */
    B_SET_UNWRAP_SEALED = 0x59, /* struct b_sealed_share: the same, encrypted to the vault's key */
    B_ROOT_MAKE =
        0x5b, /* struct b_root_make: once, at init in an enclave; answered by B_ROOT_MADE */
    B_ROOT_OPEN = 0x5c,  /* struct b_root_open; answered by B_ROOT_STATE */
    B_ROOT_SHARE = 0x5d, /* struct b_root_share; answered by B_ROOT_STATE */
    B_AUTO_MAKE =
        0x5e, /* struct b_auto_make: the open keys, sealed for one image; answered by B_AUTO */
    B_AUTO_OPEN = 0x5f, /* struct b_auto: as stored; its shares follow; answered by B_SEAL_STATE */
    /* vault to core */
    B_ANSWER = 0x41,     /* struct b_answer */
    B_CHAMBER = 0x42,    /* struct b_chamber */
    B_PROOF = 0x43,      /* struct b_proof */
    B_SIGNED = 0x44,     /* struct b_signed */
    B_KEY_LIST = 0x45,   /* struct b_key_list */
    B_COUNTS = 0x46,     /* struct b_counts */
    B_SUBKEY_IS = 0x47,  /* struct b_subkey_is */
    B_ROW = 0x48,        /* struct b_row */
    B_OPENED = 0x49,     /* struct b_opened */
    B_GENERATED = 0x4a,  /* struct b_generated */
    B_DERIVED = 0x4b,    /* struct b_derived */
    B_SET = 0x61,        /* struct b_set */
    B_SHARE = 0x62,      /* struct b_share */
    B_TEXT = 0x63,       /* struct b_text */
    B_SEAL_STATE = 0x64, /* struct b_seal_state */
    B_CHALLENGED = 0x65, /* struct b_challenged */
    B_ENVELOPED = 0x66,  /* struct b_enveloped */
    B_ROOT_MADE = 0x68,  /* struct b_root_made */
    B_ROOT_STATE = 0x69, /* struct b_root_state */
    B_AUTO = 0x6a,       /* struct b_auto */
};

struct key_handle {
    uint32_t index;
    uint32_t generation;
};

struct b_create {
    uint64_t id;
};

enum {
    SEALED_KEY_SIZE = 12 + 32 + 16
}; /* nonce, ciphertext, tag */

/* What the vault's secrets lie in. */
enum b_memory {
    B_MEMORY_UNKNOWN,
    B_MEMORY_KERNEL_SECRET, /* memfd_secret: root can't read it */
    B_MEMORY_LOCKED         /* some of them in locked memory, which root can */
};

struct b_chamber {
    uint64_t id;
    uint32_t error;
    uint32_t memory;                          /* of B_OPEN's answer: enum b_memory; else 0 */
    uint8_t chamber_id[32];                   /* random, names the chamber in every AAD */
    uint8_t identity_public[32];              /* Ed25519 */
    uint8_t sealed_root[SEALED_KEY_SIZE];     /* under HKDF(chamber.key) */
    uint8_t sealed_identity[SEALED_KEY_SIZE]; /* Ed25519 seed under HKDF(root) */
};

struct b_hello {
    uint64_t id;
    uint8_t history_id
        [32];          /* what B_DIGEST(HISTORY) was given: a digest of history id and chamber id */
    uint8_t proof[32]; /* its answer, made at init and stored in the history */
};

enum b_digest_purpose {
    B_PURPOSE_STATE_HEAD = 1,
    B_PURPOSE_HISTORY = 2,
    B_PURPOSE_HAND_OVER = 3 /* only after B_HELLO */
};

struct b_digest {
    uint64_t id;
    uint32_t purpose; /* enum b_digest_purpose; domain-separates what is signed */
    uint32_t reserved;
    uint8_t digest[32];
};

struct b_proof {
    uint64_t id;
    uint32_t error;
    uint32_t
        len; /* 64: Ed25519 over ("containment-chamber/state-head/v1\0" ++ digest), or hand-over;
                            32: HMAC-SHA256 under HKDF(root, "history-identity") */
    uint8_t bytes[64];
};

enum b_subkey_purpose {
    B_SUBKEY_MIRROR = 1, /* "containment-chamber/history-mirror/v1" */
    B_SUBKEY_TOKENS = 2, /* "containment-chamber/auth-token/v1" */
    B_SUBKEY_AUDIT =
        3 /* "containment-chamber/audit/v1", of the segment `index` of the replica `context` */
};

enum {
    B_CONTEXT_SIZE = 16
};

/* Only after B_HELLO. */
struct b_subkey {
    uint64_t id;
    uint32_t purpose; /* enum b_subkey_purpose */
    uint32_t reserved;
    uint64_t index;                  /* AUDIT; else 0 */
    uint8_t context[B_CONTEXT_SIZE]; /* the same */
};

struct b_subkey_is {
    uint64_t id;
    uint32_t error;
    uint32_t reserved;
    uint8_t key
        [32]; /* HKDF(root, the purpose's label); TOKENS: set.tokens; AUDIT: HMAC-SHA256 under that of label, context and index;
                        zeros with an error */
};

enum b_claim {
    B_CLAIM_OBJECT,
    B_CLAIM_ATTESTATION,
    B_CLAIM_BLOCK
};

struct b_sign {
    uint64_t id;
    struct key_handle key;
    struct eth_pubkey pubkey;                /* must be the slot's */
    uint32_t claim;                          /* enum b_claim */
    struct eth_version version;              /* slashable claims: of the domain */
    struct eth_root genesis_validators_root; /* slashable claims */
    union {
        struct eth_attestation_data attestation;
        struct eth_block_header block;
        struct {
            struct eth_root root;
            struct eth_domain domain;
        } object;
    } body;
};

/* What the signer takes at once (crypto/batch.h). */
enum {
    B_SIGN_MAX = 256
};
_Static_assert(B_SIGN_MAX <= DOOR_FIT(sizeof(struct b_sign)), "a batch is one message");

struct b_signed {
    uint64_t id;
    uint32_t error; /* SLASHABLE: the vault's own floor; KEY_UNKNOWN: stale handle */
    uint32_t reserved;
    uint64_t earlier_slot;
    uint64_t earlier_source;
    uint64_t earlier_target;
    struct signing_root root;
    struct eth_signature signature;
};

_Static_assert(B_SIGN_MAX <= DOOR_FIT(sizeof(struct b_signed)), "and so is its answer");

struct b_keys {
    uint64_t id;
    uint32_t from_index;
    uint32_t reserved;
};

struct b_key {
    uint64_t id;
    struct key_handle key;
};

struct b_seal {
    uint64_t id;
};

struct b_count {
    uint64_t id;
};

enum {
    B_ENGINES = 4 /* enum signing_engine (config/config.h) */
};

/* The vault has no metrics of its own: the core asks and adds up. */
struct b_counts {
    uint64_t id;
    uint32_t engine;           /* enum signing_engine: what is in use, so never SIGNING_AUTO */
    uint32_t self_test_failed; /* 1: an engine was left out because of it */
    /* since the last answer */
    uint64_t signatures[B_ENGINES]; /* by engine */
    uint64_t hash_hits;
    uint64_t hash_misses;
    uint64_t flagged;
    uint64_t failed_checks;
};

struct b_answer {
    uint64_t id;
    uint32_t error;
    uint32_t reserved;
};

enum {
    B_KEY_LIST_CHUNK = 512
};

/* Where a key that the vault holds came from; several may be. */
enum b_key_source {
    B_KEY_FROM_FILE = 1 << 0,
    B_KEY_FROM_ROW = 1 << 1,   /* of a sealed key store */
    B_KEY_FROM_MEMORY = 1 << 2 /* imported, and kept nowhere else */
};

struct b_key_list {
    uint64_t id;
    uint32_t count;
    uint32_t next_index; /* 0: no more */
    struct {
        struct key_handle key;
        struct eth_pubkey pubkey;
        uint32_t sources; /* enum b_key_source */
    } keys[B_KEY_LIST_CHUNK];
};

/* --- rows of sealed key stores ------------------------------------------------------------------------------------------
 * The vault seals a key for a place: public key, status and version of its row, and the generation of the master key. In
 * another place it does not open. Only after B_HELLO.
 */
enum row_status {
    ROW_ACTIVE = 1,
    ROW_INACTIVE = 2,
    ROW_DELETED = 3 /* a tombstone: nothing is sealed in it */
};

struct sealed_row {
    struct eth_pubkey pubkey;
    uint32_t status;     /* enum row_status */
    uint32_t generation; /* of the master key */
    uint64_t version;    /* of the row: goes up with each change of it, beyond a deletion too */
    uint8_t sealed[SEALED_KEY_SIZE]; /* zeros in a tombstone */
    uint8_t reserved[4];
};

/* Opens a keystore and seals what is in it. Nothing can sign with it: that takes B_OPEN_ROW. */
struct b_import {
    uint64_t id;
    uint32_t status;     /* of the row: active or inactive */
    uint32_t generation; /* to seal it under; 0: the present one */
    uint64_t version;
    struct k_keystore keystore;
};

struct b_row {
    uint64_t id;
    uint32_t error;
    uint32_t held; /* of an import: the vault holds this key already */
    struct sealed_row row;
};

/* Takes the key of an active row into the table. */
struct b_open_row {
    uint64_t id;
    uint32_t source; /* enum b_key_source: row or memory */
    uint32_t reserved;
    struct sealed_row row;
};

struct b_opened {
    uint64_t id;
    uint32_t error;
    uint32_t held; /* it was in the table already */
    struct key_handle key;
};

/* Seals the key of `row` for another status or generation, and a version above the row's. */
struct b_seal_row {
    uint64_t id;
    uint32_t status;
    uint32_t
        generation; /* 0: the present one, or the row's if that is later. Never an earlier one */
    uint64_t version;
    struct sealed_row row;
};

/* --- new keys -----------------------------------------------------------------------------------------------------------
 * The vault makes entropy, words and seed, and gives the words as an age file, to the recipients of its own configuration and to
 * nobody that the core names. What it keeps is the node m/12381/3600, until all of the keys were asked for, for a while, or until
 * it is sealed. Only after B_HELLO.
 */
enum {
    B_GENERATE_KEYS_MAX = 10000, /* of one mnemonic */
    B_BACKUP_MAX = 3072
};

struct b_generate {
    uint64_t id;
    uint32_t count;
    uint32_t reserved;
};

struct b_generated {
    uint64_t id;
    uint32_t
        error; /* NOT_ENABLED: no recipient is configured; BUSY: as many are under way as may be */
    uint32_t len;
    uint64_t session; /* what B_DERIVE names it by; random */
    uint8_t backup[B_BACKUP_MAX];
};

/* m/12381/3600/index/0/0 as a row of version 1. Nothing can sign with it: that takes B_OPEN_ROW. */
struct b_derive {
    uint64_t id;
    uint64_t session;
    uint32_t index;
    uint32_t status;      /* of the row: active or inactive */
    uint32_t has_deposit; /* 1: a DepositMessage of it is signed as well */
    uint32_t generation;  /* to seal it under; 0: the present one */
    struct eth_version genesis_fork_version;
    struct eth_root withdrawal_credentials;
    uint32_t reserved;
    uint64_t amount; /* gwei */
};

struct b_derived {
    uint64_t id;
    uint32_t error; /* NAME_UNKNOWN: no such session, or it is over */
    uint32_t reserved;
    struct sealed_row row;
    struct eth_signature signature; /* zeros without a deposit */
};

/* --- the master key: sets, ceremonies (wire/seal.h, docs/sealing.md) --------------------------------------------------------
 * `which`: the vault holds at most two sets, the present one and one that is staged to take its place.
 */
enum b_set_which {
    B_SET_PRESENT = 1,
    B_SET_STAGED = 2,
    B_SET_AUTO = 3 /* of shares: those of an auto-unseal blob's key. It is no set */
};

struct b_set {
    uint64_t id;
    uint32_t error;
    uint32_t which; /* enum b_set_which */
    struct seal_set set;
};

/* Needs the present master key (but in ROOM_MODE_INIT, where there is none), the wrapping key where it is kept, and from a set with
 * operators the approval of the proposal's digest.
 */
struct b_set_make {
    uint64_t id;
    struct seal_proposal proposal;
};

enum b_set_part_kind {
    B_PART_KMS = 1,          /* B_SET_SHARE */
    B_PART_REGISTRATION = 2, /* B_SET_TEXT: operator `index`'s token */
    B_PART_BREAK_GLASS = 3,  /* B_SET_TEXT: break-glass share `index` */
    B_PART_AUTO = 4          /* B_SET_SHARE: of the auto-unseal blob that was just made */
};

struct b_set_part {
    uint64_t id;
    uint32_t kind; /* enum b_set_part_kind */
    uint32_t index;
};

struct b_share {
    uint64_t id;
    uint32_t error;
    uint32_t which;
    uint32_t index;
    uint8_t share[SEAL_SHARE_SIZE];
    uint8_t reserved[3];
};

/* SEAL_STATE where the vault's own configuration says that there is no enclave. */
struct b_sealed_share {
    uint64_t id;
    uint32_t which;
    uint32_t index;
    struct seal_sealed_share sealed;
};

/* --- chamber.key in an enclave: a secret shared out between KMS keys (vault/root.h) ------------------------------------------
 * SEAL_STATE where the vault's own configuration says that there is no enclave.
 */
struct b_root_make {
    uint64_t id;
    uint32_t threshold;
    uint32_t count;
};

/* The secret stays in the vault; the core has its shares encrypted. Zeros with an error. */
struct b_root_made {
    uint64_t id;
    uint32_t error;
    uint32_t count;
    uint8_t commitment[32]; /* of the secret */
    uint8_t commitments[SEAL_KMS_MAX][32];
    uint8_t shares[SEAL_KMS_MAX][SEAL_SHARE_SIZE];
};

struct b_root_open {
    uint64_t id;
    uint32_t threshold;
    uint32_t count;
    uint8_t commitment[32];
    uint8_t commitments[SEAL_KMS_MAX][32];
};

struct b_root_share {
    uint64_t id;
    uint32_t index;
    uint32_t reserved;
    struct seal_sealed_share sealed;
};

struct b_root_state {
    uint64_t id;
    uint32_t error;
    uint32_t threshold;
    uint32_t have; /* shares; 0 once it is open */
    uint32_t open; /* the vault has the secret, or has opened the chamber with it */
};

struct b_text {
    uint64_t id;
    uint32_t error;
    uint32_t len;
    uint8_t bytes[SEAL_TEXT_MAX];
};

enum b_drop {
    B_DROP_PENDING = 1, /* shares that were collected, approvals, rehearsals: they have expired */
    B_DROP_STAGED = 2,  /* the staged set, its secrets and its generation's keys */
    B_DROP_OPEN = 3,    /* the master key as well: the chamber waits to be unsealed. No latch */
    B_DROP_AUTO =
        4 /* an auto-unseal blob that was made, its shares or those that were collected, its approval, and the right to
                            renew others: all that was allowed is stored */
};

struct b_set_drop {
    uint64_t id;
    uint32_t what; /* enum b_drop */
    uint32_t reserved;
};

/* Where the vault's own configuration allows it, from an open set with operators: by a proposal whose digest their quorum has approved, once,
 * or by the blob of the set before, which shows that they had, in the life that has made the present one, until B_DROP_AUTO.
 */
struct b_auto_make {
    uint64_t id;
    uint32_t renews; /* 1: `before`; 0: `proposal` */
    uint32_t reserved;
    struct seal_auto_proposal proposal;
    struct seal_auto before;
};

struct b_auto {
    uint64_t id;
    uint32_t error;
    uint32_t reserved;
    struct seal_auto blob;
};

struct b_seal_state {
    uint64_t id;
    uint32_t error;
    uint32_t open;        /* the present master key is */
    uint32_t staged_open; /* the staged one is */
    uint32_t generation;  /* of the present set; 0: none was given */
    uint64_t number;
    uint32_t kms_have;       /* of the present set; once the layer is open, its threshold */
    uint32_t kms_open;       /* the wrapping key of the present set is at hand */
    uint32_t operators_have; /* towards unsealing */
    uint32_t approvals_have; /* for `approving` */
    uint32_t approved;       /* `approving` has its quorum */
    uint32_t rehearsals_have;
    uint32_t rehearsed;       /* the last rehearsal opened the master key */
    uint32_t staged_kms_open; /* the wrapping key of the staged set is at hand */
    uint32_t
        break_glass_have; /* towards the wrapping key of the present set; 0 once it is at hand */
    uint32_t auto_have;   /* towards the key of an auto-unseal blob */
    uint8_t approving[32];
};

struct b_challenge {
    uint64_t id;
    uint32_t purpose; /* enum seal_purpose */
    uint32_t which;
    char name[SEAL_NAME_SIZE];
};

struct b_challenged {
    uint64_t id;
    uint32_t error;
    uint32_t reserved;
    struct seal_challenge
        challenge; /* of a name that is no operator's: like another's, and always the same */
};

struct b_envelope {
    uint64_t id;
    uint32_t purpose;
    uint32_t which;
    char name[SEAL_NAME_SIZE];
    uint8_t digest[32]; /* TO_APPROVE: of what; TO_REGISTER: of the set's proposal; else zeros */
    uint32_t len;
    uint8_t box[SEAL_ENVELOPE_MAX];
};

struct b_enveloped {
    uint64_t id;
    uint32_t error;
    uint32_t
        changed; /* an operator's entry is a new one: `set` is to be stored, then given by B_SET_OPEN */
    struct b_seal_state state;
    struct seal_set set;
};

_Static_assert(DOOR_FIT(sizeof(struct b_open_row)) <= DOOR_FIT(sizeof(struct b_opened)) &&
                   DOOR_FIT(sizeof(struct b_seal_row)) <= DOOR_FIT(sizeof(struct b_row)),
               "answers fit");

extern const struct door_type door_b_to_vault[];
extern const struct door_type door_b_to_core[];

#endif
