#include "crypto/bls.h"

#include <blst.h>
#include <blst_aux.h>
#include <string.h>

#include "secret/ct.h"
#include "secret/wipe.h"

_Static_assert(sizeof(struct bls_secret) == sizeof(blst_scalar), "a secret is a blst scalar");
_Static_assert(sizeof(struct bls_hash) == sizeof(blst_p2), "a hash is a point of G2");

static const uint8_t dst[] = "BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";
enum {
    DST_LEN = sizeof dst - 1
};

/* The scalar and the hash lie in memory that is aligned for blst's types; only their names differ. */
static const blst_scalar *scalar_of(const struct bls_secret *secret)
{
    return (const blst_scalar *)(const void *)secret;
}

CC_SENSITIVE CC_ERR bls_secret_parse(const uint8_t big_endian[static BLS_SECRET_SIZE],
                                     struct bls_secret *ret_secret)
{
    blst_scalar_from_bendian((blst_scalar *)(void *)ret_secret, big_endian);
    if (!blst_sk_check(scalar_of(ret_secret))) {
        wipe(ret_secret, sizeof *ret_secret);
        return CC_FAIL(KEY_INVALID, "the secret key is zero or not below the group order");
    }
    return CC_OK;
}

CC_SENSITIVE void bls_secret_bytes(const struct bls_secret *secret,
                                   uint8_t ret_big_endian[static BLS_SECRET_SIZE])
{
    blst_bendian_from_scalar(ret_big_endian, scalar_of(secret));
}

CC_SENSITIVE void bls_derive_master(struct span seed, struct bls_secret *ret_master)
{
    blst_derive_master_eip2333((blst_scalar *)(void *)ret_master, seed.data, seed.len);
}

CC_SENSITIVE void
bls_derive_child(const struct bls_secret *parent, uint32_t index, struct bls_secret *ret_child)
{
    CC_CLEANUP(bls_secret_wipep) struct bls_secret from = *parent;
    blst_derive_child_eip2333((blst_scalar *)(void *)ret_child, scalar_of(&from), index);
}

CC_SENSITIVE void bls_secret_public(const struct bls_secret *secret,
                                    uint8_t ret_public[static BLS_PUBLIC_SIZE])
{
    blst_p1 point;
    blst_sk_to_pk_in_g1(&point, scalar_of(secret));
    blst_p1_compress(ret_public, &point);
}

void bls_hash(const uint8_t root[static BLS_ROOT_SIZE], struct bls_hash *ret_hash)
{
    blst_hash_to_g2((blst_p2 *)(void *)ret_hash, root, BLS_ROOT_SIZE, dst, DST_LEN, NULL, 0);
}

CC_SENSITIVE void bls_sign(const struct bls_secret *secret,
                           const struct bls_hash *hash,
                           uint8_t ret_signature[static BLS_SIGNATURE_SIZE])
{
    blst_p2 point;
    blst_sign_pk_in_g1(&point, (const blst_p2 *)(const void *)hash, scalar_of(secret));
    CT_DECLASSIFY(&point, sizeof point);
    blst_p2_compress(ret_signature, &point);
}

static bool decode_public(const uint8_t bytes[static BLS_PUBLIC_SIZE], blst_p1_affine *ret_point)
{
    return blst_p1_uncompress(ret_point, bytes) == BLST_SUCCESS && blst_p1_affine_in_g1(ret_point);
}

static bool decode_signature(const uint8_t bytes[static BLS_SIGNATURE_SIZE],
                             blst_p2_affine *ret_point)
{
    return blst_p2_uncompress(ret_point, bytes) == BLST_SUCCESS && blst_p2_affine_in_g2(ret_point);
}

bool bls_public_decodes(const uint8_t public_key[static BLS_PUBLIC_SIZE])
{
    blst_p1_affine point;
    return decode_public(public_key, &point);
}

bool bls_signature_decodes(const uint8_t signature[static BLS_SIGNATURE_SIZE])
{
    blst_p2_affine point;
    return decode_signature(signature, &point);
}

CC_ERR bls_verify(const uint8_t public_key[static BLS_PUBLIC_SIZE],
                  const uint8_t root[static BLS_ROOT_SIZE],
                  const uint8_t signature[static BLS_SIGNATURE_SIZE])
{
    blst_p1_affine pk;
    blst_p2_affine sig;
    if (!decode_public(public_key, &pk) || blst_p1_affine_is_inf(&pk))
        return CC_FAIL(CRYPTO, "not a public key");
    if (!decode_signature(signature, &sig))
        return CC_FAIL(CRYPTO, "not a signature");
    if (blst_core_verify_pk_in_g1(&pk, &sig, true, root, BLS_ROOT_SIZE, dst, DST_LEN, NULL, 0) !=
        BLST_SUCCESS)
        return CC_FAIL(CRYPTO, "the signature does not fit");
    return CC_OK;
}
