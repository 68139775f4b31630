/* Requests that a key of auth.owner_keys has signed, at two replicas of one state store. */
#include <stdio.h>
#include <string.h>

#include "auth/owner.h"
#include "codec/hex.h"
#include "support/manage_rig.h"
#include "support/test.h"

static const uint8_t owner_seed[ED25519_SEED_SIZE] = {9};
static struct a_manage ask;
static char bootstrap_body[CONFIG_TEXT_MAX + 32];

static void row_of(const uint8_t *seed, const char *name, char row[static CONFIG_TEXT_MAX])
{
    uint8_t key[ED25519_PUBLIC_SIZE];
    char digits[2 * ED25519_PUBLIC_SIZE + 1] = "";
    ed25519_public(seed, key);
    hex_encode(key, sizeof key, digits);
    (void)snprintf(row, CONFIG_TEXT_MAX, "%s%s%s", name, name[0] ? "=" : "", digits);
}

static void configure(const uint8_t *seed, const char *name)
{
    mrig_config.auth.owner_keys.count = 1;
    row_of(seed, name, mrig_config.auth.owner_keys.items[0]);
}

static int up(void **state)
{
    char row[CONFIG_TEXT_MAX];
    assert_int_equal(mrig_up(state), 0);
    configure(owner_seed, "alice");
    row_of(mrig_seed, "", row);
    (void)snprintf(bootstrap_body, sizeof bootstrap_body, "{\"public_key\":\"%s\"}", row);
    return 0;
}

/* Over TLS. */
static void fill(enum a_manage_verb verb, const char *body)
{
    mrig_fill(&ask, verb, "", body);
    ask.caller.listener = LISTENER_TLS;
    ask.caller.flags = CALLER_TLS;
}

static void signed_by(const uint8_t *seed, enum a_manage_verb verb, const char *body)
{
    fill(verb, body);
    mrig_sign(&ask, seed, ++mrig_now);
}

static enum error_code owner_asks(struct side *side, enum a_manage_verb verb, const char *body)
{
    signed_by(owner_seed, verb, body);
    return mrig_put(side, &ask);
}

static void test_T20_an_owners_key_does_what_the_socket_does(void **state)
{
    (void)state;
    unsigned swaps = shared_state_swaps(&mrig_shared);
    assert_int_equal(owner_asks(&mrig_a, MANAGE_BOOTSTRAP, bootstrap_body), 0);
    assert_int_equal(mrig_answer.status, 201);
    mrig_assert_more_changes(&swaps, 2); /* that it was asked, and the key */
    mrig_now++;
    assert_int_equal(mrig_signed(&mrig_a, MANAGE_POLICY_PUT, "p", mrig_allow_export), 0);
    assert_int_equal(owner_asks(&mrig_a, MANAGE_POLICY_LIST, ""), 0);
    assert_string_equal(mrig_answer.text, "{\"policies\":[\"p\"]}");
    assert_int_equal(owner_asks(&mrig_a, MANAGE_BOOTSTRAP, bootstrap_body), ERROR_EXISTS);
}

/* Each of these is as if nothing were signed: the same error and words, and no word about which part was wrong. */
static void test_T20_what_an_owners_key_has_not_signed_is_not_his(void **state)
{
    (void)state;
    unsigned swaps = shared_state_swaps(&mrig_shared);
    for (int fault = 0; fault < 9; fault++) {
        signed_by(fault == 1 ? mrig_other_seed : owner_seed,
                  fault == 2 ? MANAGE_UNLATCH : MANAGE_BOOTSTRAP, fault == 2 ? "" : bootstrap_body);
        if (fault == 0)
            ask.input_len = ask.signature_len = ask.digest_len = 0; /* not signed */
        if (fault == 2) { /* for another path and method */
            ask.verb = MANAGE_BOOTSTRAP;
            ask.body_len = (uint32_t)strlen(bootstrap_body);
            memcpy(ask.body, bootstrap_body, ask.body_len);
        }
        if (fault == 3)
            ask.body[20] ^= 1; /* another key than the signed one */
        if (fault == 4)
            ask.caller = mrig_stranger; /* over TCP */
        if (fault == 5)
            ask.caller.flags = 0; /* the listener's name alone says nothing */
        if (fault == 6)
            ask.signature[20] = ask.signature[20] == 'A' ? 'B' : 'A';
        if (fault == 7)
            ask.input_len--;
        if (fault == 8)
            mrig_config.auth.owner_keys.count = 0;
        assert_int_equal(mrig_put(&mrig_a, &ask), ERROR_NOT_OWNER);
        assert_string_equal(mrig_answer.detail, "");
    }
    mrig_assert_more_changes(&swaps, 0);
    configure(owner_seed, "alice");
    assert_int_equal(owner_asks(&mrig_a, MANAGE_BOOTSTRAP, bootstrap_body), 0);
}

static void test_T20_each_of_his_requests_counts_once(void **state)
{
    (void)state;
    struct state_fault fault;
    assert_int_equal(owner_asks(&mrig_a, MANAGE_BOOTSTRAP, bootstrap_body), 0);
    unsigned swaps = shared_state_swaps(&mrig_shared);
    assert_int_equal(mrig_put(&mrig_a, &ask), ERROR_REPLAYED);
    assert_int_equal(mrig_put(&mrig_b, &ask), ERROR_REPLAYED); /* at whichever replica */
    assert_int_equal(mrig_refresh(&mrig_b, &fault).code, 0);
    assert_int_equal(mrig_put(&mrig_b, &ask), ERROR_REPLAYED);
    fill(MANAGE_UNLATCH, ""); /* another one of the same second, or of an earlier one */
    for (uint64_t before = 0; before < 2; before++) {
        mrig_sign(&ask, owner_seed, mrig_now - before);
        assert_int_equal(mrig_put(&mrig_a, &ask), ERROR_REPLAYED);
    }
    mrig_assert_more_changes(&swaps, 0);
    assert_int_equal(owner_asks(&mrig_b, MANAGE_BOOTSTRAP, bootstrap_body), ERROR_EXISTS);
    mrig_assert_more_changes(&swaps, 1); /* used up, though it came to nothing */
    assert_int_equal(mrig_put(&mrig_b, &ask), ERROR_REPLAYED);
    assert_int_equal(mrig_refresh(&mrig_a, &fault).code, 0);
    assert_int_equal(mrig_put(&mrig_a, &ask), ERROR_REPLAYED);
}

static void test_T20_an_old_request_of_his_is_refused(void **state)
{
    (void)state;
    unsigned swaps = shared_state_swaps(&mrig_shared);
    static const int apart[] = {-61, 61, -3600};
    for (size_t i = 0; i < ARRAY_LEN(apart); i++) {
        fill(MANAGE_BOOTSTRAP, bootstrap_body);
        mrig_sign(&ask, owner_seed, (uint64_t)((int64_t)mrig_now + apart[i]));
        assert_int_equal(mrig_put(&mrig_a, &ask), ERROR_UNAUTHENTICATED);
        fill(MANAGE_POLICY_LIST, "");
        mrig_sign(&ask, owner_seed, (uint64_t)((int64_t)mrig_now + apart[i]));
        assert_int_equal(mrig_put(&mrig_a, &ask), ERROR_UNAUTHENTICATED);
    }
    mrig_assert_more_changes(&swaps, 0);
    fill(MANAGE_BOOTSTRAP, bootstrap_body);
    mrig_sign(&ask, owner_seed, mrig_now - 60);
    assert_int_equal(mrig_put(&mrig_a, &ask), 0);
}

/* T29: lists may be read again with the same signature within its minute, and write nothing. */
static void test_T29_what_he_reads_leaves_nothing_behind(void **state)
{
    (void)state;
    unsigned swaps = shared_state_swaps(&mrig_shared);
    assert_int_equal(owner_asks(&mrig_a, MANAGE_TOKEN_LIST, ""), 0);
    assert_int_equal(mrig_put(&mrig_a, &ask), 0);
    mrig_assert_more_changes(&swaps, 0);
}

/* T20: who is the owner brings a key in; what it then does is seen to be its work. */
static void test_T20_neither_key_does_the_others_work(void **state)
{
    (void)state;
    assert_int_equal(owner_asks(&mrig_a, MANAGE_BOOTSTRAP, bootstrap_body), 0);
    unsigned swaps = shared_state_swaps(&mrig_shared);
    mrig_fill(&ask, MANAGE_POLICY_PUT, "p", mrig_allow_export);
    ask.caller.flags = CALLER_TLS;
    mrig_sign(&ask, owner_seed, ++mrig_now);
    assert_int_equal(mrig_put(&mrig_a, &ask), ERROR_UNAUTHENTICATED);
    signed_by(owner_seed, MANAGE_TOKEN_CREATE, "{\"name\":\"t\",\"policies\":[]}");
    assert_int_equal(mrig_put(&mrig_a, &ask), ERROR_UNAUTHENTICATED);
    signed_by(mrig_seed, MANAGE_BOOTSTRAP, bootstrap_body);
    assert_int_equal(mrig_put(&mrig_a, &ask), ERROR_NOT_OWNER);
    mrig_assert_more_changes(&swaps, 0);
}

/* Keys that are configured no more make room when nothing that they signed could be taken any more. */
static void test_records_of_keys_that_are_gone_make_room(void **state)
{
    (void)state;
    for (uint8_t i = 0; i < MANAGERS_MAX; i++) {
        const uint8_t seed[ED25519_SEED_SIZE] = {100, i};
        configure(seed, "");
        signed_by(seed, MANAGE_UNLATCH, "");
        assert_int_not_equal(mrig_put(&mrig_a, &ask), ERROR_TOO_MANY);
        assert_int_not_equal(mrig_answer.error, ERROR_NOT_OWNER);
    }
    configure(owner_seed, "");
    assert_int_equal(owner_asks(&mrig_a, MANAGE_BOOTSTRAP, bootstrap_body), ERROR_TOO_MANY);
    mrig_now += 3 * MANAGER_WINDOW_S;
    assert_int_equal(owner_asks(&mrig_a, MANAGE_BOOTSTRAP, bootstrap_body), 0);
}

/* Fails closed: what has been used up is not known then. */
static void test_T03_a_record_that_cannot_be_read_lets_nobody_in(void **state)
{
    (void)state;
    struct state_fault fault;
    struct state_store *other = shared_state_open(&mrig_shared, "other");
    assert_int_equal(shared_state_put(other, "auth", "owners", "{\"managers\":7}").code, 0);
    state_store_close(other);
    assert_int_equal(mrig_refresh(&mrig_a, &fault).code, 0);
    assert_int_equal(owner_asks(&mrig_a, MANAGE_BOOTSTRAP, bootstrap_body), ERROR_TAMPERED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, up, mrig_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_T20_an_owners_key_does_what_the_socket_does),
        TEST(test_T20_what_an_owners_key_has_not_signed_is_not_his),
        TEST(test_T20_each_of_his_requests_counts_once),
        TEST(test_T20_an_old_request_of_his_is_refused),
        TEST(test_T29_what_he_reads_leaves_nothing_behind),
        TEST(test_T20_neither_key_does_the_others_work),
        TEST(test_records_of_keys_that_are_gone_make_room),
        TEST(test_T03_a_record_that_cannot_be_read_lets_nobody_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
