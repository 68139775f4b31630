/* state/head.h - what the vault signs to vouch for the state store.
 *
 * WHAT      The head lists every record by kind, name, version, generation and SHA-256, under a generation of its own
 *           that goes up by one with each change. Its bytes are canonical: fixed order, fixed widths, nothing to choose.
 * PROMISE   A store whose head verifies holds exactly the records that the chamber's vault was shown: none missing,
 *           changed, added, or older than the head says (T2). Which record fails is said by name.
 * THREADS   Any: pure.
 * OWNERSHIP Borrows; encoded bytes go to the caller's buf.
 * ERRORS    TAMPERED, LIMIT, NO_MEMORY.
 * SECRETS   None: records are public or sealed.
 */
#ifndef STATE_HEAD_H
#define STATE_HEAD_H

#include "base/error.h"
#include "base/span.h"

#include "crypto/ed25519.h"
#include "crypto/sha256.h"

enum {
    STATE_RECORD_MAX = 65536, /* bytes */
    STATE_RECORDS_MAX = 1024,
    STATE_RECORDS_KEPT = 32, /* of them: room for what an emergency needs (state/store.c) */
    STATE_KIND_SIZE = 16,    /* with the terminator */
    STATE_NAME_SIZE = 64,
    STATE_HEAD_MAX = 64 + STATE_RECORDS_MAX * 144, /* bytes of an encoded head */
};

struct state_record {
    char kind[STATE_KIND_SIZE]; /* [a-z0-9_-]+ */
    char name[STATE_NAME_SIZE]; /* [a-z0-9._-]+ */
    uint64_t version;           /* 1 when made, up by one with each change */
    uint64_t generation;        /* of the head that wrote it */
    uint8_t *bytes;
    size_t len;
};

/* A store's content: what a backend reads in one snapshot. Records in order of kind, then name. */
struct state_image {
    uint64_t generation; /* 0: no head yet */
    struct buf head;
    uint8_t signature[ED25519_SIGNATURE_SIZE];
    struct state_record *records;
    size_t count;
};

/* Which head it is, without what it lists: two heads of one generation differ in their signatures. */
struct state_mark {
    uint64_t generation; /* 0: none, and no signature */
    uint8_t signature[ED25519_SIGNATURE_SIZE];
};

/* What is wrong, and with which record; for the log. */
struct state_fault {
    const char *what; /* a static sentence; NULL: nothing */
    char kind[STATE_KIND_SIZE];
    char name[STATE_NAME_SIZE];
};

/* -1, 0 or 1, by kind, then name. */
int state_record_order(const char *kind_a,
                       const char *name_a,
                       const char *kind_b,
                       const char *name_b);

/* Encodes the head of `records` (in order) for the chamber. */
CC_ERR state_head_encode(const uint8_t chamber_id[static 32],
                         uint64_t generation,
                         const struct state_record *records,
                         size_t count,
                         struct buf *ret_head);
/* What is signed: the vault's B_DIGEST(STATE_HEAD) takes it. */
void state_head_digest(struct span head, uint8_t ret_digest[static SHA256_SIZE]);

/* Checks signature, generation and every record of `image`. */
CC_ERR state_image_verify(const struct state_image *image,
                          const uint8_t chamber_id[static 32],
                          const uint8_t identity_public[static ED25519_PUBLIC_SIZE],
                          struct state_fault *ret_fault);
void state_image_release(struct state_image *image);

void state_image_mark(const struct state_image *image, struct state_mark *ret_mark);
bool state_mark_equal(const struct state_mark *a, const struct state_mark *b);

#endif
