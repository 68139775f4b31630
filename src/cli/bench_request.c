#include "cli/bench_request.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/macros.h"
#include "base/num.h"

#include "codec/hex.h"

enum {
    SLOTS_PER_EPOCH = 8, /* of "minimal" */
    HEAD_MAX = 512
};

/* --- messages --------------------------------------------------------------------------------------- */

static const char message_form[] =
    "\"type\":\"ATTESTATION\",\"fork_info\":{\"fork\":{\"previous_version\":\"0x00000001\","
    "\"current_version\":\"0x00000001\",\"epoch\":\"0\"},\"genesis_validators_root\":"
    "\"0x04700007fabc8282644aed6d1c7c9e21d38a03a0c4ba193f3afe428824b3a673\"},"
    "\"attestation\":{\"slot\":\"%08" PRIu64 "\",\"index\":\"0\",\"beacon_block_root\":\"0x%064x\","
    "\"source\":{\"epoch\":\"%07" PRIu64
    "\",\"root\":\"0x1111111111111111111111111111111111111111111111111111111111111111\"},"
    "\"target\":{\"epoch\":\"%07" PRIu64
    "\",\"root\":\"0x2222222222222222222222222222222222222222222222222222222222222222\"}}}";

static size_t after(const struct bench_template *message, const char *mark, size_t from)
{
    const char *found = memmem(message->text + from, message->len - from, mark, strlen(mark));
    cc_assert(found);
    return (size_t)(found - message->text) + strlen(mark);
}

void bench_source_init(struct bench_source *ret_source,
                       const char (*names)[BENCH_NAME_SIZE],
                       size_t keys,
                       enum bench_roots roots,
                       uint64_t first_epoch)
{
    *ret_source = (struct bench_source){names, keys, roots, first_epoch, {.len = 0}, NULL};
    struct bench_template *message = &ret_source->message;
    int n = snprintf(message->text, sizeof message->text, message_form,
                     first_epoch * SLOTS_PER_EPOCH, 0u, first_epoch - 1, first_epoch);
    cc_assert(n > 0 && (size_t)n < sizeof message->text);
    message->len = (size_t)n;
    message->slot = after(message, "\"slot\":\"", 0);
    message->root = after(message, "\"beacon_block_root\":\"0x", 0);
    message->source = after(message, "\"source\":{\"epoch\":\"", 0);
    message->target = after(message, "\"target\":{\"epoch\":\"", 0);
}

static void write_digits(char *at, size_t digits, uint64_t number)
{
    while (digits--) {
        at[digits] = (char)('0' + number % 10);
        number /= 10;
    }
}

static size_t write_message(const struct bench_source *source, uint64_t i, char *out)
{
    const struct bench_template *message = &source->message;
    uint64_t epoch = source->first_epoch + i / source->keys;
    uint8_t root[16];
    cc_assert(epoch <= BENCH_LAST_EPOCH);
    memcpy(out, message->text, message->len);
    write_digits(out + message->slot, 8, epoch * SLOTS_PER_EPOCH);
    write_digits(out + message->source, 7, epoch - 1);
    write_digits(out + message->target, 7, epoch);
    u64_store_be(root, epoch);
    u64_store_be(root + 8, source->roots == BENCH_ROOTS_SHARED ? 0 : i % source->keys + 1);
    hex_encode(root, sizeof root, out + message->root);
    return message->len;
}

/* --- requests --------------------------------------------------------------------------------------- */

size_t bench_request_room(size_t n)
{
    return HEAD_MAX + n * BENCH_MESSAGE_MAX;
}

static size_t write_text(char *out, const char *text)
{
    size_t len = strlen(text);
    memcpy(out, text, len);
    return len;
}

static size_t
write_head(const struct bench_source *source, const char *name_or_null, size_t body_len, char *out)
{
    int n = snprintf(out, HEAD_MAX,
                     "POST /api/v1/eth2/sign%s%.*s HTTP/1.1\r\nHost: localhost\r\n"
                     "Content-Type: application/json\r\nAccept: application/json\r\n"
                     "%sContent-Length: %zu\r\n\r\n",
                     name_or_null ? "/" : "", BENCH_NAME_SIZE, name_or_null ? name_or_null : "",
                     source->token_line ? source->token_line : "", body_len);
    cc_assert(n > 0 && n < HEAD_MAX);
    return (size_t)n;
}

static size_t write_item(const struct bench_source *source, uint64_t i, char *out)
{
    size_t len = write_text(out, "{\"identifier\":\"");
    memcpy(out + len, source->names[i % source->keys], BENCH_NAME_SIZE);
    len += BENCH_NAME_SIZE;
    len += write_text(out + len, "\",");
    return len + write_message(source, i, out + len);
}

size_t bench_request_write(
    const struct bench_source *source, uint64_t first, size_t n, bool batch, char *out)
{
    const size_t item = strlen("{\"identifier\":\"\",") + BENCH_NAME_SIZE + source->message.len;
    if (!batch) {
        cc_assert(n == 1);
        size_t len =
            write_head(source, source->names[first % source->keys], source->message.len + 1, out);
        out[len++] = '{';
        return len + write_message(source, first, out + len);
    }
    size_t len = write_head(source, NULL, n * item + n - 1 + 2, out);
    for (size_t k = 0; k < n; k++) {
        out[len++] = k ? ',' : '[';
        len += write_item(source, first + k, out + len);
    }
    out[len++] = ']';
    return len;
}

/* --- answers ------------------------------------------------------------------------------------------ */

static size_t head_length(struct span text)
{
    const char *end = text.len ? memmem(text.data, text.len, "\r\n\r\n", 4) : NULL;
    return end ? (size_t)(end - (const char *)text.data) + 4 : 0;
}

/* A line's value when its name is Content-Length. */
static bool content_length(struct span line, uint64_t *ret_length)
{
    static const char name[] = "Content-Length:";
    const size_t name_len = sizeof name - 1;
    if (line.len < name_len || !span_is_nocase(span_of(line.data, name_len), name))
        return false;
    struct span value = span_of(line.data + name_len, line.len - name_len);
    while (value.len && value.data[0] == ' ')
        value = span_of(value.data + 1, value.len - 1);
    return !u64_parse(value, ret_length).code;
}

size_t bench_answer_length(struct span text)
{
    enum {
        LONGEST = 1 << 28
    };
    size_t head = head_length(text);
    if (head == 0)
        return text.len > HEAD_MAX * 8 ? SIZE_MAX : 0;
    uint64_t body = 0;
    bool found = false;
    for (size_t at = 0; at < head && !found;) {
        const char *end = memmem(text.data + at, head - at, "\r\n", 2);
        size_t len = (size_t)(end - (const char *)text.data) - at;
        found = content_length(span_of(text.data + at, len), &body);
        at += len + 2;
    }
    if (!found || body > LONGEST)
        return SIZE_MAX;
    return text.len - head >= body ? head + (size_t)body : 0;
}

unsigned bench_answer_status(struct span text)
{
    static const char version[] = "HTTP/1.1 ";
    const size_t len = sizeof version - 1;
    uint64_t status = 0;
    if (text.len < len + 3 || !span_is(span_of(text.data, len), version) ||
        u64_parse(span_of(text.data + len, 3), &status).code)
        return 0;
    return (unsigned)status;
}

struct span bench_answer_body(struct span answer)
{
    size_t head = head_length(answer);
    return span_of(answer.data + head, answer.len - head);
}

size_t bench_answer_signatures(struct span answer)
{
    static const char mark[] = "\"signature\":\"0x";
    const size_t mark_len = sizeof mark - 1;
    struct span body = bench_answer_body(answer);
    size_t found = 0;
    for (;;) {
        const uint8_t *at = memmem(body.data, body.len, mark, mark_len);
        if (!at)
            return found;
        found++;
        size_t used = (size_t)(at - body.data) + mark_len;
        body = span_of(at + mark_len, body.len - used);
    }
}
