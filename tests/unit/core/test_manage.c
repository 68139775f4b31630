/* Management of policies, tokens and keys, over a state store that two replicas share. */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

#include "support/manage_rig.h"
#include "support/test.h"

/* --- who may ---------------------------------------------------------------------------------------------------------------- */

static void test_T20_the_first_key_comes_in_by_the_admin_socket_and_once(void **state)
{
    (void)state;
    const char *body = "{\"public_key\":\""
                       "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c\"}";
    unsigned swaps = shared_state_swaps(&mrig_shared);
    assert_int_equal(mrig_by(&mrig_stranger, &mrig_a, MANAGE_BOOTSTRAP, "", body), ERROR_NOT_OWNER);
    assert_int_equal(mrig_by(&mrig_unix_owner, &mrig_a, MANAGE_BOOTSTRAP, "", body),
                     ERROR_NOT_OWNER);
    struct caller not_owner = mrig_admin;
    not_owner.flags = 0;
    assert_int_equal(mrig_by(&not_owner, &mrig_a, MANAGE_BOOTSTRAP, "", body), ERROR_NOT_OWNER);
    mrig_assert_more_changes(&swaps, 0);
    mrig_bootstrap(mrig_seed, false, ERROR_NONE);
    assert_int_equal(mrig_answer.status, 201);
    mrig_assert_more_changes(&swaps, 1);
    mrig_bootstrap(mrig_seed, false, ERROR_EXISTS);
    mrig_bootstrap(mrig_other_seed, false, ERROR_EXISTS);
    mrig_assert_more_changes(&swaps, 0);
    mrig_bootstrap(mrig_other_seed, true, ERROR_NONE);
    assert_int_equal(mrig_signed(&mrig_a, MANAGE_POLICY_LIST, "", ""),
                     ERROR_UNAUTHENTICATED); /* the old one */
}

/* A record that nobody can read locks nobody out for good. */
static void test_keys_that_cannot_be_read(void **state)
{
    (void)state;
    struct state_fault fault;
    struct state_store *other = shared_state_open(&mrig_shared, "other");
    assert_int_equal(shared_state_put(other, "auth", "managers", "{\"managers\":7}").code, 0);
    state_store_close(other);
    assert_int_equal(mrig_refresh(&mrig_a, &fault).code, 0);
    assert_int_equal(mrig_signed(&mrig_a, MANAGE_POLICY_LIST, "", ""), ERROR_TAMPERED);
    mrig_bootstrap(mrig_seed, false, ERROR_TAMPERED);
    mrig_bootstrap(mrig_seed, true, ERROR_NONE);
    assert_int_equal(mrig_signed(&mrig_a, MANAGE_POLICY_LIST, "", ""), 0);
}

/* T20: a front that was captured says what it likes of who is at the admin socket; it can't write this file. */
static void test_T20_only_who_owns_the_data_directory_can_show_it(void **state)
{
    (void)state;
    static const char key[] = "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c";
    char body[128], proof[128], path[160];
    unsigned swaps = shared_state_swaps(&mrig_shared);
    (void)snprintf(body, sizeof body, "{\"public_key\":\"%s\"}", key);
    (void)snprintf(path, sizeof path, "%s/auth.proof", mrig_shared.directory);
    static const char *const others[] = {
        NULL, "", "bootstrap\n", "unlatch\n",
        "bootstrap 8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf"
        "3748801b40f6f5d\n"};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        mrig_show(others[i]);
        assert_int_equal(mrig_by(&mrig_admin, &mrig_a, MANAGE_BOOTSTRAP, "", body),
                         ERROR_NOT_OWNER);
    }
    (void)snprintf(proof, sizeof proof, "bootstrap %s\n", key);
    mrig_show(proof);
    mrig_now += 61; /* too old */
    assert_int_equal(mrig_by(&mrig_admin, &mrig_a, MANAGE_BOOTSTRAP, "", body), ERROR_NOT_OWNER);
    mrig_show(proof);
    assert_int_equal(chmod(path, 0660), 0); /* others may have written it */
    assert_int_equal(mrig_by(&mrig_admin, &mrig_a, MANAGE_BOOTSTRAP, "", body), ERROR_NOT_OWNER);
    mrig_show(proof);
    char moved[176];
    (void)snprintf(moved, sizeof moved, "%s.moved", path);
    assert_int_equal(rename(path, moved), 0);
    assert_int_equal(symlink(moved, path), 0);
    assert_int_equal(mrig_by(&mrig_admin, &mrig_a, MANAGE_BOOTSTRAP, "", body), ERROR_NOT_OWNER);
    if (geteuid() == 0) {
        mrig_show(proof);
        assert_int_equal(chown(path, 65534, 65534), 0);
        assert_int_equal(mrig_by(&mrig_admin, &mrig_a, MANAGE_BOOTSTRAP, "", body),
                         ERROR_NOT_OWNER);
    }
    mrig_assert_more_changes(&swaps, 0);
    mrig_show(proof); /* right as it is, it says nothing of another socket */
    assert_int_equal(mrig_by(&mrig_unix_owner, &mrig_a, MANAGE_BOOTSTRAP, "", body),
                     ERROR_NOT_OWNER);
    assert_int_equal(mrig_by(&mrig_admin, &mrig_a, MANAGE_BOOTSTRAP, "", body), 0);
}

static void test_odd_keys_are_refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{}",
        "[]",
        "",
        "{\"public_key\":\"00\"}",
        "{\"public_key\":7}",
        "{\"public_key\":\"8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c\","
        "\"replace\":1}",
        "{\"public_key\":\"8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c\","
        "\"name\":\"x\"}",
        "{\"public_key\":\"0x88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c00\"}",
    };
    unsigned swaps = shared_state_swaps(&mrig_shared);
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++)
        assert_true(error_status((cc_err){(int)mrig_by(&mrig_admin, &mrig_a, MANAGE_BOOTSTRAP, "",
                                                       bodies[i])}) == 400);
    mrig_assert_more_changes(&swaps, 0);
}

/* T20: the owner may look and bring a key in; for all else it takes the key, since a front can say that it is he. */
static void test_T20_changes_want_a_signature(void **state)
{
    (void)state;
    unsigned swaps = shared_state_swaps(&mrig_shared);
    assert_int_equal(mrig_by(&mrig_stranger, &mrig_a, MANAGE_POLICY_PUT, "p", mrig_allow_export),
                     ERROR_UNAUTHENTICATED);
    assert_int_equal(mrig_by(&mrig_unix_owner, &mrig_a, MANAGE_POLICY_PUT, "p", mrig_allow_export),
                     ERROR_UNAUTHENTICATED);
    assert_int_equal(mrig_by(&mrig_stranger, &mrig_a, MANAGE_POLICY_LIST, "", ""),
                     ERROR_UNAUTHENTICATED);
    assert_int_equal(mrig_by(&mrig_stranger, &mrig_a, MANAGE_TOKEN_LIST, "", ""),
                     ERROR_UNAUTHENTICATED);
    assert_int_equal(mrig_by(&mrig_stranger, &mrig_a, MANAGE_TOKEN_CREATE, "", "{}"),
                     ERROR_UNAUTHENTICATED);
    assert_int_equal(mrig_by(&mrig_stranger, &mrig_a, MANAGE_UNLATCH, "", ""), ERROR_NOT_OWNER);
    assert_int_equal(mrig_signed(&mrig_a, MANAGE_POLICY_PUT, "p", mrig_allow_export),
                     ERROR_UNAUTHENTICATED);
    mrig_assert_more_changes(&swaps, 0);
    assert_int_equal(mrig_by(&mrig_admin, &mrig_a, MANAGE_POLICY_PUT, "p", mrig_allow_export),
                     ERROR_UNAUTHENTICATED);
    assert_int_equal(mrig_by(&mrig_admin, &mrig_a, MANAGE_TOKEN_CREATE, "", "{}"),
                     ERROR_UNAUTHENTICATED);
    mrig_assert_more_changes(&swaps, 0);
    mrig_bootstrap(mrig_seed, false, ERROR_NONE);
    assert_int_equal(mrig_signed(&mrig_a, MANAGE_POLICY_PUT, "q", mrig_allow_export), 0);
    assert_int_equal(mrig_answer.status, 201);
    assert_int_equal(mrig_by(&mrig_unix_owner, &mrig_a, MANAGE_POLICY_LIST, "", ""), 0);
    assert_string_equal(mrig_answer.text, "{\"policies\":[\"q\"]}");
    assert_int_equal(mrig_signed(&mrig_a, MANAGE_BOOTSTRAP, "", "{}"), ERROR_NOT_OWNER);
    assert_int_equal(mrig_signed(&mrig_a, MANAGE_UNLATCH, "", ""), ERROR_NOT_OWNER);
}

/* --- policies ----------------------------------------------------------------------------------------------------------------- */

static void test_a_policys_life(void **state)
{
    (void)state;
    mrig_bootstrap(mrig_seed, false, ERROR_NONE);
    unsigned swaps = shared_state_swaps(&mrig_shared);
    assert_int_equal(mrig_signed(&mrig_a, MANAGE_POLICY_PUT, "staff.eu-1", mrig_allow_export), 0);
    assert_int_equal(mrig_answer.status, 201);
    mrig_assert_more_changes(&swaps, 1); /* with the key's last request in it */
    char kept[MRIG_TEXT_MAX];
    memcpy(kept, mrig_answer.text, sizeof kept);
    assert_int_equal(mrig_signed(&mrig_a, MANAGE_POLICY_GET, "staff.eu-1", ""), 0);
    assert_string_equal(mrig_answer.text, kept);
    mrig_assert_more_changes(&swaps, 0); /* reads leave nothing behind */
    assert_int_equal(mrig_signed(&mrig_a, MANAGE_POLICY_PUT, "staff.eu-1", mrig_allow_export), 0);
    assert_int_equal(mrig_answer.status, 200);
    assert_int_equal(mrig_signed(&mrig_a, MANAGE_POLICY_GET, "staff", ""), ERROR_NAME_UNKNOWN);
    assert_int_equal(mrig_signed(&mrig_a, MANAGE_POLICY_DELETE, "staff", ""), ERROR_NAME_UNKNOWN);
    assert_int_equal(mrig_signed(&mrig_a, MANAGE_POLICY_DELETE, "staff.eu-1", ""), 0);
    assert_int_equal(mrig_signed(&mrig_a, MANAGE_POLICY_LIST, "", ""), 0);
    assert_string_equal(mrig_answer.text, "{\"policies\":[]}");
}

static void test_a_policy_that_is_wrong_changes_nothing(void **state)
{
    (void)state;
    mrig_bootstrap(mrig_seed, false, ERROR_NONE);
    unsigned swaps = shared_state_swaps(&mrig_shared);
    assert_int_equal(
        mrig_signed(&mrig_a, MANAGE_POLICY_PUT, "p", "{\"rules\":[{\"effect\":\"perhaps\"}]}"),
        ERROR_MALFORMED);
    assert_non_null(strstr(mrig_answer.detail, "rules[0]"));
    assert_null(strstr(mrig_answer.detail, "perhaps"));
    assert_int_equal(mrig_signed(&mrig_a, MANAGE_POLICY_PUT, "p", "{\"rules\":"),
                     ERROR_JSON_SYNTAX);
    assert_int_equal(mrig_signed(&mrig_a, MANAGE_POLICY_PUT, "p", ""), ERROR_JSON_SYNTAX);
    mrig_assert_more_changes(&swaps, 0);
}

static void test_no_more_than_64_policies(void **state)
{
    (void)state;
    mrig_bootstrap(mrig_seed, false, ERROR_NONE);
    char name[16];
    for (int i = 0; i < POLICIES_MAX; i++) {
        (void)snprintf(name, sizeof name, "p%d", i);
        assert_int_equal(mrig_signed(&mrig_a, MANAGE_POLICY_PUT, name, mrig_allow_export), 0);
    }
    assert_int_equal(mrig_signed(&mrig_a, MANAGE_POLICY_PUT, "one-more", mrig_allow_export),
                     ERROR_TOO_MANY);
    assert_int_equal(mrig_signed(&mrig_a, MANAGE_POLICY_PUT, "p7", mrig_allow_export), 0);
}

/* --- replays ------------------------------------------------------------------------------------------------------------------ */

static void test_T03_a_signed_request_counts_once_at_any_replica(void **state)
{
    (void)state;
    static struct a_manage ask;
    struct state_fault fault;
    mrig_bootstrap(mrig_seed, false, ERROR_NONE);
    assert_int_equal(mrig_refresh(&mrig_b, &fault).code,
                     0); /* it knows the key, and not what comes now */
    mrig_fill(&ask, MANAGE_POLICY_PUT, "p", mrig_allow_export);
    mrig_sign(&ask, mrig_seed, mrig_now);
    assert_int_equal(mrig_put(&mrig_a, &ask), 0);
    unsigned swaps = shared_state_swaps(&mrig_shared);
    assert_int_equal(mrig_put(&mrig_a, &ask), ERROR_REPLAYED);
    assert_int_equal(mrig_put(&mrig_b, &ask), ERROR_REPLAYED);
    mrig_assert_more_changes(&swaps, 0);
    assert_int_equal(mrig_signed(&mrig_b, MANAGE_POLICY_DELETE, "p", ""), 0);
    assert_int_equal(mrig_put(&mrig_a, &ask), ERROR_REPLAYED);
    assert_int_equal(mrig_put(&mrig_b, &ask), ERROR_REPLAYED);
    /* Nor does a new start of the key's life let it in. */
    mrig_bootstrap(mrig_seed, true, ERROR_NONE);
    assert_int_equal(mrig_put(&mrig_a, &ask), ERROR_REPLAYED);
}

static void test_T03_a_signature_moved_to_another_request_counts_for_nothing(void **state)
{
    (void)state;
    static struct a_manage good, ask;
    mrig_bootstrap(mrig_seed, false, ERROR_NONE);
    assert_int_equal(mrig_signed(&mrig_a, MANAGE_POLICY_PUT, "q", mrig_allow_export), 0);
    unsigned swaps = shared_state_swaps(&mrig_shared);
    mrig_now++;
    mrig_fill(&good, MANAGE_POLICY_PUT, "p", mrig_allow_export);
    mrig_sign(&good, mrig_seed, mrig_now);
    ask = good; /* another body */
    ask.body[ask.body_len - 1] = ' ';
    assert_int_equal(mrig_put(&mrig_a, &ask), ERROR_UNAUTHENTICATED);
    ask = good; /* another path */
    ask.name[0] = 'q';
    assert_int_equal(mrig_put(&mrig_a, &ask), ERROR_UNAUTHENTICATED);
    ask = good; /* another method */
    ask.verb = MANAGE_POLICY_DELETE;
    ask.body_len = 0;
    assert_int_equal(mrig_put(&mrig_a, &ask), ERROR_UNAUTHENTICATED);
    ask = good; /* another key */
    mrig_sign(&ask, mrig_other_seed, mrig_now);
    assert_int_equal(mrig_put(&mrig_a, &ask), ERROR_UNAUTHENTICATED);
    ask = good; /* half a signature */
    ask.signature_len = 0;
    assert_int_equal(mrig_put(&mrig_a, &ask), ERROR_MALFORMED);
    ask = good; /* too old, too new */
    mrig_sign(&ask, mrig_seed, mrig_now - MANAGER_WINDOW_S - 1);
    assert_int_equal(mrig_put(&mrig_a, &ask), ERROR_UNAUTHENTICATED);
    mrig_sign(&ask, mrig_seed, mrig_now + MANAGER_WINDOW_S + 1);
    assert_int_equal(mrig_put(&mrig_a, &ask), ERROR_UNAUTHENTICATED);
    mrig_assert_more_changes(&swaps, 0);
    assert_int_equal(mrig_put(&mrig_a, &good), 0);
}

/* --- tokens ------------------------------------------------------------------------------------------------------------------- */

static bool store_holds(const void *bytes, size_t len)
{
    bool holds = false;
    assert_int_equal(pthread_mutex_lock(&mrig_shared.lock), 0);
    for (size_t i = 0; i < mrig_shared.image.count; i++)
        holds |= memmem(mrig_shared.image.records[i].bytes, mrig_shared.image.records[i].len, bytes,
                        len) != NULL;
    assert_int_equal(pthread_mutex_unlock(&mrig_shared.lock), 0);
    return holds;
}

static void test_T20_a_token_is_shown_once(void **state)
{
    (void)state;
    char text[TOKEN_TEXT_SIZE];
    mrig_make_token(text);
    assert_int_equal(mrig_may_export(&mrig_a, text), 0);
    assert_int_equal(mrig_signed(&mrig_a, MANAGE_TOKEN_LIST, "", ""), 0);
    assert_non_null(strstr(mrig_answer.text, "\"name\":\"t\",\"policies\":[\"p\"]"));
    assert_null(strstr(mrig_answer.text, "cc_token_"));
    assert_null(strstr(mrig_answer.text, "mac"));
    assert_true(store_holds("\"name\":\"t\"", 10)); /* the search finds what is there */
    assert_false(store_holds(text, strlen(text)));
    assert_false(store_holds(text + 9, 43));
    assert_int_equal(
        mrig_signed(&mrig_a, MANAGE_TOKEN_CREATE, "", "{\"name\":\"t\",\"policies\":[\"p\"]}"),
        ERROR_EXISTS);
    assert_null(strstr(mrig_answer.text, "cc_token_"));
    /* Nor does what is kept open anything. */
    const struct state_record *record = state_find(mrig_a.state, "token", "t");
    char mac[65] = "";
    const char *at = memmem(record->bytes, record->len, "\"mac\":\"", 7);
    assert_non_null(at);
    memcpy(mac, at + 7, 64);
    assert_int_equal(mrig_may_export(&mrig_a, mac), ERROR_UNAUTHENTICATED);
}

static void test_T03_a_revoked_token_is_none_at_any_replica(void **state)
{
    (void)state;
    char text[TOKEN_TEXT_SIZE];
    struct state_fault fault;
    mrig_make_token(text);
    assert_int_equal(mrig_refresh(&mrig_b, &fault).code, 0);
    assert_int_equal(mrig_may_export(&mrig_b, text), 0);
    assert_int_equal(mrig_signed(&mrig_b, MANAGE_POLICY_DELETE, "p", ""), ERROR_IN_USE);
    assert_int_equal(mrig_signed(&mrig_b, MANAGE_TOKEN_REVOKE, "t", ""), 0);
    assert_int_equal(mrig_may_export(&mrig_b, text), ERROR_UNAUTHENTICATED);
    assert_int_equal(mrig_refresh(&mrig_a, &fault).code, 0);
    assert_int_equal(mrig_may_export(&mrig_a, text), ERROR_UNAUTHENTICATED);
    assert_int_equal(mrig_signed(&mrig_a, MANAGE_TOKEN_REVOKE, "t", ""), ERROR_NAME_UNKNOWN);
    assert_int_equal(mrig_signed(&mrig_a, MANAGE_POLICY_DELETE, "p", ""), 0);
}

static void test_what_a_token_may_be_asked_to_be(void **state)
{
    (void)state;
    mrig_bootstrap(mrig_seed, false, ERROR_NONE);
    static const struct {
        const char *body;
        enum error_code error;
    } cases[] = {
        {"{\"name\":\"x\",\"policies\":[\"missing\"]}", ERROR_NAME_UNKNOWN},
        {"{\"name\":\"x\",\"policies\":[]}", ERROR_MALFORMED},
        {"{\"name\":\"x\"}", ERROR_MALFORMED},
        {"{\"policies\":[\"p\"]}", ERROR_MALFORMED},
        {"{\"name\":\"-x\",\"policies\":[\"p\"]}", ERROR_MALFORMED},
        {"{\"name\":\"x\",\"policies\":[\"p\",\"p\"]}", ERROR_MALFORMED},
        {"{\"name\":\"x\",\"policies\":[\"p\"],\"ttl_seconds\":0}", ERROR_MALFORMED},
        {"{\"name\":\"x\",\"policies\":[\"p\"],\"ttl_seconds\":999999999999}", ERROR_MALFORMED},
        {"{\"name\":\"x\",\"policies\":[\"p\"],\"cidrs\":[\"10.0.0.1/8\"]}", ERROR_MALFORMED},
        {"{\"name\":\"x\",\"policies\":[\"p\"],\"certificate\":\"00\"}", ERROR_MALFORMED},
        {"{\"name\":\"x\",\"policies\":[\"p\"],\"mac\":\"00\"}", ERROR_MALFORMED},
        {"{\"name\":\"x\",\"policies\":[\"p\"],\"ttl_seconds\":60,\"cidrs\":[\"10.0.0.0/8\"]}", 0},
    };
    assert_int_equal(mrig_signed(&mrig_a, MANAGE_POLICY_PUT, "p", mrig_allow_export), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (mrig_signed(&mrig_a, MANAGE_TOKEN_CREATE, "", cases[i].body) != cases[i].error)
            fail_msg("%s: %s", cases[i].body, error_name((cc_err){(int)mrig_answer.error}));
    char text[TOKEN_TEXT_SIZE];
    mrig_take_token(text);
    assert_int_equal(mrig_may_export(&mrig_a, text), ERROR_UNAUTHENTICATED); /* from elsewhere */
}

static void test_a_token_expires(void **state)
{
    (void)state;
    mrig_bootstrap(mrig_seed, false, ERROR_NONE);
    char text[TOKEN_TEXT_SIZE];
    assert_int_equal(mrig_signed(&mrig_a, MANAGE_POLICY_PUT, "p", mrig_allow_export), 0);
    assert_int_equal(mrig_signed(&mrig_a, MANAGE_TOKEN_CREATE, "",
                                 "{\"name\":\"x\",\"policies\":[\"p\"],\"ttl_seconds\":60}"),
                     0);
    mrig_take_token(text);
    mrig_now += 59;
    assert_int_equal(mrig_may_export(&mrig_a, text), 0);
    mrig_now += 1;
    assert_int_equal(mrig_may_export(&mrig_a, text), ERROR_UNAUTHENTICATED);
}

static void test_the_last_use_is_noted(void **state)
{
    (void)state;
    char text[TOKEN_TEXT_SIZE];
    mrig_make_token(text);
    const struct manage_settings settings = {.keeper = mrig_a.keeper,
                                             .authority = mrig_a.authority};
    unsigned swaps = shared_state_swaps(&mrig_shared);
    manage_note_uses(&settings);
    mrig_assert_more_changes(&swaps, 0); /* it was not used */
    mrig_now += 10;
    const uint64_t used = mrig_now;
    assert_int_equal(mrig_may_export(&mrig_a, text), 0);
    manage_note_uses(&settings);
    mrig_assert_more_changes(&swaps, 1);
    manage_note_uses(&settings);
    mrig_assert_more_changes(&swaps, 0);
    char expected[64];
    (void)snprintf(expected, sizeof expected, "\"last_used\":%llu", (unsigned long long)used);
    assert_int_equal(mrig_signed(&mrig_a, MANAGE_TOKEN_LIST, "", ""), 0);
    assert_non_null(strstr(mrig_answer.text, expected));
    assert_int_equal(mrig_may_export(&mrig_a, text), 0); /* it is as good as before */
}

/* --- trouble ------------------------------------------------------------------------------------------------------------------- */

static void test_a_store_that_is_away(void **state)
{
    (void)state;
    mrig_bootstrap(mrig_seed, false, ERROR_NONE);
    shared_state_set_away(&mrig_shared, true);
    assert_int_equal(mrig_signed(&mrig_a, MANAGE_POLICY_PUT, "p", mrig_allow_export), ERROR_STATE);
    assert_int_equal(mrig_signed(&mrig_a, MANAGE_POLICY_LIST, "", ""),
                     0); /* what is known can be read */
    assert_string_equal(mrig_answer.text, "{\"policies\":[]}");
    shared_state_set_away(&mrig_shared, false);
    assert_int_equal(mrig_signed(&mrig_a, MANAGE_POLICY_PUT, "p", mrig_allow_export), 0);
}

static void test_the_latch_is_opened_by_the_owner(void **state)
{
    (void)state;
    struct state_fault fault;
    char path[160];
    bool held = false;
    (void)snprintf(path, sizeof path, "%s/auth.enforced", mrig_shared.directory);
    assert_int_equal(file_write_durable(path, span_str("{}"), false).code, 0);
    struct state_store *other = shared_state_open(&mrig_shared, "latcher");
    assert_int_equal(shared_state_put(other, "auth", "latch", "{\"enforced\":true}\n").code, 0);
    state_store_close(other);
    assert_int_equal(mrig_refresh(&mrig_a, &fault).code, 0);
    assert_int_equal(authority_mode(mrig_a.authority, &held), AUTH_ENFORCE);
    assert_true(held);
    assert_int_equal(mrig_by(&mrig_unix_owner, &mrig_a, MANAGE_UNLATCH, "", ""), ERROR_NOT_OWNER);
    mrig_config.auth.mode = AUTH_ENFORCE;
    assert_int_equal(mrig_by(&mrig_admin, &mrig_a, MANAGE_UNLATCH, "", ""), ERROR_IN_USE);
    mrig_config.auth.mode = AUTH_OPEN;
    assert_int_equal(mrig_by(&mrig_admin, &mrig_a, MANAGE_UNLATCH, "", ""), ERROR_NOT_OWNER);
    assert_int_equal(authority_mode(mrig_a.authority, &held), AUTH_ENFORCE);
    mrig_show("unlatch\n");
    assert_int_equal(mrig_by(&mrig_admin, &mrig_a, MANAGE_UNLATCH, "", ""), 0);
    assert_int_equal(authority_mode(mrig_a.authority, &held), AUTH_OPEN);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(mrig_by(&mrig_admin, &mrig_a, MANAGE_UNLATCH, "", ""), 0); /* it is open */
}

static sem_t inside, gate;

static cc_err
wait_at_gate(void *context, struct state_store *state, const struct state_signer *signer)
{
    (void)context;
    (void)state;
    (void)signer;
    (void)sem_post(&inside);
    (void)sem_wait(&gate);
    return CC_OK;
}

static void *run_at_gate(void *side)
{
    (void)keeper_run(((struct side *)side)->keeper, wait_at_gate, NULL, 60000).code;
    return NULL;
}

/* T29: whoever floods the queue, the owner finds a place in it. */
static void test_T29_the_owner_is_not_kept_out_by_others(void **state)
{
    (void)state;
    static struct a_manage ask;
    pthread_t thread;
    size_t taken = 0;
    mrig_fill(&ask, MANAGE_POLICY_LIST, "", "");
    mrig_sign(&ask, mrig_seed, mrig_now);
    assert_int_equal(sem_init(&inside, 0, 0), 0);
    assert_int_equal(sem_init(&gate, 0, 0), 0);
    assert_int_equal(pthread_create(&thread, NULL, run_at_gate, &mrig_a), 0);
    assert_int_equal(sem_wait(&inside), 0);
    /* One address has its share, and no more. */
    while (!manage_put(mrig_a.manage, mrig_a.door.epoch, &ask).code)
        taken++;
    assert_true(taken >= MANAGE_QUEUE_SOURCE && taken <= MANAGE_QUEUE_SOURCE + 1);
    for (ask.caller.address[15] = 100; !manage_put(mrig_a.manage, mrig_a.door.epoch, &ask).code;
         ask.caller.address[15]++)
        taken++;
    ask.caller = mrig_admin;
    ask.input_len = ask.signature_len = ask.digest_len = 0;
    assert_int_equal(manage_put(mrig_a.manage, mrig_a.door.epoch, &ask).code, 0);
    (void)sem_post(&gate);
    assert_true(taken >= MANAGE_QUEUE_OTHERS && taken < MANAGE_QUEUE_MAX);
    size_t owner_at = taken + 1;
    for (size_t i = 0; i <= taken; i++) {
        mrig_receive(&mrig_a, ask.id);
        if (mrig_answer.error == 0)
            owner_at = i;
        else
            assert_int_equal(mrig_answer.error, ERROR_UNAUTHENTICATED); /* no key is there */
    }
    assert_true(owner_at <= 1); /* nor does he wait for more than the one that was begun */
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* T29, T33: nor is the emergency seal, whoever asks for it. */
static void test_T29_the_emergency_seal_overtakes_others(void **state)
{
    (void)state;
    static struct a_manage ask;
    pthread_t thread;
    mrig_fill(&ask, MANAGE_POLICY_LIST, "", "");
    mrig_sign(&ask, mrig_seed, mrig_now);
    assert_int_equal(sem_init(&inside, 0, 0), 0);
    assert_int_equal(sem_init(&gate, 0, 0), 0);
    assert_int_equal(pthread_create(&thread, NULL, run_at_gate, &mrig_a), 0);
    assert_int_equal(sem_wait(&inside), 0);
    const uint64_t first = ask.id;
    for (; ask.id < first + 4; ask.id++)
        assert_int_equal(manage_put(mrig_a.manage, mrig_a.door.epoch, &ask).code, 0);
    const uint64_t seal = ask.id;
    mrig_fill(&ask, MANAGE_SEAL, "", "");
    ask.id = seal;
    assert_int_equal(manage_put(mrig_a.manage, mrig_a.door.epoch, &ask).code, 0);
    (void)sem_post(&gate);
    const bool begun = mrig_next_id(&mrig_a) == first;
    if (begun)
        assert_int_equal(mrig_next_id(&mrig_a), seal);
    for (uint64_t id = begun ? first + 1 : first; id < seal; id++)
        assert_int_equal(mrig_next_id(&mrig_a), id);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* T29: what anybody can forge is answered while the keeper has no turn to give, and takes none of those that honest ones need. */
static void test_T29_a_forged_signature_takes_no_turn_of_the_keeper(void **state)
{
    (void)state;
    static struct a_manage ask;
    pthread_t thread;
    mrig_bootstrap(mrig_seed, false, ERROR_NONE);
    mrig_fill(&ask, MANAGE_POLICY_LIST, "", "");
    mrig_sign(&ask, mrig_seed, mrig_now);
    assert_int_equal(mrig_put(&mrig_a, &ask), 0); /* the key is known from here on */
    assert_int_equal(sem_init(&inside, 0, 0), 0);
    assert_int_equal(sem_init(&gate, 0, 0), 0);
    assert_int_equal(pthread_create(&thread, NULL, run_at_gate, &mrig_a), 0);
    assert_int_equal(sem_wait(&inside), 0);
    mrig_sign(&ask, mrig_seed, mrig_now);
    ask.signature[10] = ask.signature[10] == 'A' ? 'B' : 'A';
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(mrig_put(&mrig_a, &ask), ERROR_UNAUTHENTICATED);
    (void)sem_post(&gate);
    assert_int_equal(pthread_join(thread, NULL), 0);
    mrig_sign(&ask, mrig_seed, mrig_now);
    assert_int_equal(mrig_put(&mrig_a, &ask), 0);
}

/* Who has seen a signed read can't repeat it later. */
static void test_T03_a_signed_read_is_of_its_minute(void **state)
{
    (void)state;
    static struct a_manage ask;
    mrig_bootstrap(mrig_seed, false, ERROR_NONE);
    mrig_fill(&ask, MANAGE_POLICY_LIST, "", "");
    mrig_sign(&ask, mrig_seed, mrig_now);
    assert_int_equal(mrig_put(&mrig_a, &ask), 0);
    mrig_sign(&ask, mrig_seed, mrig_now - 3600);
    assert_int_equal(mrig_put(&mrig_a, &ask), ERROR_UNAUTHENTICATED);
    mrig_sign(&ask, mrig_seed, mrig_now + 3600);
    assert_int_equal(mrig_put(&mrig_a, &ask), ERROR_UNAUTHENTICATED);
}

static void test_malformed_questions_shut_the_front_out(void **state)
{
    (void)state;
    static struct a_manage good, ask;
    mrig_fill(&good, MANAGE_POLICY_PUT, "p", mrig_allow_export);
    ask = good;
    ask.verb = MANAGE_VERB_END;
    assert_int_equal(manage_put(mrig_a.manage, mrig_a.door.epoch, &ask).code, ERROR_PROTOCOL);
    ask = good;
    ask.verb = 0;
    assert_int_equal(manage_put(mrig_a.manage, mrig_a.door.epoch, &ask).code, ERROR_PROTOCOL);
    ask = good;
    memset(ask.name, 'a', sizeof ask.name);
    assert_int_equal(manage_put(mrig_a.manage, mrig_a.door.epoch, &ask).code, ERROR_PROTOCOL);
    ask = good;
    ask.name[0] = '/';
    assert_int_equal(manage_put(mrig_a.manage, mrig_a.door.epoch, &ask).code, ERROR_PROTOCOL);
    ask = good;
    ask.body_len = A_MANAGE_BODY_MAX + 1;
    assert_int_equal(manage_put(mrig_a.manage, mrig_a.door.epoch, &ask).code, ERROR_PROTOCOL);
    ask = good;
    ask.input_len = A_MANAGE_INPUT_MAX + 1;
    assert_int_equal(manage_put(mrig_a.manage, mrig_a.door.epoch, &ask).code, ERROR_PROTOCOL);
    ask = good;
    ask.verb = MANAGE_POLICY_GET; /* which has no body */
    assert_int_equal(manage_put(mrig_a.manage, mrig_a.door.epoch, &ask).code, ERROR_PROTOCOL);
    ask = good;
    ask.verb = MANAGE_TOKEN_CREATE; /* which has no name */
    assert_int_equal(manage_put(mrig_a.manage, mrig_a.door.epoch, &ask).code, ERROR_PROTOCOL);
}

/* --- the status page -------------------------------------------------------------------------------------------------- */

static enum error_code page_for(const struct caller *caller)
{
    return mrig_by(caller, &mrig_a, MANAGE_STATUS_PAGE, "", "");
}

/* Only at the metrics port does it count where somebody is; there and elsewhere the scope opens it too. */
static void test_T20_the_status_page_is_for_this_machine_and_for_who_has_the_scope(void **state)
{
    (void)state;
    struct caller caller = {.listener = LISTENER_METRICS,
                            .address = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}};
    assert_int_equal(page_for(&caller), 0);
    assert_non_null(strstr(mrig_answer.text, "<h1>Containment Chamber"));
    caller.address[12] = 10;
    assert_int_equal(page_for(&caller), ERROR_UNAUTHENTICATED);
    caller.address[12] = 127;
    caller.flags = CALLER_PROXIED; /* somebody else speaks for him */
    assert_int_equal(page_for(&caller), ERROR_UNAUTHENTICATED);
    caller.flags = 0;
    for (enum listener other = LISTENER_API; other < LISTENER_END; other++) {
        caller.listener = (uint8_t)other;
        assert_int_equal(page_for(&caller), other == LISTENER_METRICS ? 0 : ERROR_UNAUTHENTICATED);
    }
    caller = (struct caller){.listener = LISTENER_METRICS, .address = {[15] = 1}};
    assert_int_equal(page_for(&caller), 0);
    caller.address[15] = 0; /* a Unix socket, or vsock: an enclave's parent */
    assert_int_equal(page_for(&caller), ERROR_UNAUTHENTICATED);
    caller.flags = CALLER_OWNER;
    assert_int_equal(page_for(&caller), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, mrig_up, mrig_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_T20_the_first_key_comes_in_by_the_admin_socket_and_once),
        TEST(test_T20_only_who_owns_the_data_directory_can_show_it),
        TEST(test_odd_keys_are_refused),
        TEST(test_keys_that_cannot_be_read),
        TEST(test_T20_changes_want_a_signature),
        TEST(test_a_policys_life),
        TEST(test_a_policy_that_is_wrong_changes_nothing),
        TEST(test_no_more_than_64_policies),
        TEST(test_T03_a_signed_request_counts_once_at_any_replica),
        TEST(test_T03_a_signature_moved_to_another_request_counts_for_nothing),
        TEST(test_T20_a_token_is_shown_once),
        TEST(test_T03_a_revoked_token_is_none_at_any_replica),
        TEST(test_what_a_token_may_be_asked_to_be),
        TEST(test_a_token_expires),
        TEST(test_the_last_use_is_noted),
        TEST(test_a_store_that_is_away),
        TEST(test_the_latch_is_opened_by_the_owner),
        TEST(test_T29_the_owner_is_not_kept_out_by_others),
        TEST(test_T29_the_emergency_seal_overtakes_others),
        TEST(test_T29_a_forged_signature_takes_no_turn_of_the_keeper),
        TEST(test_T03_a_signed_read_is_of_its_minute),
        TEST(test_malformed_questions_shut_the_front_out),
        TEST(test_T20_the_status_page_is_for_this_machine_and_for_who_has_the_scope),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
