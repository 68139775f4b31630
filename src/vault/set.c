#include "vault/set.h"

#include <string.h>

#include "base/num.h"

#include "crypto/committing.h"
#include "crypto/mac.h"
#include "crypto/sha256.h"
#include "seal/record.h"
#include "secret/ct.h"

/* Each with its zero byte (docs/formats.md). */
static const char label_set[] = "containment-chamber/seal-set/v1";
static const char label_local[] = "containment-chamber/master-local/v1";
static const char label_kms[] = "containment-chamber/master-kms/v1";
static const char label_operators[] = "containment-chamber/master-operators/v1";
static const char label_tokens[] = "containment-chamber/master-tokens/v1";
static const char label_bridge[] = "containment-chamber/master-bridge/v1";
static const char label_token_share[] = "containment-chamber/registration-share/v1";
static const char label_share[] = "containment-chamber/operator-share/v1";
static const char label_outer[] = "containment-chamber/operator-share-kms/v1";
static const char label_commitment[] = "containment-chamber/share-commitment/v1";

#define LABEL(text) span_of((text), sizeof(text))

void set_owner_wipep(struct set_owner *owner)
{
    wipe(owner, sizeof *owner);
}

bool set_has_kms(uint32_t mode)
{
    return mode == SEAL_KMS || mode == SEAL_QUORUM;
}

bool set_has_operators(uint32_t mode)
{
    return mode == SEAL_QUORUM || mode == SEAL_OPERATORS;
}

/* --- shape and MAC ---------------------------------------------------------------------------------------------------------- */

static bool shares_fit(const struct seal_shares *shares, bool wanted)
{
    if (!wanted)
        return shares->count == 0 && shares->threshold == 0;
    return shares->count <= SEAL_KMS_MAX && shares->threshold >= 1 &&
           shares->threshold <= shares->count;
}

static bool is_name(const char name[static SEAL_NAME_SIZE])
{
    const size_t len = strnlen(name, SEAL_NAME_SIZE);
    return len < SEAL_NAME_SIZE && seal_is_operator_name(span_of(name, len));
}

static bool operator_fits(const struct seal_operator *o, bool has_kms)
{
    const uint32_t len =
        SHAMIR_SECRET_SIZE + 1 + (has_kms ? 2 * (uint32_t)SEAL_OVERHEAD : (uint32_t)SEAL_OVERHEAD);
    return is_name(o->name) && o->factor <= SEAL_FACTOR_FIDO2 && o->hint_len <= SEAL_HINT_MAX &&
           o->share.len == len;
}

static cc_err check_operators(const struct seal_set *set)
{
    if (!set_has_operators(set->mode))
        return set->operator_count == 0 && set->operator_threshold == 0 && !set->unseal_generation
                   ? CC_OK
                   : CC_FAIL(PROTOCOL, "operators of a set that has none");
    if (set->operator_count < 1 || set->operator_count > SEAL_OPERATORS_MAX ||
        set->operator_threshold < 1 || set->operator_threshold > set->operator_count ||
        !set->unseal_generation || set->unseal_generation > set->generation)
        return CC_FAIL(PROTOCOL, "operators of a set");
    for (uint32_t i = 0; i < set->operator_count; i++)
        if (!operator_fits(&set->operators[i], set_has_kms(set->mode)))
            return CC_FAIL(PROTOCOL, "an operator of a set");
    return CC_OK;
}

static uint32_t master_size(uint32_t mode)
{
    return 32 + (mode == SEAL_QUORUM ? 2 : 1) * (uint32_t)SEAL_OVERHEAD;
}

CC_ERR set_check_shape(const struct seal_set *set)
{
    const bool kms = set_has_kms(set->mode);
    if (set->mode < SEAL_LOCAL || set->mode > SEAL_OPERATORS || !set->generation || !set->number)
        return CC_FAIL(PROTOCOL, "mode or generation of a set");
    if (set->master.len != master_size(set->mode))
        return CC_FAIL(PROTOCOL, "master key of a set");
    if (!shares_fit(&set->kms, kms) ||
        !shares_fit(&set->break_glass, kms && set->break_glass.count) ||
        kms != (set->kms_generation != 0) || set->kms_generation > set->generation)
        return CC_FAIL(PROTOCOL, "shares of a set");
    return check_operators(set);
}

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

static uint8_t *put_shares(uint8_t *to, const struct seal_shares *shares)
{
    to = put_u32(to, shares->threshold);
    to = put_u32(to, shares->count);
    return put(to, shares->commitments, shares->count * sizeof shares->commitments[0]);
}

/* Of one operator's entry: every length goes before what it counts. */
static void operator_digest(const struct seal_operator *o, uint8_t ret_digest[static 32])
{
    uint8_t bytes[sizeof *o + 16];
    uint8_t *at = put(bytes, o->name, sizeof o->name);
    at = put_u32(at, o->recipient.kind);
    at = put(at, o->recipient.key, sizeof o->recipient.key);
    at = put_u32(at, o->factor);
    at = put_u32(at, o->memory_kib);
    at = put_u32(at, o->passes);
    at = put(at, o->salt, sizeof o->salt);
    at = put(at, o->challenge, sizeof o->challenge);
    at = put_u32(at, o->hint_len);
    at = put(at, o->hint, o->hint_len);
    at = put_u32(at, o->share.len);
    at = put(at, o->share.bytes, o->share.len);
    at = put(at, o->commitment, sizeof o->commitment);
    sha256(span_of(bytes, (size_t)(at - bytes)), ret_digest);
}

static void mac_of(const struct set_owner *owner, const struct seal_set *set, uint8_t *ret_mac)
{
    uint8_t head[sizeof set->master + sizeof set->kms + sizeof set->break_glass + 320];
    uint8_t digests[SEAL_OPERATORS_MAX][32];
    uint8_t *at = put_u32(head, set->mode);
    at = put_u32(at, set->generation);
    at = put_u32(at, set->kms_generation);
    at = put_u32(at, set->unseal_generation);
    u64_store_be(at, set->number);
    at = put(at + 8, set->fingerprint, sizeof set->fingerprint);
    at = put_u32(at, set->master.len);
    at = put(at, set->master.bytes, set->master.len);
    at = put(at, set->check, sizeof set->check);
    at = put(at, set->tokens, sizeof set->tokens);
    at = put_shares(at, &set->kms);
    at = put_shares(at, &set->break_glass);
    at = put_u32(at, set->operator_threshold);
    at = put_u32(at, set->operator_count);
    for (uint32_t i = 0; i < set->operator_count; i++)
        operator_digest(&set->operators[i], digests[i]);
    const struct span parts[4] = {LABEL(label_set),
                                  span_of(owner->chamber_id, sizeof owner->chamber_id),
                                  span_of(head, (size_t)(at - head)),
                                  span_of(digests, set->operator_count * sizeof digests[0])};
    mac_hmac_sha256(span_of(owner->mac_key.bytes, sizeof owner->mac_key.bytes), parts, 4, ret_mac);
}

CC_ERR set_check(const struct set_owner *owner, const struct seal_set *set)
{
    uint8_t mac[MAC_SIZE];
    CC_TRY(set_check_shape(set));
    mac_of(owner, set, mac);
    return ct_equal(mac, set->mac, sizeof mac) ? CC_OK
                                               : CC_FAIL(TAMPERED, "a set of another chamber");
}

void set_authenticate(const struct set_owner *owner, struct seal_set *set)
{
    mac_of(owner, set, set->mac);
}

/* --- layers --------------------------------------------------------------------------------------------------------------- */

struct place_data {
    size_t len;
    uint8_t bytes[32 + 8 + SEAL_NAME_SIZE];
};

/* Chamber, generation, and a number or a name more. */
static struct place_data place_of(const uint8_t chamber_id[static 32], uint32_t generation)
{
    struct place_data data;
    data.len = (size_t)(put_u32(put(data.bytes, chamber_id, 32), generation) - data.bytes);
    return data;
}

static struct place_data
named_place(const uint8_t chamber_id[static 32], uint32_t generation, const char *name)
{
    struct place_data data = place_of(chamber_id, generation);
    memcpy(data.bytes + data.len, name, SEAL_NAME_SIZE);
    data.len += SEAL_NAME_SIZE;
    return data;
}

static struct place_data master_place(const struct seal_set *set, const uint8_t *chamber_id)
{
    struct place_data data = place_of(chamber_id, set->generation);
    u32_store_be(data.bytes + data.len, set->mode);
    data.len += 4;
    return data;
}

static cc_err seal_at(struct span label,
                      const struct place_data *data,
                      const uint8_t *key,
                      struct span plain,
                      uint8_t *ret_blob)
{
    const struct committing_place place = {label, span_of(data->bytes, data->len)};
    return committing_seal(key, &place, plain, ret_blob);
}

static cc_err open_at(struct span label,
                      const struct place_data *data,
                      const uint8_t *key,
                      struct span blob,
                      uint8_t *ret_plain)
{
    const struct committing_place place = {label, span_of(data->bytes, data->len)};
    return committing_open(key, &place, blob, ret_plain);
}

enum {
    INNER_MAX = SHAMIR_SECRET_SIZE + 1 + SEAL_OVERHEAD
};
_Static_assert(INNER_MAX + SEAL_OVERHEAD <= SEAL_BLOB_MAX, "two layers fit");

CC_ERR set_seal_master(struct seal_set *set,
                       const uint8_t chamber_id[static 32],
                       const struct set_layers *layers,
                       const uint8_t master_key[static 32])
{
    const struct place_data data = master_place(set, chamber_id);
    uint8_t inner[32 + SEAL_OVERHEAD];
    const struct span plain = span_of(master_key, 32);
    set->master = (struct seal_blob){.len = master_size(set->mode)};
    switch ((enum seal_mode)set->mode) {
    case SEAL_LOCAL:
        return seal_at(LABEL(label_local), &data, layers->local, plain, set->master.bytes);
    case SEAL_KMS:
        return seal_at(LABEL(label_kms), &data, layers->kms, plain, set->master.bytes);
    case SEAL_OPERATORS:
        return seal_at(LABEL(label_operators), &data, layers->unseal, plain, set->master.bytes);
    case SEAL_QUORUM:
        CC_TRY(seal_at(LABEL(label_operators), &data, layers->unseal, plain, inner));
        return seal_at(LABEL(label_kms), &data, layers->kms, span_of(inner, sizeof inner),
                       set->master.bytes);
    }
    return CC_FAIL(PROTOCOL, "mode of a set");
}

static cc_err open_layers(const struct seal_set *set,
                          const struct place_data *data,
                          const struct set_layers *layers,
                          uint8_t *ret_master_key)
{
    const struct span blob = span_of(set->master.bytes, set->master.len);
    uint8_t inner[32 + SEAL_OVERHEAD];
    switch ((enum seal_mode)set->mode) {
    case SEAL_LOCAL:
        return open_at(LABEL(label_local), data, layers->local, blob, ret_master_key);
    case SEAL_KMS:
        return open_at(LABEL(label_kms), data, layers->kms, blob, ret_master_key);
    case SEAL_OPERATORS:
        return open_at(LABEL(label_operators), data, layers->unseal, blob, ret_master_key);
    case SEAL_QUORUM:
        CC_TRY(open_at(LABEL(label_kms), data, layers->kms, blob, inner));
        return open_at(LABEL(label_operators), data, layers->unseal, span_of(inner, sizeof inner),
                       ret_master_key);
    }
    return CC_FAIL(PROTOCOL, "mode of a set");
}

CC_SENSITIVE CC_ERR set_open_master(const struct seal_set *set,
                                    const uint8_t chamber_id[static 32],
                                    const struct set_layers *layers,
                                    uint8_t ret_master_key[static 32])
{
    const struct place_data data = master_place(set, chamber_id);
    cc_err err = open_layers(set, &data, layers, ret_master_key);
    if (err.code)
        wipe(ret_master_key, 32);
    return err;
}

CC_ERR set_check_wrapping(const struct seal_set *set,
                          const uint8_t chamber_id[static 32],
                          const uint8_t kms[static 32])
{
    const struct place_data data = master_place(set, chamber_id);
    uint8_t inner[32 + SEAL_OVERHEAD];
    return open_at(LABEL(label_kms), &data, kms, span_of(set->master.bytes, set->master.len),
                   inner);
}

CC_ERR set_seal_tokens(struct seal_set *set,
                       const uint8_t chamber_id[static 32],
                       const uint8_t key[static 32],
                       const uint8_t token_key[static 32])
{
    const struct place_data data = place_of(chamber_id, set->generation);
    return seal_at(LABEL(label_tokens), &data, key, span_of(token_key, 32), set->tokens);
}

CC_ERR set_open_tokens(const struct seal_set *set,
                       const uint8_t chamber_id[static 32],
                       const uint8_t key[static 32],
                       uint8_t ret_token_key[static 32])
{
    const struct place_data data = place_of(chamber_id, set->generation);
    return open_at(LABEL(label_tokens), &data, key, span_of(set->tokens, sizeof set->tokens),
                   ret_token_key);
}

CC_ERR set_seal_bridge(struct seal_set *set,
                       const uint8_t chamber_id[static 32],
                       const uint8_t key[static 32],
                       const uint8_t master_key[static 32])
{
    const struct place_data data = place_of(chamber_id, set->generation);
    set->has_bridge = 1;
    return seal_at(LABEL(label_bridge), &data, key, span_of(master_key, 32), set->bridge);
}

CC_ERR set_open_bridge(const struct seal_set *set,
                       const uint8_t chamber_id[static 32],
                       const uint8_t key[static 32],
                       uint8_t ret_master_key[static 32])
{
    const struct place_data data = place_of(chamber_id, set->generation);
    if (!set->has_bridge)
        return CC_FAIL(SEALED, "a set without a bridge");
    return open_at(LABEL(label_bridge), &data, key, span_of(set->bridge, sizeof set->bridge),
                   ret_master_key);
}

/* --- shares ----------------------------------------------------------------------------------------------------------------- */

void set_commit(const uint8_t chamber_id[static 32],
                enum set_share_kind kind,
                uint32_t generation,
                const struct shamir_share *share,
                uint8_t ret_commitment[static 32])
{
    uint8_t text[sizeof label_commitment + 32 + 8 + sizeof *share];
    uint8_t *at = put(put(text, label_commitment, sizeof label_commitment), chamber_id, 32);
    at = put_u32(put_u32(at, kind), generation);
    (void)put(at, share, sizeof *share);
    sha256(span_of(text, sizeof text), ret_commitment);
    wipe(text, sizeof text);
    wipe_stack();
}

static struct span inner_label(const struct seal_operator *operator)
{
    return operator->factor == SEAL_FACTOR_NONE ? LABEL(label_token_share) : LABEL(label_share);
}

static cc_err add_outer(const struct seal_set *set,
                        const uint8_t *chamber_id,
                        const uint8_t *kms,
                        const uint8_t inner[static INNER_MAX],
                        struct seal_operator *
                        operator)
{
    operator->share =(struct seal_blob){.len = INNER_MAX};
    if (!set_has_kms(set->mode)) {
        memcpy(operator->share.bytes, inner, INNER_MAX);
        return CC_OK;
    }
    const struct place_data data = named_place(chamber_id, set->generation, operator->name);
    operator->share.len = INNER_MAX + SEAL_OVERHEAD;
    return seal_at(LABEL(label_outer), &data, kms,
                   span_of(inner, INNER_MAX), operator->share.bytes);
}

static cc_err take_outer(const struct seal_set *set,
                         const uint8_t *chamber_id,
                         const uint8_t *kms,
                         const struct seal_operator *
                         operator,
                         uint8_t ret_inner[static INNER_MAX])
{
    if (!set_has_kms(set->mode)) {
        memcpy(ret_inner, operator->share.bytes, INNER_MAX);
        return CC_OK;
    }
    const struct place_data data = named_place(chamber_id, set->generation, operator->name);
    if (!kms)
        return CC_FAIL(SEALED, "the KMS layer is not open");
    return open_at(LABEL(label_outer), &data, kms,
                   span_of(operator->share.bytes, operator->share.len), ret_inner);
}

CC_ERR set_seal_share(const struct seal_set *set,
                      const uint8_t chamber_id[static 32],
                      const uint8_t *kms,
                      const uint8_t credential[static 32],
                      const struct shamir_share *share,
                      struct seal_operator *
                      operator)
{
    const struct place_data data = named_place(chamber_id, set->unseal_generation, operator->name);
    uint8_t inner[INNER_MAX];
    CC_TRY(seal_at(inner_label(operator), &data, credential, span_of(share, sizeof *share), inner));
    return add_outer(set, chamber_id, kms, inner, operator);
}

CC_SENSITIVE CC_ERR set_open_share(const struct seal_set *set,
                                   const uint8_t chamber_id[static 32],
                                   const uint8_t *kms,
                                   const uint8_t credential[static 32],
                                   const struct seal_operator *
                                   operator,
                                   struct shamir_share * ret_share)
{
    const struct place_data data = named_place(chamber_id, set->unseal_generation, operator->name);
    uint8_t inner[INNER_MAX];
    uint8_t commitment[32];
    wipe(ret_share, sizeof *ret_share);
    CC_TRY(take_outer(set, chamber_id, kms, operator, inner));
    CC_TRY(open_at(inner_label(operator), &data, credential, span_of(inner, sizeof inner),
                   (uint8_t *)ret_share));
    set_commit(chamber_id, SET_SHARE_OPERATOR, set->unseal_generation, ret_share, commitment);
    if (ct_equal(commitment, operator->commitment, sizeof commitment))
        return CC_OK;
    wipe(ret_share, sizeof *ret_share);
    return CC_FAIL(TAMPERED, "a share that is not the one that was committed to");
}

CC_ERR set_move_share(const struct seal_set *from,
                      const uint8_t *from_kms,
                      const struct seal_set *to,
                      const uint8_t *to_kms,
                      const uint8_t chamber_id[static 32],
                      struct seal_operator *
                      operator)
{
    uint8_t inner[INNER_MAX];
    CC_TRY(take_outer(from, chamber_id, from_kms, operator, inner));
    return add_outer(to, chamber_id, to_kms, inner, operator);
}
