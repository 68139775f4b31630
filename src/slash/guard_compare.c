#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/num.h"

#include "codec/hex.h"
#include "slash/guard_inside.h"

enum {
    NAMED_MAX = 16 /* keys in the log, one line each; the rest is a number */
};

/* --- lists of keys -------------------------------------------------------------------------------------------------- */

static int key_order(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct eth_pubkey));
}

CC_ERR guard_keys_add(struct guard_keys *keys, const struct eth_pubkey *pubkey)
{
    struct eth_pubkey *items = cc_grow_array(keys->items, keys->count, &keys->room, sizeof *items);
    if (!items)
        return CC_FAIL(NO_MEMORY, "keys");
    keys->items = items;
    items[keys->count++] = *pubkey;
    return CC_OK;
}

bool guard_keys_have(const struct guard_keys *keys, const struct eth_pubkey *pubkey)
{
    for (size_t i = 0; i < keys->count; i++)
        if (key_order(&keys->items[i], pubkey) == 0)
            return true;
    return false;
}

void guard_keys_remove(struct guard_keys *keys, const struct eth_pubkey *pubkey)
{
    for (size_t i = 0; i < keys->count; i++)
        if (key_order(&keys->items[i], pubkey) == 0)
            keys->items[i--] = keys->items[--keys->count];
}

void guard_keys_release(struct guard_keys *keys)
{
    cc_free(keys->items);
    *keys = (struct guard_keys){0};
}

/* --- one key -------------------------------------------------------------------------------------------------------- */

static void sort_records(struct mirror_records *r)
{
    if (r->block_count)
        qsort(r->blocks, r->block_count, sizeof *r->blocks, slash_block_order);
    if (r->vote_count)
        qsort(r->votes, r->vote_count, sizeof *r->votes, slash_attestation_order);
}

/* A record without a root matches no message: stricter than what was there, and fine. */
static bool
same_root(bool has_root, const struct signing_root *there, const struct signing_root *mine)
{
    return !has_root || memcmp(there->bytes, mine->bytes, sizeof there->bytes) == 0;
}

static bool block_is_below(const struct slash_watermark *low, const struct slash_block *block)
{
    return low->has_slot && block->slot <= low->slot;
}

static bool vote_is_below(const struct slash_watermark *low, const struct slash_attestation *vote)
{
    return low->has_epochs && vote->target <= low->target && vote->source <= low->source;
}

/* Of a merge of two sorted lists: what the history says about each of the mirror's records. */
enum found {
    FOUND_SAME,
    FOUND_NONE,
    FOUND_OTHER
};

static enum found
find_block(const struct slash_validator *v, size_t *at, const struct slash_block *mine)
{
    while (*at < v->block_count && v->blocks[*at].slot < mine->slot)
        ++*at;
    if (*at == v->block_count || v->blocks[*at].slot != mine->slot)
        return FOUND_NONE;
    const struct slash_block *there = &v->blocks[*at];
    return same_root(there->has_root, &there->root, &mine->root) ? FOUND_SAME : FOUND_OTHER;
}

static enum found
find_vote(const struct slash_validator *v, size_t *at, const struct slash_attestation *mine)
{
    while (*at < v->attestation_count && v->attestations[*at].target < mine->target)
        ++*at;
    if (*at == v->attestation_count || v->attestations[*at].target != mine->target)
        return FOUND_NONE;
    const struct slash_attestation *there = &v->attestations[*at];
    bool same =
        there->source == mine->source && same_root(there->has_root, &there->root, &mine->root);
    return same ? FOUND_SAME : FOUND_OTHER;
}

static void count(struct guard_difference *d, enum found found, bool below)
{
    d->records++;
    d->missing += found == FOUND_NONE && !below;
    d->changed += found == FOUND_OTHER && !below;
}

/* A mirror needs what a message could still meet: what the history has, or has something else in the place of, and what lies
 * above the watermark.
 */
static bool is_needed(enum found found, bool below)
{
    return found != FOUND_NONE || !below;
}

/* A batch that came while a successor was made may stand in it twice. */
static bool same_block(const struct slash_block *a, const struct slash_block *b)
{
    return a->slot == b->slot && memcmp(a->root.bytes, b->root.bytes, sizeof a->root.bytes) == 0;
}

static bool same_vote(const struct slash_attestation *a, const struct slash_attestation *b)
{
    return a->source == b->source && a->target == b->target &&
           memcmp(a->root.bytes, b->root.bytes, sizeof a->root.bytes) == 0;
}

static cc_err compare_blocks(const struct mirror_records *r,
                             const struct slash_validator *v,
                             struct mirror *next,
                             struct slash_key *kept,
                             struct guard_difference *d)
{
    size_t at = 0;
    for (size_t i = 0; i < r->block_count; i++) {
        const struct slash_block *b = &r->blocks[i];
        enum found found = find_block(v, &at, b);
        bool below = block_is_below(&v->low, b);
        count(d, found, below);
        d->floor.slot = u64_max(d->floor.slot, b->slot);
        if (!is_needed(found, below) || (i > 0 && same_block(b, b - 1)))
            continue;
        d->kept++;
        if (next)
            CC_TRY(mirror_add_block(next, kept, b));
    }
    for (size_t i = 0; i < v->block_count; i++)
        d->floor.slot = u64_max(d->floor.slot, v->blocks[i].slot);
    d->floor.has_slot = r->block_count || v->block_count;
    return CC_OK;
}

static cc_err compare_votes(const struct mirror_records *r,
                            const struct slash_validator *v,
                            struct mirror *next,
                            struct slash_key *kept,
                            struct guard_difference *d)
{
    size_t at = 0;
    for (size_t i = 0; i < r->vote_count; i++) {
        const struct slash_attestation *a = &r->votes[i];
        enum found found = find_vote(v, &at, a);
        bool below = vote_is_below(&v->low, a);
        count(d, found, below);
        d->floor.source = u64_max(d->floor.source, a->source);
        d->floor.target = u64_max(d->floor.target, a->target);
        if (!is_needed(found, below) || (i > 0 && same_vote(a, a - 1)))
            continue;
        d->kept++;
        if (next)
            CC_TRY(mirror_add_vote(next, kept, a));
    }
    for (size_t i = 0; i < v->attestation_count; i++) {
        d->floor.source = u64_max(d->floor.source, v->attestations[i].source);
        d->floor.target = u64_max(d->floor.target, v->attestations[i].target);
    }
    d->floor.has_epochs = r->vote_count || v->attestation_count;
    return CC_OK;
}

static bool is_lower(const struct slash_watermark *low, const struct slash_watermark *than)
{
    struct slash_watermark raised = *low;
    return slash_watermark_raise(&raised, than);
}

/* `v` is what the history has of the key; without a row, nothing and no watermark. */
static cc_err compare(struct guard *g,
                      struct slash_key *key,
                      const struct slash_validator *v,
                      struct mirror *next,
                      struct guard_difference *ret)
{
    struct slash_key *kept = NULL;
    *ret = (struct guard_difference){.pubkey = key->pubkey};
    CC_TRY(mirror_read(g->mirror, key, !g->trusted, &g->records));
    sort_records(&g->records);
    if (next &&
        (g->records.block_count || g->records.vote_count || v->low.has_slot || v->low.has_epochs)) {
        CC_TRY(mirror_add_key(next, &key->pubkey, &kept));
        CC_TRY(mirror_raise(next, kept, &key->low));
        CC_TRY(mirror_raise(next, kept, &v->low));
    }
    CC_TRY(compare_blocks(&g->records, v, next, kept, ret));
    CC_TRY(compare_votes(&g->records, v, next, kept, ret));
    ret->lowered = is_lower(&v->low, &key->low);
    (void)slash_watermark_raise(&ret->floor, &key->low);
    (void)slash_watermark_raise(&ret->floor, &v->low);
    if (guard_differs(ret))
        return CC_OK;
    return mirror_raise(g->mirror, key, &v->low);
}

/* --- what is done about it ------------------------------------------------------------------------------------------ */

struct differences {
    struct guard_difference *items;
    size_t count, room;
};

static void differences_release(struct differences *all)
{
    cc_free(all->items);
}

static cc_err remember(struct differences *all, const struct guard_difference *d)
{
    struct guard_difference *items =
        cc_grow_array(all->items, all->count, &all->room, sizeof *items);
    if (!items)
        return CC_FAIL(NO_MEMORY, "differences");
    all->items = items;
    items[all->count++] = *d;
    return CC_OK;
}

struct name {
    char text[2 * sizeof(struct eth_pubkey) + 3];
};

static struct name name_of(const struct eth_pubkey *pubkey)
{
    struct name name = {"0x"};
    hex_encode(pubkey->bytes, sizeof pubkey->bytes, name.text + 2);
    return name;
}

CC_ERR guard_alarm(struct guard *g, const struct eth_pubkey *pubkey, bool goes_on)
{
    metric_add(METRIC_HISTORY_ALARMS, 0, 0, 1);
    log_error("the history has forgotten a record that this signer has made",
              KV_STR("public_key", name_of(pubkey).text));
    if (goes_on || guard_keys_have(&g->refused, pubkey))
        return CC_OK;
    return guard_keys_add(&g->refused, pubkey);
}

static void name_in_log(const struct guard_difference *d, const char *message)
{
    log_error(message, KV_STR("public_key", name_of(&d->pubkey).text),
              KV_NUM("missing", d->missing), KV_NUM("changed", d->changed),
              KV_NUM("watermark_lowered", d->lowered), KV_NUM("floor_slot", d->floor.slot),
              KV_NUM("floor_source", d->floor.source), KV_NUM("floor_target", d->floor.target));
}

/* Durably, in the history, before anything of the key is signed again. */
static cc_err raise_floor(struct guard *g, const struct guard_difference *d)
{
    struct slash_key *key = NULL;
    struct slash_import_report ignored = {0};
    const struct slash_validator raised = {.pubkey = d->pubkey, .enabled = true, .low = d->floor};
    CC_TRY(slash_merge(g->inner, &raised, &ignored));
    CC_TRY(mirror_add_key(g->mirror, &d->pubkey, &key));
    return mirror_raise(g->mirror, key, &d->floor);
}

static cc_err refuse_key(struct guard *g, const struct guard_difference *d)
{
    uint64_t epoch = u64_max(d->floor.target, d->floor.source);
    if (d->floor.has_slot)
        epoch = u64_max(epoch, d->floor.slot / g->slots_per_epoch);
    g->repair_epoch = u64_max(g->repair_epoch, epoch);
    return guard_keys_have(&g->refused, &d->pubkey) ? CC_OK
                                                    : guard_keys_add(&g->refused, &d->pubkey);
}

static cc_err deal_with(struct guard *g, struct differences *all, bool automatic)
{
    for (size_t i = 0; i < all->count; i++) {
        const struct guard_difference *d = &all->items[i];
        cc_err err = automatic ? raise_floor(g, d) : CC_OK;
        if (error_class(err) == CLASS_UNAVAILABLE)
            return err; /* nothing was released: it will be found again */
        bool raised = automatic && !err.code;
        /* Each batch that asks for a refused key finds it again. */
        bool is_news = raised || !guard_keys_have(&g->refused, &d->pubkey);
        metric_add(METRIC_HISTORY_ALARMS, 0, 0, is_news ? 1 : 0);
        if (is_news && i < NAMED_MAX)
            name_in_log(
                d, raised ? "records of a key are missing from the history, or were changed: its "
                            "low watermarks were raised beyond them"
                          : "records of a key are missing from the history, or were changed: "
                            "it is refused until that is repaired");
        if (!raised)
            CC_TRY(refuse_key(g, d));
    }
    if (all->count > NAMED_MAX)
        log_error("and more keys like these", KV_NUM("keys", all->count - NAMED_MAX));
    return mirror_flush(g->mirror);
}

/* --- walking -------------------------------------------------------------------------------------------------------- */

struct step {
    struct guard *guard;
    struct guard_pass *pass;
    struct differences *differences;
    size_t seen;
};

static cc_err
look_at(struct step *s, const struct eth_pubkey *pubkey, const struct slash_validator *v)
{
    struct guard *g = s->guard;
    struct slash_verify_report *report = &s->pass->report;
    struct guard_difference d;
    struct slash_key *key = slash_index_find(mirror_index(g->mirror), pubkey);
    if (!key)
        return CC_OK;
    CC_TRY(compare(g, key, v, s->pass->next, &d));
    report->keys++;
    s->pass->kept += d.kept;
    report->records += d.records;
    report->missing += d.missing;
    report->changed += d.changed + d.lowered;
    return guard_differs(&d) ? remember(s->differences, &d) : CC_OK;
}

/* The mirror's keys before `until` (NULL: all that are left) have no row in the history. */
static cc_err look_at_rowless(struct step *s, const struct eth_pubkey *until)
{
    struct guard_keys *keys = &s->pass->keys;
    for (; s->pass->at < keys->count; s->pass->at++) {
        const struct slash_validator nothing = {.pubkey = keys->items[s->pass->at]};
        if (until && key_order(&nothing.pubkey, until) >= 0)
            return CC_OK;
        CC_TRY(look_at(s, &nothing.pubkey, &nothing));
    }
    return CC_OK;
}

static cc_err see(void *context, const struct slash_validator *v)
{
    struct step *s = context;
    struct guard_pass *pass = s->pass;
    CC_TRY(look_at_rowless(s, &v->pubkey));
    if (pass->at < pass->keys.count && key_order(&pass->keys.items[pass->at], &v->pubkey) == 0)
        pass->at++;
    pass->after = v->pubkey;
    pass->began = true;
    s->seen++;
    return look_at(s, &v->pubkey, v);
}

CC_ERR guard_pass_begin(struct guard *g, struct guard_pass *pass)
{
    const struct slash_index *index = mirror_index(g->mirror);
    guard_pass_end(pass);
    for (size_t i = 0; i < index->count; i++)
        CC_TRY(guard_keys_add(&pass->keys, &index->keys[i].pubkey));
    if (pass->keys.count)
        qsort(pass->keys.items, pass->keys.count, sizeof *pass->keys.items, key_order);
    return CC_OK;
}

CC_ERR guard_pass_step(struct guard *g, struct guard_pass *pass, size_t max, bool automatic)
{
    CC_CLEANUP(differences_release) struct differences differences = {0};
    struct step s = {.guard = g, .pass = pass, .differences = &differences};
    CC_TRY(slash_visit_after(g->inner, pass->began ? &pass->after : NULL, max, see, &s));
    pass->over = s.seen == 0;
    if (pass->over)
        CC_TRY(look_at_rowless(&s, NULL));
    return deal_with(g, &differences, automatic);
}

void guard_pass_end(struct guard_pass *pass)
{
    mirror_abandon(pass->next);
    guard_keys_release(&pass->keys);
    *pass = (struct guard_pass){0};
}

CC_ERR guard_compare_key(struct guard *g,
                         const struct eth_pubkey *pubkey,
                         bool automatic,
                         bool *ret_differs)
{
    CC_CLEANUP(differences_release) struct differences differences = {0};
    struct guard_pass pass = {0};
    struct step s = {.guard = g, .pass = &pass, .differences = &differences};
    CC_TRY(slash_visit(g->inner, pubkey, see, &s));
    if (s.seen == 0) {
        const struct slash_validator nothing = {.pubkey = *pubkey};
        CC_TRY(look_at(&s, pubkey, &nothing));
    }
    *ret_differs = differences.count > 0;
    return deal_with(g, &differences, automatic);
}
