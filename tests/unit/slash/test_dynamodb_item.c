#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

#include "slash/dynamodb_item.h"
#include "support/slash_kit.h"
#include "support/test.h"

static struct dynamodb_head some_head(uint64_t n)
{
    struct dynamodb_head head = {.pubkey = kit_key(1),
                                 .version = n > 1 ? n - 1 : 1,
                                 .enabled = true,
                                 .high_version = n,
                                 .high = {true, n, n},
                                 .low = {true, true, n, n, n},
                                 .has_block = true,
                                 .max_slot = n,
                                 .has_attestation = true,
                                 .max_source = n,
                                 .max_target = n,
                                 .blocks = n,
                                 .attestations = n,
                                 .merging_since = n,
                                 .recent_count = DYNAMODB_RECENT_MAX};
    for (size_t i = 0; i < DYNAMODB_RECENT_MAX; i++)
        head.recent[i] =
            (struct dynamodb_record){.kind = i % 2 ? SLASH_CLAIM_BLOCK : SLASH_CLAIM_ATTESTATION,
                                     .number = n,
                                     .source = i % 2 ? 0 : n,
                                     .has_root = true,
                                     .root = kit_root(i),
                                     .version = n};
    return head;
}

static struct jval parse(struct jdoc *doc, struct buf *text)
{
    assert_int_equal(jdoc_parse(doc, text->data, text->len).code, 0);
    return jdoc_root(doc);
}

/* Equal as what would be written again: padding apart, that is all there is. */
static void same_after_reading(const struct dynamodb_head *head)
{
    CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(1024);
    CC_CLEANUP(buf_release) struct buf first = buf_init(1 << 16);
    CC_CLEANUP(buf_release) struct buf copy = buf_init(1 << 16);
    CC_CLEANUP(buf_release) struct buf again = buf_init(1 << 16);
    struct dynamodb_head back;
    assert_int_equal(dynamodb_head_append(&first, head).code, 0);
    assert_int_equal(buf_append(&copy, first.data, first.len).code, 0);
    assert_int_equal(dynamodb_head_read(parse(&doc, &copy), &back).code, 0);
    assert_int_equal(dynamodb_head_append(&again, &back).code, 0);
    assert_true(span_equal(buf_span(&first), buf_span(&again)));
    assert_memory_equal(&back.pubkey, &head->pubkey, sizeof back.pubkey);
    assert_true(back.max_target == head->max_target && back.low.source == head->low.source);
    assert_true(back.recent_count == head->recent_count && back.high.set == head->high.set);
}

static void test_P14_numbers_at_all_edges_come_back_in_a_head(void **state)
{
    (void)state;
    static const uint64_t edges[] = {
        0, 1, 1ull << 31, 1ull << 53, (1ull << 53) + 1, 1ull << 63, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
        const struct dynamodb_head head = some_head(edges[i]);
        same_after_reading(&head);
    }
    const struct dynamodb_head fresh = {.pubkey = kit_key(2), .version = 1};
    same_after_reading(&fresh);
}

/* As the service counts it: names and values; two digits of a number are a byte, and it has up to two more. */
static size_t size_of(struct jval item)
{
    struct jval_iter iter = jval_iterate(item);
    struct span name, type, text;
    struct jval attribute, value;
    size_t size = 0;
    while (jval_next_member(&iter, &name, &attribute)) {
        struct jval_iter inside = jval_iterate(attribute);
        assert_true(jval_next_member(&inside, &type, &value));
        size += name.len;
        if (jval_text(value, &text).code)
            size += 1;
        else if (span_is(type, "N"))
            size += text.len / 2 + 2;
        else
            size += span_is(type, "B") ? text.len * 3 / 4 : text.len;
    }
    return size;
}

static void test_the_largest_head_is_one_unit_of_writing(void **state)
{
    (void)state;
    CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(1024);
    CC_CLEANUP(buf_release) struct buf text = buf_init(1 << 16);
    const struct dynamodb_head head = some_head(UINT64_MAX);
    assert_int_equal(dynamodb_head_append(&text, &head).code, 0);
    size_t size = size_of(parse(&doc, &text));
    print_message("%zu bytes\n", size);
    assert_true(size <= 1024);
}

static void test_P14_numbers_at_all_edges_come_back_in_a_record(void **state)
{
    (void)state;
    static const uint64_t edges[] = {0, 1, 1ull << 53, 1ull << 63, UINT64_MAX};
    for (size_t i = 0; i < 4 * ARRAY_LEN(edges); i++) {
        const struct dynamodb_record record = {.kind = i % 2 ? SLASH_CLAIM_BLOCK
                                                             : SLASH_CLAIM_ATTESTATION,
                                               .number = edges[i / 4],
                                               .source = i % 2 ? 0 : edges[i / 4],
                                               .has_root = i % 4 < 2,
                                               .root = kit_root(i % 4 < 2 ? 7 : 0),
                                               .version = edges[i / 4]};
        const struct eth_pubkey key = kit_key(i);
        struct eth_pubkey of;
        struct dynamodb_record back;
        CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(64);
        CC_CLEANUP(buf_release) struct buf text = buf_init(4096);
        assert_int_equal(dynamodb_record_append(&text, &key, &record).code, 0);
        assert_int_equal(dynamodb_record_read(parse(&doc, &text), &of, &back).code, 0);
        assert_memory_equal(&of, &key, sizeof of);
        assert_int_equal(back.kind, record.kind);
        assert_true(back.number == record.number && back.source == record.source &&
                    back.version == record.version);
        assert_int_equal(back.has_root, record.has_root);
        assert_memory_equal(&back.root, &record.root, sizeof back.root);
    }
}

/* --- what is refused ------------------------------------------------------------------------------------------------------ */

/* An item that is good, and one place of it that is then changed. */
static const char good_head[] =
    "{\"pk\":{\"S\":\"validators/8\"},\"sk\":{\"S\":\"head/"
    "a00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001\"},"
    "\"version\":{\"N\":\"5\"},\"enabled\":{\"BOOL\":true},\"high_version\":{\"N\":\"1\"},\"low_source\":{\"N\":\"1\"},"
    "\"low_target\":{\"N\":\"2\"},\"blocks\":{\"N\":\"0\"},\"attestations\":{\"N\":\"0\"},\"merging\":{\"N\":\"0\"},"
    "\"merging_since\":{\"N\":\"0\"},\"recent\":{\"B\":\"\"}}";

static cc_err read_changed(const char *from, const char *to)
{
    CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(256);
    char text[2048];
    struct dynamodb_head head;
    const char *at = strstr(good_head, from);
    assert_non_null(at);
    (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good_head), good_head, to,
                   at + strlen(from));
    assert_int_equal(jdoc_parse(&doc, (uint8_t *)text, strlen(text)).code, 0);
    return dynamodb_head_read(jdoc_root(&doc), &head);
}

static void test_T27_an_item_of_another_form_is_tampering(void **state)
{
    (void)state;
    static const char *const changes[][2] = {
        {"\"version\":{\"N\":\"5\"},", ""},
        {"{\"N\":\"5\"}", "{\"N\":5}"},
        {"{\"N\":\"5\"}", "{\"S\":\"5\"}"},
        {"{\"N\":\"5\"}", "{\"N\":\"5\",\"S\":\"5\"}"},
        {"{\"N\":\"5\"}", "{\"N\":\"\"}"},
        {"{\"N\":\"5\"}", "{\"N\":\"0\"}"},
        {"{\"N\":\"5\"}", "{\"N\":\"05\"}"},
        {"{\"N\":\"5\"}", "{\"N\":\"-5\"}"},
        {"{\"N\":\"5\"}", "{\"N\":\"5.0\"}"},
        {"{\"N\":\"5\"}", "{\"N\":\"5E+2\"}"},
        {"{\"N\":\"5\"}", "{\"N\":\"18446744073709551616\"}"},
        {"{\"N\":\"5\"}", "{\"N\":\"18446744073709551615\"}"},
        {"{\"N\":\"5\"}", "{\"NULL\":true}"},
        {"{\"BOOL\":true}", "{\"BOOL\":\"true\"}"},
        {"\"low_source\":{\"N\":\"1\"},", ""},
        {"\"merging\":{\"N\":\"0\"}", "\"merging\":{\"N\":\"6\"}"},
        {"\"recent\":{\"B\":\"\"}", "\"recent\":{\"B\":\"AAAA\"}"},
        {"\"recent\":{\"B\":\"\"}", "\"recent\":{\"S\":\"\"}"},
        {"\"recent\"", "\"aws:rep:deleting\":{\"BOOL\":false},\"recent\""},
        {"\"recent\"", "\"expires\":{\"N\":\"1\"},\"recent\""},
        {"validators/8", "validators/9"},
        {"validators/8", "validators/88"},
        {"head/a", "head/0"},
        {"head/a", "head/A"},
        {"head/a", "Head/a"},
        {"0001\"}", "000\"}"},
        {"0001\"}", "00011\"}"},
        {"0001\"}", "000g\"}"},
    };
    assert_int_equal(read_changed("5", "5").code, 0);
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        cc_err err = read_changed(changes[i][0], changes[i][1]);
        if (!error_is(err, ERROR_TAMPERED))
            fail_msg("%s -> %s: %s", changes[i][0], changes[i][1], error_name(err));
    }
}

static void test_a_record_of_another_form_is_tampering(void **state)
{
    (void)state;
    static const char key[] =
        "a00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001";
    static const char *const faults[][2] = {
        {"/block/00000000000000000007", "\"source\":{\"N\":\"1\"}"},
        {"/vote/00000000000000000007", "\"root\":{\"B\":\"AAAA\"}"},
        {"/vote/00000000000000000007", "\"version\":{\"N\":\"2\"}"},
        {"/vote/7", "\"source\":{\"N\":\"1\"}"},
        {"/vote/99999999999999999999", "\"source\":{\"N\":\"1\"}"},
        {"/note/00000000000000000007", "\"source\":{\"N\":\"1\"}"},
        {"", "\"source\":{\"N\":\"1\"}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(64);
        struct eth_pubkey of;
        struct dynamodb_record record;
        char text[512];
        bool has_version = strstr(faults[i][1], "version") != NULL;
        (void)snprintf(text, sizeof text,
                       "{\"pk\":{\"S\":\"validators/8\"},\"sk\":{\"S\":\"record/%s%s\"},%s%s}", key,
                       faults[i][0], has_version ? "" : "\"version\":{\"N\":\"1\"},", faults[i][1]);
        assert_int_equal(jdoc_parse(&doc, (uint8_t *)text, strlen(text)).code, 0);
        assert_int_equal(dynamodb_record_read(jdoc_root(&doc), &of, &record).code, ERROR_TAMPERED);
    }
}

/* --- order ------------------------------------------------------------------------------------------------------------------ */

static void test_sort_keys_are_in_order_of_number(void **state)
{
    (void)state;
    static const uint64_t numbers[] = {0, 9, 10, 99, 1ull << 32, 1ull << 63, UINT64_MAX};
    const struct eth_pubkey key = kit_key(1);
    char before[DYNAMODB_SORT_MAX], sort[DYNAMODB_SORT_MAX];
    dynamodb_records_first(&key, before);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        dynamodb_record_sort(&key, SLASH_CLAIM_ATTESTATION, numbers[i], sort);
        assert_true(strcmp(before, sort) < 0);
        memcpy(before, sort, sizeof before);
    }
    dynamodb_records_last(&key, sort);
    assert_true(strcmp(before, sort) < 0);
}

static void test_shards_are_in_order_of_public_key(void **state)
{
    (void)state;
    unsigned before = 0, shard = 0;
    for (unsigned first = 0; first < 256; first++) {
        const struct eth_pubkey key = {{(uint8_t)first}};
        bool is_point = first >= 0x80 && first < 0xc0;
        assert_int_equal(dynamodb_shard(&key, &shard), is_point);
        if (!is_point)
            continue;
        assert_true(shard >= before && shard < DYNAMODB_SHARDS);
        before = shard;
    }
    assert_int_equal(before, DYNAMODB_SHARDS - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_P14_numbers_at_all_edges_come_back_in_a_head),
        cmocka_unit_test(test_the_largest_head_is_one_unit_of_writing),
        cmocka_unit_test(test_P14_numbers_at_all_edges_come_back_in_a_record),
        cmocka_unit_test(test_T27_an_item_of_another_form_is_tampering),
        cmocka_unit_test(test_a_record_of_another_form_is_tampering),
        cmocka_unit_test(test_sort_keys_are_in_order_of_number),
        cmocka_unit_test(test_shards_are_in_order_of_public_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
