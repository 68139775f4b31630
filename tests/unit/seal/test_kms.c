/* Shares under KMS keys: of three regions and two accounts, against tests/support/kms.py, which fails as keys and networks do. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#include "aws/kms.h"
#include "seal/kms.h"
#include "support/aws_server.h"
#include "support/kms_server.h"
#include "support/seal_kit.h"
#include "support/test.h"

#define ROLE    "arn:aws:iam::111122223333:role/signer"
#define CHAMBER "1111111111111111111111111111111111111111111111111111111111111111"

enum {
    KEYS = 5,
    THRESHOLD = 3
};

static struct aws_config config;
static struct aws_session *session;
static struct seal_kms *kms;
static struct seal_set set;
static struct seal_kms_key keys[SEAL_KMS_MAX];
static uint8_t shares[SEAL_KMS_MAX][SEAL_SHARE_SIZE];
static struct seal_opened opened[SEAL_KMS_MAX];
static uint32_t errors[SEAL_KMS_MAX];

static struct seal_kms *open_for(uint8_t chamber_byte)
{
    static const struct seal_kms_options options = {.wrap_ms = 4000, .unwrap_ms = 3000};
    uint8_t chamber[32];
    struct seal_kms *made = NULL;
    memset(chamber, chamber_byte, sizeof chamber);
    assert_int_equal(seal_kms_open(session, chamber, &options, &made).code, 0);
    return made;
}

static int set_up(void **state)
{
    const struct seal_shape shape = {SEAL_KMS, KEYS, 0, 0};
    (void)state;
    kms_server_config(&config);
    assert_int_equal(aws_session_open(&config, &aws_server_inputs, &session).code, 0);
    kms = open_for(0x11);
    seal_kit_set(&shape, 7, &set);
    assert_int_equal(set.kms.threshold, THRESHOLD);
    seal_kit_keys(KEYS, false, keys);
    memcpy(strstr(keys[4].arn, "111122223333"), "444455556666", 12); /* another account */
    for (uint32_t i = 0; i < KEYS; i++) {
        kms_server_do("key %s", keys[i].arn);
        memset(shares[i], (int)(0xa0 + i), SEAL_SHARE_SIZE);
        shares[i][SEAL_SHARE_SIZE - 1] = (uint8_t)(i + 1);
    }
    kms_server_do("share %s 111122223333", keys[4].arn);
    kms_server_do("everything " ROLE);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    seal_kms_close(kms);
    aws_session_close(session);
    return 0;
}

/* Before each test: no faults, all keys there, all shares wrapped. */
static int begin(void **state)
{
    (void)state;
    kms_server_do("clear");
    for (uint32_t i = 0; i < KEYS; i++)
        kms_server_do("restore %s", keys[i].arn);
    cc_err err = seal_kms_wrap(kms, &set, keys, (const uint8_t(*)[SEAL_SHARE_SIZE])shares, opened);
    return err.code;
}

static uint32_t unwrap(void)
{
    uint32_t good = 0;
    memset(opened, 0, sizeof opened);
    seal_kms_unwrap(kms, &set, keys, errors, opened);
    for (uint32_t i = 0; i < KEYS; i++) {
        if (errors[i])
            continue;
        assert_memory_equal(opened[i].share, shares[i], SEAL_SHARE_SIZE);
        good++;
    }
    return good;
}

static void test_shares_come_back_from_keys_of_several_regions_and_accounts(void **state)
{
    (void)state;
    assert_int_equal(unwrap(), KEYS);
    for (uint32_t i = 0; i < KEYS; i++)
        assert_true(keys[i].len > SEAL_SHARE_SIZE && keys[i].len <= SEAL_KMS_CIPHERTEXT_MAX);
    for (uint32_t i = KEYS; i < SEAL_KMS_MAX; i++)
        assert_int_equal(errors[i], 0);
    assert_int_equal(kms_server_ask("refused"), 0); /* each signed for its own region */
}

/* Any two of five, each pair of them. */
static void test_P25_any_n_minus_m_kms_keys_destroyed_still_open(void **state)
{
    (void)state;
    for (uint32_t a = 0; a < KEYS; a++)
        for (uint32_t b = a + 1; b < KEYS; b++) {
            kms_server_do("destroy %s", keys[a].arn);
            kms_server_do("destroy %s", keys[b].arn);
            assert_int_equal(unwrap(), THRESHOLD);
            assert_int_equal(errors[a], ERROR_AWS_REFUSED);
            assert_int_equal(errors[b], ERROR_AWS_REFUSED);
            kms_server_do("restore %s", keys[a].arn);
            kms_server_do("restore %s", keys[b].arn);
        }
    for (uint32_t i = 0; i < KEYS - THRESHOLD + 1; i++) /* one more is too many, and is told */
        kms_server_do("destroy %s", keys[i].arn);
    assert_int_equal(unwrap(), THRESHOLD - 1);
}

static uint64_t unwrap_ms(uint32_t good)
{
    const uint64_t begun = clock_mono_ms();
    assert_int_equal(unwrap(), good);
    return clock_mono_ms() - begun;
}

static void test_P25_a_region_that_is_cut_off_costs_no_time(void **state)
{
    (void)state;
    kms_server_do("fault cut us-east-1 -1"); /* two of the five */
    assert_true(unwrap_ms(THRESHOLD) < 2500);
    assert_int_equal(errors[1], ERROR_AWS_UNREACHABLE);
    assert_int_equal(errors[4], ERROR_AWS_UNREACHABLE);
    kms_server_do("clear");
    kms_server_do("fault delay us-east-1 -1 2700");
    assert_true(unwrap_ms(THRESHOLD) < 2500);
    assert_int_equal(errors[1], ERROR_AWS_UNREACHABLE);
}

static void test_it_ends_in_time_whatever_does_not_answer(void **state)
{
    (void)state;
    kms_server_do("fault delay * -1 6000");
    assert_true(unwrap_ms(0) < 3500); /* three seconds were given */
    for (uint32_t i = 0; i < KEYS; i++)
        assert_int_equal(errors[i], ERROR_AWS_UNREACHABLE);
}

static void test_what_passes_is_tried_again(void **state)
{
    static const char *const kinds[] = {"throttle", "500", "busy", "cut", "half", "no-json"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kinds) - 1; i++) {
        kms_server_do("fault %s * 4", kinds[i]);
        assert_true(unwrap() >= THRESHOLD);
        kms_server_do("clear");
    }
    kms_server_do("fault no-json %s 1",
                  keys[0].arn); /* an answer that is none is not asked for again */
    assert_true(unwrap() >= THRESHOLD && errors[0] == ERROR_KMS_ANSWER);
}

static void test_a_refusal_is_asked_for_once(void **state)
{
    (void)state;
    kms_server_do("fault denied %s -1", keys[0].arn);
    const unsigned before = kms_server_ask("count Decrypt %s", keys[0].arn);
    assert_int_equal(unwrap(), KEYS - 1);
    assert_int_equal(errors[0], ERROR_AWS_DENIED);
    assert_int_equal(kms_server_ask("count Decrypt %s", keys[0].arn), before + 1);
}

/* The same ARN, the same share, and one thing of its context another: KMS refuses each. */
static void test_T18_a_ciphertext_of_another_index_is_not_opened(void **state)
{
    struct seal_kms_key turned[SEAL_KMS_MAX];
    struct seal_kms_key mine[SEAL_KMS_MAX];
    (void)state;
    memcpy(mine, keys, sizeof mine);
    memcpy(turned, keys,
           sizeof turned); /* keys 0 and 1 in each other's places: the same keys, other indices */
    turned[0] = keys[1];
    turned[1] = keys[0];
    assert_int_equal(
        seal_kms_wrap(kms, &set, turned, (const uint8_t(*)[SEAL_SHARE_SIZE])shares, opened).code,
        0);
    keys[0] = turned[1];
    keys[1] = turned[0];
    assert_int_equal(unwrap(), KEYS - 2);
    assert_int_equal(errors[0], ERROR_AWS_REFUSED);
    assert_int_equal(errors[1], ERROR_AWS_REFUSED);
    /* Ciphertexts of two keys exchanged: each is another key's. */
    memcpy(keys, mine, sizeof mine);
    memcpy(keys[0].ciphertext, mine[1].ciphertext, sizeof keys[0].ciphertext);
    memcpy(keys[1].ciphertext, mine[0].ciphertext, sizeof keys[1].ciphertext);
    assert_int_equal(unwrap(), KEYS - 2);
    memcpy(keys, mine, sizeof mine);
    assert_int_equal(unwrap(), KEYS);
}

static void test_T18_a_ciphertext_of_another_set_or_chamber_is_not_opened(void **state)
{
    struct seal_kms *other = open_for(0x22);
    struct seal_set changed = set;
    (void)state;
    seal_kms_unwrap(other, &set, keys, errors, opened);
    for (uint32_t i = 0; i < KEYS; i++)
        assert_int_equal(errors[i], ERROR_AWS_REFUSED);
    changed.kms_generation++;
    seal_kms_unwrap(kms, &changed, keys, errors, opened);
    for (uint32_t i = 0; i < KEYS; i++)
        assert_int_equal(errors[i], ERROR_AWS_REFUSED);
    changed = set;
    changed.kms.threshold = 1;
    seal_kms_unwrap(kms, &changed, keys, errors, opened);
    assert_int_equal(errors[0], ERROR_AWS_REFUSED);
    seal_kms_close(other);
}

static struct seal_kms_sharing sharing(const char *purpose, const char *pcr0)
{
    return (struct seal_kms_sharing){purpose, 7, KEYS, THRESHOLD, pcr0};
}

static void opens_nothing(const struct seal_kms_sharing *how)
{
    seal_kms_unwrap_for(kms, how, keys, errors, opened);
    for (uint32_t i = 0; i < KEYS; i++)
        assert_int_equal(errors[i], ERROR_AWS_REFUSED);
}

static void test_T18_a_ciphertext_of_another_purpose_or_image_is_not_opened(void **state)
{
    (void)state;
    const struct seal_kms_sharing ours = sharing("auto-unseal", "aa"),
                                  other = sharing("auto-unseal", "ab"),
                                  no_image = sharing("auto-unseal", NULL),
                                  set_share = sharing("seal-share", "aa");
    const uint64_t before = kms_server_ask("count Decrypt *");
    assert_int_equal(
        seal_kms_wrap_for(kms, &ours, keys, (const uint8_t(*)[SEAL_SHARE_SIZE])shares, NULL).code,
        0);
    assert_int_equal(kms_server_ask("count Decrypt *"), before); /* not tried: another image's */
    opens_nothing(&other);
    opens_nothing(&no_image);
    opens_nothing(&set_share);
    opens_nothing(&(struct seal_kms_sharing){"seal-share", 7, KEYS, THRESHOLD, NULL});
    seal_kms_unwrap_for(kms, &ours, keys, errors, opened);
    for (uint32_t i = 0; i < THRESHOLD; i++)
        assert_memory_equal(opened[i].share, shares[i], SEAL_SHARE_SIZE);
}

static void test_T18_an_answer_of_another_key_does_not_count(void **state)
{
    (void)state;
    kms_server_do("fault other-key %s 1 %s", keys[0].arn, keys[1].arn);
    kms_server_do("fault other-algorithm %s 1", keys[1].arn);
    assert_int_equal(unwrap(), KEYS - 2);
    assert_int_equal(errors[0], ERROR_KMS_ANSWER);
    assert_int_equal(errors[1], ERROR_KMS_ANSWER);
    static const uint8_t zeros[SEAL_SHARE_SIZE];
    assert_memory_equal(opened[0].share, zeros, sizeof zeros);
    assert_memory_equal(opened[1].share, zeros, sizeof zeros);
}

/* --- wrapping is all or nothing -------------------------------------------------------------------------------- */

static void refuses_to_wrap(enum error_code code)
{
    struct seal_kms_key before[SEAL_KMS_MAX];
    memcpy(before, keys, sizeof before);
    const cc_err err =
        seal_kms_wrap(kms, &set, keys, (const uint8_t(*)[SEAL_SHARE_SIZE])shares, opened);
    assert_string_equal(error_name(err), error_name((cc_err){(int)code}));
    assert_memory_equal(keys, before, sizeof before);
    kms_server_do("clear");
}

static void test_a_set_is_wrapped_under_every_key_or_not_at_all(void **state)
{
    (void)state;
    kms_server_do("fault denied %s 1", keys[4].arn);
    refuses_to_wrap(ERROR_AWS_DENIED);
    kms_server_do("fault cut %s -1", keys[2].arn);
    refuses_to_wrap(ERROR_AWS_UNREACHABLE);
    kms_server_do("destroy %s", keys[1].arn);
    refuses_to_wrap(ERROR_AWS_REFUSED);
    kms_server_do("restore %s", keys[1].arn);
    kms_server_do("fault other-key %s 1 %s", keys[0].arn, keys[3].arn);
    refuses_to_wrap(ERROR_KMS_ANSWER);
    kms_server_do("fault other-plain %s -1", keys[3].arn); /* opens, but to something else */
    refuses_to_wrap(ERROR_KMS_ANSWER);
    struct seal_kms_key saved = keys[0];
    memcpy(keys[0].arn, "arn:aws:s3", 10);
    refuses_to_wrap(ERROR_CONFIG);
    keys[0] = saved;
    set.kms.count = 0;
    refuses_to_wrap(ERROR_LIMIT);
    set.kms.count = KEYS;
}

/* --- the policies of deploy/iam ----------------------------------------------------------------------------------- */

static void use_policies(bool ceremony)
{
    kms_server_do("forget " ROLE);
    for (uint32_t i = 0; i < KEYS; i++) {
        kms_server_do("identity " ROLE " deploy/iam/kms-open.json KEY_ARN=%s CHAMBER_ID=" CHAMBER,
                      keys[i].arn);
        if (ceremony)
            kms_server_do("identity " ROLE
                          " deploy/iam/kms-ceremony.json KEY_ARN=%s CHAMBER_ID=" CHAMBER,
                          keys[i].arn);
        kms_server_do("resource %s deploy/iam/kms-key-policy.json CHAMBER_ID=" CHAMBER
                      " SIGNER_ARN=" ROLE " ADMIN_ARN=arn:aws:iam::111122223333:role/keys",
                      keys[i].arn);
    }
}

static void use_no_policies(void)
{
    for (uint32_t i = 0; i < KEYS; i++)
        kms_server_do("forget %s", keys[i].arn);
    kms_server_do("forget " ROLE);
    kms_server_do("share %s 111122223333", keys[4].arn);
    kms_server_do("everything " ROLE);
}

static void test_the_policies_are_enough(void **state)
{
    (void)state;
    use_policies(true);
    assert_int_equal(
        seal_kms_wrap(kms, &set, keys, (const uint8_t(*)[SEAL_SHARE_SIZE])shares, opened).code, 0);
    use_policies(false); /* from day to day */
    assert_int_equal(unwrap(), KEYS);
    use_no_policies();
}

static void all_denied(struct seal_kms *by)
{
    seal_kms_unwrap(by, &set, keys, errors, opened);
    for (uint32_t i = 0; i < KEYS; i++)
        assert_int_equal(errors[i], ERROR_AWS_DENIED);
}

static void test_the_policies_are_no_more_than_enough(void **state)
{
    struct seal_kms *other = open_for(0x22);
    (void)state;
    use_policies(true);
    all_denied(other); /* another chamber's context */
    kms_server_do("principal AKIDTEST arn:aws:iam::111122223333:role/other");
    kms_server_do("everything arn:aws:iam::111122223333:role/other");
    all_denied(kms); /* an administrator of the account, by his own policy */
    kms_server_do("principal AKIDTEST arn:aws:iam::111122223333:role/keys");
    all_denied(kms); /* who manages the keys */
    kms_server_do("principal AKIDTEST " ROLE);
    kms_server_do("forget " ROLE);
    seal_kms_unwrap(kms, &set, keys, errors, opened);
    assert_int_equal(errors[4], ERROR_AWS_DENIED); /* of another account: both must allow it */
    use_no_policies();
    seal_kms_close(other);
}

/* Without the key's own policy the role's alone decide: one of them for each operation. */
static void test_the_role_needs_the_ceremony_policy_to_wrap(void **state)
{
    (void)state;
    use_policies(false);
    for (uint32_t i = 0; i < KEYS; i++)
        if (i < 4) /* the account's default */
            kms_server_do("forget %s", keys[i].arn);
    const cc_err err =
        seal_kms_wrap(kms, &set, keys, (const uint8_t(*)[SEAL_SHARE_SIZE])shares, opened);
    assert_true(error_is(err, ERROR_AWS_DENIED));
    assert_int_equal(unwrap(), KEYS);
    use_no_policies();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup(name, begin)
        T(test_shares_come_back_from_keys_of_several_regions_and_accounts),
        T(test_P25_any_n_minus_m_kms_keys_destroyed_still_open),
        T(test_P25_a_region_that_is_cut_off_costs_no_time),
        T(test_it_ends_in_time_whatever_does_not_answer),
        T(test_what_passes_is_tried_again),
        T(test_a_refusal_is_asked_for_once),
        T(test_T18_a_ciphertext_of_another_index_is_not_opened),
        T(test_T18_a_ciphertext_of_another_set_or_chamber_is_not_opened),
        T(test_T18_a_ciphertext_of_another_purpose_or_image_is_not_opened),
        T(test_T18_an_answer_of_another_key_does_not_count),
        T(test_a_set_is_wrapped_under_every_key_or_not_at_all),
        T(test_the_policies_are_enough),
        T(test_the_policies_are_no_more_than_enough),
        T(test_the_role_needs_the_ceremony_policy_to_wrap),
#undef T
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
