/* What a signature leaves on the stack, and that wipe_stack() removes it. */
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/batch_work.h"
#include "secret/wipe.h"
#include "support/batch_rig.h"
#include "support/child.h"
#include "support/test.h"

enum {
    STACK_SIZE = 1 << 20
};

/* Runs `body` on a stack of its own, which is searched while the thread still lives: glibc gives a dead thread's stack
 * back to the system.
 */
struct job {
    void (*body)(struct job *job);
    bool wipe;
    struct bls_secret secret;
    struct bls_hash hash;
    uint8_t signature[BLS_SIGNATURE_SIZE];
    uint8_t *stack;
    pthread_t thread;
    sem_t done;
    sem_t searched;
};

static void *run(void *argument)
{
    struct job *job = argument;
    job->body(job);
    if (job->wipe)
        wipe_stack();
    (void)sem_post(&job->done);
    (void)sem_wait(&job->searched);
    return NULL;
}

static void job_begin(struct job *job)
{
    pthread_attr_t attr;
    job->stack = aligned_alloc(4096, STACK_SIZE);
    assert_non_null(job->stack);
    memset(job->stack, 0, STACK_SIZE);
    assert_int_equal(sem_init(&job->done, 0, 0), 0);
    assert_int_equal(sem_init(&job->searched, 0, 0), 0);
    assert_int_equal(pthread_attr_init(&attr), 0);
    assert_int_equal(pthread_attr_setstack(&attr, job->stack, STACK_SIZE), 0);
    assert_int_equal(pthread_create(&job->thread, &attr, run, job), 0);
    assert_int_equal(sem_wait(&job->done), 0);
}

static void job_end(struct job *job)
{
    assert_int_equal(sem_post(&job->searched), 0);
    assert_int_equal(pthread_join(job->thread, NULL), 0);
    free(job->stack);
}

static void sign(struct job *job)
{
    bls_sign(&job->secret, &job->hash, job->signature);
}

/* Any 8 bytes of the scalar. */
static bool stack_holds_secret(struct job *job)
{
    bool found = false;
    job_begin(job);
    for (size_t i = 0; i < sizeof job->secret; i += 8)
        found = found || memmem(job->stack, STACK_SIZE, job->secret.scalar + i, 8);
    job_end(job);
    return found;
}

static void test_C03_no_secret_stays_on_the_stack(void **state)
{
    (void)state;
    uint8_t bytes[BLS_SECRET_SIZE];
    struct job *job = calloc(1, sizeof *job);
    assert_non_null(job);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(17 + 6 * i);
    assert_int_equal(bls_secret_parse(bytes, &job->secret).code, 0);
    bls_hash((const uint8_t[BLS_ROOT_SIZE]){1}, &job->hash);
    job->body = sign;
    if (!stack_holds_secret(job))
        print_message("blst leaves nothing to wipe\n");
    job->wipe = true;
    assert_false(stack_holds_secret(job));
    free(job);
}

enum {
    BATCH_KEYS = 32
};

static struct batch_rig *rig; /* of the batch below; made before its thread */

static void sign_batch(struct job *job)
{
    (void)job;
    batch_sign(rig->work, rig->items, rig->n);
}

static bool holds(const void *memory, size_t len, const void *secret, size_t secret_len)
{
    for (size_t i = 0; i < secret_len; i += 8) {
        if (memmem(memory, len, (const uint8_t *)secret + i, 8))
            return true;
    }
    return false;
}

/* Neither a scalar of the batch nor one of its four parts. */
static bool holds_a_key(const void *memory, size_t len)
{
    bool found = false;
    for (size_t i = 0; i < rig->n; i++) {
        struct scalar_split split;
        scalar_split(&rig->keys[i].secret, &split);
        found |= holds(memory, len, &rig->keys[i].secret, sizeof rig->keys[i].secret);
        found |= holds(memory, len, &split, sizeof split);
    }
    return found;
}

static void test_C03_a_batch_leaves_no_key_on_the_stack_nor_in_its_work(void **state)
{
    (void)state;
    for (int engine = 0; engine < BATCH_ENGINE_END; engine++) {
        struct job *job = calloc(1, sizeof *job);
        assert_non_null(job);
        rig = rig_new((enum batch_engine)engine);
        for (uint64_t i = 0; i < BATCH_KEYS; i++) {
            uint8_t scalar[BLS_SECRET_SIZE];
            rig_scalar(i, scalar);
            rig_add_scalar(rig, scalar, i % 8 ? 0 : i); /* the most of them of one root */
        }
        job->body = sign_batch;
        job_begin(job);
        const bool found = holds_a_key(job->stack, STACK_SIZE);
        job_end(job);
        assert_false(found);
        assert_int_equal(rig_right(rig), BATCH_KEYS);
        assert_false(holds_a_key(rig->work, sizeof *rig->work));
        if (rig->work->locked)
            assert_false(
                holds_a_key(rig->work->locked, sizeof(struct batch_made) +
                                                   batch_engines_scratch(&rig->signer->engines)));
        assert_true(holds_a_key(rig, sizeof *rig)); /* it can find one */
        rig_free(rig);
        free(job);
    }
}

static void fill(struct job *job)
{
    (void)job;
    volatile uint8_t used[WIPE_STACK_SIZE / 2];
    for (size_t i = 0; i < sizeof used; i++)
        used[i] = 0xe7;
}

static size_t marks_left(bool wiping)
{
    size_t left = 0;
    struct job *job = calloc(1, sizeof *job);
    assert_non_null(job);
    job->body = fill;
    job->wipe = wiping;
    job_begin(job);
    for (size_t i = 0; i < STACK_SIZE; i++)
        left += job->stack[i] == 0xe7;
    job_end(job);
    free(job);
    return left;
}

static void test_wipe_stack_reaches_below_the_caller(void **state)
{
    (void)state;
    if (!child_sanitized("the reach of wipe_stack()"))
        assert_true(marks_left(false) >= WIPE_STACK_SIZE / 4); /* waiting itself takes some */
    assert_true(marks_left(true) < 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_C03_no_secret_stays_on_the_stack),
        cmocka_unit_test(test_C03_a_batch_leaves_no_key_on_the_stack_nor_in_its_work),
        cmocka_unit_test(test_wipe_stack_reaches_below_the_caller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
