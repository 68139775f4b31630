#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/num.h"

#include "secret/ct.h"
#include "vault/sets_inside.h"

void sets_lock(struct sets *sets)
{
    cc_assert(pthread_mutex_lock(&sets->lock) == 0);
}

void sets_unlock(struct sets *sets)
{
    cc_assert(pthread_mutex_unlock(&sets->lock) == 0);
}

size_t sets_locked_memory(void)
{
    return sizeof(struct set_secrets);
}

CC_ERR sets_new(struct chamber *chamber, struct master *master, struct sets **ret_sets)
{
    struct sets *s = cc_alloc(sizeof *s);
    void *region = NULL;
    if (!s)
        return CC_FAIL(NO_MEMORY, "sets");
    cc_err err = secret_map(sizeof *s->secrets, &region);
    if (err.code) {
        cc_free(s);
        return err;
    }
    s->secrets = region;
    s->chamber = chamber;
    s->master = master;
    cc_assert(pthread_mutex_init(&s->lock, NULL) == 0);
    *ret_sets = s;
    return CC_OK;
}

void sets_free(struct sets *sets)
{
    if (!sets)
        return;
    secret_unmap(sets->secrets, sizeof *sets->secrets);
    (void)pthread_mutex_destroy(&sets->lock);
    cc_free(sets);
}

void sets_allow_ceremony(struct sets *sets)
{
    sets_lock(sets);
    sets->by_ceremony = true;
    sets_unlock(sets);
}

CC_ERR sets_owner(struct sets *sets, struct set_owner *ret_owner)
{
    if (sets->sealed)
        return CC_FAIL(SEALED, "sealed in this life");
    return chamber_lend_key(sets->chamber, CHAMBER_KEY_SETS, ret_owner->mac_key.bytes,
                            ret_owner->chamber_id);
}

/* --- opening ------------------------------------------------------------------------------------------------------------------ */

CC_SENSITIVE CC_ERR sets_put_master(struct sets *sets,
                                    enum b_set_which which,
                                    const uint8_t chamber_id[static 32],
                                    const uint8_t master_key[static 32])
{
    CC_CLEANUP(master_keys_wipep) struct master_keys keys;
    WIPED32 struct secret32 token_key;
    const struct seal_set *set = &sets->held[set_index(which)].set;
    master_derive(master_key, chamber_id, &keys);
    if (!ct_equal(keys.check.bytes, set->check, sizeof set->check))
        return CC_FAIL(TAMPERED, "the master key is not the one that the set names");
    CC_TRY(set_open_tokens(set, chamber_id, keys.tokens.bytes, token_key.bytes));
    master_put(sets->master, which, set->generation, &keys, token_key.bytes);
    return CC_OK;
}

/* A set of mode local needs nobody. */
static CC_SENSITIVE cc_err open_local(struct sets *s, enum b_set_which which)
{
    WIPED32 struct secret32 local;
    WIPED32 struct secret32 master_key;
    uint8_t chamber_id[32];
    CC_TRY(chamber_lend_key(s->chamber, CHAMBER_KEY_MASTER, local.bytes, chamber_id));
    const struct set_layers layers = {.local = local.bytes};
    CC_TRY(set_open_master(&s->held[set_index(which)].set, chamber_id, &layers, master_key.bytes));
    return sets_put_master(s, which, chamber_id, master_key.bytes);
}

bool sets_opens_itself(const struct sets *sets, enum b_set_which which)
{
    return which == B_SET_PRESENT || !sets->held[set_index(B_SET_PRESENT)].is;
}

static bool same_set(const struct seal_set *a, const struct seal_set *b)
{
    return ct_equal(a->fingerprint, b->fingerprint, sizeof a->fingerprint) &&
           ct_equal(a->check, b->check, sizeof a->check) && a->generation == b->generation;
}

const struct ballot *sets_approval(const struct sets *sets, const uint8_t digest[static 32])
{
    for (size_t i = 0; i < BALLOTS_MAX; i++) {
        const struct ballot *b = &sets->secrets->pending.ballots[i];
        if (b->is && b->approved && !b->used && ct_equal(b->digest, digest, sizeof b->digest))
            return b;
    }
    return NULL;
}

void sets_use_approval(struct sets *sets, const uint8_t digest[static 32])
{
    for (size_t i = 0; i < BALLOTS_MAX; i++) {
        struct ballot *b = &sets->secrets->pending.ballots[i];
        if (!b->is || !ct_equal(b->digest, digest, sizeof b->digest))
            continue;
        b->used = true;
        wipe(&b->unseal, sizeof b->unseal);
    }
}

void sets_drop_one(struct sets *sets, enum b_set_which which)
{
    const size_t i = set_index(which);
    wipe(&sets->secrets->of[i], sizeof sets->secrets->of[i]);
    sets->held[i].is = sets->held[i].made_here = false;
    if (which == B_SET_PRESENT)
        sets_end_images(sets);
    master_drop(sets->master, which);
}

void sets_forget_making(struct sets *sets)
{
    wipe(&sets->secrets->making, sizeof sets->secrets->making);
}

void sets_forget_made_image(struct sets *sets)
{
    wipe(&sets->secrets->by_image, sizeof sets->secrets->by_image);
}

void sets_forget_given_image(struct sets *sets)
{
    wipe(&sets->secrets->image_shares, sizeof sets->secrets->image_shares);
    sets->has_image_blob = false;
}

/* Who votes again for what was made while it was not stored has made a second ballot of it. */
static void forget_used_ballots(struct sets *s)
{
    const struct image_making *making = &s->secrets->by_image;
    for (size_t i = 0; i < BALLOTS_MAX; i++) {
        struct ballot *b = &s->secrets->pending.ballots[i];
        if (b->used ||
            (b->is && making->count && ct_equal(b->digest, making->digest, sizeof making->digest)))
            wipe(b, sizeof *b);
    }
}

void sets_end_images(struct sets *sets)
{
    forget_used_ballots(sets);
    sets_forget_made_image(sets);
    sets_forget_given_image(sets);
    sets->renewals = (struct renewals){0};
}

void sets_forget_pending(struct sets *sets)
{
    wipe(&sets->secrets->pending, sizeof sets->secrets->pending);
    for (size_t i = 0; i < ARRAY_LEN(sets->secrets->of); i++) {
        struct held_secrets *of = &sets->secrets->of[i];
        wipe(&of->kms_shares, sizeof of->kms_shares);
        wipe(&of->break_glass, sizeof of->break_glass);
    }
}

/* In this life no older one, and another one of the same age only where the first was dropped. */
static cc_err check_succession(const struct sets *s, const struct seal_set *set)
{
    const struct held_set *held = &s->held[set_index(B_SET_PRESENT)];
    if (!held->is || same_set(&held->set, set))
        return !held->is || set->number >= held->set.number
                   ? CC_OK
                   : CC_FAIL(TAMPERED, "an older revision of the set than this life has seen");
    return set->generation > held->set.generation
               ? CC_OK
               : CC_FAIL(TAMPERED, "an older set than this life has seen");
}

/* Who takes the present one's place is no older than he was seen staged, and everybody has registered. */
static cc_err check_complete(const struct sets *s, const struct seal_set *set)
{
    const struct held_set *staged = &s->held[set_index(B_SET_STAGED)];
    if (staged->is && same_set(&staged->set, set) && set->number < staged->set.number)
        return CC_FAIL(TAMPERED, "an older revision of the set than this life has seen");
    for (uint32_t i = 0; i < set->operator_count; i++)
        if (set->operators[i].factor == SEAL_FACTOR_NONE)
            return CC_FAIL(SEAL_STATE, "an operator has not registered");
    return CC_OK;
}

static cc_err check_staged(const struct sets *s, const struct seal_set *set)
{
    const struct held_set *present = &s->held[set_index(B_SET_PRESENT)];
    const struct held_set *staged = &s->held[set_index(B_SET_STAGED)];
    const uint32_t after = present->is ? present->set.generation : 0;
    if (set->generation != after + 1)
        return CC_FAIL(SEAL_STATE, "a staged set that does not follow the present one");
    if (present->is && !set->has_bridge)
        return CC_FAIL(TAMPERED, "a set that was made from nothing, where there is one");
    if (!staged->is)
        return CC_OK;
    if (!same_set(&staged->set, set))
        return CC_FAIL(EXISTS, "another set of this generation is staged");
    return set->number >= staged->set.number
               ? CC_OK
               : CC_FAIL(TAMPERED, "an older revision of the set than this life has seen");
}

/* An open vault stays open: the staged set's master key lies under a key of the present one's. */
static CC_SENSITIVE cc_err cross_bridge(struct sets *s, const uint8_t *chamber_id)
{
    WIPED32 struct secret32 key;
    WIPED32 struct secret32 master_key;
    const struct seal_set *set = &s->held[set_index(B_SET_STAGED)].set;
    if (!set->has_bridge || master_is_open(s->master, B_SET_STAGED) ||
        !master_is_open(s->master, B_SET_PRESENT))
        return CC_OK;
    CC_TRY(master_bridge_key(s->master, key.bytes));
    CC_TRY(set_open_bridge(set, chamber_id, key.bytes, master_key.bytes));
    return sets_put_master(s, B_SET_STAGED, chamber_id, master_key.bytes);
}

static cc_err open_staged(struct sets *s, const struct set_owner *owner, const struct seal_set *set)
{
    struct held_set *staged = &s->held[set_index(B_SET_STAGED)];
    CC_TRY(check_staged(s, set));
    staged->is = true;
    staged->set = *set;
    sets_forget_making(s);
    cc_err err = cross_bridge(s, owner->chamber_id);
    if (!err.code && set->mode == SEAL_LOCAL && sets_opens_itself(s, B_SET_STAGED) &&
        !master_is_open(s->master, B_SET_STAGED))
        err = open_local(s, B_SET_STAGED);
    if (err.code)
        sets_drop_one(s, B_SET_STAGED);
    else
        sets_share_wrapping(s, owner->chamber_id);
    return err;
}

static void forget_entries(struct sets *s)
{
    memset(s->past, 0, sizeof s->past);
}

/* What the quorum has approved of images goes over with a set that it has approved in this life. A set from an earlier one may be brought
 * at any time, with blobs of the set before it (T12).
 */
static void begin_renewals(struct sets *s, uint64_t now_ms)
{
    const struct held_set *present = &s->held[set_index(B_SET_PRESENT)];
    const struct held_set *staged = &s->held[set_index(B_SET_STAGED)];
    sets_end_images(s);
    if (!present->is || !staged->made_here)
        return;
    s->renewals.are = true;
    s->renewals.began_ms = now_ms;
    memcpy(s->renewals.from, present->set.fingerprint, sizeof s->renewals.from);
}

/* The staged set takes the present one's place, with whatever of it is open. */
static void promote(struct sets *s, uint64_t now_ms)
{
    struct held_secrets *from = &s->secrets->of[set_index(B_SET_STAGED)];
    begin_renewals(s, now_ms);
    master_promote(s->master);
    s->secrets->of[set_index(B_SET_PRESENT)] = *from;
    wipe(from, sizeof *from);
    s->held[set_index(B_SET_PRESENT)] = s->held[set_index(B_SET_STAGED)];
    s->held[set_index(B_SET_STAGED)].is = s->held[set_index(B_SET_STAGED)].made_here = false;
    sets_forget_pending(s);
    sets_forget_making(s);
    forget_entries(s);
}

/* Challenges that were given for an entry before this one count a little longer: another replica may have rolled it. */
static void remember_entries(struct sets *s, const struct seal_set *set, uint64_t now_ms)
{
    const struct seal_set *before = &s->held[set_index(B_SET_PRESENT)].set;
    for (uint32_t i = 0; i < set->operator_count; i++) {
        const struct seal_operator *entry = &before->operators[i];
        if (ct_equal(entry->salt, set->operators[i].salt, sizeof entry->salt))
            continue;
        s->past[i].entry = *entry;
        s->past[i].until_ms = now_ms + CHALLENGE_LIFE_MS;
    }
}

static cc_err open_present(struct sets *s, const struct seal_set *set, uint64_t now_ms)
{
    struct held_set *present = &s->held[set_index(B_SET_PRESENT)];
    const struct held_set *staged = &s->held[set_index(B_SET_STAGED)];
    CC_TRY(check_succession(s, set));
    CC_TRY(check_complete(s, set));
    if (present->is && same_set(&present->set, set)) {
        remember_entries(s, set, now_ms);
    } else if (staged->is && same_set(&staged->set, set)) {
        promote(s, now_ms);
    } else {
        /* The way over the bridge was missed, and a new unsealing is the way; or what is staged was made from nothing before this one
         * was known: its master key may be known to the core, and none of this one's rows goes under it. */
        sets_drop_one(s, B_SET_PRESENT);
        sets_drop_one(s, B_SET_STAGED);
        sets_forget_pending(s);
        sets_forget_making(s);
        forget_entries(s);
    }
    present->is = true;
    present->set = *set;
    present->set.has_bridge = 0;
    if (set->mode != SEAL_LOCAL || master_is_open(s->master, B_SET_PRESENT))
        return CC_OK;
    cc_err err = open_local(s, B_SET_PRESENT);
    if (err.code)
        sets_drop_one(s, B_SET_PRESENT);
    return err;
}

CC_ERR sets_open(struct sets *sets, enum b_set_which which, const struct seal_set *set)
{
    CC_CLEANUP(set_owner_wipep) struct set_owner owner;
    sets_lock(sets);
    cc_err err = sets_owner(sets, &owner);
    if (!err.code)
        err = set_check(&owner, set);
    if (!err.code && which == B_SET_PRESENT)
        err = open_present(sets, set, clock_mono_ms());
    else if (!err.code)
        err =
            which == B_SET_STAGED ? open_staged(sets, &owner, set) : CC_FAIL(PROTOCOL, "which set");
    sets_unlock(sets);
    return err;
}

void sets_tell(struct sets *sets, struct b_seal_state *ret_state)
{
    const struct held_set *present = &sets->held[set_index(B_SET_PRESENT)];
    const struct held_secrets *of = &sets->secrets->of[set_index(B_SET_PRESENT)];
    const struct pending *p = &sets->secrets->pending;
    const struct ballot *ballot = &p->ballots[p->latest];
    ret_state->open = master_is_open(sets->master, B_SET_PRESENT);
    ret_state->staged_open = master_is_open(sets->master, B_SET_STAGED);
    ret_state->kms_open = of->has_kms;
    ret_state->staged_kms_open = sets->secrets->of[set_index(B_SET_STAGED)].has_kms;
    ret_state->break_glass_have = of->break_glass.count;
    ret_state->kms_have = (uint32_t)u64_max(of->kms_shares.count, of->break_glass.count);
    if (present->is) {
        ret_state->generation = present->set.generation;
        ret_state->number = present->set.number;
        if (of->has_kms)
            ret_state->kms_have = present->set.kms.threshold;
    }
    ret_state->auto_have = sets->secrets->image_shares.count;
    ret_state->operators_have = p->unseal.count;
    ret_state->rehearsals_have = p->rehearsal.count;
    ret_state->rehearsed = p->rehearsed;
    if (!ballot->is)
        return;
    ret_state->approvals_have = ballot->have;
    ret_state->approved = ballot->approved;
    memcpy(ret_state->approving, ballot->digest, sizeof ret_state->approving);
}

void sets_state(struct sets *sets, struct b_seal_state *ret_state)
{
    sets_lock(sets);
    sets_tell(sets, ret_state);
    sets_unlock(sets);
}

void sets_seal(struct sets *sets)
{
    sets_lock(sets);
    sets->sealed = true;
    sets_drop_one(sets, B_SET_PRESENT);
    sets_drop_one(sets, B_SET_STAGED);
    wipe(sets->secrets, sizeof *sets->secrets);
    sets_unlock(sets);
}
