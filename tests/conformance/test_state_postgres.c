/* What is PostgreSQL's alone of the state store: its durability, its privileges, a server that goes and comes back. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#include "state/postgres.h"
#include "support/postgres_server.h"
#include "support/state_kit.h"
#include "support/test.h"

static PGconn *admin;

static void sql(const char *text)
{
    char value[8];
    postgres_server_sql(admin, text, value, sizeof value);
}

/* What a connection finds that is made afterwards. */
static void setting(const char *text)
{
    char line[256], now[64], before[64];
    postgres_server_sql(admin, "SELECT pg_conf_load_time()", before, sizeof before);
    (void)snprintf(line, sizeof line, "ALTER SYSTEM %s", text);
    sql(line);
    do { /* the signal is not waited for */
        sql("SELECT pg_reload_conf()");
        postgres_server_sql(admin, "SELECT pg_conf_load_time()", now, sizeof now);
    } while (strcmp(now, before) == 0);
}

static int set_up(void **state)
{
    (void)kit_new(state);
    admin = postgres_server_connect(postgres_server_url());
    return 0;
}

static int tear_down(void **state)
{
    PQfinish(admin);
    return kit_end(state);
}

static struct state_store *make(void)
{
    struct state_store *store = NULL;
    assert_int_equal(kit_open_new("a", &store).code, 0);
    assert_int_equal(kit_put(store, "beta", "one", 0, "first").code, 0);
    return store;
}

static void drop_connections(void)
{
    sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'containment-chamber'");
}

/* Until the database is there again, or the test fails. */
static cc_err refresh_patiently(struct state_store *store, bool *ret_changed)
{
    struct state_fault fault;
    uint64_t until = clock_mono_ms() + 10000;
    cc_err err;
    do
        err = state_refresh(store, ret_changed, &fault);
    while (error_is(err, ERROR_STATE) && clock_mono_ms() < until);
    return err;
}

static void test_P19_a_lost_connection_is_made_again(void **state)
{
    bool changed;
    struct state_fault fault;
    (void)state;
    struct state_store *store = make();
    drop_connections();
    assert_string_equal(error_name(state_refresh(store, &changed, &fault)), "STATE");
    assert_int_equal(refresh_patiently(store, &changed).code, 0);
    assert_false(changed);
    assert_int_equal(kit_put(store, "beta", "one", 1, "second").code, 0);
    state_store_close(store);
}

static void test_P19_a_killed_server_takes_nothing_and_then_goes_on(void **state)
{
    bool changed;
    (void)state;
    if (getenv("CC_POSTGRES_URL"))
        skip(); /* not ours to kill */
    struct state_store *store = make();
    PQfinish(admin);
    postgres_server_do("kill");
    assert_string_equal(error_name(kit_put(store, "beta", "one", 1, "second")), "STATE");
    assert_int_equal(state_find(store, "beta", "one")->version, 1);
    postgres_server_do("start");
    admin = postgres_server_connect(postgres_server_url());
    assert_int_equal(refresh_patiently(store, &changed).code, 0);
    assert_int_equal(kit_put(store, "beta", "one", 1, "second").code, 0);
    state_store_close(store);
}

static void test_P01_a_server_that_would_forget_is_refused(void **state)
{
    static const char *const bad[] = {"fsync", "full_page_writes"};
    (void)state;
    state_store_close(make());
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct state_store *store = NULL;
        struct state_fault fault;
        char line[64];
        (void)snprintf(line, sizeof line, "SET %s = off", bad[i]);
        setting(line);
        cc_err err = kit_open("a", &store, &fault);
        (void)snprintf(line, sizeof line, "RESET %s", bad[i]);
        setting(line);
        assert_string_equal(error_name(err), "STATE");
        assert_non_null(strstr(error_detail(), "would forget"));
    }
}

static void
test_P01_a_server_that_begins_to_forget_is_noticed_before_the_commit_counts(void **state)
{
    (void)state;
    struct state_store *store = make();
    uint64_t version = 1;
    setting("SET full_page_writes = off");
    /* The connection's own process may take the new value a moment later than ours. */
    cc_err err = kit_put(store, "beta", "one", version, "again");
    for (uint64_t until = clock_mono_ms() + 10000; !err.code && clock_mono_ms() < until;)
        err = kit_put(store, "beta", "one", ++version, "again");
    setting("RESET full_page_writes");
    assert_string_equal(error_name(err), "STATE");
    assert_int_equal(state_find(store, "beta", "one")->version, version);
    state_store_close(store);
}

static void test_P01_a_role_that_does_not_wait_waits_here(void **state)
{
    char user[64], line[160], found[32];
    (void)state;
    postgres_server_sql(admin, "SELECT current_user", user, sizeof user);
    (void)snprintf(line, sizeof line, "ALTER ROLE \"%s\" SET synchronous_commit = off", user);
    sql(line);
    struct state_store *store = make();
    PGconn *plain = postgres_server_connect(postgres_server_url());
    postgres_server_sql(plain, "SHOW synchronous_commit", found, sizeof found);
    PQfinish(plain);
    (void)snprintf(line, sizeof line, "ALTER ROLE \"%s\" RESET synchronous_commit", user);
    sql(line);
    assert_string_equal(found, "off");
    assert_int_equal(kit_put(store, "beta", "one", 1, "second").code, 0);
    state_store_close(store);
}

struct writer {
    struct state_store *store;
    cc_err err;
};

static void *put_once(void *argument)
{
    struct writer *w = argument;
    w->err = kit_put(w->store, "beta", "one", 1, "second");
    return NULL;
}

static void cancel_the_wait(void)
{
    char found[8] = "";
    uint64_t until = clock_mono_ms() + 10000;
    while (found[0] != 't' && clock_mono_ms() < until)
        postgres_server_sql(
            admin,
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
            found, sizeof found);
    assert_string_equal(found, "t");
}

/* The server has written it, and the replica has not: it may be gone tomorrow. The caller does not know, and looks. */
static void test_T07_a_commit_with_a_warning_is_none_until_it_is_found(void **state)
{
    pthread_t thread;
    bool changed = false;
    (void)state;
    struct state_store *store = make();
    sql("SET synchronous_commit = local");
    setting("SET synchronous_standby_names = 'nobody'");
    drop_connections();
    assert_string_equal(error_name(kit_put(store, "beta", "one", 1, "x")), "STATE");
    struct writer w = {.store = store};
    assert_int_equal(pthread_create(&thread, NULL, put_once, &w), 0);
    cancel_the_wait();
    assert_int_equal(pthread_join(thread, NULL), 0);
    setting("RESET synchronous_standby_names");
    assert_string_equal(error_name(w.err), "STATE");
    assert_int_equal(state_find(store, "beta", "one")->version, 1);
    assert_int_equal(refresh_patiently(store, &changed).code, 0);
    assert_true(changed);
    assert_int_equal(state_find(store, "beta", "one")->version, 2);
    state_store_close(store);
}

struct reader {
    struct state_store *store;
    cc_err err;
};

static void *refresh_once(void *argument)
{
    struct reader *r = argument;
    struct state_fault fault;
    bool changed;
    r->err = state_refresh(r->store, &changed, &fault);
    return NULL;
}

static void wait_until_a_client_waits_for_a_lock(void)
{
    char waits[8] = "";
    uint64_t until = clock_mono_ms() + 10000;
    while (waits[0] != 't' && clock_mono_ms() < until)
        postgres_server_sql(admin, "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)",
                            waits, sizeof waits);
    assert_string_equal(waits, "t");
}

/* Keeps what the tables hold as `name`_head and `name`_records. */
static void keep(const char *name)
{
    char line[256];
    (void)snprintf(line, sizeof line,
                   "CREATE TABLE %s_head AS TABLE containment_state_head;"
                   "CREATE TABLE %s_records AS TABLE containment_state_records",
                   name, name);
    sql(line);
}

static void bring_back(const char *name)
{
    char line[256];
    (void)snprintf(line, sizeof line,
                   "DELETE FROM containment_state_head; DELETE FROM containment_state_records;"
                   "INSERT INTO containment_state_head TABLE %s_head;"
                   "INSERT INTO containment_state_records TABLE %s_records",
                   name, name);
    sql(line);
}

static void use_the_stores_schema(void)
{
    char schema[128], line[256];
    postgres_server_sql(
        admin,
        "SELECT quote_ident(schemaname) FROM pg_tables WHERE tablename = 'containment_state_head'",
        schema, sizeof schema);
    (void)snprintf(line, sizeof line, "SET search_path = %s", schema);
    sql(line);
}

/* A commit that falls between the reading of the head and of the records is not seen by halves. */
static void test_a_store_is_read_as_of_one_moment(void **state)
{
    pthread_t thread;
    struct state_fault fault;
    bool changed = false;
    struct state_store *b = NULL;
    (void)state;
    struct reader r = {.store = make()};
    use_the_stores_schema();
    assert_int_equal(seen_write(kit_path("b", ".seen"), 1, true).code, 0);
    assert_int_equal(kit_open("b", &b, &fault).code, 0);
    assert_int_equal(kit_put(b, "beta", "one", 1, "second").code, 0);
    keep("second");
    assert_int_equal(kit_put(b, "beta", "one", 2, "third").code, 0);
    keep("third");
    state_store_close(b);
    bring_back("second");
    sql("BEGIN; LOCK TABLE containment_state_records IN ACCESS EXCLUSIVE MODE");
    assert_int_equal(pthread_create(&thread, NULL, refresh_once, &r), 0);
    wait_until_a_client_waits_for_a_lock();
    bring_back("third");
    sql("COMMIT");
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(r.err.code, 0);
    assert_int_equal(state_find(r.store, "beta", "one")->version, 2);
    assert_int_equal(state_refresh(r.store, &changed, &fault).code, 0);
    assert_int_equal(state_find(r.store, "beta", "one")->version, 3);
    state_store_close(r.store);
}

/* A role that may not make tables, nor remove the head, with what `slashing migrate` grants. */
static void test_a_role_without_ddl_is_enough(void **state)
{
    char url[512], limited[512];
    struct state_store *store = NULL;
    (void)state;
    if (getenv("CC_POSTGRES_URL"))
        skip(); /* roles are the whole server's */
    postgres_server_schema(url, sizeof url);
    sql("DROP ROLE IF EXISTS \"a state role\"; CREATE ROLE \"a state role\" LOGIN");
    const char *user = strstr(url, "user=");
    assert_non_null(user);
    (void)snprintf(limited, sizeof limited, "%.*suser=a%%20state%%20role%s", (int)(user - url), url,
                   user + strcspn(user, "&"));
    assert_string_equal(error_name(state_postgres_migrate(limited, NULL)), "STATE");
    assert_int_equal(state_postgres_migrate(url, "a state role").code, 0);
    assert_int_equal(state_postgres_migrate(url, "a state role").code, 0);
    assert_int_equal(state_postgres_migrate(limited, NULL).code, 0); /* nothing to do */
    assert_int_equal(state_postgres_open(limited, kit_path("r", ".state"), &store).code, 0);
    assert_int_equal(state_open_new(store, &kit_pin, kit_path("r", ".seen")).code, 0);
    assert_int_equal(kit_put(store, "beta", "one", 0, "first").code, 0);
    assert_int_equal(kit_put(store, "beta", "one", 1, "second").code, 0);
    const struct state_change gone = {
        .kind = "beta", .name = "one", .expected_version = 2, .remove = true};
    assert_int_equal(state_commit(store, &gone, 1, &kit_signer).code, 0);
    /* What an earlier release granted is enough for everything but that, and then nothing has happened. */
    PGconn *owner = postgres_server_connect(url);
    char none[8];
    postgres_server_sql(owner, "REVOKE DELETE ON containment_state_records FROM \"a state role\"",
                        none, sizeof none);
    PQfinish(owner);
    assert_int_equal(kit_put(store, "beta", "one", 0, "again").code, 0);
    const struct state_change refused_one = {
        .kind = "beta", .name = "one", .expected_version = 1, .remove = true};
    assert_string_equal(error_name(state_commit(store, &refused_one, 1, &kit_signer)), "STATE");
    assert_int_equal(kit_put(store, "beta", "one", 1, "and again").code, 0);
    state_store_close(store);
    PGconn *client = postgres_server_connect(limited);
    PGresult *refused = PQexec(client, "DELETE FROM containment_state_head");
    assert_string_equal(PQresultErrorField(refused, PG_DIAG_SQLSTATE), "42501");
    PQclear(refused);
    PQfinish(client);
    sql("DROP OWNED BY \"a state role\"; DROP ROLE \"a state role\"");
    postgres_server_drop(url);
}

static void test_tables_that_are_missing(void **state)
{
    struct state_store *store = NULL;
    struct state_fault fault;
    char schema[128], line[256];
    (void)state;
    state_store_close(make());
    postgres_server_sql(
        admin,
        "SELECT quote_ident(schemaname) FROM pg_tables WHERE tablename = 'containment_state_records'",
        schema, sizeof schema);
    (void)snprintf(line, sizeof line, "DROP TABLE %s.containment_state_records", schema);
    sql(line);
    assert_string_equal(error_name(kit_open("a", &store, &fault)), "TAMPERED");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_P19_a_lost_connection_is_made_again),
        TEST(test_P19_a_killed_server_takes_nothing_and_then_goes_on),
        TEST(test_P01_a_server_that_would_forget_is_refused),
        TEST(test_P01_a_server_that_begins_to_forget_is_noticed_before_the_commit_counts),
        TEST(test_P01_a_role_that_does_not_wait_waits_here),
        TEST(test_T07_a_commit_with_a_warning_is_none_until_it_is_found),
        TEST(test_a_store_is_read_as_of_one_moment),
        TEST(test_a_role_without_ddl_is_enough),
        TEST(test_tables_that_are_missing),
    };
    if (getenv("CC_TESTS"))
        cmocka_set_test_filter(getenv("CC_TESTS"));
    kit = state_backend_find("postgres");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
