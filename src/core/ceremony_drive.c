/* What the ceremony does by itself, from whatever records and vault say. Each step looks at both anew, so it does not matter who has done
 * the one before, or when.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/num.h"

#include "core/ceremony_inside.h"
#include "core/rehearsal.h"
#include "seal/proposal.h"
#include "secret/wipe.h"

enum {
    STEPS_MAX = 64, /* of one round: a step that changes nothing ends it long before */
    MS_PER_MINUTE = 60000
};

static const uint64_t ms = 1000000;

/* --- states ----------------------------------------------------------------------------------------------------------------- */

enum seal_state ceremony_state_now(const struct ceremony *c)
{
    const struct seal_facts facts = {
        .mode = ceremony_has_current(c) ? c->records->current.set.mode : 0,
        .phase = ceremony_has_next(c) ? (enum seal_phase)c->records->next.phase : SEAL_PHASE_NONE,
        .latched = ceremony_latched(c) || c->records->bad,
        .open = c->present.there && c->vault.open,
        .kms_open = c->present.there && c->vault.kms_open,
    };
    return seal_state_of(&facts);
}

/* --- giving the vault what is stored ------------------------------------------------------------------------------------------- */

bool ceremony_is_given(const struct ceremony_given *given, const struct seal_set *set)
{
    return given->there && given->number == set->number &&
           span_equal(span_of(given->fingerprint, 32), span_of(set->fingerprint, 32));
}

static bool is_same_set(const struct ceremony_given *given, const struct seal_set *set)
{
    return given->there &&
           span_equal(span_of(given->fingerprint, 32), span_of(set->fingerprint, 32));
}

/* The key of a local set is open as soon as the vault has the set, which a latched chamber must not be. */
static bool may_give_present(const struct ceremony *c)
{
    return !(c->records->current.set.mode == SEAL_LOCAL && ceremony_latched(c));
}

static void say_refused(struct ceremony *c, cc_err err, const char *which)
{
    ceremony_put_off(&c->give_retry);
    log_error("the vault does not take a set of shares", KV_STR("which", which), KV_ERR(err));
}

/* The first set is closed once it is whole: its operators show that they can open it. */
static void close_after_init(struct ceremony *c)
{
    const struct seal_set *set = &c->records->current.set;
    if (!c->init_awaited ||
        !span_equal(span_of(c->init_fingerprint, 32), span_of(set->fingerprint, 32)))
        return;
    if (c->vault.open && ceremony_drop(c, B_DROP_OPEN).code)
        c->present.there = false; /* once more */
    else
        c->init_awaited = false;
}

/* Of another set nothing is known, but for one that was made here: each of its keys has opened its share. */
static void begin_kms_states(struct ceremony *c, const struct seal_set *set)
{
    const bool tried = span_equal(span_of(c->kms_tried, 32), span_of(set->fingerprint, 32));
    for (size_t i = 0; i < SEAL_KMS_MAX; i++)
        c->kms[i] = (struct ceremony_kms_state){.asked = tried};
}

static bool give_present(struct ceremony *c)
{
    const struct seal_set *set = &c->records->current.set;
    if (!ceremony_has_current(c) || ceremony_is_given(&c->present, set) || !may_give_present(c) ||
        !ceremony_due(&c->give_retry))
        return false;
    const bool same = is_same_set(&c->present, set);
    cc_err err = ceremony_give(c, B_SET_PRESENT, set);
    if (err.code) {
        say_refused(c, err, "present");
        return false;
    }
    if (!same)
        begin_kms_states(c, set);
    if (is_same_set(&c->staged, set)) /* it has moved over */
        c->staged.there = false;
    close_after_init(c);
    return true;
}

/* Its bridge is open only when the set is given while the present master key is. */
static bool waits_for_bridge(const struct ceremony *c)
{
    return c->vault.open && !c->vault.staged_open && c->records->next.set.has_bridge;
}

static bool forget_staged(struct ceremony *c)
{
    cc_err err = ceremony_drop(c, B_DROP_STAGED);
    if (err.code)
        say_refused(c, err, "staged");
    return !err.code;
}

/* What the vault holds instead is nobody's: a proposal that was cancelled before this replica saw it, or a set that a core made and died. */
static cc_err give_staged_set(struct ceremony *c, const struct seal_set *set)
{
    if (c->staged.there && !is_same_set(&c->staged, set))
        CC_TRY(ceremony_drop(c, B_DROP_STAGED));
    cc_err err = ceremony_give(c, B_SET_STAGED, set);
    if (!error_is(err, ERROR_EXISTS))
        return err;
    CC_TRY(ceremony_drop(c, B_DROP_STAGED));
    return ceremony_give(c, B_SET_STAGED, set);
}

static bool give_staged(struct ceremony *c)
{
    const struct seal_set *set = &c->records->next.set;
    if (!ceremony_has_staged(c) || (ceremony_is_given(&c->staged, set) && !waits_for_bridge(c)) ||
        !ceremony_due(&c->give_retry))
        return false;
    cc_err err = give_staged_set(c, set);
    if (err.code)
        say_refused(c, err, "staged");
    else if (waits_for_bridge(c))
        ceremony_put_off(&c->give_retry);
    return !err.code && !waits_for_bridge(c);
}

static bool drop_staged(struct ceremony *c)
{
    if (!c->staged.there || ceremony_has_staged(c) || !ceremony_due(&c->give_retry))
        return false;
    return forget_staged(c);
}

/* --- KMS ------------------------------------------------------------------------------------------------------------------------- */

static void pass_on(struct ceremony *c,
                    const uint32_t errors[static SEAL_KMS_MAX],
                    const struct seal_opened *opened)
{
    const uint32_t count = c->records->current.set.kms.count;
    for (uint32_t i = 0; i < count && i < SEAL_KMS_MAX; i++) {
        c->kms[i] = (struct ceremony_kms_state){.asked = true, .error = errors[i]};
        if (errors[i] || c->vault.kms_open)
            continue;
        cc_err err = ceremony_unwrap_share(c, B_SET_PRESENT, i, &opened[i]);
        c->kms[i].error = (uint32_t)err.code;
        if (err.code)
            log_warn("a KMS key has opened another share than the set's",
                     KV_STR("key", c->records->current.keys[i].arn), KV_ERR(err));
    }
}

void ceremony_unwrap(struct ceremony *c)
{
    const struct seal_current *current = &c->records->current;
    uint32_t errors[SEAL_KMS_MAX] = {0};
    struct seal_opened opened[SEAL_KMS_MAX] = {{.is_sealed = 0}};
    if (!c->settings.kms.unwrap) {
        ceremony_put_off(&c->kms_retry);
        return;
    }
    c->settings.kms.unwrap(c->settings.kms.context, &current->set, current->keys, errors, opened);
    pass_on(c, errors, opened);
    wipe(opened, sizeof opened);
    c->kms_by_keys = c->vault.kms_open;
    if (c->vault.kms_open) {
        c->kms_retry = (struct ceremony_retry){0};
        log_notice("the KMS layer is open", KV_NUM("shares", c->vault.kms_have));
        return;
    }
    ceremony_put_off(&c->kms_retry);
    log_warn("too few KMS keys have opened their shares: asking again",
             KV_NUM("have", c->vault.kms_have), KV_NUM("needed", current->set.kms.threshold),
             KV_NUM("again_in_ms", c->kms_retry.pause_ms));
}

bool ceremony_rehearse_kms(struct ceremony *c)
{
    const struct seal_current *current = &c->records->current;
    uint32_t errors[SEAL_KMS_MAX] = {0};
    struct seal_opened opened[SEAL_KMS_MAX] = {{.is_sealed = 0}};
    uint32_t would = 0;
    if (current->set.kms.count == 0)
        return true;
    if (!c->settings.kms.unwrap)
        return false;
    c->settings.kms.unwrap(c->settings.kms.context, &current->set, current->keys, errors, opened);
    for (uint32_t i = 0; i < current->set.kms.count && i < SEAL_KMS_MAX; i++) {
        if (!errors[i]) /* whether it is the share, the vault knows */
            errors[i] = (uint32_t)ceremony_unwrap_share(c, B_SET_PRESENT, i, &opened[i]).code;
        c->kms[i] = (struct ceremony_kms_state){.asked = true, .error = errors[i]};
        would += errors[i] == 0;
    }
    wipe(opened, sizeof opened);
    return would >= current->set.kms.threshold;
}

static bool unwrap(struct ceremony *c)
{
    const struct seal_set *set = &c->records->current.set;
    if (!ceremony_has_current(c) || !ceremony_is_given(&c->present, set) || set->kms.count == 0 ||
        c->vault.kms_open || (ceremony_latched(c) && !c->kms_wanted) ||
        !ceremony_due(&c->kms_retry))
        return false;
    ceremony_unwrap(c);
    return c->vault.kms_open != 0;
}

/* An operator's share of a set with KMS keys lies under its wrapping key, which only the vault that made the set has from the start. */
static void unwrap_next(struct ceremony *c)
{
    const struct seal_next *next = &c->records->next;
    uint32_t errors[SEAL_KMS_MAX] = {0};
    struct seal_opened opened[SEAL_KMS_MAX] = {{.is_sealed = 0}};
    c->settings.kms.unwrap(c->settings.kms.context, &next->set, next->keys, errors, opened);
    for (uint32_t i = 0; i < next->set.kms.count && i < SEAL_KMS_MAX; i++) {
        if (errors[i] || c->vault.staged_kms_open)
            continue;
        cc_err err = ceremony_unwrap_share(c, B_SET_STAGED, i, &opened[i]);
        if (err.code)
            log_warn("a share of the staged set is refused", KV_NUM("index", i), KV_ERR(err));
    }
    wipe(opened, sizeof opened);
}

static bool unwrap_staged(struct ceremony *c)
{
    const struct seal_set *set = &c->records->next.set;
    if (!ceremony_has_staged(c) || !ceremony_is_given(&c->staged, set) || set->kms.count == 0 ||
        ceremony_all_registered(set) || c->vault.staged_kms_open || !c->settings.kms.unwrap ||
        ceremony_latched(c) || !ceremony_due(&c->staged_kms_retry))
        return false;
    unwrap_next(c);
    if (c->vault.staged_kms_open) {
        c->staged_kms_retry = (struct ceremony_retry){0};
        log_notice("the KMS layer of the staged set is open: its operators can register");
        return true;
    }
    ceremony_put_off(&c->staged_kms_retry);
    log_warn("too few KMS keys have opened their shares of the staged set: asking again",
             KV_NUM("needed", set->kms.threshold),
             KV_NUM("again_in_ms", c->staged_kms_retry.pause_ms));
    return false;
}

/* --- what is collected, and expires ------------------------------------------------------------------------------------------------ */

void ceremony_note_pending(struct ceremony *c)
{
    const struct b_seal_state *v = &c->vault;
    const bool pending = (v->operators_have && !v->open) || v->approvals_have ||
                         (v->rehearsals_have && !v->rehearsed) || v->break_glass_have;
    if (!pending)
        c->pending_until_ms = 0;
    else if (!c->pending_until_ms)
        c->pending_until_ms =
            clock_mono_ms() +
            (uint64_t)c->settings.config->signer_state.unseal_timeout_minutes * MS_PER_MINUTE;
}

static bool expire(struct ceremony *c)
{
    if (!c->pending_until_ms || clock_mono_ms() < c->pending_until_ms)
        return false;
    c->pending_until_ms = 0;
    c->kms_wanted = false;
    cc_err err = ceremony_drop(c, B_DROP_PENDING);
    if (err.code) {
        c->pending_until_ms = clock_mono_ms() + CEREMONY_RETRY_MS;
        log_error("shares that have expired could not be forgotten", KV_ERR(err));
        return false;
    }
    log_notice("shares and approvals that were not enough have expired");
    (void)ceremony_write_down(c, "expired", "", "", CC_OK).code;
    return true;
}

/* --- a new set, from phase to phase -------------------------------------------------------------------------------------------------- */

bool ceremony_all_registered(const struct seal_set *set)
{
    for (uint32_t i = 0; i < set->operator_count && i < SEAL_OPERATORS_MAX; i++)
        if (set->operators[i].factor == SEAL_FACTOR_NONE)
            return false;
    return true;
}

/* Where there are no operators the owner's approval makes the set at once (ceremony_jobs.c). */
static bool is_approved(const struct ceremony *c)
{
    const uint8_t *digest = c->records->next.digest;
    return c->records->current.set.operator_count != 0 && ceremony_has_approved(c, digest);
}

/* The quorum has approved that it goes: as at once (ceremony_jobs.c), when a core has died in between. */
bool ceremony_is_cancelled(const struct ceremony *c)
{
    uint8_t digest[32];
    if (!ceremony_has_next(c))
        return false;
    proposal_cancel_digest(c->settings.chamber_id, c->records->next.digest, digest);
    return ceremony_has_approved(c, digest);
}

static bool cancel(struct ceremony *c)
{
    if (!ceremony_due(&c->make_retry))
        return false;
    cc_err err = ceremony_remove_next(c, "operators");
    if (err.code)
        ceremony_put_off(&c->make_retry);
    return !err.code;
}

static bool stage(struct ceremony *c)
{
    if (!is_approved(c) || !ceremony_due(&c->make_retry))
        return false;
    cc_err err = ceremony_stage(c);
    if (err.code)
        ceremony_put_off(&c->make_retry);
    if (error_is(err, ERROR_CONFLICT))
        return true; /* another replica has done it, or an earlier try whose answer was lost */
    if (err.code) {
        log_error("the set that was approved could not be made: trying again", KV_ERR(err));
        return false;
    }
    c->make_retry = (struct ceremony_retry){0};
    return true;
}

static bool put_phase(struct ceremony *c, enum seal_phase phase)
{
    CC_CLEANUP(cc_freep) struct seal_next *next = cc_alloc(sizeof *next);
    if (!next)
        return false;
    *next = c->records->next;
    next->phase = phase;
    cc_err err = ceremony_commit(c, NULL, next, false);
    if (error_is(err, ERROR_CONFLICT))
        return true; /* another replica has done it */
    if (err.code)
        ceremony_put_off(&c->rows_retry);
    else
        log_notice("a new set of shares goes on", KV_STR("phase", seal_phase_name(phase)));
    return !err.code;
}

static uint64_t grace_ms(const struct ceremony *c)
{
    const struct signer_state_config *config = &c->settings.config->signer_state;
    if (config->backend == STATE_SQLITE)
        return 0; /* nobody else can have it open */
    return u64_max(CEREMONY_GRACE_MS, 3000 * (uint64_t)config->refresh_interval_seconds);
}

/* Others that live have the set, and can open it where they can open the present one. */
static bool others_have_it(const struct ceremony *c)
{
    const struct ceremony_records *r = c->records;
    const uint64_t now = ceremony_wall_ms(c);
    for (uint32_t i = 0; i < r->replica_count; i++) {
        const struct seal_replica *other = &r->replicas[i];
        if (other->until < now || span_equal(span_of(other->replica, SEAL_REPLICA_SIZE),
                                             span_of(c->settings.replica, SEAL_REPLICA_SIZE)))
            continue;
        if (!span_equal(span_of(other->staged, 32), span_of(r->next.set.fingerprint, 32)) ||
            (other->open && !other->staged_open))
            return false;
    }
    return true;
}

static bool waited_for_others(struct ceremony *c)
{
    const uint8_t *fingerprint = c->records->next.set.fingerprint;
    if (!c->ready_since_ms ||
        !span_equal(span_of(c->ready_fingerprint, 32), span_of(fingerprint, 32))) {
        memcpy(c->ready_fingerprint, fingerprint, 32);
        c->ready_since_ms = clock_mono_ms();
    }
    return clock_mono_ms() - c->ready_since_ms >= grace_ms(c) && others_have_it(c);
}

_Static_assert(SEAL_KIND_MASTER - SEAL_KIND_KMS == METRIC_ROTATION_MASTER &&
                   SEAL_KIND_QUORUM - SEAL_KIND_KMS == METRIC_ROTATION_QUORUM,
               "rotations are counted by type");

/* All of them have just registered for it; who is taken over has shown nothing by that. */
static bool has_other_operators(const struct ceremony *c)
{
    const struct seal_set *next = &c->records->next.set;
    return next->operator_count &&
           (!ceremony_has_current(c) ||
            next->unseal_generation != c->records->current.set.unseal_generation);
}

/* The staged set takes the place of the present one. The bridge is left behind: it would open the new key by the old one. */
static bool finish(struct ceremony *c, const struct key_seen *seen)
{
    const struct seal_next *next = &c->records->next;
    CC_CLEANUP(cc_freep) struct seal_current *current = cc_alloc(sizeof *current);
    if (!current)
        return false;
    current->set = next->set;
    current->set.has_bridge = 0;
    memset(current->set.bridge, 0, sizeof current->set.bridge);
    memcpy(current->keys, next->keys, sizeof current->keys);
    const uint32_t kind = next->kind;
    const bool others = has_other_operators(c);
    cc_err err = ceremony_commit_end(c, current, seen);
    if (error_is(err, ERROR_CONFLICT))
        return true;
    if (err.code) {
        ceremony_put_off(&c->rows_retry);
        log_error("the new set could not take its place: trying again", KV_ERR(err));
        return false;
    }
    if (kind != SEAL_KIND_INIT)
        metric_add(METRIC_CHAMBER_ROTATION, kind - SEAL_KIND_KMS, 0, 1);
    if (others)
        ceremony_shown_now(c);
    log_notice("the new set of shares is in force",
               KV_STR("mode", seal_mode_name(current->set.mode)),
               KV_NUM("generation", current->set.generation));
    (void)ceremony_write_down(c, "committed", seal_kind_name(kind), "", CC_OK).code;
    return true;
}

static bool rewrite(struct ceremony *c)
{
    const struct ceremony_rows *rows = &c->settings.rows;
    bool done = rows->rewrite == NULL;
    struct key_seen seen = {0};
    if (!c->vault.staged_open || !c->vault.open || !ceremony_due(&c->rows_retry))
        return false;
    if (!c->rewriting_since_ms)
        c->rewriting_since_ms = clock_mono_ms();
    if (!done) {
        cc_err err = rows->rewrite(rows->context, c->records->current.set.generation,
                                   c->records->next.set.generation, &done, &seen);
        if (err.code) {
            ceremony_put_off(&c->rows_retry);
            if (!error_is(err, ERROR_CONFLICT)) /* another replica seals them too */
                log_error("keys could not be sealed under the new master key: trying again",
                          KV_ERR(err));
            return false;
        }
        c->rows_retry = (struct ceremony_retry){0};
    }
    if (done && clock_mono_ms() - c->rewriting_since_ms < grace_ms(c))
        return false; /* another replica may have sealed a row by the old key until it has seen the phase */
    c->goes_on = !done; /* the next batch after whoever waits */
    return done && finish(c, rows->rewrite ? &seen : NULL);
}

/* Ready: where there is a master key already, others are waited for; from there on there is no way back. */
static bool leave_ready(struct ceremony *c)
{
    if (!ceremony_due(&c->rows_retry) || !ceremony_is_given(&c->staged, &c->records->next.set))
        return false;
    if (!ceremony_has_current(c))
        return finish(c, NULL);
    if (!c->vault.open || !c->vault.staged_open || !waited_for_others(c))
        return false;
    return put_phase(c, SEAL_PHASE_REWRITING);
}

static bool advance(struct ceremony *c)
{
    if (!ceremony_has_next(c) || c->records->next.phase != SEAL_PHASE_REWRITING)
        c->rewriting_since_ms = 0; /* whoever has ended it */
    if (!ceremony_has_next(c) || c->records->bad || ceremony_latched(c))
        return false;
    if (c->records->next.phase < SEAL_PHASE_REWRITING && ceremony_is_cancelled(c))
        return cancel(c);
    switch ((enum seal_phase)c->records->next.phase) {
    case SEAL_PHASE_PROPOSED:
        return stage(c);
    case SEAL_PHASE_STAGED:
    case SEAL_PHASE_REGISTERING:
        if (!ceremony_all_registered(&c->records->next.set) || !ceremony_due(&c->rows_retry))
            return false;
        return put_phase(c, SEAL_PHASE_READY);
    case SEAL_PHASE_READY:
        return leave_ready(c);
    case SEAL_PHASE_REWRITING:
        return rewrite(c);
    case SEAL_PHASE_NONE:
    case SEAL_PHASE_END:
        break;
    }
    return false;
}

/* --- what this replica says of itself --------------------------------------------------------------------------------------------------- */

static bool same_lease(const struct seal_replica *a, const struct seal_replica *b)
{
    return a->generation == b->generation && a->open == b->open &&
           a->staged_open == b->staged_open &&
           span_equal(span_of(a->staged, 32), span_of(b->staged, 32));
}

/* Only while there is a new set, and only where others could see it. */
static bool renew_lease(struct ceremony *c)
{
    const uint64_t now = ceremony_wall_ms(c);
    if (c->settings.config->signer_state.backend == STATE_SQLITE)
        return false;
    if (!ceremony_has_staged(c)) {
        const bool gone = c->lease_until_ms && !ceremony_drop_lease(c).code;
        if (gone)
            c->lease_until_ms = 0;
        return false;
    }
    struct seal_replica lease = {.generation = c->vault.generation,
                                 .open = c->vault.open != 0,
                                 .staged_open = c->vault.staged_open != 0,
                                 .until = now + CEREMONY_LEASE_MS};
    memcpy(lease.replica, c->settings.replica, sizeof lease.replica);
    if (c->staged.there)
        memcpy(lease.staged, c->staged.fingerprint, sizeof lease.staged);
    if (c->lease_until_ms > now + CEREMONY_LEASE_MS / 2 && same_lease(&lease, &c->lease))
        return false;
    if (ceremony_put_lease(c, &lease).code)
        return false;
    c->lease = lease;
    c->lease_until_ms = lease.until;
    return false;
}

/* --- telling the others ------------------------------------------------------------------------------------------------------------------ */

/* True when there is none any more. What can't be done now is tried again: the quorum has said it. Where there is none, the owner
 * takes the latch away, whatever has opened the master key (T25).
 */
static bool take_latch(struct ceremony *c)
{
    const struct ceremony_events *events = &c->settings.events;
    if (!ceremony_latched(c))
        return true;
    if (!c->records->current.set.operator_count || !events->unlatch ||
        !ceremony_due(&c->latch_retry))
        return false;
    cc_err err = events->unlatch(events->context);
    (void)ceremony_write_down(c, "unlatched", "", "operators", err).code;
    if (err.code) {
        ceremony_put_off(&c->latch_retry);
        log_error("the quorum has unsealed, but the latch can't be taken away: trying again",
                  KV_ERR(err));
        return false;
    }
    c->latch_retry = (struct ceremony_retry){0};
    return true;
}

/* Rows that are sealed anew already are opened by the other one. */
static bool is_about_to_open_staged(const struct ceremony *c)
{
    return ceremony_has_staged(c) && waits_for_bridge(c) && ceremony_due(&c->give_retry);
}

static void tell(struct ceremony *c)
{
    const struct ceremony_events *events = &c->settings.events;
    const bool open = c->present.there && c->vault.open;
    const uint32_t generation = open ? c->vault.generation : 0;
    if (open == c->was_open && generation == c->was_generation)
        return;
    const bool closes = c->was_open && !open;
    if (open && (is_about_to_open_staged(c) || !take_latch(c)))
        return; /* nothing is loaded, and no token is good */
    c->was_open = open;
    c->was_generation = generation;
    if (closes && events->closed)
        events->closed(events->context);
    if (!open)
        return;
    c->kms_wanted = false;
    metric_add(METRIC_CHAMBER_UNSEAL, 0, 0, c->records->current.set.mode != SEAL_LOCAL);
    log_notice("the master key is open",
               KV_STR("mode", seal_mode_name(c->records->current.set.mode)),
               KV_NUM("generation", generation));
    if (events->opened)
        events->opened(events->context, generation);
}

/* --- what the operators have shown --------------------------------------------------------------------------------------------------------- */

void ceremony_shown_now(struct ceremony *c)
{
    c->shown_ms = ceremony_wall_ms(c);
    c->shown_retry = (struct ceremony_retry){0};
}

static void earlier(uint64_t *at_ns, uint64_t other_ns)
{
    if (other_ns && (!*at_ns || other_ns < *at_ns))
        *at_ns = other_ns;
}

uint64_t ceremony_note_shown(struct ceremony *c, uint64_t at_ns)
{
    if (!c->shown_ms)
        return at_ns;
    if (!ceremony_due(&c->shown_retry)) {
        earlier(&at_ns, c->shown_retry.at_ns);
        return at_ns;
    }
    cc_err err = rehearsal_note(c->settings.keeper, c->shown_ms, CEREMONY_KEEPER_MS);
    if (!err.code || error_is(err, ERROR_TAMPERED)) /* what can't be read is told by who shows it */
        c->shown_ms = 0;
    else
        ceremony_put_off(&c->shown_retry);
    if (err.code)
        log_notice("when the operators showed that they can unseal was not stored", KV_ERR(err));
    if (c->shown_ms)
        earlier(&at_ns, c->shown_retry.at_ns);
    return at_ns;
}

/* --- a round ------------------------------------------------------------------------------------------------------------------------------ */

static bool step(struct ceremony *c)
{
    return ceremony_take_incoming(c) || give_present(c) || give_staged(c) || drop_staged(c) ||
           ceremony_image_opens(c) || unwrap(c) || unwrap_staged(c) || expire(c) || advance(c) ||
           ceremony_image_advances(c) || renew_lease(c);
}

static uint64_t next_look(const struct ceremony *c)
{
    const uint64_t now = clock_mono_ns();
    const struct ceremony_retry *retries[] = {
        &c->kms_retry,  &c->staged_kms_retry, &c->make_retry,  &c->give_retry,
        &c->rows_retry, &c->latch_retry,      &c->image_retry, &c->image_make_retry};
    uint64_t at_ns = 0;
    for (size_t i = 0; i < sizeof retries / sizeof *retries; i++)
        if (retries[i]->at_ns > now)
            earlier(&at_ns, retries[i]->at_ns);
    if (c->pending_until_ms)
        earlier(&at_ns, c->pending_until_ms * ms);
    if (ceremony_has_staged(c))
        earlier(&at_ns, now + CEREMONY_RETRY_MS * ms); /* others, and the lease */
    return at_ns;
}

uint64_t ceremony_drive(struct ceremony *c)
{
    c->goes_on = false;
    for (int i = 0; i < STEPS_MAX && step(c); i++)
        tell(c);
    tell(c);
    return c->goes_on ? 1 : next_look(c);
}
