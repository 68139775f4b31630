/* Items of a key store in DynamoDB: written and read back, and refused in every other form. */
#include <stdio.h>
#include <string.h>

#include "keys/dynamodb_rows.h"
#include "support/test.h"

static struct eth_pubkey pubkey(unsigned n)
{
    struct eth_pubkey key = {{0}};
    key.bytes[0] = (uint8_t)(0x80 | (n & 0x3f));
    key.bytes[47] = (uint8_t)n;
    return key;
}

static struct sealed_row row(unsigned n, enum row_status status)
{
    struct sealed_row r = {
        .pubkey = pubkey(n), .status = status, .generation = 3, .version = 1 + n};
    if (status != ROW_DELETED)
        memset(r.sealed, (int)n + 1, sizeof r.sealed);
    return r;
}

static struct jdoc doc;
static struct buf text;

/* The item, with `from` in the place of `to` where it has it. */
static struct jval item_of(const struct buf *written, const char *from, const char *to)
{
    text.len = 0;
    if (!text.max)
        text = buf_init(1 << 18);
    assert_int_equal(buf_append(&text, written->data, written->len).code, 0);
    assert_int_equal(buf_append(&text, "", 1).code, 0);
    if (from) {
        char *at = strstr((char *)text.data, from);
        assert_non_null(at);
        CC_CLEANUP(buf_release) struct buf rest = buf_init(1 << 18);
        assert_int_equal(buf_append_str(&rest, at + strlen(from)).code, 0);
        text.len = (size_t)(at - (char *)text.data);
        assert_int_equal(buf_append_str(&text, to).code, 0);
        assert_int_equal(buf_append(&text, rest.data, rest.len).code, 0);
    } else {
        text.len--;
    }
    if (!doc.max)
        doc = jdoc_init(1 << 12);
    assert_int_equal(jdoc_parse(&doc, text.data, text.len).code, 0);
    return jdoc_root(&doc);
}

static void test_a_row_is_read_as_it_was_written(void **state)
{
    static const enum row_status statuses[] = {ROW_ACTIVE, ROW_INACTIVE, ROW_DELETED};
    (void)state;
    for (unsigned n = 0; n < 64; n++) {
        CC_CLEANUP(buf_release) struct buf written = buf_init(1 << 12);
        const struct sealed_row wanted = row(n, statuses[n % 3]);
        struct sealed_row read;
        unsigned shard = 99;
        assert_int_equal(dynamodb_key_row_append(&written, &wanted).code, 0);
        assert_int_equal(dynamodb_key_row_read(item_of(&written, NULL, NULL), &read).code, 0);
        assert_memory_equal(&wanted, &read, sizeof read);
        assert_true(dynamodb_key_shard(&wanted.pubkey, &shard));
        assert_int_equal(shard, n >> 2);
    }
    const struct sealed_row odd = {.pubkey = {{0x40}}, .status = ROW_ACTIVE};
    CC_CLEANUP(buf_release) struct buf out = buf_init(1 << 12);
    assert_true(error_is(dynamodb_key_row_append(&out, &odd), ERROR_TAMPERED));
}

static void test_a_row_of_another_form_is_refused(void **state)
{
    static const struct {
        const char *from;
        const char *to;
    } changes[] = {
        {"keys/1", "keys/2"},
        {"keys/1", "keys"},
        {"\"status\":{\"N\":\"1\"}", "\"status\":{\"N\":\"0\"}"},
        {"\"status\":{\"N\":\"1\"}", "\"status\":{\"N\":\"4\"}"},
        {"\"status\":{\"N\":\"1\"}", "\"status\":{\"N\":\"3\"}"},
        {"\"status\":{\"N\":\"1\"}", "\"status\":{\"S\":\"1\"}"},
        {"\"version\":{\"N\":\"8\"}", "\"version\":{\"N\":\"0\"}"},
        {"\"version\":{\"N\":\"8\"}", "\"version\":{\"N\":\"9223372036854775808\"}"},
        {"\"generation\":{\"N\":\"3\"}", "\"generation\":{\"N\":\"4294967296\"}"},
        {"\"generation\":{\"N\":\"3\"}", "\"generation\":{\"N\":\"3\"},\"more\":{\"N\":\"3\"}"},
        {"\"version\":{\"N\":\"8\"},", ""},
        {"CAgI\"", "\""},
        {"\"sk\":{\"S\":\"87", "\"sk\":{\"S\":\"87aa"},
        {"\"sk\":{\"S\":\"87", "\"sk\":{\"S\":\"zz"},
    };
    CC_CLEANUP(buf_release) struct buf written = buf_init(1 << 12);
    const struct sealed_row wanted = row(7, ROW_ACTIVE);
    struct sealed_row read;
    (void)state;
    assert_int_equal(dynamodb_key_row_append(&written, &wanted).code, 0);
    for (size_t i = 0; i < ARRAY_LEN(changes); i++)
        if (!error_is(
                dynamodb_key_row_read(item_of(&written, changes[i].from, changes[i].to), &read),
                ERROR_TAMPERED))
            fail_msg("%s", changes[i].to);
}

static struct dynamodb_key_head head, back;

static void fill_head(size_t count)
{
    memset(&head, 0, sizeof head);
    memset(head.id, 1, sizeof head.id);
    memset(head.chamber, 2, sizeof head.chamber);
    memset(head.token, 3, sizeof head.token);
    (void)snprintf(head.table_id, sizeof head.table_id, "arn:aws:dynamodb:eu-1:1:table/a@1.5");
    head.mark = 12;
    for (head.count = 0; head.count < count; head.count++)
        head.rows[head.count] =
            row((unsigned)head.count, head.count % 2 ? ROW_DELETED : ROW_ACTIVE);
}

static void test_a_head_is_read_as_it_was_written(void **state)
{
    static const size_t counts[] = {0, 1, 2, KEY_STORE_CHANGE_MAX};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        CC_CLEANUP(buf_release) struct buf written = buf_init(1 << 18);
        fill_head(counts[i]);
        assert_int_equal(dynamodb_key_head_append(&written, &head).code, 0);
        /* An item of DynamoDB has at most 400 kB; what is written once more must be below it by far. */
        assert_true(written.len < 50000);
        assert_int_equal(dynamodb_key_head_read(item_of(&written, NULL, NULL), &back).code, 0);
        assert_memory_equal(&head, &back, sizeof head);
    }
}

static void test_a_head_of_another_form_is_refused(void **state)
{
    static const struct {
        const char *from;
        const char *to;
    } changes[] = {
        {"\"head\"", "\"tail\""},
        {"\"mark\":{\"N\":\"12\"}", "\"mark\":{\"N\":\"0\"}"},
        {"\"table\":{\"S\":\"arn", "\"table\":{\"S\":\"\\\"arn"},
        {"\"table\":{\"S\":\"arn:aws:dynamodb:eu-1:1:table/a@1.5\"}", "\"table\":{\"S\":\"\"}"},
        {"AQEBAQ==", "AQEBAQ=="
                     "\"},\"more\":{\"B\":\""},
        {"\"token\":{\"B\":\"AwMD", "\"token\":{\"B\":\""},
        {"\"changes\":{\"B\":\"gAAA", "\"changes\":{\"B\":\"QAAA"},
        {"\"changes\":{\"B\":\"gAAA", "\"changes\":{\"B\":\""},
        {"\"changes\":{\"B\":\"", "\"changes\":{\"N\":\""},
    };
    CC_CLEANUP(buf_release) struct buf written = buf_init(1 << 18);
    (void)state;
    fill_head(3);
    assert_int_equal(dynamodb_key_head_append(&written, &head).code, 0);
    for (size_t i = 0; i < ARRAY_LEN(changes); i++)
        if (!error_is(
                dynamodb_key_head_read(item_of(&written, changes[i].from, changes[i].to), &back),
                ERROR_TAMPERED))
            fail_msg("%s", changes[i].to);
    head.table_id[0] = '"';
    assert_true(error_is(dynamodb_key_head_append(&written, &head), ERROR_TAMPERED));
}

static int end(void **state)
{
    (void)state;
    jdoc_release(&doc);
    buf_release(&text);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_row_is_read_as_it_was_written),
        cmocka_unit_test(test_a_row_of_another_form_is_refused),
        cmocka_unit_test(test_a_head_is_read_as_it_was_written),
        cmocka_unit_test(test_a_head_of_another_form_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, end);
}
