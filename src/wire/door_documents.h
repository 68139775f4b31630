/* wire/door_documents.h - what a core in an enclave asks of the security module, which the vault has.
 *
 * WHAT      Attestation documents by their purpose, and the opening of what KMS gives to the core by way of the vault. A door of its own beside
 *           door B, with a thread of its own in the vault: a module that takes its time holds no signature up.
 * PROMISE   No item carries user data or a public key: the vault writes both. What a document is made for is one of enum attest_purpose.
 * THREADS   As wire/door.h.   OWNERSHIP By value.   ERRORS As wire/door.h.
 * SECRETS   D_TEXT: a password or credentials of the configuration; wiped from messages as soon as it is used.
 */
#ifndef WIRE_DOOR_DOCUMENTS_H
#define WIRE_DOOR_DOCUMENTS_H

#include "wire/door.h"
#include "wire/seal.h"

enum {
    D_NONCE_MAX = 32,
    D_SPKI_DIGEST_SIZE = 48,     /* SHA-384 */
    D_DOCUMENT_MAX = 0x3000,     /* attest/document.h */
    D_WRAPPED_SHARE_MAX = 512,   /* a KMS key's ciphertext: seal/record.h */
    D_ENVELOPE_CIPHERTEXT = 256, /* crypto/recipient.h */
    D_TEXT_MAX = 256
};

enum door_documents_type {
    /* core to vault */
    D_ASK = 0x71,   /* struct d_ask; answered by D_DOCUMENT */
    D_VOUCH = 0x72, /* struct d_vouch; answered by D_DOCUMENT */
    D_OPEN = 0x73,  /* struct d_open; answered by D_TEXT */
    /* vault to core */
    D_DOCUMENT = 0x81, /* struct d_document */
    D_TEXT = 0x82      /* struct d_text */
};

/* For TLS, KMS or the clock. Chamber and configuration are the vault's own words. */
struct d_ask {
    uint64_t id;
    uint32_t purpose; /* enum attest_purpose; DENIED: ATTEST_FOR_ROOT, which is D_VOUCH */
    uint32_t nonce_len;
    uint8_t nonce[D_NONCE_MAX];
    uint8_t spki_digest[D_SPKI_DIGEST_SIZE]; /* ATTEST_FOR_TLS; else zeros */
};

/* This image vouches for the record of its chamber's root. All of the record is what the vault has made or opened, or what its configuration
 * says, but for what KMS made of the shares.
 */
struct d_vouch {
    uint64_t id;
    uint32_t count;
    uint32_t reserved;
    struct {
        uint32_t len;
        uint8_t ciphertext[D_WRAPPED_SHARE_MAX];
    } keys[SEAL_KMS_MAX];
};

struct d_document {
    uint64_t id;
    uint32_t error;
    uint32_t len;
    uint8_t bytes[D_DOCUMENT_MAX];
};

/* What KMS has encrypted to the vault, taken apart. */
struct d_open {
    uint64_t id;
    uint32_t len;
    uint32_t reserved;
    uint8_t wrapped[256];
    uint8_t iv[16];
    uint8_t ciphertext[D_ENVELOPE_CIPHERTEXT];
};

struct d_text {
    uint64_t id;
    uint32_t error; /* KMS_ANSWER: it is no text; LIMIT: that was so too often */
    uint32_t len;
    char text[D_TEXT_MAX]; /* with zeros behind it */
};

extern const struct door_type door_documents_to_vault[];
extern const struct door_type door_documents_to_core[];

#endif
