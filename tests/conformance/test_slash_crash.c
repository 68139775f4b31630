/* The SQLite history over a disk that fails, forgets, or takes the process with it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"

#include "slash/sqlite_history.h"
#include "support/fault_vfs.h"
#include "support/slash_kit.h"
#include "support/test.h"

/* --- a small life of a signer ---------------------------------------------------------------------- */

enum {
    KEYS = 3,
    BATCHES = 14,
    CLAIMS_MAX = 256,
    RETRIES_MAX = 6
};

static char template_directory[KIT_DIRECTORY_MAX];
static char template_path[KIT_DIRECTORY_MAX + 32];
static char work_path[KIT_DIRECTORY_MAX + 32];

/* Every claim that was released, as its receiver would have it. */
struct released {
    struct slash_claim claims[CLAIMS_MAX];
    size_t count;
    int fd; /* told there too, at once; -1: nobody listens */
};

static void release(struct released *r, const struct slash_claim *claim)
{
    assert_true(r->count < CLAIMS_MAX);
    r->claims[r->count++] = *claim;
    if (r->fd >= 0 && write(r->fd, claim, sizeof *claim) != (ssize_t)sizeof *claim)
        abort();
}

static struct slash_claim claim_for(uint64_t batch, uint64_t i)
{
    uint64_t key = i % KEYS, epoch = 10 + batch;
    switch (i / KEYS) {
    case 0:
        return kit_attestation(key, epoch - 1, epoch, batch);
    case 1:
        return kit_block(key, epoch * 4, batch);
    case 2: /* again what was signed before, and what conflicts with it */
        return kit_attestation(key, epoch - 2, epoch - 1, batch - 1);
    default:
        return kit_attestation(key, epoch - 1, epoch, batch + 1000);
    }
}

enum {
    CLAIMS_PER_BATCH = 4 * KEYS
};

/* Now and then the store's own work: it writes more than the batches do. */
static cc_err tidy(struct slash_store *store, uint64_t batch)
{
    struct sqlite_history *h = sqlite_history_of(store);
    struct slash_prune_step step = {.more = true};
    CC_TRY(sqlite_history_ready(h));
    if (batch % 5 == 2)
        return sqlite_history_done(h, sqlite_fold(h, 5));
    if (batch % 5 == 3)
        return sqlite_history_done(h, sqlite_db_checkpoint(&h->db, false));
    while (batch % 7 == 6 && step.more)
        CC_TRY(slash_prune(store, 6, 4, &step));
    return CC_OK;
}

/* One batch; on an error tries again `retries` times, as the front would for the client. */
static cc_err
sign_batch(struct slash_store *store, uint64_t batch, int retries, struct released *released)
{
    struct slash_claim claims[CLAIMS_PER_BATCH];
    struct slash_verdict verdicts[CLAIMS_PER_BATCH];
    for (uint64_t i = 0; i < CLAIMS_PER_BATCH; i++)
        claims[i] = claim_for(batch, i);
    cc_err err;
    do {
        err = slash_check_and_record(store, claims, CLAIMS_PER_BATCH, verdicts);
        for (size_t i = 0; i < CLAIMS_PER_BATCH; i++) {
            if (err.code)
                assert_false(slash_may_sign(verdicts[i].rule));
            else if (slash_may_sign(verdicts[i].rule))
                release(released, &claims[i]);
        }
    } while (err.code && retries-- > 0);
    return err;
}

/* CC_OK when all batches went through, whatever it took. */
static cc_err live(struct slash_store *store, int retries, struct released *released)
{
    for (uint64_t batch = 1; batch <= BATCHES; batch++) {
        CC_TRY(sign_batch(store, batch, retries, released));
        cc_err err = tidy(store, batch);
        if (err.code && retries == 0)
            return err;
    }
    return CC_OK;
}

/* --- checking ----------------------------------------------------------------------------------------- */

static bool conflict(const struct slash_claim *a, const struct slash_claim *b)
{
    if (memcmp(&a->pubkey, &b->pubkey, sizeof a->pubkey) != 0 || a->kind != b->kind ||
        memcmp(&a->root, &b->root, sizeof a->root) == 0)
        return false;
    if (a->kind == SLASH_CLAIM_BLOCK)
        return a->slot == b->slot;
    return a->target == b->target || (a->source < b->source && b->target < a->target) ||
           (b->source < a->source && a->target < b->target);
}

static size_t count_conflicts(const struct released *r)
{
    size_t conflicts = 0;
    for (size_t i = 0; i < r->count; i++)
        for (size_t j = 0; j < i; j++)
            conflicts += conflict(&r->claims[i], &r->claims[j]);
    return conflicts;
}

/* How many of the released claims the store at `path` would let somebody contradict. */
static size_t count_lost(const char *path, const struct released *r)
{
    struct slash_store *store;
    int pid;
    fault_vfs_plan((struct fault_plan){0});
    fault_vfs_trust_disk();
    cc_err err = slash_sqlite_open(path, false, &store, &pid);
    if (err.code)
        fail_msg("recovery: %s (%s)", error_name(err), error_detail());
    size_t lost = 0;
    for (size_t i = 0; i < r->count; i++) {
        struct slash_claim other = r->claims[i];
        other.root = kit_root(999999);
        lost += slash_may_sign(kit_sign(store, other));
    }
    slash_store_close(store);
    return lost;
}

/* Not durably: the test would spend its time waiting for the real disk. */
static void copy_file(const char *from, const char *to)
{
    struct buf content = buf_init(1 << 24);
    assert_int_equal(file_read(from, &content).code, 0);
    (void)unlink(to);
    int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, content.data, content.len).code, 0);
    assert_int_equal(close(fd), 0);
    buf_release(&content);
}

static void fresh_store(void)
{
    char wal[KIT_DIRECTORY_MAX + 64];
    (void)snprintf(wal, sizeof wal, "%s-wal", work_path);
    (void)unlink(wal);
    fault_vfs_trust_disk();
    copy_file(template_path, work_path);
}

/* Runs a life in a child over the plan; collects what it released. Returns its exit status. */
static int live_in_child(struct fault_plan plan,
                         bool cut_at_end,
                         const char *synchronous,
                         struct released *ret_released)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fresh_store();
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(ends[0]);
        sqlite_db_testing_synchronous(synchronous);
        struct slash_store *store;
        int holder;
        static struct released released;
        released.fd = ends[1];
        fault_vfs_plan(plan);
        if (slash_sqlite_open(work_path, false, &store, &holder).code)
            _exit(3);
        int retries = plan.kind == FAULT_ONCE ? RETRIES_MAX : 0;
        if (live(store, retries, &released).code)
            _exit(4);
        bool struck = fault_vfs_count() >= plan.at;
        fault_vfs_plan((struct fault_plan){.kind = FAULT_NONE, .survivors = plan.survivors});
        if (cut_at_end && struck)
            fault_vfs_cut();
        slash_store_close(store);
        _exit(0);
    }
    (void)close(ends[1]);
    *ret_released = (struct released){.fd = -1};
    struct slash_claim claim;
    while (read(ends[0], &claim, sizeof claim) == (ssize_t)sizeof claim)
        release(ret_released, &claim);
    (void)close(ends[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* --- P2, C10: crashes ------------------------------------------------------------------------------------ */

/* Ends the process before every operation in turn. Returns how many released claims were lost in all. */
static size_t
crash_everywhere(struct fault_plan plan, const char *synchronous, uint64_t *ret_places)
{
    static struct released released;
    size_t lost = 0;
    for (plan.at = 1;; plan.at++) {
        int status = live_in_child(plan, false, synchronous, &released);
        if (status == 0)
            break;
        assert_int_equal(status, FAULT_EXIT);
        assert_int_equal(count_conflicts(&released), 0);
        lost += count_lost(work_path, &released);
    }
    *ret_places = plan.at - 1;
    return lost;
}

static void test_P02_killed_before_any_write_or_sync(void **state)
{
    (void)state;
    uint64_t places;
    assert_int_equal(crash_everywhere((struct fault_plan){.kind = FAULT_KILL}, "2", &places), 0);
    print_message("  killed at %llu places\n", (unsigned long long)places);
    assert_true(places > 50);
}

static void test_C10_power_cut_at_any_write_or_sync(void **state)
{
    (void)state;
    struct chance chance = chance_new("power cut");
    for (int survivors = SURVIVE_NOTHING; survivors <= SURVIVE_TORN; survivors++) {
        struct fault_plan plan = {.kind = FAULT_POWER_CUT,
                                  .survivors = (enum fault_survivors)survivors,
                                  .seed = chance_u64(&chance)};
        uint64_t places;
        assert_int_equal(crash_everywhere(plan, "2", &places), 0);
        print_message("  power cut at %llu places\n", (unsigned long long)places);
        assert_true(places > 50);
    }
}

/* The test can fail: with the setting that Staked.us and others fell for, records are lost. */
static void test_C10_the_mutant_synchronous_normal_loses_records(void **state)
{
    (void)state;
    struct fault_plan plan = {.kind = FAULT_POWER_CUT, .survivors = SURVIVE_NOTHING};
    uint64_t places;
    size_t lost = crash_everywhere(plan, "1", &places);
    print_message("  %zu records lost\n", lost);
    assert_true(lost > 0);
}

/* --- C7, T7: errors ----------------------------------------------------------------------------------------- */

/* Any one operation fails, the batch is tried again, and then the power goes: what was released, also as a
 * repeat of a record whose sync had failed, must be there.
 */
static void test_T07_a_failed_sync_then_a_repeat_then_a_power_cut(void **state)
{
    (void)state;
    static struct released released;
    struct fault_plan plan = {.kind = FAULT_ONCE, .survivors = SURVIVE_NOTHING};
    uint64_t refused_to_open = 0;
    for (plan.at = 1;; plan.at++) {
        int status = live_in_child(plan, true, "2", &released);
        if (status == 0)
            break;
        if (status == 3) { /* the error fell on opening: nothing was signed */
            refused_to_open++;
            assert_int_equal(released.count, 0);
            continue;
        }
        assert_int_equal(status, FAULT_EXIT);
        assert_int_equal(count_conflicts(&released), 0);
        assert_int_equal(count_lost(work_path, &released), 0);
    }
    print_message("  %llu operations failed\n", (unsigned long long)plan.at);
    assert_true(refused_to_open > 0 && refused_to_open < plan.at);
}

/* The cause stays for a while: everything is refused; it goes: everything works, in the same process. */
static void outlast(struct fault_plan plan, bool *ret_struck)
{
    static struct released released;
    released = (struct released){.fd = -1};
    fresh_store();
    struct slash_store *store;
    int pid;
    fault_vfs_plan(plan);
    cc_err err = slash_sqlite_open(work_path, false, &store, &pid);
    if (err.code) {
        *ret_struck = true;
        fault_vfs_plan((struct fault_plan){0});
        assert_int_equal(slash_sqlite_open(work_path, false, &store, &pid).code, 0);
    } else {
        err = live(store, 0, &released);
        *ret_struck = err.code != 0;
        if (err.code && error_class(err) != CLASS_UNAVAILABLE && !error_is(err, ERROR_TAMPERED))
            fail_msg("unexpected %s (%s)", error_name(err), error_detail());
    }
    fault_vfs_plan((struct fault_plan){0});
    assert_int_equal(live(store, 0, &released).code, 0);
    assert_int_equal(count_conflicts(&released), 0);
    slash_store_close(store);
    assert_int_equal(count_lost(work_path, &released), 0);
}

static void outlast_everywhere(struct fault_plan plan)
{
    bool struck = true;
    for (plan.at = 1; struck; plan.at++) {
        outlast(plan, &struck);
        struck |= fault_vfs_count() >= plan.at;
    }
    print_message("  failed from each of %llu operations on\n", (unsigned long long)plan.at - 1);
    assert_true(plan.at > 50);
}

static void test_C07_disk_full_is_an_error_until_there_is_room(void **state)
{
    (void)state;
    outlast_everywhere((struct fault_plan){.kind = FAULT_FROM, .disk_full = true});
}

static void test_C07_io_errors_are_errors_until_they_stop(void **state)
{
    (void)state;
    outlast_everywhere((struct fault_plan){.kind = FAULT_FROM});
}

/* --- C7: memory ---------------------------------------------------------------------------------------------- */

static void test_C07_out_of_memory_anywhere(void **state)
{
    (void)state;
    static struct released released;
    for (int which = 0; which < 2; which++) {
        uint64_t made = UINT64_MAX, step = 1;
        for (uint64_t nth = 1; nth <= made; nth += step) {
            released = (struct released){.fd = -1};
            fresh_store();
            struct slash_store *store;
            int pid;
            (void)(which ? fault_memory_fail_nth(nth) : alloc_fail_nth(nth));
            cc_err err = slash_sqlite_open(work_path, false, &store, &pid);
            if (err.code) {
                (void)fault_memory_fail_nth(0);
                (void)alloc_fail_nth(0);
                assert_int_equal(slash_sqlite_open(work_path, false, &store, &pid).code, 0);
            }
            cc_err lived = live(store, 1, &released);
            made = which ? fault_memory_fail_nth(0) : alloc_fail_nth(0);
            if (lived.code)
                fail_msg("no recovery from allocation %llu: %s", (unsigned long long)nth,
                         error_name(lived));
            if (err.code)
                made = UINT64_MAX; /* counted only a part */
            assert_int_equal(count_conflicts(&released), 0);
            slash_store_close(store);
            assert_int_equal(count_lost(work_path, &released), 0);
            step = which ? 1 + nth / 40 : 1; /* SQLite allocates a lot */
        }
        assert_true(made > 4);
    }
}

/* --- set-up ----------------------------------------------------------------------------------------------------- */

static int make_template(void **state)
{
    (void)state;
    fault_memory_install(); /* while SQLite hasn't started */
    fault_vfs_install();
    struct slash_identity identity = {.history_id = {1}};
    if (!kit_directory(template_directory))
        return -1;
    (void)snprintf(template_path, sizeof template_path, "%s/template", template_directory);
    (void)snprintf(work_path, sizeof work_path, "%s/work", template_directory);
    struct slash_store *store;
    int pid;
    if (slash_sqlite_create(template_path, false, &identity).code ||
        slash_sqlite_open(template_path, false, &store, &pid).code)
        return -1;
    kit_register(store, 0, KEYS);
    slash_store_close(store);
    return 0;
}

static int remove_template(void **state)
{
    (void)state;
    slash_remove_directory(template_directory);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_P02_killed_before_any_write_or_sync),
        cmocka_unit_test(test_C10_power_cut_at_any_write_or_sync),
        cmocka_unit_test(test_C10_the_mutant_synchronous_normal_loses_records),
        cmocka_unit_test(test_T07_a_failed_sync_then_a_repeat_then_a_power_cut),
        cmocka_unit_test(test_C07_disk_full_is_an_error_until_there_is_room),
        cmocka_unit_test(test_C07_io_errors_are_errors_until_they_stop),
        cmocka_unit_test(test_C07_out_of_memory_anywhere),
    };
    return cmocka_run_group_tests(tests, make_template, remove_template);
}
