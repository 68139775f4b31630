#include "vault/root.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"

#include "crypto/random.h"
#include "crypto/sha256.h"
#include "crypto/shamir.h"
#include "secret/ct.h"
#include "secret/wipe.h"

_Static_assert((int)SHAMIR_SHARES_MAX == (int)SEAL_KMS_MAX, "a share for each KMS key");
_Static_assert(sizeof(struct shamir_share) == SEAL_SHARE_SIZE, "a share is what travels");

/* Each with its zero byte (docs/formats.md). */
static const char label_secret[] = "containment-chamber/enclave-root/v1";
static const char label_share[] = "containment-chamber/enclave-root-share/v1";

struct root {
    pthread_mutex_t lock; /* guards all below */
    struct arena *arena;
    struct chamber *chamber;
    bool known;         /* its secret was made here, or put together: what follows is for good */
    uint32_t threshold; /* 0: none was begun */
    uint32_t count;
    uint8_t commitment[32];
    uint8_t commitments[SEAL_KMS_MAX][32];
    struct secret *shares[SEAL_KMS_MAX]; /* y of share i + 1; NULL: it was not given */
};

/* What one call makes of secrets; on its stack. */
struct fresh {
    struct secret32 secret;
    struct shamir_share shares[SHAMIR_SHARES_MAX];
};

static void fresh_wipep(struct fresh *f)
{
    wipe(f, sizeof *f);
}

static void lock(struct root *r)
{
    cc_assert(pthread_mutex_lock(&r->lock) == 0);
}

static void unlock(struct root *r)
{
    cc_assert(pthread_mutex_unlock(&r->lock) == 0);
}

CC_ERR root_new(struct arena *arena, struct chamber *chamber, struct root **ret_root)
{
    struct root *r = cc_alloc(sizeof *r);
    if (!r)
        return CC_FAIL(NO_MEMORY, "root");
    r->arena = arena;
    r->chamber = chamber;
    cc_assert(pthread_mutex_init(&r->lock, NULL) == 0);
    *ret_root = r;
    return CC_OK;
}

static void drop_shares(struct root *r)
{
    for (size_t i = 0; i < ARRAY_LEN(r->shares); i++) {
        arena_release(r->arena, r->shares[i]);
        r->shares[i] = NULL;
    }
}

void root_free(struct root *root)
{
    if (!root)
        return;
    drop_shares(root);
    (void)pthread_mutex_destroy(&root->lock);
    cc_free(root);
}

void root_seal(struct root *root)
{
    lock(root);
    drop_shares(root);
    root->threshold = 0;
    root->known = false;
    unlock(root);
}

/* SHA-256(label, bytes). */
static CC_SENSITIVE void commit(struct span label, struct span bytes, uint8_t ret_commitment[32])
{
    uint8_t text[sizeof label_share + SEAL_SHARE_SIZE];
    cc_assert(label.len + bytes.len <= sizeof text);
    memcpy(text, label.data, label.len);
    memcpy(text + label.len, bytes.data, bytes.len);
    sha256(span_of(text, label.len + bytes.len), ret_commitment);
    wipe(text, sizeof text);
}

static void commit_secret(const struct secret32 *secret, uint8_t ret_commitment[32])
{
    commit(span_of(label_secret, sizeof label_secret), span_of(secret->bytes, sizeof secret->bytes),
           ret_commitment);
}

static void commit_share(const struct shamir_share *share, uint8_t ret_commitment[32])
{
    commit(span_of(label_share, sizeof label_share), span_of(share, sizeof *share), ret_commitment);
}

static cc_err check_numbers(uint32_t threshold, uint32_t count)
{
    return threshold > 0 && threshold <= count && count <= SEAL_KMS_MAX
               ? CC_OK
               : CC_FAIL(SEAL_STATE, "numbers of an enclave's root");
}

static void hold(struct root *r, const struct b_root_made *made, uint32_t threshold)
{
    drop_shares(r);
    r->threshold = threshold;
    r->count = made->count;
    memcpy(r->commitment, made->commitment, sizeof r->commitment);
    memcpy(r->commitments, made->commitments, sizeof r->commitments);
}

static CC_SENSITIVE cc_err make(struct root *r,
                                const struct b_root_make *request,
                                struct b_root_made *ret_made)
{
    CC_CLEANUP(fresh_wipep) struct fresh fresh;
    struct b_root_made made = {.count = request->count};
    CC_TRY(check_numbers(request->threshold, request->count));
    if (!chamber_is_new(r->chamber))
        return CC_FAIL(DENIED, "the root of an enclave is only made by init");
    CC_TRY(random_bytes(fresh.secret.bytes, sizeof fresh.secret.bytes));
    CC_TRY(shamir_split(fresh.secret.bytes, request->threshold, request->count, fresh.shares));
    commit_secret(&fresh.secret, made.commitment);
    for (uint32_t i = 0; i < request->count; i++)
        commit_share(&fresh.shares[i], made.commitments[i]);
    CC_TRY(chamber_put_key(r->chamber, fresh.secret.bytes));
    hold(r, &made, request->threshold);
    r->known = true;
    ret_made->count = made.count;
    memcpy(ret_made->commitment, made.commitment, sizeof made.commitment);
    memcpy(ret_made->commitments, made.commitments, sizeof made.commitments);
    for (uint32_t i = 0; i < request->count; i++)
        memcpy(ret_made->shares[i], &fresh.shares[i], sizeof fresh.shares[i]);
    return CC_OK;
}

CC_ERR root_make(struct root *root, const struct b_root_make *request, struct b_root_made *ret_made)
{
    lock(root);
    cc_err err = make(root, request, ret_made);
    unlock(root);
    wipe_stack();
    return err;
}

static bool is_same(const struct root *r, const struct b_root_open *request)
{
    return r->threshold == request->threshold && r->count == request->count &&
           ct_equal(r->commitment, request->commitment, sizeof r->commitment) &&
           ct_equal((const uint8_t *)r->commitments, (const uint8_t *)request->commitments,
                    r->count * sizeof r->commitments[0]);
}

CC_ERR root_begin(struct root *root, const struct b_root_open *request)
{
    struct b_root_made facts = {.count = request->count};
    CC_TRY(check_numbers(request->threshold, request->count));
    CC_TRY(chamber_check_unsealed(root->chamber));
    memcpy(facts.commitment, request->commitment, sizeof facts.commitment);
    memcpy(facts.commitments, request->commitments, sizeof facts.commitments);
    cc_err err = CC_OK;
    lock(root);
    if (!root->known)
        hold(root, &facts, request->threshold);
    else if (!is_same(root, request))
        err = CC_FAIL(EXISTS, "this life has the root of another enclave's chamber");
    unlock(root);
    return err;
}

static uint32_t have(const struct root *r)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->count; i++)
        n += r->shares[i] != NULL;
    return n;
}

/* Enough are there: they give the chamber its key, or are none of this secret's. */
static CC_SENSITIVE cc_err combine(struct root *r)
{
    CC_CLEANUP(fresh_wipep) struct fresh fresh;
    uint8_t commitment[32];
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->count && n < r->threshold; i++) {
        if (!r->shares[i])
            continue;
        memcpy(fresh.shares[n].y, secret_borrow(r->shares[i]), SHAMIR_SECRET_SIZE);
        fresh.shares[n++].x = (uint8_t)(i + 1);
    }
    CC_TRY(shamir_combine(fresh.shares, n, fresh.secret.bytes));
    commit_secret(&fresh.secret, commitment);
    if (!ct_equal(commitment, r->commitment, sizeof commitment))
        return CC_FAIL(TAMPERED, "the shares of an enclave's root give another secret");
    CC_TRY(chamber_put_key(r->chamber, fresh.secret.bytes));
    r->known = true;
    return CC_OK;
}

/* What does not open gives a share that was not committed to: one error for both. */
static CC_SENSITIVE cc_err take_share(struct root *r,
                                      struct recipient *recipient,
                                      const struct b_root_share *request)
{
    CC_CLEANUP(fresh_wipep) struct fresh fresh;
    struct shamir_share *share = &fresh.shares[0];
    const struct seal_sealed_share *sealed = &request->sealed;
    const uint32_t i = request->index;
    uint8_t commitment[32];
    if (r->threshold == 0 || i >= r->count)
        return CC_FAIL(SEAL_STATE, "no such share of an enclave's root is waited for");
    CC_TRY(recipient_open(recipient, sealed->wrapped, sealed->iv,
                          span_of(sealed->ciphertext, sizeof sealed->ciphertext), (uint8_t *)share,
                          sizeof *share));
    commit_share(share, commitment);
    if (!ct_equal(commitment, r->commitments[i], sizeof commitment) || share->x != i + 1)
        return CC_FAIL(TAMPERED, "a share of an enclave's root is not the one that was made");
    if (chamber_has_key(r->chamber))
        return CC_OK;
    if (!r->shares[i])
        CC_TRY(arena_take(r->arena, &r->shares[i]));
    memcpy(secret_borrow_mut(r->shares[i]), share->y, SHAMIR_SECRET_SIZE);
    if (have(r) < r->threshold)
        return CC_OK;
    cc_err err = combine(r);
    drop_shares(r);
    return err;
}

CC_ERR
root_take_share(struct root *root, struct recipient *recipient, const struct b_root_share *request)
{
    lock(root);
    cc_err err = take_share(root, recipient, request);
    unlock(root);
    wipe_stack();
    return err;
}

void root_state(struct root *root, struct b_root_state *ret_state)
{
    lock(root);
    ret_state->threshold = root->threshold;
    ret_state->have = have(root);
    ret_state->open = chamber_has_key(root->chamber);
    unlock(root);
}

CC_ERR root_known(struct root *root, struct b_root_open *ret_facts)
{
    lock(root);
    const bool known = root->known;
    if (known) {
        ret_facts->threshold = root->threshold;
        ret_facts->count = root->count;
        memcpy(ret_facts->commitment, root->commitment, sizeof root->commitment);
        memcpy(ret_facts->commitments, root->commitments, sizeof root->commitments);
    }
    unlock(root);
    return known ? CC_OK
                 : CC_FAIL(SEAL_STATE, "the vault has neither made nor opened an enclave's root");
}
