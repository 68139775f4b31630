/* secret/arena.h - the memory that secrets live in.
 *
 * WHAT      Locked, undumpable memory between guard pages: an arena of 32-byte slots for keys, and whole regions for
 *           messages that carry passwords. memfd_secret where the kernel has it (then not even root reads it by
 *           /proc/PID/mem), else anonymous memory.
 * PROMISE   Never in swap, in a core, or in a forked child. A slot is zero when given and wiped when released. A
 *           write beyond a block is found by its canary, at the next take or release of that block, and ends the
 *           process; one beyond a chunk hits a guard page. All memory is taken at arena_new(): no system call later.
 * THREADS   Take and release from any thread. The bytes of a slot are guarded by its holder.
 * OWNERSHIP arena_free() wipes and frees everything; slots must not be used after it.
 * ERRORS    MEMLOCK (RLIMIT_MEMLOCK is too small for `min_slots`), LIMIT (no slot is left), NO_MEMORY.
 * SECRETS   Their home.
 */
#ifndef SECRET_ARENA_H
#define SECRET_ARENA_H

#include <stdbool.h>

#include "base/error.h"

enum {
    SECRET_SIZE = 32
};

struct arena;
struct secret; /* one slot of an arena; opaque, so that nothing prints or compares it by accident */

/* Takes memory for `max_slots` slots, or for as many as the locked-memory limit allows but at least `min_slots`. */
CC_ERR arena_new(size_t min_slots, size_t max_slots, struct arena **ret_arena);
void arena_free(struct arena *arena);
size_t arena_capacity(const struct arena *arena);
/* True when the memory is memfd_secret. */
bool arena_is_kernel_secret(const struct arena *arena);
/* True while every arena and region that this process has taken is. */
bool secret_is_kernel_secret(void);
/* True where the kernel gives memfd_secret to this process. */
bool secret_kernel_has(void);

CC_ERR arena_take(struct arena *arena, struct secret **ret_slot);
/* Wipes a slot and takes it back; NULL is fine. */
void arena_release(struct arena *arena, struct secret *slot);

/* The SECRET_SIZE bytes of a slot (32-byte aligned), for the scope of the caller. */
const uint8_t *secret_borrow(const struct secret *slot);
uint8_t *secret_borrow_mut(struct secret *slot);

/* A region of its own between guard pages, with the same promises. `len` is rounded up to whole pages. */
CC_ERR secret_map(size_t len, void **ret_region);
void secret_unmap(void *region, size_t len);

#endif
