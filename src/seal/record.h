/* seal/record.h - what the state store keeps of the sealed chamber.
 *
 * WHAT      Three records of kind `seal`: `current`, the set that opens the master key, with what the KMS keys made of its shares;
 *           `next`, a proposal and then the set that is to take its place; `<replica>`, how far a replica has come with both.
 *           Canonical JSON.
 * PROMISE   What is read is whole and consistent in itself (counts, thresholds, names and ARNs without repetition, lengths of the
 *           mode), and is the one text that stands for it: written again it has the same bytes. That a set is the chamber's own
 *           is the vault's to say.
 * THREADS   Any: pure.
 * OWNERSHIP By value; text is appended to the caller's buf. The structs are large: keep them on the heap.
 * ERRORS    TAMPERED for any other text, with a detail, and when a record is written that reading would refuse; LIMIT (the buf
 *           is too small), NO_MEMORY.
 * SECRETS   None in clear.
 *
 * Format: docs/formats.md, "Records of the sealed chamber".
 */
#ifndef SEAL_RECORD_H
#define SEAL_RECORD_H

#include <stdbool.h>

#include "base/error.h"
#include "base/span.h"

#include "config/kms_arn.h"
#include "seal/machine.h"
#include "wire/seal.h"

#define SEAL_RECORD_KIND    "seal"
#define SEAL_RECORD_CURRENT "current"
#define SEAL_RECORD_NEXT    "next"

enum {
    SEAL_RECORD_MAX = 65536,
    SEAL_ARN_SIZE = KMS_ARN_SIZE,  /* of a KMS key, with the terminator */
    SEAL_KMS_CIPHERTEXT_MAX = 512, /* what KMS makes of 33 bytes is about 185 */
    SEAL_PROPOSER_SIZE = 64,       /* with the terminator */
    SEAL_REPLICA_SIZE = 16
};

struct seal_kms_key {
    char arn[SEAL_ARN_SIZE];
    uint32_t len; /* of the ciphertext; 0: there is none yet */
    uint8_t ciphertext[SEAL_KMS_CIPHERTEXT_MAX];
};

/* Record `seal/current`. keys[i] is the KMS key of share i (x = i + 1): as many as set.kms.count, the rest zeros. */
struct seal_current {
    struct seal_set set; /* without a bridge */
    struct seal_kms_key keys[SEAL_KMS_MAX];
};

enum seal_kind {
    SEAL_KIND_INIT = 1, /* from local, while there is no row */
    SEAL_KIND_KMS,
    SEAL_KIND_QUORUM,
    SEAL_KIND_MODE,
    SEAL_KIND_MASTER,
    SEAL_KIND_END
};

/* An operator's registration token as an age file; len 0: none is left, since the operator has registered or never had to. */
struct seal_token {
    uint32_t len;
    uint8_t bytes[SEAL_TEXT_MAX];
};

/* Record `seal/next`. While it is proposed there is no set, and keys have ARNs alone. */
struct seal_next {
    uint32_t kind;                     /* enum seal_kind */
    uint32_t phase;                    /* enum seal_phase */
    char proposer[SEAL_PROPOSER_SIZE]; /* a principal, [A-Za-z0-9._:/-]+ */
    uint64_t proposed;                 /* ms since 1970 */
    uint8_t digest[32];                /* of the proposal (seal/proposal.h) */
    struct seal_proposal proposal;
    struct seal_set set; /* from STAGED on; its fingerprint is the digest */
    struct seal_kms_key keys[SEAL_KMS_MAX];
    struct seal_token tokens[SEAL_OPERATORS_MAX];
};

/* Record `seal/<replica>`, its id as 32 hex digits: what a replica says of itself, until `until`. */
struct seal_replica {
    uint8_t replica[SEAL_REPLICA_SIZE];
    uint32_t generation; /* of the set that its vault has; 0: none */
    bool open;           /* and its master key is */
    uint8_t staged[32];  /* fingerprint of the staged set that its vault has; zeros: none */
    bool staged_open;
    uint64_t until; /* ms since 1970: after it nobody waits for this replica */
};

CC_ERR seal_current_decode(struct span text, struct seal_current *ret_record);
CC_ERR seal_current_encode(const struct seal_current *record, struct buf *out);
CC_ERR seal_next_decode(struct span text, struct seal_next *ret_record);
CC_ERR seal_next_encode(const struct seal_next *record, struct buf *out);
CC_ERR seal_replica_decode(struct span text, struct seal_replica *ret_record);
CC_ERR seal_replica_encode(const struct seal_replica *record, struct buf *out);

/* [a-z0-9][a-z0-9._-]*, shorter than SEAL_NAME_SIZE. */
bool seal_is_operator_name(struct span text);
/* proposal.kms_keys: SHA-256 of the ARNs in order, each with its zero byte; zeros for none. */
void seal_kms_keys_digest(const struct seal_kms_key *keys,
                          uint32_t count,
                          uint8_t ret_digest[static 32]);

/* "local", "kms", "quorum", "operators"; NULL for another number. */
const char *seal_mode_name(uint32_t mode);
/* "none", "passphrase", "yubikey", "fido2". */
const char *seal_factor_name(uint32_t factor);
/* "init", "kms", "quorum", "mode", "master". */
const char *seal_kind_name(uint32_t kind);
/* "age", "ssh-ed25519". */
const char *seal_recipient_name(uint32_t kind);
/* The number of a name; 0 is nothing's (of a factor: "none"). False for another word. */
bool seal_mode_of(struct span name, uint32_t *ret_mode);
bool seal_factor_of(struct span name, uint32_t *ret_factor);
bool seal_kind_of(struct span name, uint32_t *ret_kind);
bool seal_recipient_of(struct span name, uint32_t *ret_kind);

#endif
