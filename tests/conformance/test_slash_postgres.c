/* What only a history in PostgreSQL can get wrong: other clients, another timeline, a server that dies or forgets. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/num.h"

#include "slash/postgres_history.h"
#include "support/postgres_server.h"
#include "support/slash_kit.h"
#include "support/test.h"

enum {
    ROUNDS = 200,
    BY_HAND_ROUNDS = 1000
};

static const struct slash_backend *postgres_backend(void)
{
    for (size_t i = 0; i < slash_backend_count; i++)
        if (slash_backends[i].in_database)
            return &slash_backends[i];
    fail_msg("no backend is in a database");
    return NULL;
}

static void setup(struct slash_fixture *f)
{
    slash_fixture_setup(f, postgres_backend());
}

static void sql(PGconn *client, const char *text)
{
    postgres_server_sql(client, text, NULL, 0);
}

/* Tries again while the answer is STORE, as the writer does; fails the test after some seconds. */
static enum slash_rule sign_patiently(struct slash_store *store, struct slash_claim claim)
{
    struct slash_verdict verdict = {.rule = SLASH_UNREGISTERED};
    uint64_t until = clock_mono_ms() + 10000;
    cc_err err;
    do
        err = slash_check_and_record(store, &claim, 1, &verdict);
    while (err.code && clock_mono_ms() < until);
    if (err.code)
        fail_msg("%s (%s)", error_name(err), error_detail());
    return verdict.rule;
}

/* Every statement is one that the server understands. */
static void test_an_empty_history_opens(void **state)
{
    (void)state;
    struct slash_fixture f;
    struct slash_status status;
    setup(&f);
    assert_int_equal(slash_status(f.store, &status).code, 0);
    assert_int_equal(status.validators + status.blocks + status.attestations, 0);
    slash_fixture_teardown(&f);
}

/* What the status page shows may not cost a walk over all that was ever signed. */
static void test_an_estimate_of_many_is_what_the_server_last_found(void **state)
{
    (void)state;
    struct slash_fixture f;
    struct slash_status status;
    setup(&f);
    PGconn *client = postgres_server_connect(f.path);
    postgres_server_sql(
        client,
        "INSERT INTO validators (public_key)"
        " SELECT decode(lpad(to_hex(n), 96, '0'), 'hex') FROM generate_series(1, 10000) n",
        NULL, 0);
    assert_int_equal(slash_estimate(f.store, &status).code, 0);
    assert_int_equal(status.counted, SLASH_COUNTED_ALL);
    assert_int_equal(status.validators, 10000);
    postgres_server_sql(
        client,
        "INSERT INTO validators (public_key)"
        " SELECT decode(lpad(to_hex(n), 96, '0'), 'hex') FROM generate_series(10001, 12000) n",
        NULL, 0);
    postgres_server_sql(client, "ANALYZE validators", NULL, 0);
    assert_int_equal(slash_estimate(f.store, &status).code, 0);
    assert_int_equal(status.counted, SLASH_COUNTED_ABOUT);
    assert_true(status.validators > 10000 && status.validators <= 12100);
    assert_int_equal(status.blocks + status.attestations, 0);
    PQfinish(client);
    slash_fixture_teardown(&f);
}

/* --- two signers on one database ------------------------------------------------------------------------------------- */

/* What two clients want at the same moment; the second conflicts with the first in one of three ways. */
struct duel {
    struct slash_claim claims[2];
};

static struct duel duel_of(uint64_t round)
{
    uint64_t e = 10 + 10 * round;
    static const uint64_t other[3][2] = {
        {2, 4}, {1, 5}, {3, 3}}; /* double, surrounding, surrounded by (2, 4) */
    const uint64_t *o = other[round % 3];
    return (struct duel){
        {kit_attestation(1, e + 2, e + 4, 1), kit_attestation(1, e + o[0], e + o[1], 2)}};
}

struct duellist {
    pthread_t thread;
    pthread_barrier_t *start;
    struct slash_store *store;
    int side;
    uint64_t rounds;
    uint8_t won[ROUNDS];
    cc_err err;
};

static void *fight(void *context)
{
    struct duellist *d = context;
    for (uint64_t round = 0; round < d->rounds; round++) {
        struct slash_verdict verdict;
        struct duel duel = duel_of(round);
        (void)pthread_barrier_wait(d->start);
        cc_err err = slash_check_and_record(d->store, &duel.claims[d->side], 1, &verdict);
        d->won[round] = !err.code && slash_may_sign(verdict.rule);
        if (err.code)
            d->err = err;
    }
    return NULL;
}

static void test_T05_P04_of_two_signers_one_wins(void **state)
{
    (void)state;
    struct slash_fixture f;
    struct duellist sides[2] = {{.rounds = ROUNDS}, {.rounds = ROUNDS, .side = 1}};
    pthread_barrier_t start;
    setup(&f);
    kit_register(f.store, 1, 1);
    sides[0].store = f.store;
    assert_int_equal(slash_postgres_open(f.path, NULL, &sides[1].store).code, 0);
    assert_int_equal(pthread_barrier_init(&start, NULL, 2), 0);
    for (int i = 0; i < 2; i++) {
        sides[i].start = &start;
        assert_int_equal(pthread_create(&sides[i].thread, NULL, fight, &sides[i]), 0);
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(sides[i].thread, NULL), 0);
    unsigned both = 0, none = 0;
    for (int round = 0; round < ROUNDS; round++) {
        both += sides[0].won[round] && sides[1].won[round];
        none += !sides[0].won[round] && !sides[1].won[round];
    }
    assert_int_equal(both, 0);
    assert_int_equal(none, 0);
    assert_int_equal(sides[0].err.code, 0);
    assert_int_equal(sides[1].err.code, 0);
    slash_store_close(sides[1].store);
    (void)pthread_barrier_destroy(&start);
    slash_fixture_teardown(&f);
}

struct waiter {
    struct slash_store *store;
    struct slash_claim claim;
    struct slash_verdict verdict;
    cc_err err;
};

static void *sign_once(void *context)
{
    struct waiter *w = context;
    w->err = slash_check_and_record(w->store, &w->claim, 1, &w->verdict);
    return NULL;
}

/* The other client has written, and not yet committed, when we ask; what it commits while we wait decides. */
static void test_T05_a_wait_for_the_lock_sees_what_it_waited_for(void **state)
{
    (void)state;
    struct slash_fixture f;
    setup(&f);
    kit_register(f.store, 1, 1);
    PGconn *other = postgres_server_connect(f.path);
    PGconn *watch = postgres_server_connect(f.path);
    for (uint64_t round = 0; round < 3; round++) {
        struct duel duel = duel_of(round);
        struct waiter w = {.store = f.store, .claim = duel.claims[1]};
        char text[256], waits[8] = "";
        pthread_t thread;
        sql(other, "BEGIN; SELECT pg_advisory_xact_lock(1, id) FROM validators");
        (void)snprintf(text, sizeof text,
                       "INSERT INTO signed_attestations (validator_id, source_epoch, target_epoch)"
                       " SELECT id, %llu, %llu FROM validators",
                       (unsigned long long)duel.claims[0].source,
                       (unsigned long long)duel.claims[0].target);
        sql(other, text);
        assert_int_equal(pthread_create(&thread, NULL, sign_once, &w), 0);
        uint64_t until =
            clock_mono_ms() + 250; /* a signer that does not wait has answered by then */
        while (waits[0] != 't' && clock_mono_ms() < until)
            postgres_server_sql(watch,
                                "SELECT bool_or(wait_event_type = 'Lock') FROM pg_stat_activity"
                                " WHERE application_name = 'containment-chamber'",
                                waits, sizeof waits);
        sql(other, "COMMIT");
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(w.err.code, 0);
        assert_false(slash_may_sign(w.verdict.rule));
    }
    PQfinish(other);
    PQfinish(watch);
    slash_fixture_teardown(&f);
}

static void test_a_key_that_another_client_holds_delays_nobody_else(void **state)
{
    (void)state;
    struct slash_fixture f;
    setup(&f);
    kit_register(f.store, 1, 2);
    PGconn *other = postgres_server_connect(f.path);
    sql(other, "BEGIN");
    sql(other, "SELECT pg_advisory_xact_lock(1, id) FROM validators ORDER BY public_key LIMIT 1");
    const struct slash_claim claims[] = {kit_attestation(1, 1, 2, 1), kit_attestation(2, 1, 2, 1),
                                         kit_block(1, 7, 1), kit_block(2, 7, 1)};
    struct slash_verdict v[4];
    assert_int_equal(slash_check_and_record(f.store, claims, 4, v).code, 0);
    int held = v[0].rule == SLASH_CONTENDED ? 0 : 1;
    assert_int_equal(v[held].rule, SLASH_CONTENDED);
    assert_int_equal(v[1 - held].rule, SLASH_SAFE);
    assert_int_equal(v[2].rule, SLASH_SAFE);
    assert_int_equal(v[3].rule, SLASH_SAFE);
    sql(other, "COMMIT");
    assert_int_equal(kit_sign(f.store, claims[held]), SLASH_SAFE);
    assert_int_equal(kit_sign(f.store, claims[1 - held]), SLASH_REPEAT);
    PQfinish(other);
    slash_fixture_teardown(&f);
}

static void test_one_claim_that_the_schema_refuses_fails_no_neighbour(void **state)
{
    (void)state;
    struct slash_fixture f;
    setup(&f);
    kit_register(f.store, 1, 2);
    PGconn *other = postgres_server_connect(f.path);
    sql(other,
        "CREATE FUNCTION grudge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NEW.slot = 13 THEN RAISE EXCEPTION 'not 13'; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER grudge BEFORE INSERT ON signed_blocks FOR EACH ROW EXECUTE FUNCTION grudge()");
    const struct slash_claim claims[] = {kit_block(1, 13, 1), kit_block(2, 12, 1)};
    struct slash_verdict v[2];
    assert_int_equal(slash_check_and_record(f.store, claims, 2, v).code, 0);
    assert_int_equal(v[0].rule, SLASH_CONTENDED);
    assert_int_equal(v[1].rule, SLASH_SAFE);
    PQfinish(other);
    slash_fixture_teardown(&f);
}

/* A trigger of somebody's that drops the row without a word: no record, so no signature. */
static void test_a_record_that_the_database_swallows_is_not_signed(void **state)
{
    (void)state;
    struct slash_fixture f;
    setup(&f);
    kit_register(f.store, 1, 2);
    PGconn *other = postgres_server_connect(f.path);
    sql(other,
        "CREATE FUNCTION gone() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;"
        "CREATE TRIGGER gone BEFORE INSERT ON signed_blocks FOR EACH ROW EXECUTE FUNCTION gone();"
        "CREATE TRIGGER gone BEFORE INSERT ON signed_attestations FOR EACH ROW EXECUTE FUNCTION gone()");
    assert_int_equal(kit_sign(f.store, kit_block(1, 13, 1)), SLASH_CONTENDED);
    assert_int_equal(kit_sign(f.store, kit_attestation(2, 1, 2, 1)), SLASH_CONTENDED);
    PQfinish(other);
    slash_fixture_teardown(&f);
}

/* --- a Web3Signer beside us -------------------------------------------------------------------------------------------- */

/* Its documented transaction for an attestation, statement by statement. */
static bool sign_by_hand(PGconn *client, const struct slash_claim *claim)
{
    char text[512], key[97] = {0}, value[8];
    const unsigned long long s = claim->source, t = claim->target;
    for (size_t i = 0; i < sizeof claim->pubkey.bytes; i++)
        (void)snprintf(key + 2 * i, 3, "%02x", claim->pubkey.bytes[i]);
    const unsigned root = claim->root.bytes[31];
    sql(client, "BEGIN ISOLATION LEVEL READ COMMITTED");
#define ASK(...)                                                                                   \
    ((void)snprintf(text, sizeof text, __VA_ARGS__),                                               \
     postgres_server_sql(client, text, value, sizeof value), value[0] == 't')
#define ID "(SELECT id FROM validators WHERE public_key = '\\x%s')"
    (void)ASK("SELECT pg_advisory_xact_lock(1, " ID ")", key);
    bool may =
        ASK("SELECT enabled FROM validators WHERE public_key = '\\x%s'", key) &&
        !ASK("SELECT high_watermark_epoch <= %llu FROM metadata", t) &&
        !ASK("SELECT source_epoch > %llu OR target_epoch > %llu FROM low_watermarks"
             " WHERE validator_id = " ID,
             s, t, key) &&
        !ASK(
            "SELECT signing_root IS DISTINCT FROM set_byte('\\x%064d', 31, %u) FROM signed_attestations"
            " WHERE validator_id = " ID " AND target_epoch = %llu",
            0, root, key, t) &&
        !ASK("SELECT EXISTS (SELECT 1 FROM signed_attestations WHERE validator_id = " ID
             " AND ((source_epoch < %llu AND target_epoch > %llu)"
             "   OR (source_epoch > %llu AND target_epoch < %llu)))",
             key, s, t, s, t);
    if (may) {
        (void)ASK(
            "INSERT INTO signed_attestations (validator_id, signing_root, source_epoch, target_epoch)"
            " VALUES (" ID ", set_byte('\\x%064d', 31, %u), %llu, %llu)",
            key, 0, root, s, t);
        (void)ASK(
            "INSERT INTO low_watermarks (validator_id, source_epoch, target_epoch) VALUES (" ID
            ", %llu, %llu)"
            " ON CONFLICT (validator_id) DO NOTHING",
            key, s, t);
    }
    sql(client, "COMMIT");
    return may;
}

struct hand {
    pthread_t thread;
    pthread_barrier_t *start;
    PGconn *client;
    int side;
    uint8_t won[BY_HAND_ROUNDS];
};

static void *fight_by_hand(void *context)
{
    struct hand *h = context;
    for (uint64_t round = 0; round < BY_HAND_ROUNDS; round++) {
        struct duel duel = duel_of(round);
        (void)pthread_barrier_wait(h->start);
        h->won[round] = sign_by_hand(h->client, &duel.claims[(round + 1) % 2]);
        (void)pthread_barrier_wait(h->start);
    }
    return NULL;
}

static void test_T05_against_web3signers_transaction_one_wins(void **state)
{
    (void)state;
    struct slash_fixture f;
    static struct hand hand;
    pthread_barrier_t start;
    unsigned ours = 0, theirs = 0;
    setup(&f);
    kit_register(f.store, 1, 1);
    hand = (struct hand){.client = postgres_server_connect(f.path), .start = &start};
    assert_int_equal(pthread_barrier_init(&start, NULL, 2), 0);
    assert_int_equal(pthread_create(&hand.thread, NULL, fight_by_hand, &hand), 0);
    for (uint64_t round = 0; round < BY_HAND_ROUNDS; round++) {
        struct duel duel = duel_of(round);
        (void)pthread_barrier_wait(&start);
        /* Its transaction takes many round trips: now it is first, now we. */
        for (volatile uint64_t spin = 0; spin < (round * 7919) % 400000; spin++)
            ;
        enum slash_rule rule = kit_sign(f.store, duel.claims[round % 2]);
        (void)pthread_barrier_wait(&start);
        bool we = slash_may_sign(rule);
        if (we == hand.won[round])
            fail_msg("round %llu: %s", (unsigned long long)round,
                     we ? "both signed" : slash_rule_name(rule));
        ours += we;
        theirs += hand.won[round];
    }
    assert_int_equal(pthread_join(hand.thread, NULL), 0);
    print_message("  won by us %u, by hand %u\n", ours, theirs);
    assert_true(ours > 0 && theirs > 0);
    PQfinish(hand.client);
    (void)pthread_barrier_destroy(&start);
    slash_fixture_teardown(&f);
}

/* A database that has lived without us: adopted by init, used, and given back. */
static void test_a_web3signer_database_works_in_place(void **state)
{
    (void)state;
    char url[KIT_PATH_MAX];
    struct slash_identity identity = {.has_genesis_validators_root = true,
                                      .genesis_validators_root = {{7}}};
    struct slash_store *store;
    uint64_t adopted = 0;
    postgres_server_schema(url, sizeof url);
    assert_int_equal(slash_postgres_migrate(url, NULL).code, 0);
    PGconn *client = postgres_server_connect(url);
    sql(client,
        "DROP TABLE containment_history, containment_heads, containment_migrations;"
        "INSERT INTO metadata (id, genesis_validators_root) VALUES (1, decode(rpad('07', 64, '0'), 'hex'))");
    struct slash_claim first = kit_attestation(1, 4, 5, 1);
    char text[256] = "SELECT v_id FROM upsert_validators(ARRAY['\\x";
    for (size_t i = 0; i < sizeof first.pubkey.bytes; i++)
        (void)snprintf(text + strlen(text), 3, "%02x", first.pubkey.bytes[i]);
    (void)strcat(text, "'::bytea])");
    sql(client, text);
    assert_true(sign_by_hand(client, &first));

    assert_int_equal(slash_postgres_open(url, NULL, &store).code, ERROR_HISTORY_MISSING);
    assert_int_equal(slash_postgres_create(url, &identity, &adopted).code, 0);
    assert_int_equal(adopted, 1);
    assert_int_equal(slash_postgres_create(url, &identity, &adopted).code, ERROR_EXISTS);
    assert_int_equal(slash_postgres_open(url, NULL, &store).code, 0);
    assert_int_equal(kit_sign(store, first), SLASH_REPEAT);
    assert_int_equal(kit_sign(store, kit_attestation(1, 4, 5, 2)), SLASH_DOUBLE_VOTE);
    assert_int_equal(kit_sign(store, kit_attestation(1, 5, 9, 3)), SLASH_SAFE);
    slash_store_close(store);

    /* And back: it goes on from our rows. */
    struct slash_claim surrounded = kit_attestation(1, 6, 8, 4),
                       next = kit_attestation(1, 9, 10, 5);
    assert_false(sign_by_hand(client, &surrounded));
    assert_true(sign_by_hand(client, &next));
    /* Its pruning and its watermark repair are nothing to us. */
    sql(client, "UPDATE low_watermarks SET source_epoch = 5, target_epoch = 9;"
                "DELETE FROM signed_attestations WHERE target_epoch < 9");
    assert_int_equal(slash_postgres_open(url, NULL, &store).code, 0);
    assert_int_equal(kit_sign(store, first), SLASH_SOURCE_BELOW);
    assert_int_equal(kit_sign(store, next), SLASH_REPEAT);
    sql(client, "UPDATE low_watermarks SET source_epoch = 50, target_epoch = 50");
    assert_int_equal(kit_sign(store, kit_attestation(1, 49, 51, 6)), SLASH_SOURCE_BELOW);
    assert_int_equal(kit_sign(store, kit_attestation(1, 50, 51, 6)), SLASH_SAFE);
    slash_store_close(store);
    PQfinish(client);
    postgres_server_drop(url);
}

static void test_records_that_surround_one_another_are_not_adopted(void **state)
{
    (void)state;
    char url[KIT_PATH_MAX];
    struct slash_identity identity = {.has_genesis_validators_root = true};
    uint64_t adopted = 0;
    postgres_server_schema(url, sizeof url);
    assert_int_equal(slash_postgres_migrate(url, NULL).code, 0);
    PGconn *client = postgres_server_connect(url);
    sql(client,
        "INSERT INTO validators (public_key) VALUES ('\\xaa');"
        "INSERT INTO signed_attestations (validator_id, source_epoch, target_epoch) VALUES (1, 4, 5), (1, 3, 6)");
    assert_int_equal(slash_postgres_create(url, &identity, &adopted).code, ERROR_TAMPERED);
    sql(client, "UPDATE signed_attestations SET source_epoch = 4 WHERE target_epoch = 6;"
                "INSERT INTO metadata (id, genesis_validators_root) VALUES (1, '\\x01')");
    assert_int_equal(slash_postgres_create(url, &identity, &adopted).code, ERROR_IDENTITY);
    sql(client, "DELETE FROM metadata; UPDATE database_version SET version = 11");
    assert_int_equal(slash_postgres_create(url, &identity, &adopted).code, ERROR_IDENTITY);
    sql(client, "UPDATE database_version SET version = 12");
    assert_int_equal(slash_postgres_create(url, &identity, &adopted).code, 0);
    slash_postgres_forget(url, &identity);
    assert_int_equal(slash_postgres_create(url, &identity, &adopted).code, 0);
    PQfinish(client);
    postgres_server_drop(url);
}

/* --- T6: the database is not what it was --------------------------------------------------------------------------------- */

static void refused_with(struct slash_store *store, struct slash_claim claim, const char *name)
{
    struct slash_verdict verdict = {.rule = SLASH_SAFE};
    cc_err err = slash_check_and_record(store, &claim, 1, &verdict);
    assert_string_equal(error_name(err), name);
    assert_false(slash_may_sign(verdict.rule));
}

static void test_T06_P20_another_timeline_or_cluster_is_refused(void **state)
{
    (void)state;
    struct slash_fixture f;
    setup(&f);
    kit_register(f.store, 1, 1);
    PGconn *client = postgres_server_connect(f.path);
    assert_int_equal(kit_sign(f.store, kit_block(1, 1, 1)), SLASH_SAFE);
    /* As if it had been promoted since: what was confirmed is older than what is. */
    sql(client, "UPDATE containment_history SET timeline = '00000000'");
    struct slash_store *late;
    assert_int_equal(slash_postgres_open(f.path, NULL, &late).code, 0);
    refused_with(late, kit_block(1, 1, 1), "TIMELINE");
    slash_store_close(late);
    sql(client, "UPDATE containment_history SET timeline = '00000001', system_identifier = '1'");
    assert_int_equal(slash_postgres_open(f.path, NULL, &late).code, 0);
    refused_with(late, kit_block(1, 1, 1), "TIMELINE");
    struct slash_timeline timeline;
    assert_int_equal(slash_timeline_begin(late, &timeline).code, 0);
    assert_false(timeline.same_cluster);
    slash_store_close(late);
    /* The history replaced under an open connection: that batch is not released, and none after it. */
    sql(client, "UPDATE containment_history SET history_id = decode(repeat('55', 32), 'hex'),"
                " system_identifier = (SELECT system_identifier::text FROM pg_control_system())");
    refused_with(f.store, kit_block(1, 2, 1), "STORE");
    refused_with(f.store, kit_block(1, 2, 1), "IDENTITY");
    sql(client, "UPDATE containment_history SET history_id = decode(repeat('11', 32), 'hex')");
    assert_int_equal(kit_sign(f.store, kit_block(1, 2, 1)), SLASH_REPEAT);
    /* Another cluster is not taken by a process either that finds its own last commit there. */
    sql(client, "UPDATE containment_history SET system_identifier = '1'");
    postgres_db_close(&postgres_history_of(f.store)->db);
    refused_with(f.store, kit_block(1, 2, 1), "TIMELINE");
    PQfinish(client);
    slash_fixture_teardown(&f);
}

/* --- time lines: replicas of one signer, each with a row of its own ----------------------------------------------------------- */

static const uint8_t name_a[SLASH_REPLICA_SIZE] = "replica A";
static const uint8_t name_b[SLASH_REPLICA_SIZE] = "replica B";

struct replicas {
    struct slash_fixture f;
    PGconn *client;
    struct slash_store *a, *b;
};

/* Two replicas that have both committed something. */
static void replicas_setup(struct replicas *r)
{
    setup(&r->f);
    kit_register(r->f.store, 1, 2);
    r->client = postgres_server_connect(r->f.path);
    assert_int_equal(slash_postgres_open(r->f.path, name_a, &r->a).code, 0);
    assert_int_equal(slash_postgres_open(r->f.path, name_b, &r->b).code, 0);
    assert_int_equal(kit_sign(r->a, kit_block(1, 1, 1)), SLASH_SAFE);
    assert_int_equal(kit_sign(r->b, kit_block(2, 1, 1)), SLASH_SAFE);
    /* The fixture's own store is a command that ran long ago. */
    sql(r->client, "UPDATE containment_heads SET at = now() - interval '1 day' WHERE NOT replica");
}

static void replicas_teardown(struct replicas *r)
{
    PQfinish(r->client);
    if (r->a)
        slash_store_close(r->a);
    if (r->b)
        slash_store_close(r->b);
    slash_fixture_teardown(&r->f);
}

/* As if the server had been promoted now: all that was confirmed is of an older timeline, and connections are gone. */
static void fail_over(struct replicas *r)
{
    sql(r->client, "UPDATE containment_history SET timeline = '00000000';"
                   "UPDATE containment_heads SET timeline = '00000000'");
    postgres_db_close(&postgres_history_of(r->a)->db);
    postgres_db_close(&postgres_history_of(r->b)->db);
}

static struct slash_timeline begin(struct slash_store *store)
{
    struct slash_timeline timeline;
    assert_int_equal(slash_timeline_begin(store, &timeline).code, 0);
    assert_true(store->position == timeline.position);
    return timeline;
}

static uint64_t confirm(struct slash_store *store, bool for_all)
{
    uint64_t waiting = 99;
    assert_int_equal(slash_timeline_confirm(store, for_all, &waiting).code, 0);
    return waiting;
}

static void test_T06_P20_no_replica_signs_until_each_has_compared(void **state)
{
    (void)state;
    struct replicas r;
    replicas_setup(&r);
    uint64_t position = r.a->position;
    fail_over(&r);
    refused_with(r.a, kit_block(1, 2, 1), "TIMELINE");
    struct slash_timeline timeline = begin(r.a);
    assert_true(timeline.same_cluster && timeline.new_timeline);
    assert_true(timeline.position == position && timeline.waiting == 1);
    assert_int_equal(confirm(r.a, false), 1);
    refused_with(r.a, kit_block(1, 2, 1), "TIMELINE");
    const struct slash_claim one = kit_block(1, 0, 0);
    assert_int_equal(slash_set_enabled(r.a, &one.pubkey, false).code, ERROR_TIMELINE);

    /* B has lost its record of slot 5, and says so; nobody signs over it. */
    timeline = begin(r.b);
    assert_int_equal(timeline.waiting, 0);
    struct slash_import_report report = {0};
    const struct slash_validator lost = {
        .pubkey = kit_block(2, 0, 0).pubkey, .enabled = true, .low = {.has_slot = true, .slot = 5}};
    assert_int_equal(slash_merge(r.b, &lost, &report).code, 0);
    refused_with(r.a, kit_block(2, 5, 2), "TIMELINE");
    assert_int_equal(confirm(r.b, false), 0);
    assert_int_equal(confirm(r.a, false), 0);
    assert_int_equal(kit_sign(r.a, kit_block(2, 5, 2)), SLASH_BLOCK_BELOW);
    assert_int_equal(kit_sign(r.a, kit_block(1, 2, 1)), SLASH_SAFE);
    assert_int_equal(kit_sign(r.b, kit_block(2, 6, 1)), SLASH_SAFE);
    replicas_teardown(&r);
}

static void test_T06_P20_a_replica_that_does_not_come_compares_when_it_does(void **state)
{
    (void)state;
    struct replicas r;
    replicas_setup(&r);
    fail_over(&r);
    (void)begin(r.a);
    assert_int_equal(confirm(r.a, false), 1);
    assert_int_equal(confirm(r.a, true), 0);
    assert_int_equal(kit_sign(r.a, kit_block(1, 2, 1)), SLASH_SAFE);
    slash_store_close(r.b);
    assert_int_equal(slash_postgres_open(r.f.path, name_b, &r.b).code, 0);
    refused_with(r.b, kit_block(2, 2, 1), "TIMELINE");
    struct slash_timeline timeline = begin(r.b);
    assert_true(timeline.new_timeline);
    assert_int_equal(confirm(r.b, false), 0);
    assert_int_equal(kit_sign(r.b, kit_block(2, 2, 1)), SLASH_SAFE);
    replicas_teardown(&r);
}

/* It has ended, and will never compare. */
static void test_T06_P20_a_command_is_not_waited_for(void **state)
{
    (void)state;
    struct replicas r;
    struct slash_store *command = NULL;
    replicas_setup(&r);
    assert_int_equal(slash_postgres_open(r.f.path, NULL, &command).code, 0);
    const struct slash_claim third = kit_block(3, 0, 0);
    assert_int_equal(slash_register_keys(command, &third.pubkey, 1, NULL).code, 0);
    slash_store_close(command);
    fail_over(&r);
    assert_int_equal(begin(r.b).waiting, 1);
    assert_int_equal(confirm(r.b, false), 1);
    assert_int_equal(begin(r.a).waiting, 0);
    assert_int_equal(confirm(r.a, false), 0);
    assert_int_equal(confirm(r.b, false), 0);
    assert_int_equal(kit_sign(r.a, kit_block(1, 2, 1)), SLASH_SAFE);
    replicas_teardown(&r);
}

/* A database that was away for a day has no replica that wrote lately, but the one that wrote last counts. */
static void test_T06_P20_only_who_wrote_lately_is_waited_for(void **state)
{
    (void)state;
    struct replicas r;
    replicas_setup(&r);
    sql(r.client, "UPDATE containment_heads SET at = at - interval '1 day'");
    fail_over(&r);
    assert_int_equal(begin(r.a).waiting, 1);
    assert_int_equal(confirm(r.a, false), 1); /* it wrote now, and B counts all the same */
    assert_int_equal(begin(r.a).waiting, 1);
    sql(r.client,
        "UPDATE containment_heads SET at = at - interval '16 minutes' WHERE writer = convert_to('replica B', 'UTF8') || '\\x00000000000000'");
    assert_int_equal(confirm(r.a, false), 0);
    replicas_teardown(&r);
}

static void test_T06_P21_an_older_copy_is_no_new_timeline(void **state)
{
    (void)state;
    struct replicas r;
    replicas_setup(&r);
    uint64_t position = r.a->position;
    assert_int_equal(kit_sign(r.a, kit_block(1, 2, 1)), SLASH_SAFE);
    sql(r.client, "UPDATE containment_heads SET batches = batches - 1");
    postgres_db_close(&postgres_history_of(r.a)->db);
    refused_with(r.a, kit_block(1, 3, 1), "TIMELINE");
    struct slash_timeline timeline = begin(r.a);
    assert_true(timeline.same_cluster && !timeline.new_timeline);
    assert_true(timeline.position == position);
    replicas_teardown(&r);
}

/* What was compared is another database by the time of the confirmation. */
static void test_T06_a_second_change_while_comparing_begins_anew(void **state)
{
    (void)state;
    struct replicas r;
    replicas_setup(&r);
    fail_over(&r);
    (void)begin(r.a);
    (void)snprintf(postgres_history_of(r.a)->compared, POSTGRES_PLACE_MAX, "%s", "1 00000001");
    postgres_db_close(&postgres_history_of(r.a)->db);
    uint64_t waiting;
    assert_int_equal(slash_timeline_confirm(r.a, true, &waiting).code, ERROR_TIMELINE);
    refused_with(r.a, kit_block(1, 2, 1), "TIMELINE");
    (void)begin(r.a);
    assert_int_equal(confirm(r.a, true), 0);
    replicas_teardown(&r);
}

/* A copied data directory has the same name: the row's count jumps, and both stop. */
static void test_T08_P04_a_clone_is_noticed_by_the_count(void **state)
{
    (void)state;
    struct replicas r;
    struct slash_store *twin;
    struct slash_verdict verdict;
    replicas_setup(&r);
    assert_int_equal(slash_postgres_open(r.f.path, name_a, &twin).code, 0);
    cc_err err = CC_OK, twins = CC_OK;
    uint64_t slot = 10;
    for (; slot < 10 + 2 * POSTGRES_UNDER_WAY_MAX && !(err.code && twins.code); slot++) {
        const struct slash_claim claims[] = {kit_block(1, slot, 1), kit_block(2, slot, 1)};
        err = slash_check_and_record(r.a, &claims[0], 1, &verdict);
        twins = slash_check_and_record(twin, &claims[1], 1, &verdict);
    }
    assert_string_equal(error_name(err), "IDENTITY");
    assert_string_equal(error_name(twins), "IDENTITY");
    refused_with(r.a, kit_block(1, slot, 1), "IDENTITY");
    refused_with(twin, kit_block(2, slot, 1), "IDENTITY");
    slash_store_close(twin);
    replicas_teardown(&r);
}

/* Files put back under a running server, or a pooler that leads elsewhere: the timeline is the same, the count is not. */
static void test_P21_a_database_that_went_back_is_refused(void **state)
{
    (void)state;
    struct slash_fixture f;
    setup(&f);
    kit_register(f.store, 1, 1);
    PGconn *client = postgres_server_connect(f.path);
    assert_int_equal(kit_sign(f.store, kit_block(1, 1, 1)), SLASH_SAFE);
    assert_int_equal(kit_sign(f.store, kit_block(1, 2, 1)), SLASH_SAFE);
    sql(client, "UPDATE containment_heads SET batches = batches - 1");
    refused_with(f.store, kit_block(1, 3, 1), "TIMELINE"); /* seen by the batch itself */
    sql(client, "UPDATE containment_heads SET batches = batches - 1");
    refused_with(f.store, kit_block(1, 4, 1), "TIMELINE"); /* and by every connection after it */
    sql(client, "DELETE FROM containment_heads");
    refused_with(f.store, kit_block(1, 4, 1), "TIMELINE");
    slash_store_close(f.store);
    assert_int_equal(slash_postgres_open_for_repair(f.path, &f.store).code, 0);
    assert_int_equal(slash_postgres_confirm_timeline(f.store).code, 0);
    slash_fixture_reopen(&f);
    assert_int_equal(kit_sign(f.store, kit_block(1, 2, 1)), SLASH_REPEAT);
    assert_int_equal(kit_sign(f.store, kit_block(1, 4, 2)),
                     SLASH_SAFE); /* which was not even asked for */
    PQfinish(client);
    slash_fixture_teardown(&f);
}

static void setting(PGconn *client, const char *change)
{
    char now[64], before[64], text[128];
    postgres_server_sql(client, "SELECT pg_conf_load_time()", before, sizeof before);
    (void)snprintf(text, sizeof text, "ALTER SYSTEM %s", change);
    sql(client, text);
    do { /* the signal is not waited for */
        sql(client, "SELECT pg_reload_conf()");
        postgres_server_sql(client, "SELECT pg_conf_load_time()", now, sizeof now);
    } while (strcmp(now, before) == 0);
}

static void test_P01_T06_a_database_that_would_forget_is_refused(void **state)
{
    (void)state;
    struct slash_fixture f;
    struct slash_store *late;
    setup(&f);
    kit_register(f.store, 1, 1);
    PGconn *client = postgres_server_connect(postgres_server_url());
    assert_int_equal(kit_sign(f.store, kit_block(1, 1, 1)), SLASH_SAFE);
    setting(client, "SET fsync = off");
    refused_with(f.store, kit_block(1, 1, 1), "STORE");
    assert_int_equal(slash_postgres_open(f.path, NULL, &late).code, ERROR_STORE);
    setting(client, "RESET fsync");
    assert_int_equal(sign_patiently(f.store, kit_block(1, 1, 1)), SLASH_REPEAT);
    /* The default of server or role does not reach a connection of ours; a change of it is nothing. */
    setting(client, "SET synchronous_commit = off");
    assert_int_equal(kit_sign(f.store, kit_block(1, 2, 1)), SLASH_SAFE);
    assert_int_equal(slash_postgres_open(f.path, NULL, &late).code, 0);
    assert_int_equal(kit_sign(late, kit_block(1, 3, 1)), SLASH_SAFE);
    slash_store_close(late);
    setting(client, "RESET synchronous_commit");
    PQfinish(client);
    slash_fixture_teardown(&f);
}

/* --- T7: a commit that is not known to be durable ----------------------------------------------------------------------------- */

/* Ends the wait of the signer's commit for the replica, as an operator in a hurry does. */
static void cancel_the_wait(PGconn *client)
{
    char pid[32] = "";
    uint64_t until = clock_mono_ms() + 10000;
    while (pid[0] != 't' && clock_mono_ms() < until)
        postgres_server_sql(
            client,
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            " AND application_name = 'containment-chamber'",
            pid, sizeof pid);
    assert_string_equal(pid, "t");
}

static void test_T07_a_commit_with_a_warning_releases_nothing(void **state)
{
    (void)state;
    struct slash_fixture f;
    pthread_t thread;
    setup(&f);
    kit_register(f.store, 1, 1);
    PGconn *client = postgres_server_connect(postgres_server_url());
    sql(client, "SET synchronous_commit = local");
    setting(client, "SET synchronous_standby_names = 'nobody'");
    /* With the new names a connection is a new one; its commits wait for a replica that is not there. */
    struct waiter w = {.store = f.store, .claim = kit_attestation(1, 1, 2, 1)};
    for (int again = 0; again < 2; again++) { /* the first record, and then its repeat */
        struct postgres_history *h = postgres_history_of(f.store);
        postgres_db_close(&h->db);
        assert_int_equal(pthread_create(&thread, NULL, sign_once, &w), 0);
        cancel_the_wait(client);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_string_equal(error_name(w.err), "STORE");
        assert_false(slash_may_sign(w.verdict.rule));
    }
    setting(client, "RESET synchronous_standby_names");
    assert_int_equal(sign_patiently(f.store, w.claim), SLASH_REPEAT);
    PQfinish(client);
    slash_fixture_teardown(&f);
}

static void test_T07_a_batch_of_repeats_writes_too(void **state)
{
    (void)state;
    struct slash_fixture f;
    char before[32], after[32];
    setup(&f);
    kit_register(f.store, 1, 1);
    PGconn *client = postgres_server_connect(f.path);
    assert_int_equal(kit_sign(f.store, kit_block(1, 1, 1)), SLASH_SAFE);
    postgres_server_sql(client, "SELECT sum(batches) FROM containment_heads", before,
                        sizeof before);
    assert_int_equal(kit_sign(f.store, kit_block(1, 1, 1)), SLASH_REPEAT);
    postgres_server_sql(client, "SELECT sum(batches) - 1 FROM containment_heads", after,
                        sizeof after);
    assert_string_equal(before, after);
    PQfinish(client);
    slash_fixture_teardown(&f);
}

/* --- P19: a server that goes and comes back ------------------------------------------------------------------------------------ */

static void test_P19_a_lost_connection_is_made_again(void **state)
{
    (void)state;
    struct slash_fixture f;
    setup(&f);
    kit_register(f.store, 1, 1);
    PGconn *client = postgres_server_connect(postgres_server_url());
    assert_int_equal(kit_sign(f.store, kit_block(1, 1, 1)), SLASH_SAFE);
    sql(client,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'containment-chamber'");
    assert_int_equal(sign_patiently(f.store, kit_block(1, 1, 1)), SLASH_REPEAT);
    assert_int_equal(kit_sign(f.store, kit_block(1, 1, 2)), SLASH_DOUBLE_BLOCK);
    PQfinish(client);
    slash_fixture_teardown(&f);
}

static void test_P19_P18_a_killed_server_signs_nothing_and_then_goes_on(void **state)
{
    (void)state;
    struct slash_fixture f;
    if (getenv("CC_POSTGRES_URL"))
        skip(); /* not ours to kill */
    setup(&f);
    kit_register(f.store, 1, 1);
    assert_int_equal(kit_sign(f.store, kit_attestation(1, 1, 2, 1)), SLASH_SAFE);
    postgres_server_do("kill");
    refused_with(f.store, kit_attestation(1, 1, 2, 1), "STORE");
    refused_with(f.store, kit_attestation(1, 1, 2, 1), "STORE");
    postgres_server_do("start");
    assert_int_equal(sign_patiently(f.store, kit_attestation(1, 1, 2, 1)), SLASH_REPEAT);
    assert_int_equal(kit_sign(f.store, kit_attestation(1, 1, 2, 2)), SLASH_DOUBLE_VOTE);
    slash_fixture_teardown(&f);
}

/* Memory runs out at any allocation: an error, nothing signed that was not recorded, and the store works on. */
static void test_C07_out_of_memory_at_any_allocation(void **state)
{
    (void)state;
    struct slash_fixture f;
    setup(&f);
    kit_register(f.store, 1, 2);
    uint64_t slot = 1;
    for (uint64_t nth = 1, needed = 2; nth <= needed; nth++, slot++) {
        const struct slash_claim claims[] = {kit_block(1, slot, 1),
                                             kit_attestation(2, slot, slot + 1, 1)};
        struct slash_verdict v[2];
        postgres_db_close(&postgres_history_of(f.store)->db); /* connecting allocates as well */
        for (size_t i = 0; i < ARRAY_LEN(postgres_history_of(f.store)->arrays); i++)
            buf_release(&postgres_history_of(f.store)->arrays[i]);
        (void)alloc_fail_nth(nth);
        cc_err err = slash_check_and_record(f.store, claims, 2, v);
        uint64_t made = alloc_fail_nth(0);
        needed = made > needed ? made : needed;
        if (err.code) {
            assert_string_equal(error_name(err), "NO_MEMORY");
            assert_false(slash_may_sign(v[0].rule) || slash_may_sign(v[1].rule));
        }
        assert_true(slash_may_sign(kit_sign(f.store, claims[0])));
        assert_true(slash_may_sign(kit_sign(f.store, claims[1])));
    }
    slash_fixture_teardown(&f);
}

static void test_P03_opening_makes_no_history(void **state)
{
    (void)state;
    char url[KIT_PATH_MAX], count[16];
    struct slash_store *store;
    postgres_server_schema(url, sizeof url);
    assert_int_equal(slash_postgres_open(url, NULL, &store).code, ERROR_HISTORY_MISSING);
    PGconn *client = postgres_server_connect(url);
    postgres_server_sql(client,
                        "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()", count,
                        sizeof count);
    assert_string_equal(count, "0");
    /* Tables alone are no history either. */
    assert_int_equal(slash_postgres_migrate(url, NULL).code, 0);
    assert_int_equal(slash_postgres_open(url, NULL, &store).code, ERROR_HISTORY_MISSING);
    PQfinish(client);
    postgres_server_drop(url);
    assert_int_equal(slash_postgres_open("host=/nowhere", NULL, &store).code, ERROR_STORE);
    assert_int_equal(slash_postgres_open("host=/nowhere port=", NULL, &store).code, ERROR_STORE);
    assert_int_equal(slash_postgres_open("no such thing", NULL, &store).code, ERROR_CONFIG);
}

/* A role that may not make tables, with what `slashing migrate` grants. */
static void test_a_role_without_ddl_is_enough_to_sign(void **state)
{
    (void)state;
    char url[KIT_PATH_MAX], limited[KIT_PATH_MAX + 32];
    struct slash_identity identity = {.has_genesis_validators_root = true};
    struct slash_store *store;
    struct slash_prune_step step;
    uint64_t adopted = 0;
    postgres_server_schema(url, sizeof url);
    PGconn *client = postgres_server_connect(url);
    sql(client, "DROP ROLE IF EXISTS \"a limited role\"; CREATE ROLE \"a limited role\" LOGIN");
    (void)snprintf(limited, sizeof limited, "%s", url);
    char *user = strstr(limited, "user=signer");
    assert_non_null(user);
    (void)snprintf(user, sizeof limited - (size_t)(user - limited), "user=a%%20limited%%20role%s",
                   strstr(url, "user=signer") + strlen("user=signer"));
    assert_int_not_equal(slash_postgres_create(limited, &identity, &adopted).code, 0);
    assert_int_equal(slash_postgres_migrate(url, "a limited role").code, 0);
    assert_int_equal(slash_postgres_create(limited, &identity, &adopted).code, 0);
    assert_int_equal(slash_postgres_open(limited, NULL, &store).code, 0);
    kit_register(store, 1, 1);
    assert_int_equal(kit_sign(store, kit_attestation(1, 1, 2, 1)), SLASH_SAFE);
    assert_int_equal(kit_sign(store, kit_block(1, 1, 1)), SLASH_SAFE);
    assert_int_equal(slash_prune(store, 2, 32, &step).code, 0);
    slash_store_close(store);
    sql(client, "DROP OWNED BY \"a limited role\"; DROP ROLE \"a limited role\"");
    PQfinish(client);
    postgres_server_drop(url);
}

/* --- pruning stops at the high watermark --------------------------------------------------------------------------------------- */

static void test_P10_pruning_keeps_below_a_high_watermark(void **state)
{
    (void)state;
    struct slash_fixture f;
    struct eth_root genesis = {{1}};
    struct slash_prune_step step = {.more = true};
    struct slash_high high = {true, 10, 10};
    setup(&f);
    kit_register(f.store, 1, 1);
    assert_int_equal(slash_fix_genesis(f.store, &genesis).code, 0);
    for (uint64_t e = 1; e <= 30; e++) {
        if (e == high.epoch) /* so that what is kept begins beyond it */
            continue;
        assert_int_equal(kit_sign(f.store, kit_attestation(1, e - 1, e, e)), SLASH_SAFE);
        assert_int_equal(kit_sign(f.store, kit_block(1, e, e)), SLASH_SAFE);
    }
    assert_int_equal(slash_set_high(f.store, &high).code, 0);
    high.slot = 1;
    assert_int_equal(slash_set_high(f.store, &high).code, ERROR_WATERMARK);
    while (step.more)
        assert_int_equal(slash_prune(f.store, 2, 1, &step).code, 0);
    high.set = false;
    assert_int_equal(slash_set_high(f.store, &high).code, 0);
    assert_int_equal(kit_sign(f.store, kit_block(1, 10, 1)), SLASH_BLOCK_BELOW);
    assert_int_equal(kit_sign(f.store, kit_block(1, 11, 11)), SLASH_REPEAT);
    assert_int_equal(kit_sign(f.store, kit_attestation(1, 9, 10, 1)), SLASH_SOURCE_BELOW);
    assert_int_equal(kit_sign(f.store, kit_attestation(1, 10, 10, 1)), SLASH_TARGET_BELOW);
    assert_int_equal(kit_sign(f.store, kit_attestation(1, 10, 11, 11)), SLASH_REPEAT);
    slash_fixture_teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_history_opens),
        cmocka_unit_test(test_an_estimate_of_many_is_what_the_server_last_found),
        cmocka_unit_test(test_T05_P04_of_two_signers_one_wins),
        cmocka_unit_test(test_T05_a_wait_for_the_lock_sees_what_it_waited_for),
        cmocka_unit_test(test_a_key_that_another_client_holds_delays_nobody_else),
        cmocka_unit_test(test_one_claim_that_the_schema_refuses_fails_no_neighbour),
        cmocka_unit_test(test_a_record_that_the_database_swallows_is_not_signed),
        cmocka_unit_test(test_T05_against_web3signers_transaction_one_wins),
        cmocka_unit_test(test_a_web3signer_database_works_in_place),
        cmocka_unit_test(test_records_that_surround_one_another_are_not_adopted),
        cmocka_unit_test(test_T06_P20_another_timeline_or_cluster_is_refused),
        cmocka_unit_test(test_T06_P20_no_replica_signs_until_each_has_compared),
        cmocka_unit_test(test_T06_P20_a_replica_that_does_not_come_compares_when_it_does),
        cmocka_unit_test(test_T06_P20_a_command_is_not_waited_for),
        cmocka_unit_test(test_T06_P20_only_who_wrote_lately_is_waited_for),
        cmocka_unit_test(test_T06_P21_an_older_copy_is_no_new_timeline),
        cmocka_unit_test(test_T06_a_second_change_while_comparing_begins_anew),
        cmocka_unit_test(test_T08_P04_a_clone_is_noticed_by_the_count),
        cmocka_unit_test(test_P21_a_database_that_went_back_is_refused),
        cmocka_unit_test(test_P01_T06_a_database_that_would_forget_is_refused),
        cmocka_unit_test(test_T07_a_commit_with_a_warning_releases_nothing),
        cmocka_unit_test(test_T07_a_batch_of_repeats_writes_too),
        cmocka_unit_test(test_P19_a_lost_connection_is_made_again),
        cmocka_unit_test(test_P19_P18_a_killed_server_signs_nothing_and_then_goes_on),
        cmocka_unit_test(test_C07_out_of_memory_at_any_allocation),
        cmocka_unit_test(test_P03_opening_makes_no_history),
        cmocka_unit_test(test_a_role_without_ddl_is_enough_to_sign),
        cmocka_unit_test(test_P10_pruning_keeps_below_a_high_watermark),
    };
    const char *only = getenv("CC_TESTS");
    if (only)
        cmocka_set_test_filter(only);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
