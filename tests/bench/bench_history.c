/* What a history, in SQLite or in PostgreSQL, can do by itself: claims per second at several batch sizes, a full history's upkeep, its
 * time to open and its memory.
 *
 * usage: bench_history FILE|URL [KEYS [EPOCHS [MIRROR]]]      must not exist yet; every claim is a new record. With a
 * mirror's path the history is guarded by it (slash/guard.h).
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"

#include "slash/guard.h"
#include "slash/postgres.h"
#include "slash/store.h"

static struct slash_store *store;
static struct slash_claim claims[SLASH_BATCH_MAX];
static struct slash_verdict verdicts[SLASH_BATCH_MAX];
static uint64_t key_count, made;
static const char *mirror; /* NULL: bare */

static void must(cc_err err)
{
    if (!err.code)
        return;
    (void)fprintf(stderr, "%s: %s\n", error_name(err), error_detail());
    exit(1);
}

static struct eth_pubkey key(uint64_t number)
{
    struct eth_pubkey pubkey = {{0xa0}};
    u64_store_be(pubkey.bytes + 8, number * 0x9e3779b97f4a7c15u);
    return pubkey;
}

static double ms_since(uint64_t from_ns)
{
    return (double)(clock_mono_ns() - from_ns) / 1e6;
}

/* Attestations of all keys, in an order that jumps about in the tables, epoch after epoch. */
static double record_batch(size_t n)
{
    for (size_t i = 0; i < n; i++, made++) {
        uint64_t epoch = 1 + made / key_count;
        claims[i] = (struct slash_claim){.pubkey = key(made * 7919 % key_count),
                                         .kind = SLASH_CLAIM_ATTESTATION,
                                         .source = epoch - 1,
                                         .target = epoch};
        u64_store_be(claims[i].root.bytes, made);
    }
    uint64_t begun = clock_mono_ns();
    must(slash_check_and_record(store, claims, n, verdicts));
    double took = ms_since(begun);
    for (size_t i = 0; i < n; i++)
        if (verdicts[i].rule != SLASH_SAFE)
            must(CC_FAIL(STORE, slash_rule_name(verdicts[i].rule)));
    return took;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure_batches(size_t size)
{
    enum {
        BATCHES = 1000
    };
    static double took[BATCHES];
    double total = 0;
    for (size_t i = 0; i < BATCHES; i++)
        total += took[i] = record_batch(size);
    qsort(took, BATCHES, sizeof took[0], by_value);
    (void)printf("batches of %3zu: %8.0f claims/s, p50 %.2f ms, p99 %.2f ms\n", size,
                 (double)(size * BATCHES) / total * 1e3, took[BATCHES / 2],
                 took[BATCHES * 99 / 100]);
}

static void run_steps(const char *name, cc_err (*step)(bool *ret_more))
{
    uint64_t begun = clock_mono_ns();
    double longest = 0;
    int steps = 0;
    for (bool more = true; more; steps++) {
        uint64_t step_begun = clock_mono_ns();
        must(step(&more));
        double took = ms_since(step_begun);
        longest = took > longest ? took : longest;
    }
    (void)printf("%s: %d steps, %.0f ms in all, longest %.1f ms\n", name, steps, ms_since(begun),
                 longest);
}

static cc_err maintain(bool *ret_more)
{
    return slash_maintain(store, ret_more);
}

static cc_err prune(bool *ret_more)
{
    struct slash_prune_step pruned = {0};
    CC_TRY(slash_prune(store, 250, 32, &pruned));
    *ret_more = pruned.more;
    return CC_OK;
}

static void fill(uint64_t epochs)
{
    uint64_t begun = clock_mono_ns(), wanted = key_count * epochs;
    while (made < wanted) {
        (void)record_batch(SLASH_BATCH_MAX);
        for (bool more = made % 4096 < SLASH_BATCH_MAX; more;)
            must(slash_maintain(store, &more));
    }
    (void)printf("filled to %llu records in %.0f s\n", (unsigned long long)made,
                 ms_since(begun) / 1e3);
}

static bool is_url(const char *path)
{
    return strncmp(path, "postgresql://", strlen("postgresql://")) == 0;
}

static void create_store(const char *path)
{
    const struct slash_identity identity = {.history_id = {1}};
    uint64_t adopted = 0;
    must(is_url(path) ? slash_postgres_create(path, &identity, &adopted)
                      : slash_sqlite_create(path, true, &identity));
}

static void open_store(const char *path)
{
    int holder = 0;
    must(is_url(path) ? slash_postgres_open(path, NULL, &store)
                      : slash_sqlite_open(path, true, &store, &holder));
    if (!mirror)
        return;
    static const uint8_t mac_key[32] = {7};
    struct slash_guard_options options = {.path = mirror, .key = mac_key, .slots_per_epoch = 32};
    must(slash_guard_replica(mirror, options.replica));
    must(slash_guard_open(store, &options, &store));
}

static void measure_open(const char *path)
{
    slash_store_close(store);
    (void)malloc_trim(0);
    size_t before = mallinfo2().uordblks;
    uint64_t begun = clock_mono_ns();
    open_store(path);
    (void)printf("open: %.0f ms, heap %zu kB\n", ms_since(begun),
                 (mallinfo2().uordblks - before) / 1024);
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = {1, 16, 64, 256};
    if (argc < 2) {
        (void)fprintf(stderr, "usage: bench_history FILE|URL [KEYS [EPOCHS [MIRROR]]]\n");
        return 2;
    }
    key_count = argc > 2 ? strtoull(argv[2], NULL, 10) : 10000;
    mirror = argc > 4 ? argv[4] : NULL;
    create_store(argv[1]);
    open_store(argv[1]);
    for (uint64_t i = 0; i < key_count; i++) {
        struct eth_pubkey pubkey = key(i);
        must(slash_register_keys(store, &pubkey, 1, NULL));
    }
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        measure_batches(sizes[i]);
        run_steps("  upkeep", maintain);
    }
    fill(argc > 3 ? strtoull(argv[3], NULL, 10) : 260);
    run_steps("prune to 250 epochs", prune);
    measure_open(argv[1]);
    slash_store_close(store);
    return 0;
}
