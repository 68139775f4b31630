/* A chamber that everybody asks something at once: two replicas over one state store, and threads that bring envelopes, propose, cancel and
 * look. What is shown is that nothing is lost or torn, under ThreadSanitizer that no memory is shared without its lock.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

#include "codec/json.h"
#include "core/ceremony.h"
#include "seal/proposal.h"
#include "support/seal_vault.h"
#include "support/shared_state.h"
#include "support/test.h"
#include "support/wish_kit.h"

enum {
    WAIT_MS = 30000,
    ROUNDS = 40, /* of each thread */
    REPLICAS = 2,
    ANSWER_MAX = 1 << 20
};

struct replica {
    struct state_store *state;
    struct keeper *keeper;
    struct ceremony *ceremony;
    struct seal_vault vault;
    atomic_uint opened, closed;
};

static struct shared_state shared;
static struct config config;
static struct replica replicas[REPLICAS];
static atomic_uint done[8], refused;
static atomic_int
    wrong; /* an error that should not have been; cmocka's assertions are for the main thread alone */

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

static void on_open(void *context, uint32_t generation)
{
    (void)generation;
    atomic_fetch_add(&((struct replica *)context)->opened, 1);
}

static void on_close(void *context)
{
    atomic_fetch_add(&((struct replica *)context)->closed, 1);
}

static void start(struct replica *r, const char *name)
{
    struct ceremony_settings settings = {
        .config = &config,
        .vault = {seal_vault_ask, &r->vault},
        .events = {.opened = on_open, .closed = on_close, .context = r},
        .chamber_id = {1},
        .replica = {(uint8_t)name[0]}};
    memset(r, 0, sizeof *r);
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
}

static void wait_for(struct replica *r, enum seal_state state)
{
    const uint64_t until = clock_mono_ms() + WAIT_MS;
    while (ceremony_state(r->ceremony) != state && clock_mono_ms() < until)
        wait_a_bit();
    assert_string_equal(seal_state_name(ceremony_state(r->ceremony)), seal_state_name(state));
}

static enum error_code bring(struct replica *r,
                             uint32_t purpose,
                             const char *name,
                             const uint8_t *digest,
                             struct ceremony_step *ret_step)
{
    struct ceremony_envelope envelope;
    seal_vault_box(&envelope, purpose, name, true);
    if (digest)
        memcpy(envelope.digest, digest, 32);
    return (enum error_code)ceremony_bring(r->ceremony, &envelope, ret_step).code;
}

static void take_hex(const struct buf *answer, const char *pattern, uint8_t ret_bytes[static 32])
{
    const uint8_t *at = memmem(answer->data, answer->len, pattern, strlen(pattern));
    assert_non_null(at);
    at += strlen(pattern);
    for (int i = 0; i < 32; i++) {
        unsigned byte = 0;
        assert_int_equal(sscanf((const char *)at + 2 * i, "%2x", &byte), 1);
        ret_bytes[i] = (uint8_t)byte;
    }
}

static void unseal(struct replica *r)
{
    struct ceremony_step step;
    wait_for(r, SEAL_STATE_SEALED);
    assert_int_equal(bring(r, SEAL_TO_UNSEAL, "alice", NULL, &step), 0);
    assert_int_equal(bring(r, SEAL_TO_UNSEAL, "bob", NULL, &step), 0);
    wait_for(r, SEAL_STATE_UNSEALED);
}

static int up(void **state)
{
    (void)state;
    static struct ceremony_wish wish;
    CC_CLEANUP(buf_release) struct buf answer = buf_init(ANSWER_MAX);
    struct ceremony_step step;
    uint8_t fingerprint[32];
    shared_state_make(&shared);
    config_defaults(&config);
    start(&replicas[0], "a");
    start(&replicas[1], "b");
    wish = (struct ceremony_wish){
        .kind = SEAL_KIND_INIT, .mode = SEAL_OPERATORS, .by = "token:rotator"};
    wish_operators(&wish, 2, 3);
    assert_int_equal(ceremony_init(replicas[0].ceremony, &wish, &answer).code, 0);
    take_hex(&answer, "\"set_fingerprint\":\"", fingerprint);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(
            bring(&replicas[0], SEAL_TO_REGISTER, wish_kit_names[i], fingerprint, &step), 0);
    for (int i = 0; i < REPLICAS; i++)
        unseal(&replicas[i]);
    return 0;
}

static int down(void **state)
{
    (void)state;
    for (int i = 0; i < REPLICAS; i++)
        stop(&replicas[i]);
    shared_state_remove(&shared);
    return 0;
}

/* --- what each thread does, at one replica and then at the other ----------------------------------------------------------------- */

/* What others are doing meanwhile is no fault. */
static void expect(unsigned who, enum error_code code)
{
    if (!code)
        atomic_fetch_add(&done[who], 1);
    else if (code == ERROR_SEAL_STATE || code == ERROR_BUSY || code == ERROR_CONFLICT ||
             code == ERROR_DENIED || code == ERROR_NAME_UNKNOWN || code == ERROR_NOT_APPROVED)
        atomic_fetch_add(&refused, 1);
    else
        atomic_store(&wrong, (int)code);
}

static void look(unsigned who, struct replica *r)
{
    CC_CLEANUP(buf_release) struct buf answer = buf_init(ANSWER_MAX);
    (void)buf_append_str(&answer, "{").code;
    expect(who, (enum error_code)ceremony_status(r->ceremony, &answer).code);
    (void)buf_append_str(&answer, "}").code;
    CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(JSON_TOKENS_KEPT);
    if (jdoc_parse(&doc, answer.data, answer.len).code) /* torn */
        atomic_store(&wrong, ERROR_MALFORMED);
    (void)ceremony_state(r->ceremony);
}

static void challenge(unsigned who, struct replica *r)
{
    struct seal_challenge given;
    expect(who,
           (enum error_code)ceremony_give_challenge(r->ceremony, "alice", SEAL_TO_REHEARSE, &given)
               .code);
}

static void rehearse(unsigned who, struct replica *r)
{
    struct ceremony_step step;
    expect(who, bring(r, SEAL_TO_REHEARSE, who % 2 ? "alice" : "bob", NULL, &step));
}

static void approve_nothing(unsigned who, struct replica *r)
{
    struct ceremony_step step;
    const uint8_t digest[32] = {(uint8_t)who, 1};
    expect(who, bring(r, SEAL_TO_APPROVE, "carol", digest, &step));
    expect(who, (enum error_code)ceremony_is_approved(r->ceremony, digest).code);
}

static void propose(unsigned who, struct replica *r)
{
    struct ceremony_wish wish = {.kind = SEAL_KIND_MASTER, .by = "token:rotator"};
    struct ceremony_step step;
    CC_CLEANUP(buf_release) struct buf answer = buf_init(ANSWER_MAX);
    expect(who, (enum error_code)ceremony_propose(r->ceremony, &wish, &answer).code);
    expect(who, (enum error_code)ceremony_cancel(r->ceremony, "token:rotator", &step).code);
}

typedef void action(unsigned who, struct replica *r);

enum {
    LOOKS = 0
};

static action *const actions[] = {[LOOKS] = look, challenge,       rehearse,
                                  rehearse,       approve_nothing, propose};

static void *act(void *argument)
{
    const unsigned who = (unsigned)(uintptr_t)argument;
    for (unsigned i = 0; i < ROUNDS; i++)
        actions[who](who, &replicas[i % REPLICAS]);
    return NULL;
}

/* What was proposed last may have met a conflict when it was to be cancelled, and a replica may not have seen it yet. */
static void settle(void)
{
    const uint64_t until = clock_mono_ms() + WAIT_MS;
    struct ceremony_step step;
    bool quiet = false;
    while (!quiet && clock_mono_ms() < until) {
        quiet = true;
        for (int i = 0; i < REPLICAS; i++) {
            (void)ceremony_cancel(replicas[i].ceremony, "token:rotator", &step).code;
            quiet &= ceremony_state(replicas[i].ceremony) == SEAL_STATE_UNSEALED;
        }
        wait_a_bit();
    }
}

static void test_T26_all_at_once_and_nothing_is_lost(void **state)
{
    (void)state;
    pthread_t threads[ARRAY_LEN(actions)];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, act, (void *)i), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_string_equal(error_name((cc_err){wrong}), error_name(CC_OK));
    assert_int_equal(done[LOOKS], ROUNDS); /* whoever looks waits for nobody */
    settle();
    for (int i = 0; i < REPLICAS; i++) {
        wait_for(&replicas[i], SEAL_STATE_UNSEALED);
        assert_int_equal(replicas[i].opened, 1);
        assert_int_equal(replicas[i].closed, 0); /* signing never stopped */
        assert_int_equal(replicas[i].vault.present.generation, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_T26_all_at_once_and_nothing_is_lost, up, down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
