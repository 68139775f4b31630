/* seal/seal_bytes.h - fields as bytes, one after the other, for what is signed, sealed or digested.
 *
 * WHAT      A writer into, and a reader of, an array of the caller's.
 * PROMISE   Nothing is written or read beyond it: a reader that runs out is `short_of`, and gives zeros from then on.
 * THREADS   Any: pure.   OWNERSHIP Borrows.   ERRORS `short_of`; a writer without room is a programming error.   SECRETS Pass through.
 */
#ifndef SEAL_SEAL_BYTES_H
#define SEAL_SEAL_BYTES_H

#include "base/span.h"

struct seal_writer {
    uint8_t *at;
    size_t room;
};

struct seal_reader {
    struct span left;
    bool short_of;
};

static inline void seal_put(struct seal_writer *writer, const void *data, size_t len)
{
    cc_assert(len <= writer->room);
    memcpy(writer->at, data, len);
    writer->at += len;
    writer->room -= len;
}

/* Big-endian, in `size` bytes. */
static inline void seal_put_number(struct seal_writer *writer, uint64_t number, size_t size)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(number >> 8 * (size - 1 - i));
    seal_put(writer, bytes, size);
}

static inline void seal_take(struct seal_reader *reader, void *ret_data, size_t len)
{
    reader->short_of = reader->short_of || reader->left.len < len;
    if (reader->short_of) {
        memset(ret_data, 0, len);
        return;
    }
    memcpy(ret_data, reader->left.data, len);
    reader->left = span_of(reader->left.data + len, reader->left.len - len);
}

static inline uint64_t seal_take_number(struct seal_reader *reader, size_t size)
{
    uint8_t bytes[8];
    uint64_t number = 0;
    seal_take(reader, bytes, size);
    for (size_t i = 0; i < size; i++)
        number = number << 8 | bytes[i];
    return number;
}

#endif
