/* The name of a KMS key: by its id, in one region. */
#include "config/kms_arn.h"
#include "support/test.h"

static void test_the_arn_of_a_kms_key(void **state)
{
    static const char *const good[] = {
        "arn:aws:kms:us-east-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab",
        "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws-cn:kms:cn-north-1:123456789012:key/a",
    };
    static const char *const bad[] = {
        "",
        "key/1234abcd",
        "arn:aws:kms:us-east-1:123456789012:key/",
        "arn:aws:kms:us-east-1:123456789012:alias/chamber",
        "arn:aws:kms:us-east-1:12345678901:key/a",
        "arn:aws:kms:us-east-1:1234567890123:key/a",
        "arn:aws:kms::123456789012:key/a",
        "arn:aws:kms:us-east-1.evil.example:123456789012:key/a",
        "arn:aws:kms:us-east-1:123456789012:key/a/b",
        "arn:aws:kms:us-east-1:123456789012:key/A",
        "arn:aws:kms:us-east-1:123456789012:key/a:b",
        "arn:aws:kms:us-east-1:123456789012:key/a ",
        " arn:aws:kms:us-east-1:123456789012:key/a",
        "arn::kms:us-east-1:123456789012:key/a",
        "ARN:aws:kms:us-east-1:123456789012:key/a",
        "arn:aws:kms:us-east-1:123456789012",
    };
    char longest[KMS_ARN_SIZE + 1];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(kms_arn_check(span_str(good[i])));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (kms_arn_check(span_str(bad[i])))
            fail_msg("accepted: %s", bad[i]);
    assert_false(kms_arn_check(span_of("arn:aws:kms:us-east-1:123456789012:key/a\0b", 42)));
    memset(longest, 'a', sizeof longest);
    memcpy(longest, good[2], strlen(good[2]));
    assert_true(kms_arn_check(span_of(longest, KMS_ARN_SIZE - 1)));
    assert_false(kms_arn_check(span_of(longest, KMS_ARN_SIZE)));
    assert_true(span_is(kms_arn_region(span_str(good[1])), "us-gov-west-1"));
    assert_true(span_is(kms_arn_account(span_str(good[1])), "123456789012"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_arn_of_a_kms_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
