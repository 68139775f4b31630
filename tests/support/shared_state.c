#include "support/shared_state.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#include "support/test.h"

static uint8_t seed[ED25519_SEED_SIZE] = {9};

struct replica {
    struct state_store base;
    struct shared_state *shared;
};

static cc_err sign(void *context, const uint8_t digest[static SHA256_SIZE], uint8_t *ret_signature)
{
    static const char domain[] = "containment-chamber/state-head/v1";
    uint8_t message[sizeof domain + SHA256_SIZE];
    (void)context;
    memcpy(message, domain, sizeof domain);
    memcpy(message + sizeof domain, digest, SHA256_SIZE);
    ed25519_sign(seed, span_of(message, sizeof message), ret_signature);
    return CC_OK;
}

const struct state_signer shared_state_signer = {sign, NULL};

static struct shared_state *take(struct state_store *store)
{
    struct shared_state *shared = ((struct replica *)store)->shared;
    assert_int_equal(pthread_mutex_lock(&shared->lock), 0);
    return shared;
}

static cc_err give(struct shared_state *shared, cc_err err)
{
    assert_int_equal(pthread_mutex_unlock(&shared->lock), 0);
    return err;
}

static cc_err away(void)
{
    return CC_FAIL(STATE, "the test took it away");
}

static void copy_image(const struct state_image *from, struct state_image *to)
{
    *to = (struct state_image){.generation = from->generation, .head = buf_init(STATE_HEAD_MAX)};
    memcpy(to->signature, from->signature, sizeof to->signature);
    assert_int_equal(buf_append(&to->head, from->head.data ? from->head.data : (const uint8_t *)"",
                                from->head.len)
                         .code,
                     0);
    to->records = cc_alloc_array(from->count + 1, sizeof *to->records);
    assert_non_null(to->records);
    for (size_t i = 0; i < from->count; i++) {
        to->records[i] = from->records[i];
        to->records[i].bytes = cc_alloc(from->records[i].len + 1);
        assert_non_null(to->records[i].bytes);
        memcpy(to->records[i].bytes, from->records[i].bytes, from->records[i].len);
    }
    to->count = from->count;
}

static cc_err load(struct state_store *store, struct state_image *ret_image)
{
    struct shared_state *shared = take(store);
    if (shared->away)
        return give(shared, away());
    copy_image(&shared->image, ret_image);
    return give(shared, CC_OK);
}

static cc_err peek(struct state_store *store, struct state_mark *ret_mark)
{
    struct shared_state *shared = take(store);
    if (shared->away)
        return give(shared, away());
    state_image_mark(&shared->image, ret_mark);
    return give(shared, CC_OK);
}

/* Record by record, as a real one does it: what the store's core leaves out would be missing here too. */
static void
change(struct state_image *image, const struct state_image *next, const struct state_delta *delta)
{
    for (size_t i = 0; i < delta->removed_count; i++) {
        size_t at = 0;
        while (state_record_order(image->records[at].kind, image->records[at].name,
                                  delta->removed[i]->kind, delta->removed[i]->name) != 0)
            assert_true(++at < image->count);
    }
    for (size_t i = 0; i < delta->written_count; i++)
        assert_true(delta->written[i] < next->count);
    state_image_release(image);
    copy_image(next, image);
}

static cc_err swap(struct state_store *store,
                   const struct state_mark *expected,
                   const struct state_image *next,
                   const struct state_delta *delta)
{
    struct shared_state *shared = take(store);
    struct state_mark now;
    if (shared->away)
        return give(shared, away());
    state_image_mark(&shared->image, &now);
    if (!state_mark_equal(&now, expected))
        return give(shared, CC_FAIL(CONFLICT, "another replica of the test"));
    change(&shared->image, next, delta);
    shared->swaps++;
    if (!shared->lost)
        return give(shared, CC_OK);
    shared->lost--;
    return give(shared, away());
}

static void close_replica(struct state_store *store)
{
    cc_free(store);
}

static const struct state_store_ops ops = {.name = "memory",
                                           .shared = true,
                                           .load = load,
                                           .peek = peek,
                                           .swap = swap,
                                           .close = close_replica};

struct state_store *shared_state_replica(struct shared_state *shared)
{
    struct replica *replica = cc_alloc(sizeof *replica);
    assert_non_null(replica);
    replica->base.ops = &ops;
    replica->shared = shared;
    return &replica->base;
}

static const char *seen_path(const struct shared_state *shared, const char *replica)
{
    static char path[128];
    (void)snprintf(path, sizeof path, "%s/%s.seen", shared->directory, replica);
    return path;
}

void shared_state_make(struct shared_state *shared)
{
    *shared = (struct shared_state){.directory = "/tmp/cc-test-shared-XXXXXX"};
    assert_non_null(mkdtemp(shared->directory));
    assert_int_equal(pthread_mutex_init(&shared->lock, NULL), 0);
    memset(shared->pin.chamber_id, 0x5d, sizeof shared->pin.chamber_id);
    ed25519_public(seed, shared->pin.identity_public);
    struct state_store *store = shared_state_replica(shared);
    assert_int_equal(state_open_new(store, &shared->pin, seen_path(shared, "maker")).code, 0);
    assert_int_equal(shared_state_put(store, "chamber", "test", "").code, 0);
    state_store_close(store);
}

static int remove_entry(const char *name, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(name);
}

void shared_state_remove(struct shared_state *shared)
{
    state_image_release(&shared->image);
    assert_int_equal(pthread_mutex_destroy(&shared->lock), 0);
    assert_int_equal(nftw(shared->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

struct state_store *shared_state_open(struct shared_state *shared, const char *replica)
{
    struct state_fault fault;
    struct state_store *store = shared_state_replica(shared);
    assert_int_equal(seen_write(seen_path(shared, replica), 0, false).code, 0);
    assert_int_equal(state_open(store, &shared->pin, seen_path(shared, replica), &fault).code, 0);
    return store;
}

void shared_state_set_away(struct shared_state *shared, bool is_away)
{
    assert_int_equal(pthread_mutex_lock(&shared->lock), 0);
    shared->away = is_away;
    assert_int_equal(pthread_mutex_unlock(&shared->lock), 0);
}

void shared_state_lose_answers(struct shared_state *shared, unsigned count)
{
    assert_int_equal(pthread_mutex_lock(&shared->lock), 0);
    shared->lost = count;
    assert_int_equal(pthread_mutex_unlock(&shared->lock), 0);
}

unsigned shared_state_swaps(struct shared_state *shared)
{
    assert_int_equal(pthread_mutex_lock(&shared->lock), 0);
    const unsigned swaps = shared->swaps;
    assert_int_equal(pthread_mutex_unlock(&shared->lock), 0);
    return swaps;
}

cc_err
shared_state_put(struct state_store *store, const char *kind, const char *name, const char *text)
{
    const struct state_record *there = state_find(store, kind, name);
    const struct state_change change = {.kind = kind,
                                        .name = name,
                                        .expected_version = there ? there->version : 0,
                                        .bytes = span_str(text)};
    return state_commit(store, &change, 1, &shared_state_signer);
}

bool shared_state_is(const struct state_store *store,
                     const char *kind,
                     const char *name,
                     const char *text)
{
    const struct state_record *there = state_find(store, kind, name);
    if (!there || !text)
        return !there && !text;
    return span_is(span_of(there->bytes, there->len), text);
}
