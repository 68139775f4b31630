/* Files for recipients: the age tool itself opens them, and a recipient is read as its owner writes it or refused.
 */
#include <string.h>

#include "base/span.h"

#include "crypto/age.h"
#include "support/age_tool.h"
#include "support/test.h"

#define AGE_RECIPIENT AGE_TOOL_RECIPIENT
#define SSH_RECIPIENT AGE_TOOL_SSH_RECIPIENT

static struct age_recipient parse(const char *text)
{
    struct age_recipient recipient;
    assert_int_equal(age_recipient_parse(span_str(text), &recipient).code, 0);
    return recipient;
}

static void assert_opens(enum age_tool_identity identity, const struct buf *file, struct span plain)
{
    char got[256];
    long len = age_tool_decrypt(identity, file->data, file->len, got, sizeof got);
    assert_true(len >= 0);
    assert_true(span_equal(span_of(got, (size_t)len), plain));
}

static void test_the_age_tool_opens_for_each_recipient(void **state)
{
    (void)state;
    static const enum age_tool_identity identities[] = {AGE_TOOL_X25519, AGE_TOOL_SSH};
    char nothing[16];
    const struct age_recipient both[2] = {parse(AGE_RECIPIENT), parse(SSH_RECIPIENT)};
    const struct span plains[] = {span_str("a small secret\n"), span_of(NULL, 0)};
    if (!age_tool_present())
        skip();
    for (size_t form = 0; form < 4; form++) {
        struct buf file = buf_init(1 << 20);
        const enum age_form as = form & 1 ? AGE_ARMOUR : AGE_BINARY;
        const struct span plain = plains[form / 2];
        for (size_t i = 0; i < 2; i++) {
            file.len = 0;
            assert_int_equal(age_encrypt(&both[i], 1, plain, as, &file).code, 0);
            assert_opens(identities[i], &file, plain);
            assert_int_equal(
                age_tool_decrypt(identities[1 - i], file.data, file.len, nothing, sizeof nothing),
                -1);
        }
        file.len = 0;
        assert_int_equal(age_encrypt(both, 2, plain, as, &file).code, 0);
        assert_opens(AGE_TOOL_X25519, &file, plain);
        assert_opens(AGE_TOOL_SSH, &file, plain);
        buf_release(&file);
    }
}

/* Two files of one secret have nothing in common but the first line. */
static void test_each_file_is_new(void **state)
{
    (void)state;
    const struct age_recipient recipient = parse(AGE_RECIPIENT);
    struct buf a = buf_init(1 << 16);
    struct buf b = buf_init(1 << 16);
    assert_int_equal(age_encrypt(&recipient, 1, span_str("secret"), AGE_BINARY, &a).code, 0);
    assert_int_equal(age_encrypt(&recipient, 1, span_str("secret"), AGE_BINARY, &b).code, 0);
    assert_int_equal(a.len, b.len);
    assert_false(span_equal(span_of(a.data + 22, 60), span_of(b.data + 22, 60)));
    assert_false(span_equal(span_of(a.data + a.len - 38, 38), span_of(b.data + b.len - 38, 38)));
    buf_release(&a);
    buf_release(&b);
}

static void test_limits(void **state)
{
    (void)state;
    static const uint8_t plain[AGE_PLAIN_MAX + 1];
    struct age_recipient many[AGE_RECIPIENTS_MAX + 1];
    struct buf out = buf_init(1 << 20);
    for (size_t i = 0; i < AGE_RECIPIENTS_MAX + 1; i++)
        many[i] = parse(i & 1 ? AGE_RECIPIENT : SSH_RECIPIENT);
    assert_true(error_is(age_encrypt(many, 0, span_of(plain, 1), AGE_BINARY, &out), ERROR_LIMIT));
    assert_true(
        error_is(age_encrypt(many, AGE_RECIPIENTS_MAX + 1, span_of(plain, 1), AGE_BINARY, &out),
                 ERROR_LIMIT));
    assert_true(error_is(age_encrypt(many, 1, span_of(plain, AGE_PLAIN_MAX + 1), AGE_BINARY, &out),
                         ERROR_LIMIT));
    assert_int_equal(out.len, 0);
    assert_int_equal(
        age_encrypt(many, AGE_RECIPIENTS_MAX, span_of(plain, AGE_PLAIN_MAX), AGE_ARMOUR, &out).code,
        0);
    /* A point of small order, as a message of another room might bring it. */
    memset(many[0].key, 0, sizeof many[0].key);
    many[0].kind = AGE_X25519;
    assert_true(error_is(age_encrypt(many, 1, span_of(plain, 1), AGE_BINARY, &out), ERROR_CRYPTO));
    many[0].kind = AGE_SSH_ED25519;
    assert_true(error_is(age_encrypt(many, 1, span_of(plain, 1), AGE_BINARY, &out), ERROR_CRYPTO));
    buf_release(&out);
}

static void test_recipients_are_written_as_they_are_read(void **state)
{
    (void)state;
    static const char *const texts[] = {AGE_RECIPIENT, SSH_RECIPIENT};
    for (size_t i = 0; i < 2; i++) {
        struct buf out = buf_init(256);
        struct age_recipient recipient = parse(texts[i]);
        assert_int_equal(recipient.kind, i + 1);
        assert_int_equal(age_recipient_write(&recipient, &out).code, 0);
        assert_true(span_is(buf_span(&out), texts[i]));
        buf_release(&out);
    }
    struct age_recipient plain = parse(SSH_RECIPIENT);
    struct age_recipient named = parse(SSH_RECIPIENT " alice at  home");
    assert_memory_equal(plain.key, named.key, sizeof plain.key);
}

static void test_other_texts_are_no_recipients(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "age1",
        "AGE1854MG9UHMYT0CFXD39EMC2Z3CVR4K2YU3AV7MS36ZFEJS26LAG7Q4MJ03C",
        "Age1854mg9uhmyt0cfxd39emc2z3cvr4k2yu3av7ms36zfejs26lag7q4mj03c",
        "age1854mg9uhmyt0cfxd39emc2z3cvr4k2yu3av7ms36zfejs26lag7q4mj03d", /* checksum */
        "age1854mg9uhmyt0cfxd39emc2z3cvr4k2yu3av7ms36zfejs26lag7q4mj03",
        AGE_RECIPIENT "q",
        AGE_RECIPIENT " ",
        " " AGE_RECIPIENT,
        AGE_RECIPIENT "\n",
        "age1b54mg9uhmyt0cfxd39emc2z3cvr4k2yu3av7ms36zfejs26lag7q4mj03c",  /* b is no digit */
        "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqs3m8m2q", /* checksum, zero point */
        "age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t",
        "AGE-SECRET-KEY-1LS4W6S4JU3L4FA7DNL3QK8AYKKXDJSYPE0NUMVWSH8KYFFUV9GHQL44WA5",
        "ssh-ed25519",
        "ssh-ed25519 ",
        "ssh-ed25519  AAAAC3NzaC1lZDI1NTE5AAAAIOtAR7oRXD39fYNGAqa3g++CwrWjOP52a8c233xzqf3F",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOtAR7oRXD39fYNGAqa3g++CwrWjOP52a8c233xzqf3",
        SSH_RECIPIENT "x",
        SSH_RECIPIENT "\n",
        SSH_RECIPIENT "\tx",
        SSH_RECIPIENT " a\nb",
        /* another type inside, another length inside */
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE4AAAAIOtAR7oRXD39fYNGAqa3g++CwrWjOP52a8c233xzqf3F",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAH+tAR7oRXD39fYNGAqa3g++CwrWjOP52a8c233xzqf3F",
        /* the neutral element */
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct age_recipient recipient;
        cc_err err = age_recipient_parse(span_str(texts[i]), &recipient);
        if (!error_is(err, ERROR_MALFORMED))
            fail_msg("%s", texts[i]);
    }
}

/* A zero point with a right checksum, bits to spare with a right checksum: both are refused for what they are. */
static void test_weak_points_and_spare_bits(void **state)
{
    (void)state;
    struct age_recipient zero = {.kind = AGE_X25519};
    struct age_recipient back;
    struct buf out = buf_init(256);
    assert_int_equal(age_recipient_write(&zero, &out).code, 0);
    assert_true(error_is(age_recipient_parse(buf_span(&out), &back), ERROR_MALFORMED));
    assert_string_equal(error_detail(), "a recipient that is no point of its curve");
    buf_release(&out);
    /* Its last digit before the checksum is q with nothing to spare; made by an independent encoder. */
    const char *spare = "age1854mg9uhmyt0cfxd39emc2z3cvr4k2yu3av7ms36zfejs26lag7pgdx6v2";
    assert_true(error_is(age_recipient_parse(span_str(spare), &back), ERROR_MALFORMED));
    assert_string_equal(error_detail(), "an age recipient with bits to spare");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_age_tool_opens_for_each_recipient),
        cmocka_unit_test(test_each_file_is_new),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_recipients_are_written_as_they_are_read),
        cmocka_unit_test(test_other_texts_are_no_recipients),
        cmocka_unit_test(test_weak_points_and_spare_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
