/* Many threads of the vault at once, in this process so that ThreadSanitizer sees them: conflicting claims, loaders,
 * removals, core restarts, and the end of the room in the middle of it.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "eth/signing_root.h"
#include "support/ledger.h"
#include "support/test.h"
#include "support/vault_room.h"
#include "vault/inside.h"
#include "vault/sign.h"

enum {
    THREADS = 8,
    BATCH = 16
};

static struct test_chamber chamber;
static struct vault_room room;

static int make_chamber(void **state)
{
    (void)state;
    test_chamber_make(&chamber);
    return 0;
}

static int remove_chamber(void **state)
{
    (void)state;
    test_chamber_remove(&chamber);
    return 0;
}

static int start(void **state)
{
    (void)state;
    vault_room_start(&room, &chamber, ROOM_MODE_SERVE, true);
    vault_room_greet(&room, &chamber);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    return vault_room_stop(&room);
}

static struct k_result key_of(uint8_t n)
{
    uint8_t secret[32] = {[31] = n};
    return loader_add_raw(&room, secret);
}

static struct b_sign vote(const struct k_result *key, uint64_t target, uint64_t id)
{
    struct b_sign r = {
        .id = id, .key = key->key, .pubkey = key->pubkey, .claim = B_CLAIM_ATTESTATION};
    r.body.attestation.source.epoch = 1;
    r.body.attestation.target.epoch = target;
    memcpy(&r.body.attestation.beacon_block_root, &id, sizeof id); /* each id is another vote */
    return r;
}

/* THREADS * BATCH different votes for one target, in packets that all threads of the vault take from at once. */
static void test_C09_P04_one_root_wins(void **state)
{
    (void)state;
    struct door_message *answer = calloc(1, sizeof *answer);
    struct ledger ledger = {.entries = NULL};
    struct b_sign batch[BATCH];
    const struct k_result key = key_of(7);
    assert_non_null(answer);
    for (uint64_t target = 10; target < 14; target++) {
        size_t signed_count = 0;
        for (uint64_t t = 0; t < THREADS; t++) {
            for (uint64_t i = 0; i < BATCH; i++)
                batch[i] = vote(&key, target, t * BATCH + i);
            assert_int_equal(
                door_send(room.core, room.core_life, B_SIGN, batch, sizeof batch[0], BATCH).code,
                0);
        }
        for (uint64_t t = 0; t < THREADS; t++) {
            assert_int_equal(door_receive(room.core, room.core_life, door_b_to_core, answer).code,
                             0);
            const struct b_signed *s = (const void *)answer->items;
            for (uint32_t i = 0; i < answer->head.count; i++) {
                const struct b_sign request = vote(&key, target, s[i].id);
                assert_true(ledger_add(&ledger, &request, &s[i]));
                signed_count += s[i].error == 0;
                assert_true(s[i].error == 0 || s[i].error == ERROR_SLASHABLE);
            }
        }
        assert_int_equal(signed_count, 1);
    }
    ledger_release(&ledger);
    free(answer);
}

struct worker {
    struct vault *vault;
    struct sign_work *work;
    pthread_barrier_t *barrier;
    struct b_sign requests[BATCH];
    struct b_signed answers[BATCH];
};

static void *sign_all(void *argument)
{
    struct worker *w = argument;
    (void)pthread_barrier_wait(w->barrier);
    sign_batch(w->work, w->vault->keys, w->requests, BATCH, w->answers);
    return NULL;
}

/* The same below the doors, with threads that start together: each thread has one vote for each of BATCH targets. */
static void test_C09_P04_threads_that_sign_together(void **state)
{
    (void)state;
    struct vault vault;
    struct engine *engine = NULL;
    pthread_barrier_t barrier;
    pthread_t threads[THREADS];
    struct bls_secret secret;
    struct key_name name;
    bool existed;
    struct ledger ledger = {.entries = NULL};
    size_t signed_count = 0;
    struct worker *workers = calloc(THREADS, sizeof *workers);
    assert_non_null(workers);
    assert_int_equal(engine_new(SIGNING_BLST, &engine).code, 0);
    assert_int_equal(vault_open(0, 0, engine, &vault).code, 0);
    assert_int_equal(bls_secret_parse((const uint8_t[32]){[31] = 3}, &secret).code, 0);
    bls_secret_public(&secret, name.pubkey.bytes);
    assert_int_equal(key_table_add(vault.keys, &secret, &name.pubkey, &name.handle, &existed).code,
                     0);
    const struct k_result key = {.pubkey = name.pubkey, .key = name.handle};
    assert_int_equal(pthread_barrier_init(&barrier, NULL, THREADS), 0);
    for (uint64_t t = 0; t < THREADS; t++) {
        workers[t] = (struct worker){.vault = &vault, .barrier = &barrier};
        assert_int_equal(sign_work_new(engine_signer(engine), &workers[t].work).code, 0);
        for (uint64_t i = 0; i < BATCH; i++)
            workers[t].requests[i] = vote(&key, 100 + (i + t) % 6, t);
        assert_int_equal(pthread_create(&threads[t], NULL, sign_all, &workers[t]), 0);
    }
    for (size_t t = 0; t < THREADS; t++) {
        assert_int_equal(pthread_join(threads[t], NULL), 0);
        for (size_t i = 0; i < BATCH; i++) {
            assert_true(ledger_add(&ledger, &workers[t].requests[i], &workers[t].answers[i]));
            signed_count += workers[t].answers[i].error == 0;
        }
        sign_work_free(workers[t].work);
    }
    assert_true(signed_count >= 6);
    ledger_release(&ledger);
    vault_close(&vault);
    engine_free(engine);
    free(workers);
}

/* --- keys that leave under a batch ----------------------------------------------------------------------- */

enum {
    LEAVING_KEYS = 40,
    SIGNERS = 3,
    ROUNDS = 60
};

struct leaving {
    struct key_table *keys;
    struct engine *engine;
    struct bls_secret secrets[LEAVING_KEYS];
    struct eth_signature right[LEAVING_KEYS]; /* what each key signs: one root for all */
    pthread_mutex_t lock;                     /* guards names */
    struct key_name names[LEAVING_KEYS];
    atomic_bool enough;
    atomic_size_t signed_count;
};

static void leaving_add(struct leaving *l, size_t i)
{
    struct key_handle handle;
    bool existed;
    assert_int_equal(
        key_table_add(l->keys, &l->secrets[i], &l->names[i].pubkey, &handle, &existed).code, 0);
    assert_int_equal(pthread_mutex_lock(&l->lock), 0);
    l->names[i].handle = handle;
    assert_int_equal(pthread_mutex_unlock(&l->lock), 0);
}

static void leaving_init(struct leaving *l, struct key_table *keys, struct engine *engine)
{
    struct signing_root root = {{0}};
    struct bls_hash hash;
    const struct eth_root object = {{0}};
    const struct eth_domain domain = {{9}};
    l->keys = keys;
    l->engine = engine;
    assert_int_equal(pthread_mutex_init(&l->lock, NULL), 0);
    root = signing_root_of(&object, &domain);
    bls_hash(root.bytes, &hash);
    for (size_t i = 0; i < LEAVING_KEYS; i++) {
        const uint8_t secret[32] = {[5] = 3, [31] = (uint8_t)(i + 1)};
        assert_int_equal(bls_secret_parse(secret, &l->secrets[i]).code, 0);
        bls_secret_public(&l->secrets[i], l->names[i].pubkey.bytes);
        bls_sign(&l->secrets[i], &hash, l->right[i].bytes);
        leaving_add(l, i);
    }
}

/* Every key twice in each batch; a signature is right or refused, never made with a wiped key. */
static void *sign_what_is_there(void *argument)
{
    struct leaving *l = argument;
    struct sign_work *work = NULL;
    struct b_sign *requests = calloc(2 * (size_t)LEAVING_KEYS, sizeof *requests);
    struct b_signed *answers = calloc(2 * (size_t)LEAVING_KEYS, sizeof *answers);
    assert_true(requests && answers);
    assert_int_equal(sign_work_new(engine_signer(l->engine), &work).code, 0);
    while (!atomic_load(&l->enough)) {
        assert_int_equal(pthread_mutex_lock(&l->lock), 0);
        for (size_t i = 0; i < 2 * (size_t)LEAVING_KEYS; i++) {
            const struct key_name *name = &l->names[i % LEAVING_KEYS];
            requests[i] = (struct b_sign){.id = i,
                                          .key = name->handle,
                                          .pubkey = name->pubkey,
                                          .claim = B_CLAIM_OBJECT,
                                          .body.object.domain = {{9}}};
        }
        assert_int_equal(pthread_mutex_unlock(&l->lock), 0);
        sign_batch(work, l->keys, requests, 2 * (size_t)LEAVING_KEYS, answers);
        for (size_t i = 0; i < 2 * (size_t)LEAVING_KEYS; i++) {
            assert_true(answers[i].error == 0 || answers[i].error == ERROR_KEY_UNKNOWN);
            if (answers[i].error == 0)
                assert_memory_equal(&answers[i].signature, &l->right[i % LEAVING_KEYS],
                                    sizeof answers[i].signature);
            (void)atomic_fetch_add(&l->signed_count, answers[i].error == 0);
        }
    }
    sign_work_free(work);
    free(requests);
    free(answers);
    return NULL;
}

/* Removals, loadings and at last the seal, while batches hold the keys. */
static void test_C09_keys_leave_under_batches(void **state)
{
    (void)state;
    struct vault vault;
    struct engine *engine = NULL;
    pthread_t threads[SIGNERS];
    struct leaving *l = calloc(1, sizeof *l);
    assert_non_null(l);
    assert_int_equal(engine_new(SIGNING_AUTO, &engine).code, 0);
    assert_int_equal(vault_open(0, 0, engine, &vault).code, 0);
    leaving_init(l, vault.keys, engine);
    for (size_t t = 0; t < SIGNERS; t++)
        assert_int_equal(pthread_create(&threads[t], NULL, sign_what_is_there, l), 0);
    for (size_t round = 0; round < ROUNDS; round++) {
        assert_int_equal(key_table_remove(vault.keys, l->names[round % LEAVING_KEYS].handle).code,
                         0);
        leaving_add(l, round % LEAVING_KEYS);
    }
    while (atomic_load(&l->signed_count) < 4 * (size_t)LEAVING_KEYS)
        (void)sched_yield();
    vault_seal(&vault);
    assert_int_equal(key_table_count(vault.keys), 0);
    size_t after = atomic_load(&l->signed_count);
    atomic_store(&l->enough, true);
    for (size_t t = 0; t < SIGNERS; t++)
        assert_int_equal(pthread_join(threads[t], NULL), 0);
    /* What was under way may have been counted since: one batch of each thread. */
    assert_true(atomic_load(&l->signed_count) - after <= SIGNERS * 2 * (size_t)LEAVING_KEYS);
    (void)pthread_mutex_destroy(&l->lock);
    vault_close(&vault);
    engine_free(engine);
    free(l);
}

struct peer {
    int fd;
    uint32_t life;
    struct k_result key;
    _Atomic bool *enough;
};

/* Asks until it is told to stop or hung up on. */
static void *ask_for_ever(void *argument)
{
    struct peer *p = argument;
    struct door_message *answer = calloc(1, sizeof *answer);
    struct b_sign request = vote(&p->key, 1, 1);
    cc_err err = CC_OK;
    for (uint64_t n = 0; answer && !err.code && !atomic_load(p->enough); n++) {
        request.id = n;
        err = door_send(p->fd, p->life, B_SIGN, &request, sizeof request, 1);
        if (!err.code)
            err = door_receive(p->fd, p->life, door_b_to_core, answer);
    }
    free(answer);
    return NULL;
}

/* Keys come and go, and the core is replaced, while others sign. */
static void test_changes_while_signing(void **state)
{
    (void)state;
    struct door_message *answer = calloc(1, sizeof *answer);
    _Atomic bool enough = false;
    pthread_t thread;
    assert_non_null(answer);
    for (uint8_t round = 0; round < 4; round++) {
        struct peer peer = {.life = room.core_life, .key = key_of(7), .enough = &enough};
        peer.fd = dup(room.core);
        assert_int_equal(pthread_create(&thread, NULL, ask_for_ever, &peer), 0);
        for (uint8_t n = 20; n < 40; n++)
            (void)key_of(n);
        vault_room_next_loader(&room);
        (void)shutdown(peer.fd, SHUT_RDWR);
        assert_int_equal(pthread_join(thread, NULL), 0);
        (void)close(peer.fd);
        vault_room_next_core(&room);
        vault_room_greet(&room, &chamber);
        for (uint8_t n = 20; n < 40; n++) {
            const struct b_key remove = {.id = n, .key = key_of(n).key};
            assert_int_equal(core_ask(&room, B_REMOVE, &remove, sizeof remove, 1, answer).code, 0);
        }
    }
    free(answer);
}

/* The supervisor ends in the middle of a batch: the room stops its threads, wipes and returns. */
static void test_ends_with_its_supervisor(void **state)
{
    (void)state;
    struct b_sign batch[BATCH];
    const struct k_result key = key_of(7);
    for (uint64_t i = 0; i < BATCH; i++)
        batch[i] = vote(&key, 10 + i, i);
    for (int i = 0; i < 8; i++)
        assert_int_equal(
            door_send(room.core, room.core_life, B_SIGN, batch, sizeof batch[0], BATCH).code, 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_C09_P04_one_root_wins),
        cmocka_unit_test(test_C09_P04_threads_that_sign_together),
        cmocka_unit_test(test_C09_keys_leave_under_batches),
        CASE(test_changes_while_signing),
        CASE(test_ends_with_its_supervisor),
    };
    return cmocka_run_group_tests(tests, make_chamber, remove_chamber);
}
