#include "support/batch_rig.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/sha256.h"
#include "support/test.h"

struct batch_rig *rig_new(enum batch_engine wanted)
{
    struct batch_rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    assert_int_equal(batch_signer_new(wanted, &rig->signer).code, 0);
    assert_int_equal(batch_work_new(rig->signer, &rig->work).code, 0);
    return rig;
}

void rig_free(struct batch_rig *rig)
{
    batch_work_free(rig->work);
    batch_signer_free(rig->signer);
    free(rig);
}

void rig_clear(struct batch_rig *rig)
{
    rig->n = 0;
}

static void number(uint64_t n, uint8_t ret_big_endian[static 32])
{
    memset(ret_big_endian, 0, 32);
    for (size_t i = 0; i < sizeof n; i++)
        ret_big_endian[31 - i] = (uint8_t)(n >> (8 * i));
}

void rig_scalar(uint64_t seed, uint8_t ret_big_endian[static BLS_SECRET_SIZE])
{
    uint8_t bytes[32];
    number(seed, bytes);
    sha256(span_of(bytes, sizeof bytes), ret_big_endian);
    ret_big_endian[0] &= 0x3f; /* below r */
}

void rig_add_secret(struct batch_rig *rig, const struct bls_secret *secret, uint64_t root)
{
    assert_true(rig->n < BATCH_MAX);
    const size_t i = rig->n++;
    struct rig_key *key = &rig->keys[i];
    key->secret = *secret;
    atomic_init(&key->keep_on_blst, false);
    number(root, rig->roots[i]);
    rig->roots[i][0] = (uint8_t)root; /* as a real root's, its first byte spreads */
    memset(rig->signatures[i], 0, BLS_SIGNATURE_SIZE);
    rig->items[i] = (struct batch_item){.secret = &key->secret,
                                        .root = rig->roots[i],
                                        .slot_public = key->public_key,
                                        .claim_public = key->public_key,
                                        .keep_on_blst = &key->keep_on_blst,
                                        .ret_signature = rig->signatures[i],
                                        .error = UINT32_MAX};
}

void rig_add_scalar(struct batch_rig *rig,
                    const uint8_t big_endian[static BLS_SECRET_SIZE],
                    uint64_t root)
{
    struct bls_secret secret;
    assert_int_equal(bls_secret_parse(big_endian, &secret).code, 0);
    rig_add_secret(rig, &secret, root);
    bls_secret_public(&secret, rig->keys[rig->n - 1].public_key);
}

void rig_add(struct batch_rig *rig, uint64_t key, uint64_t root)
{
    uint8_t bytes[BLS_SECRET_SIZE];
    number(key, bytes);
    rig_add_scalar(rig, bytes, root);
}

void rig_sign(struct batch_rig *rig)
{
    batch_sign(rig->work, rig->items, rig->n);
}

size_t rig_right(const struct batch_rig *rig)
{
    size_t right = 0;
    struct bls_hash hash;
    uint8_t want[BLS_SIGNATURE_SIZE];
    for (size_t i = 0; i < rig->n; i++) {
        const struct batch_item *item = &rig->items[i];
        if (i == 0 || memcmp(rig->roots[i], rig->roots[i - 1], BLS_ROOT_SIZE) != 0)
            bls_hash(item->root, &hash);
        bls_sign(item->secret, &hash, want);
        right += item->error == 0 && memcmp(item->ret_signature, want, sizeof want) == 0;
    }
    return right;
}

struct batch_counts rig_counts(const struct batch_rig *rig)
{
    struct batch_counts counts;
    batch_signer_counts(rig->signer, &counts);
    return counts;
}
