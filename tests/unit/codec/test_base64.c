#include <string.h>

#include "codec/base64.h"
#include "support/test.h"

/* RFC 4648, section 10. */
static void test_the_vectors_both_ways(void **state)
{
    (void)state;
    static const char *const vectors[][2] = {{"", ""},
                                             {"f", "Zg=="},
                                             {"fo", "Zm8="},
                                             {"foo", "Zm9v"},
                                             {"foob", "Zm9vYg=="},
                                             {"fooba", "Zm9vYmE="},
                                             {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        CC_CLEANUP(buf_release) struct buf out = buf_init(64);
        uint8_t bytes[8];
        size_t len = 9;
        assert_int_equal(base64_append(&out, vectors[i][0], strlen(vectors[i][0])).code, 0);
        assert_true(span_is(buf_span(&out), vectors[i][1]));
        assert_int_equal(base64_decode(span_str(vectors[i][1]), bytes, sizeof bytes, &len).code, 0);
        assert_true(span_is(span_of(bytes, len), vectors[i][0]));
    }
}

static void test_all_bytes_come_back(void **state)
{
    (void)state;
    uint8_t all[256], back[256];
    size_t len = 0;
    CC_CLEANUP(buf_release) struct buf out = buf_init(1024);
    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (uint8_t)i;
    assert_int_equal(base64_append(&out, all, sizeof all).code, 0);
    assert_int_equal(base64_decode(buf_span(&out), back, sizeof back, &len).code, 0);
    assert_int_equal(len, sizeof all);
    assert_memory_equal(all, back, sizeof all);
}

static void test_refuses_what_encoding_never_writes(void **state)
{
    (void)state;
    static const char *const faults[] = {"Z",    "Zg",   "Zg=",      "Zh==",  "Zm9=",
                                         "Z===", "====", "Zg==Zg==", "Zm 9v", "Zm9v\n",
                                         "Zm-v", "Zm_v", "=m9v",     "Z=9v",  "Zm9vZm8=="};
    uint8_t bytes[16];
    size_t len;
    for (size_t i = 0; i < ARRAY_LEN(faults); i++)
        assert_int_equal(base64_decode(span_str(faults[i]), bytes, sizeof bytes, &len).code,
                         ERROR_MALFORMED);
    assert_int_equal(base64_decode(span_str("Zm9vYg=="), bytes, 3, &len).code, ERROR_LIMIT);
}

/* RFC 4648, section 5, without padding. */
static void test_base64url_both_ways(void **state)
{
    uint8_t in[48];
    uint8_t out[48];
    (void)state;
    for (unsigned i = 0; i < 256 * sizeof in; i++) {
        size_t len = i % (sizeof in + 1);
        CC_CLEANUP(buf_release) struct buf standard = buf_init(128);
        CC_CLEANUP(buf_release) struct buf url = buf_init(128);
        for (size_t at = 0; at < len; at++)
            in[at] = (uint8_t)(i * 31 + at * 7 + i / 256);
        assert_int_equal(base64_append(&standard, in, len).code, 0);
        assert_int_equal(base64url_append(&url, in, len).code, 0);
        while (standard.len && standard.data[standard.len - 1] == '=')
            standard.len--;
        for (size_t at = 0; at < standard.len; at++)
            standard.data[at] = standard.data[at] == '+'   ? '-'
                                : standard.data[at] == '/' ? '_'
                                                           : standard.data[at];
        assert_true(span_equal(buf_span(&standard), buf_span(&url)));
        assert_int_equal(base64url_decode(buf_span(&url), out, len).code, 0);
        assert_true(span_equal(span_of(in, len), span_of(out, len)));
    }
}

static void test_base64url_is_strict(void **state)
{
    uint8_t out[3];
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        const uint8_t text[4] = {'A', (uint8_t)c, 'A', 'A'};
        bool digit = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_';
        assert_int_equal(base64url_decode(span_of(text, 4), out, 3).code == 0, digit);
    }
    assert_int_equal(base64url_decode(span_str("Zg"), out, 1).code, 0);
    assert_true(error_is(base64url_decode(span_str("Zh"), out, 1), ERROR_MALFORMED));
    assert_true(error_is(base64url_decode(span_str("Zg=="), out, 1), ERROR_MALFORMED));
    assert_true(error_is(base64url_decode(span_str("Zg"), out, 2), ERROR_MALFORMED));
    assert_true(error_is(base64url_decode(span_str(""), out, 1), ERROR_MALFORMED));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_vectors_both_ways),
        cmocka_unit_test(test_all_bytes_come_back),
        cmocka_unit_test(test_refuses_what_encoding_never_writes),
        cmocka_unit_test(test_base64url_both_ways),
        cmocka_unit_test(test_base64url_is_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
