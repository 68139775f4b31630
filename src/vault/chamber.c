#include "vault/chamber.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"

#include "crypto/aead.h"
#include "crypto/kdf.h"
#include "crypto/random.h"
#include "seal/challenge.h"
#include "secret/ct.h"
#include "secret/wipe.h"
#include "vault/chamber_key.h"

/* Each label is also the begin of the AAD or message that it goes with, its zero byte included (docs/formats.md). */
static const char label_root[] = "containment-chamber/sealed-master/v1";
static const char label_identity[] = "containment-chamber/sealed-identity/v1";
static const char label_history[] = "containment-chamber/history-identity/v1";
static const char label_mirror[] = "containment-chamber/history-mirror/v1";
static const char label_audit[] = "containment-chamber/audit/v1";
static const char label_head[] = "containment-chamber/state-head/v1";
static const char label_hand_over[] = "containment-chamber/hand-over/v1";
static const char *const labels_for_sets[] = {
    [CHAMBER_KEY_MASTER] = "containment-chamber/local-master/v1",
    [CHAMBER_KEY_SETS] = "containment-chamber/seal-set/v1",
    [CHAMBER_KEY_FAKES] = "containment-chamber/fake-operator/v1",
};

struct chamber {
    pthread_mutex_t lock; /* guards all below */
    struct arena *arena;
    enum room_mode mode;
    bool open;
    bool named; /* was open: `id` and `identity_public` are the ones of this life */
    bool sealed;
    bool history_known;
    uint8_t id[32];
    uint8_t identity_public[ED25519_PUBLIC_SIZE];
    uint8_t history[32];                   /* the digest that this life is bound to */
    struct secret *key;                    /* chamber.key; NULL when not given or used */
    struct secret *seed;                   /* of the identity; while open */
    struct secret *history_key;            /* while open */
    struct secret *mirror_key;             /* while open */
    struct secret *audit_key;              /* while open */
    struct secret *for_sets[CHAMBER_KEYS]; /* while open */
    bool audit_bound;                      /* a segment's key was given in this life: */
    uint64_t audit_index;                  /* the last one */
    uint8_t audit_context[B_CONTEXT_SIZE];
};

static void lock(struct chamber *c)
{
    cc_assert(pthread_mutex_lock(&c->lock) == 0);
}

static void unlock(struct chamber *c)
{
    cc_assert(pthread_mutex_unlock(&c->lock) == 0);
}

CC_ERR chamber_new(struct arena *arena, struct chamber **ret_chamber)
{
    struct chamber *c = cc_alloc(sizeof *c);
    if (!c)
        return CC_FAIL(NO_MEMORY, "chamber");
    c->arena = arena;
    c->mode = ROOM_MODE_SERVE;
    cc_assert(pthread_mutex_init(&c->lock, NULL) == 0);
    *ret_chamber = c;
    return CC_OK;
}

static void drop(struct chamber *c, struct secret **slot)
{
    arena_release(c->arena, *slot);
    *slot = NULL;
}

static void drop_all(struct chamber *c)
{
    drop(c, &c->key);
    drop(c, &c->seed);
    drop(c, &c->history_key);
    drop(c, &c->mirror_key);
    drop(c, &c->audit_key);
    for (size_t i = 0; i < CHAMBER_KEYS; i++)
        drop(c, &c->for_sets[i]);
    c->open = false;
}

void chamber_free(struct chamber *chamber)
{
    if (!chamber)
        return;
    drop_all(chamber);
    (void)pthread_mutex_destroy(&chamber->lock);
    cc_free(chamber);
}

void chamber_set_mode(struct chamber *chamber, enum room_mode mode)
{
    lock(chamber);
    chamber->mode = mode;
    unlock(chamber);
}

CC_ERR chamber_take_key(struct chamber *chamber, int fd)
{
    lock(chamber);
    cc_err err = CC_OK;
    if (!chamber->key)
        err = arena_take(chamber->arena, &chamber->key);
    if (!err.code)
        err = chamber_key_read(fd, chamber->key);
    if (err.code)
        drop(chamber, &chamber->key);
    unlock(chamber);
    return err;
}

static cc_err put_key(struct chamber *c, const uint8_t key[static SECRET_SIZE])
{
    if (c->sealed)
        return CC_FAIL(SEALED, "the vault was sealed in this life");
    if (c->open || c->key)
        return CC_FAIL(EXISTS, "this life has its key");
    CC_TRY(arena_take(c->arena, &c->key));
    memcpy(secret_borrow_mut(c->key), key, SECRET_SIZE);
    return CC_OK;
}

CC_ERR chamber_put_key(struct chamber *chamber, const uint8_t key[static SECRET_SIZE])
{
    lock(chamber);
    cc_err err = put_key(chamber, key);
    unlock(chamber);
    return err;
}

bool chamber_has_key(struct chamber *chamber)
{
    lock(chamber);
    const bool has = chamber->open || chamber->key;
    unlock(chamber);
    return has;
}

CC_ERR chamber_check_unsealed(struct chamber *chamber)
{
    lock(chamber);
    const bool sealed = chamber->sealed;
    unlock(chamber);
    return sealed ? CC_FAIL(SEALED, "the vault was sealed in this life") : CC_OK;
}

/* HKDF(key, salt = chamber id, info = label). */
static void
derive(const struct chamber *c, const uint8_t key[static 32], struct span label, uint8_t *ret_key)
{
    kdf_hkdf_sha256(span_of(key, 32), span_of(c->id, sizeof c->id), label, ret_key, 32);
}

struct aad {
    size_t len;
    uint8_t bytes[sizeof label_identity + 32 + ED25519_PUBLIC_SIZE];
};

/* label, zero byte, chamber id, identity: all but the label have a fixed length. */
static struct aad aad_of(const struct chamber *c, struct span label)
{
    struct aad aad = {.len = label.len + sizeof c->id + sizeof c->identity_public};
    cc_assert(aad.len <= sizeof aad.bytes);
    memcpy(aad.bytes, label.data, label.len);
    memcpy(aad.bytes + label.len, c->id, sizeof c->id);
    memcpy(aad.bytes + label.len + sizeof c->id, c->identity_public, sizeof c->identity_public);
    return aad;
}

#define LABEL(text) span_of((text), sizeof(text)) /* with its zero byte */

static CC_SENSITIVE cc_err seal32(const struct chamber *c,
                                  const uint8_t key[static 32],
                                  struct span label,
                                  const uint8_t plain[static 32],
                                  uint8_t *ret_sealed)
{
    WIPED32 struct secret32 wrapping;
    struct aad aad = aad_of(c, label);
    derive(c, key, label, wrapping.bytes);
    return aead_seal(wrapping.bytes, span_of(aad.bytes, aad.len), span_of(plain, 32), ret_sealed);
}

static CC_SENSITIVE cc_err open32(const struct chamber *c,
                                  const uint8_t key[static 32],
                                  struct span label,
                                  const uint8_t *sealed,
                                  uint8_t *ret_plain)
{
    WIPED32 struct secret32 wrapping;
    struct aad aad = aad_of(c, label);
    derive(c, key, label, wrapping.bytes);
    return aead_open(wrapping.bytes, span_of(aad.bytes, aad.len), span_of(sealed, SEALED_KEY_SIZE),
                     ret_plain);
}

/* Takes the slots that an open chamber holds. */
static cc_err take_slots(struct chamber *c)
{
    CC_TRY(arena_take(c->arena, &c->seed));
    CC_TRY(arena_take(c->arena, &c->mirror_key));
    CC_TRY(arena_take(c->arena, &c->audit_key));
    for (size_t i = 0; i < CHAMBER_KEYS; i++)
        CC_TRY(arena_take(c->arena, &c->for_sets[i]));
    return arena_take(c->arena, &c->history_key);
}

static void derive_subkeys(struct chamber *c, const uint8_t root[static 32])
{
    derive(c, root, LABEL(label_history), secret_borrow_mut(c->history_key));
    derive(c, root, LABEL(label_mirror), secret_borrow_mut(c->mirror_key));
    derive(c, root, LABEL(label_audit), secret_borrow_mut(c->audit_key));
    for (size_t i = 0; i < CHAMBER_KEYS; i++)
        derive(c, root, span_of(labels_for_sets[i], strlen(labels_for_sets[i]) + 1),
               secret_borrow_mut(c->for_sets[i]));
}

static CC_SENSITIVE cc_err create_locked(struct chamber *c, struct b_chamber *ret_stored)
{
    WIPED32 struct secret32 root;
    CC_TRY(take_slots(c));
    uint8_t *seed = secret_borrow_mut(c->seed);
    CC_TRY(random_bytes(root.bytes, sizeof root.bytes));
    CC_TRY(random_bytes(seed, SECRET_SIZE));
    CC_TRY(random_bytes(c->id, sizeof c->id));
    ed25519_public(seed, c->identity_public);
    CC_TRY(
        seal32(c, secret_borrow(c->key), LABEL(label_root), root.bytes, ret_stored->sealed_root));
    CC_TRY(seal32(c, root.bytes, LABEL(label_identity), seed, ret_stored->sealed_identity));
    derive_subkeys(c, root.bytes);
    memcpy(ret_stored->chamber_id, c->id, sizeof c->id);
    memcpy(ret_stored->identity_public, c->identity_public, sizeof c->identity_public);
    return CC_OK;
}

static CC_SENSITIVE cc_err open_locked(struct chamber *c, const struct b_chamber *stored)
{
    WIPED32 struct secret32 root;
    uint8_t derived[ED25519_PUBLIC_SIZE];
    CC_TRY(take_slots(c));
    uint8_t *seed = secret_borrow_mut(c->seed);
    memcpy(c->id, stored->chamber_id, sizeof c->id);
    memcpy(c->identity_public, stored->identity_public, sizeof c->identity_public);
    CC_TRY(open32(c, secret_borrow(c->key), LABEL(label_root), stored->sealed_root, root.bytes));
    CC_TRY(open32(c, root.bytes, LABEL(label_identity), stored->sealed_identity, seed));
    ed25519_public(seed, derived);
    if (!ct_equal(derived, c->identity_public, sizeof derived))
        return CC_FAIL(IDENTITY, "the sealed identity is not the one that is named");
    derive_subkeys(c, root.bytes);
    return CC_OK;
}

/* Ends create and open: all of it is there, or nothing but chamber.key. */
static cc_err settle(struct chamber *c, cc_err err)
{
    if (err.code) {
        drop(c, &c->seed);
        drop(c, &c->history_key);
        drop(c, &c->mirror_key);
        drop(c, &c->audit_key);
        for (size_t i = 0; i < CHAMBER_KEYS; i++)
            drop(c, &c->for_sets[i]);
        return err;
    }
    drop(c, &c->key);
    c->open = true;
    c->named = true;
    return CC_OK;
}

static cc_err ready_to_begin(const struct chamber *c)
{
    if (c->sealed)
        return CC_FAIL(SEALED, "the vault was sealed in this life");
    return c->key ? CC_OK : CC_FAIL(SEALED, "no chamber.key was given");
}

CC_ERR chamber_create(struct chamber *chamber, struct b_chamber *ret_stored)
{
    lock(chamber);
    cc_err err = CC_OK;
    if (chamber->mode != ROOM_MODE_INIT)
        err = CC_FAIL(DENIED, "a chamber is only made by init");
    else if (chamber->open)
        err = CC_FAIL(EXISTS, "this life has its chamber");
    else
        err = ready_to_begin(chamber);
    if (!err.code)
        err = settle(chamber, create_locked(chamber, ret_stored));
    unlock(chamber);
    return err;
}

CC_ERR chamber_open(struct chamber *chamber, const struct b_chamber *stored)
{
    lock(chamber);
    cc_err err = CC_OK;
    if (chamber->open) {
        if (!ct_equal(chamber->id, stored->chamber_id, sizeof chamber->id) ||
            !ct_equal(chamber->identity_public, stored->identity_public,
                      sizeof chamber->identity_public))
            err = CC_FAIL(IDENTITY, "another chamber is open in this life");
    } else {
        err = ready_to_begin(chamber);
        if (!err.code)
            err = settle(chamber, open_locked(chamber, stored));
    }
    unlock(chamber);
    return err;
}

enum {
    LABEL_MAX = sizeof label_identity
};
_Static_assert(sizeof label_head <= LABEL_MAX && sizeof label_hand_over <= LABEL_MAX, "labels fit");

static cc_err check_open(const struct chamber *c)
{
    return c->open ? CC_OK : CC_FAIL(SEALED, "the chamber is not open");
}

/* What is only done for a history that was shown to be the chamber's. */
static cc_err check_greeted(const struct chamber *c)
{
    CC_TRY(check_open(c));
    return c->history_known ? CC_OK : CC_FAIL(IDENTITY, "no history was proved in this life");
}

/* Ed25519(label, digest). The caller holds the lock; the chamber is open. */
static void sign_digest(const struct chamber *c,
                        struct span label,
                        const uint8_t digest[static 32],
                        uint8_t ret_signature[static ED25519_SIGNATURE_SIZE])
{
    uint8_t message[LABEL_MAX + 32];
    memcpy(message, label.data, label.len);
    memcpy(message + label.len, digest, 32);
    ed25519_sign(secret_borrow(c->seed), span_of(message, label.len + 32), ret_signature);
}

CC_ERR chamber_sign_head(struct chamber *chamber,
                         const uint8_t digest[static 32],
                         uint8_t ret_signature[static ED25519_SIGNATURE_SIZE])
{
    lock(chamber);
    cc_err err = check_open(chamber);
    if (!err.code)
        sign_digest(chamber, LABEL(label_head), digest, ret_signature);
    unlock(chamber);
    return err;
}

CC_ERR chamber_sign_hand_over(struct chamber *chamber,
                              const uint8_t digest[static 32],
                              uint8_t ret_signature[static ED25519_SIGNATURE_SIZE])
{
    lock(chamber);
    cc_err err = check_greeted(chamber);
    if (!err.code)
        sign_digest(chamber, LABEL(label_hand_over), digest, ret_signature);
    unlock(chamber);
    return err;
}

CC_ERR chamber_sign_challenge(struct chamber *chamber, struct seal_challenge *challenge)
{
    struct challenge_bytes bytes;
    CC_TRY(challenge_check(challenge));
    challenge_encode(challenge, &bytes);
    lock(chamber);
    cc_err err = check_open(chamber);
    if (!err.code)
        ed25519_sign(secret_borrow(chamber->seed), span_of(bytes.bytes, bytes.len),
                     challenge->signature);
    unlock(chamber);
    return err;
}

/* `slot` is the chamber's own, and empty until it is open. */
static cc_err
lend(struct chamber *chamber, struct secret *const *slot, uint8_t ret_key[static MAC_SIZE])
{
    lock(chamber);
    cc_err err = check_greeted(chamber);
    if (!err.code)
        memcpy(ret_key, secret_borrow(*slot), MAC_SIZE);
    unlock(chamber);
    return err;
}

CC_ERR chamber_mirror_key(struct chamber *chamber, uint8_t ret_key[static MAC_SIZE])
{
    return lend(chamber, &chamber->mirror_key, ret_key);
}

bool chamber_name(struct chamber *chamber,
                  uint8_t ret_chamber_id[static 32],
                  uint8_t ret_identity_public[static ED25519_PUBLIC_SIZE])
{
    lock(chamber);
    const bool named = chamber->named;
    if (named) {
        memcpy(ret_chamber_id, chamber->id, sizeof chamber->id);
        memcpy(ret_identity_public, chamber->identity_public, sizeof chamber->identity_public);
    }
    unlock(chamber);
    return named;
}

CC_ERR chamber_get_id(struct chamber *chamber, uint8_t ret_chamber_id[static 32])
{
    lock(chamber);
    cc_err err = check_open(chamber);
    if (!err.code)
        memcpy(ret_chamber_id, chamber->id, sizeof chamber->id);
    unlock(chamber);
    return err;
}

CC_ERR chamber_check_greeted(struct chamber *chamber)
{
    lock(chamber);
    cc_err err = check_greeted(chamber);
    unlock(chamber);
    return err;
}

CC_ERR chamber_lend_key(struct chamber *chamber,
                        enum chamber_key which,
                        uint8_t ret_key[static SECRET_SIZE],
                        uint8_t ret_chamber_id[static 32])
{
    lock(chamber);
    cc_err err = check_open(chamber);
    if (!err.code) {
        memcpy(ret_key, secret_borrow(chamber->for_sets[which]), SECRET_SIZE);
        memcpy(ret_chamber_id, chamber->id, sizeof chamber->id);
    }
    unlock(chamber);
    return err;
}

bool chamber_is_new(struct chamber *chamber)
{
    lock(chamber);
    const bool is_new = chamber->mode == ROOM_MODE_INIT;
    unlock(chamber);
    return is_new;
}

/* Whoever has the key of a segment can write it anew. So one that was given is not given again, and none before it: a
 * captured core can't go back. An order has no such bound: it serves nobody, and verifies.
 */
static cc_err check_audit_index(const struct chamber *c,
                                uint64_t index,
                                const uint8_t context[static B_CONTEXT_SIZE])
{
    if (c->mode == ROOM_MODE_ORDER || !c->audit_bound)
        return CC_OK;
    if (!ct_equal(c->audit_context, context, B_CONTEXT_SIZE))
        return CC_FAIL(IDENTITY, "another replica's audit log");
    return index > c->audit_index
               ? CC_OK
               : CC_FAIL(EXISTS, "a segment of the audit log that was begun before");
}

CC_ERR chamber_audit_key(struct chamber *chamber,
                         uint64_t index,
                         const uint8_t context[static B_CONTEXT_SIZE],
                         uint8_t ret_key[static MAC_SIZE])
{
    uint8_t number[8];
    u64_store_be(number, index);
    const struct span parts[3] = {LABEL(label_audit), span_of(context, B_CONTEXT_SIZE),
                                  span_of(number, sizeof number)};
    lock(chamber);
    cc_err err = check_greeted(chamber);
    if (!err.code)
        err = check_audit_index(chamber, index, context);
    if (!err.code) {
        mac_hmac_sha256(span_of(secret_borrow(chamber->audit_key), SECRET_SIZE), parts, 3, ret_key);
        chamber->audit_bound = true;
        chamber->audit_index = index;
        memcpy(chamber->audit_context, context, B_CONTEXT_SIZE);
    }
    unlock(chamber);
    return err;
}

/* HMAC(history key, label, chamber id, digest). The caller holds the lock; the chamber is open. */
static void history_mac(const struct chamber *c, const uint8_t digest[static 32], uint8_t *ret_mac)
{
    const struct span parts[3] = {LABEL(label_history), span_of(c->id, sizeof c->id),
                                  span_of(digest, 32)};
    mac_hmac_sha256(span_of(secret_borrow(c->history_key), SECRET_SIZE), parts, 3, ret_mac);
}

CC_ERR chamber_prove_history(struct chamber *chamber,
                             const uint8_t digest[static 32],
                             uint8_t ret_proof[static MAC_SIZE])
{
    cc_err err = CC_OK;
    lock(chamber);
    if (chamber->mode != ROOM_MODE_INIT)
        err = CC_FAIL(DENIED, "a history is only given its proof by init");
    else if (!chamber->open)
        err = CC_FAIL(SEALED, "the chamber is not open");
    else
        history_mac(chamber, digest, ret_proof);
    unlock(chamber);
    return err;
}

static cc_err check_locked(struct chamber *c, const struct b_hello *hello)
{
    uint8_t mac[MAC_SIZE];
    if (!c->open)
        return CC_FAIL(SEALED, "the chamber is not open");
    history_mac(c, hello->history_id, mac);
    if (!ct_equal(mac, hello->proof, sizeof mac))
        return CC_FAIL(IDENTITY, "this history is not the chamber's");
    if (c->history_known && !ct_equal(c->history, hello->history_id, sizeof c->history))
        return CC_FAIL(IDENTITY, "another history was used in this life");
    memcpy(c->history, hello->history_id, sizeof c->history);
    c->history_known = true;
    return CC_OK;
}

CC_ERR chamber_check_history(struct chamber *chamber, const struct b_hello *hello)
{
    lock(chamber);
    cc_err err = check_locked(chamber, hello);
    unlock(chamber);
    return err;
}

void chamber_seal(struct chamber *chamber)
{
    lock(chamber);
    drop_all(chamber);
    chamber->sealed = true;
    unlock(chamber);
}
