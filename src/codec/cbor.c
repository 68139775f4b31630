#include "codec/cbor.h"

#include "codec/utf8.h"

/* Of major type 7 (RFC 8949, 3.3). */
enum simple {
    SIMPLE_FALSE = 20,
    SIMPLE_TRUE = 21,
    SIMPLE_NULL = 22
};

struct head {
    enum cbor_kind kind;
    uint64_t value;
    const uint8_t *after;
};

/* The number of a head: in its first byte, or in the 1, 2, 4 or 8 bytes that follow; in no more than it needs. */
static cc_err head_value(const struct cbor_reader *r, uint8_t info, struct head *head)
{
    if (info < 24) {
        head->value = info;
        return CC_OK;
    }
    if (info > 27)
        return CC_FAIL(CBOR, "a length that is not definite");
    size_t width = (size_t)1 << (info - 24);
    if ((size_t)(r->end - head->after) < width)
        return CC_FAIL(CBOR, "cut short");
    head->value = 0;
    for (size_t i = 0; i < width; i++)
        head->value = head->value << 8 | *head->after++;
    uint64_t below = width == 1 ? 24 : (uint64_t)1 << (4 * width);
    if (head->value < below)
        return CC_FAIL(CBOR, "a number that is longer than it needs to be");
    return CC_OK;
}

static cc_err head_read(const struct cbor_reader *r, struct head *ret_head)
{
    if (r->at == r->end)
        return CC_FAIL(CBOR, "cut short");
    struct head head = {.kind = (enum cbor_kind)(*r->at >> 5), .after = r->at + 1};
    uint8_t info = *r->at & 0x1f;
    if (head.kind == CBOR_SIMPLE && (info < SIMPLE_FALSE || info > SIMPLE_NULL))
        return CC_FAIL(CBOR, "a simple value or a fraction that has no place here");
    CC_TRY(head_value(r, info, &head));
    *ret_head = head;
    return CC_OK;
}

static cc_err head_of(const struct cbor_reader *r, enum cbor_kind kind, struct head *ret_head)
{
    struct head head = {.after = NULL};
    CC_TRY(head_read(r, &head));
    if (head.kind != kind)
        return CC_FAIL(CBOR, "another kind of value is wanted");
    *ret_head = head;
    return CC_OK;
}

enum cbor_kind cbor_peek(const struct cbor_reader *r)
{
    return r->at == r->end ? CBOR_NONE : (enum cbor_kind)(*r->at >> 5);
}

CC_ERR cbor_read_uint(struct cbor_reader *r, uint64_t *ret_value)
{
    struct head head = {.after = NULL};
    CC_TRY(head_of(r, CBOR_UINT, &head));
    r->at = head.after;
    *ret_value = head.value;
    return CC_OK;
}

CC_ERR cbor_read_int(struct cbor_reader *r, int64_t *ret_value)
{
    struct head head = {.after = NULL};
    CC_TRY(head_of(r, cbor_peek(r) == CBOR_NEGATIVE ? CBOR_NEGATIVE : CBOR_UINT, &head));
    if (head.value > INT64_MAX)
        return CC_FAIL(CBOR, "a number is out of range");
    r->at = head.after;
    *ret_value = head.kind == CBOR_NEGATIVE ? -1 - (int64_t)head.value : (int64_t)head.value;
    return CC_OK;
}

static cc_err string_of(struct cbor_reader *r, enum cbor_kind kind, struct span *ret_string)
{
    struct head head = {.after = NULL};
    CC_TRY(head_of(r, kind, &head));
    if (head.value > (size_t)(r->end - head.after))
        return CC_FAIL(CBOR, "cut short");
    struct span string = span_of(head.after, (size_t)head.value);
    if (kind == CBOR_TEXT && !utf8_is(string))
        return CC_FAIL(CBOR, "text is not UTF-8");
    r->at = head.after + head.value;
    *ret_string = string;
    return CC_OK;
}

CC_ERR cbor_read_bytes(struct cbor_reader *r, struct span *ret_bytes)
{
    return string_of(r, CBOR_BYTES, ret_bytes);
}

CC_ERR cbor_read_text(struct cbor_reader *r, struct span *ret_text)
{
    return string_of(r, CBOR_TEXT, ret_text);
}

CC_ERR cbor_read_bool(struct cbor_reader *r, bool *ret_value)
{
    struct head head = {.after = NULL};
    CC_TRY(head_of(r, CBOR_SIMPLE, &head));
    if (head.value == SIMPLE_NULL)
        return CC_FAIL(CBOR, "another kind of value is wanted");
    r->at = head.after;
    *ret_value = head.value == SIMPLE_TRUE;
    return CC_OK;
}

CC_ERR cbor_read_tag(struct cbor_reader *r, uint64_t *ret_tag)
{
    struct head head = {.after = NULL};
    CC_TRY(head_of(r, CBOR_TAG, &head));
    r->at = head.after;
    *ret_tag = head.value;
    return CC_OK;
}

static cc_err
count_of(struct cbor_reader *r, enum cbor_kind kind, uint32_t max, uint32_t *ret_count)
{
    struct head head = {.after = NULL};
    CC_TRY(head_of(r, kind, &head));
    if (head.value > max)
        return CC_FAIL(CBOR, "more entries than there may be");
    r->at = head.after;
    *ret_count = (uint32_t)head.value;
    return CC_OK;
}

CC_ERR cbor_read_array(struct cbor_reader *r, uint32_t max, uint32_t *ret_count)
{
    return count_of(r, CBOR_ARRAY, max, ret_count);
}

CC_ERR cbor_read_map(struct cbor_reader *r, uint32_t max, uint32_t *ret_count)
{
    return count_of(r, CBOR_MAP, max, ret_count);
}

bool cbor_try_null(struct cbor_reader *r)
{
    if (r->at == r->end || *r->at != (CBOR_SIMPLE << 5 | SIMPLE_NULL))
        return false;
    r->at++;
    return true;
}

static cc_err take_key(uint32_t index, uint32_t *seen)
{
    if (*seen >> index & 1)
        return CC_FAIL(CBOR, "a map has the same key twice");
    *seen |= (uint32_t)1 << index;
    return CC_OK;
}

CC_ERR cbor_read_name(struct cbor_reader *r,
                      const char *const *names,
                      uint32_t count,
                      uint32_t *seen,
                      uint32_t *ret_index)
{
    cc_assert(count <= 32);
    struct cbor_reader at = *r;
    struct span name;
    CC_TRY(cbor_read_text(&at, &name));
    uint32_t i = 0;
    while (i < count && !span_is(name, names[i]))
        i++;
    if (i == count)
        return CC_FAIL(CBOR, "a map has a key that is not known");
    CC_TRY(take_key(i, seen));
    *r = at;
    *ret_index = i;
    return CC_OK;
}

CC_ERR
cbor_read_number(struct cbor_reader *r, uint32_t count, uint32_t *seen, uint32_t *ret_number)
{
    cc_assert(count <= 32);
    struct cbor_reader at = *r;
    uint64_t number;
    CC_TRY(cbor_read_uint(&at, &number));
    if (number >= count)
        return CC_FAIL(CBOR, "a map has a key that is not known");
    CC_TRY(take_key((uint32_t)number, seen));
    *r = at;
    *ret_number = (uint32_t)number;
    return CC_OK;
}

/* How many items follow inside of this one; a string's bytes are stepped over. */
static cc_err skip_one(struct cbor_reader *r, uint64_t *ret_inside)
{
    struct head head = {.after = NULL};
    CC_TRY(head_read(r, &head));
    uint64_t left = (uint64_t)(r->end - head.after);
    uint64_t inside = 0;
    if (head.kind == CBOR_BYTES || head.kind == CBOR_TEXT) {
        struct span string;
        CC_TRY(string_of(r, head.kind, &string));
        *ret_inside = 0;
        return CC_OK;
    }
    if (head.kind == CBOR_TAG)
        inside = 1;
    if (head.kind == CBOR_ARRAY || head.kind == CBOR_MAP)
        inside = head.value;
    if (inside > left) /* each item has a byte at least */
        return CC_FAIL(CBOR, "cut short");
    r->at = head.after;
    *ret_inside = head.kind == CBOR_MAP ? 2 * inside : inside;
    return CC_OK;
}

CC_ERR cbor_skip(struct cbor_reader *r)
{
    struct cbor_reader at = *r;
    uint64_t wanted = 1;
    while (wanted > 0) {
        uint64_t inside = 0;
        CC_TRY(skip_one(&at, &inside));
        wanted += inside - 1;
        if (wanted > (uint64_t)(at.end - at.at))
            return CC_FAIL(CBOR, "cut short");
    }
    *r = at;
    return CC_OK;
}

CC_ERR cbor_read_end(const struct cbor_reader *r)
{
    return r->at == r->end ? CC_OK : CC_FAIL(CBOR, "bytes follow the end");
}

static void put(struct cbor_writer *w, const void *data, size_t len)
{
    if (w->full || len > w->size - w->len) {
        w->full = true;
        return;
    }
    if (len > 0)
        memcpy(w->data + w->len, data, len);
    w->len += len;
}

static void put_head(struct cbor_writer *w, enum cbor_kind kind, uint64_t value)
{
    uint8_t head[9];
    size_t width = value < 24            ? 0
                   : value <= 0xff       ? 1
                   : value <= 0xffff     ? 2
                   : value <= 0xffffffff ? 4
                                         : 8;
    uint8_t info =
        width == 0 ? (uint8_t)value : (uint8_t)(24 + (width > 1) + (width > 2) + (width > 4));
    head[0] = (uint8_t)((unsigned)kind << 5 | info);
    for (size_t i = 0; i < width; i++)
        head[1 + i] = (uint8_t)(value >> (8 * (width - 1 - i)));
    put(w, head, 1 + width);
}

void cbor_put_uint(struct cbor_writer *w, uint64_t value)
{
    put_head(w, CBOR_UINT, value);
}

void cbor_put_int(struct cbor_writer *w, int64_t value)
{
    if (value < 0)
        put_head(w, CBOR_NEGATIVE, (uint64_t)(-1 - value));
    else
        put_head(w, CBOR_UINT, (uint64_t)value);
}

void cbor_put_bytes_head(struct cbor_writer *w, size_t len)
{
    put_head(w, CBOR_BYTES, len);
}

void cbor_put_bytes(struct cbor_writer *w, struct span bytes)
{
    put_head(w, CBOR_BYTES, bytes.len);
    put(w, bytes.data, bytes.len);
}

void cbor_put_text(struct cbor_writer *w, const char *text)
{
    size_t len = strlen(text);
    put_head(w, CBOR_TEXT, len);
    put(w, text, len);
}

void cbor_put_array(struct cbor_writer *w, uint32_t count)
{
    put_head(w, CBOR_ARRAY, count);
}

void cbor_put_map(struct cbor_writer *w, uint32_t count)
{
    put_head(w, CBOR_MAP, count);
}

void cbor_put_null(struct cbor_writer *w)
{
    put_head(w, CBOR_SIMPLE, SIMPLE_NULL);
}

CC_ERR cbor_written(const struct cbor_writer *w, struct span *ret_bytes)
{
    if (w->full)
        return CC_FAIL(LIMIT, "CBOR is longer than its buffer");
    *ret_bytes = span_of(w->data, w->len);
    return CC_OK;
}
