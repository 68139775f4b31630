/* CBOR: what the reader accepts it accepts in one form alone, so that writing it again gives the same bytes; and stepping
 * over an item goes exactly as far as reading it.
 */
#include <stdlib.h>
#include <string.h>

#include "codec/cbor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One item, and how many follow inside of it. False: refused. */
static bool copy_one(struct cbor_reader *r, struct cbor_writer *w, uint64_t *ret_inside)
{
    uint64_t number;
    int64_t integer;
    struct span string;
    uint32_t count = 0;
    bool flag;
    *ret_inside = 0;
    switch (cbor_peek(r)) {
    case CBOR_UINT:
        if (cbor_read_uint(r, &number).code)
            return false;
        cbor_put_uint(w, number);
        return true;
    case CBOR_NEGATIVE:
        if (cbor_read_int(r, &integer).code)
            return false;
        cc_assert(integer < 0);
        cbor_put_int(w, integer);
        return true;
    case CBOR_BYTES:
        if (cbor_read_bytes(r, &string).code)
            return false;
        cbor_put_bytes(w, string);
        return true;
    case CBOR_TEXT: {
        if (cbor_read_text(r, &string).code || memchr(string.data, 0, string.len))
            return false;
        char *text = strndup((const char *)string.data, string.len);
        cc_assert(text);
        cbor_put_text(w, text);
        free(text);
        return true;
    }
    case CBOR_ARRAY:
        if (cbor_read_array(r, UINT32_MAX, &count).code)
            return false;
        cbor_put_array(w, count);
        *ret_inside = count;
        return true;
    case CBOR_MAP:
        if (cbor_read_map(r, UINT32_MAX, &count).code)
            return false;
        cbor_put_map(w, count);
        *ret_inside = (uint64_t)2 * count;
        return true;
    case CBOR_SIMPLE:
        if (cbor_try_null(r)) {
            cbor_put_null(w);
            return true;
        }
        if (cbor_read_bool(r, &flag).code)
            return false;
        w->len++; /* there is no writer of booleans: nothing of ours sends any */
        w->data[w->len - 1] = flag ? 0xf5 : 0xf4;
        return true;
    case CBOR_TAG: /* nor of tags */
    case CBOR_NONE:
        break;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *in = malloc(size ? size : 1);
    uint8_t *out = malloc(size + 16);
    cc_assert(in && out);
    if (size)
        memcpy(in, data, size);
    struct cbor_reader r = cbor_reader_init(span_of(in, size));
    struct cbor_reader skipped = r;
    struct cbor_writer w = cbor_writer_init(out, size + 16);
    uint64_t wanted = 1;
    bool whole = true;
    while (whole && wanted > 0) {
        uint64_t inside;
        const uint8_t *before = r.at;
        whole = copy_one(&r, &w, &inside);
        if (!whole)
            cc_assert(r.at >= before && r.at <= r.end);
        wanted += inside - 1;
        whole = whole && wanted <= size;
    }
    cc_err err = cbor_skip(&skipped);
    if (whole) {
        struct span again;
        cc_assert(!cbor_written(&w, &again).code);
        cc_assert(again.len == (size_t)(r.at - in) && memcmp(again.data, in, again.len) == 0);
        cc_assert(!err.code && skipped.at == r.at);
    }
    cc_assert(skipped.at >= in && skipped.at <= in + size);
    cc_assert(!err.code || skipped.at == in);
    free(in);
    free(out);
    return 0;
}
