/* wire/door_b.h - messages between core and vault.
 *
 * WHAT      Chamber verbs, key table verbs, and sign batches. There is no verb that returns a key.
 * PROMISE   For slashable kinds the typed claim travels, and the vault computes the root itself; for the others
 *           an object root and a domain whose type the vault refuses when it is a slashable one.
 * THREADS   As wire/door.h.   OWNERSHIP By value.   ERRORS As wire/door.h.
 * SECRETS   Sealed blobs only (AES-256-GCM under keys that never leave the vault).
 */
#ifndef WIRE_DOOR_B_H
#define WIRE_DOOR_B_H

#include "eth/types.h"
#include "wire/door.h"

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
    /* vault to core */
    B_ANSWER = 0x41,   /* struct b_answer */
    B_CHAMBER = 0x42,  /* struct b_chamber */
    B_PROOF = 0x43,    /* struct b_proof */
    B_SIGNED = 0x44,   /* struct b_signed */
    B_KEY_LIST = 0x45, /* struct b_key_list */
    B_COUNTS = 0x46,   /* struct b_counts */
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

struct b_chamber {
    uint64_t id;
    uint32_t error;
    uint32_t reserved;
    uint8_t chamber_id[32];                   /* random, names the chamber in every AAD */
    uint8_t identity_public[32];              /* Ed25519 */
    uint8_t sealed_master[SEALED_KEY_SIZE];   /* under HKDF(chamber.key) */
    uint8_t sealed_identity[SEALED_KEY_SIZE]; /* Ed25519 seed under HKDF(master) */
};

struct b_hello {
    uint64_t id;
    uint8_t history_id
        [32];          /* what B_DIGEST(HISTORY) was given: a digest of history id and chamber id */
    uint8_t proof[32]; /* its answer, made at init and stored in the history */
};

enum b_digest_purpose {
    B_PURPOSE_STATE_HEAD = 1,
    B_PURPOSE_HISTORY = 2
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
    uint32_t len; /* 64: Ed25519 over ("containment-chamber/state-head/v1\0" ++ digest);
                            32: HMAC-SHA256 under HKDF(master, "history-identity") */
    uint8_t bytes[64];
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

struct b_key_list {
    uint64_t id;
    uint32_t count;
    uint32_t next_index; /* 0: no more */
    struct {
        struct key_handle key;
        struct eth_pubkey pubkey;
    } keys[B_KEY_LIST_CHUNK];
};

extern const struct door_type door_b_to_vault[];
extern const struct door_type door_b_to_core[];

#endif
