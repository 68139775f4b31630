/* The form of a document: its limits, and one fault at a time in what a document says. */
#include <stdlib.h>
#include <string.h>

#include "attest/document.h"
#include "codec/cbor.h"
#include "support/test.h"

static uint8_t space[65536];
static uint8_t payload_space[65536];
static const uint8_t zeros[4096];

/* A field of the payload: its name, and how its value is written. */
struct field {
    const char *name;
    void (*put)(struct cbor_writer *w);
};

static size_t size_of_next; /* for what takes a size */

static void put_module(struct cbor_writer *w)
{
    cbor_put_text(w, "i-0-enc0");
}
static void put_sha384(struct cbor_writer *w)
{
    cbor_put_text(w, "SHA384");
}
static void put_time(struct cbor_writer *w)
{
    cbor_put_uint(w, 1);
}
static void put_zero(struct cbor_writer *w)
{
    cbor_put_uint(w, 0);
}
static void put_pcr(struct cbor_writer *w)
{
    cbor_put_map(w, 1);
    cbor_put_uint(w, 31);
    cbor_put_bytes(w, span_of(zeros, ATTEST_PCR_SIZE));
}
static void put_certificate(struct cbor_writer *w)
{
    cbor_put_bytes(w, span_of("c", 1));
}
static void put_bundle(struct cbor_writer *w)
{
    cbor_put_array(w, 1);
    cbor_put_bytes(w, span_of("c", 1));
}
static void put_null(struct cbor_writer *w)
{
    cbor_put_null(w);
}
static void put_sized(struct cbor_writer *w)
{
    cbor_put_bytes(w, span_of(zeros, size_of_next));
}
static void put_text(struct cbor_writer *w)
{
    cbor_put_text(w, "text");
}
static void put_nothing(struct cbor_writer *w)
{
    (void)w;
}

enum {
    FIELDS = 9
};
static const struct field right[FIELDS] = {
    {"module_id", put_module}, {"digest", put_sha384},           {"timestamp", put_time},
    {"pcrs", put_pcr},         {"certificate", put_certificate}, {"cabundle", put_bundle},
    {"public_key", put_null},  {"user_data", put_null},          {"nonce", put_null},
};

static cc_err parse(struct span bytes, struct attest_document *ret_document)
{
    /* At the end of its own memory, where a sanitizer sees a step too far. */
    uint8_t *copy = malloc(bytes.len + 1);
    assert_non_null(copy);
    memcpy(copy + 1, bytes.data, bytes.len);
    cc_err err = attest_document_parse(span_of(copy + 1, bytes.len), ret_document);
    if (err.code) {
        assert_true(strlen(error_detail()) > 0);
        assert_int_equal(err.code, ERROR_ATTEST_FORMAT);
    }
    free(copy);
    return err;
}

static struct span payload_of(const struct field *fields, size_t count)
{
    struct cbor_writer w = cbor_writer_init(payload_space, sizeof payload_space);
    struct span payload;
    cbor_put_map(&w, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        cbor_put_text(&w, fields[i].name);
        fields[i].put(&w);
    }
    assert_int_equal(cbor_written(&w, &payload).code, 0);
    return payload;
}

static cc_err parse_payload(struct span payload, struct attest_document *ret_document)
{
    struct cbor_writer w = cbor_writer_init(space, sizeof space);
    struct span bytes;
    cbor_put_array(&w, 4);
    cbor_put_bytes(&w, span_of("\xa1\x01\x38\x22", 4));
    cbor_put_map(&w, 0);
    cbor_put_bytes(&w, payload);
    cbor_put_bytes(&w, span_of(zeros, ATTEST_SIGNATURE_SIZE));
    assert_int_equal(cbor_written(&w, &bytes).code, 0);
    return parse(bytes, ret_document);
}

/* The right document with one field written otherwise. */
static cc_err with(const char *name, void (*put)(struct cbor_writer *w), size_t size)
{
    struct field fields[FIELDS];
    struct attest_document document;
    memcpy(fields, right, sizeof fields);
    for (size_t i = 0; i < FIELDS; i++) {
        if (strcmp(fields[i].name, name) == 0)
            fields[i].put = put;
    }
    size_of_next = size;
    return parse_payload(payload_of(fields, FIELDS), &document);
}

static void test_the_smallest_document(void **state)
{
    (void)state;
    struct attest_document d;
    assert_int_equal(parse_payload(payload_of(right, FIELDS), &d).code, 0);
    assert_int_equal(d.module_id.len, 8);
    assert_int_equal(d.timestamp_ms, 1);
    assert_int_equal(d.pcrs.present, 0x80000000);
    assert_int_equal(d.bundle_count, 1);
    assert_false(d.has_public_key || d.has_user_data || d.has_nonce);
    assert_false(attest_pcr_set(&d.pcrs, 31));
    assert_false(attest_pcr_set(&d.pcrs, 0));
    d.pcrs.value[31][47] = 1;
    assert_true(attest_pcr_set(&d.pcrs, 31));
    d.pcrs.value[0][0] = 1; /* but it isn't there */
    assert_false(attest_pcr_set(&d.pcrs, 0));
}

static void test_sizes_at_and_beyond_their_limits(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t min;
        size_t max;
    } rows[] = {
        {"certificate", 1, ATTEST_CERTIFICATE_MAX},
        {"public_key", 1, ATTEST_PUBLIC_KEY_MAX},
        {"user_data", 0, ATTEST_USER_DATA_MAX},
        {"nonce", 0, ATTEST_NONCE_MAX},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(with(rows[i].name, put_sized, rows[i].min).code, 0);
        assert_int_equal(with(rows[i].name, put_sized, rows[i].max).code, 0);
        assert_int_equal(with(rows[i].name, put_sized, rows[i].max + 1).code, ERROR_ATTEST_FORMAT);
        if (rows[i].min > 0)
            assert_int_equal(with(rows[i].name, put_sized, rows[i].min - 1).code,
                             ERROR_ATTEST_FORMAT);
        assert_int_equal(with(rows[i].name, put_text, 0).code, ERROR_ATTEST_FORMAT);
    }
    /* Null for the three that may be left out, and for no other one. */
    for (size_t i = 0; i < FIELDS; i++)
        assert_int_equal(with(right[i].name, put_null, 0).code,
                         right[i].put == put_null ? 0 : ERROR_ATTEST_FORMAT);
}

static void put_long_module(struct cbor_writer *w)
{
    char text[ATTEST_MODULE_ID_MAX + 2] = {0};
    memset(text, 'i', size_of_next);
    cbor_put_text(w, text);
}
static void put_sha256(struct cbor_writer *w)
{
    cbor_put_text(w, "SHA256");
}
static void put_control(struct cbor_writer *w)
{
    cbor_put_text(w, "i-0\n");
}
static void put_negative(struct cbor_writer *w)
{
    cbor_put_int(w, -1);
}
static void put_no_pcrs(struct cbor_writer *w)
{
    cbor_put_map(w, 0);
}
static void put_pcr_32(struct cbor_writer *w)
{
    cbor_put_map(w, 1);
    cbor_put_uint(w, 32);
    cbor_put_bytes(w, span_of(zeros, ATTEST_PCR_SIZE));
}
static void put_pcr_sized(struct cbor_writer *w)
{
    cbor_put_map(w, 1);
    cbor_put_uint(w, 0);
    cbor_put_bytes(w, span_of(zeros, size_of_next));
}
static void put_pcr_twice(struct cbor_writer *w)
{
    cbor_put_map(w, 2);
    for (int i = 0; i < 2; i++) {
        cbor_put_uint(w, 0);
        cbor_put_bytes(w, span_of(zeros, ATTEST_PCR_SIZE));
    }
}
static void put_bundle_of(struct cbor_writer *w)
{
    cbor_put_array(w, (uint32_t)size_of_next);
    for (size_t i = 0; i < size_of_next; i++)
        cbor_put_bytes(w, span_of("c", 1));
}
static void put_bundle_sized(struct cbor_writer *w)
{
    cbor_put_array(w, 1);
    cbor_put_bytes(w, span_of(zeros, size_of_next));
}

static void test_T32_fields_that_cannot_be(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        void (*put)(struct cbor_writer *w);
        size_t size;
        enum error_code code;
    } rows[] = {
        {"module_id", put_long_module, ATTEST_MODULE_ID_MAX, ERROR_NONE},
        {"module_id", put_long_module, ATTEST_MODULE_ID_MAX + 1, ERROR_ATTEST_FORMAT},
        {"module_id", put_long_module, 0, ERROR_ATTEST_FORMAT},
        {"module_id", put_control, 0, ERROR_ATTEST_FORMAT}, /* it is shown on terminals */
        {"module_id", put_sized, 4, ERROR_ATTEST_FORMAT},
        {"digest", put_sha256, 0, ERROR_ATTEST_FORMAT},
        {"digest", put_sized, 6, ERROR_ATTEST_FORMAT},
        {"timestamp", put_zero, 0, ERROR_ATTEST_FORMAT},
        {"timestamp", put_negative, 0, ERROR_ATTEST_FORMAT},
        {"pcrs", put_no_pcrs, 0, ERROR_ATTEST_FORMAT},
        {"pcrs", put_pcr_32, 0, ERROR_ATTEST_FORMAT},
        {"pcrs", put_pcr_sized, 48, ERROR_NONE},
        {"pcrs", put_pcr_sized, 47, ERROR_ATTEST_FORMAT},
        {"pcrs", put_pcr_sized, 49, ERROR_ATTEST_FORMAT},
        {"pcrs", put_pcr_sized, 32,
         ERROR_ATTEST_FORMAT}, /* AWS's text allows SHA-256; our policies don't */
        {"pcrs", put_pcr_sized, 64, ERROR_ATTEST_FORMAT},
        {"pcrs", put_pcr_twice, 0, ERROR_ATTEST_FORMAT},
        {"cabundle", put_bundle_of, 0, ERROR_ATTEST_FORMAT},
        {"cabundle", put_bundle_of, ATTEST_BUNDLE_MAX, ERROR_NONE},
        {"cabundle", put_bundle_of, ATTEST_BUNDLE_MAX + 1, ERROR_ATTEST_FORMAT},
        {"cabundle", put_bundle_sized, ATTEST_CERTIFICATE_MAX, ERROR_NONE},
        {"cabundle", put_bundle_sized, ATTEST_CERTIFICATE_MAX + 1, ERROR_ATTEST_FORMAT},
        {"cabundle", put_bundle_sized, 0, ERROR_ATTEST_FORMAT},
        {"nonce", put_nothing, 0, ERROR_ATTEST_FORMAT},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        print_message("%zu: %s\n", i, rows[i].name);
        assert_int_equal(with(rows[i].name, rows[i].put, rows[i].size).code, rows[i].code);
    }
}

static void test_T32_each_field_once_and_no_other_one(void **state)
{
    (void)state;
    struct field fields[FIELDS + 1];
    struct attest_document d;
    for (size_t left_out = 0; left_out < FIELDS; left_out++) {
        memcpy(fields, right, sizeof right);
        fields[left_out] = right[FIELDS - 1];
        assert_int_equal(parse_payload(payload_of(fields, FIELDS - 1), &d).code,
                         ERROR_ATTEST_FORMAT);
        /* Another one twice in its place. */
        fields[left_out] = right[(left_out + 1) % FIELDS];
        assert_int_equal(parse_payload(payload_of(fields, FIELDS), &d).code, ERROR_ATTEST_FORMAT);
        fields[left_out] = (struct field){"Nonce", put_null};
        assert_int_equal(parse_payload(payload_of(fields, FIELDS), &d).code, ERROR_ATTEST_FORMAT);
    }
    memcpy(fields, right, sizeof right);
    fields[FIELDS] = (struct field){"more", put_null};
    assert_int_equal(parse_payload(payload_of(fields, FIELDS + 1), &d).code, ERROR_ATTEST_FORMAT);
    /* Their order is the module's. */
    for (size_t i = 0; i < FIELDS; i++)
        fields[i] = right[FIELDS - 1 - i];
    assert_int_equal(parse_payload(payload_of(fields, FIELDS), &d).code, 0);
    /* A byte after the map, and none of it. */
    struct span payload = payload_of(right, FIELDS);
    payload_space[payload.len] = 0xf6;
    payload.len++;
    assert_int_equal(parse_payload(payload, &d).code, ERROR_ATTEST_FORMAT);
    assert_int_equal(parse_payload(span_of("", 0), &d).code, ERROR_ATTEST_FORMAT);
}

struct envelope {
    uint64_t tag; /* 0: none */
    uint32_t parts;
    struct span header;
    uint32_t unprotected;
    size_t signature;
    size_t after;
};

static size_t envelope_len; /* of the last one */

static cc_err parse_envelope(const struct envelope *e)
{
    struct cbor_writer w = cbor_writer_init(space, sizeof space);
    struct span bytes;
    struct attest_document d;
    if (e->tag > 0)
        space[w.len++] = (uint8_t)(0xc0 | e->tag);
    cbor_put_array(&w, e->parts);
    cbor_put_bytes(&w, e->header);
    cbor_put_map(&w, e->unprotected);
    for (uint32_t i = 0; i < e->unprotected; i++) {
        cbor_put_uint(&w, 4);
        cbor_put_null(&w);
    }
    cbor_put_bytes(&w, payload_of(right, FIELDS));
    if (e->parts > 3)
        cbor_put_bytes(&w, span_of(zeros, e->signature));
    if (e->parts > 4)
        cbor_put_null(&w);
    assert_int_equal(cbor_written(&w, &bytes).code, 0);
    memset(space + bytes.len, 0, e->after);
    bytes.len += e->after;
    envelope_len = bytes.len;
    return parse(bytes, &d);
}

static void test_T32_envelopes(void **state)
{
    (void)state;
    const struct span es384 = span_of("\xa1\x01\x38\x22", 4);
    const struct {
        struct envelope e;
        enum error_code code;
    } rows[] = {
        {{0, 4, es384, 0, 96, 0}, ERROR_NONE},
        {{18, 4, es384, 0, 96, 0}, ERROR_NONE},
        {{17, 4, es384, 0, 96, 0}, ERROR_ATTEST_FORMAT},
        {{0, 3, es384, 0, 96, 0}, ERROR_ATTEST_FORMAT},
        {{0, 5, es384, 0, 96, 0}, ERROR_ATTEST_FORMAT},
        {{0, 4, span_of("\xa1\x01\x26", 3), 0, 96, 0}, ERROR_ATTEST_FORMAT},     /* ES256 */
        {{0, 4, span_of("\xa1\x01\x38\x23", 4), 0, 96, 0}, ERROR_ATTEST_FORMAT}, /* ES512 */
        {{0, 4, span_of("\xa1\x01\x20", 3), 0, 96, 0}, ERROR_ATTEST_FORMAT},     /* QEMU's -1 */
        {{0, 4, span_of("\xa1\x01\x39\x00\x22", 5), 0, 96, 0},
         ERROR_ATTEST_FORMAT}, /* not shortest */
        {{0, 4, span_of("", 0), 0, 96, 0}, ERROR_ATTEST_FORMAT},
        {{0, 4, es384, 1, 96, 0}, ERROR_ATTEST_FORMAT}, /* something unprotected */
        {{0, 4, es384, 0, 95, 0}, ERROR_ATTEST_FORMAT},
        {{0, 4, es384, 0, 97, 0}, ERROR_ATTEST_FORMAT},
        {{0, 4, es384, 0, 0, 0}, ERROR_ATTEST_FORMAT},
        {{0, 4, es384, 0, 96, 1}, ERROR_ATTEST_FORMAT}, /* bytes after the end */
        {{0, 4, es384, 0, 96, ATTEST_DOCUMENT_MAX}, ERROR_ATTEST_FORMAT},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        print_message("%zu\n", i);
        assert_int_equal(parse_envelope(&rows[i].e).code, rows[i].code);
    }
    struct attest_document d;
    assert_int_equal(parse(span_of("", 0), &d).code, ERROR_ATTEST_FORMAT);
    /* Heads that promise less or more than what follows. */
    assert_int_equal(parse_envelope(&rows[0].e).code, ERROR_NONE);
    const size_t len = envelope_len;
    assert_int_equal(space[0], 0x84);
    assert_int_equal(space[6], 0xa0);
    assert_int_equal(parse(span_of(space, len), &d).code, ERROR_NONE);
    space[0] = 0x83;
    assert_int_equal(parse(span_of(space, len), &d).code, ERROR_ATTEST_FORMAT);
    space[0] = 0x84;
    space[6] = 0xa1;
    assert_int_equal(parse(span_of(space, len), &d).code, ERROR_ATTEST_FORMAT);
    /* The tag twice. */
    const struct span twice = span_of("\xd2\xd2\x84", 3);
    assert_int_equal(parse(twice, &d).code, ERROR_ATTEST_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_smallest_document),
        cmocka_unit_test(test_sizes_at_and_beyond_their_limits),
        cmocka_unit_test(test_T32_fields_that_cannot_be),
        cmocka_unit_test(test_T32_each_field_once_and_no_other_one),
        cmocka_unit_test(test_T32_envelopes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
