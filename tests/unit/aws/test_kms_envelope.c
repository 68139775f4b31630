/* Envelopes of KMS: both forms, by the project's reader and by OpenSSL's, which has to agree wherever ours accepts. */
#include <openssl/cms.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "aws/kms_envelope.h"
#include "crypto/recipient.h"
#include "support/envelope_kit.h"
#include "support/test.h"
#include "support/vectors.h"

static const uint8_t share[33] = {1, 2, 3, 4, 5, 6, 7, 8, 9, [31] = 0xff, [32] = 2};

static struct recipient *recipient;
static uint8_t public_der[RECIPIENT_PUBLIC_MAX];
static uint32_t public_len;

static int open_recipient(void **state)
{
    (void)state;
    assert_int_equal(recipient_new(&recipient).code, 0);
    assert_int_equal(recipient_public(recipient, public_der, &public_len).code, 0);
    return 0;
}

static int close_recipient(void **state)
{
    (void)state;
    recipient_free(recipient);
    return 0;
}

static void make(struct span plain, enum envelope_form form, size_t piece, struct buf *ret_bytes)
{
    ret_bytes->len = 0;
    envelope_make(span_of(public_der, public_len), plain, form, piece, ret_bytes);
}

static cc_err open_all(struct span bytes, uint8_t *ret_plain, size_t len)
{
    struct kms_envelope envelope;
    CC_CLEANUP(buf_release) struct buf ciphertext = buf_init(KMS_ENVELOPE_MAX);
    CC_TRY(kms_envelope_parse(bytes, &envelope, &ciphertext));
    if (ciphertext.len != (len / 16 + 1) * 16)
        return CC_FAIL(KMS_ANSWER, "another length");
    return recipient_open(recipient, envelope.wrapped.data, envelope.iv.data, buf_span(&ciphertext),
                          ret_plain, len);
}

static void test_both_forms_open(void **state)
{
    static const size_t pieces[] = {1, 16, 47, 48, 1000};
    struct buf bytes = buf_init(KMS_ENVELOPE_MAX);
    uint8_t plain[sizeof share];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        make(span_of(share, sizeof share), ENVELOPE_PIECES, pieces[i], &bytes);
        assert_int_equal(open_all(buf_span(&bytes), plain, sizeof plain).code, 0);
        assert_memory_equal(plain, share, sizeof share);
        memset(plain, 0, sizeof plain);
    }
    make(span_of(share, sizeof share), ENVELOPE_WHOLE, 0, &bytes);
    assert_int_equal(open_all(buf_span(&bytes), plain, sizeof plain).code, 0);
    assert_memory_equal(plain, share, sizeof share);
    buf_release(&bytes);
}

/* OpenSSL's reader of the same bytes, or false. */
static bool openssl_reads(struct span bytes)
{
    const uint8_t *at = bytes.data;
    CMS_ContentInfo *info = d2i_CMS_ContentInfo(NULL, &at, (long)bytes.len);
    const bool read = info && at == bytes.data + bytes.len &&
                      sk_CMS_RecipientInfo_num(CMS_get0_RecipientInfos(info)) == 1;
    CMS_ContentInfo_free(info);
    ERR_clear_error();
    return read;
}

/* What is taken is read the same by OpenSSL; what opens all the same has changed in no byte that counts. */
static void try_each_change(struct buf *bytes)
{
    size_t opened = 0;
    for (size_t i = 0; i < bytes->len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            uint8_t plain[sizeof share];
            struct kms_envelope envelope;
            struct buf ciphertext = buf_init(KMS_ENVELOPE_MAX);
            bytes->data[i] ^= (uint8_t)(1 << bit);
            if (!kms_envelope_parse(buf_span(bytes), &envelope, &ciphertext).code) {
                if (!openssl_reads(buf_span(bytes)))
                    fail_msg("byte %zu: taken here, not by OpenSSL", i);
                if (bit == 0 && !open_all(buf_span(bytes), plain, sizeof plain).code)
                    opened += memcmp(plain, share, sizeof share) == 0;
            }
            buf_release(&ciphertext);
            bytes->data[i] ^= (uint8_t)(1 << bit);
        }
    }
    assert_int_equal(opened, 32); /* the recipient's name, which nobody reads */
}

static void test_every_change_is_refused_or_gives_other_bytes(void **state)
{
    struct buf bytes = buf_init(KMS_ENVELOPE_MAX);
    (void)state;
    make(span_of(share, sizeof share), ENVELOPE_PIECES, 48, &bytes);
    try_each_change(&bytes);
    make(span_of(share, sizeof share), ENVELOPE_WHOLE, 0, &bytes);
    try_each_change(&bytes);
    buf_release(&bytes);
}

static void test_what_is_cut_or_longer_is_refused(void **state)
{
    struct buf bytes = buf_init(KMS_ENVELOPE_MAX);
    struct buf ciphertext = buf_init(KMS_ENVELOPE_MAX);
    struct kms_envelope envelope;
    (void)state;
    make(span_of(share, sizeof share), ENVELOPE_PIECES, 48, &bytes);
    for (size_t len = 0; len < bytes.len; len++) {
        ciphertext.len = 0;
        assert_true(error_is(kms_envelope_parse(span_of(bytes.data, len), &envelope, &ciphertext),
                             ERROR_KMS_ANSWER));
    }
    assert_int_equal(buf_append(&bytes, "", 1).code, 0);
    assert_true(
        error_is(kms_envelope_parse(buf_span(&bytes), &envelope, &ciphertext), ERROR_KMS_ANSWER));
    buf_release(&bytes);
    buf_release(&ciphertext);
}

/* Another key, a changed key, a changed padding: the same answer, and bytes that say nothing. */
static void test_T18_what_is_not_right_gives_bytes_all_the_same(void **state)
{
    static const uint8_t zeros[sizeof share];
    struct buf bytes = buf_init(KMS_ENVELOPE_MAX);
    struct buf ciphertext = buf_init(KMS_ENVELOPE_MAX);
    struct kms_envelope envelope;
    uint8_t plain[sizeof share];
    uint8_t wrapped[RECIPIENT_WRAPPED_SIZE];
    (void)state;
    make(span_of(share, sizeof share), ENVELOPE_WHOLE, 0, &bytes);
    assert_int_equal(kms_envelope_parse(buf_span(&bytes), &envelope, &ciphertext).code, 0);
    memcpy(wrapped, envelope.wrapped.data, sizeof wrapped);
    wrapped[100] ^= 1;
    assert_int_equal(recipient_open(recipient, wrapped, envelope.iv.data, buf_span(&ciphertext),
                                    plain, sizeof plain)
                         .code,
                     0);
    assert_memory_not_equal(plain, share, sizeof plain);
    ciphertext.data[20] ^= 1; /* changes the last block's padding */
    assert_int_equal(recipient_open(recipient, envelope.wrapped.data, envelope.iv.data,
                                    buf_span(&ciphertext), plain, sizeof plain)
                         .code,
                     0);
    assert_memory_equal(plain, zeros, sizeof plain);
    buf_release(&bytes);
    buf_release(&ciphertext);
}

/* Envelopes that AWS has made. */
static void test_real_envelopes_are_read(void **state)
{
    static const char *const names[][3] = {
        {"nitro/kms-input-ber.bin", "nitro/kms-encrypted-key-out.bin",
         "nitro/kms-ciphertext-out.bin"},
        {"nitro/kms-input-ber-w-ctx.bin", "nitro/kms-encrypted-key-out-w-ctx.bin",
         "nitro/kms-ciphertext-out-w-ctx.bin"}};
    static const char *const ivs[] = {"nitro/kms-iv-out.bin", "nitro/kms-iv-out-w-ctx.bin"};
    (void)state;
    if (!vectors_present("nitro", "real envelopes of KMS"))
        return;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        size_t len[4];
        char *input = vectors_read(names[i][0], &len[0]);
        char *key = vectors_read(names[i][1], &len[1]);
        char *ciphertext = vectors_read(names[i][2], &len[2]);
        char *iv = vectors_read(ivs[i], &len[3]);
        struct kms_envelope envelope;
        struct buf read = buf_init(KMS_ENVELOPE_MAX);
        assert_int_equal(kms_envelope_parse(span_of(input, len[0]), &envelope, &read).code, 0);
        assert_true(span_equal(envelope.wrapped, span_of(key, len[1])));
        assert_true(span_equal(buf_span(&read), span_of(ciphertext, len[2])));
        assert_true(span_equal(envelope.iv, span_of(iv, len[3])));
        buf_release(&read);
        free(input);
        free(key);
        free(ciphertext);
        free(iv);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_forms_open),
        cmocka_unit_test(test_every_change_is_refused_or_gives_other_bytes),
        cmocka_unit_test(test_what_is_cut_or_longer_is_refused),
        cmocka_unit_test(test_T18_what_is_not_right_gives_bytes_all_the_same),
        cmocka_unit_test(test_real_envelopes_are_read),
    };
    return cmocka_run_group_tests(tests, open_recipient, close_recipient);
}
