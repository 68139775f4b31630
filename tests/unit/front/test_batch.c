/* Bodies of many requests, without a server: what becomes of each item, and the array of answers. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#include "eth/request_json.h"
#include "front/batch.h"
#include "support/front_rig.h"
#include "support/test.h"

static struct eth_network network;
static struct jdoc doc;
static struct buf body;
static struct buf out;

static int begin(void **state)
{
    (void)state;
    assert_int_equal(network_load("minimal", &network).code, 0);
    doc = jdoc_init(SIGN_TOKENS_MAX);
    body = buf_init(16 << 20);
    out = buf_init(16 << 20);
    return 0;
}

static int end(void **state)
{
    (void)state;
    jdoc_release(&doc);
    buf_release(&body);
    buf_release(&out);
    return 0;
}

static void add(const char *text)
{
    assert_int_equal(buf_append_str(&body, text).code, 0);
}

/* An attestation with its identifier. */
static void add_item(const char *before, const char *key, uint64_t slot)
{
    char text[2048];
    rig_attestation(text, sizeof text, slot);
    add(before);
    add("{\"identifier\":\"");
    add(key);
    add("\",");
    add(text + 1);
}

static cc_err open_batch(uint32_t *count)
{
    return batch_open(&doc, body.data, body.len, count);
}

static const struct caller someone = {.token_kind = CALLER_BEARER, .token = {1, 2, 3}};
static const struct a_trace parent = {
    .began_ns = 5, .trace_id = {1}, .parent_id = {2}, .sampled = 1};
static const struct batch_asker nine = {9, &someone, &parent};

static struct batch *read_batch(void)
{
    struct batch *b = NULL;
    uint32_t count = 0;
    assert_int_equal(open_batch(&count).code, 0);
    assert_int_equal(batch_read(&doc, &network, &nine, &b).code, 0);
    assert_int_equal(b->count, count);
    jdoc_wipe(&doc); /* what was read needs the text no more */
    return b;
}

static const char *answer_of(const struct batch *b, cc_err missing)
{
    out.len = 0;
    assert_int_equal(batch_answer(&out, b, missing).code, 0);
    assert_int_equal(buf_append(&out, "", 1).code, 0);
    return (const char *)out.data;
}

static void test_an_empty_array_is_answered_by_one(void **state)
{
    (void)state;
    add(" [ ] ");
    struct batch *b = read_batch();
    assert_int_equal(b->count, 0);
    assert_int_equal(b->asked, 0);
    assert_string_equal(answer_of(b, CC_OK), "[]");
    batch_free(b);
}

static void test_items_are_judged_alone(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "5",
        "null",
        "[]",
        "{}",
        "\"text\"",
        "{\"identifier\":5}",
        "{\"identifier\":\"0x12\"}",
        "{\"identifier\":\"zqxmark\",\"type\":\"ATTESTATION\"}",
    };
    add_item("[", rig_key, 1);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        add(",");
        add(bad[i]);
    }
    add(",{\"identifier\":\"");
    add(rig_key);
    add("\",\"type\":\"ATTESTATION\"}");
    add_item(",", rig_key + 2, 2); /* without 0x */
    add("]");
    struct batch *b = read_batch();
    assert_int_equal(b->count, ARRAY_LEN(bad) + 3);
    assert_int_equal(b->asked, 2);
    assert_false(b->has_block);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(b->asks[i].client, 9);
        assert_memory_equal(&b->asks[i].caller, &someone, sizeof someone);
        assert_memory_equal(&b->asks[i].trace, &parent, sizeof parent);
        assert_int_equal(b->asks[i].reserved, 0);
        assert_int_equal(b->asks[i].request.kind, KIND_ATTESTATION);
        assert_int_equal(b->asks[i].request.claim.attestation.slot, i + 1);
        assert_int_equal(b->answers[i].error, BATCH_UNANSWERED);
    }
    assert_memory_equal(&b->asks[0].request.pubkey, &b->asks[1].request.pubkey, 48);
    for (uint32_t i = 1; i < b->count - 1; i++)
        assert_int_equal(error_status(b->items[i].err), 400);
    assert_int_equal(b->items[b->count - 1].ask, 1);
    const char *text = answer_of(b, CC_OK);
    assert_null(strstr(text, "zqxmark"));
    assert_non_null(strstr(text, "a required field is missing: identifier"));
    assert_non_null(strstr(text, "\"rule\":\"IDENTIFIER\""));
    batch_free(b);
}

static void test_answers_stand_in_the_order_of_the_items(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 4; i++)
        add_item(i ? "," : "[", rig_key, i);
    add(",7]");
    struct batch *b = read_batch();
    b->answers[0] = (struct a_signed){.signature.bytes = {0xab}};
    b->answers[1] = (struct a_signed){.error = ERROR_SLASHABLE, .rule = 3, .earlier_slot = 3};
    b->answers[2] = (struct a_signed){.error = ERROR_ROOT_MISMATCH, .root.bytes = {0xcd}};
    const char *text = answer_of(b, (cc_err){ERROR_DOOR_CLOSED});
    const char *places[] = {
        "[{\"status\":200,\"signature\":\"0xab00",
        "{\"status\":412,\"error\":{\"code\":412,\"message\":\"Precondition Failed\",\"error\":",
        "{\"status\":400,\"error\":{\"code\":400,\"message\":\"Bad Request\",\"error\":\"signingRoot",
        "computed 0xcd00",
        "{\"status\":503,\"error\":{\"code\":503,",
        "\"rule\":\"DOOR_CLOSED\"}}",
        "{\"status\":400,\"error\":{\"code\":400,",
        "\"rule\":\"FIELD_TYPE\"}}]",
    };
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        text = strstr(text, places[i]);
        if (!text)
            fail_msg("%s is missing", places[i]);
        text += strlen(places[i]);
    }
    assert_int_equal(*text, '\0');
    batch_free(b);
}

static void test_blocks_are_noticed(void **state)
{
    (void)state;
    uint32_t count;
    add_item("[", rig_key, 1);
    add(",{\"identifier\":\"");
    add(rig_key);
    add("\",\"type\":\"BLOCK_V2\",\"beacon_block\":{\"version\":\"CAPELLA\",\"block_header\":{"
        "\"slot\":\"5\",\"proposer_index\":\"1\"");
    static const char *const roots[] = {"parent_root", "state_root", "body_root"};
    for (size_t i = 0; i < 3; i++) {
        char text[200];
        (void)snprintf(text, sizeof text, ",\"%s\":\"0x%064d\"", roots[i], 1);
        add(text);
    }
    add("}},\"fork_info\":{\"fork\":{\"previous_version\":\"0x00000001\",\"current_version\":"
        "\"0x00000001\",\"epoch\":\"1\"},\"genesis_validators_root\":\"0x");
    char zeros[65];
    (void)snprintf(zeros, sizeof zeros, "%064d", 0);
    add(zeros);
    add("\"}}]");
    assert_int_equal(open_batch(&count).code, 0);
    assert_true(batch_names_block(&doc));
    struct batch *b = NULL;
    assert_int_equal(batch_read(&doc, &network, &nine, &b).code, 0);
    assert_int_equal(b->asked, 2);
    assert_true(b->has_block);
    batch_free(b);
}

static void expect_refused(const char *text, enum error_code code)
{
    uint32_t count;
    body.len = 0;
    add(text);
    assert_int_equal(open_batch(&count).code, code);
}

static void test_what_is_no_batch_at_all(void **state)
{
    (void)state;
    expect_refused("", ERROR_JSON_SYNTAX);
    expect_refused("{}", ERROR_FIELD_TYPE);
    expect_refused("{\"a\":[]}", ERROR_FIELD_TYPE);
    expect_refused("5", ERROR_JSON_SYNTAX);
    expect_refused("[", ERROR_JSON_SYNTAX);
    expect_refused("[1,]", ERROR_JSON_SYNTAX);
    expect_refused("[] []", ERROR_JSON_SYNTAX);
    expect_refused("[{\"a\":1,\"a\":2}]", ERROR_JSON_DUPLICATE_KEY);
    expect_refused("[\"\xff\"]", ERROR_JSON_UTF8);
}

static void test_P24_batches_are_bounded(void **state)
{
    (void)state;
    uint32_t count;
    for (uint32_t i = 0; i < BATCH_ITEMS_MAX; i++)
        add(i ? ",0" : "[0");
    add("]");
    assert_int_equal(open_batch(&count).code, 0);
    assert_int_equal(count, BATCH_ITEMS_MAX);
    body.data[body.len - 1] = ',';
    add("0]");
    assert_int_equal(open_batch(&count).code, ERROR_BODY_TOO_LARGE);

    body.len = 0;
    add("[");
    while (body.len < BATCH_BODY_MAX - 1)
        add(" ");
    add("]");
    assert_int_equal(open_batch(&count).code, 0);
    add(" ");
    assert_int_equal(open_batch(&count).code, ERROR_BODY_TOO_LARGE);

    for (int depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
        body.len = 0;
        for (int i = 0; i < depth; i++)
            add("[");
        for (int i = 0; i < depth; i++)
            add("]");
        assert_int_equal(open_batch(&count).code, depth > JSON_DEPTH_MAX ? ERROR_JSON_TOO_DEEP : 0);
    }

    body.len = 0;
    add("[[0");
    while (body.len < BATCH_BODY_MAX - 8)
        add(",0");
    add("]]");
    assert_int_equal(open_batch(&count).code, ERROR_JSON_TOO_LARGE);
}

static void test_C07_out_of_memory(void **state)
{
    (void)state;
    uint32_t count;
    add_item("[", rig_key, 1);
    add("]");
    assert_int_equal(open_batch(&count).code, 0);
    for (uint64_t nth = 1; nth <= 4; nth++) {
        struct batch *b = NULL;
        (void)alloc_fail_nth(nth);
        assert_int_equal(batch_read(&doc, &network, &nine, &b).code, ERROR_NO_MEMORY);
        (void)alloc_fail_nth(0);
        assert_null(b);
    }
    batch_free(NULL);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(test_an_empty_array_is_answered_by_one),
        TEST(test_items_are_judged_alone),
        TEST(test_answers_stand_in_the_order_of_the_items),
        TEST(test_blocks_are_noticed),
        TEST(test_what_is_no_batch_at_all),
        TEST(test_P24_batches_are_bounded),
        TEST(test_C07_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
