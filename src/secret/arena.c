#include "secret/arena.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"

#include "secret/ct.h"
#include "secret/wipe.h"

/* A chunk is a mapping of its own between guard pages. It is cut into blocks of one page: slots, then a canary as
 * large as a slot. What is taken is noted outside, in ordinary memory, where an overrun can't reach it.
 */
enum {
    BLOCK_SIZE = 4096,
    BLOCK_SLOTS = BLOCK_SIZE / SECRET_SIZE - 1,
    CHUNK_BLOCKS = 16,
    CHUNK_SIZE = CHUNK_BLOCKS * BLOCK_SIZE,
    CHUNK_SLOTS = CHUNK_BLOCKS * BLOCK_SLOTS,
};

struct secret {
    uint8_t bytes[SECRET_SIZE];
};

struct block {
    struct secret slots[BLOCK_SLOTS];
    struct secret canary;
};
_Static_assert(sizeof(struct block) == BLOCK_SIZE, "a block is a page");

struct chunk {
    struct block *blocks; /* CHUNK_BLOCKS of them, locked */
    uint8_t taken[CHUNK_SLOTS];
    size_t free_slots;
};

struct arena {
    pthread_mutex_t
        lock; /* guards `taken` and `free_slots` of all chunks; a leaf: nothing is locked under it */
    bool kernel_secret;
    struct secret canary;
    size_t chunk_count;
    struct chunk *chunks;
};

enum {
    MAP_OK,
    MAP_REFUSED,
    MAP_NO_SECRET
};

/* Some memory of this process is not memfd_secret. It stays so: what lay there may have been seen. */
static atomic_bool fell_back;

static size_t page_round(size_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (len + page - 1) / page * page;
}

bool secret_kernel_has(void)
{
    int fd = (int)syscall(SYS_memfd_secret, O_CLOEXEC);
    if (fd >= 0)
        (void)close(fd);
    return fd >= 0;
}

/* Maps over `at` with memfd_secret. Its pages are locked and undumpable by nature; a child must not share them. */
static int map_kernel_secret(uint8_t *at, size_t len)
{
    int fd = (int)syscall(SYS_memfd_secret, O_CLOEXEC);
    if (fd < 0)
        return MAP_NO_SECRET;
    void *p = ftruncate(fd, (off_t)len) == 0
                  ? mmap(at, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0)
                  : MAP_FAILED;
    (void)close(fd);
    if (p == MAP_FAILED || madvise(at, len, MADV_DONTFORK) != 0)
        return MAP_REFUSED;
    return MAP_OK;
}

static int map_anonymous(uint8_t *at, size_t len)
{
    void *p = mmap(at, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (p == MAP_FAILED || mlock(at, len) != 0 || madvise(at, len, MADV_DONTDUMP) != 0 ||
        madvise(at, len, MADV_WIPEONFORK) != 0)
        return MAP_REFUSED;
    return MAP_OK;
}

static int map_between_guards(size_t len, bool want_kernel_secret, uint8_t **ret_at)
{
    size_t page = page_round(1);
    uint8_t *all = mmap(NULL, len + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED)
        return MAP_REFUSED;
    int result =
        want_kernel_secret ? map_kernel_secret(all + page, len) : map_anonymous(all + page, len);
    if (result != MAP_OK)
        (void)munmap(all, len + 2 * page);
    else if (!want_kernel_secret)
        atomic_store(&fell_back, true);
    *ret_at = all + page;
    return result;
}

CC_ERR secret_map(size_t len, void **ret_region)
{
    uint8_t *at = NULL;
    size_t size = page_round(len);
    if (map_between_guards(size, true, &at) != MAP_OK &&
        map_between_guards(size, false, &at) != MAP_OK)
        return CC_FAIL(MEMLOCK, "a region for secret messages");
    *ret_region = at;
    return CC_OK;
}

void secret_unmap(void *region, size_t len)
{
    if (!region)
        return;
    size_t page = page_round(1);
    wipe(region, page_round(len));
    (void)munmap((uint8_t *)region - page, page_round(len) + 2 * page);
}

static bool chunk_add(struct arena *a)
{
    struct chunk *c = &a->chunks[a->chunk_count];
    uint8_t *at = NULL;
    int result = map_between_guards(CHUNK_SIZE, a->kernel_secret, &at);
    if (result != MAP_OK && a->kernel_secret && a->chunk_count == 0) {
        a->kernel_secret = false;
        result = map_between_guards(CHUNK_SIZE, false, &at);
    }
    if (result != MAP_OK)
        return false;
    c->blocks = (struct block *)(void *)at;
    c->free_slots = CHUNK_SLOTS;
    for (size_t i = 0; i < CHUNK_BLOCKS; i++)
        c->blocks[i].canary = a->canary;
    a->chunk_count++;
    return true;
}

CC_ERR arena_new(size_t min_slots, size_t max_slots, struct arena **ret_arena)
{
    struct arena *a = cc_alloc(sizeof *a);
    if (!a)
        return CC_FAIL(NO_MEMORY, "arena");
    size_t chunks = (max_slots + CHUNK_SLOTS - 1) / CHUNK_SLOTS;
    a->chunks = cc_alloc_array(chunks, sizeof *a->chunks);
    a->kernel_secret = true;
    cc_assert(pthread_mutex_init(&a->lock, NULL) == 0);
    cc_err err = CC_OK;
    if (!a->chunks)
        err = CC_FAIL(NO_MEMORY, "arena");
    else if (getrandom(&a->canary, sizeof a->canary, 0) != (ssize_t)sizeof a->canary)
        err = CC_FAIL(SYSTEM, "getrandom");
    while (!err.code && a->chunk_count < chunks && chunk_add(a))
        ;
    if (!err.code && arena_capacity(a) < min_slots)
        err = CC_FAIL(MEMLOCK, "too little locked memory for the keys expected");
    if (err.code) {
        arena_free(a);
        return err;
    }
    *ret_arena = a;
    return CC_OK;
}

void arena_free(struct arena *arena)
{
    if (!arena)
        return;
    for (size_t i = 0; i < arena->chunk_count; i++)
        secret_unmap(arena->chunks[i].blocks, CHUNK_SIZE);
    (void)pthread_mutex_destroy(&arena->lock);
    cc_free(arena->chunks);
    cc_free(arena);
}

size_t arena_capacity(const struct arena *arena)
{
    return arena->chunk_count * CHUNK_SLOTS;
}

bool arena_is_kernel_secret(const struct arena *arena)
{
    return arena->kernel_secret;
}

bool secret_is_kernel_secret(void)
{
    return !atomic_load(&fell_back);
}

/* An overrun is a programming error with keys at stake: nothing may go on after it. */
static void block_check(const struct arena *a, const struct block *block)
{
    cc_assert(ct_equal(&block->canary, &a->canary, sizeof a->canary));
}

static struct secret *chunk_take(struct arena *a, struct chunk *c)
{
    const uint8_t *at = memchr(c->taken, 0, sizeof c->taken);
    cc_assert(at);
    size_t i = (size_t)(at - c->taken);
    struct block *block = &c->blocks[i / BLOCK_SLOTS];
    block_check(a, block);
    c->taken[i] = 1;
    c->free_slots--;
    return &block->slots[i % BLOCK_SLOTS];
}

CC_ERR arena_take(struct arena *arena, struct secret **ret_slot)
{
    struct secret *slot = NULL;
    cc_assert(pthread_mutex_lock(&arena->lock) == 0);
    for (size_t i = 0; i < arena->chunk_count && !slot; i++) {
        if (arena->chunks[i].free_slots)
            slot = chunk_take(arena, &arena->chunks[i]);
    }
    cc_assert(pthread_mutex_unlock(&arena->lock) == 0);
    if (!slot)
        return CC_FAIL(LIMIT, "no locked memory is left for another key");
    *ret_slot = slot;
    return CC_OK;
}

static struct chunk *chunk_of(struct arena *a, const struct secret *slot)
{
    uintptr_t at = (uintptr_t)slot;
    for (size_t i = 0; i < a->chunk_count; i++) {
        uintptr_t begin = (uintptr_t)a->chunks[i].blocks;
        if (at >= begin && at < begin + CHUNK_SIZE)
            return &a->chunks[i];
    }
    return NULL;
}

void arena_release(struct arena *arena, struct secret *slot)
{
    if (!slot)
        return;
    struct chunk *c = chunk_of(arena, slot);
    cc_assert(c);
    size_t offset = (size_t)((uintptr_t)slot - (uintptr_t)c->blocks);
    struct block *block = &c->blocks[offset / BLOCK_SIZE];
    size_t in_block = offset % BLOCK_SIZE / SECRET_SIZE;
    cc_assert(offset % SECRET_SIZE == 0 && in_block < BLOCK_SLOTS);
    cc_assert(pthread_mutex_lock(&arena->lock) == 0);
    uint8_t *taken = &c->taken[offset / BLOCK_SIZE * BLOCK_SLOTS + in_block];
    cc_assert(*taken);
    block_check(arena, block);
    wipe(slot, sizeof *slot);
    *taken = 0;
    c->free_slots++;
    cc_assert(pthread_mutex_unlock(&arena->lock) == 0);
}

const uint8_t *secret_borrow(const struct secret *slot)
{
    return slot->bytes;
}

uint8_t *secret_borrow_mut(struct secret *slot)
{
    return slot->bytes;
}
