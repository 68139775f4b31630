/* wire/seal.h - what core and vault say to one another about the master key.
 *
 * WHAT      A set says how the master key is opened: by chamber.key (local), by shares under KMS keys, by shares of operators, or both.
 *           The vault makes sets and alone can open them; the core keeps them in the state store, and carries shares, challenges and
 *           envelopes.
 * PROMISE   A set is the chamber's own or is refused: its last field is a MAC of all others, under a key that no other room has.
 *           Nothing here holds the master key, a credential, or an operator's share in clear. Shares for KMS keys are the exception of
 *           standard mode: B_SHARE and B_SET_UNWRAP carry one each (B_SHARE those of an auto-unseal blob's key as well). In an enclave shares come from KMS encrypted to the vault
 *           (B_SET_UNWRAP_SEALED); to KMS they go in clear all the same, since Encrypt knows no recipient.
 * THREADS   Any.   OWNERSHIP By value.   ERRORS In the answers.
 * SECRETS   B_SHARE, B_SET_UNWRAP: a share of the wrapping key of the KMS layer; wiped from messages as soon as it is used.
 *
 * Formats, labels and sizes: docs/sealing.md, docs/formats.md.
 */
#ifndef WIRE_SEAL_H
#define WIRE_SEAL_H

#include <stdint.h>

enum seal_mode {
    SEAL_LOCAL = 1,
    SEAL_KMS = 2,
    SEAL_QUORUM = 3,   /* KMS layer, then operators */
    SEAL_OPERATORS = 4 /* operators alone */
};

enum {
    SEAL_NAME_SIZE = 40, /* of an operator, [a-z0-9][a-z0-9._-]*, with the terminator */
    SEAL_OPERATORS_MAX = 16,
    SEAL_KMS_MAX = 16,
    SEAL_BREAK_GLASS_MAX = 16,
    SEAL_SHARE_SIZE = 33, /* y ++ x, crypto/shamir.h */
    SEAL_OVERHEAD = 60,   /* of crypto/committing.h: commitment 32, nonce 12, tag 16 */
    SEAL_BLOB_MAX = 160,  /* 32 or 33 bytes under one or two layers */
    SEAL_HINT_MAX = 192,  /* FIDO2's credential id */
    SEAL_NONCE_SIZE = 32,
    SEAL_ENVELOPE_MAX = 512, /* a sealed box, encoded (seal/envelope.h) */
    SEAL_TEXT_MAX = 1024     /* an age file */
};

/* To whom an operator's registration token, or a break-glass share, is encrypted (age). */
enum seal_recipient_kind {
    SEAL_RECIPIENT_AGE = 1, /* X25519 */
    SEAL_RECIPIENT_SSH = 2  /* ssh-ed25519 */
};

struct seal_recipient {
    uint32_t kind; /* enum seal_recipient_kind */
    uint8_t key[32];
};

enum seal_factor {
    SEAL_FACTOR_NONE = 0, /* not registered: the share is sealed under the registration token */
    SEAL_FACTOR_PASSPHRASE = 1,
    SEAL_FACTOR_YUBIKEY = 2, /* HMAC-SHA1, slot 2; its challenge rolls at each unseal */
    SEAL_FACTOR_FIDO2 = 3    /* hmac-secret */
};

struct seal_blob {
    uint32_t len;
    uint8_t bytes[SEAL_BLOB_MAX];
};

struct seal_operator {
    char name[SEAL_NAME_SIZE];
    struct seal_recipient recipient;
    uint32_t factor;     /* enum seal_factor */
    uint32_t memory_kib; /* Argon2id of the credential */
    uint32_t passes;
    uint8_t salt[32];
    uint8_t challenge[32]; /* the random part */
    uint32_t hint_len;
    uint8_t hint[SEAL_HINT_MAX];
    struct seal_blob share;
    uint8_t commitment[32]; /* SHA-256 of label and share */
};

struct seal_shares {
    uint32_t threshold;
    uint32_t count;
    uint8_t commitments[16][32];
};

struct seal_set {
    uint32_t mode;              /* enum seal_mode */
    uint32_t generation;        /* of the master key, each set's own; rows name it */
    uint32_t kms_generation;    /* the one that the wrapping key was made in; 0: no KMS layer */
    uint32_t unseal_generation; /* the one that the unseal key was made in; 0: no operators */
    uint64_t number;            /* its revision: goes up with each change of an operator's entry */
    uint8_t fingerprint[32];    /* digest of the proposal that it was made of: which set this is */
    struct seal_blob master;
    uint8_t check[32]; /* HKDF(master, ...): the right master key has it */
    uint8_t tokens
        [32 +
         SEAL_OVERHEAD]; /* the key of the MACs of access tokens, under the master key; outlives its generations */
    struct seal_shares kms; /* of the wrapping key; count 0: no KMS layer */
    struct seal_shares
        break_glass; /* of the same wrapping key, another polynomial; kept by people */
    uint32_t operator_threshold;
    uint32_t operator_count;
    struct seal_operator operators[SEAL_OPERATORS_MAX];
    /* A staged set alone: its master key under that of the present one, so that replicas that are unsealed stay so. */
    uint32_t has_bridge;
    uint8_t bridge[32 + SEAL_OVERHEAD];
    uint8_t mac[32];
};

enum {
    SEAL_SEALED_SHARE = 48 /* a share and its padding, AES-256-CBC */
};

/* A share as KMS has opened it: in clear, or encrypted to the vault (crypto/recipient.h). */
struct seal_sealed_share {
    uint8_t wrapped[256]; /* the AES key, RSA-OAEP */
    uint8_t iv[16];
    uint8_t ciphertext[SEAL_SEALED_SHARE];
};

struct seal_opened {
    uint32_t is_sealed;
    uint8_t share[SEAL_SHARE_SIZE];
    struct seal_sealed_share sealed;
};

enum seal_keep {
    SEAL_KEEP_OPERATORS = 1 << 0, /* the unseal key, shares and credentials stay */
    SEAL_KEEP_KMS = 1 << 1        /* the wrapping key and its shares stay */
};

/* What is proposed, approved and made: docs/sealing.md has its digest (seal/proposal.h). */
struct seal_proposal {
    uint8_t chamber_id[32];
    uint8_t from[32];    /* fingerprint of the set that it replaces; zeros: there is none */
    uint8_t id[32];      /* random: two proposals of the same are two */
    uint32_t generation; /* of the new master key: that of the set that it replaces, and one */
    uint32_t mode;
    uint32_t keep; /* enum seal_keep */
    uint32_t kms_threshold;
    uint32_t kms_count;
    uint32_t break_glass_threshold;
    uint32_t break_glass_count;
    uint32_t operator_threshold;
    uint32_t operator_count;
    uint8_t kms_keys[32]; /* SHA-256 of the ARNs in order, each with a zero byte; zeros: none */
    struct {
        char name[SEAL_NAME_SIZE];
        struct seal_recipient recipient;
    } operators[SEAL_OPERATORS_MAX];
    struct seal_recipient
        break_glass[SEAL_BREAK_GLASS_MAX]; /* whom the shares are encrypted to, one each */
};

/* --- auto-unseal (docs/sealing.md): the keys of an open chamber, for one image of an enclave -------------------------------------------- */

enum {
    SEAL_PCR_SIZE = 48,
    SEAL_AUTO_KEYS_SIZE = 3 * 32 /* of rows, of the bridge, of access tokens */
};

/* An image by its measurements. */
struct seal_image {
    uint8_t pcr0[SEAL_PCR_SIZE];
    uint8_t pcr8[SEAL_PCR_SIZE]; /* zeros: whoever has signed it */
};

/* What a quorum approves: that this image opens the chamber without it. */
struct seal_auto_proposal {
    uint8_t chamber_id[32];
    uint8_t from[32]; /* fingerprint of the set whose quorum is asked */
    uint8_t id[32];   /* random: two proposals of the same are two */
    struct seal_image image;
    uint32_t threshold; /* of the KMS keys between which the key is shared out */
    uint32_t count;
    uint8_t kms_keys[32]; /* as in struct seal_proposal */
};

/* What lies in the state store of it; the KMS ciphertexts of the shares lie beside it. The last field is the vault's MAC of all others, and says
 * that the quorum has approved the image.
 */
struct seal_auto {
    uint32_t generation; /* whose keys these are */
    struct seal_image image;
    uint8_t fingerprint[32]; /* of the set of that generation */
    uint8_t kms_keys[32];
    struct seal_shares shares; /* of the key that the blob lies under */
    uint8_t keys[SEAL_AUTO_KEYS_SIZE + SEAL_OVERHEAD];
    uint8_t mac[32];
};

enum seal_purpose {
    SEAL_TO_REGISTER = 1,
    SEAL_TO_UNSEAL = 2,
    SEAL_TO_APPROVE = 3, /* a digest: of a proposal, of its cancellation, of a new management key */
    SEAL_TO_REHEARSE = 4, /* shares are opened, put together and forgotten */
    SEAL_TO_BREAK_GLASS = 5
};

/* What the vault gives before a credential, signed by the chamber's identity (seal/challenge.h). */
struct seal_challenge {
    uint32_t purpose;
    uint32_t mode; /* of the set: enum seal_mode */
    uint32_t factor;
    uint32_t memory_kib;
    uint32_t passes;
    uint32_t generation;
    uint32_t unseal_generation; /* hardware factors: a part of what the device is asked */
    uint32_t hint_len;
    uint64_t number;
    uint64_t issued; /* ms since 1970 */
    uint64_t expires;
    uint8_t fingerprint[32]; /* of the set */
    char name[SEAL_NAME_SIZE];
    uint8_t chamber_id[32];
    uint8_t box_key[32]; /* X25519, of this vault, for some time */
    uint8_t nonce[SEAL_NONCE_SIZE];
    uint8_t salt[32];
    uint8_t challenge[32];
    uint8_t next_salt[32]; /* for a credential that takes the place of this one */
    uint8_t next_challenge[32];
    uint8_t hint[SEAL_HINT_MAX];
    uint8_t signature[64];
};

#endif
