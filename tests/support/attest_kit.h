/* support/attest_kit.h - an authority of AWS's shape, and documents that it vouches for, in C.
 *
 * WHAT      Five certificates (root, region, zone, instance, document) and COSE_Sign1 documents; a test says in which point
 *           they differ from right ones.
 */
#ifndef SUPPORT_ATTEST_KIT_H
#define SUPPORT_ATTEST_KIT_H

#include <openssl/evp.h>

#include "base/span.h"

#include "attest/document.h"

enum {
    KIT_ROOT,
    KIT_REGION,
    KIT_ZONE,
    KIT_INSTANCE,
    KIT_LEAF,
    KIT_CERTIFICATES
};

struct kit_certificate {
    const char *curve;
    const char *digest;
    const char *constraints; /* NULL: none */
    const char *usage;       /* NULL: none */
    const char *strange;     /* a critical extension that nobody knows; NULL: none */
    int64_t from_s;          /* after the kit's time */
    int64_t to_s;
    int signer; /* which one's key signs it */
    int issuer; /* which one's name it bears as that of its issuer */
    int version;
};

struct attest_kit {
    uint64_t now_ms;
    struct kit_certificate shape[KIT_CERTIFICATES];
    EVP_PKEY *key[KIT_CERTIFICATES];
    struct buf der[KIT_CERTIFICATES];
};

/* The right shape, to be changed before kit_make(). */
void kit_shape(struct attest_kit *kit);
void kit_make(struct attest_kit *kit);
void kit_free(struct attest_kit *kit);

/* What a document says. Spans with data NULL are null in it. */
struct kit_claims {
    uint64_t timestamp_ms;
    struct attest_pcrs pcrs;
    struct span user_data;
    struct span nonce;
    struct span public_key;
    const struct span *bundle; /* NULL: the kit's */
    uint32_t bundle_count;
};

/* PCR0 to 2 not zero, 3 to 15 zero, made at the kit's time. */
struct kit_claims kit_claims(const struct attest_kit *kit);
/* Both overwrite the buf. */
void kit_payload(const struct attest_kit *kit,
                 const struct kit_claims *claims,
                 struct buf *ret_payload);
void kit_document_sign(const struct attest_kit *kit, struct span payload, struct buf *ret_document);
void kit_document(const struct attest_kit *kit,
                  const struct kit_claims *claims,
                  struct buf *ret_document);

#endif
