/* secret/wipe.h - erasing secret bytes.
 *
 * WHAT      Wiping that the compiler can't drop, by call and by scope; wiping of used stack.
 * PROMISE   After wipe() the bytes are zero; after wipe_stack() so are the WIPE_STACK_SIZE bytes of stack below
 *           the caller, where library calls may have left copies.
 * THREADS   Any.   OWNERSHIP Borrows.   ERRORS None.
 * SECRETS   Ends them: docs/secrets.md.
 */
#ifndef SECRET_WIPE_H
#define SECRET_WIPE_H

#include "base/macros.h"

enum {
    WIPE_STACK_SIZE = 32768
};

void wipe(void *p, size_t len);
void wipe_stack(void);

/* Secret temporaries on the stack: WIPED32 struct secret32 key; */
struct secret32 {
    _Alignas(8) uint8_t bytes[32];
};
struct secret64 {
    _Alignas(8) uint8_t bytes[64];
};

static inline void secret32_wipep(struct secret32 *s)
{
    wipe(s->bytes, sizeof s->bytes);
}

static inline void secret64_wipep(struct secret64 *s)
{
    wipe(s->bytes, sizeof s->bytes);
}

#define WIPED32 CC_CLEANUP(secret32_wipep)
#define WIPED64 CC_CLEANUP(secret64_wipep)

#endif
