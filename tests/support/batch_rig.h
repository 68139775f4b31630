/* support/batch_rig.h - keys and batches for the batch signer, and what blst says about them. */
#ifndef SUPPORT_BATCH_RIG_H
#define SUPPORT_BATCH_RIG_H

#include "crypto/batch.h"

struct rig_key {
    struct bls_secret secret;
    uint8_t public_key[BLS_PUBLIC_SIZE];
    atomic_bool keep_on_blst;
};

struct batch_rig {
    struct batch_signer *signer;
    struct batch_work *work;
    size_t n;
    struct rig_key keys[BATCH_MAX];
    uint8_t roots[BATCH_MAX][BLS_ROOT_SIZE];
    struct batch_item items[BATCH_MAX];
    uint8_t signatures[BATCH_MAX][BLS_SIGNATURE_SIZE];
};

/* A rig without items. */
struct batch_rig *rig_new(enum batch_engine wanted);
void rig_free(struct batch_rig *rig);
/* Empties it; the signer and its caches stay. */
void rig_clear(struct batch_rig *rig);

/* Adds an item: a key by its small number, or by its 32 big-endian bytes; a root by its number. */
void rig_add(struct batch_rig *rig, uint64_t key, uint64_t root);
void rig_add_scalar(struct batch_rig *rig,
                    const uint8_t big_endian[static BLS_SECRET_SIZE],
                    uint64_t root);
/* The same with a key whose public key nobody needs. */
void rig_add_secret(struct batch_rig *rig, const struct bls_secret *secret, uint64_t root);
/* Fills 32 bytes that depend on `seed` alone and are no secret key's edge. */
void rig_scalar(uint64_t seed, uint8_t ret_big_endian[static BLS_SECRET_SIZE]);

void rig_sign(struct batch_rig *rig);
/* How many items without an error carry what blst signs. */
size_t rig_right(const struct batch_rig *rig);
struct batch_counts rig_counts(const struct batch_rig *rig);

#endif
