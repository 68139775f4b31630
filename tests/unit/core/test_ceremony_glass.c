/* Break-glass files of two replicas: what is given out is of the set that is stored, whoever made it and whatever was answered. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

#include "core/ceremony.h"
#include "core/ceremony_inside.h"
#include "support/seal_vault.h"
#include "support/shared_state.h"
#include "support/test.h"
#include "support/wish_kit.h"

enum {
    WAIT_MS = 20000,
    GLASS = 2
};

struct replica {
    struct state_store *state;
    struct keeper *keeper;
    struct ceremony *ceremony;
    struct seal_vault vault;
    struct buf answer;
    uint8_t digest[32];
    enum error_code result;
};

static struct shared_state shared;
static struct config config;
static struct replica a, b;
static _Atomic bool broken;           /* KMS */
static _Atomic unsigned meet, inside; /* so many wrap at the same time, or none goes on */

static void wait_a_bit(void)
{
    const struct timespec pause = {0, 2000000};
    (void)nanosleep(&pause, NULL);
}

static void tell(void *context)
{
    (void)context;
}

static void changed(void *context, const struct state_store *state)
{
    ceremony_changed(((struct replica *)context)->ceremony, state);
}

static cc_err wrap(void *context,
                   const struct seal_set *set,
                   struct seal_kms_key *keys,
                   const uint8_t (*shares)[SEAL_SHARE_SIZE],
                   struct seal_opened *ret_opened)
{
    const uint64_t until = clock_mono_ms() + WAIT_MS;
    (void)context;
    inside++;
    while (inside < meet && clock_mono_ms() < until)
        wait_a_bit();
    if (broken)
        return CC_FAIL(AWS_DENIED, NULL);
    for (uint32_t i = 0; i < set->kms.count; i++) {
        keys[i].len = SEAL_SHARE_SIZE;
        memcpy(keys[i].ciphertext, shares[i], SEAL_SHARE_SIZE);
        memcpy(ret_opened[i].share, shares[i], SEAL_SHARE_SIZE);
    }
    return CC_OK;
}

static void unwrap(void *context,
                   const struct seal_set *set,
                   const struct seal_kms_key *keys,
                   uint32_t ret_errors[static SEAL_KMS_MAX],
                   struct seal_opened *ret_opened)
{
    (void)context;
    for (uint32_t i = 0; i < set->kms.count; i++) {
        ret_errors[i] = 0;
        memcpy(ret_opened[i].share, keys[i].ciphertext, SEAL_SHARE_SIZE);
    }
}

static void start(struct replica *r, const char *name)
{
    struct ceremony_settings settings = {
        .config = &config,
        .vault = {seal_vault_ask, &r->vault},
        .kms = {.wrap = wrap, .unwrap = unwrap},
        .chamber_id = {1},
        .replica = {(uint8_t)name[0]},
    };
    memset(r, 0, sizeof *r);
    r->answer = buf_init(1 << 20);
    seal_vault_make(&r->vault);
    r->state = shared_state_open(&shared, name);
    assert_int_equal(ceremony_new(&settings, &r->ceremony).code, 0);
    const struct keeper_settings keeper = {.state = r->state,
                                           .signer = shared_state_signer,
                                           .refresh_seconds = 1,
                                           .tell = tell,
                                           .changed = changed,
                                           .changed_context = r};
    assert_int_equal(keeper_start(&keeper, &r->keeper).code, 0);
    assert_int_equal(ceremony_start(r->ceremony, r->keeper).code, 0);
}

static void stop(struct replica *r)
{
    ceremony_stop(r->ceremony);
    keeper_stop(r->keeper);
    ceremony_free(r->ceremony);
    state_store_close(r->state);
    seal_vault_end(&r->vault);
    buf_release(&r->answer);
}

static int up(void **state)
{
    (void)state;
    shared_state_make(&shared);
    config_defaults(&config);
    broken = false;
    meet = inside = 0;
    start(&a, "a");
    start(&b, "b");
    return 0;
}

static int down(void **state)
{
    (void)state;
    stop(&a);
    stop(&b);
    shared_state_remove(&shared);
    return 0;
}

static void wait_for(struct replica *r, enum seal_state state)
{
    const uint64_t until = clock_mono_ms() + WAIT_MS;
    while (ceremony_state(r->ceremony) != state && clock_mono_ms() < until)
        wait_a_bit();
    assert_string_equal(seal_state_name(ceremony_state(r->ceremony)), seal_state_name(state));
}

/* --- what people do --------------------------------------------------------------------------------------------------- */

static struct ceremony_wish *wish_of(enum seal_kind kind, char tag)
{
    static struct ceremony_wish wish;
    wish = (struct ceremony_wish){.kind = kind, .mode = SEAL_KMS, .by = "token:rotator"};
    wish_kms(&wish, 2, 3, tag);
    wish.proposal.break_glass_count = wish.proposal.break_glass_threshold = GLASS;
    for (uint32_t i = 0; i < GLASS; i++) {
        wish.proposal.break_glass[i].kind = SEAL_RECIPIENT_AGE;
        wish.proposal.break_glass[i].key[0] = (uint8_t)(i + 1);
    }
    return &wish;
}

static void propose(struct replica *r, char tag)
{
    static const char member[] = "\"digest\":\"";
    const struct ceremony_wish *wish = wish_of(SEAL_KIND_KMS, tag);
    struct config_text_list *allowed = &config.signer_state.allowed_kms_key_arns;
    allowed->count = 3;
    for (int i = 0; i < 3; i++)
        memcpy(allowed->items[i], wish->keys[i].arn, SEAL_ARN_SIZE);
    r->answer.len = 0;
    assert_int_equal(ceremony_propose(r->ceremony, wish, &r->answer).code, 0);
    const uint8_t *at = memmem(r->answer.data, r->answer.len, member, strlen(member));
    assert_non_null(at);
    for (int i = 0; i < 32; i++) {
        unsigned byte = 0;
        assert_int_equal(sscanf((const char *)at + strlen(member) + 2 * i, "%2x", &byte), 1);
        a.digest[i] = b.digest[i] = (uint8_t)byte;
    }
}

static void *approve(void *replica)
{
    struct replica *r = replica;
    struct ceremony_step step;
    r->result = (enum error_code)ceremony_owner_approves(r->ceremony, r->digest, &step).code;
    return NULL;
}

static void make_chamber(void)
{
    assert_int_equal(ceremony_init(a.ceremony, wish_of(SEAL_KIND_INIT, 'a'), &a.answer).code, 0);
    wait_for(&a, SEAL_STATE_UNSEALED);
    wait_for(&b, SEAL_STATE_UNSEALED);
}

/* Files of the set that this vault has made as its n-th one; `made` 0: none are given out. */
static void check_glass(struct replica *r, unsigned made)
{
    char line[32];
    r->answer.len = 0;
    const enum error_code code = (enum error_code)ceremony_tokens(r->ceremony, &r->answer).code;
    assert_int_equal(code, made ? 0 : ERROR_NAME_UNKNOWN);
    (void)snprintf(line, sizeof line, "\\nof %u.%u\\n", r->vault.number, made);
    for (unsigned i = 0; i < GLASS && made; i++) {
        char file[64];
        (void)snprintf(file, sizeof file, "kind %u index %u%s", (unsigned)B_PART_BREAK_GLASS, i,
                       line);
        assert_non_null(memmem(r->answer.data, r->answer.len, file, strlen(file)));
    }
}

static uint32_t generation_of(struct replica *r)
{
    (void)pthread_mutex_lock(&r->vault.lock);
    const uint32_t generation = r->vault.present.generation;
    (void)pthread_mutex_unlock(&r->vault.lock);
    return generation;
}

static void wait_for_generation(uint32_t generation)
{
    const uint64_t until = clock_mono_ms() + WAIT_MS;
    while ((generation_of(&a) != generation || generation_of(&b) != generation) &&
           clock_mono_ms() < until)
        wait_a_bit();
    wait_for(&a, SEAL_STATE_UNSEALED);
    wait_for(&b, SEAL_STATE_UNSEALED);
    assert_int_equal(generation_of(&a), generation);
    assert_int_equal(generation_of(&b), generation);
}

/* --- tests -------------------------------------------------------------------------------------------------------------- */

/* Nothing is staged any more as soon as nobody has to register: they are to be had all the same, where they were made. */
static void test_P25_files_of_the_set_in_force_are_given_where_it_was_made(void **state)
{
    (void)state;
    make_chamber();
    check_glass(&a, 1);
    check_glass(&b, 0);
    propose(&b, 'b');
    (void)approve(&b);
    assert_int_equal(b.result, 0);
    wait_for_generation(2);
    check_glass(&b, 1);
    check_glass(&a, 0); /* those are of no use any more */
}

/* Each makes a set of the same proposal, and of the two one is stored. */
static void test_P25_of_two_sets_of_one_proposal_the_stored_ones_files_are_given(void **state)
{
    (void)state;
    pthread_t thread;
    make_chamber();
    propose(&a, 'b');
    wait_for(&b, SEAL_STATE_AWAITING_ROTATION);
    inside = 0;
    meet = 2;
    assert_int_equal(pthread_create(&thread, NULL, approve, &b), 0);
    (void)approve(&a);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(a.vault.made_count, 2);
    assert_int_equal(b.vault.made_count, 1);
    assert_true((a.result == 0 && b.result == ERROR_CONFLICT) ||
                (b.result == 0 && a.result == ERROR_CONFLICT));
    wait_for_generation(2);
    check_glass(&a, a.result ? 0 : 2);
    check_glass(&b, b.result ? 0 : 1);
}

/* Of a set that is stored without an answer no other one is made, and its files are given. */
static void test_P25_a_set_whose_answer_was_lost_is_the_one(void **state)
{
    (void)state;
    make_chamber();
    propose(&a, 'b');
    shared_state_lose_answers(&shared, 1);
    (void)approve(&a);
    assert_int_equal(a.result, ERROR_STATE);
    wait_for_generation(2);
    assert_int_equal(a.vault.made_count, 2);
    check_glass(&a, 2);
    propose(&a, 'c');
    (void)approve(&a);
    assert_int_equal(a.result, 0);
    wait_for_generation(3);
    check_glass(&a, 3);
}

/* Tries that come to nothing take nothing away. */
static void test_P25_a_rotation_that_fails_leaves_the_files_there(void **state)
{
    (void)state;
    make_chamber();
    propose(&a, 'b');
    broken = true;
    for (int i = 0; i < 4; i++) {
        (void)approve(&a);
        assert_int_equal(a.result, ERROR_AWS_DENIED);
        check_glass(&a, 1);
    }
    shared_state_set_away(&shared, true);
    (void)approve(&a);
    assert_int_equal(a.result, ERROR_STATE);
    check_glass(&a, 1);
    shared_state_set_away(&shared, false);
    broken = false;
    (void)approve(&a);
    assert_int_equal(a.result, 0);
    wait_for_generation(2);
    check_glass(&a, 6);
}

#define T(name) cmocka_unit_test_setup_teardown(name, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_P25_files_of_the_set_in_force_are_given_where_it_was_made),
        T(test_P25_of_two_sets_of_one_proposal_the_stored_ones_files_are_given),
        T(test_P25_a_set_whose_answer_was_lost_is_the_one),
        T(test_P25_a_rotation_that_fails_leaves_the_files_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
