/* The security module's requests to the byte, its answers, and what can't be an answer of its. The answer lies in the socket
 * before the question is asked.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"

#include "attest/nsm.h"
#include "codec/cbor.h"
#include "codec/hex.h"
#include "support/test.h"

static int line[2];
static struct nsm *nsm;
static uint8_t bytes[65536];

static int open_line(void **state)
{
    (void)state;
    const int size = 1 << 20; /* a whole answer has to fit */
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, line) != 0 ||
        setsockopt(line[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size) != 0)
        return -1;
    return nsm_adopt(line[1], &nsm).code;
}

static int close_line(void **state)
{
    (void)state;
    nsm_close(nsm);
    (void)close(line[0]);
    return 0;
}

static void answer(struct span content)
{
    uint8_t head[4];
    for (unsigned i = 0; i < 4; i++)
        head[i] = (uint8_t)(content.len >> (8 * i));
    assert_int_equal(fd_write_all(line[0], head, sizeof head).code, 0);
    assert_int_equal(fd_write_all(line[0], content.data, content.len).code, 0);
}

static void answer_hex(const char *hex)
{
    size_t len;
    assert_int_equal(hex_decode_some(span_str(hex), bytes, sizeof bytes, &len).code, 0);
    answer(span_of(bytes, len));
}

/* What was asked since the last look; false: nothing. */
static bool asked(struct span *ret_request)
{
    uint8_t head[4];
    if (recv(line[0], head, sizeof head, MSG_DONTWAIT) != (ssize_t)sizeof head)
        return false;
    size_t len = (size_t)head[0] | (size_t)head[1] << 8;
    assert_int_equal(recv(line[0], bytes, len, MSG_WAITALL), len);
    *ret_request = span_of(bytes, len);
    return true;
}

static void assert_asked(const char *hex)
{
    struct span request;
    char text[2 * 512 + 1] = "";
    assert_true(asked(&request));
    assert_true(request.len <= 512);
    hex_encode(request.data, request.len, text);
    assert_string_equal(text, hex);
}

static void test_a_document(void **state)
{
    (void)state;
    struct buf document = buf_init(100);
    answer_hex("a16b4174746573746174696f6ea168646f63756d656e7443010203");
    assert_int_equal(
        nsm_attest(nsm, span_of("u", 1), span_of(NULL, 0), span_of("k", 1), &document).code, 0);
    assert_true(span_equal(buf_span(&document), span_of("\1\2\3", 3)));
    assert_asked(
        "a16b4174746573746174696f6ea369757365725f646174614175656e6f6e6365f66a7075626c69635f6b657941"
        "6b");
    answer_hex("a16b4174746573746174696f6ea168646f63756d656e744104");
    assert_int_equal(
        nsm_attest(nsm, span_of(NULL, 0), span_of("n", 1), span_of(NULL, 0), &document).code, 0);
    assert_asked(
        "a16b4174746573746174696f6ea369757365725f64617461f6656e6f6e6365416e6a7075626c69635f6b6579f6");
    assert_int_equal(document.len, 4); /* appended */
    /* Empty is something else than none. */
    answer_hex("a16b4174746573746174696f6ea168646f63756d656e744104");
    assert_int_equal(
        nsm_attest(nsm, span_of("", 0), span_of("", 0), span_of(NULL, 0), &document).code, 0);
    assert_asked(
        "a16b4174746573746174696f6ea369757365725f6461746140656e6f6e6365406a7075626c69635f6b6579f6");
    buf_release(&document);
}

static void test_inputs_are_held_to_the_modules_limits(void **state)
{
    (void)state;
    static const uint8_t zeros[2048];
    static const size_t sizes[][3] = {
        {ATTEST_USER_DATA_MAX + 1, 0, 0},
        {0, ATTEST_NONCE_MAX + 1, 0},
        {0, 0, ATTEST_PUBLIC_KEY_MAX + 1},
    };
    struct buf document = buf_init(100);
    struct span request;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        assert_int_equal(nsm_attest(nsm, span_of(zeros, sizes[i][0]), span_of(zeros, sizes[i][1]),
                                    span_of(sizes[i][2] ? zeros : NULL, sizes[i][2]), &document)
                             .code,
                         ERROR_LIMIT);
    assert_int_equal(
        nsm_attest(nsm, span_of(NULL, 0), span_of(NULL, 0), span_of("", 0), &document).code,
        ERROR_LIMIT);
    assert_false(asked(&request));
    answer_hex("a16b4174746573746174696f6ea168646f63756d656e744104");
    assert_int_equal(nsm_attest(nsm, span_of(zeros, ATTEST_USER_DATA_MAX),
                                span_of(zeros, ATTEST_NONCE_MAX),
                                span_of(zeros, ATTEST_PUBLIC_KEY_MAX), &document)
                         .code,
                     0);
    assert_true(asked(&request));
    assert_int_equal(document.len, 1);
    /* More than the caller has room for. */
    struct buf small = buf_init(2);
    answer_hex("a16b4174746573746174696f6ea168646f63756d656e7443010203");
    assert_int_equal(
        nsm_attest(nsm, span_of(NULL, 0), span_of(NULL, 0), span_of(NULL, 0), &small).code,
        ERROR_LIMIT);
    buf_release(&small);
    buf_release(&document);
}

/* {"DescribeNSM": {...}} with its fields in the order given. */
static struct span description(const char *const *fields, size_t count)
{
    static uint8_t space[4096];
    struct cbor_writer w = cbor_writer_init(space, sizeof space);
    struct span written;
    cbor_put_map(&w, 1);
    cbor_put_text(&w, "DescribeNSM");
    cbor_put_map(&w, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        cbor_put_text(&w, fields[i]);
        if (strcmp(fields[i], "digest") == 0) {
            cbor_put_text(&w, "SHA384");
        } else if (strcmp(fields[i], "module_id") == 0) {
            cbor_put_text(&w, "i-0-enc0");
        } else if (strcmp(fields[i], "locked_pcrs") == 0) {
            cbor_put_array(&w, 2);
            cbor_put_uint(&w, 0);
            cbor_put_uint(&w, 31);
        } else {
            cbor_put_uint(&w, 10 + strlen(fields[i]));
        }
    }
    assert_int_equal(cbor_written(&w, &written).code, 0);
    return written;
}

static void test_the_module_describes_itself_in_any_order(void **state)
{
    (void)state;
    static const char *const aws[] = {"version_major", "version_minor", "version_patch",
                                      "module_id",     "max_pcrs",      "locked_pcrs",
                                      "digest"};
    static const char *const qemu[] = {"digest",       "max_pcrs",      "module_id",
                                       "locked_pcrs",  "version_major", "version_minor",
                                       "version_patch"};
    static const char *const newer[] = {"version_major", "version_minor", "version_patch",
                                        "newer",         "module_id",     "max_pcrs",
                                        "locked_pcrs",   "digest"};
    static const char *const twice[] = {"version_major", "version_minor", "version_patch",
                                        "module_id",     "max_pcrs",      "locked_pcrs",
                                        "digest",        "digest"};
    struct nsm_description d;
    answer(description(aws, 7));
    assert_int_equal(nsm_describe(nsm, &d).code, 0);
    assert_asked("6b44657363726962654e534d");
    assert_string_equal(d.module_id, "i-0-enc0");
    assert_int_equal(d.locked_pcrs, 0x80000001);
    assert_int_equal(d.version_major, 23);
    assert_int_equal(d.max_pcrs, 18);
    answer(description(qemu, 7));
    assert_int_equal(nsm_describe(nsm, &d).code, 0);
    answer(description(newer, 8));
    assert_int_equal(nsm_describe(nsm, &d).code, 0);
    answer(description(twice, 8));
    assert_int_equal(nsm_describe(nsm, &d).code, ERROR_NSM);
    answer(description(aws, 6));
    assert_int_equal(nsm_describe(nsm, &d).code, ERROR_NSM);
    answer(description(aws, 0));
    assert_int_equal(nsm_describe(nsm, &d).code, ERROR_NSM);
}

static void test_registers(void **state)
{
    (void)state;
    uint8_t value[ATTEST_PCR_SIZE];
    uint8_t wanted[ATTEST_PCR_SIZE];
    bool locked = false;
    char hex[256];
    char zeros[97];
    memset(zeros, '2', 96);
    zeros[96] = 0;
    memset(wanted, 0x22, sizeof wanted);
    (void)snprintf(hex, sizeof hex, "a16b4465736372696265504352a2646c6f636bf564646174615830%s",
                   zeros);
    answer_hex(hex);
    assert_int_equal(nsm_pcr(nsm, 3, &locked, value).code, 0);
    assert_asked("a16b4465736372696265504352a165696e64657803");
    assert_true(locked);
    assert_memory_equal(value, wanted, sizeof value);
    /* QEMU's order. */
    (void)snprintf(hex, sizeof hex, "a16b4465736372696265504352a264646174615830%s646c6f636bf4",
                   zeros);
    answer_hex(hex);
    assert_int_equal(nsm_pcr(nsm, 31, &locked, value).code, 0);
    assert_asked("a16b4465736372696265504352a165696e646578181f");
    assert_false(locked);
    (void)snprintf(hex, sizeof hex, "a169457874656e64504352a164646174615830%s", zeros);
    answer_hex(hex);
    assert_int_equal(nsm_extend(nsm, 16, span_of("d", 1), value).code, 0);
    assert_asked("a169457874656e64504352a265696e6465781064646174614164");
    answer_hex("674c6f636b504352");
    assert_int_equal(nsm_lock(nsm, 16).code, 0);
    assert_asked("a1674c6f636b504352a165696e64657810");
    /* Longer than a request can be. */
    static const uint8_t much[0x1000];
    assert_int_equal(nsm_extend(nsm, 16, span_of(much, sizeof much), value).code, ERROR_LIMIT);
}

static void test_random_bytes(void **state)
{
    (void)state;
    static uint8_t reply[19 + NSM_RANDOM_SIZE];
    uint8_t random[NSM_RANDOM_SIZE];
    struct cbor_writer w = cbor_writer_init(reply, sizeof reply + 1);
    memset(random, 7, sizeof random);
    cbor_put_map(&w, 1);
    cbor_put_text(&w, "GetRandom");
    cbor_put_map(&w, 1);
    cbor_put_text(&w, "random");
    cbor_put_bytes_head(&w, NSM_RANDOM_SIZE);
    uint8_t whole[sizeof reply + 8];
    memcpy(whole, reply, w.len);
    memcpy(whole + w.len, random, sizeof random);
    answer(span_of(whole, w.len + sizeof random));
    memset(random, 0, sizeof random);
    assert_int_equal(nsm_random(nsm, random).code, 0);
    assert_int_equal(random[NSM_RANDOM_SIZE - 1], 7);
    assert_asked("6947657452616e646f6d");
    answer_hex("a16947657452616e646f6da16672616e646f6d4101"); /* one byte of them */
    assert_int_equal(nsm_random(nsm, random).code, ERROR_NSM);
}

static void test_refusals_are_named(void **state)
{
    (void)state;
    static const char *const names[] = {"InvalidArgument", "InvalidIndex",     "InvalidResponse",
                                        "ReadOnlyIndex",   "InvalidOperation", "BufferTooSmall",
                                        "InputTooLarge",   "InternalError"};
    for (size_t i = 0; i <= ARRAY_LEN(names); i++) {
        uint8_t space[64];
        struct cbor_writer w = cbor_writer_init(space, sizeof space);
        struct span written;
        cbor_put_map(&w, 1);
        cbor_put_text(&w, "Error");
        cbor_put_text(&w, i < ARRAY_LEN(names) ? names[i] : "Success");
        assert_int_equal(cbor_written(&w, &written).code, 0);
        answer(written);
        assert_int_equal(nsm_lock(nsm, 0).code, ERROR_NSM_REFUSED);
        if (i < ARRAY_LEN(names))
            assert_memory_equal(error_detail(), names[i], strlen(names[i]));
    }
}

/* For a document; none of them is an answer to that. */
static void test_T32_what_is_no_answer(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "00",
        "f6",
        "a0",
        "6b4174746573746174696f6e",                                 /* "Attestation" alone */
        "a16b4174746573746174696f6ef6",                             /* null */
        "a16b4174746573746174696f6ea0",                             /* an empty map */
        "a16b4174746573746174696f6ea168646f63756d656e74",           /* cut short */
        "a16b4174746573746174696f6ea168646f63756d656e7440",         /* no byte of it */
        "a16b4174746573746174696f6ea168646f63756d656e74410400",     /* a byte after the end */
        "a16b4174746573746174696f6ea168646f63756d656e746104",       /* a text */
        "a16b4174746573746174696f6ea168646f63756d656e745f4104ff",   /* indefinite */
        "bf6b4174746573746174696f6ea168646f63756d656e744104ff",     /* the map is */
        "a16b4174746573746174696f6ea168446f63756d656e744104",       /* another name */
        "a16b4465736372696265504352a168646f63756d656e744104",       /* another request's */
        "a26b4174746573746174696f6ea168646f63756d656e7441046141f6", /* and something more */
        "a1654572726f7200",                                         /* an error without a text */
        "a1654572726f726d496e7465726e616c4572726f7200",             /* and with too much */
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct buf document = buf_init(100);
        print_message("%s\n", wrong[i]);
        answer_hex(wrong[i]);
        assert_int_equal(
            nsm_attest(nsm, span_of(NULL, 0), span_of(NULL, 0), span_of(NULL, 0), &document).code,
            ERROR_NSM);
        assert_int_equal(document.len, 0);
        buf_release(&document);
    }
    /* Register values of another length. */
    uint8_t value[ATTEST_PCR_SIZE];
    bool locked;
    answer_hex("a16b4465736372696265504352a2646c6f636bf56464617461410f");
    assert_int_equal(nsm_pcr(nsm, 0, &locked, value).code, ERROR_NSM);
    answer_hex("a16b4465736372696265504352a1646c6f636bf5");
    assert_int_equal(nsm_pcr(nsm, 0, &locked, value).code, ERROR_NSM);
    answer_hex("674c6f636b50435200");
    assert_int_equal(nsm_lock(nsm, 0).code, ERROR_NSM);
}

/* Half an answer is not taken for the beginning of the next one. */
static void test_a_line_that_failed_stays_down(void **state)
{
    (void)state;
    static uint8_t much[ATTEST_DOCUMENT_MAX + 1] = "\x08\0\0\0gLockPCR";
    answer(span_of(much, sizeof much)); /* longer than any answer, and it looks like one inside */
    assert_int_equal(nsm_lock(nsm, 0).code, ERROR_NSM);
    assert_int_equal(nsm_lock(nsm, 0).code, ERROR_NSM);
}

static void test_what_is_no_device(void **state)
{
    (void)state;
    struct nsm *other = NULL;
    assert_int_equal(nsm_open("/nonexistent/nsm", &other).code, ERROR_NSM);
    assert_int_equal(nsm_open("/etc/passwd", &other).code, ERROR_NSM);
    assert_int_equal(nsm_open("/", &other).code, ERROR_NSM);
    assert_null(other);
    /* A device, but not that one: it knows no such call. */
    assert_int_equal(nsm_open("/dev/null", &other).code, 0);
    assert_int_equal(nsm_lock(other, 0).code, ERROR_NSM);
    nsm_close(other);
    nsm_close(NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_line, close_line)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_document),
        TEST(test_inputs_are_held_to_the_modules_limits),
        TEST(test_the_module_describes_itself_in_any_order),
        TEST(test_registers),
        TEST(test_random_bytes),
        TEST(test_refusals_are_named),
        TEST(test_T32_what_is_no_answer),
        TEST(test_a_line_that_failed_stays_down),
        cmocka_unit_test(test_what_is_no_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
