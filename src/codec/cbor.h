/* codec/cbor.h - CBOR (RFC 8949), as strict as attestation documents allow it.
 *
 * WHAT      A reader that walks over bytes item by item, and a writer into the caller's bytes. Integers, byte and text
 *           strings, arrays, maps, tags, booleans and null: there is no more in attestation documents.
 * PROMISE   One value has one form: lengths are definite, numbers as short as they can be, text is UTF-8, a map has no
 *           key twice, and nothing follows the end. What has another form is refused. No allocation, no recursion.
 * THREADS   Any; one for each reader or writer.
 * OWNERSHIP Borrows: spans that are read lie in what is read.
 * ERRORS    CBOR; a writer that is full says LIMIT at its end.
 * SECRETS   None.
 */
#ifndef CODEC_CBOR_H
#define CODEC_CBOR_H

#include "base/error.h"
#include "base/span.h"

enum cbor_kind {
    CBOR_UINT = 0,
    CBOR_NEGATIVE = 1,
    CBOR_BYTES = 2,
    CBOR_TEXT = 3,
    CBOR_ARRAY = 4,
    CBOR_MAP = 5,
    CBOR_TAG = 6,
    CBOR_SIMPLE = 7,
    CBOR_NONE = 8 /* the end of what is read */
};

struct cbor_reader {
    const uint8_t *at;
    const uint8_t *end;
};

static inline struct cbor_reader cbor_reader_init(struct span bytes)
{
    return (struct cbor_reader){bytes.data, bytes.data + bytes.len};
}

/* What the next item is; nothing is read. */
enum cbor_kind cbor_peek(const struct cbor_reader *r);
/* Each reads one item of its kind, and refuses any other one; then the reader stands where it stood. */
CC_ERR cbor_read_uint(struct cbor_reader *r, uint64_t *ret_value);
/* An integer of either sign that an int64_t can hold. */
CC_ERR cbor_read_int(struct cbor_reader *r, int64_t *ret_value);
CC_ERR cbor_read_bytes(struct cbor_reader *r, struct span *ret_bytes);
CC_ERR cbor_read_text(struct cbor_reader *r, struct span *ret_text);
CC_ERR cbor_read_bool(struct cbor_reader *r, bool *ret_value);
CC_ERR cbor_read_tag(struct cbor_reader *r, uint64_t *ret_tag);
/* The head of an array or map; `count` items, or pairs of items, follow. More than `max` are refused. */
CC_ERR cbor_read_array(struct cbor_reader *r, uint32_t max, uint32_t *ret_count);
CC_ERR cbor_read_map(struct cbor_reader *r, uint32_t max, uint32_t *ret_count);
/* Reads null where it is next and says so; anything else is left where it is. */
bool cbor_try_null(struct cbor_reader *r);
/* A map's next key, a text out of `names`: which one it is. An unknown one is refused, and one whose bit is in *seen
 * already; its bit is set there. At most 32 names.
 */
CC_ERR cbor_read_name(struct cbor_reader *r,
                      const char *const *names,
                      uint32_t count,
                      uint32_t *seen,
                      uint32_t *ret_index);
/* The same for keys that are numbers below `count`, at most 32. */
CC_ERR
cbor_read_number(struct cbor_reader *r, uint32_t count, uint32_t *seen, uint32_t *ret_number);
/* Steps over one item with all that it holds. */
CC_ERR cbor_skip(struct cbor_reader *r);
/* Refuses bytes that follow. */
CC_ERR cbor_read_end(const struct cbor_reader *r);

struct cbor_writer {
    uint8_t *data;
    size_t size;
    size_t len;
    bool full; /* something did not fit: cbor_written() says it */
};

static inline struct cbor_writer cbor_writer_init(uint8_t *data, size_t size)
{
    return (struct cbor_writer){.data = data, .size = size};
}

void cbor_put_uint(struct cbor_writer *w, uint64_t value);
void cbor_put_int(struct cbor_writer *w, int64_t value);
void cbor_put_bytes(struct cbor_writer *w, struct span bytes);
void cbor_put_text(struct cbor_writer *w, const char *text);
void cbor_put_array(struct cbor_writer *w, uint32_t count);
void cbor_put_map(struct cbor_writer *w, uint32_t count);
void cbor_put_null(struct cbor_writer *w);
/* The head of a byte string alone: its `len` bytes lie elsewhere. */
void cbor_put_bytes_head(struct cbor_writer *w, size_t len);
/* What was written; LIMIT where it did not fit. */
CC_ERR cbor_written(const struct cbor_writer *w, struct span *ret_bytes);

#endif
