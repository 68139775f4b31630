/* T3: whoever can write to the state store gains nothing by it: each record of access control removed, replaced, forged, rolled
 * back.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

#include "support/manage_rig.h"
#include "support/test.h"

static struct state_record *find_stored(const char *kind, const char *name)
{
    for (size_t i = 0; i < mrig_shared.image.count; i++)
        if (state_record_order(mrig_shared.image.records[i].kind, mrig_shared.image.records[i].name,
                               kind, name) == 0)
            return &mrig_shared.image.records[i];
    fail_msg("%s/%s is not there", kind, name);
    return NULL;
}

/* Past the store. The head stays what it was, but for a signature of nobody that makes replicas look. */
static void forge(const char *kind, const char *name, const char *text)
{
    assert_int_equal(pthread_mutex_lock(&mrig_shared.lock), 0);
    struct state_record *record = find_stored(kind, name);
    cc_free(record->bytes);
    record->bytes = (uint8_t *)cc_strdup(text);
    record->len = strlen(text);
    mrig_shared.image.signature[0] ^= 1;
    assert_int_equal(pthread_mutex_unlock(&mrig_shared.lock), 0);
}

static void remove_stored(const char *kind, const char *name)
{
    assert_int_equal(pthread_mutex_lock(&mrig_shared.lock), 0);
    struct state_record *record = find_stored(kind, name);
    cc_free(record->bytes);
    size_t at = (size_t)(record - mrig_shared.image.records);
    memmove(record, record + 1, (--mrig_shared.image.count - at) * sizeof *record);
    assert_int_equal(pthread_mutex_unlock(&mrig_shared.lock), 0);
}

struct saved {
    struct state_image image;
};

static void save(struct saved *saved)
{
    assert_int_equal(mrig_a.state->ops->load(mrig_a.state, &saved->image).code, 0);
}

static void restore(struct saved *saved)
{
    assert_int_equal(pthread_mutex_lock(&mrig_shared.lock), 0);
    state_image_release(&mrig_shared.image);
    mrig_shared.image = saved->image;
    assert_int_equal(pthread_mutex_unlock(&mrig_shared.lock), 0);
    *saved = (struct saved){0};
}

/* A signer that starts on what is there now. */
static enum error_code start_on_it(struct state_fault *ret_fault)
{
    struct state_store *store = shared_state_replica(&mrig_shared);
    char seen[128];
    (void)snprintf(seen, sizeof seen, "%s/a.seen", mrig_shared.directory);
    cc_err err = state_open(store, &mrig_shared.pin, seen, ret_fault);
    state_store_close(store);
    return (enum error_code)err.code;
}

struct attack {
    const char *kind;
    const char *name;
    const char *forged; /* NULL: removed */
};

/* Refused with its name at a start, and by who runs; and nothing that the attacker wanted is so. */
static void assert_refused(const struct attack *attack, const char *token)
{
    struct state_fault fault;
    assert_int_equal(start_on_it(&fault), ERROR_TAMPERED);
    if (attack->forged) {
        assert_int_equal(mrig_refresh(&mrig_a, &fault).code, ERROR_TAMPERED);
        assert_int_equal(mrig_refresh(&mrig_b, &fault).code, ERROR_TAMPERED);
    }
    assert_int_equal(mrig_may_export(&mrig_a, token),
                     0); /* what was allowed stays, and nothing else */
    const struct caller caller = mrig_with_token(token);
    const struct auth_question seal = {.scope = SCOPE_CHAMBER_SEAL, .kind = KIND_END};
    struct auth_verdict verdict;
    authority_judge(mrig_a.authority, &caller, &seal, &verdict);
    assert_int_equal(verdict.error, ERROR_DENIED);
    bool held = false;
    assert_int_equal(authority_mode(mrig_a.authority, &held), AUTH_ENFORCE);
}

static void test_T03_records_changed_past_the_store_give_no_authority(void **state)
{
    (void)state;
    static const struct attack attacks[] = {
        {"policy", "p",
         "{\"name\":\"p\",\"rules\":[{\"effect\":\"allow\",\"scopes\":[\"chamber_seal\"]}]}"},
        {"policy", "p", NULL},
        {"token", "t", "{\"name\":\"t\"}"},
        {"token", "t", ""},
        {"token", "t", NULL},
        {"auth", "latch", ""},
        {"auth", "latch", NULL},
        {"auth", "managers",
         "{\"managers\":[{\"public_key\":"
         "\"8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c\",\"added\":1,\"last\":0}]}"},
        {"auth", "managers", ""},
        {"auth", "managers", NULL},
    };
    char token[TOKEN_TEXT_SIZE];
    struct state_fault fault;
    mrig_make_token(token);
    /* As a start in mode enforce does it. */
    assert_int_equal(mrig_refresh(&mrig_b, &fault).code, 0);
    struct state_store *other = shared_state_open(&mrig_shared, "latcher");
    assert_int_equal(shared_state_put(other, "auth", "latch", "{\"enforced\":true}\n").code, 0);
    state_store_close(other);
    assert_int_equal(mrig_refresh(&mrig_a, &fault).code, 0);
    assert_int_equal(mrig_refresh(&mrig_b, &fault).code, 0);
    for (size_t i = 0; i < ARRAY_LEN(attacks); i++) {
        struct saved saved = {0};
        save(&saved);
        if (attacks[i].forged)
            forge(attacks[i].kind, attacks[i].name, attacks[i].forged);
        else
            remove_stored(attacks[i].kind, attacks[i].name);
        assert_refused(&attacks[i], token);
        restore(&saved);
        assert_int_equal(mrig_refresh(&mrig_a, &fault).code, 0);
    }
}

/* The record is named, where it alone was changed. */
static void test_T03_the_record_that_was_changed_is_named(void **state)
{
    (void)state;
    char token[TOKEN_TEXT_SIZE];
    struct state_fault fault;
    mrig_make_token(token);
    remove_stored("token", "t");
    assert_int_equal(start_on_it(&fault), ERROR_TAMPERED);
    assert_string_equal(fault.kind, "token");
    assert_string_equal(fault.name, "t");
}

static void test_T03_a_revoked_token_does_not_come_back_with_an_old_store(void **state)
{
    (void)state;
    char token[TOKEN_TEXT_SIZE];
    struct saved old = {0};
    struct state_fault fault;
    mrig_make_token(token);
    save(&old);
    assert_int_equal(mrig_signed(&mrig_a, MANAGE_TOKEN_REVOKE, "t", ""), 0);
    assert_int_equal(mrig_refresh(&mrig_b, &fault).code, 0);
    restore(&old); /* all of it, with the head of then */
    assert_int_equal(mrig_refresh(&mrig_a, &fault).code, ERROR_TAMPERED);
    assert_int_equal(mrig_refresh(&mrig_b, &fault).code, ERROR_TAMPERED);
    assert_string_equal(fault.what, "the whole store was rolled back");
    assert_int_equal(mrig_may_export(&mrig_a, token), ERROR_UNAUTHENTICATED);
    assert_int_equal(mrig_may_export(&mrig_b, token), ERROR_UNAUTHENTICATED);
    assert_int_equal(start_on_it(&fault), ERROR_TAMPERED);
    /* Nor can anything be changed on top of it. */
    assert_int_equal(mrig_signed(&mrig_a, MANAGE_POLICY_PUT, "q", mrig_allow_export),
                     ERROR_TAMPERED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, mrig_up, mrig_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_T03_records_changed_past_the_store_give_no_authority),
        TEST(test_T03_the_record_that_was_changed_is_named),
        TEST(test_T03_a_revoked_token_does_not_come_back_with_an_old_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
