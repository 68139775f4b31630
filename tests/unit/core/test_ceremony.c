/* Ceremonies of two replicas over one state store, with vaults that hold no secret (support/seal_vault.h). */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/clock.h"
#include "base/metric.h"

#include "core/audit.h"
#include "core/ceremony.h"
#include "core/ceremony_inside.h"
#include "core/seal_body.h"
#include "seal/proposal.h"
#include "seal/record.h"
#include "support/seal_vault.h"
#include "support/shared_state.h"
#include "support/test.h"
#include "support/wish_kit.h"

enum {
    WAIT_MS = 20000,
    ROWS = 3
};

struct replica {
    struct state_store *state;
    struct keeper *keeper;
    struct ceremony *ceremony;
    struct seal_vault vault;
    _Atomic unsigned opened, closed;
    _Atomic uint32_t generation;
};

static struct shared_state shared;
static struct config config;
static struct replica a, b;
static struct audit *audit;                         /* of those that start from now on */
static _Atomic uint32_t rows_generation, rows_left; /* 0: there are no rows */
static _Atomic uint32_t kms_broken;                 /* by key */
static _Atomic bool latched;
static _Atomic unsigned asked_kms, rewrites;
static _Atomic bool kms_hangs;
static struct key_seen rows_seen;
static const char *comes_late;
static _Atomic uint64_t ahead_ms; /* of this machine's clock */

/* Between two looks at a condition. */
static void wait_a_bit(long ms)
{
    const struct timespec pause = {0, ms * 1000000};
    (void)nanosleep(&pause, NULL);
}

/* --- the others ------------------------------------------------------------------------------------------------------------- */

static void tell(void *context)
{
    (void)context;
}

static void changed(void *context, const struct state_store *state)
{
    ceremony_changed(((struct replica *)context)->ceremony, state);
}

static uint64_t wall_ms(void)
{
    return clock_wall_ms() + ahead_ms;
}

static void on_open(void *context, uint32_t generation)
{
    struct replica *r = context;
    r->generation = generation;
    r->opened++;
}

static void on_close(void *context)
{
    ((struct replica *)context)->closed++;
}

static bool is_latched(void *context)
{
    (void)context;
    return latched;
}

static cc_err unlatch(void *context)
{
    (void)context;
    latched = false;
    return CC_OK;
}

static bool any_row(void *context)
{
    (void)context;
    return rows_generation != 0;
}

static bool is_own_record(void *context, const char *name)
{
    (void)context;
    return strncmp(name, "postgres-", 9) == 0;
}

static uint64_t put_keys(const char *name, bool rows)
{
    return wish_kit_put_keys(a.keeper, name, rows);
}

/* One row at a time. Once another record of a key store comes just when there is none left. */
static cc_err
rewrite_rows(void *context, uint32_t from, uint32_t to, bool *ret_done, struct key_seen *ret_seen)
{
    (void)context;
    *ret_seen = rows_seen;
    rewrites++;
    if (rows_left <= 1 && comes_late) {
        const uint64_t version = put_keys(comes_late, true);
        if (is_own_record(NULL, comes_late))
            rows_seen.version = version;
        comes_late = NULL;
    }
    if (rows_generation == 0) {
        *ret_done = true;
        return CC_OK;
    }
    assert_true(rows_generation == from || rows_generation == to);
    if (rows_left)
        rows_left--;
    if (rows_left == 0)
        rows_generation = to;
    *ret_done = rows_left == 0;
    return CC_OK;
}

static cc_err wrap(void *context,
                   const struct seal_set *set,
                   struct seal_kms_key *keys,
                   const uint8_t (*shares)[SEAL_SHARE_SIZE],
                   struct seal_opened *ret_opened)
{
    (void)context;
    for (uint32_t i = 0; i < set->kms.count; i++) {
        if (kms_broken & 1u << i)
            return CC_FAIL(AWS_DENIED, NULL);
        keys[i].len = SEAL_SHARE_SIZE + 100;
        memset(keys[i].ciphertext, 0x55, keys[i].len);
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
    asked_kms++;
    while (kms_hangs)
        wait_a_bit(2);
    for (uint32_t i = 0; i < set->kms.count; i++) {
        ret_errors[i] = kms_broken & 1u << i ? ERROR_AWS_DENIED : 0;
        memcpy(ret_opened[i].share, keys[i].ciphertext, SEAL_SHARE_SIZE);
    }
}

/* --- replicas ----------------------------------------------------------------------------------------------------------------- */

/* `kept`: a vault that has lived, or NULL. */
static void start_with(struct replica *r, const char *name, const struct seal_vault *kept)
{
    struct ceremony_settings settings = {
        .config = &config,
        .audit = audit,
        .vault = {seal_vault_ask, &r->vault},
        .kms = {.wrap = wrap, .unwrap = unwrap},
        .rows = {any_row, rewrite_rows, is_own_record, NULL},
        .events = {on_open, on_close, is_latched, unlatch, r},
        .chamber_id = {1},
        .replica = {(uint8_t)name[0]},
        .wall_ms = wall_ms,
    };
    memset(r, 0, sizeof *r);
    seal_vault_make(&r->vault);
    if (kept)
        memcpy(&r->vault.present, &kept->present, sizeof *kept - sizeof kept->lock);
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

static void start(struct replica *r, const char *name)
{
    start_with(r, name, NULL);
}

static void stop(struct replica *r)
{
    ceremony_stop(r->ceremony);
    keeper_stop(r->keeper);
    ceremony_free(r->ceremony);
    state_store_close(r->state);
    seal_vault_end(&r->vault);
}

/* As after the end of all its rooms: a new vault, which knows nothing. */
static void restart(struct replica *r, const char *name)
{
    stop(r);
    start(r, name);
}

/* As after the end of its core alone. */
static void restart_core(struct replica *r, const char *name)
{
    stop(r);
    const struct seal_vault kept = r->vault;
    start_with(r, name, &kept);
}

static int up(void **state)
{
    (void)state;
    shared_state_make(&shared);
    config_defaults(&config);
    rows_generation = rows_left = kms_broken = asked_kms = 0;
    latched = false;
    rewrites = 0;
    ahead_ms = 0;
    metric_set(METRIC_CHAMBER_REHEARSAL, 0, 0);
    rows_seen = (struct key_seen){0};
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
        wait_a_bit(2);
    assert_string_equal(seal_state_name(ceremony_state(r->ceremony)), seal_state_name(state));
}

/* --- what people do -------------------------------------------------------------------------------------------------------------- */

static struct ceremony_wish *wish_of(enum seal_kind kind, uint32_t mode)
{
    static struct ceremony_wish wish;
    wish = (struct ceremony_wish){.kind = kind, .mode = mode, .by = "token:rotator"};
    return &wish;
}

static struct buf answer;

static enum error_code init_with(struct replica *r, const struct ceremony_wish *wish)
{
    buf_release(&answer);
    answer = buf_init(1 << 20);
    return (enum error_code)ceremony_init(r->ceremony, wish, &answer).code;
}

static enum error_code propose(struct replica *r, const struct ceremony_wish *wish)
{
    buf_release(&answer);
    answer = buf_init(1 << 20);
    return (enum error_code)ceremony_propose(r->ceremony, wish, &answer).code;
}

static bool answer_has(const char *text)
{
    return answer.len && memmem(answer.data, answer.len, text, strlen(text)) != NULL;
}

/* What stands after "name":" in the answer, as bytes. */
static void take_hex(const char *name, uint8_t ret_bytes[static 32])
{
    char pattern[40];
    (void)snprintf(pattern, sizeof pattern, "\"%s\":\"", name);
    const uint8_t *at = memmem(answer.data, answer.len, pattern, strlen(pattern));
    assert_non_null(at);
    at += strlen(pattern);
    for (int i = 0; i < 32; i++) {
        unsigned byte = 0;
        assert_int_equal(sscanf((const char *)at + 2 * i, "%2x", &byte), 1);
        ret_bytes[i] = (uint8_t)byte;
    }
}

static struct ceremony_step step;

static enum error_code
bring(struct replica *r, uint32_t purpose, const char *name, const uint8_t *digest, bool right)
{
    struct ceremony_envelope envelope;
    seal_vault_box(&envelope, purpose, name, right);
    if (digest)
        memcpy(envelope.digest, digest, 32);
    return (enum error_code)ceremony_bring(r->ceremony, &envelope, &step).code;
}

static void register_all(struct replica *r, uint32_t count)
{
    uint8_t fingerprint[32];
    take_hex("set_fingerprint", fingerprint);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(bring(r, SEAL_TO_REGISTER, wish_kit_names[i], fingerprint, true), 0);
        assert_int_equal(step.have, i + 1);
        assert_int_equal(step.needed, count);
    }
}

static void unseal_with_two(struct replica *r)
{
    assert_int_equal(bring(r, SEAL_TO_UNSEAL, "alice", NULL, true), 0);
    assert_int_equal(step.have, 1);
    assert_int_equal(bring(r, SEAL_TO_UNSEAL, "carol", NULL, true), 0);
    assert_int_equal(step.have, 2);
}

static void make_operators_chamber(void)
{
    struct ceremony_wish *wish = wish_of(SEAL_KIND_INIT, SEAL_OPERATORS);
    wish_operators(wish, 2, 3);
    assert_int_equal(init_with(&a, wish), 0);
    register_all(&a, 3);
    wait_for(&a, SEAL_STATE_SEALED);
    unseal_with_two(&a);
    wait_for(&a, SEAL_STATE_UNSEALED);
}

/* --- operators ---------------------------------------------------------------------------------------------------------------------- */

static void test_operators_from_nothing_to_unsealed(void **state)
{
    (void)state;
    struct ceremony_wish *wish = wish_of(SEAL_KIND_INIT, SEAL_OPERATORS);
    wait_for(&a, SEAL_STATE_UNINITIALIZED);
    wish_operators(wish, 2, 3);
    assert_int_equal(init_with(&a, wish), 0);
    assert_true(answer_has("\"state\":\"awaiting_registration\""));
    assert_true(answer_has(
        "{\"name\":\"bob\",\"age\":\"-----BEGIN AGE ENCRYPTED FILE-----\\nkind 2 index 1\\n"));
    wait_for(&b, SEAL_STATE_AWAITING_REGISTRATION); /* what one does the other sees */
    register_all(&a, 3);
    wait_for(&a, SEAL_STATE_SEALED); /* its operators show that they can open it */
    assert_int_equal(a.vault.drops[B_DROP_OPEN], 1);
    wait_for(&b, SEAL_STATE_SEALED);
    assert_int_equal(a.opened, 0);
    unseal_with_two(&a);
    wait_for(&a, SEAL_STATE_UNSEALED);
    assert_int_equal(a.generation, 1);
    wait_for(&b, SEAL_STATE_SEALED); /* T26: each by itself */
    unseal_with_two(&b);
    wait_for(&b, SEAL_STATE_UNSEALED);
    restart(&a, "a");
    wait_for(&a, SEAL_STATE_SEALED);
    unseal_with_two(&a);
    wait_for(&a, SEAL_STATE_UNSEALED);
}

/* Tokens wait in the record: a restart, or another replica, goes on where registration was. */
static void test_registration_goes_on_after_a_restart(void **state)
{
    (void)state;
    uint8_t fingerprint[32];
    struct ceremony_wish *wish = wish_of(SEAL_KIND_INIT, SEAL_OPERATORS);
    wish_operators(wish, 2, 3);
    assert_int_equal(init_with(&a, wish), 0);
    take_hex("set_fingerprint", fingerprint);
    assert_int_equal(bring(&a, SEAL_TO_REGISTER, "alice", fingerprint, true), 0);
    restart(&a, "a");
    wait_for(&a, SEAL_STATE_AWAITING_REGISTRATION);
    answer.len = 0;
    assert_int_equal(ceremony_tokens(a.ceremony, &answer).code, 0);
    assert_false(answer_has("\"name\":\"alice\"")); /* spent */
    assert_true(answer_has("\"name\":\"carol\""));
    assert_int_equal(bring(&a, SEAL_TO_REGISTER, "alice", fingerprint, true), ERROR_CREDENTIAL);
    assert_int_equal(bring(&a, SEAL_TO_REGISTER, "bob", fingerprint, true), 0);
    wait_for(&b, SEAL_STATE_AWAITING_REGISTRATION);
    const uint64_t until = clock_mono_ms() + WAIT_MS;
    while (bring(&b, SEAL_TO_REGISTER, "carol", fingerprint, true) && clock_mono_ms() < until)
        wait_a_bit(20); /* until it has the newest set */
    wait_for(&b, SEAL_STATE_SEALED);
    wait_for(&a, SEAL_STATE_SEALED);
}

/* T14: who registers for another set than was confirmed, registers nobody. */
static void test_T14_a_registration_is_for_the_set_that_was_confirmed(void **state)
{
    (void)state;
    const uint8_t other[32] = {7};
    struct ceremony_wish *wish = wish_of(SEAL_KIND_INIT, SEAL_OPERATORS);
    wish_operators(wish, 2, 3);
    assert_int_equal(init_with(&a, wish), 0);
    assert_int_equal(bring(&a, SEAL_TO_REGISTER, "alice", other, true), ERROR_CREDENTIAL);
    wait_for(&a, SEAL_STATE_AWAITING_REGISTRATION);
}

static void test_wrong_credentials_change_nothing(void **state)
{
    (void)state;
    make_operators_chamber();
    restart(&a, "a");
    wait_for(&a, SEAL_STATE_SEALED);
    const unsigned swaps = shared_state_swaps(&shared);
    assert_int_equal(bring(&a, SEAL_TO_UNSEAL, "alice", NULL, false), ERROR_CREDENTIAL);
    assert_int_equal(bring(&a, SEAL_TO_UNSEAL, "mallory", NULL, true), ERROR_CREDENTIAL);
    assert_int_equal(bring(&a, SEAL_TO_REGISTER, "alice", NULL, true), ERROR_SEAL_STATE);
    wait_for(&a, SEAL_STATE_SEALED);
    assert_int_equal(shared_state_swaps(&shared), swaps);
    unseal_with_two(&a);
}

/* Shares that were not enough are forgotten. */
static void test_pending_shares_expire(void **state)
{
    (void)state;
    make_operators_chamber();
    restart(&a, "a");
    wait_for(&a, SEAL_STATE_SEALED);
    config.signer_state.unseal_timeout_minutes = 0;
    assert_int_equal(bring(&a, SEAL_TO_UNSEAL, "alice", NULL, true), 0);
    const uint64_t until = clock_mono_ms() + WAIT_MS;
    while (a.vault.drops[B_DROP_PENDING] == 0 && clock_mono_ms() < until)
        wait_a_bit(2);
    config.signer_state.unseal_timeout_minutes = 30;
    assert_int_equal(bring(&a, SEAL_TO_UNSEAL, "carol", NULL, true), 0);
    assert_int_equal(step.have, 1);
    wait_for(&a, SEAL_STATE_SEALED);
}

/* An operator's next entry is stored while the chamber is open: that closes nothing, whatever comes in between. */
static void test_an_entry_that_rolls_does_not_close(void **state)
{
    (void)state;
    make_operators_chamber();
    (void)pthread_mutex_lock(&a.vault.lock);
    a.vault.rolls = true;
    a.vault.refuse_opens = 1;
    (void)pthread_mutex_unlock(&a.vault.lock);
    assert_int_equal(bring(&a, SEAL_TO_REHEARSE, "alice", NULL, true), 0);
    assert_int_equal(bring(&a, SEAL_TO_REHEARSE, "bob", NULL, true), 0);
    wait_for(&a, SEAL_STATE_UNSEALED);
    assert_int_equal(a.vault.refuse_opens, 0);
    assert_int_equal(a.closed, 0);
    assert_int_equal(a.opened, 1);
}

/* --- init ------------------------------------------------------------------------------------------------------------------------------ */

struct racing {
    struct replica *replica;
    struct ceremony_wish wish;
    struct buf answer;
    enum error_code result;
};

static void *race(void *argument)
{
    struct racing *r = argument;
    r->result = (enum error_code)ceremony_init(r->replica->ceremony, &r->wish, &r->answer).code;
    return NULL;
}

static void test_of_two_inits_one_wins(void **state)
{
    (void)state;
    static struct racing racers[2];
    pthread_t threads[2];
    struct replica *const replicas[2] = {&a, &b};
    for (int i = 0; i < 2; i++) {
        racers[i] = (struct racing){.replica = replicas[i], .answer = buf_init(1 << 20)};
        racers[i].wish = *wish_of(SEAL_KIND_INIT, SEAL_OPERATORS);
        wish_operators(&racers[i].wish, 2, 3);
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    const int winner = racers[0].result ? 1 : 0;
    assert_int_equal(racers[winner].result, 0);
    assert_int_equal(error_status((cc_err){(int)racers[!winner].result}), 409);
    answer.len = 0;
    assert_int_equal(ceremony_tokens(replicas[winner]->ceremony, &answer).code, 0);
    for (int i = 0; i < 2; i++) {
        wait_for(replicas[i], SEAL_STATE_AWAITING_REGISTRATION);
        buf_release(&racers[i].answer);
    }
    assert_int_equal(init_with(&a, &racers[0].wish), ERROR_SEAL_STATE);
    assert_string_equal(error_detail(), "awaiting_registration"); /* which is what the 409 says */
}

static void limit_file_size(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* T13: the first set is stored, so init has been done, and its token is spent; that the log has it not is told by who asked for it. */
static void test_T13_an_init_that_is_stored_is_done_without_the_log(void **state)
{
    (void)state;
    static const uint8_t key[AUDIT_KEY_SIZE] = {3};
    const struct audit_settings settings = {.level = AUDIT_ALL,
                                            .sink = AUDIT_FILE,
                                            .on_failure = AUDIT_REFUSE,
                                            .segment_bytes = 1 << 20,
                                            .directory = shared.directory,
                                            .replica = {1}};
    struct ceremony_wish *wish = wish_of(SEAL_KIND_INIT, SEAL_OPERATORS);
    wish_operators(wish, 2, 3);
    assert_int_equal(audit_open(&settings, 1, key, &audit).code, 0);
    restart(&a, "a");
    wait_for(&a, SEAL_STATE_UNINITIALIZED);
    const struct audit_entry entry = {.event = "ceremony", .operation = "test"};
    for (int i = 0; i < 200; i++)
        assert_int_equal(audit_event(audit, &entry).code, 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    limit_file_size(4096); /* the log is beyond that, and nothing else */
    const enum error_code code = init_with(&a, wish);
    const bool failing = audit_failing(audit);
    limit_file_size(RLIM_INFINITY);
    assert_int_equal(code, 0);
    assert_true(failing);
    assert_true(answer_has("\"state\":\"awaiting_registration\""));
    stop(&a);
    audit_close(audit);
    audit = NULL;
    start(&a, "a");
}

/* T2: keys without a known set mean that its record is gone, not that the chamber is new. */
static void test_T02_no_init_while_there_are_keys(void **state)
{
    (void)state;
    struct ceremony_wish *wish = wish_of(SEAL_KIND_INIT, SEAL_OPERATORS);
    wish_operators(wish, 2, 3);
    rows_generation = 1;
    assert_int_equal(ceremony_may_init(a.ceremony).code, ERROR_SEAL_STATE);
    assert_int_equal(init_with(&a, wish), ERROR_SEAL_STATE);
    rows_generation = 0;
    assert_int_equal(ceremony_may_init(a.ceremony).code, 0);
}

/* --- KMS --------------------------------------------------------------------------------------------------------------------------------- */

static void make_kms_chamber(void)
{
    struct ceremony_wish *wish = wish_of(SEAL_KIND_INIT, SEAL_KMS);
    wish_kms(wish, 2, 3, 'a');
    assert_int_equal(init_with(&a, wish), 0);
    assert_true(answer_has("\"state\":\"unsealed\""));
}

/* P25: N-M keys may be lost; with more of them it waits, and asks again. */
static void test_P25_kms_opens_by_itself_without_the_keys_that_are_lost(void **state)
{
    (void)state;
    make_kms_chamber();
    wait_for(&b, SEAL_STATE_UNSEALED);
    kms_broken = 1u << 1;
    restart(&a, "a");
    wait_for(&a, SEAL_STATE_UNSEALED);
    buf_release(&answer);
    answer = buf_init(1 << 20);
    assert_int_equal(ceremony_status(a.ceremony, &answer).code, 0);
    assert_true(answer_has("\"state\":\"failed\",\"error\":\"AWS_DENIED\""));
    kms_broken = 1u << 1 | 1u << 2;
    restart(&a, "a");
    const uint64_t until = clock_mono_ms() + WAIT_MS;
    const unsigned before = asked_kms;
    while (asked_kms < before + 2 && clock_mono_ms() < until)
        wait_a_bit(5);
    wait_for(&a, SEAL_STATE_SEALED);
    kms_broken = 0;
    wait_for(&a, SEAL_STATE_UNSEALED);
}

/* Three shares of break-glass; and after a restart KMS keys open too few shares. */
static void make_broken_kms_chamber(uint32_t threshold, uint32_t broken)
{
    struct ceremony_wish *wish = wish_of(SEAL_KIND_INIT, SEAL_KMS);
    wish_kms(wish, threshold, 3, 'a');
    wish->proposal.break_glass_count = wish->proposal.break_glass_threshold = 3;
    for (uint32_t i = 0; i < 3; i++) {
        wish->proposal.break_glass[i].kind = SEAL_RECIPIENT_AGE;
        wish->proposal.break_glass[i].key[0] = (uint8_t)(i + 1);
    }
    assert_int_equal(init_with(&a, wish), 0);
    kms_broken = broken;
    restart(&a, "a");
    wait_for(&a, SEAL_STATE_SEALED);
}

static uint32_t kms_mask_of(struct replica *r)
{
    (void)pthread_mutex_lock(&r->vault.lock);
    const uint32_t mask = r->vault.kms_mask;
    (void)pthread_mutex_unlock(&r->vault.lock);
    return mask;
}

/* What is told is how many of these shares are there, whatever KMS has opened beside them. */
static void test_P25_break_glass_shares_are_counted_alone(void **state)
{
    (void)state;
    make_broken_kms_chamber(3, 1);
    const uint64_t until = clock_mono_ms() + WAIT_MS;
    while (kms_mask_of(&a) != 6 && clock_mono_ms() < until)
        wait_a_bit(2);
    assert_int_equal(kms_mask_of(&a), 6);
    for (uint32_t have = 1; have < 3; have++) {
        assert_int_equal(bring(&a, SEAL_TO_BREAK_GLASS, "break-glass", NULL, true), 0);
        assert_int_equal(step.have, have);
        assert_int_equal(step.needed, 3);
    }
}

/* Break-glass shares that were not enough are forgotten like any other. */
static void test_P25_break_glass_shares_expire(void **state)
{
    (void)state;
    make_broken_kms_chamber(2, 7);
    config.signer_state.unseal_timeout_minutes = 0;
    assert_int_equal(bring(&a, SEAL_TO_BREAK_GLASS, "break-glass", NULL, true), 0);
    const uint64_t until = clock_mono_ms() + WAIT_MS;
    while (a.vault.drops[B_DROP_PENDING] == 0 && clock_mono_ms() < until)
        wait_a_bit(2);
    config.signer_state.unseal_timeout_minutes = 30;
    assert_true(a.vault.drops[B_DROP_PENDING] > 0);
}

static void test_an_init_without_kms_leaves_nothing(void **state)
{
    (void)state;
    struct ceremony_wish *wish = wish_of(SEAL_KIND_INIT, SEAL_KMS);
    wish_kms(wish, 2, 3, 'a');
    kms_broken = 1;
    const unsigned swaps = shared_state_swaps(&shared);
    assert_int_equal(init_with(&a, wish), ERROR_AWS_DENIED);
    assert_int_equal(shared_state_swaps(&shared), swaps);
    assert_int_equal(a.vault.drops[B_DROP_STAGED], 1);
    wait_for(&a, SEAL_STATE_UNINITIALIZED);
    kms_broken = 0;
    assert_int_equal(init_with(&a, wish), 0);
}

static void test_quorum_opens_by_kms_and_operators(void **state)
{
    (void)state;
    struct ceremony_wish *wish = wish_of(SEAL_KIND_INIT, SEAL_QUORUM);
    wish_kms(wish, 2, 3, 'a');
    wish_operators(wish, 2, 3);
    assert_int_equal(init_with(&a, wish), 0);
    register_all(&a, 3);
    wait_for(&a, SEAL_STATE_KMS_UNSEALED);
    restart(&a, "a");
    wait_for(&a, SEAL_STATE_KMS_UNSEALED);
    unseal_with_two(&a);
    wait_for(&a, SEAL_STATE_UNSEALED);
}

static enum error_code register_when_it_can(struct replica *r, const char *name)
{
    uint8_t fingerprint[32];
    const uint64_t until = clock_mono_ms() + WAIT_MS;
    enum error_code code;
    take_hex("set_fingerprint", fingerprint);
    do {
        code = bring(r, SEAL_TO_REGISTER, name, fingerprint, true);
        wait_a_bit(5);
    } while (code && clock_mono_ms() < until);
    return code;
}

/* The vault that made the set has ended, and another one never had its wrapping key: KMS gives it to them. */
static void test_quorum_registers_after_a_restart_and_elsewhere(void **state)
{
    (void)state;
    struct ceremony_wish *wish = wish_of(SEAL_KIND_INIT, SEAL_QUORUM);
    wish_kms(wish, 2, 3, 'a');
    wish_operators(wish, 2, 3);
    kms_broken = 0;
    assert_int_equal(init_with(&a, wish), 0);
    kms_broken = 1; /* one of three may be lost */
    restart(&a, "a");
    assert_int_equal(register_when_it_can(&a, "alice"), 0);
    assert_int_equal(register_when_it_can(&b, "bob"), 0);
    assert_int_equal(register_when_it_can(&a, "carol"), 0);
    wait_for(&a, SEAL_STATE_KMS_UNSEALED);
    wait_for(&b, SEAL_STATE_KMS_UNSEALED);
    unseal_with_two(&a);
}

/* --- rotations ------------------------------------------------------------------------------------------------------------------------------ */

static void approve_with_two(struct replica *r, const uint8_t digest[static 32])
{
    assert_int_equal(bring(r, SEAL_TO_APPROVE, "alice", digest, true), 0);
    assert_int_equal(bring(r, SEAL_TO_APPROVE, "bob", digest, true), 0);
    assert_int_equal(step.have, 2);
}

/* T1: the token proposes, and that is all it does. */
static void test_T01_a_rotation_needs_the_present_quorum(void **state)
{
    (void)state;
    uint8_t digest[32], other[32] = {9};
    make_operators_chamber();
    const unsigned made = a.vault.made_count;
    struct ceremony_wish *wish = wish_of(SEAL_KIND_QUORUM, 0);
    wish_operators(wish, 2, 4);
    assert_int_equal(propose(&a, wish), 0);
    take_hex("digest", digest);
    wait_for(&a, SEAL_STATE_AWAITING_ROTATION);
    assert_int_equal(ceremony_owner_approves(a.ceremony, digest, &step).code, ERROR_SEAL_STATE);
    assert_int_equal(bring(&a, SEAL_TO_APPROVE, "alice", digest, true), 0);
    assert_int_equal(bring(&a, SEAL_TO_APPROVE, "alice", digest, true), 0); /* one person is one */
    assert_int_equal(bring(&a, SEAL_TO_APPROVE, "dave", digest, true), ERROR_CREDENTIAL);
    assert_int_equal(bring(&a, SEAL_TO_APPROVE, "bob", digest, false), ERROR_CREDENTIAL);
    approve_with_two(&a, other); /* something else was approved */
    assert_int_equal(a.vault.made_count, made);
    assert_int_equal(propose(&a, wish), ERROR_SEAL_STATE); /* one at a time */
    approve_with_two(&a, digest);
    assert_int_equal(a.vault.made_count, made + 1);
}

static void finish_registration(struct replica *r, uint32_t count)
{
    answer.len = 0;
    assert_int_equal(ceremony_tokens(r->ceremony, &answer).code, 0);
    register_all(r, count);
}

static void test_a_rotation_ends_with_rows_of_the_new_generation(void **state)
{
    (void)state;
    uint8_t digest[32];
    make_operators_chamber();
    rows_generation = 1;
    rows_left = ROWS;
    struct ceremony_wish *wish = wish_of(SEAL_KIND_QUORUM, 0);
    wish_operators(wish, 3, 4);
    assert_int_equal(propose(&a, wish), 0);
    take_hex("digest", digest);
    approve_with_two(&a, digest);
    finish_registration(&a, 4);
    wait_for(&a, SEAL_STATE_UNSEALED);
    assert_int_equal(rows_generation, 2);
    assert_int_equal(a.generation, 2);
    assert_int_equal(a.closed, 0); /* signing never stopped */
    wait_for(&b, SEAL_STATE_SEALED);
    const uint64_t until = clock_mono_ms() + WAIT_MS;
    while (b.vault.present.generation != 2 && clock_mono_ms() < until)
        wait_a_bit(5);
    assert_int_equal(b.vault.present.operator_count, 4);
}

/* Whatever phase it is in when everything ends, the next start goes on from there, and comes to the same end. */
static void test_a_rotation_goes_on_after_any_restart(void **state)
{
    (void)state;
    uint8_t digest[32];
    make_operators_chamber();
    rows_generation = 1;
    rows_left = ROWS;
    assert_int_equal(propose(&a, wish_of(SEAL_KIND_MASTER, 0)), 0);
    take_hex("digest", digest);
    restart(&a, "a");
    wait_for(&a, SEAL_STATE_SEALED); /* approvals are not kept */
    unseal_with_two(&a);
    wait_for(&a, SEAL_STATE_AWAITING_ROTATION);
    shared_state_set_away(&shared, true);
    assert_int_equal(bring(&a, SEAL_TO_APPROVE, "alice", digest, true), 0);
    assert_int_equal(bring(&a, SEAL_TO_APPROVE, "bob", digest, true), 0);
    shared_state_set_away(&shared, false);
    wait_for(&a, SEAL_STATE_UNSEALED);
    assert_int_equal(rows_generation, 2);
    restart(&a, "a");
    wait_for(&a, SEAL_STATE_SEALED);
    unseal_with_two(&a);
    wait_for(&a, SEAL_STATE_UNSEALED);
    assert_int_equal(a.generation, 2);
}

static void rotate_master(void)
{
    uint8_t digest[32];
    assert_int_equal(propose(&a, wish_of(SEAL_KIND_MASTER, 0)), 0);
    take_hex("digest", digest);
    assert_int_equal(ceremony_owner_approves(a.ceremony, digest, &step).code, 0);
}

/* Its rows would be left behind, since only itself can seal them anew. */
static void test_T02_no_rotation_beside_a_key_store_of_another_replica(void **state)
{
    (void)state;
    make_kms_chamber();
    put_keys("sqlite-0b", true);
    assert_int_equal(propose(&a, wish_of(SEAL_KIND_MASTER, 0)), ERROR_SEAL_STATE);
    put_keys("sqlite-0b", false);
    rows_generation = 1;
    comes_late = "sqlite-0b";
    rotate_master();
    wait_for(&a, SEAL_STATE_AWAITING_ROTATION);
    assert_int_equal(a.generation, 1);
    put_keys("sqlite-0b", false);
    wait_for(&a, SEAL_STATE_UNSEALED);
    assert_int_equal(a.generation, 2);
}

/* It ends on the rows that it has seen, and on no others. */
static void test_T02_rows_that_come_last_are_sealed_anew_too(void **state)
{
    (void)state;
    make_kms_chamber();
    rows_seen = (struct key_seen){.there = true, .name = "postgres-1"};
    rows_seen.version = put_keys("postgres-1", true);
    rows_generation = 1;
    comes_late = "postgres-1";
    rotate_master();
    wait_for(&a, SEAL_STATE_UNSEALED);
    assert_int_equal(a.generation, 2);
    assert_int_equal(rewrites, 2);
}

/* Between the phase and the end of every rotation others have the time to see the phase; a clock of the one before does not count. */
static void test_T02_each_rotation_gives_other_replicas_their_time(void **state)
{
    (void)state;
    make_kms_chamber();
    stop(&a);
    stop(&b);
    config.signer_state.backend =
        STATE_POSTGRES; /* of SQLite there is one replica, which waits for nobody */
    config.signer_state.refresh_interval_seconds = 1;
    start(&a, "a");
    start(&b, "b");
    wait_for(&a, SEAL_STATE_UNSEALED);
    wait_for(&b, SEAL_STATE_UNSEALED);
    for (uint32_t generation = 2; generation <= 3; generation++) {
        const uint64_t until = clock_mono_ms() + WAIT_MS;
        rewrites = 0;
        rows_generation = generation - 1;
        rows_left = ROWS;
        rotate_master();
        while (rewrites == 0 && clock_mono_ms() < until)
            wait_a_bit(2);
        const uint64_t began = clock_mono_ms();
        while (a.generation != generation && clock_mono_ms() < until)
            wait_a_bit(2);
        assert_int_equal(a.generation, generation);
        assert_true(clock_mono_ms() - began + 200 >= CEREMONY_GRACE_MS);
        wait_for(&a, SEAL_STATE_UNSEALED);
    }
}

/* P23: who neither proposed it nor is the quorum leaves it as it is. */
static void test_P23_only_proposer_or_quorum_cancel(void **state)
{
    (void)state;
    uint8_t digest[32], cancel[32];
    make_operators_chamber();
    assert_int_equal(propose(&a, wish_of(SEAL_KIND_MASTER, 0)), 0);
    assert_int_equal(ceremony_cancel(a.ceremony, "token:other", &step).code, ERROR_DENIED);
    assert_int_equal(ceremony_cancel(a.ceremony, NULL, &step).code, ERROR_DENIED);
    wait_for(&a, SEAL_STATE_AWAITING_ROTATION);
    assert_int_equal(ceremony_cancel(a.ceremony, "token:rotator", &step).code, 0);
    wait_for(&a, SEAL_STATE_UNSEALED);
    struct ceremony_wish *wish = wish_of(SEAL_KIND_QUORUM, 0);
    wish_operators(wish, 2, 4);
    assert_int_equal(propose(&a, wish), 0);
    take_hex("digest", digest);
    take_hex("cancel_digest", cancel);
    approve_with_two(&a, digest);
    assert_int_equal(a.vault.has_staged, true);
    approve_with_two(&a, cancel);
    wait_for(&a, SEAL_STATE_UNSEALED);
    assert_int_equal(a.vault.has_staged, false);
    assert_int_equal(ceremony_cancel(a.ceremony, "token:rotator", &step).code, ERROR_SEAL_STATE);
}

static bool has_staged(struct replica *r, const uint8_t digest[static 32])
{
    (void)pthread_mutex_lock(&r->vault.lock);
    const bool has = r->vault.has_staged && memcmp(r->vault.staged.fingerprint, digest, 32) == 0;
    (void)pthread_mutex_unlock(&r->vault.lock);
    return has;
}

static void wait_for_staged(struct replica *r, const uint8_t digest[static 32])
{
    const uint64_t until = clock_mono_ms() + WAIT_MS;
    while (!has_staged(r, digest) && clock_mono_ms() < until)
        wait_a_bit(5);
    assert_true(has_staged(r, digest));
}

static void stage_a_quorum(uint8_t ret_digest[static 32])
{
    struct ceremony_wish *wish = wish_of(SEAL_KIND_QUORUM, 0);
    wish_operators(wish, 2, 4);
    assert_int_equal(propose(&a, wish), 0);
    take_hex("digest", ret_digest);
    approve_with_two(&a, ret_digest);
    wait_for_staged(&a, ret_digest);
}

/* Cancelled and proposed again between two of its looks: the replica that has the first one takes the second. */
static void test_a_replica_that_missed_a_cancellation_takes_the_new_set(void **state)
{
    (void)state;
    uint8_t first[32], second[32];
    make_operators_chamber();
    stage_a_quorum(first);
    wait_for_staged(&b, first);
    assert_int_equal(ceremony_cancel(a.ceremony, "token:rotator", &step).code, 0);
    stage_a_quorum(second);
    assert_memory_not_equal(first, second, 32);
    wait_for_staged(&b, second);
}

/* A core that died after its vault made a set, and before that was stored; another replica has staged one since. */
static void test_a_set_that_nobody_stored_stands_in_nobodys_way(void **state)
{
    (void)state;
    uint8_t digest[32];
    make_operators_chamber();
    wait_for(&b, SEAL_STATE_SEALED);
    (void)pthread_mutex_lock(&b.vault.lock);
    b.vault.staged = b.vault.present;
    memset(b.vault.staged.fingerprint, 0x33, 32);
    b.vault.has_staged = true;
    (void)pthread_mutex_unlock(&b.vault.lock);
    stage_a_quorum(digest);
    wait_for_staged(&b, digest);
}

/* The same of one vault: its next core makes the set that was approved, at once. */
static void test_a_set_that_its_own_core_did_not_store_stands_in_nobodys_way(void **state)
{
    (void)state;
    uint8_t digest[32];
    make_kms_chamber();
    assert_int_equal(propose(&a, wish_of(SEAL_KIND_MASTER, 0)), 0);
    take_hex("digest", digest);
    (void)pthread_mutex_lock(&a.vault.lock);
    a.vault.staged = a.vault.present;
    memset(a.vault.staged.fingerprint, 0x33, 32);
    a.vault.has_staged = a.vault.made = true;
    (void)pthread_mutex_unlock(&a.vault.lock);
    const unsigned drops = a.vault.drops[B_DROP_STAGED];
    assert_int_equal(ceremony_owner_approves(a.ceremony, digest, &step).code, 0);
    assert_int_equal(a.vault.drops[B_DROP_STAGED], drops + 1);
}

/* The quorum has approved, and the core has died before it has made the set: nobody has to approve again. */
static void test_P25_an_approval_outlives_the_core(void **state)
{
    (void)state;
    uint8_t digest[32];
    make_operators_chamber();
    const unsigned made = a.vault.made_count;
    assert_int_equal(propose(&a, wish_of(SEAL_KIND_MASTER, 0)), 0);
    take_hex("digest", digest);
    restart_core(&a, "a");
    wait_for(&a, SEAL_STATE_AWAITING_ROTATION);
    assert_int_equal(ceremony_is_approved(a.ceremony, digest).code, ERROR_NOT_APPROVED);
    assert_int_equal(bring(&a, SEAL_TO_APPROVE, "alice", digest, true), 0);
    restart_core(&a, "a");
    wait_for(&a, SEAL_STATE_AWAITING_ROTATION);
    assert_int_equal(ceremony_is_approved(a.ceremony, digest).code, ERROR_NOT_APPROVED);
    assert_int_equal(a.vault.made_count, made);
    (void)pthread_mutex_lock(&a.vault.lock);
    a.vault.approve_mask |= 2;
    (void)pthread_mutex_unlock(&a.vault.lock);
    restart_core(&a, "a");
    wait_for(&a, SEAL_STATE_UNSEALED);
    assert_int_equal(a.vault.present.generation, 2);
    assert_int_equal(a.vault.made_count, made + 1);
}

/* The same of a cancellation: what the quorum does not want any more is not made. */
static void test_P23_a_cancellation_outlives_the_core(void **state)
{
    (void)state;
    uint8_t digest[32], cancel[32];
    make_operators_chamber();
    const unsigned made = a.vault.made_count;
    assert_int_equal(propose(&a, wish_of(SEAL_KIND_MASTER, 0)), 0);
    take_hex("digest", digest);
    take_hex("cancel_digest", cancel);
    (void)pthread_mutex_lock(&a.vault.lock);
    memcpy(a.vault.approving, cancel, 32);
    a.vault.approve_mask = 3;
    (void)pthread_mutex_unlock(&a.vault.lock);
    restart_core(&a, "a");
    wait_for(&a, SEAL_STATE_UNSEALED);
    assert_int_equal(a.vault.present.generation, 1);
    assert_int_equal(a.vault.made_count, made);
    assert_int_equal(propose(&a, wish_of(SEAL_KIND_MASTER, 0)), 0); /* another one */
}

static void put_replica(struct state_store *store, uint8_t number, uint64_t until)
{
    char name[8];
    CC_CLEANUP(buf_release) struct buf out = buf_init(1024);
    const struct seal_replica lease = {.replica = {number}, .until = until};
    (void)snprintf(name, sizeof name, "m%02u", number);
    assert_int_equal(seal_replica_encode(&lease, &out).code, 0);
    const struct state_change change = {
        .kind = SEAL_RECORD_KIND, .name = name, .bytes = span_of(out.data, out.len)};
    assert_int_equal(state_commit(store, &change, 1, &shared_state_signer).code, 0);
}

/* However many have come and gone, those that live are waited for. */
static void test_replicas_that_have_gone_hide_none_that_lives(void **state)
{
    (void)state;
    enum {
        NOW = 5000,
        GONE = 40
    };
    static struct ceremony_records records;
    struct state_store *store = shared_state_open(&shared, "other");
    for (uint8_t i = 0; i < GONE; i++)
        put_replica(store, i, NOW - 1);
    put_replica(store, GONE, NOW);
    put_replica(store, GONE + 1, NOW + 2 * CEREMONY_LEASE_MS + 1); /* whose clock is wrong */
    assert_int_equal(ceremony_read_records(store, NOW, &records).code, 0);
    assert_int_equal(records.replica_count, 1);
    assert_int_equal(records.replicas[0].replica[0], GONE);
    state_store_close(store);
}

/* Who may cancel, and whether there is a way back, stands in what can't be read. */
static void test_T02_the_owner_decides_nothing_that_can_not_be_read(void **state)
{
    (void)state;
    uint8_t digest[32];
    make_kms_chamber();
    rows_generation = 1;
    assert_int_equal(propose(&a, wish_of(SEAL_KIND_MASTER, 0)), 0);
    take_hex("digest", digest);
    const unsigned made = a.vault.made_count;
    assert_int_equal(ceremony_is_owners(a.ceremony).code, 0);
    const uint64_t version =
        wish_kit_put(a.keeper, SEAL_RECORD_KIND, SEAL_RECORD_NEXT, span_str("{"));
    wait_for(&a, SEAL_STATE_SEALED);
    assert_int_equal(ceremony_cancel(a.ceremony, NULL, &step).code, ERROR_SEAL_STATE);
    assert_int_equal(ceremony_cancel(a.ceremony, "token:rotator", &step).code, ERROR_SEAL_STATE);
    assert_int_equal(ceremony_owner_approves(a.ceremony, digest, &step).code, ERROR_SEAL_STATE);
    assert_int_equal(a.vault.made_count, made);
    assert_int_equal(ceremony_is_owners(a.ceremony).code, ERROR_SEAL_STATE);
    assert_int_equal(wish_kit_put(a.keeper, SEAL_RECORD_KIND, SEAL_RECORD_NEXT, span_str("{")),
                     version + 1);
}

/* T1: where no operators decide, the owner does, and this machine's configuration names the keys. */
static void test_T01_kms_keys_are_those_that_the_configuration_allows(void **state)
{
    (void)state;
    uint8_t digest[32];
    make_kms_chamber();
    struct ceremony_wish *wish = wish_of(SEAL_KIND_KMS, 0);
    wish_kms(wish, 1, 2, 'b');
    assert_int_equal(propose(&a, wish), ERROR_DENIED);
    config.signer_state.allowed_kms_key_arns.count = 1;
    memcpy(config.signer_state.allowed_kms_key_arns.items[0], wish->keys[0].arn, SEAL_ARN_SIZE);
    assert_int_equal(propose(&a, wish), ERROR_DENIED);
    config.signer_state.allowed_kms_key_arns.count = 2;
    memcpy(config.signer_state.allowed_kms_key_arns.items[1], wish->keys[1].arn, SEAL_ARN_SIZE);
    assert_int_equal(propose(&a, wish), 0);
    take_hex("digest", digest);
    wait_for(&a, SEAL_STATE_AWAITING_ROTATION);
    digest[0] ^= 1;
    assert_int_equal(ceremony_owner_approves(a.ceremony, digest, &step).code, ERROR_NAME_UNKNOWN);
    digest[0] ^= 1;
    assert_int_equal(ceremony_owner_approves(a.ceremony, digest, &step).code, 0);
    wait_for(&a, SEAL_STATE_UNSEALED);
    assert_int_equal(a.generation, 2);
    wait_for(&b, SEAL_STATE_UNSEALED); /* by the bridge, and then by its keys */
}

/* T11: KMS encrypts for whoever asks, so an enclave takes the keys of its first set from what is measured with it as well. */
static void test_T11_an_enclaves_first_kms_keys_are_those_of_its_configuration(void **state)
{
    (void)state;
    config.tee.platform = TEE_NITRO;
    config.signer_state.allowed_kms_key_arns.count = 0;
    struct ceremony_wish *wish = wish_of(SEAL_KIND_INIT, SEAL_KMS);
    wish_kms(wish, 1, 2, 'a');
    const unsigned made = a.vault.made_count;
    assert_int_equal(init_with(&a, wish), ERROR_DENIED);
    config.signer_state.allowed_kms_key_arns.count = 1;
    memcpy(config.signer_state.allowed_kms_key_arns.items[0], wish->keys[0].arn, SEAL_ARN_SIZE);
    assert_int_equal(init_with(&a, wish), ERROR_DENIED);
    assert_int_equal(a.vault.made_count, made);
    config.signer_state.allowed_kms_key_arns.count = 2;
    memcpy(config.signer_state.allowed_kms_key_arns.items[1], wish->keys[1].arn, SEAL_ARN_SIZE);
    assert_int_equal(init_with(&a, wish), 0);
    assert_true(answer_has("\"state\":\"unsealed\""));
    config.tee.platform = TEE_NONE;
}

/* --- the latch -------------------------------------------------------------------------------------------------------------------------------- */

static void wish_glass(struct ceremony_wish *wish)
{
    wish->proposal.break_glass_count = wish->proposal.break_glass_threshold = 2;
    for (uint32_t i = 0; i < 2; i++) {
        wish->proposal.break_glass[i].kind = SEAL_RECIPIENT_AGE;
        wish->proposal.break_glass[i].key[0] = (uint8_t)(i + 1);
    }
}

static void make_latched_quorum(void)
{
    struct ceremony_wish *wish = wish_of(SEAL_KIND_INIT, SEAL_QUORUM);
    wish_kms(wish, 2, 3, 'a');
    wish_operators(wish, 2, 3);
    wish_glass(wish);
    assert_int_equal(init_with(&a, wish), 0);
    register_all(&a, 3);
    wait_for(&b, SEAL_STATE_KMS_UNSEALED);
    latched = true;
    const unsigned before = asked_kms;
    restart(&a, "a");
    wait_for(&a, SEAL_STATE_SEALED);
    assert_int_equal(asked_kms, before);
}

/* T25: who asks for a challenge is nobody yet, and who keeps sending envelopes makes it ask no sooner. */
static void test_T25_nobody_makes_a_latched_chamber_ask_kms(void **state)
{
    (void)state;
    struct seal_challenge challenge;
    make_latched_quorum();
    const unsigned before = asked_kms;
    for (int i = 0; i < 5; i++)
        assert_int_equal(
            ceremony_give_challenge(a.ceremony, "mallory", SEAL_TO_UNSEAL, &challenge).code, 0);
    assert_int_equal(bring(&a, SEAL_TO_UNSEAL, "alice", NULL, false), ERROR_CREDENTIAL);
    assert_int_equal(asked_kms, before);
    kms_broken = 7;
    const uint64_t began = clock_mono_ms();
    for (int i = 0; i < 50; i++)
        assert_int_equal(bring(&a, SEAL_TO_UNSEAL, "alice", NULL, true), ERROR_SEALED);
    assert_true(asked_kms > before);
    assert_true(asked_kms - before <= 2 + (clock_mono_ms() - began) / CEREMONY_RETRY_MS);
}

/* T29: anybody can ask for a challenge; while KMS hangs, that keeps the others that wait behind it for a second and not for eight. */
static void test_T29_a_challenge_waits_for_a_second(void **state)
{
    (void)state;
    struct seal_challenge challenge;
    make_kms_chamber();
    kms_broken = 7;
    kms_hangs = true;
    const unsigned before = asked_kms;
    stop(&a);
    start(&a, "a");
    while (asked_kms == before)
        wait_a_bit(2);
    const uint64_t began = clock_mono_ms();
    const cc_err err = ceremony_give_challenge(a.ceremony, "x", SEAL_TO_UNSEAL, &challenge);
    const uint64_t waited = clock_mono_ms() - began;
    kms_hangs = false;
    assert_int_equal(err.code, ERROR_BUSY);
    assert_true(waited >= CEREMONY_CHALLENGE_MS && waited < CEREMONY_PATIENCE_MS / 2);
}

/* T25: a latched chamber asks nobody by itself; its quorum takes the latch away. */
static void test_T25_the_quorum_lifts_the_latch(void **state)
{
    (void)state;
    make_latched_quorum();
    assert_int_equal(bring(&a, SEAL_TO_UNSEAL, "alice", NULL, false), ERROR_CREDENTIAL);
    assert_true(latched);
    unseal_with_two(&a);
    assert_false(latched);
    wait_for(&a, SEAL_STATE_UNSEALED);
}

/* T25: with KMS alone there is no quorum that could: whatever opens the master key, the latch stays until the owner has said so. */
static void test_T25_break_glass_takes_no_latch_of_mode_kms_away(void **state)
{
    (void)state;
    struct ceremony_wish *wish = wish_of(SEAL_KIND_INIT, SEAL_KMS);
    wish_kms(wish, 2, 3, 'a');
    wish_glass(wish);
    assert_int_equal(init_with(&a, wish), 0);
    latched = true;
    const unsigned before = asked_kms;
    restart(&a, "a");
    struct seal_challenge challenge;
    assert_int_equal(
        ceremony_give_challenge(a.ceremony, "break-glass", SEAL_TO_BREAK_GLASS, &challenge).code,
        ERROR_SEAL_STATE);
    assert_int_equal(bring(&a, SEAL_TO_BREAK_GLASS, "break-glass", NULL, true), ERROR_SEAL_STATE);
    (void)pthread_mutex_lock(&a.vault.lock);
    a.vault.present_open = a.vault.kms_open = true; /* opened, by whatever means */
    (void)pthread_mutex_unlock(&a.vault.lock);
    restart_core(&a, "a");
    wait_for(&a, SEAL_STATE_SEALED);
    assert_int_equal(ceremony_is_owners(a.ceremony).code, 0); /* it has been round */
    assert_true(latched);
    assert_int_equal(a.opened, 0);
    assert_int_equal(asked_kms, before);
    latched = false; /* the owner */
    ceremony_poke(a.ceremony);
    wait_for(&a, SEAL_STATE_UNSEALED);
    assert_int_equal(a.opened, 1);
}

/* --- since when operators have not shown that they can unseal ---------------------------------------------------------------------------------- */

/* Of days that pass between one thing and the next. */
static const uint64_t day_ms = 86400000;

/* Everything that is under way is done, and both show it. */
static uint64_t days_shown(uint64_t began_ms)
{
    (void)ceremony_is_owners(a.ceremony).code;
    (void)ceremony_is_owners(b.ceremony).code;
    const uint64_t shown_ms = metric_get(METRIC_CHAMBER_REHEARSAL, 0, 0) / 1000000;
    return shown_ms ? (shown_ms - began_ms + day_ms / 2) / day_ms : UINT64_MAX;
}

static void wait_for_days(uint64_t began_ms, uint64_t days)
{
    const uint64_t until = clock_mono_ms() + WAIT_MS;
    while (days_shown(began_ms) != days && clock_mono_ms() < until)
        wait_a_bit(2);
    assert_int_equal(days_shown(began_ms), days);
}

/* Nobody has rehearsed, and nobody ever will: the age counts all the same. */
static void test_the_age_begins_with_the_operators_and_with_each_unseal(void **state)
{
    (void)state;
    const uint64_t began_ms = wall_ms();
    struct ceremony_wish *wish = wish_of(SEAL_KIND_INIT, SEAL_OPERATORS);
    wish_operators(wish, 2, 3);
    assert_int_equal(init_with(&a, wish), 0);
    assert_int_equal(days_shown(began_ms), UINT64_MAX);
    ahead_ms = day_ms;
    register_all(&a, 3);
    wait_for(&a, SEAL_STATE_SEALED);
    wait_for_days(began_ms, 1);
    ahead_ms = 2 * day_ms;
    assert_int_equal(bring(&a, SEAL_TO_UNSEAL, "alice", NULL, true), 0);
    assert_int_equal(bring(&a, SEAL_TO_UNSEAL, "bob", NULL, false), ERROR_CREDENTIAL);
    assert_int_equal(days_shown(began_ms), 1); /* one of two is no quorum */
    assert_int_equal(bring(&a, SEAL_TO_UNSEAL, "bob", NULL, true), 0);
    wait_for_days(began_ms, 2);
    ahead_ms = 3 * day_ms;
    assert_int_equal(bring(&a, SEAL_TO_REHEARSE, "alice", NULL, true), 0);
    assert_int_equal(days_shown(began_ms), 2);
    assert_int_equal(bring(&a, SEAL_TO_REHEARSE, "carol", NULL, true), 0);
    wait_for_days(began_ms, 3);
    restart(&b, "b");
    assert_int_equal(days_shown(began_ms), 3);
}

/* Who is taken over into another set has shown nothing by that. */
static void test_a_rotation_begins_the_age_anew_for_other_operators_alone(void **state)
{
    (void)state;
    const uint64_t began_ms = wall_ms();
    uint8_t digest[32];
    make_operators_chamber();
    wait_for_days(began_ms, 0);
    ahead_ms = day_ms;
    assert_int_equal(propose(&a, wish_of(SEAL_KIND_MASTER, 0)), 0);
    take_hex("digest", digest);
    approve_with_two(&a, digest);
    const uint64_t until = clock_mono_ms() + WAIT_MS;
    while (a.generation != 2 && clock_mono_ms() < until)
        wait_a_bit(5);
    wait_for(&a, SEAL_STATE_UNSEALED);
    assert_int_equal(days_shown(began_ms), 0);
    struct ceremony_wish *wish = wish_of(SEAL_KIND_QUORUM, 0);
    wish_operators(wish, 3, 4);
    assert_int_equal(propose(&a, wish), 0);
    take_hex("digest", digest);
    approve_with_two(&a, digest);
    finish_registration(&a, 4);
    wait_for(&a, SEAL_STATE_UNSEALED);
    wait_for_days(began_ms, 1);
    wish = wish_of(SEAL_KIND_MODE, SEAL_KMS);
    wish_kms(wish, 2, 3, 'a');
    assert_int_equal(propose(&a, wish), 0);
    take_hex("digest", digest);
    approve_with_two(&a, digest);
    assert_int_equal(bring(&a, SEAL_TO_APPROVE, "carol", digest, true), 0);
    wait_for(&a, SEAL_STATE_UNSEALED);
    wait_for_days(began_ms, UINT64_MAX); /* nobody is left who could rehearse */
}

/* Where break-glass shares stand in for the KMS keys, nothing is shown of these. */
static void test_an_unseal_by_break_glass_shows_nothing(void **state)
{
    (void)state;
    const uint64_t began_ms = wall_ms();
    make_latched_quorum();
    wait_for_days(began_ms, 0);
    ahead_ms = day_ms;
    (void)pthread_mutex_lock(&a.vault.lock);
    a.vault.kms_open = true; /* by the last share */
    (void)pthread_mutex_unlock(&a.vault.lock);
    assert_int_equal(bring(&a, SEAL_TO_BREAK_GLASS, "break-glass", NULL, true), 0);
    unseal_with_two(&a);
    wait_for(&a, SEAL_STATE_UNSEALED);
    assert_int_equal(days_shown(began_ms), 0);
    restart(&a, "a");
    wait_for(&a, SEAL_STATE_KMS_UNSEALED); /* by its keys */
    unseal_with_two(&a);
    wait_for_days(began_ms, 1);
}

/* The unseal is not held up, and what it has shown is stored when that can be done. */
static void test_what_could_not_be_stored_is_stored_later(void **state)
{
    (void)state;
    const uint64_t began_ms = wall_ms();
    make_operators_chamber();
    wait_for_days(began_ms, 0);
    restart(&a, "a");
    wait_for(&a, SEAL_STATE_SEALED);
    ahead_ms = day_ms;
    shared_state_set_away(&shared, true);
    unseal_with_two(&a);
    wait_for(&a, SEAL_STATE_UNSEALED);
    assert_int_equal(days_shown(began_ms), 0);
    ahead_ms = 2 * day_ms;
    shared_state_set_away(&shared, false);
    wait_for_days(began_ms, 1); /* when it was, and not when it was stored */
}

static int release(void **state)
{
    (void)state;
    buf_release(&answer);
    return 0;
}

#define T(name) cmocka_unit_test_setup_teardown(name, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_operators_from_nothing_to_unsealed),
        T(test_registration_goes_on_after_a_restart),
        T(test_T14_a_registration_is_for_the_set_that_was_confirmed),
        T(test_wrong_credentials_change_nothing),
        T(test_pending_shares_expire),
        T(test_an_entry_that_rolls_does_not_close),
        T(test_of_two_inits_one_wins),
        T(test_T13_an_init_that_is_stored_is_done_without_the_log),
        T(test_T02_no_init_while_there_are_keys),
        T(test_P25_kms_opens_by_itself_without_the_keys_that_are_lost),
        T(test_an_init_without_kms_leaves_nothing),
        T(test_P25_break_glass_shares_are_counted_alone),
        T(test_P25_break_glass_shares_expire),
        T(test_quorum_opens_by_kms_and_operators),
        T(test_quorum_registers_after_a_restart_and_elsewhere),
        T(test_T01_a_rotation_needs_the_present_quorum),
        T(test_a_rotation_ends_with_rows_of_the_new_generation),
        T(test_a_rotation_goes_on_after_any_restart),
        T(test_T02_no_rotation_beside_a_key_store_of_another_replica),
        T(test_T02_rows_that_come_last_are_sealed_anew_too),
        T(test_T02_each_rotation_gives_other_replicas_their_time),
        T(test_P23_only_proposer_or_quorum_cancel),
        T(test_replicas_that_have_gone_hide_none_that_lives),
        T(test_a_replica_that_missed_a_cancellation_takes_the_new_set),
        T(test_a_set_that_nobody_stored_stands_in_nobodys_way),
        T(test_T02_the_owner_decides_nothing_that_can_not_be_read),
        T(test_T01_kms_keys_are_those_that_the_configuration_allows),
        T(test_T11_an_enclaves_first_kms_keys_are_those_of_its_configuration),
        T(test_T25_nobody_makes_a_latched_chamber_ask_kms),
        T(test_T25_the_quorum_lifts_the_latch),
        T(test_T25_break_glass_takes_no_latch_of_mode_kms_away),
        T(test_a_set_that_its_own_core_did_not_store_stands_in_nobodys_way),
        T(test_P25_an_approval_outlives_the_core),
        T(test_P23_a_cancellation_outlives_the_core),
        T(test_T29_a_challenge_waits_for_a_second),
        T(test_the_age_begins_with_the_operators_and_with_each_unseal),
        T(test_a_rotation_begins_the_age_anew_for_other_operators_alone),
        T(test_an_unseal_by_break_glass_shows_nothing),
        T(test_what_could_not_be_stored_is_stored_later),
    };
    return cmocka_run_group_tests(tests, NULL, release);
}
