/* Records of auto-unseal: what is written is read again, and nothing else is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#include "seal/auto_record.h"
#include "support/seal_kit.h"
#include "support/test.h"

enum {
    KEYS = 3
};

static struct auto_record record, read_back;
static struct auto_proposed proposed, proposed_back;
static struct buf bytes;
static char name[AUTO_NAME_SIZE];

static int begin(void **state)
{
    (void)state;
    record = (struct auto_record){.blob = {.generation = 3}};
    memset(record.chamber_id, 1, sizeof record.chamber_id);
    memset(record.blob.image.pcr0, 0xa2, sizeof record.blob.image.pcr0);
    memset(record.blob.image.pcr8, 0xa3, sizeof record.blob.image.pcr8);
    memset(record.blob.fingerprint, 4, sizeof record.blob.fingerprint);
    memset(record.blob.keys, 5, sizeof record.blob.keys);
    memset(record.blob.mac, 6, sizeof record.blob.mac);
    record.blob.shares = (struct seal_shares){.threshold = 2, .count = KEYS};
    memset(record.blob.shares.commitments, 7, sizeof record.blob.shares.commitments[0] * KEYS);
    seal_kit_keys(KEYS, true, record.keys);
    seal_kms_keys_digest(record.keys, KEYS, record.blob.kms_keys);
    proposed = (struct auto_proposed){
        .proposal = {.image = record.blob.image, .threshold = 2, .count = KEYS},
        .proposer = "token:ops",
        .proposed = 1700000000000};
    memset(proposed.proposal.from, 8, sizeof proposed.proposal.from);
    seal_kit_keys(KEYS, false, proposed.keys);
    seal_kms_keys_digest(proposed.keys, KEYS, proposed.proposal.kms_keys);
    auto_record_name(&record.blob.image, name);
    bytes = buf_init(SEAL_RECORD_MAX);
    return 0;
}

static int end(void **state)
{
    (void)state;
    buf_release(&bytes);
    return 0;
}

static void write_record(void)
{
    assert_int_equal(auto_record_encode(&record, &bytes).code, 0);
}

static void refuses(struct span text)
{
    assert_int_equal(auto_record_decode(name, text, &read_back).code, ERROR_TAMPERED);
}

static void test_what_is_written_is_read_again(void **state)
{
    (void)state;
    write_record();
    assert_int_equal(auto_record_decode(name, buf_span(&bytes), &read_back).code, 0);
    assert_memory_equal(&read_back, &record, sizeof record);
    assert_string_equal(name, "a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2");
    bytes.len = 0;
    assert_int_equal(auto_proposed_encode(&proposed, &bytes).code, 0);
    assert_int_equal(auto_proposed_decode(buf_span(&bytes), &proposed_back).code, 0);
    assert_memory_equal(&proposed_back, &proposed, sizeof proposed);
}

/* Each byte counts: the vault's MAC says of the rest whether it is right, but what is read is another record. */
static void test_T25_a_record_that_is_cut_or_longer_is_refused(void **state)
{
    (void)state;
    write_record();
    for (size_t len = 0; len < bytes.len; len++)
        refuses(span_of(bytes.data, len));
    assert_int_equal(buf_append(&bytes, "", 1).code, 0);
    refuses(buf_span(&bytes));
    bytes.len = 0;
    assert_int_equal(auto_proposed_encode(&proposed, &bytes).code, 0);
    for (size_t len = 0; len < bytes.len; len++)
        assert_int_equal(auto_proposed_decode(span_of(bytes.data, len), &proposed_back).code,
                         ERROR_TAMPERED);
}

static void test_T25_a_record_under_another_images_name_is_refused(void **state)
{
    (void)state;
    write_record();
    name[0] = 'b';
    refuses(buf_span(&bytes));
    auto_record_name(&record.blob.image, name);
    name[47] = '3';
    refuses(buf_span(&bytes));
}

static void refuses_to_write(void)
{
    struct buf out = buf_init(SEAL_RECORD_MAX);
    assert_int_equal(auto_record_encode(&record, &out).code, ERROR_TAMPERED);
    buf_release(&out);
    (void)begin(NULL);
}

static void test_what_would_not_be_read_is_not_written(void **state)
{
    (void)state;
    record.blob.generation = 0;
    refuses_to_write();
    record.blob.shares.threshold = KEYS + 1;
    refuses_to_write();
    record.blob.shares.threshold = 0;
    refuses_to_write();
    record.blob.shares.count = SEAL_KMS_MAX + 1;
    refuses_to_write();
    memset(record.blob.image.pcr0, 0, sizeof record.blob.image.pcr0); /* in debug mode */
    refuses_to_write();
    record.keys[1] = record.keys[0];
    refuses_to_write();
    record.keys[1].len = 0;
    refuses_to_write();
    record.keys[1].arn[0] = 'x';
    refuses_to_write();
    record.blob.kms_keys[0] ^= 1;
    refuses_to_write();
    proposed.proposer[0] = '"';
    assert_int_equal(auto_proposed_encode(&proposed, &bytes).code, ERROR_TAMPERED);
}

static void test_other_formats_and_lengths_are_refused(void **state)
{
    static const struct {
        size_t at;
        uint8_t byte;
    } faults[] = {{3, 2},    /* format */
                  {39, 0},   /* generation */
                  {171, 9},  /* threshold, above the count */
                  {175, 17}, /* count */
                  {175, 2},  /* one less than there are */
                  {209, 2},  /* length of the first ARN */
                  {214, 0}}; /* a zero in it */
    (void)state;
    write_record();
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        const uint8_t before = bytes.data[faults[i].at];
        assert_int_not_equal(before, faults[i].byte);
        bytes.data[faults[i].at] = faults[i].byte;
        refuses(buf_span(&bytes));
        bytes.data[faults[i].at] = before;
    }
    assert_int_equal(auto_record_decode(name, buf_span(&bytes), &read_back).code, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, begin, end)
        T(test_what_is_written_is_read_again),
        T(test_T25_a_record_that_is_cut_or_longer_is_refused),
        T(test_T25_a_record_under_another_images_name_is_refused),
        T(test_what_would_not_be_read_is_not_written),
        T(test_other_formats_and_lengths_are_refused),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
