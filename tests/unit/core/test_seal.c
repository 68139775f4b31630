/* T25: a seal is made in an order that leaves no moment without it, is followed by other replicas, and taken back by nothing here.
 * T28: what a canary revokes is the token that was used.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

#include "core/canary.h"
#include "core/keeper.h"
#include "core/seal.h"
#include "support/folder.h"
#include "support/shared_state.h"
#include "support/test.h"

/* A replica, as far as a seal goes. */
struct side {
    struct folder folder;
    struct state_store *state;
    struct keeper *keeper;
    struct seal *seal;
    atomic_uint wiped;
    atomic_uint written;
    atomic_bool
        latch_was_first; /* seal.latch was there when the state store was told, and when the vault was wiped */
    atomic_bool vault_is_away;
    atomic_uint restarted;
    atomic_uint lifted;
    bool begins_latched;
};

static struct shared_state shared;
static struct side a;
static struct side b;

static void changed(void *context, const struct state_store *state)
{
    struct side *side = context;
    seal_changed(side->seal, state);
}

static void tell(void *context)
{
    (void)context;
}

static void write_down(void *context, const char *by, cc_err result)
{
    struct side *side = context;
    assert_true(by[0]);
    (void)result;
    (void)atomic_fetch_add(&side->written, 1);
}

struct latching {
    const char *by;
    uint64_t wall_ms;
};

static cc_err put_latch(void *context, struct state_store *state, const struct state_signer *signer)
{
    const struct latching *latching = context;
    return seal_latch_make_record(state, signer, latching->by, latching->wall_ms);
}

static cc_err latch_state(void *context, const char *by, uint64_t wall_ms, uint64_t patience_ms)
{
    struct side *side = context;
    struct latching latching = {by, wall_ms};
    if (!seal_latch_file(side->folder.path))
        atomic_store(&side->latch_was_first, false);
    return keeper_run(side->keeper, put_latch, &latching, patience_ms);
}

static cc_err wipe(void *context)
{
    struct side *side = context;
    if (!seal_latch_file(side->folder.path))
        atomic_store(&side->latch_was_first, false);
    if (atomic_load(&side->vault_is_away))
        return CC_FAIL(DOOR_CLOSED, NULL);
    (void)atomic_fetch_add(&side->wiped, 1);
    return CC_OK;
}

static void restart(void *context)
{
    struct side *side = context;
    assert_true(seal_latch_file(side->folder.path));
    (void)atomic_fetch_add(&side->restarted, 1);
}

static void lifted(void *context)
{
    struct side *side = context;
    assert_false(seal_is(side->seal));
    (void)atomic_fetch_add(&side->lifted, 1);
}

/* The side begins again, as after a restart of all rooms. */
static void side_start(struct side *side)
{
    const struct seal_work work = {write_down, latch_state, wipe, restart, lifted, side};
    assert_int_equal(seal_new(side->folder.path, &side->seal).code, 0);
    if (side->begins_latched)
        seal_begin_latched(side->seal);
    const struct keeper_settings settings = {.state = side->state,
                                             .signer = shared_state_signer,
                                             .refresh_seconds = 1,
                                             .tell = tell,
                                             .changed = changed,
                                             .changed_context = side};
    assert_int_equal(keeper_start(&settings, &side->keeper).code, 0);
    assert_int_equal(seal_start(side->seal, &work).code, 0);
}

static void side_up(struct side *side, const char *name)
{
    *side = (struct side){.latch_was_first = true};
    folder_make(&side->folder);
    side->state = shared_state_open(&shared, name);
    side_start(side);
}

static void side_stop(struct side *side)
{
    seal_stop(side->seal);
    keeper_stop(side->keeper);
    seal_free(side->seal);
}

static void side_down(struct side *side)
{
    side_stop(side);
    state_store_close(side->state);
    folder_remove(&side->folder);
}

static int up(void **state)
{
    (void)state;
    shared_state_make(&shared);
    side_up(&a, "a");
    side_up(&b, "b");
    return 0;
}

static int down(void **state)
{
    (void)state;
    side_down(&a);
    side_down(&b);
    shared_state_remove(&shared);
    return 0;
}

static void await_wiped(struct side *side)
{
    const uint64_t until = clock_mono_ms() + 20000;
    while (atomic_load(&side->wiped) == 0) {
        assert_true(clock_mono_ms() < until);
        (void)usleep(2000);
    }
}

static void test_T25_a_seal_reaches_every_replica(void **state)
{
    (void)state;
    assert_false(seal_is(a.seal));
    assert_false(seal_is(NULL));
    assert_int_equal(seal_wait(a.seal, 1).code, ERROR_BUSY);
    seal_ask(a.seal, "token:ops");
    assert_true(seal_is(a.seal)); /* at once */
    assert_int_equal(seal_wait(a.seal, 20000).code, 0);
    assert_int_equal(atomic_load(&a.wiped), 1);
    assert_int_equal(atomic_load(&a.written), 1);
    assert_true(atomic_load(&a.latch_was_first));
    assert_true(seal_latch_file(a.folder.path));
    await_wiped(&b);
    assert_true(seal_is(b.seal));
    assert_true(seal_latch_file(b.folder.path));
    assert_true(atomic_load(&b.latch_was_first));
    seal_ask(a.seal, "token:ops"); /* once more changes nothing */
    assert_int_equal(seal_wait(a.seal, 20000).code, 0);
    assert_int_equal(atomic_load(&a.wiped), 1);
}

/* Refusals and wiping don't wait for a state store that is away; the answer says that others were not told. */
static void test_T25_a_state_store_that_is_away_holds_nothing_up(void **state)
{
    (void)state;
    shared_state_set_away(&shared, true);
    seal_ask(a.seal, "owner");
    assert_int_equal(seal_wait(a.seal, SEAL_PATIENCE_MS + 5000).code, ERROR_STATE);
    assert_int_equal(atomic_load(&a.wiped), 1);
    assert_true(seal_latch_file(a.folder.path));
    assert_false(seal_is(b.seal));
    shared_state_set_away(&shared, false);
}

static void test_T25_a_vault_that_does_not_answer_is_asked_again(void **state)
{
    (void)state;
    atomic_store(&a.vault_is_away, true);
    seal_ask(a.seal, "owner");
    assert_int_equal(seal_wait(a.seal, 20000).code, ERROR_DOOR_CLOSED);
    assert_true(seal_is(a.seal));
    atomic_store(&a.vault_is_away, false);
    await_wiped(&a);
}

static void test_T25_a_latch_that_cannot_be_made_is_tried_again(void **state)
{
    char path[512];
    (void)state;
    /* A directory in the place of the temporary file: nothing can be written there, by root neither. */
    (void)snprintf(path, sizeof path, "%s/seal.latch.%d.tmp", a.folder.path, (int)getpid());
    assert_int_equal(mkdir(path, 0700), 0);
    seal_ask(a.seal, "owner");
    assert_int_not_equal(seal_wait(a.seal, 20000).code, 0);
    assert_int_equal(atomic_load(&a.wiped), 1); /* what can be done is done */
    assert_int_equal(rmdir(path), 0);
    const uint64_t until = clock_mono_ms() + 20000;
    while (!seal_latch_file(a.folder.path)) {
        assert_true(clock_mono_ms() < until);
        (void)usleep(5000);
    }
}

static void test_T25_latches_are_taken_away_by_name_alone(void **state)
{
    (void)state;
    struct state_store *store = shared_state_open(&shared, "c");
    assert_int_equal(seal_latch_remove_record(store, &shared_state_signer).code, 0); /* none */
    assert_int_equal(seal_latch_make_record(store, &shared_state_signer, "owner", 5000).code, 0);
    assert_int_equal(seal_latch_make_record(store, &shared_state_signer, "owner", 9000).code, 0);
    assert_true(shared_state_is(store, "seal", "latch", "{\"at\":5,\"by\":\"owner\"}"));
    assert_true(seal_latch_record(store));
    assert_int_equal(seal_latch_remove_record(store, &shared_state_signer).code, 0);
    assert_false(seal_latch_record(store));
    state_store_close(store);
    assert_int_equal(seal_latch_make_file(a.folder.path, "owner", 5000).code, 0);
    assert_int_equal(seal_latch_make_file(a.folder.path, "owner", 5000).code, 0);
    assert_true(seal_latch_file(a.folder.path));
    assert_int_equal(seal_latch_remove_file(a.folder.path).code, 0);
    assert_int_equal(seal_latch_remove_file(a.folder.path).code, 0);
    assert_false(seal_latch_file(a.folder.path));
    assert_true(seal_latch_file("/dev/null")); /* nobody can say that it isn't there */
}

/* --- the way back --------------------------------------------------------------------------------------------------------- */

static void await(const atomic_uint *count, unsigned wanted)
{
    const uint64_t until = clock_mono_ms() + 20000;
    while (atomic_load(count) < wanted) {
        assert_true(clock_mono_ms() < until);
        (void)usleep(2000);
    }
}

static void latch(struct side *side)
{
    seal_ask(side->seal, "owner");
    assert_int_equal(seal_wait(side->seal, 20000).code, 0);
    await(&side->restarted, 1);
    side_stop(side);
    side->begins_latched = true;
    side_start(side);
    assert_true(seal_is(side->seal));
}

static void test_T25_a_latched_chamber_is_unsealed_by_name_alone(void **state)
{
    (void)state;
    assert_int_equal(atomic_load(&a.restarted), 0);
    latch(&a);
    assert_int_equal(atomic_load(&a.wiped),
                     1); /* it knows: the record that stands there is no news */
    assert_int_equal(atomic_load(&a.lifted), 0);
    assert_int_equal(seal_lift(a.seal, a.keeper, "owner").code, 0);
    assert_false(seal_is(a.seal));
    assert_false(seal_latch_file(a.folder.path));
    assert_int_equal(atomic_load(&a.lifted), 1);
    assert_int_equal(seal_lift(a.seal, a.keeper, "owner").code, 0); /* nothing there */
    seal_ask(a.seal, "owner");
    assert_int_equal(seal_wait(a.seal, 20000).code, 0);
    assert_int_equal(atomic_load(&a.wiped), 2);
    assert_true(seal_latch_file(a.folder.path));
    await(&a.restarted, 2);
}

/* In the life that has sealed there is nothing to unseal. */
static void test_T25_no_seal_is_lifted_in_its_own_life(void **state)
{
    (void)state;
    seal_ask(a.seal, "owner");
    assert_int_equal(seal_wait(a.seal, 20000).code, 0);
    assert_int_equal(seal_lift(a.seal, a.keeper, "owner").code, ERROR_SEALED);
    assert_true(seal_is(a.seal));
    assert_true(seal_latch_file(a.folder.path));
}

static void test_T25_a_state_store_that_is_away_keeps_the_latch(void **state)
{
    (void)state;
    latch(&a);
    shared_state_set_away(&shared, true);
    assert_int_not_equal(seal_lift(a.seal, a.keeper, "operators").code, 0);
    assert_true(seal_is(a.seal));
    assert_true(seal_latch_file(a.folder.path));
    shared_state_set_away(&shared, false);
    assert_int_equal(seal_lift(a.seal, a.keeper, "operators").code, 0);
    assert_false(seal_is(a.seal));
}

static void *seal_at_any_moment(void *context)
{
    (void)context;
    seal_ask(a.seal, "token:ops");
    return NULL;
}

/* Whichever comes first: it is sealed in the end, with both latches, and wiped. */
static void test_T25_a_seal_that_meets_an_unsealing_is_not_lost(void **state)
{
    (void)state;
    for (unsigned round = 1; round <= 5; round++) {
        pthread_t thread;
        latch(&a);
        const unsigned wiped = atomic_load(&a.wiped);
        assert_int_equal(pthread_create(&thread, NULL, seal_at_any_moment, NULL), 0);
        cc_err err = seal_lift(a.seal, a.keeper, "operators");
        assert_true(!err.code || error_is(err, ERROR_SEALED));
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(seal_wait(a.seal, 20000).code, 0);
        assert_true(seal_is(a.seal));
        assert_true(seal_latch_file(a.folder.path));
        assert_int_equal(atomic_load(&a.wiped), wiped + 1);
        struct state_store *store = shared_state_open(&shared, "c");
        assert_true(seal_latch_record(store));
        state_store_close(store);
        side_stop(&a);
        side_start(&a);
    }
}

/* Another replica seals while this one is latched: the record is one, and each has a file of its own. */
static void test_T25_replicas_are_unsealed_one_by_one(void **state)
{
    (void)state;
    latch(&a);
    await_wiped(&b);
    await(&b.restarted, 1);
    side_stop(&b);
    b.begins_latched = true;
    side_start(&b);
    assert_int_equal(seal_lift(a.seal, a.keeper, "operators").code, 0);
    assert_false(seal_is(a.seal));
    assert_true(seal_is(b.seal));
    assert_true(seal_latch_file(b.folder.path));
    assert_int_equal(seal_lift(b.seal, b.keeper, "operators").code, 0);
    assert_false(seal_is(b.seal));
    seal_ask(b.seal, "owner"); /* and it goes on to follow */
    const unsigned wiped = atomic_load(&a.wiped);
    await(&a.wiped, wiped + 1);
    assert_true(seal_is(a.seal));
}

/* --- canaries -------------------------------------------------------------------------------------------------------------- */

static char revoked[4][A_NAME_MAX];
static atomic_uint revoked_count;

static cc_err note_revoked(void *context, const char *token)
{
    (void)context;
    const unsigned n = atomic_load(&revoked_count);
    assert_true(n < ARRAY_LEN(revoked));
    (void)snprintf(revoked[n], sizeof revoked[n], "%s", token);
    atomic_store(&revoked_count, n + 1);
    return CC_OK;
}

static void hit(struct canary *canary, const char *principal)
{
    struct a_sign item = {0};
    struct sign_outcome outcome = {.kind = KIND_RANDAO_REVEAL, .allowed = true};
    memset(item.request.pubkey.bytes, 0xab, sizeof item.request.pubkey);
    (void)snprintf(outcome.principal, sizeof outcome.principal, "%s", principal);
    assert_true(canary_has(canary, &item.request.pubkey));
    canary_hit(canary, &item, &outcome);
    assert_int_equal(outcome.error, 0);
}

static struct canary *start_canary(enum canary_action action)
{
    static struct canary_config config;
    struct canary *canary = NULL;
    memset(&config, 0, sizeof config);
    config.action = action;
    config.public_keys.count = 1;
    (void)snprintf(config.public_keys.items[0], CONFIG_TEXT_MAX, "0x");
    memset(config.public_keys.items[0] + 2, 'a', 96);
    for (size_t i = 3; i < 98; i += 2)
        config.public_keys.items[0][i] = 'b';
    const struct canary_settings settings = {
        .config = &config, .seal = a.seal, .revoke = note_revoked};
    atomic_store(&revoked_count, 0);
    assert_int_equal(canary_start(&settings, &canary).code, 0);
    return canary;
}

static void test_T28_the_token_that_was_used_is_revoked_and_no_other(void **state)
{
    (void)state;
    struct canary *canary = start_canary(CANARY_REVOKE);
    hit(canary, "anonymous");
    hit(canary, "");
    hit(canary, "owner");
    hit(canary, "certificate:1");
    hit(canary, "token:validator-7");
    canary_stop(canary); /* what is queued is done */
    assert_int_equal(atomic_load(&revoked_count), 1);
    assert_string_equal(revoked[0], "validator-7");
    assert_false(seal_is(a.seal));
}

static void test_T28_no_stranger_seals(void **state)
{
    (void)state;
    struct canary *canary = start_canary(CANARY_SEAL);
    hit(canary, "anonymous");
    hit(canary, "");
    assert_false(seal_is(a.seal));
    hit(canary, "listener:unix");
    assert_true(seal_is(a.seal));
    canary_stop(canary);
    assert_int_equal(seal_wait(a.seal, 20000).code, 0);
    assert_int_equal(atomic_load(&revoked_count), 0);
}

static void test_T28_an_alert_is_no_more_than_that(void **state)
{
    (void)state;
    struct canary *canary = start_canary(CANARY_ALERT);
    hit(canary, "token:validator-7");
    canary_stop(canary);
    assert_int_equal(atomic_load(&revoked_count), 0);
    assert_false(seal_is(a.seal));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, up, down)
        T(test_T25_a_seal_reaches_every_replica),
        T(test_T25_a_state_store_that_is_away_holds_nothing_up),
        T(test_T25_a_vault_that_does_not_answer_is_asked_again),
        T(test_T25_a_latch_that_cannot_be_made_is_tried_again),
        T(test_T25_latches_are_taken_away_by_name_alone),
        T(test_T25_a_latched_chamber_is_unsealed_by_name_alone),
        T(test_T25_no_seal_is_lifted_in_its_own_life),
        T(test_T25_a_state_store_that_is_away_keeps_the_latch),
        T(test_T25_a_seal_that_meets_an_unsealing_is_not_lost),
        T(test_T25_replicas_are_unsealed_one_by_one),
        T(test_T28_the_token_that_was_used_is_revoked_and_no_other),
        T(test_T28_no_stranger_seals),
        T(test_T28_an_alert_is_no_more_than_that),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
