/* What the history reads of DynamoDB's answers: any bytes are read or refused, and what was read is written as an item that is
 * read as the same.
 */
#include <string.h>

#include "base/alloc.h"

#include "slash/dynamodb_db.h"
#include "state/dynamodb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool parse(struct jdoc *doc, struct buf *text, struct span bytes, struct jval *ret_root)
{
    text->len = 0;
    if (buf_append(text, bytes.data, bytes.len).code || jdoc_parse(doc, text->data, text->len).code)
        return false;
    *ret_root = jdoc_root(doc);
    return true;
}

static void as_head(struct jval answer)
{
    CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(1 << 12);
    CC_CLEANUP(buf_release) struct buf first = buf_init(1 << 16);
    CC_CLEANUP(buf_release) struct buf again = buf_init(1 << 16);
    CC_CLEANUP(buf_release) struct buf text = buf_init(1 << 16);
    struct dynamodb_head head, back;
    struct jval item;
    if (!jval_member(answer, "Item", &item) || dynamodb_head_read(item, &head).code)
        return;
    cc_assert(!dynamodb_head_append(&first, &head).code);
    cc_assert(parse(&doc, &text, buf_span(&first), &item));
    cc_assert(!dynamodb_head_read(item, &back).code && !dynamodb_head_append(&again, &back).code);
    cc_assert(span_equal(buf_span(&first), buf_span(&again)));
}

static void as_root(struct jval answer)
{
    CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(1 << 12);
    CC_CLEANUP(buf_release) struct buf first = buf_init(1 << 16);
    CC_CLEANUP(buf_release) struct buf again = buf_init(1 << 16);
    CC_CLEANUP(buf_release) struct buf text = buf_init(1 << 16);
    struct dynamodb_root root, back;
    struct jval item;
    if (!jval_member(answer, "Item", &item) || dynamodb_root_read(item, &root).code)
        return;
    cc_assert(!dynamodb_root_append(&first, &root).code);
    cc_assert(parse(&doc, &text, buf_span(&first), &item));
    cc_assert(!dynamodb_root_read(item, &back).code && !dynamodb_root_append(&again, &back).code);
    cc_assert(span_equal(buf_span(&first), buf_span(&again)));
}

static void as_record(struct jval item)
{
    CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(1 << 12);
    CC_CLEANUP(buf_release) struct buf first = buf_init(1 << 16);
    CC_CLEANUP(buf_release) struct buf again = buf_init(1 << 16);
    CC_CLEANUP(buf_release) struct buf text = buf_init(1 << 16);
    struct eth_pubkey key, other;
    struct dynamodb_record record, back;
    struct jval value;
    if (dynamodb_record_read(item, &key, &record).code)
        return;
    cc_assert(!dynamodb_record_append(&first, &key, &record).code);
    cc_assert(parse(&doc, &text, buf_span(&first), &value));
    cc_assert(!dynamodb_record_read(value, &other, &back).code);
    cc_assert(!dynamodb_record_append(&again, &other, &back).code);
    cc_assert(span_equal(buf_span(&first), buf_span(&again)));
}

/* Names that fit their fields, and bytes that fit a record. */
static void as_state_record(struct jval item)
{
    struct state_record record = {0};
    if (!state_dynamodb_read(item, &record).code)
        cc_assert(record.kind[0] && strlen(record.kind) < sizeof record.kind && record.name[0] &&
                  strlen(record.name) < sizeof record.name && record.len <= STATE_RECORD_MAX);
    cc_free(record.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(1 << 14);
    CC_CLEANUP(buf_release) struct buf text = buf_init(1 << 20);
    char after[DYNAMODB_SORT_MAX];
    struct jval answer, item;
    struct jval_iter items;
    if (!parse(&doc, &text, span_of(data, size), &answer))
        return 0;
    as_head(answer);
    as_root(answer);
    (void)dynamodb_answer_all_written(answer);
    if (!dynamodb_answer_after(answer, after).code)
        cc_assert(strlen(after) < sizeof after);
    if (dynamodb_answer_items(answer, &items).code)
        return 0;
    while (jval_next(&items, &item)) {
        as_record(item);
        as_state_record(item);
    }
    return 0;
}
