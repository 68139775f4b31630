/* base/macros.h - attributes and small macros that every file may use.
 *
 * WHAT      Names for compiler attributes, so that a declaration says what it promises.
 * PROMISE   cc_assert() stays in release builds: a programming error ends the process.
 * THREADS   Any.   OWNERSHIP None.   ERRORS None.   SECRETS None.
 */
#ifndef BASE_MACROS_H
#define BASE_MACROS_H

#include <stddef.h>
#include <stdint.h>

#define CC_MUST_USE        __attribute__((warn_unused_result))
#define CC_PRINTF(fmt, va) __attribute__((format(printf, fmt, va)))
#define CC_CLEANUP(fn)     __attribute__((cleanup(fn)))
#define CC_NORETURN        __attribute__((noreturn))

/* A function that holds secret bytes: its registers are cleared on return where the compiler can. */
#if defined(__GNUC__) && !defined(__clang__)
#    define CC_SENSITIVE __attribute__((noinline, zero_call_used_regs("all")))
#else
#    define CC_SENSITIVE __attribute__((noinline))
#endif

#define cc_likely(x)   __builtin_expect(!!(x), 1)
#define cc_unlikely(x) __builtin_expect(!!(x), 0)

#define ARRAY_LEN(a)   (sizeof(a) / sizeof((a)[0]))

/* Ends the process with file and line on standard error when `cond` is false; never compiled out. */
#define cc_assert(cond)                                                                            \
    do {                                                                                           \
        if (cc_unlikely(!(cond)))                                                                  \
            cc_assert_failed(#cond, __FILE__, __LINE__);                                           \
    } while (0)

CC_NORETURN void cc_assert_failed(const char *cond, const char *file, int line);

#endif
