/* What the machine can do without a signer: threads that hash a new root to the curve and sign it, by blst.
 *
 * usage: bench_raw SECONDS      prints {"threads": n, "per_second": x, "sign_only_per_second": y}
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#include "crypto/bls.h"

enum {
    THREADS_MAX = 256
};

struct worker {
    pthread_t thread;
    bool hash_each;
    uint64_t count;
};

static atomic_bool ending;

static void *work(void *arg)
{
    struct worker *worker = arg;
    uint8_t root[BLS_ROOT_SIZE] = {0};
    uint8_t signature[BLS_SIGNATURE_SIZE];
    const uint8_t scalar[BLS_SECRET_SIZE] = {0x25, 0x29, 0x5f, 0x0d, [31] = 0x66};
    struct bls_secret secret;
    struct bls_hash hash;
    if (bls_secret_parse(scalar, &secret).code)
        exit(1);
    bls_hash(root, &hash);
    while (!atomic_load_explicit(&ending, memory_order_relaxed)) {
        if (worker->hash_each) {
            memcpy(root, &worker->count, sizeof worker->count);
            bls_hash(root, &hash);
        }
        bls_sign(&secret, &hash, signature);
        worker->count++;
    }
    return NULL;
}

static double rate(long threads, bool hash_each, double seconds)
{
    static struct worker workers[THREADS_MAX];
    uint64_t begun = clock_mono_ns();
    uint64_t total = 0;
    atomic_store(&ending, false);
    for (long i = 0; i < threads; i++) {
        workers[i] = (struct worker){.hash_each = hash_each};
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            exit(1);
    }
    const struct timespec pause = {.tv_sec = (time_t)seconds, .tv_nsec = 0};
    (void)nanosleep(&pause, NULL);
    atomic_store(&ending, true);
    for (long i = 0; i < threads; i++) {
        (void)pthread_join(workers[i].thread, NULL);
        total += workers[i].count;
    }
    return (double)total / ((double)(clock_mono_ns() - begun) / 1e9);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 3;
    long threads = sysconf(_SC_NPROCESSORS_ONLN);
    if (threads > THREADS_MAX)
        threads = THREADS_MAX;
    double full = rate(threads, true, seconds);
    double sign_only = rate(threads, false, seconds);
    printf("{\"threads\": %ld, \"per_second\": %.1f, \"sign_only_per_second\": %.1f}\n", threads,
           full, sign_only);
    return 0;
}
