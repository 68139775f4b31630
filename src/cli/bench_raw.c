#include "cli/bench_raw.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"

#include "cli/bench_histogram.h"
#include "crypto/bls.h"

enum {
    THREADS_MAX = 256,
    BLOCK = 4096
};

struct worker {
    pthread_t thread;
    const atomic_bool *ending;
    uint64_t count;
    uint64_t cpu_ns;
    cc_err err;
};

static uint64_t thread_cpu_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void *work(void *arg)
{
    static const uint8_t key[BLS_SECRET_SIZE] = {0x25, 0x29, 0x5f, 0x0d, [31] = 0x66};
    struct worker *worker = arg;
    uint8_t root[BLS_ROOT_SIZE] = {0}, signature[BLS_SIGNATURE_SIZE];
    struct bls_secret secret;
    struct bls_hash hash;
    worker->err = bls_secret_parse(key, &secret);
    while (!worker->err.code && !atomic_load_explicit(worker->ending, memory_order_relaxed)) {
        memcpy(root, &worker->count, sizeof worker->count);
        bls_hash(root, &hash);
        bls_sign(&secret, &hash, signature);
        worker->count++;
    }
    worker->cpu_ns = thread_cpu_ns();
    return NULL;
}

CC_ERR bench_raw_rate(double seconds, struct bench_raw *ret_raw)
{
    static struct worker workers[THREADS_MAX];
    atomic_bool ending = false;
    long wanted = sysconf(_SC_NPROCESSORS_ONLN), started = 0;
    cc_err err = CC_OK;
    uint64_t begun = clock_mono_ns(), count = 0, cpu_ns = 0;
    for (; started < wanted && started < THREADS_MAX && !err.code; started++) {
        workers[started] = (struct worker){.ending = &ending};
        if (pthread_create(&workers[started].thread, NULL, work, &workers[started]) != 0) {
            err = CC_FAIL(SYSTEM, "pthread_create");
            break;
        }
    }
    const struct timespec pause = {.tv_sec = (time_t)seconds,
                                   .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
    if (!err.code)
        (void)nanosleep(&pause, NULL);
    atomic_store(&ending, true);
    for (long i = 0; i < started; i++) {
        (void)pthread_join(workers[i].thread, NULL);
        count += workers[i].count;
        cpu_ns += workers[i].cpu_ns;
        if (workers[i].err.code)
            err = workers[i].err;
    }
    double ns = (double)(clock_mono_ns() - begun);
    *ret_raw = (struct bench_raw){(double)count * 1e9 / ns,
                                  (double)cpu_ns / ns / (double)(started ? started : 1)};
    return err;
}

CC_ERR bench_raw_flush(const char *directory, unsigned n, uint64_t *ret_ns)
{
    static struct bench_histogram times;
    static uint8_t block[BLOCK];
    CC_CLEANUP(fd_closep) int fd = open(directory, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    if (fd < 0)
        return CC_FAIL(IO, "a temporary file");
    times = (struct bench_histogram){0};
    CC_TRY(fd_write_all(fd, block, sizeof block));
    for (unsigned i = 0; i < n; i++) {
        block[0] = (uint8_t)i;
        uint64_t begun = clock_mono_ns();
        if (pwrite(fd, block, sizeof block, 0) != BLOCK || fdatasync(fd) != 0)
            return CC_FAIL(IO, "fdatasync");
        bench_histogram_add(&times, clock_mono_ns() - begun);
    }
    *ret_ns = bench_histogram_at(&times, 0.5);
    return CC_OK;
}
