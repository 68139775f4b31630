/* base/num.h - checked numbers and byte order.
 *
 * WHAT      Parsing and printing of unsigned 64-bit decimals; fixed-width loads and stores.
 * PROMISE   A value that does not fit is an error, never a wrap: 2^53+1 and 2^64-1 pass, 2^64 fails.
 * THREADS   Any.   OWNERSHIP Borrows.   ERRORS NUMBER_RANGE, MALFORMED.   SECRETS None.
 */
#ifndef BASE_NUM_H
#define BASE_NUM_H

#include <stdbool.h>

#include "base/error.h"
#include "base/span.h"

/* Parses one or more ASCII digits, nothing else; leading zeros are allowed. */
CC_ERR u64_parse(struct span text, uint64_t *ret_value);

static inline void u32_store_be(uint8_t out[static 4], uint32_t v)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(v >> (24 - 8 * i));
}

static inline void u64_store_be(uint8_t out[static 8], uint64_t v)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(v >> (56 - 8 * i));
}

static inline uint64_t u64_load_be(const uint8_t in[static 8])
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = v << 8 | in[i];
    return v;
}

static inline void u64_store_le(uint8_t out[static 8], uint64_t v)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(v >> (8 * i));
}

static inline uint64_t u64_load_le(const uint8_t in[static 8])
{
    uint64_t v = 0;
    for (int i = 7; i >= 0; i--)
        v = v << 8 | in[i];
    return v;
}

static inline uint64_t u64_max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static inline uint64_t u64_min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* a + b, or 2^64-1 where that would wrap. */
static inline uint64_t u64_add_sat(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

#endif
