#include "secret/wiping_heap.h"

#include <malloc.h>
#include <string.h>

#include "base/alloc.h"

#include "secret/wipe.h"

void wiping_free(void *p)
{
    if (p)
        wipe(p, malloc_usable_size(p));
    cc_free(p);
}

/* Not realloc: the old copy must be wiped before it goes back to the heap. */
void *wiping_realloc(void *old, size_t size)
{
    void *fresh = cc_alloc(size ? size : 1);
    if (!fresh)
        return NULL;
    if (old) {
        size_t used = malloc_usable_size(old);
        memcpy(fresh, old, used < size ? used : size);
    }
    wiping_free(old);
    return fresh;
}
