/* What the vault says of its signing engine: in the log, and in counts for the core. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

#include "crypto/batch_fault.h"
#include "support/test.h"
#include "vault/inside.h"
#include "vault/sign.h"

enum {
    KEYS = 64
};

static int log_pipe[2];
static char log_text[65536];

static int up(void **state)
{
    (void)state;
    if (pipe2(log_pipe, O_CLOEXEC) != 0)
        return -1;
    log_init(log_pipe[1], false, LOG_LEVEL_INFO);
    return 0;
}

static int down(void **state)
{
    (void)state;
    batch_fault_arm(BATCH_FAULT_NONE, NULL);
    log_init(STDERR_FILENO, true, LOG_LEVEL_INFO);
    (void)close(log_pipe[0]);
    (void)close(log_pipe[1]);
    return 0;
}

/* All that was logged since the last call. */
static const char *logged(void)
{
    size_t len = 0;
    assert_int_equal(fcntl(log_pipe[0], F_SETFL, O_NONBLOCK), 0);
    for (ssize_t n; (n = read(log_pipe[0], log_text + len, sizeof log_text - 1 - len)) > 0;)
        len += (size_t)n;
    log_text[len] = 0;
    for (size_t i = 0; i < len; i++)
        if (log_text[i] == 0x1f) /* between keys and values (base/log.h) */
            log_text[i] = '=';
    return log_text;
}

static bool says(const char *text, const char *what)
{
    return strstr(text, what) != NULL;
}

static struct engine *open_engine(enum signing_engine wanted)
{
    struct engine *engine = NULL;
    assert_int_equal(engine_new(wanted, &engine).code, 0);
    return engine;
}

static void test_says_which_engine_signs(void **state)
{
    static const char *const asked[] = {"asked_for=blst", "asked_for=auto", "asked_for=fixed_base",
                                        "asked_for=ifma"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
        struct engine *engine = open_engine((enum signing_engine)i);
        struct b_counts counts;
        engine_count(engine, &counts);
        const char *text = logged();
        assert_true(says(text, "signing engine"));
        assert_true(says(text, asked[i]));
        /* What this processor lacks is said, and only that. */
        assert_int_equal(says(text, "lacks"), i != SIGNING_AUTO && counts.engine != i);
        assert_false(says(text, "self-test"));
        engine_free(engine);
    }
}

static void flip(void *data, size_t n)
{
    ((uint8_t *)data)[n / 2] ^= 1;
}

/* An engine whose table is damaged does not pass its test: blst signs, and the log says why. */
static void test_T22_a_failed_self_test_is_said(void **state)
{
    struct b_counts counts;
    (void)state;
    batch_fault_arm(BATCH_FAULT_TABLE, flip);
    struct engine *engine = open_engine(SIGNING_FIXED_BASE);
    const char *text = logged();
    assert_true(says(text, "failed its self-test"));
    assert_false(says(text, "lacks"));
    engine_count(engine, &counts);
    assert_int_equal(counts.engine, SIGNING_BLST);
    assert_int_equal(counts.self_test_failed, 1);
    engine_free(engine);
}

struct rig {
    struct engine *engine;
    struct vault vault;
    struct sign_work *work;
    struct bls_secret secrets[KEYS];
    struct key_name names[KEYS];
    struct b_sign requests[KEYS];
    struct b_signed answers[KEYS];
};

static struct rig *rig_open(enum signing_engine wanted)
{
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    rig->engine = open_engine(wanted);
    assert_int_equal(vault_open(0, 0, rig->engine, &rig->vault).code, 0);
    assert_int_equal(sign_work_new(engine_signer(rig->engine), &rig->work).code, 0);
    for (uint8_t i = 0; i < KEYS; i++) {
        const uint8_t bytes[32] = {[2] = 9, [20] = i, [31] = 1};
        struct key_name *name = &rig->names[i];
        bool existed;
        assert_int_equal(bls_secret_parse(bytes, &rig->secrets[i]).code, 0);
        bls_secret_public(&rig->secrets[i], name->pubkey.bytes);
        assert_int_equal(
            key_table_add(rig->vault.keys, &rig->secrets[i], &name->pubkey, &name->handle, &existed)
                .code,
            0);
        rig->requests[i] = (struct b_sign){
            .id = i, .key = name->handle, .pubkey = name->pubkey, .claim = B_CLAIM_ATTESTATION};
    }
    (void)logged();
    return rig;
}

static void rig_close(struct rig *rig)
{
    sign_work_free(rig->work);
    vault_close(&rig->vault);
    engine_free(rig->engine);
    free(rig);
}

/* Signs a new vote with every key; all signatures must be blst's. */
static void sign_all(struct rig *rig, uint64_t target)
{
    struct bls_hash hash;
    uint8_t signature[BLS_SIGNATURE_SIZE];
    for (size_t i = 0; i < KEYS; i++)
        rig->requests[i].body.attestation.target.epoch = target;
    sign_batch(rig->work, rig->vault.keys, rig->requests, KEYS, rig->answers);
    engine_watch(rig->engine);
    bls_hash(rig->answers[0].root.bytes, &hash);
    for (size_t i = 0; i < KEYS; i++) {
        assert_int_equal(rig->answers[i].error, 0);
        bls_sign(&rig->secrets[i], &hash, signature);
        assert_memory_equal(rig->answers[i].signature.bytes, signature, sizeof signature);
    }
}

/* A point of another key in the place of one: nothing wrong leaves, the alarm is raised, and only that key stays on blst. */
static void swap_points(void *data, size_t n)
{
    uint8_t *points = data;
    const size_t size = 192; /* a blst_p2_affine */
    assert_true(n > 8);
    memcpy(points + 3 * size, points + 5 * size, size);
}

static void test_T22_a_failed_check_is_an_alarm(void **state)
{
    struct b_counts counts;
    (void)state;
    struct rig *rig = rig_open(SIGNING_FIXED_BASE);
    sign_all(rig, 1);
    assert_false(says(logged(), "ALARM"));
    batch_fault_arm(BATCH_FAULT_POINTS, swap_points);
    sign_all(rig, 2);
    assert_true(says(logged(), "ALARM"));
    batch_fault_arm(BATCH_FAULT_NONE, NULL);
    engine_count(rig->engine, &counts);
    assert_int_equal(counts.failed_checks, 1);
    sign_all(rig, 3);
    assert_false(says(logged(), "ALARM"));
    engine_count(rig->engine, &counts);
    assert_int_equal(counts.failed_checks, 0);
    assert_int_equal(counts.signatures[SIGNING_BLST], 1);
    assert_int_equal(counts.signatures[SIGNING_FIXED_BASE], KEYS - 1);
    rig_close(rig);
}

/* Two keys, each half of a batch: nobody waits for himself, and every place has its own signature. */
static void test_C04_T23_one_key_many_times_in_a_batch(void **state)
{
    (void)state;
    struct rig *rig = rig_open(SIGNING_AUTO);
    for (size_t i = 1; i < KEYS; i++) {
        rig->secrets[i] = rig->secrets[i % 2];
        rig->requests[i].key = rig->requests[i % 2].key;
        rig->requests[i].pubkey = rig->requests[i % 2].pubkey;
    }
    sign_all(rig, 1);
    assert_int_equal(key_table_remove(rig->vault.keys, rig->names[0].handle).code, 0);
    rig_close(rig);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_says_which_engine_signs),
        TEST(test_T22_a_failed_self_test_is_said),
        TEST(test_T22_a_failed_check_is_an_alarm),
        TEST(test_C04_T23_one_key_many_times_in_a_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
