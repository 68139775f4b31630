/* The DynamoDB history where a table differs from a file: other clients, calls without an answer, tables that are not fit, and
 * death between any two calls. tests/support/aws.py is the service, with its faults.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"

#include "slash/dynamodb_history.h"
#include "support/aws_server.h"
#include "support/dynamodb_table.h"
#include "support/slash_kit.h"
#include "support/test.h"

static const struct slash_backend *backend;
static struct slash_fixture fixture;

static int setup(void **state)
{
    (void)state;
    slash_fixture_setup(&fixture, backend);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    aws_server_do("clear");
    slash_fixture_teardown(&fixture);
    return 0;
}

static struct slash_store *another(void)
{
    struct slash_store *store = NULL;
    assert_int_equal(backend->open(fixture.path, &store).code, 0);
    return store;
}

static void look_again(struct slash_store *store)
{
    dynamodb_history_of(store)->checked_ms = 0;
}

/* --- P04: two replicas ------------------------------------------------------------------------------------------------------ */

enum {
    RACE_KEYS = 4, /* in a batch */
    RACE_KINDS = 4,
    RACE_BATCHES = 40,
    RACE_BATCHES_FULL = 250
};

struct racer {
    struct slash_store *store;
    int side;
    int batches;
    pthread_barrier_t *start;
    uint8_t (*signed_)[RACE_KEYS];
};

/* What the two sides ask for in one round, of which at most one may be signed: two votes for a target, a vote around the other
 * one, one inside it, two blocks.
 */
static struct slash_claim race_claim(uint64_t key, uint64_t batch, int side)
{
    uint64_t at = 10 * (batch + 1);
    switch ((batch + key) % RACE_KINDS) {
    case 0:
        return kit_attestation(key, at, at + 1, (uint64_t)side);
    case 1:
        return side ? kit_attestation(key, at, at + 5, 1) : kit_attestation(key, at + 1, at + 4, 2);
    case 2:
        return side ? kit_attestation(key, at + 1, at + 4, 1) : kit_attestation(key, at, at + 5, 2);
    default:
        return kit_block(key, at, (uint64_t)side);
    }
}

static void *race(void *context)
{
    struct racer *r = context;
    for (int batch = 0; batch < r->batches; batch++) {
        struct slash_claim claims[RACE_KEYS];
        struct slash_verdict verdicts[RACE_KEYS];
        for (uint64_t key = 0; key < RACE_KEYS; key++)
            claims[key] = race_claim(key, (uint64_t)batch, r->side);
        (void)pthread_barrier_wait(r->start);
        cc_err err = slash_check_and_record(r->store, claims, RACE_KEYS, verdicts);
        for (size_t key = 0; key < RACE_KEYS; key++)
            r->signed_[batch][key] = !err.code && slash_may_sign(verdicts[key].rule);
    }
    return NULL;
}

static void test_P04_of_two_replicas_with_conflicting_claims_one_wins(void **state)
{
    (void)state;
    int batches = getenv("CC_FULL") ? RACE_BATCHES_FULL : RACE_BATCHES;
    pthread_barrier_t start;
    pthread_t threads[2];
    uint8_t(*won[2])[RACE_KEYS] = {calloc((size_t)batches, RACE_KEYS),
                                   calloc((size_t)batches, RACE_KEYS)};
    assert_true(won[0] && won[1]);
    kit_register(fixture.store, 0, RACE_KEYS);
    assert_int_equal(pthread_barrier_init(&start, NULL, 2), 0);
    struct slash_store *other = another();
    struct racer racers[2] = {{fixture.store, 0, batches, &start, won[0]},
                              {other, 1, batches, &start, won[1]}};
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    int wins[2] = {0};
    for (int batch = 0; batch < batches; batch++) {
        for (int key = 0; key < RACE_KEYS; key++) {
            assert_int_equal(won[0][batch][key] + won[1][batch][key], 1);
            wins[0] += won[0][batch][key];
            wins[1] += won[1][batch][key];
        }
    }
    print_message("%d rounds: %d and %d\n", batches * RACE_KEYS, wins[0], wins[1]);
    assert_true(wins[0] > 0 && wins[1] > 0);
    slash_store_close(other);
    (void)pthread_barrier_destroy(&start);
    free(won[0]);
    free(won[1]);
}

/* --- calls without an answer -------------------------------------------------------------------------------------------------- */

static void test_P18_the_same_root_is_signed_after_a_timeout_whose_write_succeeded(void **state)
{
    (void)state;
    kit_register(fixture.store, 1, 1);
    /* The write is carried out, its answer is lost: the call's own repeat finds the condition false. */
    aws_server_do("fault drop PutItem 1");
    assert_true(slash_may_sign(kit_sign(fixture.store, kit_attestation(1, 1, 2, 1))));
    assert_int_equal(kit_sign(fixture.store, kit_attestation(1, 1, 2, 1)), SLASH_REPEAT);
    assert_int_equal(kit_sign(fixture.store, kit_attestation(1, 1, 2, 2)), SLASH_DOUBLE_VOTE);
    aws_server_do("fault 500after PutItem 1");
    assert_true(slash_may_sign(kit_sign(fixture.store, kit_block(1, 9, 1))));
    /* No write is ever answered, but all are carried out. */
    aws_server_do("fault drop PutItem -1");
    assert_true(slash_may_sign(kit_sign(fixture.store, kit_attestation(1, 2, 3, 1))));
    aws_server_do("clear");
    assert_int_equal(kit_sign(fixture.store, kit_attestation(1, 2, 3, 1)), SLASH_REPEAT);
    assert_int_equal(kit_sign(fixture.store, kit_attestation(1, 1, 4, 1)), SLASH_SURROUNDING);
    slash_fixture_reopen(&fixture);
    assert_int_equal(kit_sign(fixture.store, kit_attestation(1, 2, 3, 1)), SLASH_REPEAT);
}

static void test_one_claim_that_is_throttled_is_refused_and_its_neighbours_are_signed(void **state)
{
    (void)state;
    const struct slash_claim claims[] = {kit_attestation(1, 1, 2, 1), kit_attestation(2, 1, 2, 1),
                                         kit_attestation(3, 1, 2, 1)};
    struct slash_verdict verdicts[ARRAY_LEN(claims)];
    unsigned refused = 0;
    kit_register(fixture.store, 1, 3);
    /* Three reads, then writes: one write goes through, two and all their repeats don't. */
    aws_server_do("fault delay PutItem 1 0");
    aws_server_do("fault throttle PutItem -1");
    cc_err err = slash_check_and_record(fixture.store, claims, ARRAY_LEN(claims), verdicts);
    assert_int_equal(err.code, 0);
    aws_server_do("clear");
    for (size_t i = 0; i < ARRAY_LEN(claims); i++) {
        assert_true(verdicts[i].rule == SLASH_SAFE || verdicts[i].rule == SLASH_CONTENDED);
        refused += verdicts[i].rule == SLASH_CONTENDED;
    }
    assert_int_equal(refused, 2);
    for (size_t i = 0; i < ARRAY_LEN(claims); i++)
        assert_true(slash_may_sign(kit_sign(fixture.store, claims[i])));
}

static void
test_P19_nothing_is_signed_while_the_table_is_away_and_again_when_it_is_back(void **state)
{
    (void)state;
    static const char *const ways[] = {"refuse", "denied"};
    struct slash_verdict verdict;
    kit_register(fixture.store, 1, 1);
    for (uint64_t i = 0; i < ARRAY_LEN(ways); i++) {
        const struct slash_claim claim = kit_attestation(1, i, i + 1, 1);
        aws_server_do("fault %s * -1", ways[i]);
        uint64_t before = clock_mono_ms();
        cc_err err = slash_check_and_record(fixture.store, &claim, 1, &verdict);
        uint64_t took = clock_mono_ms() - before;
        assert_true(error_is(err, ERROR_STORE) || (!err.code && verdict.rule == SLASH_CONTENDED));
        assert_true(took < DYNAMODB_SIGN_MS + 1000);
        aws_server_do("clear");
        assert_true(slash_may_sign(kit_sign(fixture.store, claim)));
    }
}

/* --- T27: tables that are not fit ----------------------------------------------------------------------------------------------- */

static enum error_code sign_once(struct slash_store *store)
{
    const struct slash_claim claim = kit_attestation(1, 1, 2, 1);
    struct slash_verdict verdict;
    return (enum error_code)slash_check_and_record(store, &claim, 1, &verdict).code;
}

static enum error_code open_once(void)
{
    struct slash_store *store = NULL;
    cc_err err = backend->open(fixture.path, &store);
    if (!err.code)
        slash_store_close(store);
    return (enum error_code)err.code;
}

static void test_T27_a_table_whose_items_expire_is_refused(void **state)
{
    (void)state;
    kit_register(fixture.store, 1, 1);
    assert_int_equal(sign_once(fixture.store), 0);
    dynamodb_table_call(
        "UpdateTimeToLive",
        "{\"TableName\":\"%s\",\"TimeToLiveSpecification\":{\"Enabled\":true,\"AttributeName\":\"x\"}}",
        fixture.path);
    assert_int_equal(open_once(), ERROR_IDENTITY);
    assert_int_equal(sign_once(fixture.store), 0); /* not looked at yet */
    look_again(fixture.store);
    assert_int_equal(sign_once(fixture.store), ERROR_IDENTITY);
    assert_int_equal(sign_once(fixture.store), ERROR_IDENTITY);
    dynamodb_table_call(
        "UpdateTimeToLive",
        "{\"TableName\":\"%s\",\"TimeToLiveSpecification\":{\"Enabled\":false,\"AttributeName\":\"x\"}}",
        fixture.path);
    assert_int_equal(sign_once(fixture.store), 0);
}

static void test_T27_a_table_is_looked_at_each_minute(void **state)
{
    (void)state;
    struct dynamodb_history *h = dynamodb_history_of(fixture.store);
    kit_register(fixture.store, 1, 1);
    unsigned looks = aws_server_ask("count DescribeTable");
    assert_int_equal(sign_once(fixture.store), 0);
    assert_int_equal(aws_server_ask("count DescribeTable"), looks);
    h->checked_ms -= DYNAMODB_CHECK_MS - 1000;
    assert_int_equal(sign_once(fixture.store), 0);
    assert_int_equal(aws_server_ask("count DescribeTable"), looks);
    h->checked_ms -= 1000;
    assert_int_equal(sign_once(fixture.store), 0);
    assert_int_equal(aws_server_ask("count DescribeTable"), looks + 1);
    /* What can't be looked at is not known to be fit. */
    look_again(fixture.store);
    aws_server_do("fault denied DescribeTable 1");
    assert_int_equal(sign_once(fixture.store), ERROR_STORE);
    assert_int_equal(sign_once(fixture.store), 0);
}

static void make_table(const char *name)
{
    dynamodb_table_call(
        "CreateTable",
        "{\"TableName\":\"%s\",\"BillingMode\":\"PAY_PER_REQUEST\","
        "\"AttributeDefinitions\":[{\"AttributeName\":\"pk\",\"AttributeType\":\"S\"},"
        "{\"AttributeName\":\"sk\",\"AttributeType\":\"S\"}],"
        "\"KeySchema\":[{\"AttributeName\":\"pk\",\"KeyType\":\"HASH\"},"
        "{\"AttributeName\":\"sk\",\"KeyType\":\"RANGE\"}]}",
        name);
}

/* A copy of the history's item in another table of the same name: what a restore makes. */
static void test_T27_a_restored_table_is_refused_until_it_is_confirmed(void **state)
{
    (void)state;
    struct dynamodb_history *h = dynamodb_history_of(fixture.store);
    struct dynamodb_root root = h->root;
    struct slash_store *repair = NULL;
    kit_register(fixture.store, 1, 1);
    dynamodb_table_call("UpdateTable", "{\"TableName\":\"%s\",\"DeletionProtectionEnabled\":false}",
                        fixture.path);
    dynamodb_table_call("DeleteTable", "{\"TableName\":\"%s\"}", fixture.path);
    assert_int_equal(open_once(), ERROR_HISTORY_MISSING);
    make_table(fixture.path);
    assert_int_equal(open_once(), ERROR_HISTORY_MISSING);
    root.version = 1;
    assert_int_equal(dynamodb_put_root(&h->db, &root).code, 0);
    assert_int_equal(open_once(), ERROR_TIMELINE);
    look_again(fixture.store);
    assert_int_equal(sign_once(fixture.store), ERROR_TIMELINE);
    assert_int_equal(
        slash_dynamodb_open_for_repair(dynamodb_table_session(), fixture.path, &repair).code, 0);
    assert_int_equal(slash_dynamodb_confirm_table(repair).code, 0);
    slash_store_close(repair);
    assert_int_equal(open_once(), 0);
    assert_int_equal(sign_once(fixture.store), 0);
    /* Another history in its place, under a running signer. */
    memset(h->root.identity.history_id, 0x55, 32);
    h->root.version++;
    dynamodb_table_call(
        "DeleteItem",
        "{\"TableName\":\"%s\",\"Key\":{\"pk\":{\"S\":\"history\"},\"sk\":{\"S\":\"history\"}}}",
        fixture.path);
    root = h->root;
    root.version = 1;
    assert_int_equal(dynamodb_put_root(&h->db, &root).code, 0);
    look_again(fixture.store);
    assert_int_equal(sign_once(fixture.store), ERROR_IDENTITY);
}

/* What the emulator has not: tests/unit/aws/test_dynamodb_table.c reads the service's answers. */
static cc_err (*send_really)(struct dynamodb_db *db, struct aws_call *calls, size_t count);
static const char *pretended_fault, *pretended_id;

static cc_err pretend(struct aws_client *client, const char *name, struct dynamodb_table *ret_table)
{
    CC_TRY(dynamodb_table_describe(client, name, ret_table));
    ret_table->unfit = pretended_fault;
    if (pretended_id)
        (void)snprintf(ret_table->id, sizeof ret_table->id, "%s", pretended_id);
    return CC_OK;
}

static void test_T27_a_table_that_becomes_global_is_refused(void **state)
{
    (void)state;
    kit_register(fixture.store, 1, 1);
    dynamodb_history_of(fixture.store)->db.describe = pretend;
    pretended_fault = "it is a global table";
    assert_int_equal(sign_once(fixture.store), 0);
    look_again(fixture.store);
    assert_int_equal(sign_once(fixture.store), ERROR_IDENTITY);
    pretended_fault = NULL;
    assert_int_equal(sign_once(fixture.store), 0);
    pretended_id = "0aaf4fe2-1b2c-4b6e-9a4e-0123456789ab";
    look_again(fixture.store);
    assert_int_equal(sign_once(fixture.store), ERROR_TIMELINE);
    pretended_id = NULL;
}

static void set_format(int format)
{
    dynamodb_table_call(
        "UpdateItem",
        "{\"TableName\":\"%s\",\"Key\":{\"pk\":{\"S\":\"history\"},\"sk\":{\"S\":\"history\"}},"
        "\"UpdateExpression\":\"SET #a = :a\",\"ExpressionAttributeNames\":{\"#a\":\"format\"},"
        "\"ExpressionAttributeValues\":{\":a\":{\"N\":\"%d\"}}}",
        fixture.path, format);
}

static void test_T27_a_table_of_a_later_release_is_refused(void **state)
{
    (void)state;
    set_format(2);
    assert_int_equal(open_once(), ERROR_IDENTITY);
    set_format(1);
    assert_int_equal(open_once(), 0);
}

static void test_T27_a_table_with_another_key_is_refused(void **state)
{
    (void)state;
    char name[64];
    struct slash_store *store = NULL;
    dynamodb_table_name(name, sizeof name);
    dynamodb_table_call(
        "CreateTable",
        "{\"TableName\":\"%s\",\"BillingMode\":\"PAY_PER_REQUEST\","
        "\"AttributeDefinitions\":[{\"AttributeName\":\"pk\",\"AttributeType\":\"S\"}],"
        "\"KeySchema\":[{\"AttributeName\":\"pk\",\"KeyType\":\"HASH\"}]}",
        name);
    assert_int_equal(slash_dynamodb_create(dynamodb_table_session(), name, &fixture.identity).code,
                     ERROR_IDENTITY);
    assert_int_equal(slash_dynamodb_open(dynamodb_table_session(), name, &store).code,
                     ERROR_IDENTITY);
    assert_int_equal(slash_dynamodb_open(dynamodb_table_session(), "a/b", &store).code,
                     ERROR_CONFIG);
}

static void test_P03_only_init_makes_a_history_and_only_in_an_empty_table(void **state)
{
    (void)state;
    char name[64];
    struct slash_store *store = NULL;
    struct aws_session *session = dynamodb_table_session();
    assert_int_equal(slash_dynamodb_create(session, fixture.path, &fixture.identity).code,
                     ERROR_EXISTS);
    dynamodb_table_name(name, sizeof name);
    assert_int_equal(slash_dynamodb_open(session, name, &store).code, ERROR_HISTORY_MISSING);
    make_table(name);
    assert_int_equal(slash_dynamodb_open(session, name, &store).code, ERROR_HISTORY_MISSING);
    assert_int_equal(slash_dynamodb_create(session, name, &fixture.identity).code, 0);
    /* What init takes back can be made again; another history is not taken back. */
    struct slash_identity foreign = fixture.identity;
    foreign.history_id[0] ^= 1;
    slash_dynamodb_forget(session, name, &foreign);
    assert_int_equal(slash_dynamodb_create(session, name, &fixture.identity).code, ERROR_EXISTS);
    slash_dynamodb_forget(session, name, &fixture.identity);
    assert_int_equal(slash_dynamodb_create(session, name, &fixture.identity).code, 0);
    /* Something else's item. */
    dynamodb_table_name(name, sizeof name);
    make_table(name);
    dynamodb_table_call(
        "PutItem", "{\"TableName\":\"%s\",\"Item\":{\"pk\":{\"S\":\"a\"},\"sk\":{\"S\":\"b\"}}}",
        name);
    assert_int_equal(slash_dynamodb_create(session, name, &fixture.identity).code, ERROR_EXISTS);
}

static cc_err ignore_validator(void *context, const struct slash_validator *validator)
{
    (void)context;
    (void)validator;
    return CC_OK;
}

/* A head with an attribute that replication adds: that key is refused, others are not. */
static void test_T27_a_changed_item_stops_its_own_key_only(void **state)
{
    (void)state;
    char sort[DYNAMODB_SORT_MAX];
    const struct eth_pubkey key = kit_key(1);
    kit_register(fixture.store, 1, 2);
    dynamodb_head_sort(&key, sort);
    dynamodb_table_call(
        "UpdateItem",
        "{\"TableName\":\"%s\",\"Key\":{\"pk\":{\"S\":\"validators/8\"},\"sk\":{\"S\":\"%s\"}},"
        "\"UpdateExpression\":\"SET #a = :a\",\"ExpressionAttributeNames\":{\"#a\":\"aws:rep:deleting\"},"
        "\"ExpressionAttributeValues\":{\":a\":{\"BOOL\":false}}}",
        fixture.path, sort);
    const struct slash_claim claims[] = {kit_attestation(1, 1, 2, 1), kit_attestation(2, 1, 2, 1)};
    struct slash_verdict verdicts[2];
    assert_int_equal(slash_check_and_record(fixture.store, claims, 2, verdicts).code, 0);
    assert_int_equal(verdicts[0].rule, SLASH_CONTENDED);
    assert_int_equal(verdicts[1].rule, SLASH_SAFE);
    /* Whoever reads the whole, as a start does, is told which item it is; once. */
    int ends[2];
    char said[8192];
    assert_int_equal(pipe(ends), 0);
    log_init(ends[1], false, LOG_LEVEL_ERROR);
    for (int i = 0; i < 2; i++)
        assert_int_equal(slash_visit_after(fixture.store, NULL, 10, ignore_validator, NULL).code,
                         ERROR_TAMPERED);
    log_init(STDERR_FILENO, true, LOG_LEVEL_INFO);
    (void)close(ends[1]);
    ssize_t n = read(ends[0], said, sizeof said - 1);
    (void)close(ends[0]);
    assert_true(n > 0);
    said[n] = 0;
    const char *first = strstr(said, sort);
    assert_non_null(first);
    assert_null(strstr(first + 1, sort));
}

static void test_bytes_that_are_no_public_key_get_no_row(void **state)
{
    (void)state;
    struct slash_claim claim = kit_block(1, 1, 1);
    struct slash_verdict verdict;
    claim.pubkey.bytes[0] = 0x20;
    assert_int_equal(slash_register_keys(fixture.store, &claim.pubkey, 1, NULL).code,
                     ERROR_KEY_INVALID);
    assert_int_equal(slash_set_enabled(fixture.store, &claim.pubkey, true).code, ERROR_KEY_UNKNOWN);
    assert_int_equal(slash_check_and_record(fixture.store, &claim, 1, &verdict).code, 0);
    assert_false(slash_may_sign(verdict.rule));
}

/* --- the high watermark, with keys that are made meanwhile ------------------------------------------------------------------------ */

/* The other client sets it between the two halves of a registration. */
static struct slash_store *other_client;
static uint64_t meanwhile_key;
static int puts_left;

static cc_err high_between(struct dynamodb_db *db, struct aws_call *calls, size_t count)
{
    static const struct slash_high high = {true, 64, 10};
    bool now = strcmp(calls[0].operation, "PutItem") == 0 && puts_left-- == 0;
    if (now)
        assert_int_equal(slash_set_high(other_client, &high).code, 0);
    cc_err err = send_really(db, calls, count);
    /* From now on for every key and every client, those that are just being made included. */
    if (now)
        assert_false(slash_may_sign(kit_sign(other_client, kit_block(meanwhile_key, 64, 1))));
    return err;
}

static void test_P07_a_high_watermark_holds_for_a_key_that_is_made_meanwhile(void **state)
{
    (void)state;
    struct dynamodb_db *db = &dynamodb_history_of(fixture.store)->db;
    other_client = another();
    send_really = db->send;
    for (int at = 0; at < 3; at++) {
        uint64_t key = 10 + (uint64_t)at;
        const struct slash_high none = {0};
        assert_int_equal(slash_set_high(other_client, &none).code, 0);
        puts_left = at;
        meanwhile_key = key;
        db->send = high_between;
        kit_register(fixture.store, key, 1);
        db->send = send_really;
        if (puts_left >= 0)
            assert_int_equal(slash_set_high(other_client, &(struct slash_high){true, 64, 10}).code,
                             0);
        assert_int_equal(kit_sign(fixture.store, kit_block(key, 64, 1)), SLASH_HIGH_WATERMARK);
        assert_int_equal(kit_sign(fixture.store, kit_attestation(key, 9, 10, 1)),
                         SLASH_HIGH_WATERMARK);
        assert_int_equal(kit_sign(fixture.store, kit_block(key, 63, 1)), SLASH_SAFE);
    }
    slash_store_close(other_client);
}

/* --- death between any two calls ---------------------------------------------------------------------------------------------------- */

/* From the nth call on none is carried out. */
static int calls_left;

static cc_err until_death(struct dynamodb_db *db, struct aws_call *calls, size_t count)
{
    if (calls_left-- > 0)
        return send_really(db, calls, count);
    for (size_t i = 0; i < count; i++)
        calls[i].error = CC_FAIL(AWS_UNREACHABLE, "dead");
    return CC_FAIL(STORE, "dead");
}

/* A client that dies after `calls` rounds of calls; true when it lived to the end. */
static bool
live_for(int calls, cc_err (*act)(struct slash_store *store, uint64_t key), uint64_t key)
{
    struct slash_store *store = another();
    struct dynamodb_db *db = &dynamodb_history_of(store)->db;
    send_really = db->send;
    calls_left = calls;
    db->send = until_death;
    cc_err err = act(store, key);
    slash_store_close(store);
    return !err.code;
}

static cc_err act_sign(struct slash_store *store, uint64_t key)
{
    const struct slash_claim claim = kit_attestation(key, 20, 21, 1);
    struct slash_verdict verdict;
    return slash_check_and_record(store, &claim, 1, &verdict);
}

static void test_P02_death_between_any_two_calls_of_a_claim(void **state)
{
    (void)state;
    bool lived = false;
    for (int calls = 0; !lived; calls++) {
        uint64_t key = 100 + (uint64_t)calls;
        assert_true(calls < 10);
        kit_register(fixture.store, key, 1);
        /* A full head, so that the next claim sends its records out first. */
        for (uint64_t e = 1; e <= DYNAMODB_RECENT_MAX; e++)
            assert_int_equal(kit_sign(fixture.store, kit_attestation(key, e, e + 1, e)),
                             SLASH_SAFE);
        lived = live_for(calls, act_sign, key);
        for (uint64_t e = 1; e <= DYNAMODB_RECENT_MAX; e += 3) {
            assert_int_equal(kit_sign(fixture.store, kit_attestation(key, e, e + 1, e)),
                             SLASH_REPEAT);
            assert_int_equal(kit_sign(fixture.store, kit_attestation(key, e, e + 1, 99)),
                             SLASH_DOUBLE_VOTE);
        }
        assert_int_equal(kit_sign(fixture.store, kit_attestation(key, 4, 30, 99)),
                         SLASH_SURROUNDING);
        bool one = slash_may_sign(kit_sign(fixture.store, kit_attestation(key, 20, 21, 1)));
        bool other = slash_may_sign(kit_sign(fixture.store, kit_attestation(key, 20, 21, 2)));
        assert_true(one && !other);
    }
}

enum {
    SIGNED_BEFORE = 9
};

static const struct slash_block imported_blocks[] = {{200, true, {{1}}}, {205, false, {{0}}}};
static const struct slash_attestation imported_votes[] = {
    {30, 31, true, {{3}}}, {31, 32, false, {{0}}}, {32, 33, true, {{4}}}};
static const struct slash_attestation surrounding_vote[] = {{1, 40, true, {{5}}}};
static const struct slash_block other_block[] = {{70, true, {{6}}}};

static cc_err merge_of(struct slash_store *store, uint64_t key, bool contradictory)
{
    struct slash_import_report report = {0};
    const struct slash_validator v = {
        .pubkey = kit_key(key),
        .enabled = true,
        .blocks = contradictory ? other_block : imported_blocks,
        .block_count = contradictory ? 1 : ARRAY_LEN(imported_blocks),
        .attestations = contradictory ? surrounding_vote : imported_votes,
        .attestation_count = contradictory ? 1 : ARRAY_LEN(imported_votes),
    };
    return slash_merge(store, &v, &report);
}

static cc_err act_merge(struct slash_store *store, uint64_t key)
{
    return merge_of(store, key, false);
}

static cc_err act_contradiction(struct slash_store *store, uint64_t key)
{
    return merge_of(store, key, true);
}

/* More records than a head holds. */
static void sign_before(struct slash_store *store, uint64_t key)
{
    struct slash_claim claims[1 + SIGNED_BEFORE] = {kit_block(key, 70, 1)};
    struct slash_verdict verdicts[ARRAY_LEN(claims)];
    kit_register(store, key, 1);
    for (uint64_t e = 1; e <= SIGNED_BEFORE; e++)
        claims[e] = kit_attestation(key, e, e + 1, e);
    assert_int_equal(slash_check_and_record(store, claims, ARRAY_LEN(claims), verdicts).code, 0);
    for (size_t i = 0; i < ARRAY_LEN(claims); i++)
        assert_int_equal(verdicts[i].rule, SLASH_SAFE);
}

/* What was refused before stays refused, whatever an import did and did not do. */
static void assert_refused(struct slash_store *store, uint64_t key)
{
    const struct slash_claim claims[] = {
        kit_block(key, 70, 2),           kit_block(key, 69, 1),
        kit_attestation(key, 9, 10, 99), kit_attestation(key, 5, 6, 99),
        kit_attestation(key, 3, 50, 9),  kit_attestation(key, 0, 60, 9),
    };
    struct slash_verdict verdicts[ARRAY_LEN(claims)];
    assert_int_equal(slash_check_and_record(store, claims, ARRAY_LEN(claims), verdicts).code, 0);
    for (size_t i = 0; i < ARRAY_LEN(claims); i++)
        assert_false(slash_may_sign(verdicts[i].rule));
}

struct text {
    char all[8192];
    size_t len;
};

static cc_err describe(void *context, const struct slash_validator *v)
{
    struct text *t = context;
#define ADD(...) t->len += (size_t)snprintf(t->all + t->len, sizeof t->all - t->len, __VA_ARGS__)
    ADD("low %llu %llu %llu", (unsigned long long)v->low.slot, (unsigned long long)v->low.source,
        (unsigned long long)v->low.target);
    for (size_t i = 0; i < v->block_count; i++)
        ADD(" b%llu.%d", (unsigned long long)v->blocks[i].slot, v->blocks[i].has_root);
    for (size_t i = 0; i < v->attestation_count; i++)
        ADD(" a%llu>%llu.%d", (unsigned long long)v->attestations[i].source,
            (unsigned long long)v->attestations[i].target, v->attestations[i].has_root);
#undef ADD
    assert_true(t->len < sizeof t->all);
    return CC_OK;
}

static void describe_key(struct slash_store *store, uint64_t key, struct text *ret_text)
{
    const struct eth_pubkey pubkey = kit_key(key);
    ret_text->len = 0;
    assert_int_equal(slash_visit(store, &pubkey, describe, ret_text).code, 0);
}

/* Repeated after its death, an import ends as one that was never cut short. */
static void test_P15_death_between_any_two_calls_of_an_import(void **state)
{
    (void)state;
    static struct text wanted, found;
    bool lived = false;
    sign_before(fixture.store, 1);
    assert_int_equal(act_merge(fixture.store, 1).code, 0);
    describe_key(fixture.store, 1, &wanted);
    for (int calls = 0; !lived; calls++) {
        uint64_t key = 200 + (uint64_t)calls;
        assert_true(calls < 20);
        sign_before(fixture.store, key);
        lived = live_for(calls, act_merge, key);
        assert_refused(fixture.store, key);
        assert_int_equal(act_merge(fixture.store, key).code, 0);
        describe_key(fixture.store, key, &found);
        assert_string_equal(wanted.all, found.all);
        assert_refused(fixture.store, key);
        assert_int_equal(kit_sign(fixture.store, kit_attestation(key, 30, 31, 9)),
                         SLASH_DOUBLE_VOTE);
        assert_int_equal(kit_sign(fixture.store, kit_attestation(key, 29, 34, 9)),
                         SLASH_SURROUNDING);
        assert_int_equal(kit_sign(fixture.store, kit_attestation(key, 33, 34, 9)), SLASH_SAFE);
    }
}

static void test_P12_death_between_any_two_calls_of_a_contradictory_import(void **state)
{
    (void)state;
    bool lived = false;
    for (int calls = 0; !lived; calls++) {
        uint64_t key = 300 + (uint64_t)calls;
        assert_true(calls < 20);
        sign_before(fixture.store, key);
        lived = live_for(calls, act_contradiction, key);
        assert_refused(fixture.store, key);
        assert_int_equal(act_contradiction(fixture.store, key).code, 0);
        assert_refused(fixture.store, key);
        assert_false(slash_may_sign(kit_sign(fixture.store, kit_attestation(key, 1, 40, 5))));
        assert_false(slash_may_sign(kit_sign(fixture.store, kit_attestation(key, 10, 40, 5))));
        assert_false(slash_may_sign(kit_sign(fixture.store, kit_block(key, 70, 1))));
        assert_int_equal(kit_sign(fixture.store, kit_attestation(key, 9, 10, 9)), SLASH_REPEAT);
        assert_int_equal(kit_sign(fixture.store, kit_attestation(key, 10, 41, 5)), SLASH_SAFE);
        assert_int_equal(kit_sign(fixture.store, kit_block(key, 71, 1)), SLASH_SAFE);
    }
}

/* Nobody repeats it: after its time any client settles it, and what it had written can't be signed unless it fits. */
static void test_P15_an_import_that_nobody_repeats_is_settled(void **state)
{
    (void)state;
    bool lived = false;
    for (int calls = 0; !lived; calls++) {
        uint64_t key = 400 + (uint64_t)calls;
        const struct eth_pubkey pubkey = kit_key(key);
        struct dynamodb_history *h = dynamodb_history_of(fixture.store);
        struct dynamodb_head head;
        bool found = false, more = false;
        sign_before(fixture.store, key);
        lived = live_for(calls, act_merge, key);
        assert_int_equal(dynamodb_get_head(&h->db, &pubkey, &found, &head).code, 0);
        if (head.merging) {
            assert_int_equal(kit_sign(fixture.store, kit_attestation(key, 9, 10, 9)),
                             SLASH_CONTENDED);
            assert_int_equal(slash_maintain(fixture.store, &more).code, 0);
            assert_int_equal(kit_sign(fixture.store, kit_attestation(key, 9, 10, 9)),
                             SLASH_CONTENDED);
            head.merging_since -= 2 * DYNAMODB_MERGE_LEASE_MS;
            head.version++;
            assert_int_equal(dynamodb_put_head(&h->db, &head).code, 0);
            assert_int_equal(kit_sign(fixture.store, kit_attestation(key, 9, 10, 9)),
                             SLASH_CONTENDED);
            assert_int_equal(slash_maintain(fixture.store, &more).code, 0);
        }
        assert_int_equal(kit_sign(fixture.store, kit_attestation(key, 9, 10, 9)), SLASH_REPEAT);
        assert_refused(fixture.store, key);
        bool inside = slash_may_sign(kit_sign(fixture.store, kit_attestation(key, 31, 32, 8)));
        bool around = slash_may_sign(kit_sign(fixture.store, kit_attestation(key, 30, 33, 8)));
        assert_false(inside && around);
    }
}

/* A record that goes for a contradiction is above the watermarks that were there: what stands for it must be written first. */
static void test_P12_a_contradictory_import_that_nobody_repeats(void **state)
{
    (void)state;
    struct dynamodb_history *h = dynamodb_history_of(fixture.store);
    bool lived = false;
    for (int calls = 0; !lived; calls++) {
        uint64_t key = 600 + (uint64_t)calls;
        const struct eth_pubkey pubkey = kit_key(key);
        struct dynamodb_head head;
        bool found = false, more = false;
        assert_true(calls < 20);
        kit_register(fixture.store, key, 1);
        assert_int_equal(kit_sign(fixture.store, kit_block(key, 60, 1)), SLASH_SAFE);
        assert_int_equal(kit_sign(fixture.store, kit_block(key, 70, 1)), SLASH_SAFE);
        /* As items of their own, which an import can remove before its end. */
        for (uint64_t e = 1; e <= DYNAMODB_RECENT_MAX; e++)
            assert_int_equal(kit_sign(fixture.store, kit_attestation(key, e, e + 1, e)),
                             SLASH_SAFE);
        lived = live_for(calls, act_contradiction, key);
        assert_int_equal(dynamodb_get_head(&h->db, &pubkey, &found, &head).code, 0);
        if (head.merging) {
            head.merging_since -= 2 * DYNAMODB_MERGE_LEASE_MS;
            head.version++;
            assert_int_equal(dynamodb_put_head(&h->db, &head).code, 0);
            assert_int_equal(kit_sign(fixture.store, kit_block(key, 70, 2)), SLASH_CONTENDED);
            assert_int_equal(slash_maintain(fixture.store, &more).code, 0);
        }
        assert_false(slash_may_sign(kit_sign(fixture.store, kit_block(key, 70, 2))));
    }
}

static cc_err act_prune(struct slash_store *store, uint64_t key)
{
    struct slash_prune_step step = {.more = true};
    (void)key;
    while (step.more)
        CC_TRY(slash_prune(store, 5, 4, &step));
    return CC_OK;
}

static void test_P10_death_between_any_two_calls_of_pruning(void **state)
{
    (void)state;
    static struct text wanted, found;
    struct slash_store *oracle = NULL;
    bool lived = false;
    assert_int_equal(slash_memory_open(&fixture.identity, &oracle).code, 0);
    sign_before(oracle, 1);
    assert_int_equal(act_prune(oracle, 1).code, 0);
    describe_key(oracle, 1, &wanted);
    slash_store_close(oracle);
    for (int calls = 8; !lived;
         calls += getenv("CC_FULL") ? 1 : 2) { /* before it there are only pages of empty shards */
        struct slash_fixture f;
        assert_true(calls < 40);
        slash_fixture_setup(&f, backend);
        sign_before(f.store, 1);
        (void)snprintf(fixture.path, sizeof fixture.path, "%s", f.path);
        lived = live_for(calls, act_prune, 1);
        assert_refused(f.store, 1);
        assert_int_equal(act_prune(f.store, 1).code, 0);
        describe_key(f.store, 1, &found);
        assert_string_equal(wanted.all, found.all);
        assert_refused(f.store, 1);
        slash_fixture_teardown(&f);
    }
}

static cc_err act_high(struct slash_store *store, uint64_t key)
{
    const struct slash_high high = {true, 64, 10};
    (void)key;
    return slash_set_high(store, &high);
}

static void test_P07_death_between_any_two_calls_of_a_hand_over(void **state)
{
    (void)state;
    bool lived = false;
    kit_register(fixture.store, 1, 3);
    /* Between the two writes of the history's item and this shard's turn there are only pages of empty shards. */
    for (int calls = 0; !lived; calls = calls == 3 ? 10 : calls + (getenv("CC_FULL") ? 1 : 3)) {
        const struct slash_high none = {0};
        assert_true(calls < 60);
        assert_int_equal(slash_set_high(fixture.store, &none).code, 0);
        lived = live_for(calls, act_high, 0);
        slash_fixture_reopen(&fixture);
        struct slash_status status;
        assert_int_equal(slash_status(fixture.store, &status).code, 0);
        for (uint64_t key = 1; status.high.set && key <= 3; key++)
            assert_int_equal(kit_sign(fixture.store, kit_block(key, 64, 1)), SLASH_HIGH_WATERMARK);
        assert_true(status.high.set || !lived);
    }
}

static cc_err act_register(struct slash_store *store, uint64_t key)
{
    static const struct slash_watermark floor = {true, true, 70, 50, 60};
    const struct eth_pubkey pubkey = kit_key(key);
    return slash_register_keys(store, &pubkey, 1, &floor);
}

static void test_P15_death_between_any_two_calls_of_a_registration(void **state)
{
    (void)state;
    bool lived = false;
    assert_int_equal(act_high(fixture.store, 0).code, 0);
    for (int calls = 0; !lived; calls++) {
        uint64_t key = 500 + (uint64_t)calls;
        assert_true(calls < 12);
        lived = live_for(calls, act_register, key);
        if (!lived)
            assert_int_equal(kit_sign(fixture.store, kit_block(key, 63, 1)), SLASH_UNREGISTERED);
        assert_int_equal(act_register(fixture.store, key).code, 0);
        assert_int_equal(kit_sign(fixture.store, kit_block(key, 64, 1)), SLASH_HIGH_WATERMARK);
        assert_int_equal(kit_sign(fixture.store, kit_block(key, 63, 1)), SLASH_BLOCK_BELOW);
    }
}

/* --- two imports, and a walk, at one time ----------------------------------------------------------------------------------------------- */

static bool meanwhile_done;

/* The other client's import, between the first one's mark and its items. */
static cc_err import_between(struct dynamodb_db *db, struct aws_call *calls, size_t count)
{
    if (!meanwhile_done && strcmp(calls[0].operation, "TransactWriteItems") == 0) {
        meanwhile_done = true;
        assert_int_equal(merge_of(other_client, meanwhile_key, true).code, 0);
    }
    return send_really(db, calls, count);
}

static void test_of_two_imports_at_one_time_the_second_sees_the_first(void **state)
{
    (void)state;
    struct dynamodb_db *db = &dynamodb_history_of(fixture.store)->db;
    other_client = another();
    meanwhile_key = 1;
    meanwhile_done = false;
    sign_before(fixture.store, 1);
    send_really = db->send;
    db->send = import_between;
    assert_int_equal(merge_of(fixture.store, 1, false).code, 0);
    db->send = send_really;
    assert_true(meanwhile_done);
    assert_refused(fixture.store, 1);
    /* Both are in it: the first one's watermark, and the second one's records below it without their roots. */
    assert_false(slash_may_sign(kit_sign(fixture.store, kit_attestation(1, 30, 31, 3))));
    assert_false(slash_may_sign(kit_sign(fixture.store, kit_attestation(1, 10, 40, 5))));
    assert_false(slash_may_sign(kit_sign(fixture.store, kit_attestation(1, 9, 41, 5))));
    assert_int_equal(kit_sign(fixture.store, kit_attestation(1, 40, 41, 5)), SLASH_SAFE);
    slash_store_close(other_client);
}

static cc_err count_keys(void *context, const struct slash_validator *v)
{
    struct {
        uint64_t keys, records;
        uint8_t before[48];
    } *seen = context;
    assert_true(memcmp(seen->before, v->pubkey.bytes, 48) < 0);
    memcpy(seen->before, v->pubkey.bytes, 48);
    seen->keys++;
    seen->records += v->block_count + v->attestation_count;
    return CC_OK;
}

/* Keys of all shards, and more records of one key than one answer holds. */
static void test_a_walk_over_all_shards_is_in_order(void **state)
{
    (void)state;
    enum {
        KEYS = 20,
        RECORDS = DYNAMODB_PAGE + 50
    };
    struct {
        uint64_t keys, records;
        uint8_t before[48];
    } seen = {0};
    static struct slash_attestation votes[RECORDS];
    struct slash_import_report report = {0};
    for (uint64_t i = 0; i < RECORDS; i++)
        votes[i] = (struct slash_attestation){i, i + 1, true, kit_root(i)};
    for (uint64_t i = 0; i < KEYS; i++) {
        struct slash_validator v = {.pubkey = {{0}},
                                    .enabled = true,
                                    .attestations = votes,
                                    .attestation_count = i == 7 ? RECORDS : 2};
        v.pubkey.bytes[0] = (uint8_t)(0x80 + (i * 29) % 64);
        v.pubkey.bytes[47] = (uint8_t)i;
        assert_int_equal(slash_merge(fixture.store, &v, &report).code, 0);
    }
    assert_int_equal(slash_visit(fixture.store, NULL, count_keys, &seen).code, 0);
    assert_int_equal(seen.keys, KEYS);
    assert_int_equal(seen.records, 2 * (KEYS - 1) + RECORDS);
    struct slash_status status;
    assert_int_equal(slash_status(fixture.store, &status).code, 0);
    assert_int_equal(status.validators, KEYS);
    assert_int_equal(status.attestations, seen.records);
}

#define WITH_TABLE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TABLE(test_P04_of_two_replicas_with_conflicting_claims_one_wins),
        WITH_TABLE(test_P18_the_same_root_is_signed_after_a_timeout_whose_write_succeeded),
        WITH_TABLE(test_one_claim_that_is_throttled_is_refused_and_its_neighbours_are_signed),
        WITH_TABLE(test_P19_nothing_is_signed_while_the_table_is_away_and_again_when_it_is_back),
        WITH_TABLE(test_T27_a_table_whose_items_expire_is_refused),
        WITH_TABLE(test_T27_a_table_is_looked_at_each_minute),
        WITH_TABLE(test_T27_a_restored_table_is_refused_until_it_is_confirmed),
        WITH_TABLE(test_T27_a_table_that_becomes_global_is_refused),
        WITH_TABLE(test_T27_a_table_of_a_later_release_is_refused),
        WITH_TABLE(test_T27_a_table_with_another_key_is_refused),
        WITH_TABLE(test_P03_only_init_makes_a_history_and_only_in_an_empty_table),
        WITH_TABLE(test_T27_a_changed_item_stops_its_own_key_only),
        WITH_TABLE(test_bytes_that_are_no_public_key_get_no_row),
        WITH_TABLE(test_P07_a_high_watermark_holds_for_a_key_that_is_made_meanwhile),
        WITH_TABLE(test_P02_death_between_any_two_calls_of_a_claim),
        WITH_TABLE(test_P15_death_between_any_two_calls_of_an_import),
        WITH_TABLE(test_P12_death_between_any_two_calls_of_a_contradictory_import),
        WITH_TABLE(test_P15_an_import_that_nobody_repeats_is_settled),
        WITH_TABLE(test_P12_a_contradictory_import_that_nobody_repeats),
        WITH_TABLE(test_P10_death_between_any_two_calls_of_pruning),
        WITH_TABLE(test_P07_death_between_any_two_calls_of_a_hand_over),
        WITH_TABLE(test_P15_death_between_any_two_calls_of_a_registration),
        WITH_TABLE(test_of_two_imports_at_one_time_the_second_sees_the_first),
        WITH_TABLE(test_a_walk_over_all_shards_is_in_order),
    };
    for (size_t i = 0; i < slash_backend_count; i++)
        if (slash_backends[i].in_table)
            backend = &slash_backends[i];
    if (!aws_server_exists())
        return AWS_SERVER_SKIPPED;
    const char *only = getenv("CC_TESTS");
    if (only)
        cmocka_set_test_filter(only);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
