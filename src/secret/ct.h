/* secret/ct.h - operations on secret bytes whose time does not tell what they are.
 *
 * WHAT      Equality and hex of secrets, without a branch or a table look-up on their bytes; masks to select by.
 * PROMISE   Time and addresses depend on the length only.
 * THREADS   Any.   OWNERSHIP Borrows.
 * ERRORS    HEX_SYNTAX; which digit was wrong is not told.
 * SECRETS   Pass through; nothing is kept.
 */
#ifndef SECRET_CT_H
#define SECRET_CT_H

#include <stdbool.h>

#include "base/error.h"

/* Tells a checker of constant time (valgrind's memcheck, to which secrets are undefined) that these bytes may be known
 * from here on; does nothing else.
 */
#if defined(CC_TESTING) && __has_include(<valgrind/memcheck.h>)
#    include <valgrind/memcheck.h>
#    define CT_DECLASSIFY(p, len) ((void)VALGRIND_MAKE_MEM_DEFINED((p), (len)))
#else
#    define CT_DECLASSIFY(p, len) ((void)(p), (void)(len))
#endif

/* Gives `x` as a value the compiler knows nothing about: clang turns a selection by a mask back into a jump when it sees
 * how the mask was made.
 */
static inline uint64_t ct_hide(uint64_t x)
{
#ifndef CT_MEMORY_SANITIZER /* which takes any assembler for a use of its operands */
    __asm__("" : "+r"(x));
#endif
    return x;
}

/* A mask is all ones for true, zero for false. */
static inline uint64_t ct_mask_bit(uint64_t bit)
{
    return ct_hide(0 - ct_hide(bit));
}

static inline uint64_t ct_mask_zero(uint64_t x)
{
    const uint64_t hidden = ct_hide(x);
    return ct_mask_bit(1 ^ (hidden | (0 - hidden)) >> 63);
}

static inline uint64_t ct_select(uint64_t mask, uint64_t if_true, uint64_t if_false)
{
    return if_false ^ (mask & (if_true ^ if_false));
}

bool ct_equal(const void *a, const void *b, size_t len) CC_MUST_USE;
bool ct_is_zero(const void *a, size_t len) CC_MUST_USE;
/* Decodes exactly 2 * len hex digits of either case; on an error `ret_bytes` is zero. */
CC_ERR ct_hex_decode(const char *digits, uint8_t *ret_bytes, size_t len);
/* Writes 2 * len lower-case digits, without a terminating zero. */
void ct_hex_encode(const uint8_t *bytes, size_t len, char *ret_digits);

#endif
