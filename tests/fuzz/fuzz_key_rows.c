/* What a key store reads of DynamoDB's items: any bytes are read or refused, and what was read is written as an item that is read as
 * the same.
 */
#include <string.h>

#include "keys/dynamodb_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    TEXT_MAX = 1 << 18
};

struct reading {
    struct jdoc doc;
    struct buf text;
};

static void reading_release(struct reading *reading)
{
    jdoc_release(&reading->doc);
    buf_release(&reading->text);
}

static bool parse(struct reading *reading, struct span bytes, struct jval *ret_root)
{
    reading->text.len = 0;
    if (buf_append(&reading->text, bytes.data, bytes.len).code ||
        jdoc_parse(&reading->doc, reading->text.data, reading->text.len).code)
        return false;
    *ret_root = jdoc_root(&reading->doc);
    return true;
}

static void as_row(struct jval item)
{
    CC_CLEANUP(reading_release) struct reading r = {jdoc_init(1 << 12), buf_init(TEXT_MAX)};
    CC_CLEANUP(buf_release) struct buf written = buf_init(TEXT_MAX);
    struct sealed_row row, back;
    struct jval again;
    if (dynamodb_key_row_read(item, &row).code)
        return;
    cc_assert(row.status >= ROW_ACTIVE && row.status <= ROW_DELETED && row.version > 0);
    cc_assert(!dynamodb_key_row_append(&written, &row).code);
    cc_assert(parse(&r, buf_span(&written), &again));
    cc_assert(!dynamodb_key_row_read(again, &back).code && memcmp(&row, &back, sizeof row) == 0);
}

static void as_head(struct jval item)
{
    static struct dynamodb_key_head head, back;
    CC_CLEANUP(reading_release) struct reading r = {jdoc_init(1 << 12), buf_init(TEXT_MAX)};
    CC_CLEANUP(buf_release) struct buf written = buf_init(TEXT_MAX);
    struct jval again;
    if (dynamodb_key_head_read(item, &head).code)
        return;
    cc_assert(head.count <= KEY_STORE_CHANGE_MAX);
    cc_assert(!dynamodb_key_head_append(&written, &head).code);
    cc_assert(parse(&r, buf_span(&written), &again));
    cc_assert(!dynamodb_key_head_read(again, &back).code && memcmp(&head, &back, sizeof head) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CC_CLEANUP(reading_release) struct reading r = {jdoc_init(1 << 12), buf_init(TEXT_MAX)};
    struct jval item;
    if (!parse(&r, span_of(data, size), &item))
        return 0;
    as_row(item);
    as_head(item);
    return 0;
}
