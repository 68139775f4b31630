#include "cli/http_answer.h"

#include <string.h>

#include "base/num.h"

enum {
    LINE_MAX_BYTES = 8192,
    LINES_MAX = 128
};

/* What the head says of the body. */
struct framing {
    bool chunked;
    bool has_length;
    uint64_t length;
};

static cc_err fill(struct http_answer *a, bool *ret_end)
{
    size_t n = 0;
    *ret_end = false;
    if (a->at < a->filled)
        return CC_OK;
    CC_TRY(a->read(a->read_context, a->buffer, sizeof a->buffer, &n));
    a->at = 0;
    a->filled = n;
    *ret_end = n == 0;
    return CC_OK;
}

static cc_err next_byte(struct http_answer *a, uint8_t *ret_byte)
{
    bool end;
    CC_TRY(fill(a, &end));
    if (end)
        return CC_FAIL(PROTOCOL, "the answer breaks off");
    *ret_byte = a->buffer[a->at++];
    return CC_OK;
}

/* Without its line end. */
static cc_err read_line(struct http_answer *a, char line[static LINE_MAX_BYTES], size_t *ret_len)
{
    size_t n = 0;
    uint8_t byte = 0;
    for (;;) {
        CC_TRY(next_byte(a, &byte));
        if (byte == '\n')
            break;
        if (n + 1 >= LINE_MAX_BYTES || byte == 0)
            return CC_FAIL(PROTOCOL, "a line of the answer");
        line[n++] = (char)byte;
    }
    if (n && line[n - 1] == '\r')
        n--;
    line[n] = 0;
    *ret_len = n;
    return CC_OK;
}

static cc_err read_status(struct http_answer *a)
{
    static const char version[] = "HTTP/1.1 ";
    char line[LINE_MAX_BYTES];
    size_t len;
    uint64_t status = 0;
    CC_TRY(read_line(a, line, &len));
    if (len < sizeof version + 2 || strncmp(line, version, sizeof version - 1) != 0 ||
        u64_parse(span_of(line + sizeof version - 1, 3), &status).code || status < 100 ||
        status > 599)
        return CC_FAIL(PROTOCOL, "not an HTTP answer");
    a->status = (int)status;
    return CC_OK;
}

static cc_err take_header(struct framing *framing, char *line)
{
    char *colon = strchr(line, ':');
    if (!colon)
        return CC_FAIL(PROTOCOL, "a header line without a colon");
    const struct span name = span_of(line, (size_t)(colon - line));
    const char *value = colon + 1;
    while (*value == ' ' || *value == '\t')
        value++;
    if (span_is_nocase(name, "transfer-encoding")) {
        framing->chunked = span_is_nocase(span_str(value), "chunked");
        return framing->chunked ? CC_OK : CC_FAIL(PROTOCOL, "an unknown transfer coding");
    }
    if (!span_is_nocase(name, "content-length"))
        return CC_OK;
    framing->has_length = true;
    return u64_parse(span_str(value), &framing->length).code ? CC_FAIL(PROTOCOL, "a content length")
                                                             : CC_OK;
}

static cc_err read_headers(struct http_answer *a, struct framing *framing)
{
    char line[LINE_MAX_BYTES];
    size_t len;
    for (int i = 0; i < LINES_MAX; i++) {
        CC_TRY(read_line(a, line, &len));
        if (len == 0)
            return CC_OK;
        CC_TRY(take_header(framing, line));
    }
    return CC_FAIL(PROTOCOL, "too many header lines");
}

static cc_err read_bytes(struct http_answer *a, uint64_t len)
{
    while (len) {
        bool end;
        CC_TRY(fill(a, &end));
        if (end)
            return CC_FAIL(PROTOCOL, "the answer breaks off");
        size_t n = (size_t)u64_min(len, a->filled - a->at);
        CC_TRY(a->sink(a->sink_context, a->buffer + a->at, n));
        a->at += n;
        len -= n;
    }
    return CC_OK;
}

static cc_err chunk_length(const char *line, size_t len, uint64_t *ret)
{
    uint64_t length = 0;
    size_t n = strcspn(line, ";");
    if (n == 0 || n > 8 || n > len)
        return CC_FAIL(PROTOCOL, "a chunk's length");
    for (size_t i = 0; i < n; i++) {
        char c = line[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
                                                : 16;
        if (digit > 15)
            return CC_FAIL(PROTOCOL, "a chunk's length");
        length = length << 4 | digit;
    }
    *ret = length;
    return CC_OK;
}

static cc_err read_chunks(struct http_answer *a)
{
    char line[LINE_MAX_BYTES];
    struct framing ignored = {0};
    size_t len;
    for (;;) {
        uint64_t length = 0;
        CC_TRY(read_line(a, line, &len));
        CC_TRY(chunk_length(line, len, &length));
        if (length == 0)
            return read_headers(a, &ignored);
        CC_TRY(read_bytes(a, length));
        CC_TRY(read_line(a, line, &len));
        if (len)
            return CC_FAIL(PROTOCOL, "a chunk's end");
    }
}

static cc_err read_to_end(struct http_answer *a)
{
    for (;;) {
        bool end;
        CC_TRY(fill(a, &end));
        if (end)
            return CC_OK;
        CC_TRY(a->sink(a->sink_context, a->buffer + a->at, a->filled - a->at));
        a->at = a->filled;
    }
}

CC_ERR http_answer_read(struct http_answer *a)
{
    struct framing framing = {0};
    a->at = a->filled = 0;
    do {
        framing = (struct framing){0};
        CC_TRY(read_status(a));
        CC_TRY(read_headers(a, &framing));
    } while (a->status < 200); /* 100 Continue */
    if (a->head)
        a->head(a);
    if (framing.chunked && framing.has_length)
        return CC_FAIL(PROTOCOL, "two lengths");
    if (framing.chunked)
        return read_chunks(a);
    return framing.has_length ? read_bytes(a, framing.length) : read_to_end(a);
}
