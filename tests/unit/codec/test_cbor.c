/* CBOR: the examples of RFC 8949 (appendix A) that have a place here, and every form that has none. */
#include <stdlib.h>
#include <string.h>

#include "codec/cbor.h"
#include "codec/hex.h"
#include "support/test.h"

static uint8_t bytes[4096];

static struct cbor_reader reader(const char *hex)
{
    size_t len = strlen(hex) / 2;
    assert_true(len <= sizeof bytes);
    assert_int_equal(hex_decode(span_str(hex), bytes, len).code, 0);
    return cbor_reader_init(span_of(bytes, len));
}

static void test_numbers_in_their_shortest_form(void **state)
{
    (void)state;
    static const struct {
        const char *hex;
        uint64_t value;
    } rows[] = {
        {"00", 0},
        {"17", 23},
        {"1818", 24},
        {"18ff", 255},
        {"190100", 256},
        {"1903e8", 1000},
        {"19ffff", 65535},
        {"1a00010000", 65536},
        {"1a000f4240", 1000000},
        {"1affffffff", 4294967295},
        {"1b0000000100000000", 4294967296},
        {"1b000000e8d4a51000", 1000000000000},
        {"1bffffffffffffffff", UINT64_MAX},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct cbor_reader r = reader(rows[i].hex);
        uint64_t value;
        assert_int_equal(cbor_peek(&r), CBOR_UINT);
        assert_int_equal(cbor_read_uint(&r, &value).code, 0);
        assert_true(value == rows[i].value);
        assert_int_equal(cbor_read_end(&r).code, 0);
        assert_int_equal(cbor_peek(&r), CBOR_NONE);
        uint8_t out[9];
        struct cbor_writer w = cbor_writer_init(out, sizeof out);
        struct span written;
        cbor_put_uint(&w, value);
        assert_int_equal(cbor_written(&w, &written).code, 0);
        assert_true(span_equal(written, span_of(bytes, strlen(rows[i].hex) / 2)));
        /* Cut short anywhere. */
        for (size_t cut = 0; cut < written.len; cut++) {
            r = cbor_reader_init(span_of(out, cut));
            assert_int_equal(cbor_read_uint(&r, &value).code, ERROR_CBOR);
            assert_ptr_equal(r.at, out);
        }
    }
}

static void test_integers_of_both_signs(void **state)
{
    (void)state;
    static const struct {
        const char *hex;
        int64_t value;
    } rows[] = {
        {"20", -1},
        {"37", -24},
        {"3822", -35},
        {"3903e7", -1000},
        {"3b7fffffffffffffff", INT64_MIN},
        {"1b7fffffffffffffff", INT64_MAX},
        {"00", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct cbor_reader r = reader(rows[i].hex);
        int64_t value;
        uint8_t out[9];
        struct cbor_writer w = cbor_writer_init(out, sizeof out);
        struct span written;
        assert_int_equal(cbor_read_int(&r, &value).code, 0);
        assert_true(value == rows[i].value);
        cbor_put_int(&w, value);
        assert_int_equal(cbor_written(&w, &written).code, 0);
        assert_true(span_equal(written, span_of(bytes, strlen(rows[i].hex) / 2)));
    }
    int64_t value;
    struct cbor_reader r = reader("3b8000000000000000"); /* -2^63 - 1 */
    assert_int_equal(cbor_read_int(&r, &value).code, ERROR_CBOR);
    r = reader("1b8000000000000000");
    assert_int_equal(cbor_read_int(&r, &value).code, ERROR_CBOR);
    r = reader("40");
    assert_int_equal(cbor_read_int(&r, &value).code, ERROR_CBOR);
}

/* Whatever is asked for, these are refused, and the reader does not move. */
static void test_T32_other_forms_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "1800",
        "1817",
        "190017",
        "1900ff",
        "1a0000ffff",
        "1b00000000ffffffff", /* longer than needed */
        "3817",
        "580161",
        "780161",
        "980100",
        "b8010000",
        "d8120000", /* heads too */
        "5f4101ff",
        "7f6161ff",
        "9f01ff",
        "bf0101ff",
        "ff", /* no definite length */
        "1c00000000000000000000000000000000",
        "5d0000000000000000000000000000000000000000000000000000000000000000",
        "1c",
        "1d",
        "1e",
        "1f",
        "3f",
        "fc",
        "fe", /* reserved */
        "f7",
        "f0",
        "f818",
        "f820",
        "f8ff", /* other simple values */
        "f90000",
        "fa00000000",
        "fb0000000000000000", /* fractions */
        "62c080",
        "61ff",
        "63eda080",
        "64f4908080",
        "62c328", /* not UTF-8 */
        "4201",
        "6261",
        "58",
        "59ff",
        "5b7fffffffffffffff00",
        "5bffffffffffffffff00",
        "81",
        "8201",
        "a101",
        "c1",
        "9bffffffffffffffff00",
        "bb800000000000000000",
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct cbor_reader r = reader(wrong[i]);
        const uint8_t *at = r.at;
        uint64_t number;
        int64_t integer;
        struct span string;
        bool flag;
        uint32_t count;
        print_message("%s\n", wrong[i]);
        assert_int_equal(cbor_skip(&r).code, ERROR_CBOR);
        assert_ptr_equal(r.at, at);
        assert_int_equal(cbor_read_bytes(&r, &string).code, ERROR_CBOR);
        assert_int_equal(cbor_read_text(&r, &string).code, ERROR_CBOR);
        assert_int_equal(cbor_read_bool(&r, &flag).code, ERROR_CBOR);
        assert_ptr_equal(r.at, at);
        bool head_is_right = wrong[i][0] == '8' || wrong[i][0] == 'a' || wrong[i][0] == 'c';
        if (head_is_right) /* what should follow is missing: the next item says it */
            continue;
        assert_int_equal(cbor_read_uint(&r, &number).code, ERROR_CBOR);
        assert_int_equal(cbor_read_int(&r, &integer).code, ERROR_CBOR);
        assert_int_equal(cbor_read_array(&r, UINT32_MAX, &count).code, ERROR_CBOR);
        assert_int_equal(cbor_read_map(&r, UINT32_MAX, &count).code, ERROR_CBOR);
        assert_int_equal(cbor_read_tag(&r, &number).code, ERROR_CBOR);
        assert_ptr_equal(r.at, at);
    }
}

static void test_strings_and_simple_values(void **state)
{
    (void)state;
    struct span s;
    bool flag = false;
    struct cbor_reader r = reader("40"
                                  "4401020304"
                                  "60"
                                  "62c3bc"
                                  "64f0908591"
                                  "f5f4f6f6");
    assert_int_equal(cbor_read_bytes(&r, &s).code, 0);
    assert_int_equal(s.len, 0);
    assert_int_equal(cbor_read_text(&r, &s).code, ERROR_CBOR);
    assert_int_equal(cbor_read_bytes(&r, &s).code, 0);
    assert_true(span_equal(s, span_of("\1\2\3\4", 4)));
    assert_int_equal(cbor_read_text(&r, &s).code, 0);
    assert_int_equal(s.len, 0);
    assert_int_equal(cbor_read_bytes(&r, &s).code, ERROR_CBOR);
    assert_int_equal(cbor_read_text(&r, &s).code, 0);
    assert_true(span_is(s, "ü"));
    assert_int_equal(cbor_read_text(&r, &s).code, 0);
    assert_true(span_is(s, "\xf0\x90\x85\x91"));
    assert_false(cbor_try_null(&r));
    assert_int_equal(cbor_read_bool(&r, &flag).code, 0);
    assert_true(flag);
    assert_int_equal(cbor_read_bool(&r, &flag).code, 0);
    assert_false(flag);
    assert_int_equal(cbor_read_bool(&r, &flag).code, ERROR_CBOR); /* null is not false */
    assert_true(cbor_try_null(&r));
    assert_int_equal(cbor_read_end(&r).code, ERROR_CBOR);
    assert_true(cbor_try_null(&r));
    assert_false(cbor_try_null(&r));
    assert_int_equal(cbor_read_end(&r).code, 0);
}

static void test_counts_have_their_limit(void **state)
{
    (void)state;
    uint32_t count;
    struct cbor_reader r = reader("83010203");
    assert_int_equal(cbor_read_array(&r, 2, &count).code, ERROR_CBOR);
    assert_int_equal(cbor_read_map(&r, 9, &count).code, ERROR_CBOR);
    assert_int_equal(cbor_read_array(&r, 3, &count).code, 0);
    assert_int_equal(count, 3);
    r = reader("a1616101");
    assert_int_equal(cbor_read_map(&r, 0, &count).code, ERROR_CBOR);
    assert_int_equal(cbor_read_map(&r, 1, &count).code, 0);
    r = reader("9b0000000100000001");
    assert_int_equal(cbor_read_array(&r, UINT32_MAX, &count).code, ERROR_CBOR);
}

static void test_T32_a_map_has_no_key_twice_and_none_unknown(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b"};
    uint32_t seen = 0;
    uint32_t index;
    struct cbor_reader r = reader("6162616161626163");
    assert_int_equal(cbor_read_name(&r, names, 2, &seen, &index).code, 0);
    assert_int_equal(index, 1);
    assert_int_equal(cbor_read_name(&r, names, 2, &seen, &index).code, 0);
    assert_int_equal(index, 0);
    const uint8_t *at = r.at;
    assert_int_equal(cbor_read_name(&r, names, 2, &seen, &index).code, ERROR_CBOR); /* twice */
    assert_ptr_equal(r.at, at);
    r.at += 2;
    seen = 0;
    assert_int_equal(cbor_read_name(&r, names, 2, &seen, &index).code, ERROR_CBOR); /* unknown */
    assert_int_equal(seen, 0);
    r = reader("01181f1f01");
    assert_int_equal(cbor_read_number(&r, 32, &seen, &index).code, 0);
    assert_int_equal(cbor_read_number(&r, 32, &seen, &index).code, 0);
    assert_int_equal(index, 31);
    assert_int_equal(seen, 0x80000002);
    r = reader("01");
    assert_int_equal(cbor_read_number(&r, 32, &seen, &index).code, ERROR_CBOR);
    r = reader("1820");
    assert_int_equal(cbor_read_number(&r, 32, &seen, &index).code, ERROR_CBOR);
    r = reader("6161");
    assert_int_equal(cbor_read_number(&r, 32, &seen, &index).code, ERROR_CBOR);
}

static void test_stepping_over_whole_items(void **state)
{
    (void)state;
    static const char *const whole[] = {
        "00",
        "3903e7",
        "44aabbccdd",
        "6161",
        "f6",
        "80",
        "a0",
        "83010203",
        "a201020304",
        "a26161016162820203",
        "c11a514b67b0",
        "d81845a16161f500",
        "8301820203820405",
        "826161a161626163",
    };
    for (size_t i = 0; i < ARRAY_LEN(whole); i++) {
        struct cbor_reader r = reader(whole[i]);
        size_t len = strlen(whole[i]) / 2;
        assert_int_equal(cbor_skip(&r).code, 0);
        assert_ptr_equal(r.at, bytes + len);
        for (size_t cut = 0; cut < len; cut++) {
            r = cbor_reader_init(span_of(bytes, cut));
            assert_int_equal(cbor_skip(&r).code, ERROR_CBOR);
            assert_ptr_equal(r.at, bytes);
        }
    }
    /* Nesting costs no stack. */
    memset(bytes, 0x81, sizeof bytes);
    struct cbor_reader r = cbor_reader_init(span_of(bytes, sizeof bytes));
    assert_int_equal(cbor_skip(&r).code, ERROR_CBOR);
    bytes[sizeof bytes - 1] = 0;
    assert_int_equal(cbor_skip(&r).code, 0);
    assert_int_equal(cbor_read_end(&r).code, 0);
}

static void test_a_writer_that_is_full_says_so(void **state)
{
    (void)state;
    uint8_t out[8];
    struct span written;
    for (size_t size = 0; size <= sizeof out; size++) {
        memset(out, 0xee, sizeof out);
        struct cbor_writer w = cbor_writer_init(out, size);
        cbor_put_map(&w, 1);
        cbor_put_text(&w, "ab");
        cbor_put_bytes(&w, span_of("\1", 1));
        cbor_put_null(&w);
        cbor_put_array(&w, 0); /* 8 bytes */
        assert_int_equal(cbor_written(&w, &written).code, size == sizeof out ? 0 : ERROR_LIMIT);
        for (size_t i = size; i < sizeof out; i++)
            assert_int_equal(out[i], 0xee);
    }
    assert_memory_equal(out,
                        "\xa1\x62"
                        "ab\x41\x01\xf6\x80",
                        8);
    struct cbor_writer w = cbor_writer_init(out, 3);
    cbor_put_bytes_head(&w, 300);
    assert_int_equal(cbor_written(&w, &written).code, 0);
    assert_memory_equal(out, "\x59\x01\x2c", 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_in_their_shortest_form),
        cmocka_unit_test(test_integers_of_both_signs),
        cmocka_unit_test(test_T32_other_forms_are_refused),
        cmocka_unit_test(test_strings_and_simple_values),
        cmocka_unit_test(test_counts_have_their_limit),
        cmocka_unit_test(test_T32_a_map_has_no_key_twice_and_none_unknown),
        cmocka_unit_test(test_stepping_over_whole_items),
        cmocka_unit_test(test_a_writer_that_is_full_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
