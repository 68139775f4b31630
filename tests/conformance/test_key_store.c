/* One suite for every key store: what is stored is there again, changes are whole and compared, a crash at any write leaves the rows of
 * before or of after it, and what is no key store is refused.
 */
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"

#include "codec/base64.h"
#include "keys/dynamodb_rows.h"
#include "keys/store_dynamodb.h"
#include "support/aws_server.h"
#include "support/dynamodb_table.h"
#include "support/fault_vfs.h"
#include "support/folder.h"
#include "support/postgres_server.h"
#include "support/slash_kit.h"
#include "support/test.h"

static struct folder folder;
static const uint8_t chamber[KEY_STORE_CHAMBER_SIZE] = {1, 2, 3};

/* --- backends ------------------------------------------------------------------------------------------------------- */

static const struct backend {
    const char *name;
    bool shared; /* any number of processes; else a second opener is LOCKED */
    cc_err (*create)(void);
    cc_err (*open)(const uint8_t *of_chamber, struct key_store **ret_store);
    void (*drop)(void);
} * kit;

static cc_err sqlite_create(void)
{
    return key_store_sqlite_create(folder_at(&folder, "keys.sqlite"), false);
}

static cc_err sqlite_open(const uint8_t *of_chamber, struct key_store **ret_store)
{
    (void)of_chamber;
    return key_store_sqlite_open(folder_at(&folder, "keys.sqlite"), false, ret_store);
}

static void sqlite_drop(void)
{
}

static char postgres_url[512];

static cc_err postgres_create(void)
{
    postgres_server_schema(postgres_url, sizeof postgres_url);
    return key_store_postgres_migrate(postgres_url, NULL);
}

static cc_err postgres_open(const uint8_t *of_chamber, struct key_store **ret_store)
{
    return key_store_postgres_open(postgres_url, of_chamber, ret_store);
}

static void postgres_drop(void)
{
    postgres_server_drop(postgres_url);
}

static char table[64];

static cc_err dynamodb_create(void)
{
    dynamodb_table_name(table, sizeof table);
    return key_store_dynamodb_make(dynamodb_table_session(), table);
}

static cc_err dynamodb_open(const uint8_t *of_chamber, struct key_store **ret_store)
{
    return key_store_dynamodb_open(dynamodb_table_session(), table, of_chamber, ret_store);
}

static void dynamodb_drop(void)
{
    aws_server_do("clear");
}

static const struct backend backends[] = {
    {"sqlite", false, sqlite_create, sqlite_open, sqlite_drop},
    {"postgres", true, postgres_create, postgres_open, postgres_drop},
    {"dynamodb", true, dynamodb_create, dynamodb_open, dynamodb_drop},
};

static int begin(void **state)
{
    (void)state;
    fault_vfs_plan((struct fault_plan){0});
    fault_vfs_trust_disk();
    folder_make(&folder);
    assert_int_equal(kit->create().code, 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    kit->drop();
    folder_remove(&folder);
    return 0;
}

static cc_err try_open(struct key_store **ret_store)
{
    CC_TRY(kit->open(chamber, ret_store));
    cc_err err = key_store_begin(*ret_store);
    if (err.code)
        key_store_close(*ret_store);
    return err;
}

static struct key_store *open_store(void)
{
    struct key_store *store = NULL;
    cc_err err = try_open(&store);
    if (err.code)
        fail_msg("%s (%s)", error_name(err), error_detail());
    return store;
}

/* Calls of a service, which an emulator answers slowly: on a busy machine later than a signer waits. */
static bool is_far(void)
{
    return strcmp(kit->name, "dynamodb") == 0;
}

static bool is_short(void)
{
    return is_far() && !getenv("CC_FULL");
}

/* --- rows ----------------------------------------------------------------------------------------------------------------- */

enum {
    ROWS = 24
};

struct model {
    struct sealed_row rows[ROWS]; /* by number; version 0: none */
};

static struct eth_pubkey pubkey(unsigned n)
{
    struct eth_pubkey key = {{0}};
    key.bytes[0] = (uint8_t)(0x80 | (n * 37 & 0x3f)); /* not in the order of their numbers */
    key.bytes[47] = (uint8_t)n;
    return key;
}

static struct sealed_row row(unsigned n, enum row_status status, uint64_t version)
{
    struct sealed_row r = {
        .pubkey = pubkey(n), .status = status, .generation = 1, .version = version};
    if (status != ROW_DELETED)
        for (size_t i = 0; i < sizeof r.sealed; i++)
            r.sealed[i] = (uint8_t)(n + version * 7 + i);
    return r;
}

struct reading {
    struct sealed_row rows[ROWS + 1];
    size_t count;
};

static cc_err take(void *context, const struct sealed_row *from)
{
    struct reading *reading = context;
    assert_true(reading->count <= ROWS);
    reading->rows[reading->count++] = *from;
    return CC_OK;
}

static bool same_row(const struct sealed_row *a, const struct sealed_row *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static bool is_model(struct key_store *store, const struct model *model)
{
    static struct reading reading;
    size_t there = 0;
    reading.count = 0;
    assert_int_equal(key_store_scan(store, take, &reading).code, 0);
    for (size_t i = 1; i < reading.count; i++)
        assert_true(key_store_order(&reading.rows[i - 1].pubkey, &reading.rows[i].pubkey) < 0);
    for (unsigned n = 0; n < ROWS; n++)
        there += model->rows[n].version > 0;
    bool same = there == reading.count;
    for (size_t i = 0; same && i < reading.count; i++)
        same = same_row(&reading.rows[i], &model->rows[reading.rows[i].pubkey.bytes[47]]);
    return same;
}

static cc_err put(struct key_store *store, unsigned n, uint64_t expected, enum row_status status)
{
    const struct key_change change = {expected, row(n, status, expected + 1)};
    return key_store_put(store, &change, 1);
}

/* --- tests ------------------------------------------------------------------------------------------------------------------ */

static void test_what_was_stored_is_there_again(void **state)
{
    (void)state;
    struct model model = {0};
    struct key_store *store = open_store();
    assert_true(is_model(store, &model));
    for (unsigned n = 0; n < 5; n++) {
        assert_int_equal(put(store, n, 0, ROW_ACTIVE).code, 0);
        model.rows[n] = row(n, ROW_ACTIVE, 1);
    }
    struct key_change change = key_store_tombstone(&model.rows[2]);
    assert_int_equal(key_store_delete(store, &change, 1).code, 0);
    model.rows[2] = row(2, ROW_DELETED, 2);
    change = (struct key_change){1, row(3, ROW_INACTIVE, 2)};
    assert_int_equal(key_store_set_status(store, &change, 1).code, 0);
    model.rows[3] = change.next;
    assert_true(is_model(store, &model));
    key_store_close(store);
    store = open_store();
    assert_true(is_model(store, &model));
    /* Beyond its tombstone, never back to what it was. */
    assert_int_equal(put(store, 2, 2, ROW_ACTIVE).code, 0);
    model.rows[2] = row(2, ROW_ACTIVE, 3);
    assert_true(is_model(store, &model));
    key_store_close(store);
}

static void test_a_change_is_made_only_where_the_row_is_what_it_was(void **state)
{
    (void)state;
    struct model model = {0};
    struct key_store *store = open_store();
    assert_int_equal(put(store, 1, 0, ROW_ACTIVE).code, 0);
    model.rows[1] = row(1, ROW_ACTIVE, 1);
    assert_true(error_is(put(store, 1, 0, ROW_ACTIVE), ERROR_CONFLICT)); /* there is one */
    assert_true(error_is(put(store, 2, 1, ROW_ACTIVE), ERROR_CONFLICT)); /* there is none */
    assert_true(error_is(put(store, 1, 2, ROW_ACTIVE), ERROR_CONFLICT)); /* it is 1 */
    const struct key_change gone = {7, row(1, ROW_DELETED, 8)};
    assert_true(error_is(key_store_delete(store, &gone, 1), ERROR_CONFLICT));
    assert_true(is_model(store, &model));
    /* One that does not fit, and nothing of it is made. */
    const struct key_change several[] = {
        {0, row(4, ROW_ACTIVE, 1)}, {1, row(1, ROW_ACTIVE, 2)}, {3, row(5, ROW_ACTIVE, 4)}};
    assert_true(error_is(key_store_put(store, several, 3), ERROR_CONFLICT));
    assert_true(is_model(store, &model));
    assert_int_equal(key_store_put(store, several, 2).code, 0);
    model.rows[4] = several[0].next;
    model.rows[1] = several[1].next;
    assert_true(is_model(store, &model));
    key_store_close(store);
}

/* Some changes of different keys that fit the model; the model is as after them. */
static size_t any_changes(struct chance *chance, struct model *model, struct key_change *changes)
{
    const size_t n = 1 + chance_below(chance, 5);
    const unsigned first = (unsigned)chance_below(chance, ROWS);
    for (size_t i = 0; i < n; i++) {
        struct sealed_row *at = &model->rows[(first + i) % ROWS];
        const uint64_t version = at->version;
        const bool live = version && at->status != ROW_DELETED;
        const enum row_status status = live ? (enum row_status)(1 + chance_below(chance, 3))
                                            : (enum row_status)(1 + chance_below(chance, 2));
        *at = row((first + (unsigned)i) % ROWS, status, version + 1 + chance_below(chance, 2));
        changes[i] = (struct key_change){version, *at};
    }
    return n;
}

/* A change may be of several kinds: each is written by its own verb. */
static cc_err write_some(struct key_store *store, const struct key_change *changes, size_t n)
{
    size_t deleted = 0;
    for (size_t i = 0; i < n; i++)
        deleted += changes[i].next.status == ROW_DELETED;
    if (deleted == n)
        return key_store_delete(store, changes, n);
    if (deleted == 0)
        return key_store_put(store, changes, n);
    for (size_t i = 0; i < n; i++)
        CC_TRY(write_some(store, &changes[i], 1));
    return CC_OK;
}

static void test_a_random_life(void **state)
{
    (void)state;
    struct model model = {0};
    struct key_change changes[8];
    struct chance chance = chance_new("key store");
    struct key_store *store = open_store();
    for (unsigned round = 0; round < (is_short() ? 15U : 150U); round++) {
        const size_t n = any_changes(&chance, &model, changes);
        assert_int_equal(write_some(store, changes, n).code, 0);
        assert_true(round % 10 || is_model(store, &model));
        if (round % 40 == 39) {
            key_store_close(store);
            store = open_store();
        }
    }
    assert_true(is_model(store, &model));
    key_store_close(store);
}

static void test_a_store_is_used_by_one_process(void **state)
{
    (void)state;
    struct key_store *store = open_store();
    struct key_store *second = NULL;
    assert_true(error_is(kit->open(chamber, &second), ERROR_LOCKED));
    key_store_close(store);
    key_store_close(open_store());
}

/* --- a change of as many rows as may be ------------------------------------------------------------------------------------- */

static struct sealed_row many_row(unsigned n, enum row_status status, uint64_t version)
{
    struct sealed_row r = row(n % ROWS, status, version);
    r.pubkey.bytes[20] = (uint8_t)(n >> 8);
    r.pubkey.bytes[21] = (uint8_t)n;
    return r;
}

struct count {
    size_t at[16]; /* by version */
    size_t all;
};

static cc_err count_row(void *context, const struct sealed_row *from)
{
    struct count *count = context;
    assert_true(from->version < ARRAY_LEN(count->at));
    count->at[from->version]++;
    count->all++;
    return CC_OK;
}

static cc_err write_many(struct key_store *store, uint64_t expected)
{
    static struct key_change changes[KEY_STORE_CHANGE_MAX];
    for (unsigned n = 0; n < KEY_STORE_CHANGE_MAX; n++)
        changes[n] = (struct key_change){expected, many_row(n, ROW_ACTIVE, expected + 1)};
    return key_store_put(store, changes, KEY_STORE_CHANGE_MAX);
}

static void sleep_us(long us)
{
    const struct timespec pause = {us / 1000000, us % 1000000 * 1000};
    (void)nanosleep(&pause, NULL);
}

enum {
    PATIENCE = 40
};

/* All rows are of one change: of which. An emulator that is busy may need more than a signer's patience. */
static uint64_t version_of_all(struct key_store *store)
{
    struct count count = {0};
    cc_err err = key_store_scan(store, count_row, &count);
    for (unsigned tries = 0; tries < PATIENCE && error_is(err, ERROR_STORE); tries++) {
        count = (struct count){0};
        err = key_store_scan(store, count_row, &count);
    }
    assert_int_equal(err.code, 0);
    assert_true(count.all == 0 || count.all == KEY_STORE_CHANGE_MAX);
    for (uint64_t version = 0; version < ARRAY_LEN(count.at); version++)
        if (count.at[version] == count.all)
            return version;
    fail_msg("%zu rows of %zu are of the last change", count.at[2], count.all);
    return 0;
}

/* The same for writing: what a killed writer had sent may arrive while this one writes. */
static void write_patiently(struct key_store *store, uint64_t expected)
{
    cc_err err = write_many(store, expected);
    for (unsigned tries = 0; tries < PATIENCE && err.code && is_far(); tries++) {
        assert_true(error_is(err, ERROR_STORE) || error_is(err, ERROR_CONFLICT));
        expected = version_of_all(store);
        err = write_many(store, expected);
    }
    assert_int_equal(err.code, 0);
    assert_int_equal(version_of_all(store), expected + 1);
}

static void test_the_largest_change_is_one(void **state)
{
    (void)state;
    struct key_store *store = open_store();
    write_patiently(store, 0);
    write_patiently(store, 1);
    const uint64_t version = version_of_all(store);
    cc_err err = write_many(store, version - 1);
    for (unsigned tries = 0; tries < PATIENCE && is_far() && error_is(err, ERROR_STORE); tries++)
        err = write_many(store, version - 1);
    assert_true(error_is(err, ERROR_CONFLICT));
    assert_int_equal(version_of_all(store), version);
    key_store_close(store);
}

/* All rows are of the change before or of the one after it, and the next one goes on from there. */
static void test_C10_a_kill_in_the_middle_of_a_change_leaves_it_whole(void **state)
{
    struct chance chance = chance_new("kill of a key store's writer");
    unsigned made = 0;
    (void)state;
    if (is_short()) {
        print_message(
            "  left out: changes of this size take an emulator long; the long form (CC_FULL=1) makes them\n");
        return;
    }
    for (unsigned round = 0; round < (is_far() ? 6U : 20U); round++) {
        (void)end(state);
        (void)begin(state);
        struct key_store *store = open_store();
        write_patiently(store, 0);
        key_store_close(store);
        const pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            store = open_store();
            (void)write_many(store, 1).code;
            for (;;)
                (void)pause();
        }
        sleep_us((long)chance_below(&chance, is_far() ? 2500000 : 30000));
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        store = open_store();
        const uint64_t version = version_of_all(store);
        assert_in_range(version, 1, 2);
        made += version == 2;
        write_patiently(store, version);
        key_store_close(store);
    }
    print_message("  %u changes were made before the kill\n", made);
}

static void test_C07_out_of_memory_at_every_allocation(void **state)
{
    struct model model = {0};
    struct key_store *store = open_store();
    (void)state;
    for (uint64_t nth = 1; nth < 400; nth += is_short() ? 15 : 1) {
        static struct reading reading;
        const uint64_t version = model.rows[1].version;
        reading.count = 0;
        (void)alloc_fail_nth(nth);
        cc_err err = key_store_scan(store, take, &reading);
        if (!err.code)
            err = put(store, 1, version, ROW_ACTIVE);
        (void)alloc_fail_nth(0);
        assert_true(!err.code || error_is(err, ERROR_NO_MEMORY) || error_is(err, ERROR_STORE) ||
                    error_is(err, ERROR_CONFIG));
        reading.count = 0;
        assert_int_equal(key_store_scan(store, take, &reading).code, 0);
        model.rows[1].version = reading.count ? reading.rows[0].version : 0;
        assert_true(model.rows[1].version == version || model.rows[1].version == version + 1);
        assert_true(err.code || model.rows[1].version == version + 1);
    }
    key_store_close(store);
}

/* --- shared stores ------------------------------------------------------------------------------------------------------------- */

static void test_of_two_writers_one_is_first(void **state)
{
    struct model model = {0};
    (void)state;
    struct key_store *one = open_store();
    struct key_store *two = open_store();
    assert_memory_equal(one->id, two->id, sizeof one->id);
    assert_int_equal(put(one, 1, 0, ROW_ACTIVE).code, 0);
    model.rows[1] = row(1, ROW_ACTIVE, 1);
    assert_true(error_is(put(two, 1, 0, ROW_ACTIVE), ERROR_CONFLICT));
    /* Another row is no other store: what was decided on an older state is decided anew. */
    assert_true(error_is(put(two, 2, 0, ROW_ACTIVE), ERROR_CONFLICT));
    assert_true(is_model(two, &model));
    assert_int_equal(put(two, 2, 0, ROW_ACTIVE).code, 0);
    model.rows[2] = row(2, ROW_ACTIVE, 1);
    assert_true(is_model(one, &model));
    key_store_close(one);
    key_store_close(two);
}

/* What the writers of a race know. */
struct race {
    atomic_uint made;
    atomic_uint unanswered; /* each was made or wasn't */
};

/* Raises one row's version as often as it can. */
static void run_race(struct race *race, unsigned rounds)
{
    struct key_store *store = open_store();
    for (unsigned made = 0; made < rounds;) {
        static struct reading reading;
        reading.count = 0;
        if (key_store_scan(store, take, &reading).code)
            continue;
        const uint64_t version = reading.count ? reading.rows[0].version : 0;
        cc_err err = put(store, 1, version, ROW_ACTIVE);
        made += !err.code;
        race->made += err.code ? 0U : 1U;
        race->unanswered += error_is(err, ERROR_STORE) ? 1U : 0U;
        if (err.code && !error_is(err, ERROR_CONFLICT) && !error_is(err, ERROR_STORE))
            _exit(1);
    }
    _exit(0);
}

static void test_writers_race(void **state)
{
    enum {
        WRITERS = 3
    };
    static struct reading reading;
    const unsigned rounds = is_short() ? 5 : 60;
    pid_t pids[WRITERS];
    (void)state;
    struct race *race =
        mmap(NULL, sizeof *race, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(race != MAP_FAILED);
    for (unsigned i = 0; i < WRITERS; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0)
            run_race(race, rounds);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        int status = 0;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    struct key_store *store = open_store();
    reading.count = 0;
    assert_int_equal(key_store_scan(store, take, &reading).code, 0);
    assert_int_equal(reading.count, 1);
    assert_int_equal(race->made, WRITERS * rounds);
    assert_true(race->unanswered == 0 || is_far());
    assert_in_range(reading.rows[0].version, race->made,
                    race->made + race->unanswered); /* none was lost */
    key_store_close(store);
    assert_int_equal(munmap(race, sizeof *race), 0);
}

/* What was begun before a fence is not made after it. */
static void test_a_fence_stops_an_older_writer(void **state)
{
    struct model model = {0};
    (void)state;
    struct key_store *slow = open_store();
    struct key_store *other = open_store();
    assert_int_equal(put(slow, 1, 0, ROW_ACTIVE).code, 0);
    model.rows[1] = row(1, ROW_ACTIVE, 1);
    assert_true(error_is(key_store_fence(other), ERROR_CONFLICT)); /* it has not seen that one */
    assert_true(is_model(other, &model));
    assert_int_equal(key_store_fence(other).code, 0);
    assert_true(error_is(put(slow, 1, 1, ROW_ACTIVE), ERROR_CONFLICT));
    assert_true(error_is(put(slow, 2, 0, ROW_ACTIVE), ERROR_CONFLICT));
    assert_true(is_model(slow, &model));
    assert_int_equal(put(slow, 2, 0, ROW_ACTIVE).code, 0);
    key_store_close(slow);
    key_store_close(other);
}

static void test_T02_another_chambers_store_is_refused(void **state)
{
    static const uint8_t others[KEY_STORE_CHAMBER_SIZE] = {9};
    static struct reading reading;
    struct key_store *store = open_store();
    (void)state;
    assert_int_equal(put(store, 1, 0, ROW_ACTIVE).code, 0);
    key_store_close(store);
    assert_int_equal(kit->open(others, &store).code, 0);
    assert_true(error_is(key_store_scan(store, take, &reading), ERROR_IDENTITY));
    key_store_close(store);
    assert_int_equal(kit->open(others, &store).code, 0);
    assert_true(error_is(key_store_begin(store), ERROR_IDENTITY));
    key_store_close(store);
}

static void test_nothing_is_written_before_it_is_begun(void **state)
{
    static struct reading reading;
    struct key_store *store = NULL;
    (void)state;
    assert_int_equal(kit->open(chamber, &store).code, 0);
    assert_true(error_is(put(store, 1, 0, ROW_ACTIVE), ERROR_CONFLICT));
    reading.count = 0;
    assert_int_equal(key_store_scan(store, take, &reading).code, 0);
    assert_int_equal(reading.count, 0);
    assert_false(store->has_id);
    assert_true(error_is(key_store_fence(store), ERROR_CONFLICT)); /* others may have, meanwhile */
    assert_int_equal(key_store_begin(store).code, 0);
    assert_int_equal(put(store, 1, 0, ROW_ACTIVE).code, 0);
    key_store_close(store);
}

/* --- power cuts ---------------------------------------------------------------------------------------------------------------- */

enum {
    STEPS = 6
};

static void models_of_life(struct model models[static STEPS + 1],
                           struct key_change changes[static STEPS][4])
{
    memset(models, 0, (STEPS + 1) * sizeof *models);
    for (unsigned step = 0; step < STEPS; step++) {
        models[step + 1] = models[step];
        for (unsigned i = 0; i < 4; i++) {
            const unsigned n = step < 3 ? step * 4 + i : (step - 3) * 4 + i;
            struct sealed_row *at = &models[step + 1].rows[n];
            changes[step][i].expected = at->version;
            *at = row(n, step < 3 ? ROW_ACTIVE : ROW_DELETED, at->version + 1);
            changes[step][i].next = *at;
        }
    }
}

/* A child lives until the power goes; returns how many steps it was told were durable, or -1 when it came to its end. */
static int live_in_child(struct fault_plan plan, struct key_change changes[static STEPS][4])
{
    int line[2];
    uint8_t told = 0;
    int steps = 0;
    int status = 0;
    assert_int_equal(pipe(line), 0);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct key_store *store = NULL;
        fault_vfs_trust_disk();
        fault_vfs_plan(plan);
        cc_err err = try_open(&store);
        for (unsigned step = 0; step < STEPS && !err.code; step++) {
            err = write_some(store, changes[step], 4);
            if (!err.code && write(line[1], &told, 1) != 1)
                _exit(1);
        }
        _exit(err.code ? 1 : 0);
    }
    (void)close(line[1]);
    while (read(line[0], &told, 1) == 1)
        steps++;
    (void)close(line[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == FAULT_EXIT);
    return WEXITSTATUS(status) == 0 ? -1 : steps;
}

static void test_C10_power_cut_at_any_write_or_sync(void **state)
{
    static struct model models[STEPS + 1];
    static struct key_change changes[STEPS][4];
    (void)state;
    models_of_life(models, changes);
    for (int survivors = SURVIVE_NOTHING; survivors <= SURVIVE_TORN; survivors++) {
        unsigned places = 0;
        for (struct fault_plan plan = {.kind = FAULT_POWER_CUT,
                                      .at = 1,
                                      .survivors = (enum fault_survivors)survivors,
                                      .seed = 99};
             ; plan.at++, places++) {
            (void)end(state);
            (void)begin(state);
            const int steps = live_in_child(plan, changes);
            if (steps < 0)
                break;
            struct key_store *store = open_store();
            assert_true(is_model(store, &models[steps]) || is_model(store, &models[steps + 1]));
            key_store_close(store);
        }
        print_message("  power cut at %u places\n", places);
        assert_true(places > 20);
    }
}

/* --- SQLite alone -------------------------------------------------------------------------------------------------------------- */

static void execute(const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(folder_at(&folder, "keys.sqlite"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void test_the_file_is_its_owners_alone_and_never_replaced(void **state)
{
    struct stat st;
    (void)state;
    assert_int_equal(stat(folder_at(&folder, "keys.sqlite"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(error_is(kit->create(), ERROR_EXISTS));
    assert_int_equal(unlink(folder_at(&folder, "keys.sqlite")), 0);
    struct key_store *store = NULL;
    assert_true(error_is(kit->open(chamber, &store), ERROR_TAMPERED)); /* opening makes nothing */
    folder_write(&folder, "keys.sqlite", "", 0, 0600);
    assert_int_equal(kit->create().code, 0); /* left of a crash */
}

static void test_what_is_no_key_store_is_refused(void **state)
{
    static const char garbage[] = "this is a text that is long enough to be looked at";
    struct key_store *store = NULL;
    (void)state;
    execute("PRAGMA application_id = 7");
    assert_true(error_is(kit->open(chamber, &store), ERROR_TAMPERED));
    folder_write(&folder, "keys.sqlite", garbage, sizeof garbage, 0600);
    assert_true(error_is(kit->open(chamber, &store), ERROR_TAMPERED));
}

static void test_rows_that_no_store_would_write_are_refused(void **state)
{
    static const char *const attacks[] = {
        "UPDATE keys SET pubkey = x'00'",   "UPDATE keys SET status = 9",
        "UPDATE keys SET version = -5",     "UPDATE keys SET generation = 0",
        "UPDATE keys SET nonce = NULL",     "UPDATE keys SET ciphertext = zeroblob(20)",
        "UPDATE keys SET version = 'text'",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(attacks); i++) {
        static struct reading reading;
        (void)end(state);
        (void)begin(state);
        struct key_store *store = open_store();
        assert_int_equal(put(store, 1, 0, ROW_ACTIVE).code, 0);
        key_store_close(store);
        /* A table without the checks, as another hand would write it. */
        execute(
            "CREATE TABLE plain AS SELECT * FROM keys; DROP TABLE keys; ALTER TABLE plain RENAME TO keys;");
        execute(attacks[i]);
        store = open_store();
        reading.count = 0;
        assert_true(error_is(key_store_scan(store, take, &reading), ERROR_TAMPERED));
        key_store_close(store);
    }
}

static void test_nothing_is_written_to_a_file_that_was_replaced(void **state)
{
    char from[300], to[300];
    (void)state;
    struct key_store *store = open_store();
    (void)snprintf(from, sizeof from, "%s", folder_at(&folder, "keys.sqlite"));
    (void)snprintf(to, sizeof to, "%s", folder_at(&folder, "elsewhere"));
    assert_int_equal(rename(from, to), 0);
    assert_true(error_is(put(store, 1, 0, ROW_ACTIVE), ERROR_KEY_STORE));
    assert_int_equal(rename(to, from), 0);
    assert_int_equal(put(store, 1, 0, ROW_ACTIVE).code, 0);
    key_store_close(store);
}

/* --- PostgreSQL alone ------------------------------------------------------------------------------------------------------------ */

static void sql(const char *text)
{
    char value[8];
    PGconn *conn = postgres_server_connect(postgres_url);
    postgres_server_sql(conn, text, value, sizeof value);
    PQfinish(conn);
}

static void test_T02_rows_of_a_database_that_no_store_would_write(void **state)
{
    static const char *const attacks[] = {
        "UPDATE containment_keys SET pubkey = '\\x00'",
        "UPDATE containment_keys SET status = 9",
        "UPDATE containment_keys SET version = -5",
        "UPDATE containment_keys SET generation = 0",
        "UPDATE containment_keys SET sealed = NULL",
        "UPDATE containment_keys SET sealed = '\\x0011'",
        "UPDATE containment_keys SET version = NULL",
        "INSERT INTO containment_keys SELECT * FROM containment_keys",
        "UPDATE containment_key_store SET store_id = '\\x00'",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(attacks); i++) {
        static struct reading reading;
        (void)end(state);
        (void)begin(state);
        struct key_store *store = open_store();
        assert_int_equal(put(store, 1, 0, ROW_ACTIVE).code, 0);
        /* Tables without the checks, as another hand would write them. */
        sql("CREATE TABLE plain AS SELECT * FROM containment_keys; DROP TABLE containment_keys;"
            "ALTER TABLE plain RENAME TO containment_keys; CREATE INDEX ON containment_keys (pubkey);"
            "CREATE TABLE plain AS SELECT * FROM containment_key_store; DROP TABLE containment_key_store;"
            "ALTER TABLE plain RENAME TO containment_key_store");
        sql(attacks[i]);
        reading.count = 0;
        cc_err err = key_store_scan(store, take, &reading);
        if (!error_is(err, ERROR_TAMPERED))
            fail_msg("%s: %s", attacks[i], error_name(err));
        key_store_close(store);
    }
}

/* Another store in the place of the one that is open, or what is left of one. */
static void test_T02_a_store_that_was_exchanged_takes_nothing(void **state)
{
    (void)state;
    struct key_store *store = open_store();
    assert_int_equal(put(store, 1, 0, ROW_ACTIVE).code, 0);
    sql("UPDATE containment_key_store SET store_id = decode(repeat('77', 16), 'hex')");
    assert_true(error_is(put(store, 2, 0, ROW_ACTIVE), ERROR_CONFLICT));
    assert_true(error_is(key_store_fence(store), ERROR_CONFLICT));
    key_store_close(store);
    sql("DELETE FROM containment_key_store");
    assert_int_equal(kit->open(chamber, &store).code, 0);
    assert_true(error_is(key_store_begin(store), ERROR_TAMPERED));
    key_store_close(store);
}

static void test_P19_a_lost_connection_is_made_again(void **state)
{
    struct model model = {0};
    (void)state;
    struct key_store *store = open_store();
    assert_int_equal(put(store, 1, 0, ROW_ACTIVE).code, 0);
    model.rows[1] = row(1, ROW_ACTIVE, 1);
    sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'containment-chamber'");
    cc_err err = put(store, 2, 0, ROW_ACTIVE); /* it may find out only now */
    assert_true(error_is(err, ERROR_STORE) || !err.code);
    if (!err.code)
        model.rows[2] = row(2, ROW_ACTIVE, 1);
    assert_true(is_model(store, &model));
    key_store_close(store);
}

/* A role that may not delete, nor make tables, is enough; one that may not write is told. */
static void test_the_role_of_a_signer(void **state)
{
    char url[600], role[64];
    struct key_store *store = NULL;
    struct model model = {0};
    (void)state;
    (void)snprintf(role, sizeof role, "keys_%d", (int)getpid());
    char line[256];
    (void)snprintf(line, sizeof line, "CREATE ROLE %s LOGIN", role);
    sql(line);
    assert_int_equal(key_store_postgres_migrate(postgres_url, role).code, 0);
    (void)snprintf(url, sizeof url, "%s&user=%s", postgres_url, role);
    assert_int_equal(key_store_postgres_open(url, chamber, &store).code, 0);
    assert_int_equal(key_store_begin(store).code, 0);
    assert_int_equal(put(store, 1, 0, ROW_ACTIVE).code, 0);
    model.rows[1] = row(1, ROW_ACTIVE, 1);
    assert_true(is_model(store, &model));
    assert_int_equal(key_store_postgres_migrate(url, NULL).code, 0); /* there is nothing to make */
    (void)snprintf(line, sizeof line, "REVOKE UPDATE ON containment_keys FROM %s", role);
    sql(line);
    assert_true(error_is(put(store, 1, 1, ROW_ACTIVE), ERROR_STORE));
    assert_true(is_model(store, &model));
    key_store_close(store);
    (void)snprintf(line, sizeof line, "DROP OWNED BY %s; DROP ROLE %s", role, role);
    sql(line);
}

/* --- DynamoDB alone -------------------------------------------------------------------------------------------------------------- */

/* Whatever happens to a try, or to its answer, what is said is true. */
static void test_what_was_not_answered_is_found_out(void **state)
{
    static const char *const kinds[] = {"drop", "500after", "half", "throttle", "refuse", "500"};
    struct model model = {0};
    uint64_t version = 0;
    (void)state;
    struct key_store *store = open_store();
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        for (unsigned count = 1; count < 4; count++) {
            aws_server_do("fault %s PutItem %u", kinds[i], count);
            assert_int_equal(put(store, 1, version, ROW_ACTIVE).code, 0);
            aws_server_do("clear");
            model.rows[1] = row(1, ROW_ACTIVE, ++version);
            assert_true(is_model(store, &model));
        }
    key_store_close(store);
}

/* A writer that ends when its head is written and none of its items: who reads sees the change, and the next change keeps it. */
static void test_a_head_without_its_items_is_a_change(void **state)
{
    struct model model = {0};
    (void)state;
    struct key_store *store = open_store();
    assert_int_equal(put(store, 1, 0, ROW_ACTIVE).code, 0);
    const struct key_change changes[] = {{1, row(1, ROW_INACTIVE, 2)}, {0, row(2, ROW_ACTIVE, 1)}};
    assert_int_equal(key_store_put(store, changes, 2).code, 0);
    key_store_close(store);
    for (unsigned n = 1; n <= 2; n++) { /* as they were before */
        CC_CLEANUP(buf_release) struct buf item = buf_init(1 << 12);
        const struct sealed_row before = row(n, ROW_ACTIVE, 1);
        assert_int_equal(n == 1 ? dynamodb_key_row_append(&item, &before).code
                                : dynamodb_key_row_place(&item, &before.pubkey).code,
                         0);
        assert_int_equal(buf_append(&item, "", 1).code, 0);
        dynamodb_table_call(n == 1 ? "PutItem" : "DeleteItem", "{\"TableName\":\"%s\",\"%s\":%s}",
                            table, n == 1 ? "Item" : "Key", (const char *)item.data);
    }
    model.rows[1] = changes[0].next;
    model.rows[2] = changes[1].next;
    store = open_store();
    assert_true(is_model(store, &model));
    key_store_close(store);
    store = open_store();
    assert_int_equal(put(store, 3, 0, ROW_ACTIVE).code, 0);
    model.rows[3] = row(3, ROW_ACTIVE, 1);
    assert_true(is_model(store, &model));
    key_store_close(store);
    store = open_store();
    assert_true(is_model(store, &model));
    assert_int_equal(put(store, 2, 1, ROW_ACTIVE).code, 0);
    key_store_close(store);
}

static void put_item(const char *attributes)
{
    dynamodb_table_call("PutItem", "{\"TableName\":\"%s\",\"Item\":{%s}}", table, attributes);
}

static void test_T02_items_that_no_store_would_write(void **state)
{
    static const char *const attacks[] = {
        "\"pk\":{\"S\":\"keys/3\"},\"sk\":{\"S\":\"stranger\"}",
        "\"pk\":{\"S\":\"keys\"},\"sk\":{\"S\":\"head\"}",
        "\"pk\":{\"S\":\"keys/3\"},\"sk\":{\"S\":\"8c\"},\"version\":{\"N\":\"1\"}",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(attacks); i++) {
        static struct reading reading;
        (void)end(state);
        (void)begin(state);
        struct key_store *store = open_store();
        assert_int_equal(put(store, 1, 0, ROW_ACTIVE).code, 0);
        put_item(attacks[i]);
        reading.count = 0;
        assert_true(error_is(key_store_scan(store, take, &reading), ERROR_TAMPERED));
        key_store_close(store);
    }
}

static void test_T27_a_table_that_expires_items_or_is_another_is_refused(void **state)
{
    static struct reading reading;
    struct key_store *store = open_store();
    (void)state;
    assert_int_equal(put(store, 1, 0, ROW_ACTIVE).code, 0);
    key_store_close(store);
    dynamodb_table_call("UpdateTimeToLive",
                        "{\"TableName\":\"%s\",\"TimeToLiveSpecification\":{\"Enabled\":true,"
                        "\"AttributeName\":\"expires\"}}",
                        table);
    assert_int_equal(kit->open(chamber, &store).code, 0);
    assert_true(error_is(key_store_scan(store, take, &reading), ERROR_IDENTITY));
    key_store_close(store);
    assert_true(error_is(key_store_dynamodb_make(dynamodb_table_session(), table), ERROR_IDENTITY));
    /* The same items in another table, as a restore has them. */
    CC_CLEANUP(buf_release) struct buf head = buf_init(1 << 16);
    (void)end(state);
    (void)begin(state);
    struct dynamodb_key_head other = {.mark = 1, .table_id = "another-table"};
    memcpy(other.chamber, chamber, sizeof chamber);
    assert_int_equal(buf_append_str(&head, "{\"Item\":").code, 0);
    assert_int_equal(dynamodb_key_head_append(&head, &other).code, 0);
    assert_int_equal(buf_append(&head, "", 1).code, 0);
    dynamodb_table_call("PutItem", "{\"TableName\":\"%s\",%s}", table, (const char *)head.data + 1);
    assert_int_equal(kit->open(chamber, &store).code, 0);
    assert_true(error_is(key_store_scan(store, take, &reading), ERROR_IDENTITY));
    key_store_close(store);
}

static void test_a_digest_tells_rows_apart(void **state)
{
    uint8_t digest[KEY_STORE_DIGEST_SIZE], other[KEY_STORE_DIGEST_SIZE];
    const struct sealed_row rows[] = {row(0, ROW_ACTIVE, 1), row(1, ROW_ACTIVE, 1)};
    (void)state;
    assert_int_equal(key_store_digest(rows, 2, digest).code, 0);
    for (unsigned i = 0; i < 5; i++) {
        struct sealed_row changed[2] = {rows[0], rows[1]};
        if (i == 0)
            changed[1].version = 2;
        else if (i == 1)
            changed[1].status = ROW_INACTIVE;
        else if (i == 2)
            changed[1].pubkey.bytes[3] ^= 1;
        else if (i == 4)
            changed[1].generation++; /* T3: else a rotation would take it for sealed anew */
        assert_int_equal(key_store_digest(changed, i == 3 ? 1 : 2, other).code, 0);
        assert_memory_not_equal(digest, other, sizeof digest);
    }
}

#define TEST(f)          cmocka_unit_test_setup_teardown(f, begin, end)
#define RUN(name, tests) cmocka_run_group_tests_name(name, tests, NULL, NULL)

static int run_own(void)
{
    const struct CMUnitTest of_sqlite[] = {
        TEST(test_a_store_is_used_by_one_process),
        TEST(test_C10_power_cut_at_any_write_or_sync),
        TEST(test_the_file_is_its_owners_alone_and_never_replaced),
        TEST(test_what_is_no_key_store_is_refused),
        TEST(test_rows_that_no_store_would_write_are_refused),
        TEST(test_nothing_is_written_to_a_file_that_was_replaced),
    };
    const struct CMUnitTest of_postgres[] = {
        TEST(test_T02_rows_of_a_database_that_no_store_would_write),
        TEST(test_T02_a_store_that_was_exchanged_takes_nothing),
        TEST(test_P19_a_lost_connection_is_made_again),
        TEST(test_the_role_of_a_signer),
    };
    const struct CMUnitTest of_dynamodb[] = {
        TEST(test_what_was_not_answered_is_found_out),
        TEST(test_a_head_without_its_items_is_a_change),
        TEST(test_T02_items_that_no_store_would_write),
        TEST(test_T27_a_table_that_expires_items_or_is_another_is_refused),
    };
    if (strcmp(kit->name, "postgres") == 0)
        return RUN("postgres alone", of_postgres);
    return strcmp(kit->name, "dynamodb") == 0 ? RUN("dynamodb alone", of_dynamodb)
                                              : RUN("sqlite alone", of_sqlite);
}

int main(void)
{
    const struct CMUnitTest of_all[] = {
        TEST(test_what_was_stored_is_there_again),
        TEST(test_a_change_is_made_only_where_the_row_is_what_it_was),
        TEST(test_a_random_life),
        TEST(test_the_largest_change_is_one),
        TEST(test_C10_a_kill_in_the_middle_of_a_change_leaves_it_whole),
        TEST(test_C07_out_of_memory_at_every_allocation),
        TEST(test_a_digest_tells_rows_apart),
    };
    const struct CMUnitTest of_shared[] = {
        TEST(test_of_two_writers_one_is_first),
        TEST(test_writers_race),
        TEST(test_a_fence_stops_an_older_writer),
        TEST(test_T02_another_chambers_store_is_refused),
        TEST(test_nothing_is_written_before_it_is_begun),
    };
    const char *only = getenv("CC_BACKEND");
    int failed = 0;
    fault_vfs_install();
    if (getenv("CC_TESTS"))
        cmocka_set_test_filter(getenv("CC_TESTS"));
    for (size_t i = 0; i < ARRAY_LEN(backends); i++) {
        kit = &backends[i];
        if ((only && strcmp(only, kit->name) != 0) ||
            (strcmp(kit->name, "dynamodb") == 0 && !aws_server_exists()))
            continue;
        failed += RUN(kit->name, of_all);
        failed += kit->shared ? RUN(kit->name, of_shared) : 0;
        failed += run_own();
    }
    return failed;
}
