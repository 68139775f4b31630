/* The parts of a signature, each by itself: processor time (for what waits for a disk or another thread: time) and the ratio to
 * blst in the same run.
 *
 * usage: bench_micro DIRECTORY [REPEATS [NAME...]]      all parts, or these
 *
 * Prints JSON: {"name": {"us": a signature, "sign_ratio": …, "full_ratio": …}, …}
 *
 * sign_ratio: blst's signature with the hash at hand took so many times as long; full_ratio: hash and signature. Each repeat
 * measures the yardstick, the part and the yardstick again, a few milliseconds each; medians are shown, so a neighbour's noise
 * has to last to matter. DIRECTORY is on a disk and gets a history. Batches are checked before release, as always; "unchecked" is
 * the engine alone, for the cost of the check.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/macros.h"

#include "bench_pieces.h"
#include "crypto/batch_kernel.h"
#include "crypto/sha256.h"
#include "wire/door.h"

enum {
    REPEATS_MAX = 99,
    KEYS = 256,
    DOOR_ROUNDS = 200,
    HASH_ROUNDS = 20000
};

static uint8_t scalars[KEYS][BLS_SECRET_SIZE];
static struct bls_secret secrets[KEYS];
static uint8_t publics[KEYS][BLS_PUBLIC_SIZE];
static uint8_t roots[KEYS][BLS_ROOT_SIZE];
static uint8_t signatures[KEYS][BLS_SIGNATURE_SIZE];
static atomic_bool on_blst[KEYS];
static uint64_t root_count;

static struct batch_signer *signers[BATCH_ENGINE_END];
static struct batch_work *works[BATCH_ENGINE_END];

/* --- clocks ------------------------------------------------------------------------------------------------ */

static double now_us(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, by_value);
    return values[n / 2];
}

/* --- blst --------------------------------------------------------------------------------------------------- */

static void new_root(uint8_t root[static BLS_ROOT_SIZE])
{
    root_count++;
    memcpy(root, &root_count, sizeof root_count);
}

static void blst_hash(size_t n)
{
    struct bls_hash hash;
    for (size_t i = 0; i < n; i++) {
        new_root(roots[0]);
        bls_hash(roots[0], &hash);
    }
}

static void blst_sign(size_t n)
{
    static struct bls_hash hash;
    static bool hashed;
    if (!hashed)
        bls_hash(roots[1], &hash);
    hashed = true;
    for (size_t i = 0; i < n; i++)
        bls_sign(&secrets[i % KEYS], &hash, signatures[0]);
}

static void blst_hash_sign(size_t n)
{
    struct bls_hash hash;
    for (size_t i = 0; i < n; i++) {
        new_root(roots[0]);
        bls_hash(roots[0], &hash);
        bls_sign(&secrets[i % KEYS], &hash, signatures[0]);
    }
}

/* --- batches ------------------------------------------------------------------------------------------------- */

enum batch_kind {
    SAME_ROOT,      /* its hash is at hand */
    SAME_ROOT_NEW,  /* its hash is not */
    DIFFERENT_ROOTS /* all hashes are at hand */
};

static struct batch_item items[KEYS];

static void set_items(size_t n, bool same)
{
    for (size_t i = 0; i < n; i++)
        items[i] = (struct batch_item){.secret = &secrets[i],
                                       .root = roots[same ? 0 : i],
                                       .slot_public = publics[i],
                                       .claim_public = publics[i],
                                       .keep_on_blst = &on_blst[i],
                                       .ret_signature = signatures[i]};
}

/* One signature by itself is blst's on every engine, and leaves the root's hash in the cache. */
static void warm_hashes(enum batch_engine engine, size_t n)
{
    for (size_t i = 0; i < n; i++)
        batch_sign(works[engine], &items[i], 1);
}

static void prepare_batch(enum batch_engine engine, enum batch_kind kind, size_t n)
{
    for (size_t i = 0; i < (kind == DIFFERENT_ROOTS ? n : 1); i++)
        new_root(roots[i]);
    set_items(n, kind != DIFFERENT_ROOTS);
    if (kind != SAME_ROOT_NEW)
        warm_hashes(engine, kind == SAME_ROOT ? 1 : n);
}

/* The engine alone: the table, the points, their bytes. */
static const struct batch_kernel *kernel_of(enum batch_engine engine)
{
    for (size_t i = 0; batch_kernels[i]; i++)
        if (batch_kernels[i]->engine == engine && batch_kernels[i]->supported())
            return batch_kernels[i];
    return NULL;
}

static void sign_unchecked(enum batch_engine engine, enum batch_kind kind, size_t n)
{
    static _Alignas(64) uint8_t scratch[BATCH_ENGINE_END][1 << 20];
    static struct bls_hash hashes[KEYS];
    static const struct bls_hash *hash_of[KEYS];
    static struct scalar_split splits[KEYS];
    static blst_p2_affine points[KEYS];
    static uint64_t flags[KEYS];
    const struct batch_kernel *kernel = kernel_of(engine);
    bench_must(kernel && kernel->scratch_size <= sizeof scratch[0] ? CC_OK
                                                                   : CC_FAIL(LIMIT, "scratch"));
    for (size_t i = 0; i < KEYS && !hash_of[KEYS - 1]; i++) {
        new_root(roots[0]);
        bls_hash(roots[0], &hashes[i]);
        hash_of[i] = &hashes[i];
    }
    if (kind == SAME_ROOT_NEW)
        bls_hash(roots[0], &hashes[0]);
    for (size_t i = 0; i < n; i++)
        scalar_split(&secrets[i], &splits[i]);
    if (kind == DIFFERENT_ROOTS) {
        bench_must(kernel->sign_different(scratch[engine], splits, hash_of, n, points, flags));
    } else {
        kernel->prepare(scratch[engine], &hashes[0]);
        bench_must(kernel->sign_same(scratch[engine], splits, n, points, flags));
    }
    for (size_t i = 0; i < n; i++)
        blst_p2_affine_compress(signatures[i], &points[i]);
}

/* --- the door ------------------------------------------------------------------------------------------------- */

static int door[2];
static const struct door_type door_types[] = {{1, 320, 64}, {0, 0, 0}};

static void *echo(void *arg)
{
    static struct door_message message;
    (void)arg;
    while (!door_receive(door[1], 1, door_types, &message).code)
        bench_must(door_send(door[1], 1, 1, message.items, 320, message.head.count));
    return NULL;
}

static void door_rounds(size_t n)
{
    static struct door_message message;
    static uint8_t item[320];
    for (size_t i = 0; i < n; i++) {
        bench_must(door_send(door[0], 1, 1, item, sizeof item, 1));
        bench_must(door_receive(door[0], 1, door_types, &message));
    }
}

static void hash_blocks(size_t n)
{
    static uint8_t block[64], digest[32];
    for (size_t i = 0; i < n; i++) {
        sha256(span_of(block, sizeof block), digest);
        memcpy(block, digest, sizeof digest);
    }
}

/* --- the table of parts ---------------------------------------------------------------------------------------- */

enum part_kind {
    PART_CALL,   /* `call` does `count` of them */
    PART_BATCH,  /* one batch of `count` */
    PART_KERNEL, /* the same by the engine alone, without its check */
    PART_PIECE   /* one piece of the hot path over `count` messages */
};

struct part {
    const char *name;
    enum part_kind kind;
    size_t count;
    bool waits; /* for a disk or a thread: time, not processor time */
    void (*call)(size_t n);
    enum batch_engine engine;
    enum batch_kind batch;
    enum bench_piece piece;
};

#define CALL(name, fn, n)                                                                          \
    {                                                                                              \
        name, PART_CALL, n, false, fn, 0, 0, 0                                                     \
    }
#define WAIT(name, fn, n)                                                                          \
    {                                                                                              \
        name, PART_CALL, n, true, fn, 0, 0, 0                                                      \
    }
#define BATCH(name, engine, b, n)                                                                  \
    {                                                                                              \
        name, PART_BATCH, n, false, NULL, engine, b, 0                                             \
    }
#define KERNEL(name, engine, b, n)                                                                 \
    {                                                                                              \
        name, PART_KERNEL, n, false, NULL, engine, b, 0                                            \
    }
#define PIECE(name, piece, n, w)                                                                   \
    {                                                                                              \
        name, PART_PIECE, n, w, NULL, 0, 0, piece                                                  \
    }

static const struct part parts[] = {
    CALL("sha256_64_bytes", hash_blocks, HASH_ROUNDS),
    CALL("blst_hash", blst_hash, 32),
    CALL("blst_sign", blst_sign, 32),
    CALL("blst_hash_sign", blst_hash_sign, 16),
    BATCH("blst_same_8", BATCH_BLST, SAME_ROOT, 8),
    BATCH("blst_same_64", BATCH_BLST, SAME_ROOT, 64),
    BATCH("blst_new_256", BATCH_BLST, SAME_ROOT_NEW, 256),
    BATCH("comb_same_8", BATCH_FIXED_BASE, SAME_ROOT, 8),
    BATCH("comb_same_64", BATCH_FIXED_BASE, SAME_ROOT, 64),
    BATCH("comb_same_256", BATCH_FIXED_BASE, SAME_ROOT, 256),
    KERNEL("comb_same_64_unchecked", BATCH_FIXED_BASE, SAME_ROOT, 64),
    KERNEL("comb_same_256_unchecked", BATCH_FIXED_BASE, SAME_ROOT, 256),
    BATCH("comb_new_256", BATCH_FIXED_BASE, SAME_ROOT_NEW, 256),
    BATCH("ifma_same_8", BATCH_IFMA, SAME_ROOT, 8),
    BATCH("ifma_same_64", BATCH_IFMA, SAME_ROOT, 64),
    BATCH("ifma_same_256", BATCH_IFMA, SAME_ROOT, 256),
    KERNEL("ifma_same_64_unchecked", BATCH_IFMA, SAME_ROOT, 64),
    KERNEL("ifma_same_256_unchecked", BATCH_IFMA, SAME_ROOT, 256),
    KERNEL("ifma_new_256_unchecked", BATCH_IFMA, SAME_ROOT_NEW, 256),
    KERNEL("ifma_different_64_unchecked", BATCH_IFMA, DIFFERENT_ROOTS, 64),
    BATCH("ifma_new_256", BATCH_IFMA, SAME_ROOT_NEW, 256),
    BATCH("ifma_different_8", BATCH_IFMA, DIFFERENT_ROOTS, 8),
    BATCH("ifma_different_64", BATCH_IFMA, DIFFERENT_ROOTS, 64),
    PIECE("parse", PIECE_PARSE, 256, false),
    PIECE("signing_root", PIECE_ROOT, 256, false),
    PIECE("judge", PIECE_JUDGE, 256, false),
    PIECE("record_1", PIECE_RECORD, 1, true),
    PIECE("record_64", PIECE_RECORD, 64, true),
    PIECE("record_256", PIECE_RECORD, 256, true),
    PIECE("record_256_cpu", PIECE_RECORD, 256, false),
    PIECE("vault_sign_64", PIECE_SIGN, 64, false),
    PIECE("answer", PIECE_ANSWER, 256, false),
    WAIT("door_round_trip", door_rounds, DOOR_ROUNDS),
};

/* What has to happen before, and is not measured. */
static void prepare(const struct part *part)
{
    if (part->kind == PART_BATCH)
        prepare_batch(part->engine, part->batch, part->count);
    if (part->kind != PART_PIECE)
        return;
    bench_pieces_begin(part->count);
    for (int before = 0; before < (int)part->piece; before++)
        bench_piece_run((enum bench_piece)before);
}

static void run(const struct part *part)
{
    if (part->kind == PART_CALL)
        part->call(part->count);
    else if (part->kind == PART_BATCH)
        batch_sign(works[part->engine], items, part->count);
    else if (part->kind == PART_KERNEL)
        sign_unchecked(part->engine, part->batch, part->count);
    else
        bench_piece_run(part->piece);
}

static double timed(const struct part *part, clockid_t clock)
{
    prepare(part);
    double begun = now_us(clock);
    run(part);
    return (now_us(clock) - begun) / (double)part->count;
}

static const struct part *part_named(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (strcmp(parts[i].name, name) == 0)
            return &parts[i];
    exit(1);
}

static void measure(const struct part *part, size_t repeats, const char *comma)
{
    const clockid_t clock = part->waits ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID;
    const struct part *sign = part_named("blst_sign"), *full = part_named("blst_hash_sign");
    double us[REPEATS_MAX], sign_ratio[REPEATS_MAX], full_ratio[REPEATS_MAX];
    (void)timed(part, clock);
    for (size_t i = 0; i < repeats; i++) {
        double sign_us = timed(sign, clock), full_us = timed(full, clock);
        us[i] = timed(part, clock);
        sign_us = (sign_us + timed(sign, clock)) / 2;
        full_us = (full_us + timed(full, clock)) / 2;
        sign_ratio[i] = sign_us / us[i];
        full_ratio[i] = full_us / us[i];
    }
    (void)printf("%s\n \"%s\": {\"us\": %.3f, \"sign_ratio\": %.3f, \"full_ratio\": %.3f}", comma,
                 part->name, median(us, repeats), median(sign_ratio, repeats),
                 median(full_ratio, repeats));
    (void)fflush(stdout);
}

/* --- the program -------------------------------------------------------------------------------------------------- */

static void open_all(const char *directory)
{
    for (size_t i = 0; i < KEYS; i++) {
        /* As good as random: keys that are sums of each other meet exceptions that no real ones do. */
        sha256(span_of(&i, sizeof i), scalars[i]);
        scalars[i][0] &= 0x3f;
        bench_must(bls_secret_parse(scalars[i], &secrets[i]));
        bls_secret_public(&secrets[i], publics[i]);
    }
    for (int engine = 0; engine < BATCH_ENGINE_END; engine++) {
        bench_must(batch_signer_new((enum batch_engine)engine, &signers[engine]));
        bench_must(batch_work_new(signers[engine], &works[engine]));
    }
    bench_pieces_open(directory, KEYS, BATCH_AUTO);
    bench_must(door_pair(door));
}

/* False for an engine that this processor does not have, and for what was not asked for. */
static bool is_wanted(const struct part *part, char **names)
{
    bool engine = part->kind == PART_BATCH || part->kind == PART_KERNEL;
    if (engine && part->engine != batch_signer_engine(signers[part->engine]))
        return false;
    for (size_t i = 0; names[i]; i++)
        if (strcmp(names[i], part->name) == 0)
            return true;
    return !names[0];
}

int main(int argc, char **argv)
{
    static char *all[] = {NULL};
    pthread_t thread;
    size_t repeats = argc > 2 ? strtoul(argv[2], NULL, 10) : 9;
    if (argc < 2 || repeats == 0 || repeats > REPEATS_MAX) {
        (void)fprintf(stderr, "usage: bench_micro DIRECTORY [REPEATS [NAME...]]\n");
        return 2;
    }
    open_all(argv[1]);
    if (pthread_create(&thread, NULL, echo, NULL) != 0)
        return 1;
    (void)printf("{");
    const char *comma = "";
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (!is_wanted(&parts[i], argc > 3 ? argv + 3 : all))
            continue;
        measure(&parts[i], repeats, comma);
        comma = ",";
    }
    (void)printf("\n}\n");
    bench_pieces_close();
    return 0;
}
