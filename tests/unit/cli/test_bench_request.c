#include <string.h>

#include "base/alloc.h"
#include "base/macros.h"

#include "cli/bench_request.h"
#include "codec/json.h"
#include "eth/network.h"
#include "eth/request_json.h"
#include "support/test.h"

enum {
    KEYS = 3
};

static char names[KEYS][BENCH_NAME_SIZE];

static int set_up(void **state)
{
    (void)state;
    for (int i = 0; i < KEYS; i++) {
        memset(names[i], '0' + i, sizeof names[i]);
        memcpy(names[i], "0x", 2);
    }
    return 0;
}

static struct span text_of(struct jval value, const char *key)
{
    struct jval member;
    struct span text;
    assert_true(jval_member(value, key, &member));
    assert_int_equal(jval_text(member, &text).code, 0);
    return text;
}

static uint64_t number_of(struct jval value, const char *key)
{
    struct jval member;
    uint64_t number;
    assert_true(jval_member(value, key, &member));
    assert_int_equal(jval_u64(member, &number).code, 0);
    return number;
}

static struct jval inside(struct jval value, const char *key)
{
    struct jval member;
    assert_true(jval_member(value, key, &member));
    return member;
}

/* Reads what the reader of answers can read of a request too: where the body begins, and how long it is. */
static struct span body_of(char *text, size_t len)
{
    assert_int_equal(bench_answer_length(span_of(text, len)), len);
    return bench_answer_body(span_of(text, len));
}

static void check_message(struct jval message, uint64_t epoch, const char *root)
{
    struct jval data = inside(message, "attestation");
    assert_true(span_is(text_of(message, "type"), "ATTESTATION"));
    assert_int_equal(number_of(data, "slot"), epoch * 8);
    assert_int_equal(number_of(inside(data, "source"), "epoch"), epoch - 1);
    assert_int_equal(number_of(inside(data, "target"), "epoch"), epoch);
    struct span found = text_of(data, "beacon_block_root");
    assert_int_equal(found.len, 66);
    assert_memory_equal(found.data, root, strlen(root));
}

static void one_message_by_itself(void **state)
{
    (void)state;
    struct bench_source source;
    bench_source_init(&source, (const char(*)[BENCH_NAME_SIZE])names, KEYS, BENCH_ROOTS_DISTINCT,
                      BENCH_FIRST_EPOCH);
    CC_CLEANUP(cc_freep) char *text = cc_alloc(bench_request_room(1));
    size_t len = bench_request_write(&source, 4, 1, false, text);
    assert_true(len <= bench_request_room(1));
    const char line[] = "POST /api/v1/eth2/sign/0x1111";
    assert_memory_equal(text, line, sizeof line - 1);
    struct span body = body_of(text, len);
    CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(256);
    assert_int_equal(jdoc_parse(&doc, (uint8_t *)text + (len - body.len), body.len).code, 0);
    check_message(jdoc_root(&doc), BENCH_FIRST_EPOCH + 1, "0x00000000001e84810000000000000002");
}

static void a_token_is_a_header_of_either_form(void **state)
{
    (void)state;
    static const char token[] = "Authorization: Bearer 12\r\n";
    struct bench_source source;
    bench_source_init(&source, (const char(*)[BENCH_NAME_SIZE])names, KEYS, BENCH_ROOTS_SHARED,
                      BENCH_FIRST_EPOCH);
    CC_CLEANUP(cc_freep) char *plain = cc_alloc(bench_request_room(KEYS));
    CC_CLEANUP(cc_freep) char *text = cc_alloc(bench_request_room(KEYS));
    for (int batch = 0; batch < 2; batch++) {
        source.token_line = NULL;
        size_t plain_len = bench_request_write(&source, 0, batch ? KEYS : 1, batch, plain);
        assert_null(memmem(plain, plain_len, "Authorization", 13));
        source.token_line = token;
        size_t len = bench_request_write(&source, 0, batch ? KEYS : 1, batch, text);
        const char *found = memmem(text, len, "\r\nAuthorization: Bearer 12\r\n", 28);
        assert_non_null(found);
        /* The rest is the same. */
        size_t before = (size_t)(found - text) + 2, behind = before + strlen(token);
        assert_int_equal(len, plain_len + strlen(token));
        assert_memory_equal(text, plain, before);
        assert_memory_equal(text + behind, plain + before, len - behind);
    }
}

static void several_in_a_batch(void **state)
{
    (void)state;
    struct bench_source source;
    bench_source_init(&source, (const char(*)[BENCH_NAME_SIZE])names, KEYS, BENCH_ROOTS_SHARED,
                      BENCH_LAST_EPOCH);
    CC_CLEANUP(cc_freep) char *text = cc_alloc(bench_request_room(KEYS));
    size_t len = bench_request_write(&source, 0, KEYS, true, text);
    assert_true(len <= bench_request_room(KEYS));
    const char line[] = "POST /api/v1/eth2/sign HTTP/1.1\r\n";
    assert_memory_equal(text, line, sizeof line - 1);
    struct span body = body_of(text, len);
    CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(256);
    assert_int_equal(jdoc_parse(&doc, (uint8_t *)text + (len - body.len), body.len).code, 0);
    assert_int_equal(jval_count(jdoc_root(&doc)), KEYS);
    struct jval_iter iter = jval_iterate(jdoc_root(&doc));
    struct jval item;
    for (int i = 0; jval_next(&iter, &item); i++) {
        struct span name = text_of(item, "identifier");
        assert_int_equal(name.len, BENCH_NAME_SIZE);
        assert_memory_equal(name.data, names[i], BENCH_NAME_SIZE);
        check_message(item, BENCH_LAST_EPOCH, "0x000000000098967f0000000000000000");
    }
}

/* The signer reads the message as the attestation that it is meant to be. */
static void the_signer_understands_it(void **state)
{
    (void)state;
    struct bench_source source;
    bench_source_init(&source, (const char(*)[BENCH_NAME_SIZE])names, KEYS, BENCH_ROOTS_SHARED,
                      BENCH_FIRST_EPOCH);
    CC_CLEANUP(cc_freep) char *text = cc_alloc(bench_request_room(1));
    size_t len = bench_request_write(&source, 0, 1, false, text);
    struct span body = bench_answer_body(span_of(text, len));
    CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(256);
    struct eth_network network;
    assert_int_equal(network_load("minimal", &network).code, 0);
    static struct sign_request request;
    static const struct eth_pubkey pubkey;
    cc_err err = sign_request_parse(&doc, &network, (uint8_t *)text + (len - body.len), body.len,
                                    &pubkey, &request);
    assert_int_equal(err.code, 0);
    assert_int_equal(request.claim.attestation.target.epoch, BENCH_FIRST_EPOCH);
}

/* --- answers ------------------------------------------------------------------------------------------- */

static const char whole[] = "HTTP/1.1 200 OK\r\nDate: x\r\ncontent-length: 23\r\n\r\n"
                            "{\"signature\":\"0xab12\"} ";

static void an_answer_is_complete_with_its_last_byte(void **state)
{
    (void)state;
    const size_t len = sizeof whole - 1;
    for (size_t n = 0; n < len; n++)
        assert_int_equal(bench_answer_length(span_of(whole, n)), 0);
    assert_int_equal(bench_answer_length(span_of(whole, len)), len);
    assert_int_equal(bench_answer_status(span_of(whole, len)), 200);
    assert_int_equal(bench_answer_signatures(span_of(whole, len)), 1);
}

static void what_is_no_answer(void **state)
{
    (void)state;
    assert_int_equal(bench_answer_length(span_of(NULL, 0)), 0);
    const char *const cases[] = {
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_true(bench_answer_length(span_str(cases[i])) == SIZE_MAX);
    assert_int_equal(bench_answer_status(span_str("HTTP/1.1 20")), 0);
    assert_int_equal(bench_answer_status(span_str("ICY 200 OK\r\n\r\n")), 0);
    assert_int_equal(bench_answer_status(span_str("HTTP/1.1 5x3 \r\n")), 0);
}

static void signatures_of_a_batch_are_counted(void **state)
{
    (void)state;
    const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
                          "[{\"status\":200,\"signature\":\"0x01\"},{\"status\":412,\"error\":{}},"
                          "{\"status\":200,\"signature\":\"0x02\"},{}]  ";
    size_t len = bench_answer_length(span_str(answer));
    assert_int_equal(len, sizeof answer - 1);
    assert_int_equal(bench_answer_signatures(span_of(answer, len)), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_message_by_itself),
        cmocka_unit_test(a_token_is_a_header_of_either_form),
        cmocka_unit_test(several_in_a_batch),
        cmocka_unit_test(the_signer_understands_it),
        cmocka_unit_test(an_answer_is_complete_with_its_last_byte),
        cmocka_unit_test(what_is_no_answer),
        cmocka_unit_test(signatures_of_a_batch_are_counted),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
