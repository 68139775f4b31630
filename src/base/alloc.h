/* base/alloc.h - every heap allocation of ours.
 *
 * WHAT      malloc/calloc/free behind one name, so that a test can fail the nth allocation.
 * PROMISE   Returns NULL only when memory is out (or a test asked for it). cc_alloc() and cc_alloc_array() give zeroed
 *           memory; what an array grows by is not.
 * THREADS   Any.   OWNERSHIP The caller frees with cc_free().   ERRORS NULL.   SECRETS None: the arena's job.
 */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include "base/macros.h"

void *cc_alloc(size_t size) CC_MUST_USE;
/* `count` elements of `size` bytes; NULL when the product overflows. */
void *cc_alloc_array(size_t count, size_t size) CC_MUST_USE;
/* Grows an array from cc_alloc_array(); the old block stays valid when NULL is returned. */
void *cc_realloc_array(void *old, size_t count, size_t size) CC_MUST_USE;
/* An array with room for one more than its `count` elements: `old` where *room allows it, else a larger one, of twice
 * the room. NULL leaves both as they were.
 */
void *cc_grow_array(void *old, size_t count, size_t *room, size_t size) CC_MUST_USE;
char *cc_strdup(const char *text) CC_MUST_USE;
void cc_free(void *p);

/* Once, at the start of a process: from then on a large block goes back to the system when it is freed. By itself malloc()
 * keeps such blocks after the first, and a list of 100,000 keys asked for by some clients at once would stay for good.
 */
void alloc_give_back(void);

/* Cleanup helper: CC_CLEANUP(cc_freep) char *p. */
static inline void cc_freep(void *pp)
{
    cc_free(*(void **)pp);
}

/* Test hook: the nth allocation from now fails, once; 0 switches it off. Returns how many
 * allocations were made since the last call.
 */
uint64_t alloc_fail_nth(uint64_t nth);

#endif
