/* secret/wiping_heap.h - heap functions for libraries that free secrets without a look.
 *
 * WHAT      free() and realloc() that wipe what they give back, for libraries that let them be replaced.
 * PROMISE   All of a block is zero before it goes back to the heap. They take what malloc() gave.
 * THREADS   Any.   OWNERSHIP As free() and realloc().   ERRORS NULL where memory is out.
 * SECRETS   Ends copies that libraries made (docs/secrets.md); nothing here is locked.
 */
#ifndef SECRET_WIPING_HEAP_H
#define SECRET_WIPING_HEAP_H

#include <stddef.h>

void wiping_free(void *p); /* takes NULL */
void *wiping_realloc(void *old, size_t size);

#endif
