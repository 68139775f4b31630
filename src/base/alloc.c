#include "base/alloc.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    GROW_FIRST = 64,
    LARGE = 1 << 18
};

static _Atomic uint64_t made;
static _Atomic uint64_t fail_at;

static int must_fail(void)
{
    uint64_t at = atomic_load_explicit(&fail_at, memory_order_relaxed);
    if (cc_likely(at == 0))
        return 0;
    return atomic_fetch_add(&made, 1) + 1 == at;
}

void *cc_alloc(size_t size)
{
    return must_fail() ? NULL : calloc(1, size ? size : 1);
}

void *cc_alloc_array(size_t count, size_t size)
{
    return must_fail() ? NULL : calloc(count ? count : 1, size ? size : 1);
}

void *cc_realloc_array(void *old, size_t count, size_t size)
{
    return must_fail() ? NULL : reallocarray(old, count ? count : 1, size ? size : 1);
}

void *cc_grow_array(void *old, size_t count, size_t *room, size_t size)
{
    size_t more = *room ? *room * 2 : GROW_FIRST;
    if (count < *room)
        return old;
    void *grown = cc_realloc_array(old, more, size);
    if (grown)
        *room = more;
    return grown;
}

char *cc_strdup(const char *text)
{
    return must_fail() ? NULL : strdup(text);
}

void cc_free(void *p)
{
    free(p);
}

void alloc_give_back(void)
{
    /* Set by hand, the threshold stops growing with what is freed. */
    (void)mallopt(M_MMAP_THRESHOLD, LARGE);
}

uint64_t alloc_fail_nth(uint64_t nth)
{
    uint64_t count = atomic_exchange(&made, 0);
    atomic_store(&fail_at, nth);
    return count;
}
