/* An audit log as an attacker may leave it: every line is taken or is a fault, and none that was not written with the key is taken
 * in silence. The first segment's key is all zeros.
 */
#include <string.h>

#include "core/audit_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_one(struct span line)
{
    struct audit_parts parts;
    struct audit_header header;
    if (audit_line_read(line, &parts).code)
        return;
    cc_assert(parts.prefix.len + AUDIT_SUFFIX_LEN - 1 == line.len);
    cc_assert(parts.time.len == AUDIT_TIME_LEN);
    (void)audit_header_read(line, &header).code;
}

static void read_anchor(struct span text)
{
    struct audit_position position;
    struct buf again = buf_init(AUDIT_ANCHOR_MAX);
    if (!audit_anchor_read(text, &position).code) {
        cc_assert(!audit_anchor_write(&position, &again).code);
        cc_assert(span_equal(buf_span(&again), text));
    }
    buf_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t key[AUDIT_KEY_SIZE];
    static const struct audit_position expected = {.segment = 1, .lines = 3};
    struct audit_check check;
    read_anchor(span_of(data, size));
    audit_check_init(&check);
    audit_check_segment(&check, 1, key);
    audit_check_expect(&check, &expected, "the fuzzer");
    for (size_t at = 0; at < size;) {
        const uint8_t *end = memchr(data + at, '\n', size - at);
        const size_t len = end ? (size_t)(end - data) - at : size - at;
        read_one(span_of(data + at, len));
        if (audit_check_line(&check, span_of(data + at, len), end != NULL).code)
            break;
        at += len + 1;
    }
    cc_assert(!audit_check_segment_end(&check).code);
    cc_assert(check.report.len <= AUDIT_REPORT_MAX);
    cc_assert(check.faults || check.chain.at.lines == check.lines);
    audit_check_release(&check);
    return 0;
}
