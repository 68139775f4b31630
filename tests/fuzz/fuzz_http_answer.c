/* Any bytes as a signer's answer: refused, or a status and a whole body. However they are cut, the result is the same. */
#include <string.h>

#include "cli/http_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct source {
    const uint8_t *data;
    size_t len, at, chunk;
};

static cc_err give(void *context, void *into, size_t room, size_t *ret_len)
{
    struct source *s = context;
    size_t n = s->len - s->at;
    n = n < room ? n : room;
    n = n < s->chunk ? n : s->chunk;
    if (n)
        memcpy(into, s->data + s->at, n);
    s->at += n;
    *ret_len = n;
    return CC_OK;
}

static cc_err keep(void *context, const void *data, size_t len)
{
    return buf_append(context, data, len);
}

static int read_in(const uint8_t *data, size_t size, size_t chunk, struct buf *body, int *status)
{
    static struct http_answer answer;
    struct source source = {data, size, 0, chunk};
    memset(&answer, 0, sizeof answer);
    answer.read = give;
    answer.read_context = &source;
    answer.sink = keep;
    answer.sink_context = body;
    int code = http_answer_read(&answer).code;
    *status = answer.status;
    return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole = buf_init(1 << 20), pieces = buf_init(1 << 20);
    int one, other;
    int code = read_in(data, size, SIZE_MAX, &whole, &one);
    cc_assert(read_in(data, size, 1, &pieces, &other) == code && one == other);
    cc_assert(code || (one >= 200 && one < 600 && span_equal(buf_span(&whole), buf_span(&pieces))));
    cc_assert(whole.len <= size);
    buf_release(&whole);
    buf_release(&pieces);
    return 0;
}
