#include "vault/auto_unseal.h"

#include <string.h>

#include "base/clock.h"
#include "base/num.h"

#include "crypto/committing.h"
#include "crypto/mac.h"
#include "crypto/random.h"
#include "crypto/sha256.h"
#include "seal/proposal.h"
#include "secret/ct.h"
#include "vault/sets_inside.h"

/* Each with its zero byte (docs/formats.md). */
static const char label_keys[] = "containment-chamber/auto-unseal/v1";
static const char label_mac[] = "containment-chamber/auto-unseal-blob/v1";

#define LABEL(text) span_of((text), sizeof(text))

/* What a blob holds, in this order. */
struct open_keys {
    struct secret32 row;
    struct secret32 bridge;
    struct secret32 tokens;
};
_Static_assert(sizeof(struct open_keys) == SEAL_AUTO_KEYS_SIZE, "three keys");

static void open_keys_wipep(struct open_keys *keys)
{
    wipe(keys, sizeof *keys);
}

void auto_unseal_allow(struct sets *sets)
{
    sets_lock(sets);
    sets->by_image = true;
    sets_unlock(sets);
}

/* --- the blob as bytes ------------------------------------------------------------------------------------------------------------ */

enum {
    HEAD_MAX = 32 + 4 + 2 * SEAL_PCR_SIZE + 64 + 8 + 32 * SEAL_KMS_MAX
};

static uint8_t *put(uint8_t *to, const void *from, size_t len)
{
    memcpy(to, from, len);
    return to + len;
}

static uint8_t *put_u32(uint8_t *to, uint32_t number)
{
    u32_store_be(to, number);
    return to + 4;
}

/* All but the keys and the MAC, of a blob whose counts are within their bounds. */
static size_t write_head(const uint8_t chamber_id[static 32],
                         const struct seal_auto *blob,
                         uint8_t ret_head[static HEAD_MAX])
{
    uint8_t *at = put(ret_head, chamber_id, 32);
    at = put_u32(at, blob->generation);
    at = put(at, blob->image.pcr0, SEAL_PCR_SIZE);
    at = put(at, blob->image.pcr8, SEAL_PCR_SIZE);
    at = put(at, blob->fingerprint, sizeof blob->fingerprint);
    at = put(at, blob->kms_keys, sizeof blob->kms_keys);
    at = put_u32(at, blob->shares.threshold);
    at = put_u32(at, blob->shares.count);
    at = put(at, blob->shares.commitments, blob->shares.count * sizeof blob->shares.commitments[0]);
    return (size_t)(at - ret_head);
}

static void mac_of(const struct set_owner *owner, const struct seal_auto *blob, uint8_t *ret_mac)
{
    uint8_t head[HEAD_MAX];
    const size_t len = write_head(owner->chamber_id, blob, head);
    const struct span parts[3] = {LABEL(label_mac), span_of(head, len),
                                  span_of(blob->keys, sizeof blob->keys)};
    mac_hmac_sha256(span_of(owner->mac_key.bytes, sizeof owner->mac_key.bytes), parts, 3, ret_mac);
}

/* Its own, whole. */
static cc_err check_blob(const struct set_owner *owner, const struct seal_auto *blob)
{
    uint8_t mac[MAC_SIZE];
    if (!blob->generation || blob->shares.count < 1 || blob->shares.count > SEAL_KMS_MAX ||
        blob->shares.threshold < 1 || blob->shares.threshold > blob->shares.count)
        return CC_FAIL(PROTOCOL, "shape of an auto-unseal blob");
    mac_of(owner, blob, mac);
    return ct_equal(mac, blob->mac, sizeof mac)
               ? CC_OK
               : CC_FAIL(TAMPERED, "an auto-unseal blob of another chamber");
}

/* The place of the keys: every field of the head, by its digest. */
static void digest_of_head(const uint8_t *chamber_id,
                           const struct seal_auto *blob,
                           uint8_t ret_digest[static 32])
{
    uint8_t head[HEAD_MAX];
    const size_t len = write_head(chamber_id, blob, head);
    sha256(span_of(head, len), ret_digest);
}

/* --- making --------------------------------------------------------------------------------------------------------------------------- */

static cc_err check_state(const struct sets *s)
{
    const struct held_set *present = &s->held[set_index(B_SET_PRESENT)];
    if (s->sealed)
        return CC_FAIL(SEALED, "sealed in this life");
    if (!s->by_image)
        return CC_FAIL(NOT_ENABLED, "the configuration allows no auto-unseal");
    if (!present->is || !set_has_operators(present->set.mode))
        return CC_FAIL(SEAL_STATE, "auto-unseal takes the place of operators: there are none");
    return CC_OK;
}

/* A proposal for this chamber and set; whether it was approved is another question. */
static cc_err check_proposal(const struct sets *s,
                             const struct set_owner *owner,
                             const struct seal_auto_proposal *p)
{
    const struct seal_set *present = &s->held[set_index(B_SET_PRESENT)].set;
    CC_TRY(proposal_auto_check(p));
    return ct_equal(p->chamber_id, owner->chamber_id, sizeof p->chamber_id) &&
                   ct_equal(p->from, present->fingerprint, sizeof p->from)
               ? CC_OK
               : CC_FAIL(SEAL_STATE, "a proposal for another chamber or set");
}

/* Who could not store the blob of an approval asks for it again: it is the same one, with the same key. */
static bool is_made(const struct sets *s, const uint8_t digest[static 32])
{
    const struct image_making *making = &s->secrets->by_image;
    return making->count && ct_equal(making->digest, digest, sizeof making->digest);
}

/* By what it approved in the set before, once that has been replaced, by this life. */
static cc_err
check_renewal(const struct sets *s, const struct set_owner *owner, const struct seal_auto *before)
{
    const struct seal_set *present = &s->held[set_index(B_SET_PRESENT)].set;
    CC_TRY(check_blob(owner, before));
    if (before->generation + 1 != present->generation)
        return CC_FAIL(SEAL_STATE, "an auto-unseal blob that is not of the generation before");
    return s->renewals.are &&
                   ct_equal(before->fingerprint, s->renewals.from, sizeof s->renewals.from)
               ? CC_OK
               : CC_FAIL(NOT_APPROVED, "an image's approval goes over to a new set as soon as that "
                                       "is in force, in the life that has made it");
}

static CC_SENSITIVE cc_err share_out(struct sets *s,
                                     const uint8_t *chamber_id,
                                     const uint8_t key[static 32],
                                     struct seal_auto *blob)
{
    struct image_making *making = &s->secrets->by_image;
    struct seal_shares *shares = &blob->shares;
    CC_TRY(shamir_split(key, shares->threshold, shares->count, making->shares));
    for (uint32_t i = 0; i < shares->count; i++)
        set_commit(chamber_id, SET_SHARE_AUTO, blob->generation, &making->shares[i],
                   shares->commitments[i]);
    making->count = shares->count;
    return CC_OK;
}

static CC_SENSITIVE cc_err seal_keys(struct sets *s,
                                     const struct set_owner *owner,
                                     struct seal_auto *blob)
{
    CC_CLEANUP(open_keys_wipep) struct open_keys keys;
    WIPED32 struct secret32 key;
    uint8_t digest[32];
    const struct seal_set *present = &s->held[set_index(B_SET_PRESENT)].set;
    blob->generation = present->generation;
    memcpy(blob->fingerprint, present->fingerprint, sizeof blob->fingerprint);
    CC_TRY(master_row_key(s->master, present->generation, keys.row.bytes));
    CC_TRY(master_bridge_key(s->master, keys.bridge.bytes));
    CC_TRY(master_token_key(s->master, keys.tokens.bytes));
    CC_TRY(random_bytes(&key, sizeof key));
    CC_TRY(share_out(s, owner->chamber_id, key.bytes, blob));
    digest_of_head(owner->chamber_id, blob, digest);
    const struct committing_place place = {LABEL(label_keys), span_of(digest, sizeof digest)};
    CC_TRY(committing_seal(key.bytes, &place, span_of(&keys, sizeof keys), blob->keys));
    mac_of(owner, blob, blob->mac);
    return CC_OK;
}

/* From the blob's image, KMS keys and counts. `digest`: of the proposal; zeros: it is renewed. */
static cc_err fill(struct sets *s,
                   const struct set_owner *owner,
                   const uint8_t digest[static 32],
                   struct seal_auto *blob)
{
    struct image_making *making = &s->secrets->by_image;
    sets_forget_made_image(s);
    cc_err err = seal_keys(s, owner, blob);
    if (err.code) {
        sets_forget_made_image(s);
        return err;
    }
    making->blob = *blob;
    making->began_ms = clock_mono_ms();
    memcpy(making->digest, digest, sizeof making->digest);
    return CC_OK;
}

/* By the quorum's approval, which is good for one blob. */
static cc_err make_new(struct sets *s,
                       const struct set_owner *owner,
                       const struct seal_auto_proposal *p,
                       struct seal_auto *blob)
{
    uint8_t digest[32];
    CC_TRY(check_proposal(s, owner, p));
    proposal_auto_digest(p, digest);
    if (is_made(s, digest)) {
        *blob = s->secrets->by_image.blob;
        return CC_OK;
    }
    if (!sets_approval(s, digest))
        return CC_FAIL(NOT_APPROVED, "the quorum has not approved this image, or its approval is "
                                     "used up");
    blob->image = p->image;
    blob->shares.threshold = p->threshold;
    blob->shares.count = p->count;
    memcpy(blob->kms_keys, p->kms_keys, sizeof blob->kms_keys);
    CC_TRY(fill(s, owner, digest, blob));
    sets_use_approval(s, digest);
    return CC_OK;
}

static cc_err renew(struct sets *s,
                    const struct set_owner *owner,
                    const struct seal_auto *before,
                    struct seal_auto *blob)
{
    static const uint8_t no_proposal[32];
    CC_TRY(check_renewal(s, owner, before));
    blob->image = before->image;
    blob->shares.threshold = before->shares.threshold;
    blob->shares.count = before->shares.count;
    memcpy(blob->kms_keys, before->kms_keys, sizeof blob->kms_keys);
    return fill(s, owner, no_proposal, blob);
}

static cc_err make(struct sets *s, const struct b_auto_make *request, struct seal_auto *ret_blob)
{
    CC_CLEANUP(set_owner_wipep) struct set_owner owner;
    CC_TRY(check_state(s));
    CC_TRY(sets_owner(s, &owner));
    *ret_blob = (struct seal_auto){0};
    return request->renews ? renew(s, &owner, &request->before, ret_blob)
                           : make_new(s, &owner, &request->proposal, ret_blob);
}

CC_ERR
auto_unseal_make(struct sets *sets, const struct b_auto_make *request, struct seal_auto *ret_blob)
{
    sets_lock(sets);
    sets_expire(sets,
                clock_mono_ms()); /* a core that never lets the clock be looked at gains no time */
    cc_err err = make(sets, request, ret_blob);
    if (err.code)
        *ret_blob = (struct seal_auto){0};
    sets_unlock(sets);
    wipe_stack();
    return err;
}

CC_ERR
auto_unseal_part(struct sets *sets, uint32_t index, uint8_t ret_share[static SEAL_SHARE_SIZE])
{
    sets_lock(sets);
    sets_expire(sets, clock_mono_ms());
    const struct image_making *making = &sets->secrets->by_image;
    const bool is = !sets->sealed && index < making->count;
    if (is)
        memcpy(ret_share, &making->shares[index], SEAL_SHARE_SIZE);
    sets_unlock(sets);
    return is ? CC_OK : CC_FAIL(SEAL_STATE, "no such share waits for its KMS key");
}

/* --- opening -------------------------------------------------------------------------------------------------------------------------- */

static cc_err check_fits(const struct sets *s, const struct seal_auto *blob)
{
    const struct seal_set *present = &s->held[set_index(B_SET_PRESENT)].set;
    return blob->generation == present->generation &&
                   ct_equal(blob->fingerprint, present->fingerprint, sizeof blob->fingerprint)
               ? CC_OK
               : CC_FAIL(SEAL_STATE, "an auto-unseal blob of another set");
}

static cc_err hold(struct sets *s, const struct seal_auto *blob)
{
    CC_CLEANUP(set_owner_wipep) struct set_owner owner;
    CC_TRY(check_state(s));
    CC_TRY(sets_owner(s, &owner));
    CC_TRY(check_blob(&owner, blob));
    CC_TRY(check_fits(s, blob));
    sets_forget_given_image(s);
    s->image_blob = *blob;
    s->has_image_blob = true;
    return CC_OK;
}

CC_ERR auto_unseal_open(struct sets *sets, const struct seal_auto *blob)
{
    sets_lock(sets);
    cc_err err = hold(sets, blob);
    sets_unlock(sets);
    return err;
}

/* That these are the keys of the set, the blob's own MAC and its commitment to its key say. */
static CC_SENSITIVE cc_err put_keys(struct sets *s, const uint8_t *chamber_id)
{
    CC_CLEANUP(open_keys_wipep) struct open_keys keys;
    CC_CLEANUP(master_keys_wipep) struct master_keys put_in = {.check = {{0}}};
    WIPED32 struct secret32 key;
    uint8_t digest[32];
    const struct seal_auto *blob = &s->image_blob;
    const struct collected *collected = &s->secrets->image_shares;
    CC_TRY(shamir_combine(collected->shares, collected->count, key.bytes));
    digest_of_head(chamber_id, blob, digest);
    const struct committing_place place = {LABEL(label_keys), span_of(digest, sizeof digest)};
    CC_TRY(committing_open(key.bytes, &place, span_of(blob->keys, sizeof blob->keys),
                           (uint8_t *)&keys));
    put_in.row = keys.row;
    put_in.bridge = keys.bridge;
    master_put(s->master, B_SET_PRESENT, blob->generation, &put_in, keys.tokens.bytes);
    return CC_OK;
}

static CC_SENSITIVE cc_err unwrap(struct sets *s, uint32_t index, const struct shamir_share *share)
{
    uint8_t commitment[32], chamber_id[32];
    const struct seal_auto *blob = &s->image_blob;
    CC_TRY(check_state(s));
    CC_TRY(chamber_get_id(s->chamber, chamber_id));
    if (!s->has_image_blob)
        return CC_FAIL(SEAL_STATE, "no auto-unseal blob waits for shares");
    CC_TRY(check_fits(s, blob)); /* the present set may be another one by now */
    if (index >= blob->shares.count)
        return CC_FAIL(PROTOCOL, "index of a KMS key");
    set_commit(chamber_id, SET_SHARE_AUTO, blob->generation, share, commitment);
    if (share->x != index + 1 ||
        !ct_equal(commitment, blob->shares.commitments[index], sizeof commitment))
        return CC_FAIL(TAMPERED, "a share that is not the one that was committed to");
    if (master_is_open(s->master, B_SET_PRESENT))
        return CC_OK;
    sets_collect(&s->secrets->image_shares, share, 0);
    if (s->secrets->image_shares.count < blob->shares.threshold)
        return CC_OK;
    cc_err err = put_keys(s, chamber_id);
    sets_forget_given_image(s);
    return err;
}

CC_ERR
auto_unseal_unwrap(struct sets *sets, uint32_t index, const uint8_t share[static SEAL_SHARE_SIZE])
{
    struct shamir_share copy;
    memcpy(&copy, share, sizeof copy);
    sets_lock(sets);
    cc_err err = unwrap(sets, index, &copy);
    sets_unlock(sets);
    wipe(&copy, sizeof copy);
    wipe_stack();
    return err;
}
