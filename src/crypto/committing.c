#include "crypto/committing.h"

#include <string.h>

#include "crypto/aead.h"
#include "crypto/kdf.h"
#include "crypto/random.h"
#include "secret/ct.h"
#include "secret/wipe.h"

enum {
    COMMITMENT_SIZE = 32
};
_Static_assert(COMMITMENT_SIZE + AEAD_OVERHEAD == COMMITTING_OVERHEAD, "commitment, nonce, tag");

/* The key, then the commitment. The place is bound by the info already, so the cipher needs no associated data of its own. */
static void derive(const uint8_t key[static COMMITTING_KEY_SIZE],
                   const struct committing_place *place,
                   const uint8_t nonce[static AEAD_NONCE_SIZE],
                   struct secret64 *ret_derived)
{
    uint8_t info[COMMITTING_INFO_MAX];
    const size_t len = place->label.len + place->data.len;
    cc_assert(len <= sizeof info);
    memcpy(info, place->label.data, place->label.len);
    if (place->data.len)
        memcpy(info + place->label.len, place->data.data, place->data.len);
    kdf_hkdf_sha256(span_of(key, COMMITTING_KEY_SIZE), span_of(nonce, AEAD_NONCE_SIZE),
                    span_of(info, len), ret_derived->bytes, sizeof ret_derived->bytes);
}

CC_SENSITIVE CC_ERR committing_seal(const uint8_t key[static COMMITTING_KEY_SIZE],
                                    const struct committing_place *place,
                                    struct span plain,
                                    uint8_t *ret_blob)
{
    WIPED64 struct secret64 derived;
    uint8_t nonce[AEAD_NONCE_SIZE];
    cc_err err = random_bytes(nonce, sizeof nonce);
    if (!err.code) {
        derive(key, place, nonce, &derived);
        memcpy(ret_blob, derived.bytes + AEAD_KEY_SIZE, COMMITMENT_SIZE);
        err = aead_seal_at(derived.bytes, nonce, span_of("", 0), plain, ret_blob + COMMITMENT_SIZE);
    }
    if (err.code)
        wipe(ret_blob, plain.len + COMMITTING_OVERHEAD);
    return err;
}

CC_SENSITIVE CC_ERR committing_open(const uint8_t key[static COMMITTING_KEY_SIZE],
                                    const struct committing_place *place,
                                    struct span blob,
                                    uint8_t *ret_plain)
{
    WIPED64 struct secret64 derived;
    if (blob.len < COMMITTING_OVERHEAD)
        return CC_FAIL(TAMPERED, "a sealed blob of impossible length");
    derive(key, place, blob.data + COMMITMENT_SIZE, &derived);
    wipe(ret_plain, blob.len - COMMITTING_OVERHEAD);
    if (!ct_equal(derived.bytes + AEAD_KEY_SIZE, blob.data, COMMITMENT_SIZE))
        return CC_FAIL(TAMPERED, "a sealed blob does not open");
    return aead_open(derived.bytes, span_of("", 0),
                     span_of(blob.data + COMMITMENT_SIZE, blob.len - COMMITMENT_SIZE), ret_plain);
}
