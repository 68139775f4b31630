/* seal/kms.h - shares of the wrapping key under KMS keys.
 *
 * WHAT      Share i (x = i + 1) of a set, or of what else is shared out, lies under keys[i]: any account, any region. All keys are asked at the
 *           same time, from one thread.
 * PROMISE   Wrapping gives ciphertexts that have been opened again, by the same role, to the same shares, or fails: a set whose keys can be
 *           used one way alone is never stored. What only another image may open is not tried. Unwrapping ends within its time, with
 *           what the keys that work have opened; as soon as these are enough the others have little time left. Purpose, chamber, generation
 *           of what is shared, index, count and threshold, and the image's PCR0 where there is one, are the encryption context: a
 *           ciphertext of another set, or of another place in it, is not opened (T18). Each key's trouble is
 *           told, and named in the log. With an attester each Decrypt bears an attestation document of its own, and gives shares that only
 *           the vault can open: no plain text is taken then, and it is the caller who has the vault compare them with their commitments.
 * THREADS   One at a time. Opened before any thread is made and before the sandbox's lock; makes none.
 * OWNERSHIP Borrows the session until seal_kms_close().
 * ERRORS    Those of aws/client.h and aws/kms.h; CONFIG for a key that is none, KMS_ANSWER also for a share that comes back another one.
 * SECRETS   The shares: in bodies and answers, wiped at the end of each call.
 */
#ifndef SEAL_KMS_H
#define SEAL_KMS_H

#include "aws/session.h"
#include "seal/record.h"

struct seal_kms;

/* Inside an enclave: appends a fresh document, whose public key is the vault's. */
struct seal_kms_attester {
    cc_err (*attest)(void *context, struct buf *ret_document);
    void *context;
};

struct seal_kms_options {
    const struct seal_kms_attester
        *attester;    /* NULL: not in an enclave; its context is borrowed until seal_kms_close() */
    uint32_t wrap_ms; /* 0: 6000: both ways together */
    uint32_t unwrap_ms; /* 0: 4000 */
    uint32_t grace_ms;  /* 0: 300, for the rest when enough have answered */
};

/* NULL options: the defaults. */
CC_ERR seal_kms_open(struct aws_session *session,
                     const uint8_t chamber_id[static 32],
                     const struct seal_kms_options *options,
                     struct seal_kms **ret_kms);
/* Takes NULL. */
void seal_kms_close(struct seal_kms *kms);

/* What is shared out, and between how many: with the chamber and a share's index it is the encryption context. */
struct seal_kms_sharing {
    const char *purpose; /* "seal-share", ... */
    uint32_t generation; /* that the secret was made in */
    uint32_t count;
    uint32_t threshold;
    const char *pcr0; /* in hex: of the image that it is for; NULL: of none in particular */
};

/* Fills the ciphertexts of all keys, or fails and leaves them as they were. ret_opened: what they open to, which the caller wipes; NULL: that is
 * not tried.
 */
CC_ERR seal_kms_wrap_for(struct seal_kms *kms,
                         const struct seal_kms_sharing *sharing,
                         struct seal_kms_key *keys,
                         const uint8_t (*shares)[SEAL_SHARE_SIZE],
                         struct seal_opened *ret_opened);
/* As seal_kms_unwrap(). */
void seal_kms_unwrap_for(struct seal_kms *kms,
                         const struct seal_kms_sharing *sharing,
                         const struct seal_kms_key *keys,
                         uint32_t ret_errors[static SEAL_KMS_MAX],
                         struct seal_opened *ret_opened);

/* Fills the ciphertexts of all keys of the set (set->kms.count), or fails and leaves them as they were. ret_opened: what they open to, which the
 * caller wipes.
 */
CC_ERR seal_kms_wrap(struct seal_kms *kms,
                     const struct seal_set *set,
                     struct seal_kms_key *keys,
                     const uint8_t (*shares)[SEAL_SHARE_SIZE],
                     struct seal_opened *ret_opened);
/* Opens what it can: ret_errors[i] is an enum error_code, 0 where ret_opened[i] is filled. */
void seal_kms_unwrap(struct seal_kms *kms,
                     const struct seal_set *set,
                     const struct seal_kms_key *keys,
                     uint32_t ret_errors[static SEAL_KMS_MAX],
                     struct seal_opened *ret_opened);

#endif
